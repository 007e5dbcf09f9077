//! Conversations and the status as clients and users read them.

use super::reference::CONVERSATION;
use crate::index::{ConversationRef, Ties, UNNAMED};
pub(crate) use crate::json::time::rfc3339;
use crate::lsp::state::session::Session;
use crate::markdown;
use crate::pieces::Role;
use crate::sync::State;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// The ConversationItem of `docs/protocol.md`.
pub(crate) fn conversation_item(one: &ConversationRef<'_>, ties: &Ties) -> Value {
    let files = files_of(one.anchors, ties).into_iter();
    let files = files.filter_map(|path| url::Url::from_file_path(path).ok());
    let mut files: Vec<String> = files.map(String::from).collect();
    files.sort_unstable();
    files.dedup();
    let mut item = json!({
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
    });
    if one.answering.is_some() {
        item["answering"] = true.into();
    }
    item
}

/// The paths of the files that these anchors name, sorted.
pub(crate) fn files_of(anchors: &[Uuid], ties: &Ties) -> Vec<String> {
    let anchors = anchors.iter().filter_map(|id| ties.anchor(*id));
    let mut files: Vec<String> = anchors.flat_map(|anchor| anchor.paths.clone()).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// The URI of a conversation's document.
pub(crate) fn conversation_uri(id: Uuid) -> String {
    format!("{CONVERSATION}:/{id}.md")
}

/// The current Status of `docs/protocol.md`.
pub(crate) fn status_object(session: &Session) -> Value {
    let status = session.status();
    let conversations = session.reader().snapshot().len();
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

/// A name for a line of plain text, like [`markdown::label`]. Never empty, and without `](`, which VS Code
/// turns into links in its messages, even to commands.
pub(crate) fn label(name: &str, most: usize) -> String {
    let text = markdown::label(name, most).replace("](", "] (");
    match text.trim() {
        "" => UNNAMED.to_owned(),
        _ => text,
    }
}

/// The same in a sentence, isolated so that a right-to-left name does not reorder the words beside it.
pub(crate) fn quoted(name: &str, most: usize) -> String {
    format!("“{}”", markdown::isolated(&label(name, most)))
}

/// The rough age of a time in microseconds: `just now`, `5 minutes ago`, `3 days ago`.
pub(crate) fn ago(micros: i64) -> String {
    let now = Timestamp::now().as_microsecond();
    age(now.saturating_sub(micros) / 1_000_000)
}

fn age(seconds: i64) -> String {
    let units = [
        (365 * 86_400, "year"),
        (30 * 86_400, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
    ];
    let unit = units.iter().find(|(length, _)| seconds >= *length);
    match unit.map(|(length, name)| (seconds / length, name)) {
        None => "just now".to_owned(),
        Some((1, name)) => format!("1 {name} ago"),
        Some((count, name)) => format!("{count} {name}s ago"),
    }
}

/// `0 messages`, `1 message`, `2 messages`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// A role as users read it.
pub(crate) fn role(role: &Role) -> String {
    match role {
        Role::User => "You".to_owned(),
        Role::Assistant => "Assistant".to_owned(),
        Role::System => "System".to_owned(),
        Role::Other(other) => other.to_lowercase().replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let check = |seconds: i64, expected: &str| assert_eq!(age(seconds), expected);
        check(-5, "just now");
        check(59, "just now");
        check(60, "1 minute ago");
        check(7_199, "1 hour ago");
        check(3 * 86_400, "3 days ago");
        check(800 * 86_400, "2 years ago");
    }
}
