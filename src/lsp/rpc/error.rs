//! JSON-RPC errors: `data.kind` for programs, one sentence for people.

use crate::ask::{Cause, Failure};
use crate::lsp::limits::FOREIGN_NAME_CHARS;
use crate::markdown::label;
use crate::pieces;
use serde_json::{Value, json};
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

/// A failed question. If it was kept, the error has its id.
pub(crate) fn asked(failure: Failure) -> Error {
    let mut error = match failure.cause {
        Cause::Invalid(message) => invalid(message),
        Cause::Service(error) => failed(error),
    };
    if let Some(data) = &mut error.data {
        if let Some(conversation) = failure.conversation {
            data["conversation"] = json!(conversation);
        }
        if let Some(question) = failure.question {
            data["question"] = json!(question);
        }
    }
    error
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

/// An error of the protocol itself.
pub(super) fn of_protocol(code: ErrorCode, message: impl Into<String>) -> Error {
    let kind = match code {
        ErrorCode::ParseError | ErrorCode::InvalidRequest | ErrorCode::InvalidParams => {
            "invalid-argument"
        }
        ErrorCode::MethodNotFound => "not-found",
        // Before `initialize`: nothing was changed, and it may be tried again.
        ErrorCode::ServerError(-32002) => "busy",
        ErrorCode::RequestCancelled => "cancelled",
        _ => "protocol",
    };
    Error {
        code,
        message: message.into().into(),
        data: Some(json!({ "kind": kind })),
    }
}

/// The error as it is sent: an error of tower-lsp gets a kind, and a sentence of ours that quotes no content.
pub(super) fn answered(error: Error, method: &str) -> Error {
    let kind = error.data.as_ref().and_then(|data| data.get("kind"));
    if kind.is_some_and(Value::is_string) {
        return error;
    }
    let method = label(method, FOREIGN_NAME_CHARS);
    let sentence = match error.code {
        ErrorCode::MethodNotFound => format!("pieces-lsp has no method `{method}`."),
        ErrorCode::InvalidRequest => {
            format!("`{method}` is a notification; send it without an id.")
        }
        ErrorCode::InvalidParams => match missing_field(&error.message) {
            Some(field) => {
                format!(
                    "The parameters of `{method}` cannot be used: `{field}` is missing or wrong."
                )
            }
            None => format!("The parameters of `{method}` cannot be used: a field is wrong."),
        },
        _ => "pieces-lsp failed on this request; please report it with the log.".to_owned(),
    };
    of_protocol(error.code, sentence)
}

/// The field that serde reports as missing. Its other messages may quote the parameters.
fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_tower_lsp_get_a_kind_and_a_sentence() {
        let method = "textDocument/hover";
        let check = |error: Error, kind: &str, sentence: &str| {
            let code = error.code;
            let error = answered(error, method);
            assert_eq!((error.code, error.message.as_ref()), (code, sentence));
            assert_eq!(error.data, Some(json!({ "kind": kind })));
        };
        check(
            Error::method_not_found(),
            "not-found",
            "pieces-lsp has no method `textDocument/hover`.",
        );
        check(
            Error::invalid_params("missing field `position`"),
            "invalid-argument",
            "The parameters of `textDocument/hover` cannot be used: `position` is missing or wrong.",
        );
        check(
            Error::invalid_params("invalid type: string \"missing field `secret`\", expected u32"),
            "invalid-argument",
            "The parameters of `textDocument/hover` cannot be used: a field is wrong.",
        );
        check(
            Error::internal_error(),
            "protocol",
            "pieces-lsp failed on this request; please report it with the log.",
        );
        let ours = failure(pieces::Kind::Offline, "No service.");
        assert_eq!(answered(ours.clone(), method), ours);
    }
}
