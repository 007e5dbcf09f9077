//! Reads a running Pieces service: GET requests only, at most two in flight, each with a deadline.
//!
//! Lists come first, then the content of what is new or newer. What a list lacks, or a list that is
//! refused, costs single requests instead; what cannot be read even so is counted and skipped.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::sleep;
use uuid::Uuid;

use super::Error;
use super::report::{Kind, Progress};
use super::sink::{Head, Sink, Verdict, id_of};
use crate::pieces::wire::{self, live_ids};
use crate::pieces::{self, Client, Kind as Fault};

/// Requests in flight: the service takes a database lock per read.
const IN_FLIGHT: usize = 2;
/// Before a request that was refused is tried once more.
const PAUSE: Duration = Duration::from_millis(250);
/// Conversations whose messages are planned at once.
const CHUNK: usize = 200;

/// Copies everything from `client` into `sink`.
pub(super) async fn read(
    client: &Client,
    sink: &mut Sink,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Error> {
    let mut reader = Reader {
        client,
        sink,
        progress,
        refers: HashMap::new(),
    };
    let conversations = reader.list_conversations().await?;
    reader.refer(&conversations);
    reader.whole(Kind::Website).await?;
    reader.assets().await?;
    reader.whole(Kind::Anchor).await?;
    reader.conversations(conversations).await?;
    reader.whole(Kind::Annotation).await?;
    reader.sink.flush().await
}

struct Reader<'a> {
    client: &'a Client,
    sink: &'a mut Sink,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    /// Ids that others refer to.
    refers: HashMap<Kind, HashSet<Uuid>>,
}

/// What came of one request for one object.
enum Fetched {
    Object(Value),
    /// It is not there (any more).
    Gone,
    Unreadable(String),
}

/// A list as far as it could be read.
#[derive(Default)]
struct Listed {
    objects: Vec<(Uuid, Box<RawValue>)>,
    /// Named without being listed in full.
    named: Vec<Uuid>,
    /// Listed without an id that can be used.
    nameless: usize,
}

/// A conversation with its messages in order.
struct Read {
    conversation: Value,
    messages: Vec<Value>,
    unreadable: Vec<(Uuid, String)>,
}

