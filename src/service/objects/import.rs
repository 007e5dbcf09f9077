//! Imports objects in wire format, with their ids, times and order.
//!
//! An import only adds: an object that is newer here is kept, and nothing is deleted because the source lacks
//! it.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{annotation, asset, seed::set_default, text};
use crate::json::plural::live_ids;
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New, Row, trash::Part, writing},
    time,
};

/// Largest object with its parts, in bytes: more than two documents of any other origin, so that every export
/// can be imported again.
const MAX_SIZE: usize = 3 * store::MAX_DOC;
/// Maximum formats of an asset, or paths of an anchor.
const MAX_PARTS: usize = 1_000;

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
        let wire = Wire::read(object).and_then(|mut wire| {
            if !heads {
                wire.complete()?;
            }
            Ok(wire)
        });
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
        let wire = Wire::read(object).and_then(|mut wire| {
            wire.complete()?;
            Ok(wire)
        });
        let wire = match wire {
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
    let read = Wire::read(object).and_then(|mut wire| {
        wire.complete()?;
        Ok(wire)
    });
    let wire = read.map_err(|why| Failure::invalid(format!("An object cannot be kept: {why}.")))?;
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

/// One incoming object.
struct Wire {
    kind: Kind,
    id: String,
    /// The conversation of a message.
    owner: Option<String>,
    updated: i64,
    /// As received, with readable times.
    doc: Map<String, Value>,
}

impl Wire {
    /// Reads `{"KIND": {…}}`.
    fn read(object: Value) -> Result<Self, &'static str> {
        let Value::Object(outer) = object else {
            return Err("it is not a JSON object");
        };
        let found = outer.into_iter().find_map(|(name, value)| {
            let kind = Kind::ROUTED.into_iter().find(|kind| kind.noun() == name)?;
            Some((kind, value))
        });
        let Some((kind, Value::Object(mut doc))) = found else {
            return Err("its kind is not known");
        };
        let id = uuid(doc.get("id")).ok_or("it has no usable id")?;
        let created = time::grouped(doc.get("created"));
        let updated = time::grouped(doc.get("updated")).or(created).unwrap_or(0);
        let created = created.unwrap_or(updated);
        for (key, at) in [("created", created), ("updated", updated)] {
            doc.insert(key.to_owned(), json!({"value": time::iso(at)}));
        }
        if kind == Kind::Message
            && let Some(Value::Object(own)) = doc.get_mut(crate::pieces::OWN)
        {
            // An import must not cause files to be read.
            own.remove("named");
        }
        let owner = match kind {
            Kind::Message => {
                let conversation = doc.get("conversation").and_then(|c| c.get("id"));
                Some(uuid(conversation).ok_or("it does not say to which conversation it belongs")?)
            }
            _ => None,
        };
        Ok(Self {
            kind,
            id,
            owner,
            updated,
            doc,
        })
    }

    fn is_redacted(&self) -> bool {
        self.doc.values().any(has_marker)
    }

    /// Adds fields that the API requires and this object lacks, so that one odd object does not make whole
    /// lists unreadable for strict clients.
    fn complete(&mut self) -> Result<(), &'static str> {
        let doc = &mut self.doc;
        let is_text =
            |key: &str, doc: &Map<String, Value>| doc.get(key).is_some_and(Value::is_string);
        match self.kind {
            Kind::Conversation => set_default(doc, "type", "COPILOT"),
            Kind::Anchor => set_default(doc, "type", "FILE"),
            Kind::Asset => {
                set_default(doc, "mechanism", "MANUAL");
                set_default(doc, "creator", Uuid::nil().to_string());
                if self.formats().is_empty() {
                    return Err("it has no content");
                }
            }
            Kind::Message if !is_text("role", doc) => return Err("it has no role"),
            Kind::Annotation if !is_text("text", doc) || !is_text("type", doc) => {
                return Err("it has no text");
            }
            Kind::Website if !is_text("url", doc) => return Err("it has no address"),
            Kind::Website => {
                let url = doc.get("url").cloned().unwrap_or_default();
                set_default(doc, "name", url);
            }
            _ => {}
        }
        let (kind, parts) = match self.kind {
            Kind::Asset => (Kind::Format, self.formats()),
            Kind::Anchor => (Kind::Point, self.points()),
            _ => (self.kind, Vec::new()),
        };
        if parts.len() > MAX_PARTS {
            return Err("it has more than a thousand parts");
        }
        let parts = parts.iter().filter_map(Value::as_object);
        let parts = parts.map(|part| (kind, part));
        let mut size = 0;
        for (kind, doc) in std::iter::once((self.kind, &self.doc)).chain(parts) {
            if store::is_too_deep(kind, doc) {
                return Err("it is nested too deeply");
            }
            let own = store::stored_size(kind, doc);
            size += own;
            if own > store::MAX_DOC || size > MAX_SIZE {
                return Err("it is too large");
            }
        }
        Ok(())
    }

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
        let row = store::get(change.db, self.kind, &self.id)?;
        let text = text(change.db, &row, &row.object()?)?;
        change.index_text(object.seq, &text)
    }

    /// The text that search finds it by.
    fn key(&self) -> Option<&str> {
        match self.kind {
            Kind::Website => self.doc.get("url").and_then(Value::as_str),
            _ => None,
        }
    }

    /// The formats of an asset, the original first: it has the text.
    fn formats(&self) -> Vec<Value> {
        let listed = self.doc.get("formats").and_then(|f| f.get("iterable"));
        let listed = listed.and_then(Value::as_array).into_iter().flatten();
        let original = self.doc.get("original");
        let preview = self.doc.get("preview").and_then(|p| p.get("base"));
        let first = original.and_then(|o| uuid(o.get("id")));
        let mut formats: Vec<Value> = listed.cloned().collect();
        for reference in [original, preview].into_iter().flatten() {
            let id = uuid(reference.get("id"));
            let known = formats.iter().any(|format| uuid(format.get("id")) == id);
            if let Some(Value::Object(format)) = reference.get("reference")
                && id.is_some()
                && !known
            {
                let mut format = format.clone();
                format.insert("id".to_owned(), id.into());
                formats.push(Value::Object(format));
            }
        }
        let creator = self.doc.get("creator").and_then(Value::as_str);
        for format in formats.iter_mut().filter_map(Value::as_object_mut) {
            asset::complete(format, creator.unwrap_or_default());
        }
        formats.sort_by_key(|format| first.is_none() || uuid(format.get("id")) != first);
        formats
    }

    /// The paths of an anchor.
    fn points(&self) -> Vec<Value> {
        let listed = self.doc.get("points").and_then(|p| p.get("iterable"));
        let listed = listed.and_then(Value::as_array).into_iter().flatten();
        let points = listed.map(|point| point.get("reference").unwrap_or(point));
        let usable = points.filter(|point| point.get("fullpath").is_some_and(Value::is_string));
        usable.cloned().collect()
    }

    /// The ids in one of its wrappers, in order.
    fn members(&self, kind: Kind) -> Vec<Uuid> {
        self.doc
            .get(kind.plural())
            .map(live_ids)
            .unwrap_or_default()
    }

    /// Every object that this one says it is associated with.
    fn links(&self) -> Vec<(Kind, String)> {
        let many = |kind: Kind| {
            let ids = self.members(kind).into_iter();
            ids.map(move |id| (kind, id.to_string()))
        };
        let one = |kind: Kind| {
            let id = self
                .doc
                .get(kind.noun())
                .and_then(|one| uuid(one.get("id")));
            id.map(|id| (kind, id))
        };
        match self.kind {
            Kind::Conversation => [Kind::Annotation, Kind::Asset, Kind::Anchor, Kind::Website]
                .into_iter()
                .flat_map(many)
                .collect(),
            Kind::Message => many(Kind::Annotation).collect(),
            Kind::Asset => [
                Kind::Annotation,
                Kind::Anchor,
                Kind::Conversation,
                Kind::Website,
            ]
            .into_iter()
            .flat_map(many)
            .collect(),
            Kind::Anchor => [
                Kind::Annotation,
                Kind::Asset,
                Kind::Conversation,
                Kind::Message,
            ]
            .into_iter()
            .flat_map(many)
            .collect(),
            Kind::Annotation => annotation::ABOUT
                .into_iter()
                .filter_map(one)
                .chain(annotation::ABOUT.into_iter().flat_map(many))
                .chain(many(Kind::Message))
                .collect(),
            Kind::Website => [Kind::Asset, Kind::Conversation, Kind::Message]
                .into_iter()
                .flat_map(many)
                .collect(),
            Kind::Format | Kind::Point | Kind::Application => Vec::new(),
        }
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

fn uuid(value: Option<&Value>) -> Option<String> {
    let id = Uuid::parse_str(value?.as_str()?).ok()?;
    Some(id.to_string())
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

/// Whether an exporter replaced a part of a text by one of [`store::MARKERS`].
fn has_marker(value: &Value) -> bool {
    match value {
        Value::String(text) => store::MARKERS.iter().any(|marker| text.contains(marker)),
        Value::Array(items) => items.iter().any(has_marker),
        Value::Object(fields) => fields.values().any(has_marker),
        _ => false,
    }
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
