//! Responses as message bodies, and the errors of clients.

use crate::transport::Id;
use serde::Serialize;
use serde_json::Value;
use tower_lsp::jsonrpc::{self, Error, ErrorCode};

/// Reads the `error` of a client; every field may be missing.
pub(super) fn client_error(mut object: Value) -> Error {
    let code = object.get("code").and_then(Value::as_i64);
    let message = object.get("message").and_then(Value::as_str);
    Error {
        code: code.map_or(ErrorCode::InternalError, ErrorCode::from),
        message: message.unwrap_or_default().to_owned().into(),
        data: object.get_mut("data").map(Value::take),
    }
}

/// One response as a message body.
pub(super) fn encode(id: &Id, outcome: jsonrpc::Result<Value>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        jsonrpc: &'static str,
        id: &'a Id,
        #[serde(flatten)]
        outcome: Outcome,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Outcome {
        Result(Value),
        Error(Error),
    }
    to_bytes(&Body {
        jsonrpc: "2.0",
        id,
        outcome: outcome.map_or_else(Outcome::Error, Outcome::Result),
    })
}

/// A tree of JSON values always serialises.
pub(super) fn to_bytes(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_else(|error| {
        tracing::error!(%error, "a message could not be encoded");
        Vec::new()
    })
}
