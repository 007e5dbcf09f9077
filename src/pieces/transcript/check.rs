//! Checks of messages and hits with any content.

use super::{Role, read_hit, read_message};
use crate::json;
use serde_json::Value;
use uuid::Uuid;

/// A message is readable if it has an id, and keeps its text; the same for a hit.
pub(crate) fn messages_are_what_is_in_them(body: &[u8]) {
    let Ok(object) = json::from_slice::<Value>(body) else {
        return;
    };
    let uuid = |value: &Value| value.as_str().and_then(|id| Uuid::parse_str(id).ok());
    let message = read_message(object.clone());
    assert_eq!(message.as_ref().map(|one| one.id), uuid(&object["id"]));
    if let Some(message) = message {
        let text = object["fragment"]["string"]["raw"].as_str();
        assert_eq!(message.text.as_deref(), text);
        let unknown =
            !["USER", "ASSISTANT", "SYSTEM"].contains(&object["role"].as_str().unwrap_or_default());
        assert_eq!(matches!(message.role, Role::Other(_)), unknown);
        assert_eq!(message.raw, object);
    }
    let hit = read_hit(&object).map(|hit| hit.conversation);
    let expected = uuid(&object["identifier"]).or_else(|| uuid(&object["conversation"]["id"]));
    assert_eq!(hit, expected);
}
