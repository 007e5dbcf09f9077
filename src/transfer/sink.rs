//! Writes objects to the local service in batches, and counts the outcomes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Error;
use super::local::Local;
use super::report::{Counts, Report};
use crate::json::plural::live_ids;
use crate::pieces::Client;
use crate::service::{self, Kind};

/// Maximum objects in one request, which is one transaction.
const MAX_OBJECTS: usize = 500;
/// Approximate bytes in one request.
const BATCH_BYTES: usize = 4 << 20;
/// Largest object that is sent, in bytes; the rest of a request needs little more.
const MAX_OBJECT_BYTES: usize = service::MAX_IMPORT - (1 << 20);
/// Objects compared in one request.
const MAX_HEADS: usize = 2_000;
/// Objects in a row that the service may fail to store; then it is not the objects.
const MAX_FAILURES: u32 = 3;

/// The target of a copy.
pub(super) struct Sink {
    client: Client,
    dry_run: bool,
    pub(super) report: Report,
    /// Objects already seen, so that none is counted twice.
    seen: HashMap<Uuid, Kind>,
    /// Associations that only the other end has mentioned so far.
    ties: HashMap<Uuid, Vec<(Kind, Uuid)>>,
    /// Objects queued for sending, in order, and their length in bytes.
    batch: Vec<Sent>,
    size: usize,
    /// The conversation whose messages follow.
    conversation: Option<Current>,
    /// Objects in a row that the service failed to store.
    failures: u32,
}

struct Sent {
    kind: Kind,
    id: Uuid,
    /// `{"KIND": {…}}`.
    text: Vec<u8>,
    /// Included for other objects and already counted.
    again: bool,
}

struct Current {
    id: Uuid,
    text: Vec<u8>,
    /// In the current batch.
    here: bool,
}

/// How an object compares with the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not stored.
    New,
    /// The stored one is older.
    Newer,
    /// The stored one is not older.
    Same,
}

