//! Asks the model, and stores the answer while it is written.

use std::{sync::Arc, time::Duration};

use futures_util::future::OptionFuture;
use tokio::time::Instant;

use super::{
    Answers,
    context::{self, Material},
    decide::Peer,
    ending::{Ended, Ending},
    models,
    question::Question,
    record::{self, Finish, Ids, Stored},
    run::{Cancel, Run, Status},
};
use crate::model::{self, Answer, Choice, End, Piece, prompt::Prompt};
use crate::service::{Failure, store::Answering};

/// Minimum interval between two writes of a growing answer. Long answers are written less often, see [`PACE`].
const FLUSH: Duration = Duration::from_millis(500);
/// The pause after a write is at least this many times as long as the write.
const PACE: u32 = 10;
/// How long an answer may continue after its client has disconnected.
const UNATTENDED: Duration = Duration::from_secs(30 * 60);

/// A stored question, with everything that is needed to ask it.
pub(super) struct Asked {
    pub(super) run: Arc<Run>,
    pub(super) ids: Ids,
    pub(super) question: Question,
    pub(super) peer: Peer,
    pub(super) material: Material,
}

/// What is known about an answer so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) choice: Option<Choice>,
    pub(super) model: Option<String>,
    pub(super) prompt: Option<Prompt>,
}

/// How the model's part ended.
pub(super) enum Over {
    Whole(End),
    Failed(model::Error),
    Cancelled(Cancel),
    /// The message is gone, or another process ended it.
    Lost,
}

/// Asks the model, stores the answer while it is written, and returns how it ended. Everything is stored when it returns.
pub(super) async fn drive(answers: &Answers, asked: Asked) -> Ended {
    let started = Instant::now();
    let mut facts = Facts::default();
    let mut writer = Writer::new(answers, &asked);
    let over = writer.write(&mut facts).await;
    answers.store.live().remove(&asked.ids.conversation);
    let note = asked.material.note.clone();
    let ending = Ending::of(over, &facts, note, &asked);
    let seconds = started.elapsed().as_secs_f64();
    writer.finish(ending, &facts, seconds).await
}

/// Writes one answer into the store.
struct Writer<'a> {
    answers: &'a Answers,
    asked: &'a Asked,
    /// Whether the answer's message was stored.
    begun: bool,
    /// Bytes of the answer that are stored.
    stored: usize,
    /// Whether the status changed since the last write.
    changed: bool,
    next: Instant,
}

impl<'a> Writer<'a> {
    fn new(answers: &'a Answers, asked: &'a Asked) -> Self {
        Self {
            answers,
            asked,
            begun: false,
            stored: 0,
            changed: false,
            next: Instant::now(),
        }
    }

    async fn write(&mut self, facts: &mut Facts) -> Over {
        let asked = self.asked;
        let asking = ask(self.answers, asked, facts);
        let answer = tokio::select! {
            biased;
            why = asked.run.cancelled() => return Over::Cancelled(why),
            answer = asking => answer,
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Over::Failed(error),
        };
        let mut again = true;
        loop {
            match self.read(answer).await {
                Over::Failed(error) if again && error.too_long.is_some() => {
                    again = false;
                    let asking = ask_shorter(self.answers, asked, facts, &error);
                    let asked_again = tokio::select! {
                        biased;
                        why = asked.run.cancelled() => return Over::Cancelled(why),
                        answer = asking => answer,
                    };
                    match asked_again {
                        Ok(shorter) => answer = shorter,
                        Err(error) => return Over::Failed(error),
                    }
                }
                over => return over,
            }
        }
    }

    /// Reads an answer to its end, storing it meanwhile.
    async fn read(&mut self, mut answer: Answer) -> Over {
        let run = &self.asked.run;
        let unattended = async {
            run.progress.closed().await;
            tokio::time::sleep(UNATTENDED).await;
        };
        let mut unattended = std::pin::pin!(unattended);
        let mut cancelled = std::pin::pin!(run.cancelled());
        let mut writing = None;
        loop {
            if writing.is_none() && self.is_due() {
                writing = Some(Box::pin(self.flush()));
            }
            let is_pending = writing.is_none() && self.is_dirty();
            tokio::select! {
                biased;
                why = &mut cancelled => {
                    drop(answer);
                    settle(writing, self).await;
                    return Over::Cancelled(why);
                }
                Some(flushed) = OptionFuture::from(writing.as_mut()) => {
                    writing = None;
                    if !self.flushed(flushed) {
                        return Over::Lost;
                    }
                }
                () = tokio::time::sleep_until(self.next), if is_pending => {}
                () = &mut unattended => {
                    drop(answer);
                    settle(writing, self).await;
                    return Over::Cancelled(Cancel::Unattended);
                }
                piece = answer.next() => match piece {
                    Ok(Piece::Thinking) => self.status(Status::Thinking),
                    Ok(Piece::Text(text)) => self.text(&text),
                    Ok(Piece::End(end)) => {
                        settle(writing, self).await;
                        return Over::Whole(end);
                    }
                    Err(error) => {
                        settle(writing, self).await;
                        return Over::Failed(error);
                    }
                },
            }
        }
    }

    fn status(&mut self, status: Status) {
        self.asked.run.progress.send_if_modified(|progress| {
            // After the first words the status does not go back.
            let changed = progress.status != status && progress.text.is_empty();
            if changed {
                progress.status = status;
            }
            self.changed |= changed;
            changed
        });
    }

    fn text(&mut self, text: &str) {
        self.asked.run.progress.send_modify(|progress| {
            self.changed |= progress.status != Status::Writing;
            progress.status = Status::Writing;
            progress.text.push_str(text);
        });
    }

