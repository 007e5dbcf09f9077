//! Why a copy stopped.

use super::report::Counts;
use crate::pieces;
use crate::service::ServiceError;

/// A copy that could not start or broke off. What had been written by then stays.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// One sentence that says what to do next. It never holds content.
    pub message: String,
    /// What the Pieces service said, where one is to blame.
    pub cause: Option<pieces::Error>,
    /// What had been done by then.
    pub so_far: Counts,
}

impl Error {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: None,
            so_far: Counts::default(),
        }
    }
}

impl Error {
    /// Whether a service did not answer at all.
    pub(super) fn is_silence(&self) -> bool {
        use pieces::Kind::{Offline, Timeout};
        let silent = |cause: &pieces::Error| matches!(cause.kind, Offline | Timeout);
        self.cause.as_ref().is_some_and(silent)
    }

    /// Whether the service refused a request, rather than being away or busy.
    pub(super) fn is_refusal(&self) -> bool {
        let refused = |cause: &pieces::Error| cause.kind == pieces::Kind::Refused;
        self.cause.as_ref().is_some_and(refused)
    }
}

impl From<pieces::Error> for Error {
    fn from(cause: pieces::Error) -> Self {
        Self {
            cause: Some(cause.clone()),
            ..Self::new(cause.message)
        }
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::new(error.to_string())
    }
}
