//! JSON-RPC errors with a `kind` that clients can act on and a sentence that people can.

use crate::pieces;
use serde_json::json;
use tower_lsp::jsonrpc::{Error, ErrorCode};

/// LSP's `RequestFailed`: the request was fine, serving it failed.
const REQUEST_FAILED: ErrorCode = ErrorCode::ServerError(-32803);

/// A failure of that `kind`, with its sentence.
pub(crate) fn failure(kind: pieces::Kind, message: impl Into<String>) -> Error {
    Error {
        code: REQUEST_FAILED,
        message: message.into().into(),
        data: Some(json!({ "kind": kind.as_str() })),
    }
}

/// What the client sent cannot be used; `message` names the field.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error {
        code: ErrorCode::InvalidParams,
        message: message.into().into(),
        data: Some(json!({ "kind": "invalid-argument" })),
    }
}

/// An error of the Pieces client as one of JSON-RPC.
pub(crate) fn failed(error: pieces::Error) -> Error {
    let mut data = json!({ "kind": error.kind.as_str() });
    if let Some(status) = error.status {
        data["status"] = status.into();
    }
    if let Some(detail) = error.detail {
        data["detail"] = detail.into();
    }
    if error.outcome_unknown {
        data["outcomeUnknown"] = true.into();
    }
    Error {
        code: REQUEST_FAILED,
        message: error.message.into(),
        data: Some(data),
    }
}