impl Reader<'_> {
    async fn list_conversations(&self) -> Result<Listed, Error> {
        let listed = collection(self.client, "/conversations?transferables=false").await?;
        // A list may lack what its service cannot put into one answer; the ids are complete.
        let ids = self.client.identifier_ids().await;
        let mut listed = match (listed, &ids) {
            (Ok(listed), _) => listed,
            (Err(_), Ok(_)) => Listed::default(),
            (Err(why), Err(_)) => return Err(why.into()),
        };
        listed.add_named(ids.unwrap_or_default());
        Ok(listed)
    }

    /// Remembers what conversations or assets refer to.
    fn refer(&mut self, listed: &Listed) {
        for (_, object) in &listed.objects {
            let Ok(object) = wire::from_slice::<Value>(object.get().as_bytes()) else {
                continue;
            };
            self.refer_one(&object);
        }
    }

    fn refer_one(&mut self, object: &Value) {
        for kind in [Kind::Website, Kind::Asset, Kind::Anchor, Kind::Annotation] {
            let ids = object.get(kind.plural()).map(live_ids);
            self.refers
                .entry(kind)
                .or_default()
                .extend(ids.into_iter().flatten());
        }
    }

    /// A kind whose list has everything.
    async fn whole(&mut self, kind: Kind) -> Result<(), Error> {
        let path = match kind {
            Kind::Annotation => "/annotations".to_owned(),
            _ => format!("/{}?transferables=true", kind.plural()),
        };
        let mut listed = collection(self.client, &path).await?.unwrap_or_default();
        listed.add_named(self.refers.remove(&kind).unwrap_or_default());
        self.count_nameless(kind, &listed);
        let total = listed.len();
        let mut done = 0;
        for (id, object) in listed.objects {
            match wire::from_slice::<Value>(object.get().as_bytes()) {
                Ok(object) if ours(kind, &object) => self.sink.put(kind, object).await?,
                Ok(_) => {}
                Err(_) => self
                    .sink
                    .report
                    .unreadable(kind, Some(id), "it is not JSON"),
            }
            done += 1;
            self.tell(kind, done, total);
        }
        self.singly(kind, listed.named, done, total).await
    }

    /// Objects by id.
    async fn singly(
        &mut self,
        kind: Kind,
        ids: Vec<Uuid>,
        mut done: usize,
        total: usize,
    ) -> Result<(), Error> {
        let client = self.client;
        let mut fetched = stream::iter(ids)
            .map(|id| async move { Ok::<_, Error>((id, fetch(client, kind, id).await?)) })
            .buffered(IN_FLIGHT);
        while let Some((id, fetched)) = fetched.try_next().await? {
            match fetched {
                Fetched::Object(object) => self.sink.put(kind, object).await?,
                Fetched::Gone => {}
                Fetched::Unreadable(why) => self.sink.report.unreadable(kind, Some(id), why),
            }
            done += 1;
            self.tell(kind, done, total);
        }
        Ok(())
    }

    /// Assets: their list is read without content, which is then fetched of those that are wanted.
    async fn assets(&mut self) -> Result<(), Error> {
        let kind = Kind::Asset;
        let listed = collection(self.client, "/assets?transferables=false").await?;
        let mut listed = listed.unwrap_or_default();
        if let Ok(ids) = self.client.asset_identifiers().await {
            listed.add_named(ids);
        }
        listed.add_named(self.refers.remove(&kind).unwrap_or_default());
        self.count_nameless(kind, &listed);
        self.refer(&listed);
        let total = listed.len();

        let mut heads = Vec::with_capacity(listed.objects.len());
        for (id, object) in &listed.objects {
            match wire::from_slice::<Value>(object.get().as_bytes()) {
                Ok(object) => {
                    self.sink.note(kind, &object);
                    heads.push(Head::of(kind, *id, &object));
                }
                Err(_) => listed.named.push(*id),
            }
        }
        let verdicts = self.sink.compare(&heads).await?;
        let (kept, wanted): (Vec<_>, Vec<_>) = heads
            .iter()
            .map(|head| head.id)
            .zip(verdicts)
            .partition(|(_, verdict)| *verdict == Verdict::Same);
        let done = kept.len();
        self.sink
            .unchanged(kind, kept.into_iter().map(|(id, _)| id));
        self.tell(kind, done, total);
        let mut ids: Vec<_> = wanted.into_iter().map(|(id, _)| id).collect();
        ids.append(&mut listed.named);
        self.singly(kind, ids, done, total).await
    }

    async fn conversations(&mut self, listed: Listed) -> Result<(), Error> {
        let kind = Kind::Conversation;
        self.count_nameless(kind, &listed);
        let total = listed.len();
        let mut done = 0;
        // Of all messages what it takes to compare them; read when it first matters.
        let mut heads: Option<HashMap<Uuid, Head>> = None;
        let mut objects = listed.objects.into_iter();
        loop {
            let chunk: Vec<_> = objects.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            let mut conversations = Vec::with_capacity(chunk.len());
            for (id, object) in chunk {
                match wire::from_slice::<Value>(object.get().as_bytes()) {
                    Ok(object) => conversations.push(object),
                    Err(_) => self
                        .sink
                        .report
                        .unreadable(kind, Some(id), "it is not JSON"),
                }
            }
            let plan = self.plan(&conversations, &mut heads).await?;
            self.copy(conversations.into_iter().zip(plan), &mut done, total)
                .await?;
        }
        let client = self.client;
        let named: Vec<_> = stream::iter(listed.named)
            .map(|id| async move { Ok::<_, Error>((id, fetch(client, kind, id).await?)) })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut found = Vec::new();
        for (id, fetched) in named {
            match fetched {
                Fetched::Object(object) => {
                    self.refer_one(&object);
                    found.push((object, true));
                }
                Fetched::Gone => done += 1,
                Fetched::Unreadable(why) => {
                    self.sink.report.unreadable(kind, Some(id), why);
                    done += 1;
                }
            }
        }
        self.copy(found.into_iter(), &mut done, total).await
    }

    /// Whether the messages of each conversation have to be read: where one is new or newer, or
    /// there is no telling.
    async fn plan(
        &mut self,
        conversations: &[Value],
        heads: &mut Option<HashMap<Uuid, Head>>,
    ) -> Result<Vec<bool>, Error> {
        let own: Vec<_> = conversations
            .iter()
            .filter_map(|object| Some(Head::of(Kind::Conversation, id_of(object)?, object)))
            .collect();
        let verdicts = self.sink.compare(&own).await?;
        let mut plan: Vec<_> = verdicts
            .iter()
            .map(|verdict| *verdict != Verdict::New)
            .collect();
        if plan.iter().any(|known| *known) && heads.is_none() {
            *heads = Some(self.message_heads().await?);
        }
        let heads = heads.get_or_insert_default();
        // What is compared, and for which conversation.
        let mut compared = Vec::new();
        let mut of = Vec::new();
        for (at, conversation) in conversations.iter().enumerate() {
            let known = std::mem::replace(&mut plan[at], true);
            let ids = messages_of(conversation);
            if !known || !ids.iter().all(|id| heads.contains_key(id)) {
                continue;
            }
            plan[at] = false;
            for id in ids {
                if let Some(head) = heads.remove(&id) {
                    compared.push(Head {
                        conversation: id_of(conversation),
                        ..head
                    });
                    of.push(at);
                }
            }
        }
        let verdicts = self.sink.compare(&compared).await?;
        for (at, verdict) in of.iter().zip(&verdicts) {
            plan[*at] |= *verdict != Verdict::Same;
        }
        for (at, head) in of.iter().zip(&compared) {
            if !plan[*at] {
                self.sink.unchanged(Kind::Message, [head.id]);
            }
        }
        Ok(plan)
    }

    async fn message_heads(&self) -> Result<HashMap<Uuid, Head>, Error> {
        let listed = collection(self.client, "/messages?transferables=false").await?;
        let objects = listed.unwrap_or_default().objects;
        Ok(objects
            .into_iter()
            .filter_map(|(id, object)| {
                let object: Value = wire::from_slice(object.get().as_bytes()).ok()?;
                Some((id, Head::of(Kind::Message, id, &object)))
            })
            .collect())
    }

    /// Copies conversations; each comes with whether its messages have to be read.
    async fn copy(
        &mut self,
        conversations: impl Iterator<Item = (Value, bool)> + Send,
        done: &mut usize,
        total: usize,
    ) -> Result<(), Error> {
        let client = self.client;
        let mut reads = stream::iter(conversations)
            .map(|(conversation, all)| read_messages(client, conversation, all))
            .buffered(IN_FLIGHT);
        while let Some(read) = reads.try_next().await? {
            if let Some(read) = read {
                self.sink.put(Kind::Conversation, read.conversation).await?;
                for message in read.messages {
                    self.sink.put(Kind::Message, message).await?;
                }
                for (id, why) in read.unreadable {
                    self.sink.report.unreadable(Kind::Message, Some(id), why);
                }
            }
            *done += 1;
            self.tell(Kind::Conversation, *done, total);
        }
        Ok(())
    }

    fn count_nameless(&mut self, kind: Kind, listed: &Listed) {
        // Those that are named apart are read by their name.
        for _ in listed.named.len()..listed.nameless {
            self.sink
                .report
                .unreadable(kind, None, "it has no usable id");
        }
    }

    fn tell(&self, kind: Kind, done: usize, total: usize) {
        (self.progress)(Progress {
            what: kind.plural(),
            done: done as u64,
            total: total as u64,
        });
    }
}

