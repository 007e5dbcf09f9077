//! Deleted conversations: copies of another service's, and restores.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    anchor, import,
    seed::{Seed, uuid},
    text, website,
};
use crate::service::{
    Failure,
    store::{
        self, Change, Kind, Link, Row,
        trash::{self, NewEntry, State, Tie},
    },
    time,
};

/// A conversation that is in the store (again).
pub(crate) struct Restored {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Moves a deleted conversation back unchanged, under its own id. If the store has it already, returns it as
/// it is.
pub(crate) fn restore(change: &mut Change<'_>, id: &str) -> Result<Restored, Failure> {
    if let Some(row) = store::find(change.db, Kind::Conversation, id)? {
        let name = row.object()?.remove("name");
        let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
        return Ok(Restored {
            id: row.id,
            name: name.to_owned(),
        });
    }
    let Some(head) = trash::newest(change.db, id, change.now)? else {
        return Err(Failure::Gone {
            kind: "conversation in the trash",
            id: id.to_owned(),
        });
    };
    let placed = put_back(change, head.entry)?;
    tie_again(change, head.entry, &placed)?;
    trash::remove(change.db, head.entry)?;
    Ok(Restored {
        id: head.id,
        name: head.name,
    })
}

/// Puts the parts of an entry back; returns them by their ids when they were deleted.
fn put_back(change: &mut Change<'_>, entry: i64) -> Result<HashMap<String, Link>, Failure> {
    let mut placed: HashMap<String, Link> = HashMap::new();
    trash::each_part(change.db, entry, |part| {
        let owner = part.owner.as_ref().and_then(|id| placed.get(id));
        let link = change.put_back(&part, owner.map(|owner| owner.seq))?;
        let row = Row {
            kind: link.kind,
            seq: link.seq,
            id: link.id.clone(),
            owner: owner.map(|owner| owner.seq),
            created: part.created,
            updated: part.updated,
            doc: part.doc,
        };
        let text = text(change.db, &row, &row.object()?)?;
        change.index_text(row.seq, &text)?;
        placed.insert(part.id, link);
        Ok(())
    })?;
    Ok(placed)
}

/// Associates the parts of an entry again: with each other, and with the objects outside that still exist.
fn tie_again(
    change: &mut Change<'_>,
    entry: i64,
    placed: &HashMap<String, Link>,
) -> Result<(), Failure> {
    let mut touched = HashMap::new();
    for tie in trash::ties(change.db, entry)? {
        let Some(part) = placed.get(&tie.part) else {
            continue;
        };
        if let Some(other) = placed.get(&tie.other) {
            change.link(part, other)?;
        } else if let Some(other) = other_end(change, &tie)? {
            if change.link(part, &other)? {
                touched.insert(other.seq, other);
            }
        } else if let Some(deleted) = trash::entry_with(change.db, &tie.other)?
            && deleted != entry
        {
            // Both were deleted: the one restored last restores the association.
            let back = Tie {
                part: tie.other,
                kind: part.kind,
                other: part.id.clone(),
                seed: None,
            };
            trash::add_tie(change.db, deleted, &back)?;
        }
    }
    for other in touched.into_values() {
        change.touch(&other)?;
    }
    Ok(())
}

fn other_end(change: &mut Change<'_>, tie: &Tie) -> Result<Option<Link>, Failure> {
    if let Some(row) = store::find(change.db, tie.kind, &tie.other)? {
        return Ok(Some(Link::from(&row)));
    }
    let Some(seed) = &tie.seed else {
        return Ok(None);
    };
    let seed = Seed::object(seed.clone(), "seed")?;
    match tie.kind {
        Kind::Anchor => anchor::resolve(change, seed).map(Some),
        Kind::Website => website::resolve(change, seed).map(Some),
        _ => Ok(None),
    }
}

/// Begins the copy of a conversation of the service `origin`; returns its entry number. `objects` are in wire
/// format (`{"KIND": {…}}`), the conversation first; [`add`] takes further ones.
pub(crate) fn stage(
    change: &mut Change<'_>,
    origin: &str,
    mut objects: Vec<Value>,
) -> Result<i64, Failure> {
    let conversation = objects.first().and_then(|first| first.get("conversation"));
    let Some(conversation) = conversation else {
        return Err(Failure::invalid(
            "The first of `objects` must be a conversation.",
        ));
    };
    let id = uuid(conversation.get("id"), "id")?;
    let name = conversation.get("name").and_then(Value::as_str);
    let new = NewEntry {
        id: &id,
        name: name.unwrap_or_default(),
        origin,
        state: State::Copying,
        deleted: change.now,
    };
    let entry = trash::insert(change.db, change.now, &new)?;
    let rest = objects.split_off(1);
    for object in objects {
        keep(change, entry, object)?;
    }
    add(change, entry, rest)?;
    Ok(entry)
}

/// Adds objects to an incomplete copy.
pub(crate) fn add(change: &mut Change<'_>, entry: i64, objects: Vec<Value>) -> Result<(), Failure> {
    for object in objects {
        if object.get("conversation").is_some() {
            return Err(Failure::invalid("An entry has one conversation."));
        }
        keep(change, entry, object)?;
    }
    trash::count_messages(change.db, entry)
}

/// Adds one object to a copy. Anchors and websites are not parts of it; they are kept to create missing ones
/// again.
fn keep(change: &mut Change<'_>, entry: i64, object: Value) -> Result<(), Failure> {
    let kept = import::kept(object)?;
    match kept.part.kind {
        Kind::Anchor | Kind::Website => {
            if let Some(seed) = kept.seed {
                trash::set_seed(change.db, entry, &kept.part.id, &seed)?;
            }
            Ok(())
        }
        Kind::Conversation | Kind::Message | Kind::Annotation => {
            trash::add_part(change.db, entry, &kept.part)?;
            for (kind, other) in kept.links {
                let tie = Tie {
                    part: kept.part.id.clone(),
                    kind,
                    other,
                    seed: None,
                };
                trash::add_tie(change.db, entry, &tie)?;
            }
            Ok(())
        }
        kind => Err(Failure::invalid(format!(
            "A conversation is not made of {}.",
            kind.plural()
        ))),
    }
}

/// A conversation that an older version deleted and stored in a file.
pub(crate) struct Old {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) deleted: i64,
    /// As the service returned it.
    pub(crate) conversation: Value,
    /// As the service returned them, in order.
    pub(crate) messages: Vec<Value>,
    pub(crate) assets: Vec<String>,
    /// Absolute paths.
    pub(crate) files: Vec<String>,
}

