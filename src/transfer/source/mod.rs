//! Reads a running Pieces service: GET requests only, at most two in flight, each with a deadline.
//!
//! Lists are read first, then the content of new and newer objects. Objects missing from a list, and all
//! objects of a refused list, are requested one by one; unreadable ones are counted and skipped.
//!
//! `mod.rs` decides the order of kinds, `messages` which messages are needed, `listed` parses plural
//! wrappers, `fetch` sends requests.

mod fetch;
mod listed;
mod messages;

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use uuid::Uuid;

use fetch::{Fetched, collection, fetch};
use listed::Listed;

use super::Error;
use super::report::Progress;
use super::sink::{Head, Sink, Verdict};
use crate::json;
use crate::json::plural::live_ids;
use crate::pieces::Client;
use crate::service::Kind;

/// Maximum requests in flight: the service takes a database lock per read.
const IN_FLIGHT: usize = 2;
/// Conversations whose messages are planned together.
const CHUNK: usize = 200;

/// Imports everything from `client` into `sink`.
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
    /// Ids that other objects refer to.
    refers: HashMap<Kind, HashSet<Uuid>>,
}

impl Reader<'_> {
    async fn list_conversations(&self) -> Result<Listed, Error> {
        let listed = collection(self.client, "/conversations?transferables=false").await?;
        // A list may lack objects that its service cannot serialise; the ids are complete.
        let ids = self.client.identifier_ids().await;
        let mut listed = match (listed, &ids) {
            (Ok(listed), _) => listed,
            (Err(_), Ok(_)) => Listed::default(),
            (Err(why), Err(_)) => return Err(why.into()),
        };
        listed.add_named(ids.unwrap_or_default());
        Ok(listed)
    }

    /// Remembers the objects that conversations or assets refer to.
    fn refer(&mut self, listed: &Listed) {
        for (_, object) in &listed.objects {
            let Ok(object) = json::from_slice::<Value>(object.get().as_bytes()) else {
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

    /// A kind whose list has complete objects.
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
            match json::from_slice::<Value>(object.get().as_bytes()) {
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

    /// Assets: their list is read without content, which is then fetched for the needed ones.
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
            match json::from_slice::<Value>(object.get().as_bytes()) {
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
        // The fields of all messages that the comparison needs; read on first use.
        let mut heads: Option<HashMap<Uuid, Head>> = None;
        let mut objects = listed.objects.into_iter();
        loop {
            let chunk: Vec<_> = objects.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            let mut conversations = Vec::with_capacity(chunk.len());
            for (id, object) in chunk {
                match json::from_slice::<Value>(object.get().as_bytes()) {
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

    fn count_nameless(&mut self, kind: Kind, listed: &Listed) {
        // Objects named separately are read by id.
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

/// Annotations of persons and of workstream objects refer to nothing that is imported.
pub(super) fn ours(kind: Kind, object: &Value) -> bool {
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