/// The fields of an object that decide the comparison.
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) id: Uuid,
    /// `updated` as received.
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
            batch: Vec::new(),
            size: 0,
            conversation: None,
            failures: 0,
        }
    }

    /// Adds an object in wire format; drops one that was added before.
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
            add_ties(kind, object, ties);
        }
        let owner = object.get("conversation").and_then(id_of);
        // The object may be large: it is not copied, and it is dropped before the batch is sent.
        let text = format!("{{\"{}\":{object}}}", kind.noun()).into_bytes();
        drop(object);
        if text.len() > MAX_OBJECT_BYTES {
            let why = format!("it is larger than {} MiB", MAX_OBJECT_BYTES >> 20);
            self.report.unreadable(kind, Some(id), why);
            return Ok(());
        }
        // A conversation and its messages stay in one batch if they fit: they become visible together.
        let room = if kind == Kind::Conversation { 2 } else { 1 };
        if self.batch.len() >= MAX_OBJECTS / room || self.size + text.len() > BATCH_BYTES / room {
            self.flush().await?;
        }
        match kind {
            Kind::Conversation => {
                self.push(kind, id, text.clone(), false);
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
                    self.push(Kind::Conversation, id, text, true);
                }
                self.push(kind, id, text, false);
            }
            _ => self.push(kind, id, text, false),
        }
        Ok(())
    }

    /// Counts objects as unchanged that were compared and need not be sent.
    pub(super) fn unchanged(&mut self, kind: Kind, ids: impl IntoIterator<Item = Uuid>) {
        for id in ids {
            if self.first_time(kind, id) {
                self.report.count(kind, |counts| counts.unchanged += 1);
            }
        }
    }

    /// Remembers an object's associations, for ends that do not mention them.
    pub(super) fn note(&mut self, kind: Kind, object: &Value) {
        let Some(id) = id_of(object) else { return };
        let later = Kind::ROUTED.into_iter().skip_while(|other| *other != kind);
        for other in later.skip(1) {
            // The messages of a conversation belong to it.
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

    /// How each object compares with the stored one.
    pub(super) async fn compare(&self, heads: &[Head]) -> Result<Vec<Verdict>, Error> {
        let mut verdicts = Vec::with_capacity(heads.len());
        for heads in heads.chunks(MAX_HEADS) {
            let objects: Vec<_> = heads.iter().map(Head::object).collect();
            let body = json!({"heads": true, "objects": objects}).to_string();
            let outcomes = Local::post(&self.client, body.into_bytes()).await?;
            verdicts.extend(outcomes.iter().map(|outcome| match outcome.as_str() {
                Some("unchanged") => Verdict::Same,
                Some("updated") => Verdict::Newer,
                // Whether it can be stored shows once it is complete.
                _ => Verdict::New,
            }));
        }
        if verdicts.len() != heads.len() {
            return Err(surprised());
        }
        Ok(verdicts)
    }

    /// Sends the queued objects. A batch that the service refuses is sent again in halves, until the refused
    /// object is found and counted as unreadable.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        if let Some(current) = &mut self.conversation {
            current.here = false;
        }
        self.size = 0;
        let batch = std::mem::take(&mut self.batch);
        let mut waiting = vec![batch.as_slice()];
        while let Some(batch) = waiting.pop() {
            if batch.is_empty() {
                continue;
            }
            match Local::post(&self.client, self.body(batch)).await {
                Ok(outcomes) if outcomes.len() == batch.len() => {
                    self.failures = 0;
                    for (sent, outcome) in batch.iter().zip(&outcomes) {
                        self.count(sent, outcome);
                    }
                }
                Ok(_) => return Err(surprised()),
                Err(error) if !error.is_refusal() => return Err(error),
                Err(error) => match batch {
                    [_] if self.is_failing(&error) => return Err(error),
                    [sent] => {
                        let why = format!("the local service refused it: {error}");
                        self.report.unreadable(sent.kind, Some(sent.id), why);
                    }
                    _ => {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        waiting.extend([second, first]);
                    }
                },
            }
        }
        Ok(())
    }

    /// Whether the service itself fails, whatever it is sent: the disk is full, or the store is read-only.
    fn is_failing(&mut self, error: &Error) -> bool {
        match error.cause.as_deref().and_then(|cause| cause.status) {
            Some(507) => true,
            Some(500..) => {
                self.failures += 1;
                self.failures >= MAX_FAILURES
            }
            _ => false,
        }
    }

    fn body(&self, batch: &[Sent]) -> Vec<u8> {
        let mut body = format!("{{\"dryRun\":{},\"objects\":[", self.dry_run).into_bytes();
        let length = batch.iter().map(|sent| sent.text.len() + 1).sum::<usize>();
        // Growing would copy it, and it may be large.
        body.reserve_exact(length + 2);
        for (at, sent) in batch.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&sent.text);
        }
        body.extend_from_slice(b"]}");
        body
    }

    fn count(&mut self, sent: &Sent, outcome: &Value) {
        if sent.again {
            return;
        }
        let count: fn(&mut Counts) = match outcome.as_str() {
            Some("new") => |counts| counts.new += 1,
            Some("updated") => |counts| counts.updated += 1,
            Some("unchanged") => |counts| counts.unchanged += 1,
            _ => {
                let why = outcome.get("unreadable").and_then(Value::as_str);
                let why = why.unwrap_or("the local service cannot keep it");
                return self.report.unreadable(sent.kind, Some(sent.id), why);
            }
        };
        self.report.count(sent.kind, count);
    }

    /// `false`: it was counted already.
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

    fn push(&mut self, kind: Kind, id: Uuid, text: Vec<u8>, again: bool) {
        self.size += text.len();
        self.batch.push(Sent {
            kind,
            id,
            text,
            again,
        });
    }
}

impl Head {
    /// Of a listed object.
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

/// Adds associations that only the other end mentioned. An annotation names one object of a kind itself; others
/// come in a list that only an import reads.
fn add_ties(what: Kind, object: &mut Map<String, Value>, ties: Vec<(Kind, Uuid)>) {
    let mut mentioned: HashMap<Kind, HashSet<Uuid>> = HashMap::new();
    for (kind, id) in ties {
        let singular = matches!(kind, Kind::Conversation | Kind::Asset | Kind::Anchor);
        if singular && what == Kind::Annotation {
            let named = object.entry(kind.noun()).or_insert(Value::Null);
            if named.is_null() {
                *named = json!({"id": id});
            }
            if id_of(named) == Some(id) {
                continue;
            }
        }
        let wrapper = object.entry(kind.plural()).or_insert(Value::Null);
        let mentioned = mentioned
            .entry(kind)
            .or_insert_with(|| live_ids(wrapper).into_iter().collect());
        if !mentioned.insert(id) {
            continue;
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
}

fn surprised() -> Error {
    Error::new(
        "The local service sent an unexpected response; end the other pieces-lsp processes and try again.",
    )
}

#[cfg(test)]
mod tests;
