//! The frames that the asking client receives. `docs/service.md` describes them.

use serde_json::{Map, Value, json};

use super::{
    ending::{Ended, Outcome},
    run::{Conclusion, Progress},
};
use crate::pieces::OWN;
use crate::service::Failure;

/// The asking client, as far as it matters for frames.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) conversation: String,
    pub(crate) request: Option<Value>,
    /// Whether it understands the field `pieces_lsp`.
    pub(crate) ours: bool,
}

impl Asker {
    fn frame(&self, status: &str, code: u16, own: Option<Value>) -> Map<String, Value> {
        let mut frame = Map::new();
        frame.insert("conversation".to_owned(), self.conversation.as_str().into());
        if let Some(request) = &self.request {
            frame.insert("request".to_owned(), request.clone());
        }
        frame.insert("status".to_owned(), status.into());
        frame.insert("statusCode".to_owned(), code.into());
        if let Some(own) = own.filter(|_| self.ours) {
            frame.insert(OWN.to_owned(), own);
        }
        frame
    }

    /// The next words, which begin at byte `at` of the answer; none if only the status changed.
    pub(crate) fn progress(&self, progress: &Progress, at: usize) -> String {
        let text = progress.text.get(at..).unwrap_or_default();
        let own = json!({
            "question": progress.question,
            "answer": progress.message,
            "status": progress.status.as_str(),
            "at": at,
        });
        let mut frame = self.frame("IN-PROGRESS", 200, Some(own));
        let answers = match text {
            "" => json!([]),
            text => json!([{"score": 1, "text": text}]),
        };
        let question = json!({"answers": {"iterable": answers}});
        frame.insert("question".to_owned(), question);
        Value::Object(frame).to_string()
    }

    /// The last frame.
    pub(crate) fn concluded(&self, conclusion: &Conclusion) -> String {
        match conclusion {
            Conclusion::Refused(refusal) => self.refused(refusal),
            Conclusion::Ended(ended) => self.ended(ended),
            Conclusion::Dry(own) => {
                Value::Object(self.frame("COMPLETED", 200, Some(own.clone()))).to_string()
            }
        }
    }

    /// The last frame of an answer. It has no `question`: some clients look at its status only then.
    fn ended(&self, ended: &Ended) -> String {
        let own = Value::Object(ended.own.clone());
        // Clients that do not know our field must not take a partial answer for a complete one.
        let (status, code) = match ended.outcome {
            Outcome::Completed => ("COMPLETED", 200),
            Outcome::Stopped => ("STOPPED", 200),
            Outcome::Incomplete if self.ours => ("COMPLETED", 200),
            Outcome::Incomplete => ("FAILED", 500),
            Outcome::Failed(code) => ("FAILED", code),
        };
        let mut frame = self.frame(status, code, Some(own));
        if status == "FAILED" {
            frame.insert("errorMessage".to_owned(), ended.sentence.as_str().into());
        }
        Value::Object(frame).to_string()
    }

    /// The response to a question that was refused.
    pub(crate) fn refused(&self, refusal: &Refusal) -> String {
        let error = json!({"kind": refusal.kind, "message": refusal.sentence});
        let mut frame = self.frame("FAILED", refusal.code, Some(json!({ "error": error })));
        frame.insert("errorMessage".to_owned(), refusal.sentence.as_str().into());
        Value::Object(frame).to_string()
    }

    /// The response to a frame that cannot be understood.
    pub(crate) fn invalid(&self, sentence: String) -> String {
        self.refused(&Refusal::invalid(sentence))
    }

    /// The response to a stop from a socket that did not ask.
    pub(crate) fn stopped(&self, stopped: bool) -> String {
        let frame = Self {
            ours: true,
            ..self.clone()
        };
        let own = json!({ "stopped": stopped });
        Value::Object(frame.frame("STOPPED", 200, Some(own))).to_string()
    }

    /// The response to a search without a question: nothing is relevant.
    pub(crate) fn nothing_relevant(&self) -> String {
        let mut frame = self.frame("COMPLETED", 200, None);
        let nothing = json!({"relevant": {"iterable": []}});
        frame.insert("relevance".to_owned(), nothing);
        Value::Object(frame).to_string()
    }
}

/// Why a question was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
    pub(crate) code: u16,
    pub(crate) sentence: String,
}

impl Refusal {
    pub(crate) fn busy() -> Self {
        Self {
            kind: "busy",
            code: 503,
            sentence: "This conversation is being answered; wait for the answer or stop it, then ask again."
                .to_owned(),
        }
    }

    /// A question that could not be stored.
    pub(crate) fn of(failure: Failure) -> Self {
        let kind = match failure {
            Failure::Invalid(_) => "invalid-argument",
            Failure::Gone { .. } => "not-found",
            _ => "busy",
        };
        let (status, sentence) = failure.status_and_sentence();
        Self {
            kind,
            code: status.as_u16(),
            sentence,
        }
    }

    pub(crate) fn invalid(sentence: impl Into<String>) -> Self {
        Self {
            kind: "invalid-argument",
            code: 400,
            sentence: sentence.into(),
        }
    }
}
