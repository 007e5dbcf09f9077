//! Decides which messages of a conversation have to be read, and reads them.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use uuid::Uuid;

use super::fetch::{Fetched, collection, fetch};
use super::{IN_FLIGHT, Reader};
use crate::json;
use crate::json::plural::live_ids;
use crate::pieces::{self, Client};
use crate::service::Kind;
use crate::transfer::Error;
use crate::transfer::sink::{Head, Verdict, id_of};

/// A conversation with its messages in order.
struct Read {
    conversation: Value,
    messages: Vec<Value>,
    unreadable: Vec<(Uuid, String)>,
}

impl Reader<'_> {
    /// Whether the messages of each conversation have to be read: if one is new or newer, or that is unknown.
    pub(super) async fn plan(
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
        // The compared objects, and the conversation of each.
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
                let object: Value = json::from_slice(object.get().as_bytes()).ok()?;
                Some((id, Head::of(Kind::Message, id, &object)))
            })
            .collect())
    }

    /// Copies conversations; each with whether its messages have to be read.
    pub(super) async fn copy(
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
}

/// Reads the messages of a conversation; `None` if it was deleted meanwhile.
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
    // Its current messages; requested when one of them is missing.
    let mut current: Option<HashSet<Uuid>> = None;
    for id in &ids {
        let listed = listed.remove(id);
        let listed = listed.and_then(|raw| json::from_slice::<Value>(raw.get().as_bytes()).ok());
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
            // Deleted while we read, or is the conversation incomplete?
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

/// The messages that a conversation lists now; `None` if it was deleted meanwhile. `before`: what it listed
/// when it was read, for services without that route.
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
            // 404 may also mean that the route does not exist.
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