/// Imports a deleted conversation of an older version. Idempotent.
pub(crate) fn import_old(change: &mut Change<'_>, old: Old) -> Result<(), Failure> {
    if trash::has(change.db, &old.id, old.deleted)? {
        return Ok(());
    }
    let new = NewEntry {
        id: &old.id,
        name: &old.name,
        origin: "",
        state: State::Deleted,
        deleted: old.deleted,
    };
    let entry = trash::insert(change.db, change.now, &new)?;
    let mut conversation = old.conversation;
    conversation["id"] = old.id.as_str().into();
    keep(change, entry, json!({"conversation": conversation}))?;
    for mut message in old.messages {
        message["conversation"] = json!({"id": old.id});
        // Messages with neither role nor text could not be restored by the older version either.
        if let Err(Failure::Invalid(_)) = keep(change, entry, json!({"message": message})) {
            tracing::warn!("a message in the old trash cannot be read");
        }
    }
    let tie = |kind, other, seed| Tie {
        part: old.id.clone(),
        kind,
        other,
        seed,
    };
    for asset in &old.assets {
        trash::add_tie(change.db, entry, &tie(Kind::Asset, asset.clone(), None))?;
    }
    for file in old.files {
        // No object has this id, so the anchor is found, or created, by its path.
        let other = uuid::Uuid::new_v4().to_string();
        let seed = json!({"type": "FILE", "fullpath": file});
        trash::add_tie(change.db, entry, &tie(Kind::Anchor, other, Some(seed)))?;
    }
    trash::count_messages(change.db, entry)
}

/// The `SeededConversation` that creates the conversation of an entry again elsewhere.
pub(crate) fn seeded(db: &rusqlite::Connection, entry: i64) -> Result<Value, Failure> {
    let mut seed = Map::new();
    let (mut messages, mut annotations) = (Vec::new(), Vec::new());
    let mut conversation = None;
    trash::each_part(db, entry, |part| {
        let doc: Map<String, Value> = serde_json::from_str(&part.doc)?;
        match part.kind {
            Kind::Conversation => {
                let fields = ["type", "name", "favorited", "application", "pipeline"];
                seed.extend(only(doc, &fields));
                conversation = Some(part.id);
            }
            Kind::Message => {
                let mut message = only(doc, &["role", "fragment", "model", "sentiment"]);
                if message.get("fragment").is_some_and(Value::is_object) {
                    let created = json!({"value": time::iso(part.created)});
                    message.insert("created".to_owned(), created);
                    messages.push(Value::Object(message));
                }
            }
            Kind::Annotation if part.owner.is_some() && part.owner == conversation => {
                let annotation = only(doc, &["type", "text", "favorited"]);
                annotations.push(Value::Object(annotation));
            }
            _ => {}
        }
        Ok(())
    })?;
    let conversation = conversation.ok_or_else(|| Failure::Gone {
        kind: "trash entry",
        id: entry.to_string(),
    })?;
    let (anchors, assets) = seeded_ties(db, entry, &conversation)?;
    super::seed::set_default(&mut seed, "type", "COPILOT");
    for (field, values) in [
        ("messages", messages),
        ("anchors", anchors),
        ("annotations", annotations),
    ] {
        if !values.is_empty() {
            seed.insert(field.to_owned(), values.into());
        }
    }
    if !assets.is_empty() {
        seed.insert("assets".to_owned(), json!({"iterable": assets}));
    }
    Ok(Value::Object(seed))
}

/// The fields with these names.
fn only(mut doc: Map<String, Value>, fields: &[&str]) -> Map<String, Value> {
    let fields = fields.iter().filter_map(|field| doc.remove_entry(*field));
    fields.collect()
}

/// The seeds of the anchors, and references to the assets, that the conversation is associated with; each once.
fn seeded_ties(
    db: &rusqlite::Connection,
    entry: i64,
    conversation: &str,
) -> Result<(Vec<Value>, Vec<Value>), Failure> {
    let (mut anchors, mut assets) = (Vec::new(), Vec::new());
    for tie in trash::ties(db, entry)? {
        match tie.kind {
            _ if tie.part != conversation => {}
            Kind::Anchor => anchors.extend(tie.seed),
            Kind::Asset => assets.push(json!({"id": tie.other})),
            _ => {}
        }
    }
    for values in [&mut anchors, &mut assets] {
        values.sort_by_key(Value::to_string);
        values.dedup();
    }
    Ok((anchors, assets))
}
