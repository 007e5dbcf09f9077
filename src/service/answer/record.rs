//! The transactions of a question and its answer.
//!
//! The question is stored first. The answer is stored with its first words and grows in state `writing`, which its end
//! removes. `updated` and the full-text index change only at the question and at the end.

use std::{sync::Weak, time::Duration};

use serde_json::{Map, Value, json};

use crate::pieces::OWN;
use crate::service::{
    Failure,
    objects::{self, conversation, message, seed::Seed},
    store::{
        self, Change, Kind, Link, New, Row, Store,
        writing::{self, ASKED, UNANSWERED, WRITING},
    },
};

/// Time between two attempts to store an end that the store has refused, and how many there are: a day.
const LATER: Duration = Duration::from_secs(10);
const LATER_AT_MOST: u32 = 8_640;

/// A question to store.
#[derive(Debug, Default)]
pub(super) struct Begin {
    /// The conversation; it is created if it does not exist.
    pub(super) conversation: String,
    /// The unanswered message that is asked again, in place of a new one.
    pub(super) again: Option<String>,
    pub(super) prompt: String,
    /// The text to store, if it is not the prompt.
    pub(super) stored: Option<String>,
    /// The files that it names: `[{path, size, sha256}]`.
    pub(super) named: Option<Value>,
    /// The id of the application that asks.
    pub(super) application: Option<String>,
    /// Refuse a conversation that was deleted, instead of creating it again.
    pub(super) must_not_be_deleted: bool,
}

/// A stored question.
#[derive(Debug)]
pub(super) struct Begun {
    /// The id of its message.
    pub(super) question: String,
    /// Its text, which is the prompt of a question that is asked again.
    pub(super) text: String,
}

/// The ids of an answer.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub(super) conversation: String,
    pub(super) question: String,
    pub(super) answer: String,
}

/// Whether the answer could be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Yes,
    /// Its conversation or its message is gone, or is not being written any more.
    Lost,
}

/// Stores a question.
pub(super) fn begin(change: &mut Change<'_>, begin: Begin) -> Result<Begun, Failure> {
    let conversation = match store::find(change.db, Kind::Conversation, &begin.conversation)? {
        Some(row) => {
            name_unnamed(change, &row, &begin.prompt)?;
            Link::from(&row)
        }
        None => create(change, &begin)?,
    };
    let begun = match &begin.again {
        Some(id) => again(change, &conversation, id)?,
        None => add(change, &conversation, begin)?,
    };
    change.touch(&conversation)?;
    Ok(begun)
}

fn create(change: &mut Change<'_>, begin: &Begin) -> Result<Link, Failure> {
    let deleted = store::trash::newest(change.db, &begin.conversation, change.now)?.is_some();
    if begin.again.is_some() || (begin.must_not_be_deleted && deleted) {
        return Err(Failure::Gone {
            kind: "conversation",
            id: begin.conversation.clone(),
        });
    }
    let application = match &begin.application {
        Some(id) => store::find(change.db, Kind::Application, id)?,
        None => None,
    };
    let application = application.map(|row| {
        let mut application = row.object()?;
        application.insert("id".to_owned(), row.id.into());
        Ok::<_, Failure>(application)
    });
    let seed = json!({
        "id": begin.conversation,
        "type": "COPILOT",
        "name": conversation::name_of(&begin.prompt),
    });
    conversation::create(change, seed, application.transpose()?)
}

/// Names a conversation that has no name yet after its first question.
fn name_unnamed(change: &mut Change<'_>, row: &Row, prompt: &str) -> Result<(), Failure> {
    let doc = row.object()?;
    let name = doc.get("name").and_then(Value::as_str).unwrap_or_default();
    if !matches!(name.trim(), "" | conversation::UNNAMED) {
        return Ok(());
    }
    let Some(name) = conversation::name_of(prompt) else {
        return Ok(());
    };
    let body = json!({"id": row.id, "name": name});
    objects::update(change, Kind::Conversation, body).map(drop)
}

fn add(change: &mut Change<'_>, conversation: &Link, begin: Begin) -> Result<Begun, Failure> {
    let text = begin.stored.unwrap_or(begin.prompt);
    let mut seed = json!({"role": "USER", "fragment": fragment(&text)});
    if let Some(named) = begin.named {
        seed[OWN] = json!({ "named": named });
    }
    let message = message::add(change, conversation, Seed::object(seed, "message")?)?;
    let row = store::get(change.db, Kind::Message, &message.id)?;
    change.write_message(&row, &row.object()?, Some(ASKED))?;
    Ok(Begun {
        question: message.id,
        text,
    })
}

