//! How an answer ended, as it is stored and as the asking client is told.

use serde_json::{Map, Value, json};

use super::{
    context,
    record::{Ids, Stored},
    run::Cancel,
    writer::{Asked, Facts, Over},
};
use crate::model::{self, End, Stop};
use crate::service::{Failure, store::writing};

/// How an answer ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// Why there is no answer or an incomplete one; empty for a complete one.
    pub(crate) sentence: String,
    /// Our own field of the last frame.
    pub(crate) own: Map<String, Value>,
}

impl Ended {
    /// There is no answer.
    pub(crate) fn failed(error: &model::Error) -> Self {
        let mut own = Map::new();
        own.insert("error".to_owned(), error_field(error));
        Self {
            outcome: Outcome::of(error),
            sentence: error.message.clone(),
            own,
        }
    }
}

/// A failure, as the asking client is told.
fn error_field(error: &model::Error) -> Value {
    json!({
        "kind": error.kind.as_str(),
        "message": error.message,
        "detail": error.detail,
    })
}

/// The kinds of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Stopped,
    /// It broke off after its first words.
    Incomplete,
    /// Before the first word, with this status code.
    Failed(u16),
}

impl Outcome {
    /// A failure before the first word.
    fn of(error: &model::Error) -> Self {
        Self::Failed(status_of(error))
    }
}

/// The status code of a failure.
pub(crate) fn status_of(error: &model::Error) -> u16 {
    match (error.kind, error.status) {
        (model::Kind::NoModel, _) => 501,
        (_, Some(status @ (401 | 429 | 503))) => status,
        _ => 500,
    }
}

/// The end of an answer, to be stored and sent.
pub(super) struct Ending {
    outcome: Outcome,
    stop: Option<&'static str>,
    sentence: String,
    error: Option<model::Error>,
    pub(super) model: Option<String>,
    usage: Option<model::Usage>,
    context: Value,
    notes: Vec<String>,
    /// The conversation or message that would store it is gone.
    pub(super) is_lost: bool,
}

impl Ending {
    fn nothing() -> Self {
        Self {
            outcome: Outcome::Completed,
            stop: None,
            sentence: String::new(),
            error: None,
            model: None,
            usage: None,
            context: Value::Array(Vec::new()),
            notes: Vec::new(),
            is_lost: false,
        }
    }

    /// The run panicked.
    pub(super) fn of_fault(has_words: bool) -> Self {
        let sentence = "The answer ended because of a bug in pieces-lsp; ask again, and report it with the log.";
        let mut ending = Self::nothing();
        match has_words {
            true => ending.incomplete(sentence),
            false => ending.failed(model::Error::model(sentence)),
        }
        ending
    }

    pub(super) fn of(over: Over, facts: &Facts, note: Option<String>, asked: &Asked) -> Self {
        let has_words = !asked.run.progress.borrow().text.is_empty();
        let sent = facts.prompt.as_ref().map(|prompt| &prompt.sent);
        let mut ending = Self {
            model: facts.model.clone(),
            context: context::context_field(sent, &asked.material),
            notes: note.into_iter().collect(),
            ..Self::nothing()
        };
        match over {
            Over::Whole(end) => ending.whole(end, facts),
            Over::Cancelled(Cancel::Stopped | Cancel::Deleted) => ending.stopped(),
            Over::Cancelled(Cancel::Shutdown) => {
                ending.incomplete(
                    "The local service stopped before the answer was complete; ask again.",
                );
            }
            Over::Cancelled(Cancel::Unattended) => {
                ending.incomplete(
                    "The answer was stopped because no client was waiting for it any more.",
                );
            }
            Over::Failed(error) if has_words => ending.incomplete(&error.message),
            Over::Failed(error) => {
                if error.status == Some(401)
                    && let Some(choice) = &facts.choice
                {
                    model::forget_key(choice);
                }
                ending.failed(error);
            }
            Over::Lost => {
                ending.stopped();
                ending.lost();
            }
        }
        ending
    }

