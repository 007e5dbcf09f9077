//! What can go wrong between us and a Pieces service, in the terms a person can act on.
//!
//! Every [`Error`] is made by a constructor here. What happened on the wire comes through
//! `outcome.rs`, which knows the sentences for it.

/// The closed set of failure kinds that clients of the language server see as `data.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing answered: no service found, connection refused or lost.
    Offline,
    /// No answer before the deadline.
    Timeout,
    /// 401: nobody is signed in to Pieces OS.
    SignedOut,
    /// 593: Pieces OS wants to be updated first.
    UpdateRequired,
    /// 404 or 410: the object (or the route) is gone.
    NotFound,
    /// 503: nothing was changed, and trying again may help.
    Busy,
    /// Any other status that is not a success; `detail` has the start of its text.
    Refused,
    /// The answer was not what the API says.
    Protocol,
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
        }
    }
}

/// A failed call. `message` is one sentence that says what to do next and never contains content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure.
    pub kind: Kind,
    /// The sentence a person should see.
    pub message: String,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// At most 1 KiB of the answer's text.
    pub detail: Option<String>,
    /// A POST left and its outcome is not known: it may have been carried out.
    pub outcome_unknown: bool,
}

impl Error {
    /// An error of that kind without status or detail, whose outcome is known.
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

    /// [`Kind::Offline`] where no connection was made so far and nothing is known of why.
    pub fn not_connected() -> Error {
        Error::offline("Not connected yet; start Pieces OS, or set `pieces.backend` to `local`.")
    }

    /// The same failure in other words.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Error {
        let message = message.into();
        Error { message, ..self }
    }

    /// The HTTP status it came with, and the start of its text.
    #[must_use]
    pub fn with_status(self, status: u16, detail: Option<String>) -> Error {
        let status = Some(status);
        Error {
            status,
            detail,
            ..self
        }
    }

    /// A POST left, and it is not known whether it was carried out.
    #[must_use]
    pub fn with_unknown_outcome(self) -> Error {
        Error {
            outcome_unknown: true,
            ..self
        }
    }

    /// Repeating the request does no harm, so its outcome does not matter.
    #[must_use]
    pub fn repeatable(self) -> Error {
        Error {
            outcome_unknown: false,
            ..self
        }
    }
}
