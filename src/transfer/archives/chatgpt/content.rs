//! Reads the text of a message of a ChatGPT export from its many kinds of content.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::objects;
use super::super::out::Out;
use crate::json::lenient::{Flag, List, Parsed, lenient_object};

lenient_object! {
    /// A message; all fields may be missing.
    struct Message {
        "id" => id: Parsed<String>,
        "author" => author: Author,
        "create_time" => created: Value,
        "recipient" => recipient: Parsed<String>,
        "content" => content: Content,
        "metadata" => metadata: Metadata,
    }
}

lenient_object! {
    struct Author { "role" => role: Parsed<String>, }
}

lenient_object! {
    struct Content {
        "content_type" => kind: Parsed<String>,
        "parts" => parts: List<Value>,
        "text" => text: Parsed<String>,
        "language" => language: Parsed<String>,
    }
}

lenient_object! {
    struct Metadata {
        "is_visually_hidden_from_conversation" => hidden: Flag,
        "attachments" => attachments: List<Attachment>,
    }
}

lenient_object! {
    struct Attachment {
        "id" => id: Parsed<String>,
        "name" => name: Parsed<String>,
    }
}

/// The role and text of a message.
pub(super) struct Said {
    pub(super) role: &'static str,
    pub(super) text: String,
}

impl Message {
    /// The role and text that the user saw; other content is counted in `out`.
    pub(super) fn said(&mut self, out: &mut Out) -> Option<Said> {
        let role = match self.author.role.0.as_deref() {
            Some("user") => "USER",
            Some("assistant") => "ASSISTANT",
            None => return None,
            Some(other) => {
                // Every conversation has hidden messages without text.
                if self.content.says_something() {
                    let is_tool = other == "tool";
                    out.left_out(
                        if is_tool {
                            "tool result"
                        } else {
                            "system message"
                        },
                        1,
                    );
                }
                return None;
            }
        };
        let kind = self.content.kind.0.as_deref().unwrap_or("text");
        let to_tool = self.recipient.0.as_deref().is_some_and(|to| to != "all");
        let left_out = match kind {
            "thoughts" | "reasoning_recap" => Some("thought"),
            "user_editable_context" | "model_editable_context" => Some("custom instruction"),
            "execution_output" | "system_error" | "tether_quote" | "tether_browsing_display" => {
                Some("tool result")
            }
            _ if to_tool => Some("tool call"),
            _ if self.metadata.hidden.0 => Some("hidden message"),
            _ => None,
        };
        if let Some(what) = left_out {
            out.left_out(what, 1);
            return None;
        }
        let text = match kind {
            "code" => self.content.code(),
            _ => self.text(out),
        };
        (!text.trim().is_empty()).then_some(Said { role, text })
    }

    /// The text, with a line for each image and file.
    fn text(&mut self, out: &mut Out) -> String {
        let attachments = self.metadata.attachments.0.take().unwrap_or_default();
        let names = names(&attachments);
        let mut parts: Vec<String> = Vec::new();
        let mut shown = HashSet::new();
        for part in self.content.parts.0.take().into_iter().flatten() {
            match part {
                Value::String(text) => parts.push(text),
                Value::Object(part) => {
                    let pointer = part.get("asset_pointer").and_then(Value::as_str);
                    let kind = part.get("content_type").and_then(Value::as_str);
                    match (pointer, part.get("text").and_then(Value::as_str)) {
                        (_, Some(text)) => parts.push(text.to_owned()),
                        (Some(pointer), None) if kind.is_none_or(|kind| kind.contains("image")) => {
                            let id = pointer.rsplit_once("://").map_or(pointer, |(_, id)| id);
                            let name = names.get(id).copied().unwrap_or(id);
                            parts.push(format!("[Image: {name}]"));
                            shown.insert(id.to_owned());
                        }
                        _ => out.left_out("part of an unknown kind", 1),
                    }
                }
                _ => {}
            }
        }
        if parts.is_empty() {
            parts.extend(self.content.text.0.take());
        }
        for attachment in &attachments {
            let is_shown = attachment
                .id
                .0
                .as_ref()
                .is_some_and(|id| shown.contains(id));
            if let Some(name) = attachment.name.0.as_ref().filter(|_| !is_shown) {
                parts.push(format!("[File: {name}]"));
            }
        }
        parts.retain(|part| !part.trim().is_empty());
        objects::joined(parts, "\n")
    }
}

/// The names of attachments by their ids; of equal ids the first one counts.
fn names(attachments: &[Attachment]) -> HashMap<&str, &str> {
    let mut seen = HashSet::new();
    let ids = attachments
        .iter()
        .filter_map(|one| Some((one.id.0.as_deref()?, one)));
    let first = ids.filter(|(id, _)| seen.insert(*id));
    first
        .filter_map(|(id, one)| Some((id, one.name.0.as_deref()?)))
        .collect()
}

impl Content {
    fn says_something(&self) -> bool {
        let is_text = |part: &Value| part.as_str().is_none_or(|text| !text.is_empty());
        self.parts.0.iter().flatten().any(is_text)
            || self.text.0.as_ref().is_some_and(|text| !text.is_empty())
    }

    /// The code in a fence longer than any in it.
    fn code(&self) -> String {
        let parts = self.parts.0.iter().flatten().filter_map(Value::as_str);
        let code = self
            .text
            .0
            .clone()
            .unwrap_or_else(|| parts.collect::<Vec<_>>().join("\n"));
        if code.trim().is_empty() {
            return String::new();
        }
        let language = self.language.0.as_deref().unwrap_or_default();
        let language = match language {
            "unknown" => "",
            known
                if known
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-#_.".contains(&b)) =>
            {
                known
            }
            _ => "",
        };
        let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        format!(
            "{fence}{language}\n{}\n{fence}",
            code.trim_end_matches('\n')
        )
    }
}
