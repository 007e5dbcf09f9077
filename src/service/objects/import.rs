//! Imports objects in wire format, with their ids, times and order.
//!
//! An import only adds: an object that is newer here is kept, and nothing is deleted because the source lacks
//! it.

mod wire;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use self::wire::{Wire, uuid};
use super::text;
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New, Row, trash::Part, writing},
    time,
};

/// The outcome for one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It did not exist here.
    New,
    /// It existed here and was older.
    Updated,
    /// It existed here and was not older.
    Unchanged,
    /// It cannot be imported; the reason.
    Unreadable(&'static str),
}

/// The outcome of each object, without writing anything. `heads`: the objects have only the fields that
/// decide the outcome.
pub(crate) fn compare(
    db: &Connection,
    objects: Vec<Value>,
    heads: bool,
) -> Result<Vec<Outcome>, Failure> {
    let mut arrived = HashSet::new();
    let mut outcomes = Vec::with_capacity(objects.len());
    for object in objects {
        let wire = match heads {
            true => Wire::head(object),
            false => Wire::whole(object),
        };
        let outcome = match wire {
            Err(why) => Outcome::Unreadable(why),
            Ok(wire) => {
                let owned_by = |id: &String| arrived.contains(id);
                let outcome = judge(db, &wire, owned_by)?.0;
                if arrived.contains(&wire.id) {
                    Outcome::Unchanged
                } else {
                    if !matches!(outcome, Outcome::Unreadable(_)) {
                        arrived.insert(wire.id);
                    }
                    outcome
                }
            }
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Imports the objects, in this order.
pub(crate) fn import_objects(
    change: &mut Change<'_>,
    objects: Vec<Value>,
) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::with_capacity(objects.len());
    // By id: the same conversation may occur many times.
    let mut orders: HashMap<String, (Link, Vec<Uuid>)> = HashMap::new();
    let mut grown = HashSet::new();
    let mut later = Vec::new();
    for object in objects {
        let wire = match Wire::whole(object) {
            Ok(wire) => wire,
            Err(why) => {
                outcomes.push(Outcome::Unreadable(why));
                continue;
            }
        };
        let (outcome, row) = judge(change.db, &wire, |_| false)?;
        outcomes.push(outcome);
        let (object, kept) = match (outcome, row) {
            (Outcome::New, _) => (wire.insert(change)?, false),
            (Outcome::Updated, Some(row)) => (wire.replace(change, &row)?, false),
            (Outcome::Unchanged, Some(row)) => (Link::from(&row), row.updated > wire.updated),
            _ => continue,
        };
        match wire.kind {
            Kind::Conversation => {
                let order = (object.clone(), wire.members(Kind::Message));
                orders.insert(wire.id.clone(), order);
            }
            Kind::Message if outcome == Outcome::New => grown.extend(wire.owner.clone()),
            _ => {}
        }
        if kept {
            continue;
        }
        for (kind, id) in wire.links() {
            if !link(change, &object, kind, &id)? {
                later.push((object.clone(), kind, id));
            }
        }
    }
    // Not every kind lists the other: links of the first end are remembered until the second is imported.
    for (object, kind, id) in later {
        link(change, &object, kind, &id)?;
    }
    for (id, (conversation, wanted)) in orders {
        if grown.contains(&id) {
            arrange(change, &conversation, &wanted)?;
        }
    }
    Ok(outcomes)
}

/// Associates `object` with another, if that exists.
fn link(change: &mut Change<'_>, object: &Link, kind: Kind, id: &str) -> Result<bool, Failure> {
    let other = store::find_head(change.db, id)?;
    let Some(other) = other.filter(|other| other.kind == kind) else {
        return Ok(false);
    };
    if change.link(object, &Link::from(&other))? {
        change.announce(&other);
    }
    Ok(true)
}

/// One incoming object, for the trash.
pub(super) struct Kept {
    pub(super) part: Part,
    /// The objects that it says it is associated with.
    pub(super) links: Vec<(Kind, String)>,
    /// Creates it again, if it is an anchor or a website.
    pub(super) seed: Option<Value>,
}

/// Reads `{"KIND": {…}}` for the trash.
pub(super) fn kept(object: Value) -> Result<Kept, Failure> {
    let wire = Wire::whole(object);
    let wire = wire.map_err(|why| Failure::invalid(format!("An object cannot be kept: {why}.")))?;
    let seed = match wire.kind {
        Kind::Anchor => {
            let path = wire.points().into_iter().next();
            let path = path.and_then(|mut point| point.as_object_mut()?.remove("fullpath"));
            path.map(|path| json!({"type": wire.doc.get("type"), "fullpath": path}))
        }
        Kind::Website => {
            let field = |key: &str| wire.doc.get(key).cloned();
            Some(json!({"url": field("url"), "name": field("name")}))
        }
        _ => None,
    };
    let links = wire.links();
    let owner = match wire.kind {
        Kind::Annotation => {
            let conversation = links.iter().find(|(kind, _)| *kind == Kind::Conversation);
            conversation.map(|(_, id)| id.clone())
        }
        _ => wire.owner,
    };
    let created = time::grouped(wire.doc.get("created")).unwrap_or(wire.updated);
    Ok(Kept {
        part: Part::new(wire.kind, wire.id, owner, (created, wire.updated), wire.doc)?,
        links,
        seed,
    })
}

impl Wire {
    fn insert(&self, change: &mut Change<'_>) -> Result<Link, Failure> {
        let owner = match (&self.owner, self.kind) {
            (Some(id), _) => Some(store::link(change.db, Kind::Conversation, id)?.seq),
            (None, Kind::Annotation) => self.about(change.db)?,
            _ => None,
        };
        let object = change.insert(New {
            kind: self.kind,
            owner,
            key: self.key(),
            text: "",
            doc: self.doc.clone(),
        })?;
        self.settle(change, &object)?;
        Ok(object)
    }

    fn replace(&self, change: &mut Change<'_>, row: &Row) -> Result<Link, Failure> {
        change.replace(row, self.key(), self.doc.clone())?;
        let object = Link::from(row);
        self.settle(change, &object)?;
        Ok(object)
    }

    /// Imports the parts of an object, then its search text.
    fn settle(&self, change: &mut Change<'_>, object: &Link) -> Result<(), Failure> {
        match self.kind {
            Kind::Asset => parts(change, object, Kind::Format, self.formats())?,
            Kind::Anchor => parts(change, object, Kind::Point, self.points())?,
            _ => {}
        }
        let text = {
            let row = store::get(change.db, self.kind, &self.id)?;
            text(change.db, &row, &row.object()?)?
        };
        change.index_text(object.seq, &text)
    }

    /// The owner of an annotation: the first object that it refers to.
    fn about(&self, db: &Connection) -> Result<Option<i64>, Failure> {
        for (kind, id) in self.links() {
            let head = store::find_head(db, &id)?;
            if let Some(row) = head.filter(|row| row.kind == kind) {
                return Ok(Some(row.seq));
            }
        }
        Ok(None)
    }
}

/// The outcome for an object, and the stored version if any. `arrives`: whether a conversation comes in the
/// same request.
fn judge(
    db: &Connection,
    wire: &Wire,
    arrives: impl Fn(&String) -> bool,
) -> Result<(Outcome, Option<Row>), Failure> {
    Ok(match store::find_head(db, &wire.id)? {
        None => {
            let homeless = match &wire.owner {
                None => false,
                Some(id) => {
                    let here = store::find_head(db, id)?;
                    here.is_none_or(|row| row.kind != Kind::Conversation) && !arrives(id)
                }
            };
            let outcome = if homeless {
                Outcome::Unreadable("its conversation does not exist")
            } else {
                Outcome::New
            };
            (outcome, None)
        }
        Some(row) if row.kind != wire.kind => (
            Outcome::Unreadable("its id belongs to another object"),
            None,
        ),
        Some(row) => {
            let outcome = match wire.updated.cmp(&row.updated) {
                Ordering::Less => Outcome::Unchanged,
                // A redacted copy never replaces a complete one, however new it is.
                Ordering::Greater => {
                    match wire.is_redacted() && !store::is_redacted(db, row.seq)? {
                        true => Outcome::Unchanged,
                        false => Outcome::Updated,
                    }
                }
                // A complete copy replaces a redacted one of the same age.
                Ordering::Equal => match store::is_redacted(db, row.seq)? && !wire.is_redacted() {
                    true => Outcome::Updated,
                    false => Outcome::Unchanged,
                },
            };
            // An answer that is being written is newer than anything.
            match outcome == Outcome::Updated && writing::is_writing(db, row.seq)? {
                true => (Outcome::Unchanged, Some(row)),
                false => (outcome, Some(row)),
            }
        }
    })
}

/// Makes `wanted` the parts of an object, in this order.
fn parts(
    change: &mut Change<'_>,
    whole: &Link,
    kind: Kind,
    wanted: Vec<Value>,
) -> Result<(), Failure> {
    for row in store::owned_rows(change.db, kind, whole.seq)? {
        change.remove_part(&row)?;
    }
    let whole = store::get(change.db, whole.kind, &whole.id)?;
    for part in wanted {
        let Value::Object(mut part) = part else {
            continue;
        };
        let taken = match uuid(part.get("id")) {
            None => true,
            Some(id) => store::find_head(change.db, &id)?.is_some(),
        };
        if taken {
            part.remove("id");
        }
        for (key, at) in [("created", whole.created), ("updated", whole.updated)] {
            if time::grouped(part.get(key)).is_none() {
                part.insert(key.to_owned(), json!({"value": time::iso(at)}));
            }
        }
        let path = part.get("fullpath").and_then(Value::as_str);
        let path = path.filter(|_| kind == Kind::Point).map(str::to_owned);
        change.insert(New {
            kind,
            owner: Some(whole.seq),
            key: path.as_deref(),
            text: "",
            doc: part,
        })?;
    }
    Ok(())
}

/// Puts the messages of a conversation into the order of `wanted` if they differ. Messages that only we have
/// stay behind the others.
fn arrange(change: &mut Change<'_>, conversation: &Link, wanted: &[Uuid]) -> Result<(), Failure> {
    let rows = store::owned_rows(change.db, Kind::Message, conversation.seq)?;
    let wanted: HashMap<_, _> = wanted.iter().map(Uuid::to_string).zip(0_usize..).collect();
    let places: Vec<_> = rows
        .iter()
        .map(|row| wanted.get(&row.id).copied())
        .collect();
    if places.iter().flatten().is_sorted() {
        return Ok(());
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| places[*at].unwrap_or(usize::MAX));
    let settled = order
        .iter()
        .enumerate()
        .take_while(|(a, b)| a == *b)
        .count();
    for at in &order[settled..] {
        let row = &rows[*at];
        let text = super::message::raw(&row.object()?)
            .unwrap_or_default()
            .to_owned();
        change.move_to_end(row, &text)?;
    }
    Ok(())
}
