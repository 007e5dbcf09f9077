//! Builds responses from stored documents, columns and associations.
//!
//! There are many conversations and messages, so their stored text is spliced without being parsed; other
//! objects are built as values.

use std::collections::HashMap;

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::{
    Failure,
    store::{self, Kind, Link, Live, Row, Store},
    time,
};

/// Writes the objects of one response.
pub(crate) struct View<'a> {
    db: &'a Connection,
    /// Adds which conversations are being answered.
    live: Option<&'a Live>,
    now: i64,
    /// Whether raw content is included.
    transferables: bool,
    /// For an export: without time phrases, and nothing twice.
    export: bool,
    /// Anchors as embedded in conversations, by their sequence number.
    anchors: HashMap<i64, String>,
}

impl<'a> View<'a> {
    pub(crate) fn new(store: &'a Store, db: &'a Connection, transferables: bool) -> Self {
        Self {
            live: Some(store.live()),
            ..Self::plain(db, transferables)
        }
    }

    fn plain(db: &'a Connection, transferables: bool) -> Self {
        Self {
            db,
            live: None,
            now: time::now(),
            transferables,
            export: false,
            anchors: HashMap::new(),
        }
    }

    /// For an export: nothing that depends on the time of reading, and every content once.
    pub(crate) fn for_export(db: &'a Connection) -> Self {
        Self {
            export: true,
            ..Self::plain(db, true)
        }
    }

    /// Writes one object.
    pub(crate) fn one(&mut self, row: &Row) -> Result<String, Failure> {
        let mut out = String::new();
        self.many(std::slice::from_ref(row), &mut |_, object| {
            out.push_str(object)
        })?;
        Ok(out)
    }

    /// Passes each object's id and JSON to `to`. The rows are of one kind, in insertion order.
    pub(crate) fn many(
        &mut self,
        rows: &[Row],
        to: &mut dyn FnMut(&str, &str),
    ) -> Result<(), Failure> {
        let Some(kind) = rows.first().map(|row| row.kind) else {
            return Ok(());
        };
        if kind == Kind::Conversation {
            return self.conversations(rows, to);
        }
        for row in rows {
            let object = match kind {
                Kind::Message => self.message(row)?,
                Kind::Asset => self.asset(row)?.to_string(),
                Kind::Anchor => self.anchor(row)?.to_string(),
                Kind::Annotation => self.annotation(row)?.to_string(),
                Kind::Website => self.website(row)?.to_string(),
                Kind::Format => self.format(row)?.to_string(),
                Kind::Conversation | Kind::Point | Kind::Application => {
                    Value::Object(self.base(row)?).to_string()
                }
            };
            to(&row.id, &object);
        }
        Ok(())
    }

