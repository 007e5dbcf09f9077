//! Whole conversations with their messages, texts of assets, and search in messages.

use super::client::{COLLECTION, Client, SMALL};
use super::error::{Error, Kind};
use super::limits;
use crate::json::plural::live_ids;
use crate::json::{self, time};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// Deadline for reading a whole conversation, with any number of messages.
const TOTAL: Duration = Duration::from_secs(60);

/// The author of a message. More roles may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The program.
    System,
    /// A role newer than this program.
    Other(String),
}

impl Role {
    /// As services write it.
    pub fn as_str(&self) -> &str {
        match self {
            Role::User => "USER",
            Role::Assistant => "ASSISTANT",
            Role::System => "SYSTEM",
            Role::Other(other) => other,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// Its author.
    pub role: Role,
    /// When it was created, in microseconds since the Unix epoch.
    pub created: Option<i64>,
    /// Its text; `None` if the service does not provide it.
    pub text: Option<String>,
    /// The object as received, to be stored or written elsewhere.
    pub raw: Value,
}

/// A conversation with its messages.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The conversation as received.
    pub conversation: Value,
    /// Its messages in order.
    pub messages: Vec<Message>,
    /// Messages of the conversation that could not be read.
    pub missing: usize,
}

/// The text of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetText {
    /// Its name.
    pub name: Option<String>,
    /// File extension of its language, such as `rs`.
    pub language: Option<String>,
    /// The text; `None` for images and other binaries.
    pub text: Option<String>,
}

/// A conversation found by full-text search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// The conversation.
    pub conversation: Uuid,
    /// The matching messages, best first; empty if only its name or a note matches, `None` if the service
    /// does not tell.
    pub messages: Option<Vec<Uuid>>,
}