impl Listed {
    fn len(&self) -> usize {
        self.objects.len() + self.named.len()
    }

    /// Adds ids that are not listed yet.
    fn add_named(&mut self, ids: impl IntoIterator<Item = Uuid>) {
        let mut known: HashSet<_> = self.objects.iter().map(|(id, _)| *id).collect();
        known.extend(&self.named);
        self.named
            .extend(ids.into_iter().filter(|id| known.insert(*id)));
    }
}

/// Reads the messages of a conversation; `None` when it has gone meanwhile.
async fn read_messages(
    client: &Client,
    conversation: Value,
    all: bool,
) -> Result<Option<Read>, Error> {
    let mut read = Read {
        conversation,
        messages: Vec::new(),
        unreadable: Vec::new(),
    };
    let ids = messages_of(&read.conversation);
    let Some(owner) = id_of(&read.conversation).filter(|_| all && !ids.is_empty()) else {
        return Ok(Some(read));
    };
    let path = format!("/conversation/{owner}/messages?transferables=true");
    let listed = collection(client, &path).await?.unwrap_or_default();
    let mut listed: HashMap<_, _> = listed.objects.into_iter().collect();
    // The messages it has by now; asked for when one of them is missing.
    let mut current: Option<HashSet<Uuid>> = None;
    for id in &ids {
        let listed = listed.remove(id);
        let listed = listed.and_then(|raw| wire::from_slice::<Value>(raw.get().as_bytes()).ok());
        let message = match listed.filter(|message| message.get("fragment").is_some()) {
            Some(message) => Fetched::Object(message),
            None => fetch(client, Kind::Message, *id).await?,
        };
        match message {
            Fetched::Object(mut message) => {
                if message.get("conversation").and_then(id_of).is_none() {
                    message["conversation"] = serde_json::json!({"id": owner});
                }
                read.messages.push(message);
            }
            Fetched::Unreadable(why) => read.unreadable.push((*id, why)),
            // Deleted while we read, or a conversation that is not whole?
            Fetched::Gone => {
                let current = match &mut current {
                    Some(current) => current,
                    None => match members_now(client, owner, &ids).await? {
                        Some(now) => current.insert(now),
                        None => return Ok(None),
                    },
                };
                if current.contains(id) {
                    let why = "its conversation lists it, but it is not there";
                    read.unreadable.push((*id, why.to_owned()));
                }
            }
        }
    }
    Ok(Some(read))
}

