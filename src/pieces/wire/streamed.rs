//! Frames of `/conversations/stream/identifiers`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

use super::{GroupedTimestamp, Micros};
use crate::json::from_slice;
use crate::json::lenient::{List, Truthy, absent, lenient_object};
use crate::json::plural::{Id, Reference};

/// One item of a `StreamedIdentifiers` frame.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(in crate::pieces) enum StreamedIdentifier {
    /// A conversation was created or updated, or is only listed.
    Upsert {
        id: Uuid,
        /// Microseconds since the Unix epoch.
        updated: Option<i64>,
    },
    /// A conversation was deleted.
    Delete { id: Uuid },
    /// About another kind of object.
    Foreign,
    /// Unreadable.
    #[default]
    Malformed,
}

lenient_object! {
    struct StreamedIdentifiers { "iterable" => iterable: List<StreamedIdentifier>, }
}

/// The items of a frame; `None` if it is not a frame.
pub(in crate::pieces) fn streamed_identifiers(json: &[u8]) -> Option<Vec<StreamedIdentifier>> {
    from_slice::<StreamedIdentifiers>(json).ok()?.iterable.0
}

impl<'de> Deserialize<'de> for StreamedIdentifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = StreamedIdentifier;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let (mut conversation, mut foreign) = (None, false);
                let (mut deleted, mut updated) = (false, None);
                while let Some(key) = object.next_key::<Key>()? {
                    match key {
                        Key::Conversation => {
                            conversation = object.next_value::<Option<Reference>>()?
                        }
                        Key::Deleted => deleted = object.next_value::<Truthy>()?.0,
                        Key::Updated => updated = object.next_value::<GroupedTimestamp>()?.value.0,
                        Key::Schema => drop(object.next_value::<IgnoredAny>()?),
                        Key::Other => {
                            foreign |= object.next_value::<Option<IgnoredAny>>()?.is_some()
                        }
                    }
                }
                Ok(
                    match conversation.map(|conversation| conversation.id.0.and_then(Id::uuid)) {
                        Some(Some(id)) if deleted => StreamedIdentifier::Delete { id },
                        Some(Some(id)) => StreamedIdentifier::Upsert {
                            id,
                            updated: updated.map(|Micros(at)| at),
                        },
                        Some(None) => StreamedIdentifier::Malformed,
                        None if foreign => StreamedIdentifier::Foreign,
                        None => StreamedIdentifier::Malformed,
                    },
                )
            }
            absent!(null bool number text list);
        }
        deserializer.deserialize_any(V)
    }
}

/// The keys of an item. New kinds of objects come with every release, so any other key is a kind.
enum Key {
    Conversation,
    Deleted,
    Updated,
    Schema,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "conversation" => Key::Conversation,
                    "deleted" => Key::Deleted,
                    "updated" => Key::Updated,
                    "schema" => Key::Schema,
                    _ => Key::Other,
                })
            }
        }
        deserializer.deserialize_identifier(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";

    fn check(item: &str, expected: StreamedIdentifier) {
        let item = item.replace('\'', "\"").replace("ID", ID);
        // The neighbour shows that a malformed item loses only itself.
        let frame = format!(r#"{{"iterable":[{item},{{"conversation":{{"id":"{ID}"}}}}]}}"#);
        let neighbour = StreamedIdentifier::Upsert {
            id: ID.parse().unwrap(),
            updated: None,
        };
        assert_eq!(
            streamed_identifiers(frame.as_bytes()),
            Some(vec![expected, neighbour]),
            "{frame}"
        );
    }

    #[test]
    fn items() {
        use StreamedIdentifier::{Delete, Foreign, Malformed, Upsert};
        let id = ID.parse().unwrap();
        let upsert = Upsert { id, updated: None };
        let table = [
            ("{'conversation':{'id':'ID'}}", upsert),
            ("{'conversation':{'id':'ID'},'deleted':false}", upsert),
            ("{'conversation':{'id':'ID'},'deleted':null}", upsert),
            ("{'conversation':{'id':'ID'},'deleted':0}", upsert),
            ("{'conversation':{'id':'ID'},'deleted':''}", upsert),
            ("{'conversation':{'id':'ID'},'deleted':true}", Delete { id }),
            (
                "{'deleted':true,'conversation':{'id':'ID','reference':{'name':'x'}}}",
                Delete { id },
            ),
            ("{'conversation':{'id':'ID'},'deleted':1}", Delete { id }),
            (
                "{'conversation':{'id':'ID'},'deleted':'yes'}",
                Delete { id },
            ),
            (
                "{'conversation':{'id':'ID'},'deleted':{'value':'x'}}",
                Delete { id },
            ),
            (
                "{'conversation':{'id':'ID'},'updated':{'value':'1970-01-01T00:00:01Z'}}",
                Upsert {
                    id,
                    updated: Some(1_000_000),
                },
            ),
            ("{'conversation':{'id':'ID'},'updated':'soon'}", upsert),
            ("{'conversation':{'id':'ID'},'updated':1e999}", upsert),
            (
                "{'conversation':{'id':'ID','reference':{'name':'\\ud800'}}}",
                upsert,
            ),
            ("{'asset':{'id':'ID'}}", Foreign),
            (
                "{'asset':{'id':'ID'},'conversation':null,'deleted':true}",
                Foreign,
            ),
            ("{'somethingNew':'x'}", Foreign),
            ("{'conversation':{'id':'not an id'}}", Malformed),
            ("{'conversation':{'id':7}}", Malformed),
            ("{'conversation':{}}", Malformed),
            ("{'conversation':'ID'}", Malformed),
            ("{'deleted':true}", Malformed),
            ("{'asset':null}", Malformed),
            ("{}", Malformed),
            ("null", Malformed),
            ("7", Malformed),
            ("'ID'", Malformed),
            ("[[]]", Malformed),
        ];
        for (item, expected) in table {
            check(item, expected);
        }
    }

    #[test]
    fn malformed_frames() {
        for frame in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            r#"{"iterable":null}"#,
            r#"{"iterable":{}}"#,
            "<html>",
            "\u{0}",
        ] {
            assert_eq!(streamed_identifiers(frame.as_bytes()), None, "{frame}");
        }
        assert_eq!(streamed_identifiers(br#"{"iterable":[]}"#), Some(vec![]));
    }
}
