//! Writes objects to the local service, many at a time, and counts what became of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Error;
use super::local::Local;
use super::report::{Counts, Kind, Report};
use crate::pieces::Client;
use crate::pieces::wire::live_ids;

/// Objects in one request, which is one transaction.
const MOST: usize = 500;
/// Bytes in one request, about.
const SIZE: usize = 4 << 20;
/// The largest object that is sent; the service takes 32 MiB in all.
const LARGEST: usize = 31 << 20;
/// Objects that are compared in one request.
const HEADS: usize = 2_000;

/// Where objects go.
pub(super) struct Sink {
    client: Client,
    dry_run: bool,
    pub(super) report: Report,
    /// What has been here, so that nothing is counted twice.
    seen: HashMap<Uuid, Kind>,
    /// Associations that only the other end mentioned so far.
    ties: HashMap<Uuid, Vec<(Kind, Uuid)>>,
    body: Vec<u8>,
    /// What is in `body`, in its order.
    batch: Vec<Sent>,
    /// The conversation whose messages are coming.
    conversation: Option<Current>,
}

struct Sent {
    kind: Kind,
    id: Uuid,
    /// It is there for the sake of others and has been counted before.
    again: bool,
}

struct Current {
    id: Uuid,
    text: Vec<u8>,
    /// In the batch that is being filled.
    here: bool,
}

/// How an object compares to what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not here.
    New,
    /// It is here, and older.
    Newer,
    /// It is here, and not older.
    Same,
}

/// An object as far as it takes to compare it.
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) id: Uuid,
    /// `updated` as it came.
    pub(super) updated: Value,
    /// The conversation of a message.
    pub(super) conversation: Option<Uuid>,
}

impl Sink {
    pub(super) fn new(client: Client, dry_run: bool) -> Self {
        Self {
            client,
            dry_run,
            report: Report::default(),
            seen: HashMap::new(),
            ties: HashMap::new(),
            body: Vec::new(),
            batch: Vec::new(),
            conversation: None,
        }
    }

    /// Adds an object as it is on the wire; one that has been here before is dropped.
    pub(super) async fn put(&mut self, kind: Kind, mut object: Value) -> Result<(), Error> {
        let Some(id) = id_of(&object) else {
            self.report.unreadable(kind, None, "it has no usable id");
            return Ok(());
        };
        if !self.first_time(kind, id) {
            return Ok(());
        }
        self.note(kind, &object);
        if let Some(ties) = self.ties.remove(&id)
            && let Value::Object(object) = &mut object
        {
            ties.into_iter()
                .for_each(|(kind, other)| tie(object, kind, other));
        }
        let owner = object.get("conversation").and_then(id_of);
        let text = json!({kind.noun(): object}).to_string().into_bytes();
        if text.len() > LARGEST {
            let why = format!("it is larger than {} MiB", LARGEST >> 20);
            self.report.unreadable(kind, Some(id), why);
            return Ok(());
        }
        // A conversation stays with its messages where they fit: they become visible together.
        let room = if kind == Kind::Conversation { 2 } else { 1 };
        if self.batch.len() >= MOST / room || self.body.len() + text.len() > SIZE / room {
            self.flush().await?;
        }
        match kind {
            Kind::Conversation => {
                self.push(kind, id, &text, false);
                self.conversation = Some(Current {
                    id,
                    text,
                    here: true,
                });
            }
            Kind::Message => {
                if let Some(current) = &mut self.conversation
                    && Some(current.id) == owner
                    && !current.here
                {
                    current.here = true;
                    let (id, text) = (current.id, current.text.clone());
                    self.push(Kind::Conversation, id, &text, true);
                }
                self.push(kind, id, &text, false);
            }
            _ => self.push(kind, id, &text, false),
        }
        Ok(())
    }

    /// Counts objects as unchanged that have been compared and need not be sent.
    pub(super) fn unchanged(&mut self, kind: Kind, ids: impl IntoIterator<Item = Uuid>) {
        for id in ids {
            if self.first_time(kind, id) {
                self.report.count(kind, |counts| counts.unchanged += 1);
            }
        }
    }

    /// Remembers what an object is associated with, for the sake of ends that do not mention it.
    pub(super) fn note(&mut self, kind: Kind, object: &Value) {
        let Some(id) = id_of(object) else { return };
        for other in Kind::ALL.into_iter().filter(|other| *other > kind) {
            // The messages of a conversation are its own.
            if (kind, other) == (Kind::Conversation, Kind::Message) {
                continue;
            }
            for end in object
                .get(other.plural())
                .map(live_ids)
                .into_iter()
                .flatten()
            {
                if !self.seen.contains_key(&end) {
                    self.ties.entry(end).or_default().push((kind, id));
                }
            }
        }
    }