/// The messages that a conversation lists by now; `None` when it has gone. `before`: what it listed
/// when it was read, for services that do not tell.
async fn members_now(
    client: &Client,
    conversation: Uuid,
    before: &[Uuid],
) -> Result<Option<HashSet<Uuid>>, pieces::Error> {
    let before = || before.iter().copied().collect();
    Ok(
        match fetch(client, Kind::Conversation, conversation).await? {
            Fetched::Object(now) => Some(messages_of(&now).into_iter().collect()),
            Fetched::Unreadable(_) => Some(before()),
            // 404 may also mean that there is no such route.
            Fetched::Gone => match client.identifier_ids().await {
                Ok(ids) if !ids.contains(&conversation) => None,
                _ => Some(before()),
            },
        },
    )
}

fn messages_of(conversation: &Value) -> Vec<Uuid> {
    conversation
        .get(Kind::Message.plural())
        .map(live_ids)
        .unwrap_or_default()
}

/// Notes on people and on recorded work are about nothing that is copied.
fn ours(kind: Kind, object: &Value) -> bool {
    let has = |keys: &[&str]| {
        keys.iter()
            .any(|key| object.get(key).is_some_and(|value| !value.is_null()))
    };
    kind != Kind::Annotation
        || has(&["conversation", "asset", "anchor"])
        || object
            .get("messages")
            .map(live_ids)
            .is_some_and(|ids| !ids.is_empty())
        || !has(&["person", "summary"])
}

