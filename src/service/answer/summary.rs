//! Summaries by the model, in place of the extract that a conversation about an asset begins with.
//!
//! Written only if the user chose them. A summary blocks no question: it waits while anything is answered, and any
//! question cancels running and waiting summaries. The extract stays until a summary is complete.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::{
    Answers, context, context::Material, decide::Peer, models, once::Whole, question::Question,
};
use crate::model::prompt::{Kind as Part, Text};
use crate::service::{
    Failure,
    objects::{asset, message},
    store::{self, Change, Kind, Link},
};

/// The prompt.
const PROMPT: &str = "Summarise the text above for a colleague who has not seen it: what it is and what it does, in \
                      at most five sentences. Answer with the summary only.";

/// The summaries that run or wait.
pub(super) struct Summaries {
    /// One at a time.
    turn: Semaphore,
    /// Changes with every question.
    questions: watch::Sender<u64>,
}

impl Summaries {
    pub(super) fn new() -> Self {
        Self {
            turn: Semaphore::new(1),
            questions: watch::Sender::new(0),
        }
    }

    /// Ends all of them.
    pub(super) fn end(&self) {
        self.questions.send_modify(|questions| *questions += 1);
    }
}

/// The extract that is to be replaced.
struct Extract {
    message: String,
    text: String,
    asset: Text,
}

impl Answers {
    /// Summarises the asset of a new conversation in the background, if the user chose summaries.
    pub(crate) fn summarise(self: &Arc<Self>, conversation: String, peer: Peer) {
        let answers = self.clone();
        let mut questions = self.summaries.questions.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = questions.changed() => {}
                done = answers.replace_extract(&conversation, peer) => {
                    if done.is_none() {
                        tracing::debug!("an extract stays: there is no summary");
                    }
                }
            }
        });
    }

    /// `None` if there is no summary, for any reason.
    async fn replace_extract(&self, conversation: &str, peer: Peer) -> Option<()> {
        let choice = self.chosen().await.ok()??;
        if !choice.summaries || self.check(&choice, peer).is_err() {
            return None;
        }
        let _turn = self.summaries.turn.acquire().await.ok()?;
        self.count
            .subscribe()
            .wait_for(|running| *running == 0)
            .await
            .ok()?;
        let id = conversation.to_owned();
        let extract = self.store.read(move |db| extract(db, &id)).await.ok()??;
        let material = Material::of_text(PROMPT, extract.asset);
        let asked = self.ask_whole(&Question::default(), &material, peer).await;
        let whole = asked
            .ok()
            .filter(|whole| !whole.is_cut && !whole.text.trim().is_empty())?;
        let own = own(&whole, &material);
        let job = move |change: &mut Change<'_>| {
            replace(change, &extract.message, &extract.text, &whole, own)
        };
        self.store.write(job).await.ok()
    }
}

/// The extract at the start of a conversation, and the asset that it is about.
fn extract(db: &rusqlite::Connection, conversation: &str) -> Result<Option<Extract>, Failure> {
    let conversation = store::get(db, Kind::Conversation, conversation)?;
    let messages = store::owned_rows(db, Kind::Message, conversation.seq)?;
    let links = store::neighbours(db, conversation.seq)?;
    let (Some(first), Some(asset)) = (
        messages.first(),
        links.iter().find(|link| link.kind == Kind::Asset),
    ) else {
        return Ok(None);
    };
    let text = message::raw(&first.object()?)
        .unwrap_or_default()
        .to_owned();
    let asset = store::get(db, Kind::Asset, &asset.id)?;
    let name = asset.object()?.remove("name");
    let content = asset::content(db, &asset)?;
    Ok((!content.trim().is_empty()).then(|| Extract {
        message: first.id.clone(),
        text,
        asset: Text {
            kind: Part::Asset,
            name: name
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or(asset::UNNAMED)
                .to_owned(),
            uri: None,
            lines: None,
            text: content,
        },
    }))
}

fn own(whole: &Whole, material: &Material) -> Value {
    let mut own = json!({
        "model": whole.model,
        "stop": "end",
        "context": context::context_field(Some(&whole.prompt.sent), material),
    });
    if let Some(usage) = whole.usage {
        own["usage"] = json!(usage);
    }
    own
}

/// Replaces the extract, if it is still there.
fn replace(
    change: &mut Change<'_>,
    id: &str,
    extract: &str,
    whole: &Whole,
    own: Value,
) -> Result<(), Failure> {
    let Some(row) = store::find(change.db, Kind::Message, id)? else {
        return Ok(());
    };
    let mut doc = row.object()?;
    if message::raw(&doc) != Some(extract) {
        return Ok(());
    }
    doc.insert(
        "fragment".to_owned(),
        json!({"string": {"raw": whole.text}}),
    );
    doc.insert(
        "model".to_owned(),
        models::object(&whole.choice, &whole.model),
    );
    doc.insert(crate::pieces::OWN.to_owned(), own);
    change.write_message(&row, &doc, None)?;
    change.index_text(row.seq, &whole.text)?;
    change.touch(&Link::from(&row))?;
    if let Some(conversation) = row
        .owner
        .map(|seq| store::by_seq(change.db, seq))
        .transpose()?
        .flatten()
    {
        change.touch(&conversation)?;
    }
    Ok(())
}
