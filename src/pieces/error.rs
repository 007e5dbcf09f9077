//! Failures of calls to a Pieces service, in terms a user can act on.
//!
//! Every [`Error`] is made by a constructor here. Failures on the wire come through `outcome.rs`, which has
//! their sentences.

/// The closed set of failure kinds that clients of the language server see as `data.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// No response: no service found, connection refused or lost.
    Offline,
    /// No response before the deadline.
    Timeout,
    /// 401: no user is signed in to Pieces OS.
    SignedOut,
    /// 593: Pieces OS requires an update first.
    UpdateRequired,
    /// 404 or 410: the object (or the route) does not exist.
    NotFound,
    /// 503: nothing was changed, and a retry may help.
    Busy,
    /// Any other error status; `detail` has the start of its text.
    Refused,
    /// The response does not match the API.
    Protocol,
    /// No model was chosen to answer, or it is not there.
    NoModel,
    /// The model failed or refused; `detail` has its own sentence.
    Model,
}

impl Kind {
    /// The name on the wire (`data.kind`).
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Offline => "offline",
            Kind::Timeout => "timeout",
            Kind::SignedOut => "signed-out",
            Kind::UpdateRequired => "update-required",
            Kind::NotFound => "not-found",
            Kind::Busy => "busy",
            Kind::Refused => "refused",
            Kind::Protocol => "protocol",
            Kind::NoModel => "no-model",
            Kind::Model => "model",
        }
    }
}

/// A failed call. `message` is one sentence with what to do next and never has content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind of failure.
    pub kind: Kind,
    /// The sentence for the user.
    pub message: String,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// At most 1 KiB of the response's text.
    pub detail: Option<String>,
    /// A POST was sent and its outcome is unknown: it may have been carried out.
    pub outcome_unknown: bool,
}

impl Error {
    /// An error of that kind without status or detail, with a known outcome.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            status: None,
            detail: None,
            outcome_unknown: false,
        }
    }

    /// [`Kind::Offline`].
    pub fn offline(message: impl Into<String>) -> Error {
        Error::new(Kind::Offline, message)
    }

    /// [`Kind::Timeout`].
    pub fn timeout(message: impl Into<String>) -> Error {
        Error::new(Kind::Timeout, message)
    }

    /// [`Kind::Protocol`].
    pub fn protocol(message: impl Into<String>) -> Error {
        Error::new(Kind::Protocol, message)
    }

    /// [`Kind::Offline`] before the first connection, without a known reason.
    pub fn not_connected() -> Error {
        Error::offline("Not connected yet; start Pieces OS, or set `pieces.backend` to `local`.")
    }

    /// The same failure with another message.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Error {
        let message = message.into();
        Error { message, ..self }
    }

    /// Its HTTP status, and the start of its text.
    #[must_use]
    pub fn with_status(self, status: u16, detail: Option<String>) -> Error {
        let status = Some(status);
        Error {
            status,
            detail,
            ..self
        }
    }

    /// Marks the outcome of a sent POST as unknown.
    #[must_use]
    pub fn with_unknown_outcome(self) -> Error {
        Error {
            outcome_unknown: true,
            ..self
        }
    }

    /// Marks the outcome as irrelevant: repeating the request is harmless.
    #[must_use]
    pub fn repeatable(self) -> Error {
        Error {
            outcome_unknown: false,
            ..self
        }
    }
}
