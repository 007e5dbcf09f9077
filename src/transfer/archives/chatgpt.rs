//! The data export of ChatGPT: an array of conversations, each a tree of messages of which the path to
//! `current_node` is what the user saw.

mod content;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use uuid::Uuid;

use super::application::application;
use super::found::Found;
use super::ids::{id_of, message_id};
use super::listed::Listed;
use super::objects::{self, Conversation, name_from, put_message};
use super::out::{Out, Yield};
use super::place::Place;
use super::{Look, Reader};
use crate::json;
use crate::json::lenient::{Parsed, absent, lenient_object};
use crate::service::Kind;
use content::{Message, Said};

const SOURCE: &str = "chatgpt";
/// Maximum nodes of one conversation; even an empty one needs memory.
const MAX_NODES: usize = 100_000;

/// Recognises the zip as downloaded, its directory, or its `conversations.json`.
pub(super) fn look(place: &mut Place) -> Look {
    let listed = Listed::look(place, "mapping")?;
    Ok(listed.map(|listed| {
        let seen = HashSet::new();
        Box::new(ChatGpt { listed, seen }) as Box<dyn Reader>
    }))
}

struct ChatGpt {
    listed: Listed,
    /// Messages already yielded: a conversation that branched off another repeats its messages.
    seen: HashSet<Uuid>,
}

impl Reader for ChatGpt {
    fn found(&self) -> Found {
        let found = Found::new("a ChatGPT export").of(self.listed.date.clone());
        found.with(self.listed.count, "conversation")
    }

    fn read(&mut self, out: &mut Out) -> Yield {
        let Self { listed, seen } = self;
        let otherwise = "it is not JSON, or has more than 100,000 messages";
        listed.each(out, otherwise, |exported: Exported, out, place| {
            exported.put(out, place, seen)
        })
    }
}

lenient_object! {
    /// One conversation of the export.
    struct Exported {
        "id" => id: Parsed<String>,
        "conversation_id" => conversation_id: Parsed<String>,
        "title" => title: Parsed<String>,
        "create_time" => created: Value,
        "update_time" => updated: Value,
        "current_node" => current: Parsed<String>,
        "mapping" => mapping: Mapping,
    }
}

lenient_object! {
    struct Node {
        "parent" => parent: Parsed<String>,
        "message" => message: Message,
    }
}

/// The tree, by ids of nodes.
#[derive(Debug, Default)]
pub(super) struct Mapping(HashMap<String, Node>);

impl<'de> Deserialize<'de> for Mapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Mapping;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Mapping, A::Error> {
                let mut nodes = HashMap::new();
                while let Some((id, node)) = object.next_entry::<String, Node>()? {
                    nodes.insert(id, node);
                    if nodes.len() > MAX_NODES {
                        return Err(serde::de::Error::custom("too many messages"));
                    }
                }
                Ok(Mapping(nodes))
            }
            absent!(null bool number text list);
        }
        deserializer.deserialize_any(V)
    }
}

impl Exported {
    fn put(mut self, out: &mut Out, place: &str, seen: &mut HashSet<Uuid>) -> Yield {
        let Some(source_id) = self.conversation_id.0.take().or(self.id.0.take()) else {
            return out.unreadable(Kind::Conversation, place, "it has no id");
        };
        let id = id_of(SOURCE, "conversation", &source_id);
        let created = micros(&self.created);
        let mut last = created.unwrap_or_default();
        let mut turns = Vec::new();
        for (node, mut message) in self.path() {
            let said = message.said(out);
            last = micros(&message.created).unwrap_or(last);
            if let Some(Said { role, text }) = said {
                let own = message.id.0.unwrap_or(node);
                let message = message_id(SOURCE, &source_id, &own, seen);
                turns.push((message, role, last, text));
            }
        }
        if turns.is_empty() {
            out.left_out("empty conversation", 1);
            return Ok(());
        }
        let first_question = || {
            let asked = turns.iter().find(|(_, role, ..)| *role == "USER");
            asked.map(|(.., text)| name_from(text)).unwrap_or_default()
        };
        let name = self.title.0.take().filter(|title| !title.trim().is_empty());
        let times = || {
            turns
                .iter()
                .map(|(_, _, time, _)| *time)
                .filter(|time| *time != 0)
        };
        let conversation = Conversation {
            id,
            source_id: &source_id,
            name: &name.unwrap_or_else(first_question),
            created: created.or(times().min()).unwrap_or_default(),
            updated: micros(&self.updated)
                .or(times().max())
                .or(created)
                .unwrap_or_default(),
            application: application("ChatGPT", "CHAT_GPT"),
            messages: turns.iter().map(|(message, ..)| *message).collect(),
            assets: Vec::new(),
            anchors: Vec::new(),
        };
        out.put(Kind::Conversation, conversation.object())?;
        for (message, role, time, text) in turns {
            put_message(
                out,
                message,
                objects::message(message, id, role, time, text),
            )?;
        }
        Ok(())
    }

