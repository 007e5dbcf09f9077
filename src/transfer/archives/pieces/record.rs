//! The records that make up conversations.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::super::elements::{MAX_PARTS, has_too_many_parts};
use super::super::ids::{adopt, id_of};
use crate::json;
use crate::service::Kind;

/// Largest record that is read, in bytes.
pub(in crate::transfer::archives) const MAX_RECORD: usize = 10 << 20;
/// The source of ids that are not UUIDs.
const SOURCE: &str = "pieces";

/// The records that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::transfer::archives) enum Type {
    Website,
    Format,
    Asset,
    Point,
    Anchor,
    Conversation,
    Message,
    Annotation,
}

impl Type {
    pub(super) const ALL: [Self; 8] = [
        Self::Website,
        Self::Format,
        Self::Asset,
        Self::Point,
        Self::Anchor,
        Self::Conversation,
        Self::Message,
        Self::Annotation,
    ];

    /// Those that InkVault has: its objects are complete.
    pub(in crate::transfer::archives) const ALL_STORED: [Self; 6] = [
        Self::Website,
        Self::Asset,
        Self::Anchor,
        Self::Conversation,
        Self::Message,
        Self::Annotation,
    ];

    /// The exporter's name for it, which is part of the names of its files.
    pub(super) fn material(self) -> &'static str {
        match self {
            Self::Website => "WEBSITES",
            Self::Format => "FORMATS",
            Self::Asset => "ASSETS",
            Self::Point => "ANCHOR_POINTS",
            Self::Anchor => "ANCHORS",
            Self::Conversation => "CONVERSATIONS",
            Self::Message => "CONVERSATION_MESSAGES",
            Self::Annotation => "ANNOTATIONS",
        }
    }

    /// Its folder below `data` or `raw`.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Website => "websites",
            Self::Format => "formats",
            Self::Asset => "assets",
            Self::Point => "anchor_points",
            Self::Anchor => "anchors",
            Self::Conversation => "conversations",
            Self::Message => "messages",
            Self::Annotation => "annotations",
        }
    }

    /// The kind as which it is counted.
    pub(in crate::transfer::archives) fn kind(self) -> Kind {
        match self {
            Self::Website => Kind::Website,
            Self::Format | Self::Asset => Kind::Asset,
            Self::Point | Self::Anchor => Kind::Anchor,
            Self::Conversation => Kind::Conversation,
            Self::Message => Kind::Message,
            Self::Annotation => Kind::Annotation,
        }
    }

    /// The name in ids and sentences, in the singular.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Point => "anchor point",
            other => other.kind().noun(),
        }
    }
}

/// A source of records, which are read by number in a stable order.
pub(in crate::transfer::archives) trait Records {
    fn count(&self, of: Type) -> usize;

    /// Whether there may be one with this id, although it cannot be read.
    fn may_have(&self, _of: Type, _id: &str) -> bool {
        false
    }

    /// Reads one.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn read(&mut self, of: Type, number: usize) -> Result<Record, Bad>;
}

/// One record.
#[derive(Debug)]
pub(in crate::transfer::archives) struct Record {
    pub(super) id: Uuid,
    pub(super) object: Map<String, Value>,
    /// Whether the exporter replaced a part of it.
    pub(super) redacted: bool,
}

/// A record that cannot be used.
#[derive(Debug)]
pub(in crate::transfer::archives) struct Bad {
    /// The name of its file, or its id.
    pub(super) place: String,
    pub(super) why: String,
}

impl Bad {
    pub(in crate::transfer::archives) fn new(
        place: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            why: why.into(),
        }
    }
}