/// Asks a stored question again: it becomes the last message.
fn again(change: &mut Change<'_>, conversation: &Link, id: &str) -> Result<Begun, Failure> {
    let row = store::get(change.db, Kind::Message, id)?;
    let rows = store::owned_rows(change.db, Kind::Message, conversation.seq)?;
    let is_last = rows.last().is_some_and(|last| last.seq == row.seq);
    let mut doc = row.object()?;
    let asks = doc.get("role").and_then(Value::as_str) == Some("USER");
    let open = is_last || writing::state(&doc) == Some(UNANSWERED);
    if row.owner != Some(conversation.seq) || !asks || !open {
        return Err(Failure::invalid(
            "`question` must be a question without an answer in this conversation.",
        ));
    }
    let text = message::raw(&doc).unwrap_or_default().to_owned();
    if !is_last {
        change.move_to_end(&row, &text)?;
    }
    let row = store::get(change.db, Kind::Message, id)?;
    writing::set_state(&mut doc, None);
    change.write_message(&row, &doc, Some(ASKED))?;
    Ok(Begun {
        question: row.id,
        text,
    })
}

/// Announces a conversation whose status changed, and stores the words of its answer so far, if there are any.
pub(super) fn flush(
    change: &mut Change<'_>,
    ids: &Ids,
    text: Option<&str>,
    begun: bool,
) -> Result<Stored, Failure> {
    let Some(conversation) = find_head(change, &ids.conversation)? else {
        return Ok(Stored::Lost);
    };
    if let Some(text) = text {
        let Some(row) = open_answer(change, ids, &conversation, begun)? else {
            return Ok(Stored::Lost);
        };
        let mut doc = row.object()?;
        doc.insert("fragment".to_owned(), fragment(text));
        writing::set_state(&mut doc, Some(WRITING));
        change.write_message(&row, &doc, Some(WRITING))?;
    }
    change.announce(&conversation);
    Ok(Stored::Yes)
}

/// The message of an answer that is being written; creates it if it was not there yet.
fn open_answer(
    change: &mut Change<'_>,
    ids: &Ids,
    conversation: &Row,
    begun: bool,
) -> Result<Option<Row>, Failure> {
    let found = writing::find(change.db, &ids.answer, WRITING)?;
    // A message that is not being written was ended meanwhile.
    if found.is_some() || begun || store::find_head(change.db, &ids.answer)?.is_some() {
        return Ok(found);
    }
    if let Some(row) = writing::find(change.db, &ids.question, ASKED)? {
        change.write_message(&row, &row.object()?, None)?;
    }
    let doc = json!({"id": ids.answer, "role": "ASSISTANT", "fragment": fragment("")});
    let Value::Object(doc) = doc else {
        return Ok(None);
    };
    change.insert(New {
        kind: Kind::Message,
        owner: Some(conversation.seq),
        key: Some(WRITING),
        // It is indexed for search once it is complete.
        text: "",
        doc,
    })?;
    writing::find(change.db, &ids.answer, WRITING)
}

/// How an answer ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Finish {
    pub(super) text: String,
    /// Our own field of the answer, its `state` included.
    pub(super) own: Map<String, Value>,
    /// The model as clients know it.
    pub(super) model: Option<Value>,
}

/// Stores the end of an answer; without text, marks its question as unanswered.
pub(super) fn finish(
    change: &mut Change<'_>,
    ids: &Ids,
    finish: &Finish,
    begun: bool,
) -> Result<Stored, Failure> {
    let Some(conversation) = find_head(change, &ids.conversation)? else {
        return Ok(Stored::Lost);
    };
    if finish.text.is_empty() {
        if let Some(row) = store::find(change.db, Kind::Message, &ids.question)? {
            let mut doc = row.object()?;
            writing::set_state(&mut doc, Some(UNANSWERED));
            change.write_message(&row, &doc, None)?;
            change.touch(&Link::from(&row))?;
        }
    } else {
        let Some(row) = open_answer(change, ids, &conversation, begun)? else {
            return Ok(Stored::Lost);
        };
        let mut doc = row.object()?;
        doc.insert("fragment".to_owned(), fragment(&finish.text));
        doc.insert(OWN.to_owned(), Value::Object(finish.own.clone()));
        if let Some(model) = &finish.model {
            doc.insert("model".to_owned(), model.clone());
        }
        change.write_message(&row, &doc, None)?;
        change.index_text(row.seq, &finish.text)?;
        change.touch(&Link::from(&row))?;
    }
    change.touch(&Link::from(&conversation))?;
    Ok(Stored::Yes)
}

/// Stores the end of an answer that the store has refused, once it takes writes again. Until then the message says
/// that it is being written; without this, until the next start.
pub(super) async fn finish_later(store: Weak<Store>, ids: Ids, end: Finish) {
    for _ in 0..LATER_AT_MOST {
        tokio::time::sleep(LATER).await;
        // The service has ended: the next start ends the answer.
        let Some(store) = store.upgrade() else { return };
        let (ids, end) = (ids.clone(), end.clone());
        let kept = store.write(move |change| finish(change, &ids, &end, true));
        // A second end finds no message that is being written.
        if kept.await.is_ok() {
            return;
        }
    }
}

/// The conversation without its document.
fn find_head(change: &Change<'_>, id: &str) -> Result<Option<Row>, Failure> {
    let head = store::find_head(change.db, id)?;
    Ok(head.filter(|row| row.kind == Kind::Conversation))
}

fn fragment(text: &str) -> Value {
    json!({"string": {"raw": text}})
}
