//! JSON-RPC errors: `data.kind` for programs, one sentence for people.

use crate::pieces;
use serde_json::json;
use tower_lsp::jsonrpc::{Error, ErrorCode};

/// LSP's `RequestFailed`: the request was fine, serving it failed.
const REQUEST_FAILED: ErrorCode = ErrorCode::ServerError(-32803);

/// A failed request.
pub(crate) fn failure(kind: pieces::Kind, message: impl Into<String>) -> Error {
    Error {
        code: REQUEST_FAILED,
        message: message.into().into(),
        data: Some(json!({ "kind": kind.as_str() })),
    }
}

/// Invalid parameters; `message` names the field.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error {
        code: ErrorCode::InvalidParams,
        message: message.into().into(),
        data: Some(json!({ "kind": "invalid-argument" })),
    }
}

/// A failed call of the service.
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
