//! The conversation of a question: a known one, a new one, or a branch of one.

use super::gather::Named;
use super::kept::{self, Keeper, Kept};
use super::{Asker, Event, Events, Failure, Request, wording};
use crate::pieces::{Kind, Message, OWN, Role, Transcript};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The conversation of a question, with the state that earlier questions left in it.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// `None`: a new one, not created yet.
    pub conversation: Option<Uuid>,
    /// The seed of a new conversation.
    seed: Option<Value>,
    /// The files that earlier questions named.
    pub named: Vec<Named>,
    /// The assets that the conversation was started from.
    pub assets: Vec<Uuid>,
    /// Its messages before the question.
    pub messages: HashSet<Uuid>,
    /// The text of the question that is asked again.
    pub asked_before: Option<String>,
}

impl Place {
    /// Finds the conversation of `request`. Changes nothing.
    ///
    /// # Errors
    /// The conversation or the message is not there, or cannot be read.
    pub async fn of(asker: &Asker, request: &Request) -> Result<Place, Failure> {
        if let Some(question) = request.question
            && !asker.client.is_local()
        {
            return Place::of_kept(asker, question).await;
        }
        match conversation_meant(asker, request).await? {
            Some(conversation) => Place::within(asker, request, conversation).await,
            None => Ok(Place {
                seed: Some(seed(request)),
                ..Place::default()
            }),
        }
    }

    /// The place of `request` in a conversation that exists.
    async fn within(
        asker: &Asker,
        request: &Request,
        conversation: Uuid,
    ) -> Result<Place, Failure> {
        let Some(transcript) = transcript(asker, request, conversation).await? else {
            return Ok(Place {
                conversation: Some(conversation),
                ..Place::default()
            });
        };
        let kept = match &asker.data_dir {
            Some(dir) if !asker.client.is_local() => kept::kept(dir, conversation).await,
            _ => Vec::new(),
        };
        let messages = &transcript.messages;
        let mut place = Place {
            conversation: Some(conversation),
            assets: crate::json::plural::live_ids(&transcript.conversation["assets"]),
            messages: messages.iter().map(|message| message.id).collect(),
            ..Place::default()
        };
        if let Some(question) = request.question {
            let at = position(messages, question, "question")?;
            if messages[at].role != Role::User {
                return Err(Failure::invalid(
                    "`question` must be the id of a question, not of an answer.",
                ));
            }
            place.named = named_by(&messages[..=at], &[]);
            place.asked_before = Some(messages[at].text.clone().unwrap_or_default());
        } else if let Some(from) = request.from {
            let before = &messages[..position(messages, from, "from")?];
            place.named = named_by(before, &kept);
            place.seed = Some(branch(request, before, &place.assets));
            place.conversation = None;
            place.messages.clear();
        } else {
            place.named = named_by(messages, &kept);
        }
        Ok(place)
    }

    /// A prompt that Pieces OS did not accept.
    async fn of_kept(asker: &Asker, question: Uuid) -> Result<Place, Failure> {
        let keeper = asker.data_dir.as_deref().map(Keeper::new);
        let found = match keeper {
            Some(keeper) => keeper.prompt(question).await,
            None => None,
        };
        let Some((conversation, prompt)) = found else {
            let what =
                "Pieces OS has stored the message of `question`; ask it again as a new question.";
            return Err(Failure::invalid(what));
        };
        let again = Request {
            conversation: Some(conversation),
            ..Request::default()
        };
        let place = Box::pin(Place::of(asker, &again)).await?;
        Ok(Place {
            asked_before: Some(prompt),
            ..place
        })
    }

    /// Creates the conversation if it is a new one.
    ///
    /// # Errors
    /// Those of the service; if the outcome is unknown, the conversation may exist.
    pub async fn make(&mut self, asker: &Asker, events: &Events) -> Result<Uuid, Failure> {
        if let Some(conversation) = self.conversation {
            return Ok(conversation);
        }
        let seed = self
            .seed
            .take()
            .unwrap_or_else(|| json!({"type": "COPILOT"}));
        let (raw, created) = asker.client.create(&seed, None).await?;
        self.conversation = Some(created.id);
        self.messages = crate::json::plural::live_ids(&raw["messages"])
            .into_iter()
            .collect();
        let id = created.id;
        let _ = events.send(Event::Created(Box::new(created)));
        Ok(id)
    }
}

/// The conversation that `request` names, or that has the message it names.
async fn conversation_meant(asker: &Asker, request: &Request) -> Result<Option<Uuid>, Failure> {
    match (request.conversation, request.from.or(request.question)) {
        (Some(conversation), _) => Ok(Some(conversation)),
        (None, Some(message)) => Ok(Some(conversation_of(asker, message).await?)),
        (None, None) => Ok(None),
    }
}