    fn conversations(
        &mut self,
        rows: &[Row],
        to: &mut dyn FnMut(&str, &str),
    ) -> Result<(), Failure> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(());
        };
        let messages = store::owned(self.db, Kind::Message, first.seq, last.seq)?;
        let links = store::linked(self.db, Kind::Conversation, first.seq, last.seq)?;
        let (mut messages, mut links) = (messages.as_slice(), links.as_slice());
        let mut out = String::new();
        for row in rows {
            let own_messages = take(&mut messages, row.seq, |(owner, _)| *owner);
            let own_links = take(&mut links, row.seq, |(a, _)| *a);
            out.clear();
            self.open(&mut out, row);
            plural(
                &mut out,
                Kind::Message,
                own_messages.iter().map(|(_, id)| (id.as_str(), None)),
            );
            for kind in [Kind::Annotation, Kind::Asset, Kind::Website] {
                let of_kind = own_links.iter().filter(|(_, link)| link.kind == kind);
                plural(
                    &mut out,
                    kind,
                    of_kind.map(|(_, link)| (link.id.as_str(), None)),
                );
            }
            let anchors = || {
                own_links
                    .iter()
                    .filter(|(_, link)| link.kind == Kind::Anchor)
            };
            for (_, link) in anchors() {
                self.remember_anchor(link)?;
            }
            let embedded = anchors().map(|(_, link)| {
                (
                    link.id.as_str(),
                    self.anchors.get(&link.seq).map(String::as_str),
                )
            });
            plural(&mut out, Kind::Anchor, embedded);
            let live = self
                .live
                .map(|live| live.add(&row.id, &row.doc))
                .transpose()?;
            close(&mut out, live.flatten().as_deref().unwrap_or(&row.doc));
            to(&row.id, &out);
        }
        Ok(())
    }

    /// An embedded anchor includes its paths, so that a client learns the files of all conversations from one
    /// response. It is kept short: there may be one per conversation.
    fn remember_anchor(&mut self, link: &Link) -> Result<(), Failure> {
        if self.anchors.contains_key(&link.seq) {
            return Ok(());
        }
        let row = store::get(self.db, Kind::Anchor, &link.id)?;
        let mut anchor = match self.export {
            // Its own line has the rest.
            true => Map::new(),
            false => row.object()?,
        };
        anchor.insert("id".to_owned(), row.id.clone().into());
        anchor.insert(
            "created".to_owned(),
            json!({"value": time::iso(row.created)}),
        );
        anchor.insert(
            "updated".to_owned(),
            json!({"value": time::iso(row.updated)}),
        );
        anchor.insert("points".to_owned(), self.points(&row)?);
        self.anchors
            .insert(link.seq, Value::Object(anchor).to_string());
        Ok(())
    }

    fn message(&self, row: &Row) -> Result<String, Failure> {
        let mut out = String::new();
        self.open(&mut out, row);
        if let Some(conversation) = row
            .owner
            .map(|seq| store::by_seq(self.db, seq))
            .transpose()?
            .flatten()
        {
            out.push_str(",\"conversation\":{\"id\":\"");
            out.push_str(&conversation.id);
            out.push_str("\"}");
        }
        let links = store::neighbours(self.db, row.seq)?;
        let annotations = links.iter().filter(|link| link.kind == Kind::Annotation);
        plural(
            &mut out,
            Kind::Annotation,
            annotations.map(|link| (link.id.as_str(), None)),
        );
        if self.transferables {
            close(&mut out, &row.doc);
        } else {
            let mut doc = row.object()?;
            doc.remove("fragment");
            close(&mut out, &Value::Object(doc).to_string());
        }
        Ok(out)
    }

    /// An asset with each format once: clients find them again in `original` and `preview`, imports do not
    /// need them there.
    fn exported_asset(&self, row: &Row) -> Result<Value, Failure> {
        let formats = store::owned_rows(self.db, Kind::Format, row.seq)?;
        let mut asset = self.base(row)?;
        if let Some(format) = formats.first() {
            asset.insert("original".to_owned(), json!({"id": format.id}));
        }
        let full: Result<Vec<_>, Failure> = formats
            .iter()
            .map(|format| Ok(Value::Object(self.base(format)?)))
            .collect();
        let ids = formats.iter().map(|format| format.id.as_str());
        asset.insert("formats".to_owned(), wrapper(ids, full?));
        let kinds = [
            Kind::Anchor,
            Kind::Annotation,
            Kind::Conversation,
            Kind::Website,
        ];
        self.references(row, &kinds, &mut asset)?;
        Ok(Value::Object(asset))
    }

    fn asset(&mut self, row: &Row) -> Result<Value, Failure> {
        if self.export {
            return self.exported_asset(row);
        }
        let formats = store::owned_rows(self.db, Kind::Format, row.seq)?;
        let links = store::neighbours(self.db, row.seq)?;
        let mut asset = self.base(row)?;
        let mut full = Vec::new();
        let mut flat = Vec::new();
        for format in &formats {
            let value = self.base_of_format(format)?;
            full.push(with(
                value.clone(),
                "asset",
                self.flattened(row, &asset, &formats),
            ));
            flat.push(with(value, "asset", row.id.clone().into()));
        }
        if let (Some(format), Some(flat)) = (formats.first(), flat.into_iter().next()) {
            let reference = json!({"id": format.id, "reference": flat});
            asset.insert("preview".to_owned(), json!({"base": reference}));
            asset.insert("original".to_owned(), reference);
        }
        asset.insert(
            "formats".to_owned(),
            wrapper(formats.iter().map(|f| f.id.as_str()), full),
        );
        for kind in [Kind::Anchor, Kind::Annotation, Kind::Website] {
            let ids = || {
                links
                    .iter()
                    .filter(|link| link.kind == kind)
                    .map(|link| link.id.as_str())
            };
            let mut objects = Vec::new();
            for id in ids() {
                let row = store::get(self.db, kind, id)?;
                objects.push(match kind {
                    Kind::Anchor => self.anchor(&row)?,
                    Kind::Annotation => self.annotation(&row)?,
                    _ => self.website(&row)?,
                });
            }
            asset.insert(kind.plural().to_owned(), wrapper(ids(), objects));
        }
        let conversations = links.iter().filter(|link| link.kind == Kind::Conversation);
        let conversations = wrapper(conversations.map(|link| link.id.as_str()), Vec::new());
        asset.insert("conversations".to_owned(), conversations);
        Ok(Value::Object(asset))
    }

    /// The asset as embedded in its own formats.
    fn flattened(&self, row: &Row, asset: &Map<String, Value>, formats: &[Row]) -> Value {
        let mut flat = Map::new();
        for key in ["id", "name", "creator", "created", "updated", "mechanism"] {
            if let Some(value) = asset.get(key) {
                flat.insert(key.to_owned(), value.clone());
            }
        }
        let id = formats
            .first()
            .map_or(row.id.as_str(), |format| format.id.as_str());
        flat.insert("original".to_owned(), id.into());
        flat.insert("preview".to_owned(), json!({"base": id}));
        // Each format of an asset embeds this, so listing all of them would be quadratic.
        let formats = &formats[..formats.len().min(16)];
        let references = formats
            .iter()
            .map(|format| json!({"id": format.id}))
            .collect();
        flat.insert(
            "formats".to_owned(),
            wrapper(formats.iter().map(|f| f.id.as_str()), references),
        );
        Value::Object(flat)
    }

    fn base_of_format(&self, row: &Row) -> Result<Map<String, Value>, Failure> {
        let mut format = self.base(row)?;
        if !self.transferables {
            format.remove("fragment");
            format.remove("file");
        }
        Ok(format)
    }

    fn format(&self, row: &Row) -> Result<Value, Failure> {
        let format = self.base_of_format(row)?;
        let Some(owner) = row
            .owner
            .map(|seq| store::by_seq(self.db, seq))
            .transpose()?
            .flatten()
        else {
            return Ok(Value::Object(format));
        };
        let asset = store::get(self.db, Kind::Asset, &owner.id)?;
        let formats = store::owned_rows(self.db, Kind::Format, asset.seq)?;
        let flat = self.flattened(&asset, &self.base(&asset)?, &formats);
        Ok(with(format, "asset", flat))
    }

    fn anchor(&self, row: &Row) -> Result<Value, Failure> {
        let mut anchor = self.base(row)?;
        anchor.insert("points".to_owned(), self.points(row)?);
        let kinds = [
            Kind::Asset,
            Kind::Annotation,
            Kind::Conversation,
            Kind::Message,
        ];
        self.references(row, &kinds, &mut anchor)?;
        Ok(Value::Object(anchor))
    }

    fn points(&self, anchor: &Row) -> Result<Value, Failure> {
        let points = store::owned_rows(self.db, Kind::Point, anchor.seq)?;
        let mut references = Vec::with_capacity(points.len());
        for point in &points {
            let mut reference = self.base(point)?;
            reference.insert("anchor".to_owned(), json!({"id": anchor.id}));
            references.push(json!({"id": point.id, "reference": reference}));
        }
        Ok(wrapper(
            points.iter().map(|point| point.id.as_str()),
            references,
        ))
    }

    fn annotation(&self, row: &Row) -> Result<Value, Failure> {
        let mut annotation = self.base(row)?;
        for link in store::neighbours(self.db, row.seq)? {
            if matches!(link.kind, Kind::Asset | Kind::Anchor | Kind::Conversation) {
                annotation.insert(link.kind.noun().to_owned(), json!({"id": link.id}));
            }
        }
        self.references(row, &[Kind::Message], &mut annotation)?;
        Ok(Value::Object(annotation))
    }

    fn website(&self, row: &Row) -> Result<Value, Failure> {
        let mut website = self.base(row)?;
        // Optional in the API, but the Python SDK 4 cannot read a list without it.
        website.entry("mechanisms").or_insert_with(|| json!({}));
        self.references(
            row,
            &[Kind::Asset, Kind::Conversation, Kind::Message],
            &mut website,
        )?;
        Ok(Value::Object(website))
    }

    fn references(
        &self,
        row: &Row,
        kinds: &[Kind],
        object: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        let links = store::neighbours(self.db, row.seq)?;
        for kind in kinds {
            let ids = || {
                links
                    .iter()
                    .filter(|link| link.kind == *kind)
                    .map(|link| link.id.as_str())
            };
            let references = ids().map(|id| json!({"id": id})).collect();
            object.insert(kind.plural().to_owned(), wrapper(ids(), references));
        }
        Ok(())
    }

    /// The stored document with id and times.
    fn base(&self, row: &Row) -> Result<Map<String, Value>, Failure> {
        let mut head = String::new();
        self.open(&mut head, row);
        close(&mut head, &row.doc);
        Ok(serde_json::from_str(&head)?)
    }

    fn write_time(&self, out: &mut String, micros: i64) {
        if self.export {
            time::write_value(out, micros);
        } else {
            time::write_grouped(out, micros, self.now);
        }
    }

    fn open(&self, out: &mut String, row: &Row) {
        out.push_str("{\"id\":\"");
        out.push_str(&row.id);
        out.push_str("\",\"created\":");
        self.write_time(out, row.created);
        out.push_str(",\"updated\":");
        self.write_time(out, row.updated);
    }
}