    fn whole(&mut self, end: End, facts: &Facts) {
        self.usage = end.usage;
        if let Some(model) = end.model {
            self.model = Some(model);
        }
        self.notes.extend(end.note.clone());
        if let (Some(usage), Some(prompt)) = (end.usage, &facts.prompt)
            && model::was_cut(prompt, usage.prompt)
        {
            self.notes.push(format!(
                "The model server cut the question: it counted {} of about {} tokens.",
                usage.prompt, prompt.tokens
            ));
        }
        self.stop = Some(end.stop.as_str());
        if end.stop == Stop::Incomplete {
            self.outcome = Outcome::Incomplete;
            self.sentence = end
                .note
                .unwrap_or_else(|| "The answer broke off.".to_owned());
        }
    }

    fn stopped(&mut self) {
        self.outcome = Outcome::Stopped;
        self.stop = Some("cancelled");
    }

    fn incomplete(&mut self, sentence: &str) {
        self.outcome = Outcome::Incomplete;
        self.stop = Some("incomplete");
        self.sentence = sentence.to_owned();
        self.notes.push(sentence.to_owned());
    }

    fn failed(&mut self, error: model::Error) {
        self.outcome = Outcome::of(&error);
        self.sentence = error.message.clone();
        self.error = Some(error);
    }

    /// Learns whether the end was stored.
    pub(super) fn kept(&mut self, kept: &Result<Stored, Failure>) {
        match kept {
            Ok(Stored::Yes) => {}
            Ok(Stored::Lost) => self.lost(),
            Err(failure) => self.not_stored(failure.clone()),
        }
    }

    fn lost(&mut self) {
        self.is_lost = true;
        self.outcome = Outcome::Stopped;
        self.stop = Some("cancelled");
        self.notes
            .push("The conversation or the answer was deleted meanwhile.".to_owned());
    }

    fn not_stored(&mut self, failure: Failure) {
        let (_, sentence) = failure.status_and_sentence();
        self.incomplete(&format!("The end of the answer was not stored: {sentence}"));
    }

    fn note(&self) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes.join(" "))
    }

    /// The fields that are both stored and sent.
    fn facts(&self) -> Map<String, Value> {
        let usage = self.usage.map(|usage| json!(usage));
        let facts = [
            ("stop", self.stop.map(Value::from)),
            ("model", self.model.clone().map(Value::from)),
            ("usage", usage),
            (
                "context",
                Some(self.context.clone()).filter(|context| *context != Value::Array(Vec::new())),
            ),
            ("note", self.note().map(Value::from)),
        ];
        let known = facts
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        known.collect()
    }

    /// Our own field of the answer.
    pub(super) fn stored_own(&self) -> Map<String, Value> {
        let mut own = self.facts();
        let state = match self.outcome {
            Outcome::Completed => None,
            Outcome::Stopped => Some(writing::STOPPED),
            Outcome::Incomplete | Outcome::Failed(_) => Some(writing::INTERRUPTED),
        };
        if let Some(state) = state {
            own.insert("state".to_owned(), state.into());
        }
        own
    }

    /// `ids`: of a question that was stored.
    pub(super) fn into_ended(self, ids: Option<&Ids>, is_stored: bool, seconds: f64) -> Ended {
        let mut own = self.facts();
        let question = ids.map(|ids| ids.question.as_str());
        own.insert("question".to_owned(), question.into());
        let answer = ids.filter(|_| is_stored).map(|ids| ids.answer.as_str());
        own.insert("answer".to_owned(), answer.into());
        own.insert("seconds".to_owned(), seconds.into());
        if let Some(error) = &self.error {
            own.insert("error".to_owned(), error_field(error));
        }
        Ended {
            outcome: self.outcome,
            sentence: self.sentence,
            own,
        }
    }
}
