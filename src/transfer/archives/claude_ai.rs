//! The data export of Claude.ai: an array of conversations with their messages in order.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::application::application;
use super::found::Found;
use super::ids::{id_of, made, message_id};
use super::listed::Listed;
use super::objects::{self, Conversation, name_from, put_message};
use super::out::{Out, Yield};
use super::place::Place;
use super::{Look, Reader};
use crate::json;
use crate::json::lenient::{List, Parsed, lenient_object};
use crate::service::Kind;

const SOURCE: &str = "claude-ai";

/// Recognises the zip as downloaded, its directory, or its `conversations.json`.
pub(super) fn look(place: &mut Place) -> Look {
    let listed = Listed::look(place, "chat_messages")?;
    Ok(listed.map(|listed| {
        let seen = HashSet::new();
        Box::new(ClaudeAi { listed, seen }) as Box<dyn Reader>
    }))
}

struct ClaudeAi {
    listed: Listed,
    /// Messages already yielded.
    seen: HashSet<Uuid>,
}

impl Reader for ClaudeAi {
    fn found(&self) -> Found {
        let found = Found::new("a Claude.ai export").of(self.listed.date.clone());
        found.with(self.listed.count, "conversation")
    }

    fn read(&mut self, out: &mut Out) -> Yield {
        let Self { listed, seen } = self;
        listed.each(out, "it is not JSON", |exported: Exported, out, place| {
            exported.put(out, place, seen)
        })
    }
}

lenient_object! {
    /// One conversation of the export.
    struct Exported {
        "uuid" => id: Parsed<String>,
        "name" => name: Parsed<String>,
        "created_at" => created: Parsed<String>,
        "updated_at" => updated: Parsed<String>,
        "chat_messages" => messages: List<Message>,
        "current_leaf_message_uuid" => leaf: Parsed<String>,
    }
}

lenient_object! {
    struct Message {
        "uuid" => id: Parsed<String>,
        "parent_message_uuid" => parent: Parsed<String>,
        "sender" => sender: Parsed<String>,
        "text" => text: Parsed<String>,
        "content" => content: List<Block>,
        "created_at" => created: Parsed<String>,
        "attachments" => attachments: List<Attachment>,
        "files" => files: List<Attachment>,
    }
}

lenient_object! {
    struct Block {
        "type" => kind: Parsed<String>,
        "text" => text: Parsed<String>,
    }
}

lenient_object! {
    struct Attachment {
        "file_name" => name: Parsed<String>,
        "extracted_content" => text: Parsed<String>,
    }
}

/// A message as it is imported.
struct Turn {
    id: Uuid,
    role: &'static str,
    time: i64,
    text: String,
}

/// What is imported of the messages of a conversation.
struct Content<'a> {
    /// The id of the conversation in the export.
    source_id: &'a str,
    seen: &'a mut HashSet<Uuid>,
    turns: Vec<Turn>,
    assets: Vec<Uuid>,
}

impl Content<'_> {
    /// Adds the message at this place of its conversation, and its attachments as assets.
    fn add(&mut self, at: usize, mut message: Message, time: i64, out: &mut Out) -> Yield {
        let role = match message.sender.0.as_deref() {
            Some("human") => "USER",
            Some("assistant") => "ASSISTANT",
            Some(_) | None => {
                out.left_out("message of an unknown sender", 1);
                return Ok(());
            }
        };
        let own = message.id.0.clone();
        let own = own.unwrap_or_else(|| format!("{}/{at}", self.source_id));
        let text = message.text(out);
        for (number, attachment) in message.attachments.0.iter().flatten().enumerate() {
            let Some(text) = attachment.text.0.as_ref().filter(|text| !text.is_empty()) else {
                continue;
            };
            let asset = made(SOURCE, "attachment", &format!("{own}/{number}"));
            let name = attachment.name().unwrap_or("Attachment");
            out.put(Kind::Asset, objects::asset(asset, name, time, text))?;
            self.assets.push(asset);
        }
        if !text.is_empty() {
            self.turns.push(Turn {
                id: message_id(SOURCE, self.source_id, &own, self.seen),
                role,
                time,
                text,
            });
        }
        Ok(())
    }

    /// The first question, as the name of a conversation without one.
    fn name(&self) -> String {
        let asked = self.turns.iter().find(|turn| turn.role == "USER");
        asked.map(|turn| name_from(&turn.text)).unwrap_or_default()
    }
}

