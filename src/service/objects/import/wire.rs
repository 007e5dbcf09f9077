//! An object in wire format, as an import reads it.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::json::plural::live_ids;
use crate::service::{
    objects::{annotation, asset, seed::set_default},
    store::{self, Kind},
    time,
};

/// Largest object with its parts, in bytes: more than two documents of any other origin, so that every export
/// can be imported again.
const MAX_SIZE: usize = 3 * store::MAX_DOC;
/// Maximum formats of an asset, or paths of an anchor.
const MAX_PARTS: usize = 1_000;

/// One incoming object.
pub(super) struct Wire {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// The conversation of a message.
    pub(super) owner: Option<String>,
    pub(super) updated: i64,
    /// As received, with readable times.
    pub(super) doc: Map<String, Value>,
}

impl Wire {
    /// Reads `{"KIND": {…}}`, and completes it.
    pub(super) fn whole(object: Value) -> Result<Self, &'static str> {
        let mut wire = Self::head(object)?;
        wire.complete()?;
        Ok(wire)
    }

    /// Reads `{"KIND": {…}}` with at least the fields that decide about an import.
    pub(super) fn head(object: Value) -> Result<Self, &'static str> {
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

    pub(super) fn is_redacted(&self) -> bool {
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

    /// The text that search finds it by.
    pub(super) fn key(&self) -> Option<&str> {
        match self.kind {
            Kind::Website => self.doc.get("url").and_then(Value::as_str),
            _ => None,
        }
    }

    /// The formats of an asset, the original first: it has the text.
    pub(super) fn formats(&self) -> Vec<Value> {
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
    pub(super) fn points(&self) -> Vec<Value> {
        let listed = self.doc.get("points").and_then(|p| p.get("iterable"));
        let listed = listed.and_then(Value::as_array).into_iter().flatten();
        let points = listed.map(|point| point.get("reference").unwrap_or(point));
        let usable = points.filter(|point| point.get("fullpath").is_some_and(Value::is_string));
        usable.cloned().collect()
    }

    /// The ids in one of its wrappers, in order.
    pub(super) fn members(&self, kind: Kind) -> Vec<Uuid> {
        self.doc
            .get(kind.plural())
            .map(live_ids)
            .unwrap_or_default()
    }

    /// Every object that this one says it is associated with.
    pub(super) fn links(&self) -> Vec<(Kind, String)> {
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
}

pub(super) fn uuid(value: Option<&Value>) -> Option<String> {
    let id = Uuid::parse_str(value?.as_str()?).ok()?;
    Some(id.to_string())
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
