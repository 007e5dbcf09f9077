//! Conversations and the status as clients see them.

use super::reference::CONVERSATION;
use crate::index::{ConversationRef, Ties};
use crate::sync::{State, Status};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// A ConversationItem of the protocol.
pub(super) fn conversation_item(one: &ConversationRef<'_>, ties: &Ties) -> Value {
    let anchors = one.anchors.iter().filter_map(|id| ties.anchor(*id));
    let paths = anchors.flat_map(|anchor| anchor.paths.clone());
    let mut files: Vec<String> = paths
        .filter_map(|path| url::Url::from_file_path(path).ok())
        .map(String::from)
        .collect();
    files.sort_unstable();
    files.dedup();
    json!({
        "id": one.id,
        "name": one.title(),
        "created": rfc3339(one.created),
        "updated": rfc3339(one.updated),
        "favorited": one.favorited,
        "messages": one.messages,
        "assets": one.assets,
        "files": files,
        "application": one.application,
        "uri": conversation_uri(one.id),
    })
}

/// The URI of a conversation's document.
pub(super) fn conversation_uri(id: Uuid) -> String {
    format!("{CONVERSATION}:/{id}.md")
}

/// Microseconds since the Unix epoch as RFC 3339 in UTC.
pub(super) fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros)
        .unwrap_or_default()
        .to_string()
}

/// A Status of the protocol.
pub(super) fn status_object(status: &Status, conversations: usize) -> Value {
    let state = match status.state {
        State::Connecting => "connecting",
        State::Syncing => "syncing",
        State::Live => "live",
        State::Offline => "offline",
    };
    let since = Timestamp::try_from(status.since).unwrap_or_default();
    let mut object = json!({
        "state": state,
        "backend": status.backend.as_str(),
        "url": status.url,
        "version": status.version,
        "conversations": conversations,
        "since": since.to_string(),
    });
    if let Some(error) = &status.error {
        object["error"] = error.as_str().into();
    }
    object
}

/// A name for a line of plain text: no control or direction characters, no line breaks, and short.
pub(super) fn label(name: &str, most: usize) -> String {
    let shown = |c: &char| !c.is_control() && !is_direction(*c);
    let spaced = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text: String = spaced.chars().filter(shown).take(most + 1).collect();
    if text.chars().count() > most {
        text.pop();
        text.push('…');
    }
    text
}

/// Characters that reorder or hide the text around them.
pub(super) fn is_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let check = |name: &str, expected: &str| assert_eq!(label(name, 8), expected, "{name:?}");
        check("short", "short");
        check("exactly8", "exactly8");
        check("more than 8", "more tha…");
        check(" a\n\tb\u{0} ", "a b");
        check("\u{202e}evil", "evil");
    }
}
