//! Builds objects in wire format from the data of other tools.

use serde_json::{Value, json};
use uuid::Uuid;

use super::out::{Out, Yield};
use crate::json::time::iso;
use crate::service::Kind;

/// Largest text of a message, in bytes: an import holds several copies of it at a time.
const MAX_TEXT: usize = 10 << 20;
/// Longest name made from a message, in characters.
const NAME: usize = 80;

/// A conversation. Times are microseconds since the Unix epoch.
pub(super) struct Conversation<'a> {
    pub(super) id: Uuid,
    /// Its id in the source, if that is not a UUID.
    pub(super) source_id: &'a str,
    pub(super) name: &'a str,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) application: Value,
    /// In order.
    pub(super) messages: Vec<Uuid>,
    pub(super) assets: Vec<Uuid>,
    pub(super) anchors: Vec<Uuid>,
}

impl Conversation<'_> {
    pub(super) fn object(self) -> Value {
        let mut object = json!({
            "id": self.id,
            "name": self.name,
            "type": "COPILOT",
            "created": time(self.created),
            "updated": time(self.updated),
            "application": self.application,
            "messages": wrapper(&self.messages),
        });
        for (key, ids) in [("assets", &self.assets), ("anchors", &self.anchors)] {
            if !ids.is_empty() {
                object[key] = wrapper(ids);
            }
        }
        if Uuid::try_parse(self.source_id).is_err() {
            object["sourceId"] = self.source_id.into();
        }
        object
    }
}

/// One message.
pub(super) fn message(id: Uuid, conversation: Uuid, role: &str, time: i64, text: String) -> Value {
    json!({
        "id": id,
        "conversation": {"id": conversation},
        "role": role,
        "created": self::time(time),
        "updated": self::time(time),
        "fragment": {"string": {"raw": text}},
    })
}

/// Yields a message, unless its text is too large.
pub(super) fn put_message(out: &Out, id: Uuid, message: Value) -> Yield {
    let text = message
        .pointer("/fragment/string/raw")
        .and_then(Value::as_str);
    match text.is_some_and(|text| text.len() > MAX_TEXT) {
        true => out.unreadable(
            Kind::Message,
            format!("message {id}"),
            "it is larger than 10 MiB",
        ),
        false => out.put(Kind::Message, message),
    }
}

/// A text with a name, such as an attachment.
pub(super) fn asset(id: Uuid, name: &str, time: i64, text: &str) -> Value {
    let mut fragment = json!({"string": {"raw": text}});
    let mut classification = json!({});
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let short = |extension: &&str| {
        (1..=16).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if let Some(extension) = extension.filter(short) {
        let extension = extension.to_ascii_lowercase();
        fragment["metadata"] = json!({"ext": extension});
        classification["specific"] = extension.into();
    }
    let format = Uuid::new_v5(&id, b"format");
    json!({
        "id": id,
        "name": name,
        "created": self::time(time),
        "updated": self::time(time),
        "formats": {"iterable": [{
            "id": format,
            "classification": classification,
            "fragment": fragment,
        }]},
        "original": {"id": format},
    })
}

/// A directory, perhaps of another machine. Its times are constant, so that it is the same in every import.
pub(super) fn directory(id: Uuid, path: &str) -> Value {
    let name = path.rsplit(['/', '\\']).find(|part| !part.is_empty());
    let platform = match path.as_bytes() {
        [b'A'..=b'Z' | b'a'..=b'z', b':', ..] | [b'\\', ..] => "WINDOWS",
        [b'/', b'U', b's', b'e', b'r', b's', b'/', ..] => "MACOS",
        [b'/', ..] => "LINUX",
        _ => "UNKNOWN",
    };
    let point = Uuid::new_v5(&id, b"point");
    json!({
        "id": id,
        "type": "DIRECTORY",
        "name": name.unwrap_or(path),
        "watch": false,
        "created": time(0),
        "updated": time(0),
        "points": {"iterable": [{
            "id": point,
            "fullpath": path,
            "platform": platform,
            "verified": false,
        }]},
    })
}

/// The parts as one text; a single one, which may be large, is not copied.
pub(super) fn joined(mut parts: Vec<String>, between: &str) -> String {
    match parts.len() {
        1 => parts.pop().unwrap_or_default(),
        _ => parts.join(between),
    }
}

/// A name for a conversation without one: the first line of the first question.
pub(super) fn name_from(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.unwrap_or_default();
    match line.char_indices().nth(NAME) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
    }
}

pub(super) fn wrapper(ids: &[Uuid]) -> Value {
    let ids: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
    json!({"iterable": ids})
}

fn time(micros: i64) -> Value {
    json!({"value": iso(micros)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line() {
        assert_eq!(name_from("\n  How?  \nmore"), "How?");
        assert_eq!(name_from(" \n "), "");
        assert_eq!(name_from(&"ä".repeat(80)), "ä".repeat(80));
        assert_eq!(name_from(&"ä".repeat(81)), format!("{}…", "ä".repeat(80)));
    }

    #[test]
    fn a_directory_is_named_by_its_last_part() {
        for (path, name, platform) in [
            ("/home/me/project", "project", "LINUX"),
            ("/Users/me/p/", "p", "MACOS"),
            ("C:\\work\\p", "p", "WINDOWS"),
            ("\\\\host\\share", "share", "WINDOWS"),
            ("/", "/", "LINUX"),
        ] {
            let anchor = directory(Uuid::nil(), path);
            assert_eq!(anchor["name"], name);
            let point = &anchor["points"]["iterable"][0];
            assert_eq!(
                (&point["fullpath"], &point["platform"]),
                (&path.into(), &platform.into())
            );
        }
    }
}
