//! Why one request was not answered: a status and one sentence of plain text, as Pieces OS does.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// A request that was refused or failed. The text never holds content of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is not what the API says: 400.
    Invalid(String),
    /// The object is not (or no longer) there: 410.
    Gone { kind: &'static str, id: String },
    /// An object with the id that the request brings exists already: 409.
    Exists(String),
    /// Too many writes are waiting, or the service is stopping: 503. Nothing was changed.
    Busy,
    /// The data directory is not where it was: 503. Nothing was changed.
    Displaced(String),
    /// The write was queued but no outcome came in time: 504.
    Unknown,
    /// SQLite refused: 500.
    Store(String),
}

impl Failure {
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        // The extended message may quote SQL but never bound values.
        Self::Store(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(format!(
            "a stored document is not JSON ({:?})",
            error.classify()
        ))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, text) = match self {
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
                "The write took too long; look whether it happened before trying again.".to_owned(),
            ),
            Self::Store(reason) => {
                tracing::error!(%reason, "the store failed");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The store failed; run `pieces-lsp doctor` and see its log.".to_owned(),
                )
            }
        };
        (status, text).into_response()
    }
}