impl Client {
    /// The conversation and all of its messages in order, each with its text.
    ///
    /// Uses `GET /conversation/{id}` and `GET /conversation/{id}/messages`, which fails as a whole if one
    /// message is unreadable; then, and for messages without text, `GET /message/{id}`.
    ///
    /// # Errors
    /// The conversation cannot be read. Unreadable messages are counted in [`Transcript::missing`].
    pub async fn transcript(&self, id: Uuid) -> Result<Transcript, Error> {
        let reading = async {
            let conversation = self.conversation_raw(id, false).await?;
            let ids = live_ids(&conversation["messages"]);
            let mut messages = match ids.is_empty() {
                true => HashMap::new(),
                false => self.messages_of(id).await.unwrap_or_default(),
            };
            let wanting: Vec<Uuid> = ids
                .iter()
                .copied()
                .filter(|id| messages.get(id).is_none_or(|one| one.text.is_none()))
                .collect();
            let mut fetched = stream::iter(wanting)
                .map(|id| async move { self.message(id).await })
                .buffered(limits::GETS_IN_FLIGHT);
            while let Some(answer) = fetched.next().await {
                match answer {
                    Ok(message) => {
                        messages.insert(message.id, message);
                    }
                    Err(error) if matches!(error.kind, Kind::Offline | Kind::Timeout) => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
            drop(fetched);
            let found: Vec<Message> = ids.iter().filter_map(|id| messages.remove(id)).collect();
            Ok(Transcript {
                conversation,
                missing: ids.len() - found.len(),
                messages: found,
            })
        };
        tokio::time::timeout(TOTAL, reading)
            .await
            .unwrap_or_else(|_| Err(self.call().timeout(TOTAL)))
    }

    async fn messages_of(&self, id: Uuid) -> Result<HashMap<Uuid, Message>, Error> {
        let path = format!("/conversation/{id}/messages?transferables=true");
        let body = self.get(&path, COLLECTION).await?;
        let answer: Value = self.decode(self.call(), json::from_slice(&body))?;
        let all = answer["iterable"].as_array().into_iter().flatten();
        Ok(all
            .filter_map(|raw| read_message(raw.clone()))
            .map(|one| (one.id, one))
            .collect())
    }

    /// `GET /message/{id}?transferables=true`.
    ///
    /// # Errors
    /// `not-found` if it does not exist.
    pub async fn message(&self, id: Uuid) -> Result<Message, Error> {
        let path = format!("/message/{id}?transferables=true");
        let body = self.get(&path, SMALL).await?;
        let raw: Value = self.decode(self.call(), json::from_slice(&body))?;
        read_message(raw).ok_or_else(|| self.call().protocol("an object without an id"))
    }

    /// `GET /asset/{id}?transferables=true`.
    ///
    /// # Errors
    /// `not-found` if it does not exist.
    pub async fn asset_text(&self, id: Uuid) -> Result<AssetText, Error> {
        let path = format!("/asset/{id}?transferables=true");
        let body = self.get(&path, SMALL).await?;
        let asset: Value = self.decode(self.call(), json::from_slice(&body))?;
        let string = |value: &Value| value.as_str().map(str::to_owned);
        let places = [
            "/original/reference/fragment/string/raw",
            "/preview/base/reference/fragment/string/raw",
            "/formats/iterable/0/fragment/string/raw",
        ];
        Ok(AssetText {
            name: string(&asset["name"]),
            language: asset
                .pointer("/original/reference/classification/specific")
                .and_then(string),
            text: places
                .iter()
                .find_map(|place| asset.pointer(place).and_then(string)),
        })
    }

    /// `GET /asset/{id}?transferables=false`: its name, if it has one.
    ///
    /// # Errors
    /// `not-found` if it does not exist.
    pub async fn asset_name(&self, id: Uuid) -> Result<Option<String>, Error> {
        let path = format!("/asset/{id}?transferables=false");
        let body = self.get(&path, SMALL).await?;
        let asset: Value = self.decode(self.call(), json::from_slice(&body))?;
        Ok(asset["name"].as_str().map(str::to_owned))
    }

    /// `POST /conversations/search`: full text over names, messages and notes, best first. Changes nothing.
    ///
    /// # Errors
    /// `not-found` if the service has no such route.
    pub async fn search(&self, query: &str) -> Result<Vec<SearchHit>, Error> {
        let path = "/conversations/search?transferables=false";
        let answer = self.searched(path, query).await?;
        let hits = answer["iterable"].as_array().into_iter().flatten();
        Ok(hits.filter_map(read_hit).collect())
    }

    /// `POST /conversation/{id}/search`: the messages of a conversation that match, best first.
    ///
    /// # Errors
    /// `not-found` if the service has no such route.
    pub async fn search_messages(&self, id: Uuid, query: &str) -> Result<Vec<Uuid>, Error> {
        let path = format!("/conversation/{id}/search?transferables=false");
        let answer = self.searched(&path, query).await?;
        let hits = answer["iterable"].as_array().into_iter().flatten();
        Ok(hits
            .filter_map(|hit| Uuid::parse_str(hit["identifier"].as_str()?).ok())
            .collect())
    }

    async fn searched(&self, path: &str, query: &str) -> Result<Value, Error> {
        let input =
            json!({"engines": {"iterable": [{"query": query, "full_text": {"exact": false}}]}});
        let body = self.ask_for(path, &input, limits::SMALL_GET).await?;
        self.decode(self.call(), json::from_slice(&body))
    }
}

fn read_hit(hit: &Value) -> Option<SearchHit> {
    let id = |value: &Value| value.as_str().and_then(|text| Uuid::parse_str(text).ok());
    Some(SearchHit {
        conversation: id(&hit["identifier"]).or_else(|| id(&hit["conversation"]["id"]))?,
        messages: hit["messages"]["iterable"].as_array().map(|found| {
            found
                .iter()
                .filter_map(|one| id(&one["identifier"]))
                .collect()
        }),
    })
}

fn read_message(raw: Value) -> Option<Message> {
    let id = Uuid::parse_str(raw["id"].as_str()?).ok()?;
    Some(Message {
        id,
        role: match raw["role"].as_str().unwrap_or_default() {
            "USER" => Role::User,
            "ASSISTANT" => Role::Assistant,
            "SYSTEM" => Role::System,
            other => Role::Other(other.to_owned()),
        },
        created: raw["created"]["value"].as_str().and_then(time::parse),
        text: raw
            .pointer("/fragment/string/raw")
            .and_then(Value::as_str)
            .map(str::to_owned),
        raw,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "a1000000-0000-4000-8000-000000000001";

    #[test]
    fn messages() {
        let text = |raw: Value| json!({"string": {"raw": raw}});
        for (object, role, expected) in [
            (
                json!({"id": ID, "role": "USER", "fragment": text(json!("Why?"))}),
                Role::User,
                Some("Why?"),
            ),
            (
                json!({"id": ID, "role": "ASSISTANT", "fragment": text(json!(""))}),
                Role::Assistant,
                Some(""),
            ),
            (
                json!({"id": ID, "role": "SYSTEM", "fragment": text(json!(7))}),
                Role::System,
                None,
            ),
            (
                json!({"id": ID, "role": "TOOL", "fragment": null}),
                Role::Other("TOOL".into()),
                None,
            ),
            (
                json!({"id": ID, "role": 7}),
                Role::Other(String::new()),
                None,
            ),
        ] {
            let read = read_message(object.clone()).unwrap();
            assert_eq!(
                (read.id.to_string(), read.role),
                (ID.to_owned(), role),
                "{object}"
            );
            assert_eq!((read.text.as_deref(), &read.raw), (expected, &object));
        }
        for object in [
            json!({}),
            json!({"id": 7}),
            json!({"id": "x"}),
            json!([]),
            Value::Null,
        ] {
            assert!(read_message(object.clone()).is_none(), "{object}");
        }
    }

    #[test]
    fn hits() {
        for (object, found) in [
            (json!({"identifier": ID}), true),
            (json!({"conversation": {"id": ID}}), true),
            (json!({"identifier": "x", "conversation": {"id": ID}}), true),
            (json!({"identifier": "x"}), false),
            (json!({"conversation": {"id": 7}}), false),
            (json!([ID]), false),
        ] {
            let hit = read_hit(&object).map(|hit| hit.conversation.to_string());
            assert_eq!(hit, found.then(|| ID.to_owned()), "{object}");
        }
        let id = Uuid::parse_str(ID).unwrap();
        for (messages, found) in [
            (Value::Null, None),
            (json!({}), None),
            (json!({"iterable": []}), Some(vec![])),
            (
                json!({"iterable": [{"identifier": ID}, {}, 7]}),
                Some(vec![id]),
            ),
        ] {
            let hit = json!({"identifier": ID, "messages": messages});
            assert_eq!(read_hit(&hit).unwrap().messages, found, "{hit}");
        }
    }
}
