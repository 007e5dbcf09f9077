//! Compares parsed bodies with their JSON, and malformed items with their neighbours.

use super::super::stream;
use super::*;
use crate::json::plural::live_ids;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const ID: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";
const ASSET: &str = "7e000000-0000-4000-8000-000000000055";

pub(super) fn reference() -> Value {
    json!({"id": ID, "reference": {"name": "x"}})
}

pub(super) fn whole_anchor() -> Value {
    let point = json!({"id": ID, "reference": {"id": ID, "fullpath": "/home/u/a.rs"}});
    json!({"id": ID, "type": "FILE", "points": {"iterable": [point]},
        "assets": {"iterable": [{"id": ASSET}], "indices": {ASSET: 0}},
        "conversations": {"indices": {ID: 0}}, "updated": {"value": "2026-11-20T09:20:41.900Z"}})
}

pub(super) fn item() -> Value {
    json!({"conversation": reference(), "deleted": true, "updated": {"value": "2026-11-20T09:20:41Z"}})
}

/// A valid item, the malformed one, and another valid one.
fn between(one: &Value, odd: &[u8]) -> Vec<u8> {
    let one = one.to_string();
    [
        b"{\"iterable\":[",
        one.as_bytes(),
        b",",
        odd,
        b",",
        one.as_bytes(),
        b"]}",
    ]
    .concat()
}

fn is_json(text: &[u8]) -> bool {
    from_slice::<IgnoredAny>(text).is_ok()
}

/// Any JSON, as an anchor between others, loses at most itself.
pub(crate) fn an_odd_anchor_costs_no_other(odd: &[u8]) {
    if is_json(odd) {
        let one = whole_anchor();
        let whole = anchor(one.to_string().as_bytes()).ok().flatten();
        let read = anchors(&between(&one, odd))
            .ok()
            .flatten()
            .unwrap_or_default();
        assert!(matches!(read.len(), 2 | 3), "{read:?}");
        assert_eq!(
            (read.first(), read.last()),
            (whole.as_ref(), whole.as_ref())
        );
    }
}

/// Any JSON, as a reference between others, loses at most itself.
pub(crate) fn an_odd_reference_costs_no_other(odd: &[u8]) {
    if is_json(odd) {
        let read = identifiers(&between(&json!({"id": ASSET}), odd), true);
        let read = read.ok().flatten().unwrap_or_default();
        assert!(read.iter().any(|id| id.to_string() == ASSET), "{read:?}");
    }
}

/// Any JSON, as an item of a frame between others, loses at most itself.
pub(crate) fn an_odd_item_costs_no_other(odd: &[u8]) {
    if is_json(odd) {
        let read = streamed_identifiers(&between(&item(), odd)).unwrap_or_default();
        let id = ID.parse().unwrap_or_default();
        let whole = Some(&StreamedIdentifier::Delete { id });
        assert_eq!((read.len(), read.first(), read.last()), (3, whole, whole));
    }
}

/// All readers agree on what is JSON, and none panics.
pub(crate) fn all_agree_on_what_is_json(body: &[u8]) {
    let strict = streamed_identifiers(body);
    let read = [
        anchors(body).is_ok(),
        identifiers(body, false).is_ok(),
        created_from_asset(body).is_ok(),
        object_id(body).is_ok(),
    ];
    assert!(read == [true; 4] || read == [false; 4], "{read:?}");
    assert!(strict.is_none() || read[0]);
    let _ = (conversation(body), anchor(body));
}

fn uuid(value: &Value) -> Option<Uuid> {
    Uuid::parse_str(value.as_str()?).ok()
}

/// Objects in canonical form are read in full.
pub(crate) fn objects_are_what_is_in_them(body: &[u8]) {
    let Ok(object) = from_slice::<Value>(body) else {
        return;
    };
    // As it is written here, every key is there once.
    let body = object.to_string();
    let body = body.as_bytes();
    let id = uuid(&object["id"]);
    assert_eq!(object_id(body).ok(), Some(id));
    let created = uuid(&object["conversation"]["id"]);
    assert_eq!(created_from_asset(body).ok(), Some(created));
    if let Ok(Some(read)) = conversation(body) {
        assert_eq!(Some(read.id), id);
        assert_eq!(read.name.as_deref(), object["name"].as_str());
        assert_eq!(read.favorited, object["favorited"] == true);
        assert_eq!(
            read.updated,
            object["updated"]["value"].as_str().and_then(time::parse)
        );
        assert_eq!(
            read.application.as_deref(),
            object["application"]["name"].as_str()
        );
        assert_eq!(*read.assets, *live_ids(&object["assets"]));
        assert_eq!(*read.anchors, *live_ids(&object["anchors"]));
        assert!(read.messages as usize >= live_ids(&object["messages"]).len());
        assert!(
            read.anchor_paths
                .iter()
                .all(|(id, path)| read.anchors.contains(id) && !path.is_empty())
        );
    } else {
        assert_eq!(id, None);
    }
    if let Ok(Some(read)) = anchor(body) {
        assert_eq!(Some(read.id), id);
        assert_eq!(*read.assets, *live_ids(&object["assets"]));
        assert_eq!(read.conversations, live_ids(&object["conversations"]));
    } else {
        assert_eq!(id, None);
    }
}

/// The items of a frame by the rules for streams, written to be obviously correct.
pub(crate) fn frames_are_what_is_in_them(body: &[u8]) {
    let Ok(frame) = from_slice::<Value>(body) else {
        return;
    };
    let expected = frame["iterable"]
        .as_array()
        .map(|items| items.iter().map(slow).collect());
    let body = frame.to_string();
    assert_eq!(streamed_identifiers(body.as_bytes()), expected);
    stream::check::hands_on(body.as_bytes(), &expected);
}

fn slow(item: &Value) -> StreamedIdentifier {
    let known = ["conversation", "deleted", "updated", "schema"];
    let Value::Object(item) = item else {
        return StreamedIdentifier::Malformed;
    };
    let given = |name: &str| item.get(name).filter(|value| !value.is_null());
    let Some(conversation) = given("conversation") else {
        let foreign = item
            .iter()
            .any(|(key, value)| !known.contains(&&**key) && !value.is_null());
        return if foreign {
            StreamedIdentifier::Foreign
        } else {
            StreamedIdentifier::Malformed
        };
    };
    let deleted = given("deleted").is_some_and(|deleted| match deleted {
        Value::Null => false,
        Value::Bool(deleted) => *deleted,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    });
    let updated = given("updated").and_then(|updated| time::parse(updated["value"].as_str()?));
    match uuid(&conversation["id"]) {
        None => StreamedIdentifier::Malformed,
        Some(id) if deleted => StreamedIdentifier::Delete { id },
        Some(id) => StreamedIdentifier::Upsert { id, updated },
    }
}
