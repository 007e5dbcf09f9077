//! The API's plural wrapper: `iterable` lists objects, `indices` maps ids to positions.
//!
//! Either may be missing or incomplete. An id is a member if it is in one of them, unless `indices` marks it as
//! removed (a negative position). Members are ordered by position.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use smallvec::SmallVec;
use uuid::Uuid;
use uuid_simd::UuidExt as _;

use super::lenient::{FromText, Integer, List, Parsed, absent, lenient_object, reserve_first};

/// Ids of members. Most lists have one, which then needs no allocation.
pub type Ids = SmallVec<[Uuid; 1]>;

/// An id. Nearly all are UUIDs; of any other text a hash is kept, which is enough to count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    bits: u128,
    is_uuid: bool,
}

impl Id {
    pub(crate) fn uuid(self) -> Option<Uuid> {
        self.is_uuid.then(|| Uuid::from_u128(self.bits))
    }
}

impl FromText for Id {
    fn from_text(text: &str) -> Option<Id> {
        // An eighth of the time to parse a list went into ids; with SIMD it is a third of that.
        let usual = Uuid::parse_hyphenated(text);
        Some(match usual.or_else(|_| Uuid::try_parse(text)) {
            Ok(id) => Id {
                bits: id.as_u128(),
                is_uuid: true,
            },
            Err(_) => {
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                Id {
                    bits: hasher.finish().into(),
                    is_uuid: false,
                }
            }
        })
    }
}

lenient_object! {
    /// `{id, …}`.
    struct Reference { "id" => id: Parsed<Id>, }
}

lenient_object! {
    /// A plural wrapper, ids only.
    struct Members {
        "iterable" => iterable: List<Reference>,
        "indices" => indices: Indices,
    }
}

/// `indices`; `None` when it is not an object.
#[derive(Debug, Default)]
pub(crate) struct Indices(pub(crate) Option<Vec<(Id, i64)>>);

impl<'de> Deserialize<'de> for Indices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Indices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Indices, A::Error> {
                let mut indices = Vec::new();
                while let Some((Parsed(id), Integer(position))) = object.next_entry()? {
                    reserve_first(&mut indices);
                    indices.extend(id.zip(position));
                }
                Ok(Indices(Some(indices)))
            }
            absent!(null bool number text list);
        }
        deserializer.deserialize_any(V)
    }
}

impl Members {
    /// The members that are UUIDs, in order.
    pub(crate) fn ids(self) -> Vec<Uuid> {
        self.inline_ids().into_vec()
    }

    /// Like [`ids`](Self::ids); a single id needs no allocation.
    pub(crate) fn inline_ids(self) -> Ids {
        let indices = self.indices.0.unwrap_or_default();
        ordered(&listed(self.iterable), &indices)
    }

    /// How many members there are, whatever their ids look like.
    pub(crate) fn count(self) -> u32 {
        let mut indices = self.indices.0.unwrap_or_default();
        count(&listed(self.iterable), &mut indices)
    }
}

fn listed(iterable: List<Reference>) -> Vec<Id> {
    let references = iterable.0.unwrap_or_default().into_iter();
    references.filter_map(|reference| reference.id.0).collect()
}

/// Counts the members. Reorders `indices`.
pub(crate) fn count(listed: &[Id], indices: &mut Vec<(Id, i64)>) -> u32 {
    // Usually both name the same few ids, each once and at the same position.
    let placed =
        |(id, at): &(Id, i64)| usize::try_from(*at).is_ok_and(|at| listed.get(at) == Some(id));
    let repeated = |(at, id): (usize, &Id)| listed[..at].contains(id);
    if listed.len() <= 32 && indices.iter().all(placed) && !listed.iter().enumerate().any(repeated)
    {
        return listed.len() as u32;
    }
    indices.extend(listed.iter().map(|id| (*id, i64::MAX)));
    // The smallest position of an id comes first; it is negative if any of them is.
    indices.sort_unstable();
    indices.dedup_by_key(|(id, _)| *id);
    let count = indices
        .iter()
        .filter(|(_, position)| *position >= 0)
        .count();
    count.try_into().unwrap_or(u32::MAX)
}

/// The members that are UUIDs, by position; those without one come last, as listed.
pub(crate) fn ordered(listed: &[Id], indices: &[(Id, i64)]) -> Ids {
    match (listed, indices) {
        ([], []) => return Ids::new(),
        ([id], []) => return id.uuid().into_iter().collect(),
        ([a], [(b, position)]) if a == b && *position >= 0 => {
            return a.uuid().into_iter().collect();
        }
        _ => {}
    }
    let unplaced = listed
        .iter()
        .enumerate()
        .map(|(at, id)| (*id, i64::MAX, at));
    let mut entries: Vec<(Id, i64, usize)> = indices
        .iter()
        .map(|(id, position)| (*id, *position, 0))
        .chain(unplaced)
        .collect();
    entries.sort_unstable();
    entries.dedup_by_key(|(id, ..)| *id);
    entries.retain(|(_, position, _)| *position >= 0);
    entries.sort_unstable_by_key(|(id, position, at)| (*position, *at, *id));
    entries
        .into_iter()
        .filter_map(|(id, ..)| id.uuid())
        .collect()
}

