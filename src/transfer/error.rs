//! Why a copy stopped.

use super::report::{Counts, Unreadable};
use crate::pieces;
use crate::service::ServiceError;

/// A copy that could not start or was interrupted. Everything written before stays.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// One sentence with what to do next. Never has content.
    pub message: String,
    /// The error of the Pieces service, if it caused this one.
    pub cause: Option<Box<pieces::Error>>,
    /// Counts up to the error.
    pub so_far: Counts,
    /// Sentences about the objects up to the error.
    pub remarks: Vec<String>,
    /// The first of the objects that were unreadable up to the error.
    pub unreadable: Vec<Unreadable>,
}

impl Error {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            cause: None,
            so_far: Counts::default(),
            remarks: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl Error {
    /// Whether a service did not respond at all.
    pub(super) fn is_silence(&self) -> bool {
        use pieces::Kind::{Offline, Timeout};
        let silent = |cause: &pieces::Error| matches!(cause.kind, Offline | Timeout);
        self.cause.as_deref().is_some_and(silent)
    }

    /// Whether the service refused a request, rather than being offline or busy.
    pub(super) fn is_refusal(&self) -> bool {
        let refused = |cause: &pieces::Error| cause.kind == pieces::Kind::Refused;
        self.cause.as_deref().is_some_and(refused)
    }
}

impl From<pieces::Error> for Error {
    fn from(cause: pieces::Error) -> Self {
        Self {
            cause: Some(Box::new(cause.clone())),
            ..Self::new(cause.message)
        }
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::new(error.to_string())
    }
}
