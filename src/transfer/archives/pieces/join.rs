//! Joins records into objects, and yields them in the order that the sink needs.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::out::{Out, Yield};
use super::conversations;
use super::parts::{Found, Parts};
use super::record::{Record, Records, Type, reference};
use crate::json::plural::live_ids;
use crate::service::Kind;
use crate::transfer::source::ours;

/// Records between two reports of progress.
const PROGRESS_EVERY: usize = 100;

/// What an archive had to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transfer::archives) enum Taken {
    Conversations,
    /// Only assets, and what belongs to them.
    Assets,
    Nothing,
}

/// One pass over all records.
pub(in crate::transfer::archives) struct Join<'a> {
    pub(super) records: &'a mut dyn Records,
    pub(super) out: &'a mut Out,
    /// The ids that were yielded.
    pub(super) taken: HashSet<Uuid>,
    /// Records with markers of the exporter.
    pub(super) redacted: BTreeMap<Type, u64>,
    /// Records that others list but that are missing.
    pub(super) missing: BTreeMap<Type, u64>,
}

impl<'a> Join<'a> {
    pub(in crate::transfer::archives) fn new(
        records: &'a mut dyn Records,
        out: &'a mut Out,
    ) -> Self {
        Self {
            records,
            out,
            taken: HashSet::new(),
            redacted: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// Yields conversations and everything that belongs to them; without conversations, assets and what belongs to those.
    pub(in crate::transfer::archives) fn run(&mut self) -> Yield<Taken> {
        let has = |of| self.records.count(of) > 0;
        let taken = match (
            has(Type::Conversation) || has(Type::Message),
            has(Type::Asset),
        ) {
            (true, _) => Taken::Conversations,
            (false, true) => Taken::Assets,
            (false, false) => return Ok(Taken::Nothing),
        };
        let of_assets = match taken {
            Taken::Assets => Some(self.listed_by_assets()?),
            _ => None,
        };
        let wanted = |record: &Record| {
            of_assets.as_ref().is_none_or(|listed| {
                listed.contains(&record.id)
                    || record
                        .object
                        .get("assets")
                        .is_some_and(|ids| !live_ids(ids).is_empty())
            })
        };
        self.websites(&wanted)?;
        self.assets()?;
        self.anchors(&wanted)?;
        conversations::run(self)?;
        self.annotations()?;
        Ok(taken)
    }

    /// Calls `each` for every record of a type that can be read; the others are reported.
    pub(super) fn each(
        &mut self,
        of: Type,
        mut each: impl FnMut(&mut Self, usize, Record) -> Yield,
    ) -> Yield {
        let total = self.records.count(of);
        for number in 0..total {
            if number % PROGRESS_EVERY == 0 {
                self.out
                    .progress(of.kind().plural(), number as u64, total as u64)?;
            }
            match self.records.read(of, number) {
                Ok(record) => {
                    if record.redacted {
                        *self.redacted.entry(of).or_default() += 1;
                    }
                    each(self, number, record)?;
                }
                Err(bad) => self.out.unreadable(of.kind(), bad.place, &bad.why)?,
            }
        }
        Ok(())
    }

    pub(super) fn put(&mut self, kind: Kind, id: Uuid, object: Map<String, Value>) -> Yield {
        self.taken.insert(id);
        self.out.put(kind, Value::Object(object))
    }

    fn websites(&mut self, wanted: &dyn Fn(&Record) -> bool) -> Yield {
        self.each(Type::Website, |join, _, record| {
            let url = record
                .object
                .get("url")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let start = url.get(..8).unwrap_or(url).to_ascii_lowercase();
            let is_web = start.starts_with("http://") || start == "https://";
            match (wanted(&record), is_web) {
                (false, _) => Ok(()),
                (true, true) => join.put(Kind::Website, record.id, record.object),
                (true, false) => {
                    join.out.left_out("website with another kind of address", 1);
                    Ok(())
                }
            }
        })
    }

    /// The websites and anchors that assets list.
    fn listed_by_assets(&mut self) -> Yield<HashSet<Uuid>> {
        let mut listed = HashSet::new();
        for number in 0..self.records.count(Type::Asset) {
            // Unreadable ones are reported when they are imported.
            if let Ok(record) = self.records.read(Type::Asset, number) {
                for kind in [Kind::Website, Kind::Anchor] {
                    listed.extend(
                        record
                            .object
                            .get(kind.plural())
                            .map(live_ids)
                            .into_iter()
                            .flatten(),
                    );
                }
            }
        }
        Ok(listed)
    }

    /// Assets with the contents of their formats.
    fn assets(&mut self) -> Yield {
        let formats = Parts::list(self, Type::Format, "asset", Type::Asset)?;
        self.each(Type::Asset, |join, _, mut record| {
            let original = record
                .object
                .get("original")
                .and_then(|one| reference(one, Type::Format));
            let mut inline: Vec<Value> = Vec::new();
            if let Some(original) = record.object.get("original") {
                inline.push(original.clone());
            }
            inline.extend(listed(&record.object, "formats"));
            let mut found = formats.of(join.records, record.id, inline, is_content)?;
            found.parts.iter_mut().for_each(drop_markers);
            let with_text = found.parts.iter().filter(|part| is_content(part)).count();
            if with_text == 0 {
                let place = format!("asset {}", record.id);
                return join.out.unreadable(
                    Kind::Asset,
                    place,
                    "its content is not in the archive",
                );
            }
            found.parts.retain(is_content);
            found.parts.sort_by_key(|part| {
                original.is_none() || reference(part, Type::Format) != original
            });
            if let Some(first) = found.parts.first().and_then(|part| part.get("id")).cloned() {
                record
                    .object
                    .insert("original".to_owned(), serde_json::json!({"id": first}));
            }
            record.object.insert(
                "formats".to_owned(),
                serde_json::json!({"iterable": found.parts}),
            );
            let has_base = |preview: &Value| preview.get("base").is_some_and(Value::is_object);
            if record
                .object
                .get("preview")
                .is_some_and(|preview| !has_base(preview))
            {
                record.object.remove("preview");
            }
            join.put(Kind::Asset, record.id, record.object)
        })
    }

    /// Anchors with the paths of their points.
    fn anchors(&mut self, wanted: &dyn Fn(&Record) -> bool) -> Yield {
        let points = Parts::list(self, Type::Point, "anchor", Type::Anchor)?;
        self.each(Type::Anchor, |join, _, mut record| {
            if !wanted(&record) {
                return Ok(());
            }
            let inline = listed(&record.object, "points").collect();
            let Found { mut parts } = points.of(join.records, record.id, inline, is_path)?;
            parts.retain(is_path);
            if parts.is_empty() {
                join.out.left_out("anchor without a path", 1);
                return Ok(());
            }
            record
                .object
                .insert("points".to_owned(), serde_json::json!({"iterable": parts}));
            join.put(Kind::Anchor, record.id, record.object)
        })
    }

    /// The annotations of imported objects: archives have very many others.
    fn annotations(&mut self) -> Yield {
        self.each(Type::Annotation, |join, _, record| {
            let singles = [
                ("conversation", Type::Conversation),
                ("asset", Type::Asset),
                ("anchor", Type::Anchor),
            ];
            let singles = singles
                .into_iter()
                .filter_map(|(field, of)| record.reference(field, of));
            let messages = record
                .object
                .get("messages")
                .map(live_ids)
                .unwrap_or_default();
            let is_about = singles.chain(messages).any(|id| join.taken.contains(&id));
            let object = Value::Object(record.object);
            if !is_about || !ours(Kind::Annotation, &object) {
                return Ok(());
            }
            join.out.put(Kind::Annotation, object)
        })
    }
}

/// The items of a plural wrapper, as written.
fn listed<'a>(
    object: &'a Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = Value> + use<'a> {
    let wrapper = object.get(field);
    let items = wrapper
        .and_then(|wrapper| wrapper.get("iterable"))
        .and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether a format has a text or bytes.
fn is_content(format: &Value) -> bool {
    ["fragment", "file"].iter().any(|field| {
        let carrier = format.get(field);
        let has = |inner: &str| carrier.and_then(|carrier| carrier.get(inner)?.get("raw"));
        has("string").is_some_and(Value::is_string) || has("bytes").is_some_and(Value::is_array)
    })
}

fn is_path(point: &Value) -> bool {
    point.get("fullpath").is_some_and(Value::is_string)
}

/// Removes the `{"export_status": …}` that the exporter wrote in place of bytes: it is neither content nor a size.
fn drop_markers(format: &mut Value) {
    let is_marker = |bytes: &Value| bytes.get("export_status").is_some();
    let drop_from = |object: &mut Value| {
        if object.get("bytes").is_some_and(is_marker)
            && let Some(object) = object.as_object_mut()
        {
            object.remove("bytes");
        }
    };
    drop_from(format);
    for field in ["fragment", "file"] {
        if let Some(carrier) = format.get_mut(field) {
            drop_from(carrier);
        }
    }
}
