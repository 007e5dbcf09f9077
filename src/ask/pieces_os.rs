//! Asking Pieces OS: the texts become part of the message, and we keep our own records of what it does not store.

use super::answer::{Answer, Failure, How, Outcome};
use super::flow::{Over, Run, follow};
use super::kept::{Keeper, Kept};
use super::limits::{MAX_FENCES, SETTLE, SETTLE_PAUSES, STOPPING};
use super::{Event, listing, wording};
use crate::model::prompt::{Context, Kind as Part, tokens};
use crate::pieces::{Client, Error, Kind, Question, Role};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::HashSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub(super) async fn ask(mut run: Run) -> Result<Outcome, Failure> {
    if run.stop.is_stopped() {
        return Ok(run.cancelled());
    }
    let model = match &run.request.model {
        Some(name) => Some(listing::of_pieces_os(&run.asker, name).await?),
        None => None,
    };
    let (model_id, model) = model.unzip();
    let (query, context) = query(&run);
    if run.request.dry_run {
        return Ok(Outcome::DryRun(json!({
            "endpoint": run.asker.client.base().as_str(),
            "model": model,
            // It has local and remote models, and does not say which one will answer.
            "remote": null,
            "context": context,
            "tokens": tokens(&query),
        })));
    }
    let conversation = run.place.make(&run.asker, &run.events).await?;
    let application = run.asker.client.connect().await.ok();
    let application = application.and_then(|it| it["id"].as_str().map(str::to_owned));
    if run.stop.is_stopped() {
        return Ok(run.cancelled());
    }
    let records = QuestionRecords::of(&run, conversation);
    records.keep_prompt(&query).await;
    let question = Question {
        conversation: Some(conversation),
        query,
        model: model_id,
        application,
        ..Question::default()
    };
    run.asker.surroundings.sends(conversation);
    let asking = run.asker.client.ask(&question).await;
    let failed = |error| Failure::from(error).about(Some(conversation), Some(records.pending));
    let mut asking = asking.map_err(failed)?;
    let sent = Some(conversation);
    let _ = run.events.send(Event::Sent { conversation: sent });
    let (heard, over) = follow(&mut asking, &run).await;
    drop(asking);
    let (stop, failure) = how(over);
    let answer = Answer {
        conversation: Some(conversation),
        question: None,
        answer: None,
        text: heard.text,
        stop,
        model,
        usage: None,
        seconds: run.seconds(),
        context,
        note: None,
    };
    finish(records, answer, failure).await
}

/// How an answer ended, and why if that was a failure.
fn how(over: Over) -> (How, Option<Error>) {
    match over {
        Over::Ended(ended) => match (ended.stopped, ended.failure) {
            (true, _) => (How::Cancelled, None),
            (false, None) => (How::End, None),
            (false, Some(error)) => (How::Incomplete, Some(error)),
        },
        Over::Left => (How::Cancelled, None),
        Over::TooLong => (How::Incomplete, None),
        Over::Lost(error) => (How::Incomplete, Some(error)),
    }
}

/// Completes the answer with what Pieces OS stored.
async fn finish(
    records: QuestionRecords,
    mut answer: Answer,
    failure: Option<Error>,
) -> Result<Outcome, Failure> {
    answer.note = match (&failure, answer.stop) {
        (Some(error), _) if !answer.text.is_empty() => Some(error.message.clone()),
        (None, How::Incomplete) => Some("The answer was stopped at 16 MiB.".to_owned()),
        _ => None,
    };
    let own = json!({
        "model": answer.model,
        "stop": answer.stop,
        "context": answer.context,
        "note": answer.note,
    });
    let settled = match (answer.stop, &failure) {
        (How::Cancelled, _) => records.settle_briefly(own).await,
        (_, None) => records.settle_in_time(&own, &SETTLE_PAUSES).await,
        (_, Some(_)) => records.settle_in_time(&own, &[]).await,
    };
    if let Some(stored) = settled.text.filter(|_| answer.stop == How::End) {
        answer.text = stored;
    }
    answer.question = settled.question;
    answer.answer = settled.answer.filter(|_| !answer.text.is_empty());
    if answer.text.is_empty() && answer.stop != How::Cancelled {
        let error = failure.unwrap_or_else(|| {
            Error::new(
                Kind::Model,
                "Pieces OS gave an empty answer; choose another model there, or use a model of your own: \
                 set `pieces.backend` to `local` and run `pieces-lsp model`.",
            )
        });
        return Err(Failure::from(error).about(answer.conversation, settled.question));
    }
    Ok(Outcome::Answer(answer))
}