    /// Whether there is something to store or to announce.
    fn is_dirty(&self) -> bool {
        self.changed || self.asked.run.progress.borrow().text.len() > self.stored
    }

    fn is_due(&self) -> bool {
        self.is_dirty() && Instant::now() >= self.next
    }

    /// Starts a write of all words so far.
    fn flush(&mut self) -> impl Future<Output = Flushed> + Send + use<> {
        let run = &self.asked.run;
        let (text, status) = {
            let progress = run.progress.borrow();
            let text = (!progress.text.is_empty()).then(|| progress.text.clone());
            (text, progress.status)
        };
        self.changed = false;
        let (ids, begun) = (self.asked.ids.clone(), self.begun);
        let store = self.answers.store.clone();
        let message = (begun || text.is_some()).then(|| ids.answer.clone());
        store.live().set(
            &ids.conversation,
            Answering {
                message,
                status: status.as_str(),
            },
        );
        async move {
            let started = Instant::now();
            let length = text.as_ref().map(String::len);
            let result = store
                .write(move |change| record::flush(change, &ids, text.as_deref(), begun))
                .await;
            Flushed {
                result,
                length,
                took: started.elapsed(),
            }
        }
    }

    /// Records the result of a write. `false`: the message is gone.
    fn flushed(&mut self, flushed: Flushed) -> bool {
        self.next = Instant::now() + FLUSH.saturating_sub(flushed.took).max(flushed.took * PACE);
        match flushed.result {
            Ok(Stored::Yes) => {
                if let Some(length) = flushed.length {
                    self.stored = length;
                    if !self.begun {
                        self.begun = true;
                        let id = self.asked.ids.answer.clone();
                        self.asked
                            .run
                            .progress
                            .send_modify(|progress| progress.message = Some(id));
                    }
                }
            }
            Ok(Stored::Lost) => return false,
            // Retried with the next words: the disk may have space by then.
            Err(failure) => tracing::warn!(?failure, "words of an answer are not stored yet"),
        }
        true
    }

    /// Stores the end.
    async fn finish(self, ending: Ending, facts: &Facts, seconds: f64) -> Ended {
        let Self {
            answers,
            asked,
            begun,
            ..
        } = self;
        let text = asked.run.progress.borrow().text.clone();
        let has_words = !text.is_empty();
        let model = match (&facts.choice, &ending.model) {
            (Some(choice), Some(model)) if has_words => Some(models::object(choice, model)),
            _ => None,
        };
        let finish = Finish {
            text,
            own: ending.stored_own(),
            model,
        };
        let mut ending = ending;
        let mut kept = Ok(Stored::Lost);
        if !ending.is_lost {
            // Retried, so that a store that is locked for a moment loses no answer.
            for pause in [Duration::ZERO, FLUSH / 2, FLUSH * 2] {
                tokio::time::sleep(pause).await;
                let (ids, finish) = (asked.ids.clone(), finish.clone());
                kept = answers
                    .store
                    .write(move |change| record::finish(change, &ids, &finish, begun))
                    .await;
                if !matches!(kept, Err(Failure::Busy | Failure::Store(_))) {
                    break;
                }
            }
        }
        ending.kept(&kept);
        if begun && kept.is_err() {
            let (store, ids) = (Arc::downgrade(&answers.store), asked.ids.clone());
            tokio::spawn(record::finish_later(store, ids, finish));
        }
        let is_stored = has_words && matches!(kept, Ok(Stored::Yes));
        ending.into_ended(Some(&asked.ids), is_stored, seconds)
    }
}

/// Waits for a write in flight.
async fn settle<F: Future<Output = Flushed>>(writing: Option<F>, writer: &mut Writer<'_>) {
    if let Some(writing) = writing {
        let flushed = writing.await;
        writer.flushed(flushed);
    }
}

struct Flushed {
    result: Result<Stored, Failure>,
    /// Bytes of the answer that were written; `None` if only the status was announced.
    length: Option<usize>,
    took: Duration,
}

/// Decides on the endpoint and the model, and asks.
async fn ask(answers: &Answers, asked: &Asked, facts: &mut Facts) -> Result<Answer, model::Error> {
    if let Some(sentence) = &asked.material.failure {
        return Err(model::Error::model(sentence));
    }
    let ready = answers.prepare(&asked.question, asked.peer).await?;
    facts.choice = Some(ready.choice.clone());
    facts.model = Some(ready.model.clone());
    let prompt = context::build(&asked.material, &ready.choice, ready.context);
    let request = model::Request {
        model: ready.model.clone(),
        messages: prompt.messages.clone(),
        last: false,
    };
    facts.prompt = Some(prompt);
    answers.may_list(&ready.choice);
    ready.endpoint.ask(request).await
}

/// Asks a second time with less context, after the endpoint refused the length.
async fn ask_shorter(
    answers: &Answers,
    asked: &Asked,
    facts: &mut Facts,
    refusal: &model::Error,
) -> Result<Answer, model::Error> {
    let (Some(choice), Some(model), Some(before)) = (&facts.choice, &facts.model, &facts.prompt)
    else {
        return Err(refusal.clone());
    };
    let named = refusal.too_long.and_then(|too_long| too_long.context);
    let context = named.unwrap_or(before.tokens / 2).max(1);
    let prompt = context::build(&asked.material, choice, context);
    if prompt.tokens >= before.tokens {
        return Err(refusal.clone());
    }
    let request = model::Request {
        model: model.clone(),
        messages: prompt.messages.clone(),
        last: true,
    };
    let endpoint = answers.connect(choice)?;
    facts.prompt = Some(prompt);
    endpoint.ask(request).await
}