impl Exported {
    fn put(mut self, out: &mut Out, place: &str, seen: &mut HashSet<Uuid>) -> Yield {
        let Some(source_id) = self.id.0.take() else {
            return out.unreadable(Kind::Conversation, place, "it has no id");
        };
        let id = id_of(SOURCE, "conversation", &source_id);
        let created = time(&self.created);
        let mut last = created.unwrap_or_default();
        let mut content = Content {
            source_id: &source_id,
            seen,
            turns: Vec::new(),
            assets: Vec::new(),
        };
        for (at, message) in self.path().into_iter().enumerate() {
            last = time(&message.created).unwrap_or(last);
            content.add(at, message, last, out)?;
        }
        if content.turns.is_empty() {
            out.left_out("empty conversation", 1);
            return Ok(());
        }
        let name = self.name.0.take().filter(|name| !name.trim().is_empty());
        let name = name.unwrap_or_else(|| content.name());
        let Content { turns, assets, .. } = content;
        let times = || turns.iter().map(|turn| turn.time).filter(|time| *time != 0);
        let conversation = Conversation {
            id,
            source_id: &source_id,
            name: &name,
            created: created.or(times().min()).unwrap_or_default(),
            updated: time(&self.updated)
                .or(times().max())
                .or(created)
                .unwrap_or_default(),
            application: application("Claude.ai", "UNKNOWN"),
            messages: turns.iter().map(|turn| turn.id).collect(),
            assets,
            anchors: Vec::new(),
        };
        out.put(Kind::Conversation, conversation.object())?;
        for turn in turns {
            let message = objects::message(turn.id, id, turn.role, turn.time, turn.text);
            put_message(out, turn.id, message)?;
        }
        Ok(())
    }

    /// The messages in order; where there are branches, those of the current one.
    fn path(&mut self) -> Vec<Message> {
        let messages = self.messages.0.take().unwrap_or_default();
        let ids = messages.iter().enumerate();
        let places: HashMap<_, _> = ids
            .filter_map(|(at, one)| Some((one.id.0.clone()?, at)))
            .collect();
        let mut at = self
            .leaf
            .0
            .take()
            .and_then(|leaf| places.get(&leaf).copied());
        if at.is_none() {
            return messages;
        }
        let mut on_path = vec![false; messages.len()];
        let mut order = Vec::new();
        while let Some(here) = at.filter(|at| !on_path[*at]) {
            on_path[here] = true;
            order.push(here);
            let parent = messages[here].parent.0.as_ref();
            at = parent.and_then(|parent| places.get(parent).copied());
        }
        // Without parents there is no tree: the list is the path.
        if order.len() == 1 {
            return messages;
        }
        let mut messages: Vec<_> = messages.into_iter().map(Some).collect();
        let path = order.into_iter().rev();
        path.filter_map(|at| messages[at].take()).collect()
    }
}

impl Message {
    /// The text, with a line for each file; other content is counted in `out`.
    fn text(&mut self, out: &mut Out) -> String {
        let mut parts = Vec::new();
        for block in self.content.0.iter_mut().flatten() {
            match (block.kind.0.as_deref(), block.text.0.take()) {
                (Some("text") | None, Some(text)) => parts.push(text),
                (Some("thinking" | "redacted_thinking"), _) => out.left_out("thought", 1),
                (Some("tool_use"), _) => out.left_out("tool call", 1),
                (Some("tool_result"), _) => out.left_out("tool result", 1),
                (Some("token_budget"), _) | (Some("text") | None, None) => {}
                (Some(_), _) => out.left_out("part of an unknown kind", 1),
            }
        }
        parts.retain(|part| !part.trim().is_empty());
        // Older exports have only this; newer ones repeat the content in it.
        if parts.is_empty() && self.content.0.as_ref().is_none_or(Vec::is_empty) {
            parts.extend(self.text.0.take().filter(|text| !text.trim().is_empty()));
        }
        let is_empty = parts.is_empty();
        let attached = self.attachments.0.iter().flatten().filter(|_| is_empty);
        for file in attached.chain(self.files.0.iter().flatten()) {
            parts.extend(file.name().map(|name| format!("[File: {name}]")));
        }
        objects::joined(parts, "\n")
    }
}

impl Attachment {
    fn name(&self) -> Option<&str> {
        self.name
            .0
            .as_deref()
            .filter(|name| !name.trim().is_empty())
    }
}

fn time(text: &Parsed<String>) -> Option<i64> {
    json::time::parse(text.0.as_deref()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn path_of(leaf: Option<&str>, messages: Value) -> Vec<String> {
        let text =
            json!({"current_leaf_message_uuid": leaf, "chat_messages": messages}).to_string();
        let mut exported: Exported = json::from_slice(text.as_bytes()).unwrap();
        exported
            .path()
            .into_iter()
            .filter_map(|one| one.id.0)
            .collect()
    }

    #[test]
    fn the_current_branch_is_imported() {
        let flat = json!([{"uuid": "a"}, {"uuid": "b"}]);
        assert_eq!(path_of(None, flat.clone()), ["a", "b"]);
        assert_eq!(path_of(Some("b"), flat.clone()), ["a", "b"], "no branches");
        assert_eq!(path_of(Some("x"), flat), ["a", "b"], "an unknown leaf");
        let node = |id: &str, parent: &str| json!({"uuid": id, "parent_message_uuid": parent});
        let tree = json!([
            node("a", "root"),
            node("b", "a"),
            node("c", "a"),
            node("d", "c")
        ]);
        assert_eq!(path_of(Some("d"), tree.clone()), ["a", "c", "d"]);
        assert_eq!(path_of(Some("b"), tree), ["a", "b"]);
        let cycle = json!([node("a", "b"), node("b", "a")]);
        assert_eq!(path_of(Some("b"), cycle), ["a", "b"]);
    }
}
