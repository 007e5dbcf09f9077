//! The plural wrapper of the API: `iterable` lists objects, `indices` maps ids to positions.
//!
//! Either may be missing or incomplete. An id belongs when it is in one of them, unless `indices`
//! says it is gone (a negative position). Order is that of the positions.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use uuid::Uuid;

use super::lenient::{FromText, Integer, List, Parsed, absent, lenient_object};

/// An id. Nearly all of them are UUIDs; any other text is kept as a hash, which is enough to count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    bits: u128,
    is_uuid: bool,
}

impl Id {
    pub(crate) fn uuid(self) -> Option<Uuid> {
        self.is_uuid.then(|| Uuid::from_u128(self.bits))
    }

    /// A UUID in lower case with its four hyphens, and nothing else.
    #[inline(always)]
    pub(crate) fn from_canonical(text: &[u8; 36]) -> Option<Id> {
        if [text[8], text[13], text[18], text[23]] != *b"----" {
            return None;
        }
        let eight = |at: usize, then: usize| {
            let (a, b) = (&text[at..at + 4], &text[then..then + 4]);
            hex_digits(u64::from_be_bytes([
                a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3],
            ]))
        };
        let (a, b, c, d) = (eight(0, 4)?, eight(9, 14)?, eight(19, 24)?, eight(28, 32)?);
        let bits = u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d);
        Some(Id {
            bits,
            is_uuid: true,
        })
    }
}

/// Eight lower-case hexadecimal digits, all at once; the first is in the highest byte.
#[inline(always)]
fn hex_digits(text: u64) -> Option<u32> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte says whether the byte (below 0x80) is at least `least`.
    let at_least = |least: u8| (text | HIGH) - ONES * u64::from(least);
    let decimal = at_least(b'0') & !at_least(b'9' + 1);
    let letter = at_least(b'a') & !at_least(b'f' + 1);
    if (decimal | letter) & !text & HIGH != HIGH {
        return None;
    }
    let nibbles = (text & (ONES * 0x0f)) + (text >> 6 & ONES) * 9;
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Some((pairs | pairs >> 16) as u32)
}

impl FromText for Id {
    fn from_text(text: &str) -> Option<Id> {
        Some(match Uuid::try_parse(text) {
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
    /// A plural wrapper of which only the ids matter.
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
    /// The ids that belong and are UUIDs, in order.
    pub(crate) fn ids(self) -> Vec<Uuid> {
        ordered(&self.listed(), &self.indices.0.unwrap_or_default())
    }

    /// How many belong, whatever their ids look like.
    pub(crate) fn count(self) -> u32 {
        count(&self.listed(), &mut self.indices.0.unwrap_or_default())
    }

    fn listed(&self) -> Vec<Id> {
        self.iterable
            .0
            .iter()
            .flatten()
            .filter_map(|reference| reference.id.0)
            .collect()
    }
}

/// How many ids are in either and not said to be gone. Reorders `indices`.
pub(crate) fn count(listed: &[Id], indices: &mut Vec<(Id, i64)>) -> u32 {
    // Usually both name the same few ids, each once, and none is gone.
    if listed.len() <= 32
        && indices
            .iter()
            .all(|(id, position)| *position >= 0 && listed.contains(id))
        && listed
            .iter()
            .enumerate()
            .all(|(at, id)| !listed[..at].contains(id))
    {
        return listed.len() as u32;
    }
    indices.extend(listed.iter().map(|id| (*id, i64::MAX)));
    // The smallest position of an id comes first, and it is negative if any of them is.
    indices.sort_unstable();
    indices.dedup_by_key(|(id, _)| *id);
    let count = indices
        .iter()
        .filter(|(_, position)| *position >= 0)
        .count();
    count.try_into().unwrap_or(u32::MAX)
}

/// The union of both, without what `indices` says is gone, by position; what has none comes last,
/// as listed.
pub(crate) fn ordered(listed: &[Id], indices: &[(Id, i64)]) -> Vec<Uuid> {
    match (listed, indices) {
        ([], []) => return Vec::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn other_ids_are_counted_but_not_listed() {
        let json = r#"{"iterable":[{"id":"m1"},{"id":"m2"}],"indices":{"m2":0,"m3":1,"m1":-1}}"#;
        assert_eq!(serde_json::from_str::<Members>(json).unwrap().count(), 2);
        assert!(
            serde_json::from_str::<Members>(json)
                .unwrap()
                .ids()
                .is_empty()
        );
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