    /// How each object compares to what is here.
    pub(super) async fn compare(&self, heads: &[Head]) -> Result<Vec<Verdict>, Error> {
        let mut verdicts = Vec::with_capacity(heads.len());
        for heads in heads.chunks(HEADS) {
            let objects: Vec<_> = heads.iter().map(Head::object).collect();
            let body = json!({"heads": true, "objects": objects}).to_string();
            let outcomes = Local::post(&self.client, body.into_bytes()).await?;
            verdicts.extend(outcomes.iter().map(|outcome| match outcome.as_str() {
                Some("unchanged") => Verdict::Same,
                Some("updated") => Verdict::Newer,
                // What cannot be kept is found out when all of it is there.
                _ => Verdict::New,
            }));
        }
        if verdicts.len() != heads.len() {
            return Err(surprised());
        }
        Ok(verdicts)
    }

    /// Sends what is waiting.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let mut body = std::mem::take(&mut self.body);
        body.extend_from_slice(b"]}");
        if let Some(current) = &mut self.conversation {
            current.here = false;
        }
        let batch = std::mem::take(&mut self.batch);
        let outcomes = Local::post(&self.client, body).await?;
        if outcomes.len() != batch.len() {
            return Err(surprised());
        }
        for (sent, outcome) in batch.iter().zip(outcomes) {
            if sent.again {
                continue;
            }
            let count: fn(&mut Counts) = match outcome.as_str() {
                Some("new") => |counts| counts.new += 1,
                Some("updated") => |counts| counts.updated += 1,
                Some("unchanged") => |counts| counts.unchanged += 1,
                _ => {
                    let why = outcome.get("unreadable").and_then(Value::as_str);
                    let why = why.unwrap_or("the local service cannot keep it");
                    self.report.unreadable(sent.kind, Some(sent.id), why);
                    continue;
                }
            };
            self.report.count(sent.kind, count);
        }
        Ok(())
    }

    /// `false`: it has been counted already.
    fn first_time(&mut self, kind: Kind, id: Uuid) -> bool {
        match self.seen.entry(id) {
            Entry::Vacant(slot) => {
                slot.insert(kind);
                true
            }
            Entry::Occupied(slot) => {
                if *slot.get() != kind {
                    let why = format!("its id belongs to a {}", slot.get().noun());
                    self.report.unreadable(kind, Some(id), why);
                }
                false
            }
        }
    }

    fn push(&mut self, kind: Kind, id: Uuid, text: &[u8], again: bool) {
        if self.batch.is_empty() {
            let head = format!("{{\"dryRun\":{},\"objects\":[", self.dry_run);
            self.body.extend_from_slice(head.as_bytes());
        } else {
            self.body.push(b',');
        }
        self.body.extend_from_slice(text);
        self.batch.push(Sent { kind, id, again });
    }
}

impl Head {
    /// Of an object that was listed.
    pub(super) fn of(kind: Kind, id: Uuid, object: &Value) -> Self {
        let updated = object.get("updated").or(object.get("created"));
        Self {
            kind,
            id,
            updated: updated.cloned().unwrap_or_default(),
            conversation: object.get("conversation").and_then(id_of),
        }
    }

    fn object(&self) -> Value {
        let mut object = json!({"id": self.id, "updated": self.updated});
        if let Some(id) = self.conversation {
            object["conversation"] = json!({"id": id});
        }
        json!({self.kind.noun(): object})
    }
}

/// The `id` of an object or reference, if it is a UUID.
pub(super) fn id_of(object: &Value) -> Option<Uuid> {
    Uuid::parse_str(object.get("id")?.as_str()?).ok()
}

/// Lets an object mention that it is associated with another.
fn tie(object: &mut Map<String, Value>, kind: Kind, id: Uuid) {
    let singular = matches!(kind, Kind::Conversation | Kind::Asset | Kind::Anchor);
    // Annotations are the ones that have text of their own; they name what they are about.
    if singular && object.contains_key("text") {
        let slot = object.entry(kind.noun()).or_insert(Value::Null);
        if slot.is_null() {
            *slot = json!({"id": id});
        }
        return;
    }
    let wrapper = object.entry(kind.plural()).or_insert(Value::Null);
    if live_ids(wrapper).contains(&id) {
        return;
    }
    if !wrapper.is_object() {
        *wrapper = json!({});
    }
    if let Some(items) = wrapper
        .as_object_mut()
        .map(|wrapper| wrapper.entry("iterable").or_insert(json!([])))
        .and_then(Value::as_array_mut)
    {
        items.push(json!({"id": id}));
    }
}

fn surprised() -> Error {
    Error::new(
        "The local service answered something unexpected; end the other pieces-lsp processes and try again.",
    )
}