/// One object. `Err`: the service has gone, or lets nobody in.
async fn fetch(client: &Client, kind: Kind, id: Uuid) -> Result<Fetched, pieces::Error> {
    let path = format!("/{}/{id}?transferables=true", kind.noun());
    Ok(match attempt(client, || client.get_value(&path)).await? {
        Ok(object) if id_of(&object) == Some(id) => Fetched::Object(object),
        Ok(_) => Fetched::Unreadable("the answer was another object".to_owned()),
        Err(error) if error.kind == Fault::NotFound => Fetched::Gone,
        Err(error) => Fetched::Unreadable(reason(&error)),
    })
}

/// A list; the inner error says why there is none.
async fn collection(
    client: &Client,
    path: &str,
) -> Result<Result<Listed, pieces::Error>, pieces::Error> {
    let body = match attempt(client, || client.get_bytes(path)).await? {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    Ok(listed(&body).ok_or_else(|| {
        pieces::Error::protocol(format!(
            "The answer from {} is not what the Pieces API says (not a list); update Pieces OS.",
            client.base()
        ))
    }))
}

/// Reads `{iterable, indices}`; `None` where it is no such thing.
fn listed(body: &[u8]) -> Option<Listed> {
    #[derive(Deserialize)]
    struct Collection {
        iterable: Option<Vec<Box<RawValue>>>,
        indices: Option<HashMap<String, Value>>,
    }
    /// What tells an object from a bare reference to it.
    #[derive(Deserialize)]
    struct Item {
        id: Value,
        created: Option<IgnoredAny>,
        updated: Option<IgnoredAny>,
    }
    let Collection { iterable, indices } = wire::from_slice(body).ok()?;
    if iterable.is_none() && indices.is_none() {
        return None;
    }
    let uuid = |text: &str| Uuid::parse_str(text).ok();
    let indices: HashMap<Uuid, bool> = indices
        .unwrap_or_default()
        .iter()
        .filter_map(|(id, at)| Some((uuid(id)?, at.as_i64().is_none_or(|at| at >= 0))))
        .collect();
    let mut listed = Listed::default();
    let mut bare = Vec::new();
    for raw in iterable.unwrap_or_default() {
        let item = wire::from_slice::<Item>(raw.get().as_bytes()).ok();
        let id = item.as_ref().and_then(|item| uuid(item.id.as_str()?));
        match (id, item) {
            // It was removed, and is only remembered.
            (Some(id), _) if indices.get(&id) == Some(&false) => {}
            (Some(id), Some(item)) if item.created.is_none() && item.updated.is_none() => {
                bare.push(id);
            }
            (Some(id), _) => listed.objects.push((id, raw)),
            (None, _) => listed.nameless += 1,
        }
    }
    listed.add_named(bare);
    listed.add_named(
        indices
            .into_iter()
            .filter_map(|(id, live)| live.then_some(id)),
    );
    Some(listed)
}

/// A request, and once more if it was refused. The outer error ends the copy.
async fn attempt<T, F: Future<Output = Result<T, pieces::Error>>>(
    client: &Client,
    ask: impl Fn() -> F,
) -> Result<Result<T, pieces::Error>, pieces::Error> {
    let mut last = false;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(error) => error,
        };
        match error.kind {
            Fault::SignedOut | Fault::UpdateRequired => return Err(error),
            Fault::NotFound => return Ok(Err(error)),
            Fault::Offline | Fault::Timeout if !alive(client).await => return Err(error),
            Fault::Timeout => return Ok(Err(error)),
            Fault::Offline | Fault::Refused | Fault::Protocol if last => return Ok(Err(error)),
            Fault::Offline | Fault::Refused | Fault::Protocol => {}
        }
        last = true;
        sleep(PAUSE).await;
    }
}

/// Whether the service still answers at all.
async fn alive(client: &Client) -> bool {
    match client.health().await {
        Ok(_) => true,
        Err(error) => !matches!(error.kind, Fault::Offline | Fault::Timeout),
    }
}

/// What the service said, in short.
fn reason(error: &pieces::Error) -> String {
    match error.status {
        Some(status) => format!("Pieces OS answered HTTP {status}"),
        None => error.message.trim_end_matches('.').to_owned(),
    }
}
