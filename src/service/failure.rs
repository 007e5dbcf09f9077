//! Why a request failed: a status and one sentence of plain text, as Pieces OS answers.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::trouble::Trouble;

/// A refused or failed request. The text never has content of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Invalid request: 400.
    Invalid(String),
    /// The object does not exist (any more): 410.
    Gone { kind: &'static str, id: String },
    /// An object with the id of the request exists already: 409.
    Exists(String),
    /// Too many writes are waiting, or the service is stopping: 503. Nothing was changed.
    Busy,
    /// The data directory was moved, replaced or deleted: 503. Nothing was changed.
    Displaced(String),
    /// The write was queued but its outcome did not arrive in time: 504.
    Unknown,
    /// The store could not be read or written: 503 if it is locked, 507 if the disk is full, else 500. A
    /// write was rolled back or never began.
    Store(Trouble),
}

impl Failure {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// The store is damaged, or the disk cannot read it.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Store(Trouble::Damaged))
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let trouble = Trouble::of(&error);
        tracing::error!(%error, ?trouble, "the store failed");
        Self::Store(trouble)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        let error = error.classify();
        tracing::error!(?error, "a stored document is not JSON");
        Self::Store(Trouble::Damaged)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.status_and_sentence().into_response()
    }
}

impl Failure {
    /// The status of the response, and its text.
    pub(crate) fn status_and_sentence(self) -> (StatusCode, String) {
        match self {
            Self::Invalid(text) => (StatusCode::BAD_REQUEST, text),
            Self::Gone { kind, id } => (StatusCode::GONE, format!("There is no {kind} {id}.")),
            Self::Exists(id) => (StatusCode::CONFLICT, format!("{id} exists already.")),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is busy or stopping; nothing was changed, try again.".to_owned(),
            ),
            Self::Displaced(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{reason} Nothing was changed."),
            ),
            Self::Unknown => (
                StatusCode::GATEWAY_TIMEOUT,
                "The write timed out and may have been carried out; check before trying again."
                    .to_owned(),
            ),
            Self::Store(trouble) => (
                match trouble {
                    Trouble::Locked => StatusCode::SERVICE_UNAVAILABLE,
                    Trouble::Full => StatusCode::INSUFFICIENT_STORAGE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                },
                format!(
                    "The store {}; nothing was changed. {}.",
                    trouble.what(),
                    trouble.remedy()
                ),
            ),
        }
    }
}
