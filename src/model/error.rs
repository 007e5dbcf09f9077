//! Why a model did not answer, in words that a user can act on.

/// The kinds of failure that clients see as `data.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// There is no model to ask: none was chosen, or the chosen one does not exist.
    NoModel,
    /// The endpoint failed or refused.
    Model,
}

impl Kind {
    /// The name on the wire (`data.kind`).
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::NoModel => "no-model",
            Kind::Model => "model",
        }
    }
}

/// A failed question. `message` is one sentence that says what to do next, without content and without the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind of failure.
    pub kind: Kind,
    /// The sentence for the user.
    pub message: String,
    /// The endpoint's own sentence: at most 1 KiB, without control characters and without the key.
    pub detail: Option<String>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// Set if the endpoint refused the length of the prompt and may be asked once more, with less.
    pub too_long: Option<TooLong>,
}

/// The endpoint refused the prompt as too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The context size in tokens that it named.
    pub context: Option<u32>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            detail: None,
            status: None,
            too_long: None,
        }
    }

    /// [`Kind::NoModel`].
    pub fn no_model(message: impl Into<String>) -> Error {
        Error::new(Kind::NoModel, message)
    }

    /// [`Kind::Model`].
    pub fn model(message: impl Into<String>) -> Error {
        Error::new(Kind::Model, message)
    }

    /// No endpoint was chosen. Callers of [`crate::model::look_for`] say more.
    pub fn none_chosen() -> Error {
        Error::no_model("No model was chosen; choose one with `pieces-lsp model use URL`.")
    }
}