/// The messages of the conversation; `None` from a service with only the documented endpoints, which provides no
/// messages but can answer.
async fn transcript(
    asker: &Asker,
    request: &Request,
    conversation: Uuid,
) -> Result<Option<Transcript>, Failure> {
    let needs_messages = request.from.or(request.question).is_some() || asker.client.is_local();
    match asker.client.transcript(conversation).await {
        Ok(transcript) => Ok(Some(transcript)),
        Err(error) if error.kind == Kind::NotFound && !needs_messages => Ok(None),
        Err(error) => Err(Failure::from(error)),
    }
}

fn position(messages: &[Message], id: Uuid, field: &str) -> Result<usize, Failure> {
    let at = messages.iter().position(|message| message.id == id);
    at.ok_or_else(|| {
        Failure::invalid(format!(
            "`{field}` must be the id of a message in this conversation."
        ))
    })
}

async fn conversation_of(asker: &Asker, message: Uuid) -> Result<Uuid, Failure> {
    let message = asker.client.message(message).await?;
    let id = message.raw["conversation"]["id"].as_str();
    let id = id.and_then(|id| Uuid::parse_str(id).ok());
    id.ok_or_else(|| Failure::invalid("The service does not say which conversation this message belongs to; add `conversation`."))
}

fn seed(request: &Request) -> Value {
    let prompt = request.prompt.as_deref().unwrap_or_default();
    let mut seed = json!({ "type": "COPILOT", "name": wording::conversation_name(prompt) });
    let tied = request.tied.as_deref().and_then(|path| path.to_str());
    if let Some(path) = tied {
        seed["anchors"] = json!([{ "type": "FILE", "fullpath": path }]);
    }
    seed
}

/// A new conversation with copies of these messages.
fn branch(request: &Request, before: &[Message], assets: &[Uuid]) -> Value {
    let mut seed = seed(request);
    seed["messages"] = before.iter().filter_map(copy).collect();
    if !assets.is_empty() {
        let assets = assets.iter().map(|id| json!({ "id": id }));
        seed["assets"] = json!({ "iterable": assets.collect::<Vec<_>>() });
    }
    seed
}

/// A copy of a message. An answer that broke off and a question without an answer stay what they are.
fn copy(message: &Message) -> Option<Value> {
    let text = message.text.as_deref()?;
    let mut copy =
        json!({ "role": message.raw["role"], "fragment": { "string": { "raw": text } } });
    let state = &message.raw[OWN]["state"];
    if state.is_string() {
        copy[OWN] = json!({ "state": state });
    }
    Some(copy)
}

/// The files to send again after these messages: those of the last question of ours, each of which lists all of them.
fn named_by(messages: &[Message], kept: &[Kept]) -> Vec<Named> {
    let kept: HashMap<Uuid, &Value> = kept.iter().map(|kept| (kept.id, &kept.own)).collect();
    let last = messages.iter().rev().find_map(|message| {
        let kept = kept.get(&message.id).copied();
        let own = kept.unwrap_or(&message.raw[OWN]);
        let named = own["named"].as_array()?;
        Some(named.iter().filter_map(|one| Named::deserialize(one).ok()))
    });
    last.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn message(named: Value) -> Message {
        Message {
            id: Uuid::nil(),
            role: Role::User,
            created: None,
            text: Some("Why?".into()),
            raw: json!({"role": "USER", "pieces_lsp": {"named": named}}),
        }
    }

    #[test]
    fn the_last_question_says_which_files_are_named() {
        let file = |path: &str| json!({"path": path, "size": 1, "sha256": "00"});
        let named = |messages: &[Message]| -> Vec<PathBuf> {
            let named = named_by(messages, &[]).into_iter();
            named.map(|one| one.path).collect()
        };
        assert!(named(&[]).is_empty());
        let one = message(json!([file("/a")]));
        let both = message(json!([file("/a"), {"path": 7}, file("/b")]));
        let none = message(json!([]));
        let foreign = message(Value::Null);
        assert_eq!(
            named(&[one.clone(), both.clone(), foreign]),
            [PathBuf::from("/a"), "/b".into()]
        );
        assert!(named(&[both, none]).is_empty());
    }

    #[test]
    fn seeds() {
        let request = Request {
            prompt: Some("Why does it loop?".into()),
            tied: Some("/a/retry.rs".into()),
            ..Request::default()
        };
        assert_eq!(
            seed(&request),
            json!({"type": "COPILOT", "name": "Why does it loop?",
                "anchors": [{"type": "FILE", "fullpath": "/a/retry.rs"}]})
        );
        let asset = Uuid::from_u128(1);
        let branch = branch(&request, &[message(json!([]))], &[asset]);
        assert_eq!(
            branch["messages"],
            json!([{"role": "USER", "fragment": {"string": {"raw": "Why?"}}}])
        );
        assert_eq!(branch["assets"], json!({"iterable": [{"id": asset}]}));
    }
}