impl Record {
    /// Reads the text of a record; also returns its id as written.
    ///
    /// # Errors
    /// The reason, as a part of a sentence.
    pub(in crate::transfer::archives) fn parse(
        of: Type,
        text: &[u8],
    ) -> Result<(Self, String), &'static str> {
        if std::str::from_utf8(text).is_err() {
            return Err("it is not UTF-8");
        }
        const { assert!(MAX_PARTS == 600_000 && MAX_RECORD == 10 << 20) };
        if text.len() > MAX_RECORD {
            return Err("it is larger than 10 MiB");
        }
        if has_too_many_parts(text) {
            return Err("it has more than 600,000 parts");
        }
        let mut value: Value = json::from_slice(text).map_err(|error| {
            match error.to_string().starts_with("recursion limit") {
                true => "it is nested too deeply",
                false => "it is not JSON",
            }
        })?;
        if !value.is_object() {
            return Err("it is not a JSON object");
        }
        let written = value
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if written.is_empty() {
            return Err("it has no usable id");
        }
        if of.kind().noun() == of.noun() {
            adopt(SOURCE, of.kind(), &mut value);
        }
        let Value::Object(object) = value else {
            return Err("it is not a JSON object");
        };
        let record = Self {
            id: named(of, &written),
            object,
            redacted: is_redacted(text),
        };
        Ok((record, written))
    }

    /// The id in a field that refers to one object.
    pub(super) fn reference(&self, field: &str, of: Type) -> Option<Uuid> {
        reference(self.object.get(field)?, of)
    }
}

/// The id that an object of the archive has here.
pub(super) fn named(of: Type, written: &str) -> Uuid {
    id_of(SOURCE, of.noun(), written)
}

/// The id of a reference.
pub(super) fn reference(value: &Value, of: Type) -> Option<Uuid> {
    let id = value.get("id")?.as_str().filter(|id| !id.is_empty())?;
    Some(named(of, id))
}

/// The name of a record's file, without `.json`.
pub(super) fn file_name(of: Type, id: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(of.material());
    hash.update([0]);
    hash.update(id);
    hash.finalize().into()
}

/// Whether the exporter left a marker in a text.
pub(super) fn is_redacted(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'[') {
        rest = &rest[at + 1..];
        if rest.starts_with(b"REDACTED:") || rest.starts_with(b"WITHHELD:") {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_the_hash_of_type_and_id() {
        for (of, id, expected) in [
            (
                Type::Conversation,
                "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10",
                "e89ceb8412bd83574bfdeec9d1e0a62d6b338fa7101f75dbd6520cb689a217bd",
            ),
            (
                Type::Message,
                "3c1d8a52-6f0e-4b7a-9a41-5d2f8e7c0b01",
                "3156c46f1b0f04b5e7b8d66af3b3a6babed249d6a2d1dc4293d9590e435a7695",
            ),
            (
                Type::Point,
                "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5e",
                "a8dc4bbf902401cd7abc41e1d86d138220c6f2088805d811d6c81981cf16f1a9",
            ),
        ] {
            let name: String = file_name(of, id)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn a_bad_record_says_why() {
        let deep = "[".repeat(10_000);
        let many = format!("{{\"id\":\"x\",\"a\":[{}0]}}", "0,".repeat(MAX_PARTS));
        let large = format!("{{\"id\":\"x\",\"a\":\"{}\"}}", "x".repeat(MAX_RECORD));
        let table: &[(&[u8], &str)] = &[
            (b"{", "it is not JSON"),
            (b"", "it is not JSON"),
            (b"[]", "it is not a JSON object"),
            (b"{}", "it has no usable id"),
            (b"{\"id\":5}", "it has no usable id"),
            (b"{\"id\":\"\xff\"}", "it is not UTF-8"),
            (deep.as_bytes(), "it is nested too deeply"),
            (many.as_bytes(), "it has more than 600,000 parts"),
            (large.as_bytes(), "it is larger than 10 MiB"),
        ];
        for (text, why) in table {
            assert_eq!(Record::parse(Type::Asset, text).unwrap_err(), *why);
        }
        let twice = b"{\"id\":\"a\",\"name\":\"1\",\"name\":\"2\",\"id\":\"b\"}";
        let (record, id) = Record::parse(Type::Asset, twice).unwrap();
        assert_eq!(
            (&*id, &record.object["name"]),
            ("b", &"2".into()),
            "the last one wins"
        );
        assert_eq!(record.object["id"], record.id.to_string());
        assert_eq!(record.object["sourceId"], "b");
    }

    #[test]
    fn markers_are_found() {
        assert!(is_redacted(b"x [[REDACTED:SECRET]"));
        assert!(is_redacted(b"[WITHHELD:DATA_URL]"));
        assert!(!is_redacted(b"[REDACTED] [WITHHELD"));
    }
}