/// Ends an open object with the fields of a stored document.
fn close(out: &mut String, doc: &str) {
    match doc.strip_prefix('{') {
        Some("}") | None => out.push('}'),
        Some(fields) => {
            out.push(',');
            out.push_str(fields);
        }
    }
}

/// Splits off the leading items that belong to `seq`, skipping those of earlier objects.
fn take<'i, T>(items: &mut &'i [T], seq: i64, of: impl Fn(&T) -> i64) -> &'i [T] {
    let start = items.partition_point(|item| of(item) < seq);
    let end = start
        + items[start..]
            .iter()
            .take_while(|item| of(item) == seq)
            .count();
    let own = &items[start..end];
    *items = &items[end..];
    own
}

/// Writes `,"kinds":{"iterable":[…],"indices":{…}}`.
fn plural<'i>(out: &mut String, kind: Kind, ids: impl Iterator<Item = (&'i str, Option<&'i str>)>) {
    out.push_str(",\"");
    out.push_str(kind.plural());
    out.push_str("\":{\"iterable\":[");
    let mut indices = String::new();
    for (at, (id, reference)) in ids.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str("{\"id\":\"");
        out.push_str(id);
        out.push('"');
        if let Some(reference) = reference {
            out.push_str(",\"reference\":");
            out.push_str(reference);
        }
        out.push('}');
        write_index(&mut indices, id, at);
    }
    out.push_str("],\"indices\":{");
    out.push_str(&indices);
    out.push_str("}}");
}

/// Writes one entry of an `indices` object, after a comma where one is due.
pub(crate) fn write_index(out: &mut String, id: &str, at: usize) {
    use std::fmt::Write as _;
    let comma = if out.is_empty() { "" } else { "," };
    // Writing to a String cannot fail.
    let _ = write!(out, "{comma}\"{id}\":{at}");
}

fn wrapper<'i>(ids: impl Iterator<Item = &'i str>, iterable: Vec<Value>) -> Value {
    let indices: Map<_, _> = ids
        .enumerate()
        .map(|(at, id)| (id.to_owned(), at.into()))
        .collect();
    json!({"iterable": iterable, "indices": indices})
}

fn with(mut object: Map<String, Value>, key: &str, value: Value) -> Value {
    object.insert(key.to_owned(), value);
    Value::Object(object)
}

#[cfg(test)]
mod tests;
