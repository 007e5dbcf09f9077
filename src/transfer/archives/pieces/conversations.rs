//! Conversations with their messages in order, and messages whose conversation is missing.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::out::{Item, Yield};
use super::join::Join;
use super::record::{Record, Type};
use crate::json::plural::live_ids;
use crate::json::time::{grouped, iso};
use crate::service::Kind;

/// The fields of a message that decide its conversation and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    conversation: Uuid,
    id: Uuid,
    /// In microseconds since the Unix epoch.
    created: Option<i64>,
    sequence: Option<i64>,
    number: u32,
}

/// Yields every conversation, each with its messages.
pub(super) fn run(join: &mut Join<'_>) -> Yield {
    let (heads, mut homeless) = list(join)?;
    let mut done: HashSet<Uuid> = HashSet::new();
    let mut empty = 0;
    join.each(Type::Conversation, |join, _, record| {
        let own = of_conversation(&heads, record.id);
        let messages = order(join, &record, own, &mut homeless);
        empty += u64::from(messages.is_empty());
        done.insert(record.id);
        let id = record.id;
        let mut object = record.object;
        object.insert("messages".to_owned(), wrapper(&messages));
        join.put(Kind::Conversation, id, object)?;
        put_messages(join, id, &messages)
    })?;
    if empty > 0 {
        join.out.note(match empty {
            1 => "1 conversation has no messages.".to_owned(),
            many => format!("{many} conversations have no messages."),
        })?;
    }
    recover(join, &heads, &done)?;
    for head in homeless.into_values() {
        let place = format!("message {}", head.id);
        let why = "it does not say to which conversation it belongs";
        join.out.unreadable(Kind::Message, place, why)?;
    }
    Ok(())
}

/// The heads of all messages by conversation, and those without a conversation.
fn list(join: &mut Join<'_>) -> Yield<(Vec<Head>, HashMap<Uuid, Head>)> {
    let mut heads = Vec::new();
    let mut homeless = HashMap::new();
    join.each(Type::Message, |join, number, record| {
        let object = &record.object;
        if !object.get("role").is_some_and(Value::is_string) {
            let place = format!("message {}", record.id);
            return join.out.unreadable(Kind::Message, place, "it has no role");
        }
        let conversation = record.reference("conversation", Type::Conversation);
        let head = Head {
            conversation: conversation.unwrap_or_default(),
            id: record.id,
            created: grouped(object.get("created")),
            sequence: object.get("sequence").and_then(Value::as_i64),
            number: u32::try_from(number).unwrap_or(u32::MAX),
        };
        match conversation {
            Some(_) => heads.push(head),
            None => {
                homeless.insert(head.id, head);
            }
        }
        Ok(())
    })?;
    heads.sort_unstable_by_key(|head| (head.conversation, head.created, head.id));
    heads.dedup_by_key(|head| head.id);
    Ok((heads, homeless))
}

fn of_conversation(heads: &[Head], id: Uuid) -> &[Head] {
    let first = heads.partition_point(|head| head.conversation < id);
    let length = heads[first..].partition_point(|head| head.conversation == id);
    &heads[first..first + length]
}

/// The messages of a conversation in order: as it lists them if it lists all; else by their sequence if all have
/// one; else as listed, the others at their time.
fn order(
    join: &mut Join<'_>,
    conversation: &Record,
    own: &[Head],
    homeless: &mut HashMap<Uuid, Head>,
) -> Vec<Head> {
    let wrapper = conversation.object.get("messages");
    let removed: HashSet<Uuid> = wrapper.map(removed).unwrap_or_default();
    let mut left: HashMap<Uuid, Head> = own.iter().map(|head| (head.id, *head)).collect();
    let listed = wrapper.map(live_ids).unwrap_or_default();
    let mut messages = Vec::with_capacity(own.len());
    for id in &listed {
        match left.remove(id).or_else(|| homeless.remove(id)) {
            Some(head) => messages.push(head),
            // Told as unreadable.
            None if join.records.may_have(Type::Message, &id.to_string()) => {}
            None => *join.missing.entry(Type::Message).or_default() += 1,
        }
    }
    // In the order of their times.
    let unlisted = own
        .iter()
        .filter(|head| left.contains_key(&head.id) && !removed.contains(&head.id));
    let unlisted: Vec<Head> = unlisted.copied().collect();
    if unlisted.is_empty() {
        return messages;
    }
    let all_have_sequence = messages
        .iter()
        .chain(&unlisted)
        .all(|head| head.sequence.is_some());
    if all_have_sequence {
        messages.extend(unlisted);
        messages.sort_by_key(|head| head.sequence);
        return messages;
    }
    let mut merged = Vec::with_capacity(messages.len() + unlisted.len());
    let mut unlisted = unlisted.into_iter().peekable();
    for head in messages {
        while let Some(earlier) =
            unlisted.next_if(|other| head.created.is_some() && other.created < head.created)
        {
            merged.push(earlier);
        }
        merged.push(head);
    }
    merged.extend(unlisted);
    merged
}

/// The ids that a wrapper marks as removed.
fn removed(wrapper: &Value) -> HashSet<Uuid> {
    let indices = wrapper.get("indices").and_then(Value::as_object);
    let negative = indices
        .into_iter()
        .flatten()
        .filter(|(_, at)| at.as_i64().is_some_and(|at| at < 0));
    negative
        .filter_map(|(id, _)| Uuid::try_parse(id).ok())
        .collect()
}

fn wrapper(messages: &[Head]) -> Value {
    let iterable: Vec<_> = messages.iter().map(|head| json!({"id": head.id})).collect();
    let indices = messages
        .iter()
        .zip(0_u32..)
        .map(|(head, at)| (head.id.to_string(), at.into()));
    json!({"iterable": iterable, "indices": indices.collect::<Map<_, _>>()})
}

fn put_messages(join: &mut Join<'_>, conversation: Uuid, messages: &[Head]) -> Yield {
    for head in messages {
        match join.records.read(Type::Message, head.number as usize) {
            Ok(mut record) => {
                let owner = json!({"id": conversation});
                record.object.insert("conversation".to_owned(), owner);
                join.put(Kind::Message, record.id, record.object)?;
            }
            // It changed after it was listed.
            Err(bad) => join.out.unreadable(Kind::Message, bad.place, &bad.why)?,
        }
    }
    Ok(())
}

/// Messages whose conversation is missing get one that holds them.
fn recover(join: &mut Join<'_>, heads: &[Head], done: &HashSet<Uuid>) -> Yield {
    for group in heads.chunk_by(|a, b| a.conversation == b.conversation) {
        let Some(id) = group.first().map(|head| head.conversation) else {
            continue;
        };
        if done.contains(&id) {
            continue;
        }
        let mut messages = group.to_vec();
        if messages.iter().all(|head| head.sequence.is_some()) {
            messages.sort_by_key(|head| head.sequence);
        }
        let times = || group.iter().filter_map(|head| head.created);
        let created = times().min().unwrap_or_default();
        // Just before its last message, so that the real conversation wins even if it last changed with that message.
        let updated = times().max().unwrap_or_default() - 1;
        let object = json!({
            "id": id,
            "name": "Recovered conversation",
            "type": "COPILOT",
            "created": {"value": iso(created.min(updated))},
            "updated": {"value": iso(updated)},
            "messages": wrapper(&messages),
        });
        join.taken.insert(id);
        join.out.send(Item::Recovered(object))?;
        put_messages(join, id, &messages)?;
    }
    Ok(())
}
