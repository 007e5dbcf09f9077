//! The result of a question.

use crate::model::prompt::Context;
use crate::pieces::{self, Error};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The model finished.
    End,
    /// The model reached its length limit.
    Length,
    /// The user stopped it.
    Cancelled,
    /// It broke off; [`Answer::note`] says how.
    Incomplete,
}

impl How {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            How::End => "end",
            How::Length => "length",
            How::Cancelled => "cancelled",
            How::Incomplete => "incomplete",
        }
    }

    pub(super) fn parse(name: &str) -> Option<How> {
        [How::End, How::Length, How::Cancelled, How::Incomplete]
            .into_iter()
            .find(|how| how.as_str() == name)
    }
}

/// The result of a question that was answered, at least in part, or stopped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The conversation; `None` if it was stopped before there was one.
    pub conversation: Option<Uuid>,
    /// The question, if its id is known.
    pub question: Option<Uuid>,
    /// The answer; `None` if it was stopped before the first word.
    pub answer: Option<Uuid>,
    /// The text of the answer.
    pub text: String,
    /// How it ended.
    pub stop: How,
    /// The model that answered, if it is known.
    pub model: Option<String>,
    /// `{prompt, completion}` in tokens, as the endpoint counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// How long it took.
    pub seconds: f64,
    /// The parts of the context, and how much of each was sent.
    pub context: Vec<Context>,
    /// One sentence if something was unusual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What [`super::ask`] returns.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// An answer.
    Answer(Answer),
    /// What would be sent: `{endpoint, model, remote, context, tokens}`.
    DryRun(Value),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The reason.
    pub cause: Cause,
    /// The conversation of the question, if there is one.
    pub conversation: Option<Uuid>,
    /// The question, which is kept without an answer, if it was stored.
    pub question: Option<Uuid>,
}

/// The reason of a [`Failure`].
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// Something in the request; the sentence names the field.
    Invalid(String),
    /// The service or the model.
    Service(Error),
}

impl Failure {
    pub(super) fn invalid(message: impl Into<String>) -> Failure {
        Failure {
            cause: Cause::Invalid(message.into()),
            conversation: None,
            question: None,
        }
    }

    /// The sentence for the user.
    pub fn message(&self) -> &str {
        match &self.cause {
            Cause::Invalid(message) => message,
            Cause::Service(error) => &error.message,
        }
    }

    /// Adds the ids of the conversation and the question.
    pub(super) fn about(self, conversation: Option<Uuid>, question: Option<Uuid>) -> Failure {
        Failure {
            conversation,
            question,
            ..self
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            cause: Cause::Service(error),
            conversation: None,
            question: None,
        }
    }
}

/// Converts an error of the endpoint.
pub(super) fn model_error(error: crate::model::Error) -> Error {
    let kind = match error.kind {
        crate::model::Kind::NoModel => pieces::Kind::NoModel,
        crate::model::Kind::Model => pieces::Kind::Model,
    };
    Error {
        status: error.status,
        detail: error.detail,
        ..Error::new(kind, error.message)
    }
}