/// The message to send, and how much of each text is in it.
fn query(run: &Run) -> (String, Vec<Context>) {
    let mut query = match &run.place.asked_before {
        Some(text) => text.clone(),
        None => wording::stored(run.prompt(), run.request.selection.as_ref()),
    };
    let mut room = MAX_FENCES;
    let mut context = Vec::new();
    for text in &run.gathered.texts {
        if text.kind == Part::Selection {
            context.push(text.context(text.text.len()));
            continue;
        }
        let mut end = text.text.len().min(room);
        while !text.text.is_char_boundary(end) {
            end -= 1;
        }
        room -= end;
        if end > 0 {
            query.push_str("\n\n");
            query.push_str(&wording::text_in_query(text, &text.text[..end]));
        }
        context.push(text.context(end));
    }
    context.extend(run.gathered.left_out.iter().cloned());
    (query, context)
}

/// Finds the messages that Pieces OS stored for a question, and records what it does not store.
#[derive(Clone)]
struct QuestionRecords {
    client: Client,
    keeper: Option<Keeper>,
    conversation: Uuid,
    /// The id of the kept prompt.
    pending: Uuid,
    /// The ids of the messages before the question.
    before: HashSet<Uuid>,
    named: Value,
}

/// The messages of a question.
#[derive(Debug, Default)]
struct Settled {
    question: Option<Uuid>,
    answer: Option<Uuid>,
    /// The text of the answer, as stored.
    text: Option<String>,
}

impl QuestionRecords {
    fn of(run: &Run, conversation: Uuid) -> QuestionRecords {
        QuestionRecords {
            client: run.asker.client.clone(),
            keeper: run.asker.data_dir.as_deref().map(Keeper::new),
            conversation,
            pending: run.request.question.unwrap_or_else(Uuid::new_v4),
            before: run.place.messages.clone(),
            named: json!(run.gathered.named),
        }
    }

    async fn keep_prompt(&self, query: &str) {
        if let Some(keeper) = &self.keeper {
            let kept = Kept {
                id: self.pending,
                prompt: Some(query.to_owned()),
                time: now(),
                own: json!({ "named": self.named }),
            };
            keeper.keep(self.conversation, kept).await;
        }
    }

    /// Settles a stopped question: its result must not wait until Pieces OS has stored everything.
    async fn settle_briefly(self, own: Value) -> Settled {
        match timeout(STOPPING / 2, self.settle(&own, &[])).await {
            Ok(settled) if settled.question.is_some() => settled,
            _ => {
                tokio::spawn(async move { self.settle(&own, &SETTLE_PAUSES).await });
                Settled::default()
            }
        }
    }

    /// Settles a question that has ended; one whose message was not found in time is known by its kept prompt.
    async fn settle_in_time(&self, own: &Value, pauses: &[u64]) -> Settled {
        let settling = timeout(SETTLE, self.settle(own, pauses)).await;
        let settled = settling.unwrap_or_default();
        Settled {
            question: settled.question.or(Some(self.pending)),
            ..settled
        }
    }

    /// Looks for the messages, and again after each of `pauses` (milliseconds) while the answer is missing.
    async fn settle(&self, own: &Value, pauses: &[u64]) -> Settled {
        let mut pauses = pauses.iter();
        loop {
            let found = self.look().await;
            if found.answer.is_none()
                && let Some(pause) = pauses.next()
            {
                sleep(std::time::Duration::from_millis(*pause)).await;
                continue;
            }
            self.enter(&found, own).await;
            return found;
        }
    }

    async fn look(&self) -> Settled {
        let Ok(transcript) = self.client.transcript(self.conversation).await else {
            return Settled::default();
        };
        let mut new = transcript.messages.into_iter();
        let mut new: Vec<_> = new
            .by_ref()
            .filter(|one| !self.before.contains(&one.id))
            .collect();
        let Some(at) = new.iter().rposition(|one| one.role == Role::User) else {
            return Settled::default();
        };
        let question = new[at].id;
        let answer = new.drain(at + 1..).rfind(|one| one.role == Role::Assistant);
        Settled {
            question: Some(question),
            answer: answer.as_ref().map(|answer| answer.id),
            text: answer
                .and_then(|answer| answer.text)
                .filter(|text| !text.is_empty()),
        }
    }

    async fn enter(&self, found: &Settled, own: &Value) {
        let Some(keeper) = &self.keeper else { return };
        if let Some(question) = found.question {
            let own = json!({ "named": self.named });
            self.note(keeper, question, own).await;
            keeper.forget(self.conversation, self.pending).await;
        }
        if let Some(answer) = found.answer {
            self.note(keeper, answer, own.clone()).await;
        }
    }

    async fn note(&self, keeper: &Keeper, id: Uuid, own: Value) {
        let kept = Kept {
            id,
            prompt: None,
            time: now(),
            own,
        };
        keeper.keep(self.conversation, kept).await;
    }
}

fn now() -> i64 {
    Timestamp::now().as_microsecond()
}