    /// The messages from the first to the current one, each with the id of its node.
    fn path(&mut self) -> Vec<(String, Message)> {
        let nodes = &mut self.mapping.0;
        let current = self.current.0.take().filter(|id| nodes.contains_key(id));
        let mut at = current.or_else(|| newest_leaf(nodes));
        let mut path = Vec::new();
        // Taking each node out of the map ends a cycle.
        while let Some((id, node)) = at.and_then(|id| nodes.remove_entry(&id)) {
            at = node.parent.0;
            path.push((id, node.message));
        }
        path.reverse();
        path
    }
}

/// The end of the path if the export does not name an existing node.
fn newest_leaf(nodes: &HashMap<String, Node>) -> Option<String> {
    let parents: HashSet<&String> = nodes
        .values()
        .filter_map(|node| node.parent.0.as_ref())
        .collect();
    let leaves = nodes.iter().filter(|(id, _)| !parents.contains(id));
    let newest = leaves.max_by_key(|(id, node)| (micros(&node.message.created), *id));
    newest.map(|(id, _)| id.clone())
}

/// Microseconds of a time in seconds, or of a timestamp.
fn micros(time: &Value) -> Option<i64> {
    match time {
        // Truncated to microseconds.
        #[allow(clippy::cast_possible_truncation, reason = "saturates")]
        Value::Number(seconds) => seconds
            .as_f64()
            .map(|seconds| (seconds * 1e6).round() as i64),
        Value::String(text) => json::time::parse(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path_of(conversation: Value) -> Vec<String> {
        let text = conversation.to_string();
        let mut exported: Exported = json::from_slice(text.as_bytes()).unwrap();
        exported.path().into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn the_path_ends_at_the_current_node_whatever_the_tree() {
        let node =
            |parent: &str, time: u32| json!({"parent": parent, "message": {"create_time": time}});
        let tree = json!({
            "root": {"parent": null, "message": null},
            "a": node("root", 1), "b": node("a", 2), "c": node("a", 3),
        });
        assert_eq!(
            path_of(json!({"current_node": "b", "mapping": tree})),
            ["root", "a", "b"]
        );
        // Missing or unknown: the newest leaf.
        assert_eq!(path_of(json!({"mapping": tree})), ["root", "a", "c"]);
        assert_eq!(
            path_of(json!({"current_node": "x", "mapping": tree})),
            ["root", "a", "c"]
        );
        let cycle = json!({"a": node("b", 1), "b": node("a", 2)});
        assert_eq!(
            path_of(json!({"current_node": "b", "mapping": cycle})),
            ["a", "b"]
        );
        assert!(path_of(json!({"mapping": cycle})).is_empty());
        let torn = json!({"b": node("a", 2)});
        assert_eq!(
            path_of(json!({"current_node": "b", "mapping": torn})),
            ["b"]
        );
        for odd in [
            json!({}),
            json!({"mapping": []}),
            json!({"mapping": {"a": 5}, "current_node": 7}),
        ] {
            path_of(odd);
        }
    }

    #[test]
    fn times_are_seconds_or_timestamps() {
        assert_eq!(
            micros(&json!(1_700_000_000.123_456)),
            Some(1_700_000_000_123_456)
        );
        assert_eq!(micros(&json!(5)), Some(5_000_000));
        assert_eq!(micros(&json!("1970-01-01T00:00:05Z")), Some(5_000_000));
        assert_eq!(micros(&json!(1e300)), Some(i64::MAX));
        assert_eq!(micros(&json!(null)), None);
    }
}