/// The members of a plural wrapper, in order; empty if the value is not one.
pub fn live_ids(wrapper: &Value) -> Vec<Uuid> {
    Members::deserialize(wrapper).map_or_else(|_| Vec::new(), Members::ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ids are written as single letters: `a` stands for a UUID of `a`s.
    fn check(json: &str, expected: &str) {
        let mut json = json.replace('\'', "\"");
        for letter in 'a'..='f' {
            json = json.replace(&format!("\"{letter}\""), &format!("\"{}\"", uuid(letter)));
        }
        let ids = serde_json::from_str::<Members>(&json).unwrap().ids();
        let expected: Vec<Uuid> = expected.chars().map(uuid).collect();
        assert_eq!(ids, expected, "{json}");
        assert_eq!(
            serde_json::from_str::<Members>(&json).unwrap().count() as usize,
            expected.len(),
            "{json}"
        );
    }

    fn uuid(letter: char) -> Uuid {
        let x = |n: usize| letter.to_string().repeat(n);
        format!("{}-{}-{}-{}-{}", x(8), x(4), x(4), x(4), x(12))
            .parse()
            .unwrap()
    }

    #[test]
    fn union_minus_tombstones_by_position() {
        let table: &[(&str, &str)] = &[
            ("{}", ""),
            ("null", ""),
            ("[]", ""),
            ("{'iterable':null,'indices':null}", ""),
            ("{'iterable':[{'id':'a'}]}", "a"),
            ("{'iterable':[{'id':'b'},{'id':'a'}]}", "ba"),
            ("{'indices':{'a':1,'b':0}}", "ba"),
            (
                "{'iterable':[{'id':'a'},{'id':'b'}],'indices':{'a':5,'b':3}}",
                "ba",
            ),
            ("{'iterable':[{'id':'a'}],'indices':{'a':0}}", "a"),
            ("{'iterable':[{'id':'a'}],'indices':{'a':-1}}", ""),
            (
                "{'iterable':[{'id':'a'},{'id':'b'}],'indices':{'a':-1}}",
                "b",
            ),
            (
                "{'iterable':[{'id':'c'}],'indices':{'a':1,'b':-1,'d':0}}",
                "dac",
            ),
            ("{'iterable':[{'id':'a'},{'id':'a'}]}", "a"),
            ("{'indices':{'a':0,'a':1}}", "a"),
            ("{'indices':{'a':0,'a':-1}}", ""),
            (
                "{'iterable':[{'id':'a'},{'id':'a'}],'indices':{'a':0,'a':0}}",
                "a",
            ),
            ("{'indices':{'a':null,'b':'x','c':0.0,'d':-1.0}}", "c"),
            (
                "{'iterable':[null,7,[],'a',{},{'id':null},{'id':3},{'id':'a'}]}",
                "a",
            ),
            ("{'iterable':{'id':'a'},'indices':[1]}", ""),
        ];
        for (json, expected) in table {
            check(json, expected);
        }
    }

    #[test]
    fn ids_that_are_no_uuids_are_counted_but_not_listed() {
        let json = r#"{"iterable":[{"id":"m1"},{"id":"m2"}],"indices":{"m2":0,"m3":1,"m1":-1}}"#;
        assert_eq!(serde_json::from_str::<Members>(json).unwrap().count(), 2);
        assert!(
            serde_json::from_str::<Members>(json)
                .unwrap()
                .ids()
                .is_empty()
        );
    }

    proptest! {
        #[test]
        fn uuids_are_recognised_as_the_uuid_crate_does(
            text in "[0-9a-fA-F-]{36}|[0-9a-gA-G]{8}(-[0-9a-f]{4}){3}[-_][0-9A-F]{12}|[0-9a-f]{32}|\\PC{0,40}"
        ) {
            let id = Id::from_text(&text).and_then(Id::uuid);
            prop_assert_eq!(id, Uuid::try_parse(&text).ok());
        }
    }

    #[test]
    fn many_members() {
        let id = |n: u128| Uuid::from_u128(n).to_string();
        let iterable: Vec<_> = (0..100).map(|n| serde_json::json!({"id": id(n)})).collect();
        let indices: serde_json::Map<_, _> = (50..150)
            .map(|n| (id(n), if n % 2 == 0 { n as i64 } else { -1 }.into()))
            .collect();
        let json = serde_json::json!({"iterable": iterable, "indices": indices}).to_string();
        let expected: Vec<_> = (50..150)
            .step_by(2)
            .chain(0..50)
            .map(Uuid::from_u128)
            .collect();
        assert_eq!(
            serde_json::from_str::<Members>(&json).unwrap().ids(),
            expected
        );
        assert_eq!(serde_json::from_str::<Members>(&json).unwrap().count(), 100);
    }
}
