//! Messages. Each belongs to one conversation and is deleted with it.

use serde_json::{Map, Value};

use super::seed::Seed;
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New},
};

/// Creates a message from a `SeededConversationMessage` that names its conversation.
pub(crate) fn create(change: &mut Change<'_>, seed: Value) -> Result<Link, Failure> {
    let mut seed = Seed::object(seed, "body")?;
    let id = seed
        .take_reference("conversation")?
        .ok_or_else(|| Failure::invalid("`conversation` is required."))?;
    let conversation = store::link(change.db, Kind::Conversation, &id)?;
    let message = add(change, &conversation, seed)?;
    change.touch(&conversation)?;
    Ok(message)
}

/// Adds a message at the end of `conversation`.
pub(crate) fn add(
    change: &mut Change<'_>,
    conversation: &Link,
    mut seed: Seed,
) -> Result<Link, Failure> {
    seed.required("role")?;
    if !seed.map().get("fragment").is_some_and(Value::is_object) {
        return Err(Failure::invalid("`fragment` is required."));
    }
    seed.take("conversation");
    let text = raw(seed.map()).unwrap_or_default().to_owned();
    change.insert(New {
        kind: Kind::Message,
        owner: Some(conversation.seq),
        key: None,
        text: &text,
        doc: seed.into_map(),
    })
}

/// The text of a message.
pub(crate) fn raw(message: &Map<String, Value>) -> Option<&str> {
    message.get("fragment")?.get("string")?.get("raw")?.as_str()
}
