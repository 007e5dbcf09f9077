//! Ids of imported objects: a UUID is kept, any other id becomes a UUIDv5 that depends only on the source.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::service::Kind;

/// UUIDv5 of `https://github.com/pieces-lsp/pieces-lsp#import` in the URL namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x70c5_c0cb_ba21_56ed_b92b_50ab_06cf_3bec);

/// The id of an object whose source calls it `id`.
pub(in crate::transfer) fn id_of(source: &str, kind: &str, id: &str) -> Uuid {
    Uuid::try_parse(id).unwrap_or_else(|_| made(source, kind, id))
}

/// An id for an object without one, or whose id is not unique.
pub(super) fn made(source: &str, kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{source}/{kind}/{name}").as_bytes())
}

/// The id of a message. An id that is not a UUID, or that another conversation has too, is made unique by the
/// conversation: a copy of a conversation may keep the ids of its messages.
pub(super) fn message_id(
    source: &str,
    conversation: &str,
    id: &str,
    seen: &mut HashSet<Uuid>,
) -> Uuid {
    match Uuid::try_parse(id) {
        Ok(id) if seen.insert(id) => id,
        _ => made(source, "message", &format!("{conversation}/{id}")),
    }
}

/// Makes the id of an object in wire format a UUID, and its references with it; the original stays as
/// `sourceId`.
pub(in crate::transfer) fn adopt(source: &str, kind: Kind, object: &mut Value) {
    let Value::Object(object) = object else {
        return;
    };
    if let Some(id) = foreign(object.get("id")) {
        object.insert("id".to_owned(), json!(made(source, kind.noun(), &id)));
        object.insert("sourceId".to_owned(), id.into());
    }
    for kind in Kind::ROUTED {
        if let Some(Value::Object(one)) = object.get_mut(kind.noun()) {
            adopt_reference(source, kind, one);
        }
        let Some(Value::Object(many)) = object.get_mut(kind.plural()) else {
            continue;
        };
        if let Some(Value::Array(listed)) = many.get_mut("iterable") {
            for one in listed.iter_mut().filter_map(Value::as_object_mut) {
                adopt_reference(source, kind, one);
            }
        }
        if let Some(Value::Object(indices)) = many.get_mut("indices")
            && indices.keys().any(|id| Uuid::try_parse(id).is_err())
        {
            *indices = std::mem::take(indices)
                .into_iter()
                .map(|(id, at)| (id_of(source, kind.noun(), &id).to_string(), at))
                .collect();
        }
    }
}

fn adopt_reference(source: &str, kind: Kind, reference: &mut Map<String, Value>) {
    if let Some(id) = foreign(reference.get("id")) {
        reference.insert("id".to_owned(), json!(made(source, kind.noun(), &id)));
    }
}

/// An id that is not a UUID; it may be a number.
fn foreign(id: Option<&Value>) -> Option<String> {
    match id? {
        Value::String(id) if id.is_empty() || Uuid::try_parse(id).is_ok() => None,
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_depend_on_their_source_only() {
        let url = "https://github.com/pieces-lsp/pieces-lsp#import";
        assert_eq!(
            NAMESPACE,
            Uuid::new_v5(&Uuid::NAMESPACE_URL, url.as_bytes())
        );
        for (source, kind, id, expected) in [
            (
                "claude-code",
                "session",
                "1b2c3d4e-0000-4000-8000-000000000001",
                "211d55e2-7f13-5b12-97b0-90f9705491f6",
            ),
            (
                "chatgpt",
                "conversation",
                "abc",
                "9b80d75a-17a8-5e1d-90e4-2ace697548fa",
            ),
        ] {
            assert_eq!(made(source, kind, id).to_string(), expected);
        }
        let id = "9b80d75a-17a8-5e1d-90e4-2ace697548fa";
        assert_eq!(id_of("chatgpt", "conversation", "abc").to_string(), id);
        assert_eq!(id_of("chatgpt", "conversation", id).to_string(), id);
    }

    #[test]
    fn references_follow_the_ids_that_they_name() {
        let kept = Uuid::from_u128(7).to_string();
        let mut conversation = json!({
            "id": "c", "assets": {"iterable": [{"id": 5}, {"id": kept}], "indices": {"5": 0, (&kept): 1}},
        });
        adopt("x", Kind::Conversation, &mut conversation);
        let id = made("x", "conversation", "c").to_string();
        let asset = made("x", "asset", "5").to_string();
        assert_eq!(
            conversation,
            json!({
                "id": id, "sourceId": "c",
                "assets": {"iterable": [{"id": asset}, {"id": kept}], "indices": {(&asset): 0, (&kept): 1}},
            })
        );
        let mut message = json!({"id": kept, "conversation": {"id": "c"}});
        adopt("x", Kind::Message, &mut message);
        assert_eq!(message, json!({"id": kept, "conversation": {"id": id}}));
        for mut odd in [json!(null), json!({"id": ""}), json!({"id": {}}), json!([])] {
            let before = odd.clone();
            adopt("x", Kind::Message, &mut odd);
            assert_eq!(odd, before);
        }
    }
}
