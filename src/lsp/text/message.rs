//! Messages as users read them.

use super::item::{counted, role};
use crate::markdown::{Clock, Part, label};
use crate::pieces::{EXTRACT_SIGNED, Message, OWN, Role, is_extract};
use serde_json::Value;

/// Characters that are shown of the name of a model or of an attached text.
const NAME: usize = 60;

/// A message as a section of a document.
pub(crate) fn part<'a>(message: &'a Message, clock: &Clock) -> Part<'a> {
    Part {
        role: signed(message),
        time: message
            .created
            .map_or_else(String::new, |at| clock.short(at)),
        text: message.text.as_deref(),
        asks: message.role == Role::User,
        aside: aside(&message.raw),
    }
}

/// Who wrote a message, as a person reads it.
pub(crate) fn signed(message: &Message) -> String {
    match is_extract(&message.raw) {
        true => EXTRACT_SIGNED.to_owned(),
        false => role(&message.role),
    }
}

/// Whether an answer is being written in a conversation, as the service said when it was read.
pub(crate) fn is_answering(conversation: &Value) -> bool {
    conversation[OWN]["answering"].is_object()
}

/// The section for an answer that has no message yet.
pub(crate) fn awaited(conversation: &Value) -> Option<Part<'static>> {
    let answering = &conversation[OWN]["answering"];
    if !answering.is_object() || answering["message"].is_string() {
        return None;
    }
    let aside = match answering["status"].as_str() {
        Some("thinking") => "thinking…",
        Some("writing") => "writing…",
        _ => "waiting for the model…",
    };
    Some(Part {
        role: role(&Role::Assistant),
        text: Some(""),
        aside: aside.into(),
        ..Part::default()
    })
}

/// The line in emphasis below an answer: how it ended, the model, tokens, what was not sent. Empty if nothing is
/// known.
pub(crate) fn aside(raw: &Value) -> String {
    let own = &raw[OWN];
    let mut facts: Vec<String> = Vec::new();
    let state = own["state"].as_str();
    let state = match state {
        Some("writing") => Some("writing…"),
        Some("stopped") => Some("stopped"),
        Some("interrupted") => {
            Some("interrupted: pieces-lsp stopped before the answer was complete")
        }
        Some("unanswered") => Some("not answered"),
        _ => match own["stop"].as_str() {
            Some("length") => Some("cut at the model's length limit"),
            Some("incomplete") => Some("incomplete"),
            _ => None,
        },
    };
    facts.extend(state.map(str::to_owned));
    let text = |value: &Value| {
        let text = label(value.as_str()?, NAME);
        Some(text).filter(|text| !text.is_empty())
    };
    facts.extend(text(&own["model"]));
    if let (Some(prompt), Some(completion)) = (
        own["usage"]["prompt"].as_u64(),
        own["usage"]["completion"].as_u64(),
    ) {
        facts.push(format!(
            "{} read, {completion} written",
            counted(usize::try_from(prompt).unwrap_or(usize::MAX), "token")
        ));
    }
    let context = own["context"].as_array().map_or(&[][..], Vec::as_slice);
    facts.extend(context.iter().filter_map(omitted));
    facts.extend(text(&own["note"]));
    facts.join(" · ")
}

/// The part of an attached text that was not sent to the model.
fn omitted(item: &Value) -> Option<String> {
    let (bytes, sent) = (item["bytes"].as_u64()?, item["sent"].as_u64()?);
    if sent >= bytes {
        return None;
    }
    let name = match item["kind"].as_str() {
        Some("messages") => "the earlier messages".to_owned(),
        _ => label(item["name"].as_str().unwrap_or("a file"), NAME),
    };
    Some(match sent {
        0 => format!("without {name}"),
        _ => format!("with only a part of {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_below_an_answer_says_what_is_known() {
        let check = |own: Value, expected: &str| {
            assert_eq!(aside(&json!({ "pieces_lsp": own })), expected, "{own}");
        };
        check(Value::Null, "");
        check(json!({"named": [{"path": "/a"}]}), "");
        check(json!({"state": "writing"}), "writing…");
        check(json!({"state": "unanswered"}), "not answered");
        check(json!({"model": "smollm2", "stop": "end"}), "smollm2");
        check(
            json!({"state": "stopped", "stop": "cancelled", "model": "a\u{202e}b",
                "usage": {"prompt": 512, "completion": 1}}),
            "stopped · ab · 512 tokens read, 1 written",
        );
        check(
            json!({"model": "m", "stop": "length", "context": [
                {"kind": "selection", "name": "a.rs", "bytes": 10, "sent": 10},
                {"kind": "file", "name": "b.rs", "bytes": 10, "sent": 3},
                {"kind": "file", "name": "c.rs", "bytes": 10, "sent": 0},
                {"kind": "messages", "name": "x", "bytes": 900, "sent": 100}],
                "note": "The model ended early."}),
            "cut at the model's length limit · m · with only a part of b.rs · without c.rs \
             · with only a part of the earlier messages · The model ended early.",
        );
        check(
            json!({"state": 7, "model": [], "usage": 1, "context": {}}),
            "",
        );
    }

    #[test]
    fn an_extract_is_not_signed_by_a_model() {
        let message = |own: Value| Message {
            id: uuid::Uuid::nil(),
            role: Role::Assistant,
            created: None,
            text: None,
            raw: json!({ "pieces_lsp": own }),
        };
        assert_eq!(
            signed(&message(json!({"summary": "extract"}))),
            "Summary (no model)"
        );
        assert_eq!(signed(&message(json!({"model": "m"}))), "Assistant");
        assert_eq!(signed(&message(Value::Null)), "Assistant");
    }

    #[test]
    fn an_answer_without_a_message_has_a_section() {
        let status = |answering: Value| {
            let conversation = json!({"pieces_lsp": {"answering": answering}});
            awaited(&conversation).map(|part| part.aside)
        };
        let waiting = Some("waiting for the model…".to_owned());
        assert_eq!(
            status(json!({"message": null, "status": "waiting"})),
            waiting
        );
        let thinking = Some("thinking…".to_owned());
        assert_eq!(
            status(json!({"message": null, "status": "thinking"})),
            thinking
        );
        assert_eq!(status(json!({"message": "7e", "status": "writing"})), None);
        assert_eq!(status(Value::Null), None);
    }
}
