//! JSON-RPC 2.0 envelopes: what a frame body has to be before anybody else sees it.

use super::frames::FrameError;
use crate::json;
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};
use std::fmt;

/// The id of a request, kept exactly as the peer wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// `null`: "the id could not be read" in an answer.
    Null,
}

impl Id {
    /// The id that a JSON value is, if it can be one.
    pub fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::Number(number)),
            Value::String(string) => Some(Self::String(string)),
            Value::Null => Some(Self::Null),
            _ => None,
        }
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::String(string) => serializer.serialize_str(string),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

/// One thing that came in.
#[derive(Debug, PartialEq)]
pub enum Inbound {
    /// A request, to be answered exactly once.
    Request {
        /// Its id.
        id: Id,
        /// Its method.
        method: String,
        /// `params`; `None` when absent or null.
        params: Option<Value>,
    },
    /// A notification, never answered.
    Notification {
        /// Its method.
        method: String,
        /// `params`; `None` when absent or null.
        params: Option<Value>,
    },
    /// An answer to one of our requests.
    Response {
        /// The id of our request.
        id: Id,
        /// `result`, or the `error` object as it came.
        outcome: Result<Value, Value>,
    },
    /// A frame whose body is no JSON-RPC message. The stream itself is intact.
    Broken {
        /// Length of the body in bytes: all that may be logged of it.
        length: usize,
        /// The id to answer with, `Null` if none could be read.
        id: Id,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Nothing more will come.
    End(End),
}

/// What is wrong with a [`Inbound::Broken`] body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON (answered with -32700).
    Json,
    /// JSON that is nested too deeply to be read (answered with -32600).
    Depth,
    /// JSON, but no JSON-RPC 2.0 message (answered with -32600).
    Envelope,
}

/// Why nothing more will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The input was closed, possibly in the middle of a message (then the reason is given).
    Closed(Option<String>),
    /// A header broke the protocol, with the reason; the position in the stream is lost.
    Protocol(String),
}

impl From<Option<FrameError>> for End {
    fn from(error: Option<FrameError>) -> Self {
        match error {
            None => Self::Closed(None),
            Some(error @ (FrameError::Truncated | FrameError::Io(_))) => {
                Self::Closed(Some(error.to_string()))
            }
            Some(error) => Self::Protocol(error.to_string()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(None) => f.write_str("the client closed the connection"),
            Self::Closed(Some(reason)) | Self::Protocol(reason) => f.write_str(reason),
        }
    }
}

impl Inbound {
    /// Decodes one frame body.
    pub fn decode(body: &[u8]) -> Self {
        // U+FFFD for a lone surrogate has the same length in UTF-16, so positions stay right. In place of bytes that
        // are not UTF-8 it could move them, so those are refused.
        let parsed = match str::from_utf8(body) {
            Ok(body) => json::from_slice(body.as_bytes()).ok(),
            Err(_) => None,
        };
        let broken = |id, fault| Self::Broken {
            length: body.len(),
            id,
            fault,
        };
        match parsed {
            None => match too_deep(body) {
                Some(id) => broken(id, Fault::Depth),
                None => broken(Id::Null, Fault::Json),
            },
            Some(Value::Object(mut object)) => {
                let id = object.remove("id").map(Id::from_value);
                envelope(object, id.clone())
                    .unwrap_or_else(|| broken(id.flatten().unwrap_or(Id::Null), Fault::Envelope))
            }
            Some(_) => broken(Id::Null, Fault::Envelope),
        }
    }
}

/// The id of a request, [`Id::Null`] of another message, if the body is JSON that only its depth makes unreadable: values
/// that are skipped may have any depth.
fn too_deep(body: &[u8]) -> Option<Id> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        id: Option<Value>,
        method: Option<String>,
    }
    let envelope: Envelope = serde_json::from_slice(json::without_bom(body)).ok()?;
    // The id of a response is one of ours.
    let id = envelope.id.filter(|_| envelope.method.is_some());
    Some(id.and_then(Id::from_value).unwrap_or(Id::Null))
}

/// Sorts an object into one of the three kinds of message. `id` is absent, unusable, or read.
fn envelope(mut object: Map<String, Value>, id: Option<Option<Id>>) -> Option<Inbound> {
    if object.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return None;
    }
    match (object.remove("method"), id) {
        (Some(Value::String(method)), id) => {
            let params = object.remove("params").filter(|params| !params.is_null());
            if !matches!(params, None | Some(Value::Object(_) | Value::Array(_))) {
                return None;
            }
            match id {
                None => Some(Inbound::Notification { method, params }),
                Some(id) => Some(Inbound::Request {
                    id: id?,
                    method,
                    params,
                }),
            }
        }
        (None, Some(Some(id))) => {
            // Some clients send `"error": null` beside a result.
            let error = object.remove("error").filter(|error| !error.is_null());
            let outcome = match (object.remove("result"), error) {
                (_, Some(error @ Value::Object(_))) => Err(error),
                (Some(result), None) => Ok(result),
                _ => return None,
            };
            Some(Inbound::Response { id, outcome })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(id: Id, params: Option<Value>) -> Inbound {
        let method = "m".to_owned();
        Inbound::Request { id, method, params }
    }

    fn check(body: &str, expected: Inbound) {
        assert_eq!(Inbound::decode(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn messages_are_sorted() {
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
            request(1.into(), None),
        );
        check(
            r#"{"jsonrpc":"2.0","id":"a","method":"m","params":null}"#,
            request(Id::String("a".into()), None),
        );
        check(
            r#"{"jsonrpc":"2.0","id":null,"method":"m","params":[1]}"#,
            request(Id::Null, Some(json!([1]))),
        );
        check(
            r#"{"jsonrpc":"2.0","method":"m","params":{"a":1},"extra":true}"#,
            Inbound::Notification {
                method: "m".into(),
                params: Some(json!({"a": 1})),
            },
        );
        check(
            r#"{"jsonrpc":"2.0","id":3,"result":null}"#,
            Inbound::Response {
                id: 3.into(),
                outcome: Ok(Value::Null),
            },
        );
        check(
            r#"{"jsonrpc":"2.0","id":3,"result":7,"error":null}"#,
            Inbound::Response {
                id: 3.into(),
                outcome: Ok(json!(7)),
            },
        );
        check(
            r#"{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"no"}}"#,
            Inbound::Response {
                id: 3.into(),
                outcome: Err(json!({"code": -1, "message": "no"})),
            },
        );
    }

    #[test]
    fn ids_keep_their_form() {
        for id in ["18446744073709551615", "-7", "1.5", r#""x\ny""#] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
            let Inbound::Request { id: read, .. } = Inbound::decode(body.as_bytes()) else {
                panic!("{body} is a request");
            };
            assert_eq!(serde_json::to_string(&read).unwrap(), id);
        }
    }

    #[test]
    fn deeply_nested_requests_tell_their_id() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let bodies = [
            (
                format!(r#"{{"jsonrpc":"2.0","method":"m","params":{deep},"id":"q"}}"#),
                Id::String("q".into()),
            ),
            (
                format!("\u{feff}{{\"id\":3,\"params\":{deep},\"method\":\"m\"}}"),
                3.into(),
            ),
            (
                format!(r#"{{"jsonrpc":"2.0","method":"m","params":{deep}}}"#),
                Id::Null,
            ),
            (
                format!(r#"{{"jsonrpc":"2.0","id":3,"result":{deep}}}"#),
                Id::Null,
            ),
        ];
        for (body, id) in bodies {
            let (length, fault) = (body.len(), Fault::Depth);
            check(&body, Inbound::Broken { length, id, fault });
        }
        let torn = format!(r#"{{"jsonrpc":"2.0","id":3,"method":"m","params":{deep}"#);
        let (length, id, fault) = (torn.len(), Id::Null, Fault::Json);
        check(&torn, Inbound::Broken { length, id, fault });
    }

    #[test]
    fn broken_bodies_tell_their_length_and_id() {
        let not_json = [
            "",
            "{",
            "nonsense",
            r#"{"jsonrpc":"2.0","id":1,"method":"m"}x"#,
            &"[".repeat(100_000),
        ];
        for body in not_json {
            let (length, id, fault) = (body.len(), Id::Null, Fault::Json);
            check(body, Inbound::Broken { length, id, fault });
        }
        let no_message = [
            ("[]", Id::Null),
            ("5", Id::Null),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, Id::Null),
            ("{}", Id::Null),
            (r#"{"jsonrpc":"1.0","id":4,"method":"m"}"#, 4.into()),
            (r#"{"id":4,"method":"m"}"#, 4.into()),
            (r#"{"jsonrpc":"2.0","id":4}"#, 4.into()),
            (
                r#"{"jsonrpc":"2.0","id":"q","method":7}"#,
                Id::String("q".into()),
            ),
            (
                r#"{"jsonrpc":"2.0","id":4,"method":"m","params":3}"#,
                4.into(),
            ),
            (r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, Id::Null),
            (r#"{"jsonrpc":"2.0","id":4,"error":"text"}"#, 4.into()),
            (r#"{"jsonrpc":"2.0","result":1}"#, Id::Null),
        ];
        for (body, id) in no_message {
            let (length, fault) = (body.len(), Fault::Envelope);
            check(body, Inbound::Broken { length, id, fault });
        }
        let invalid_utf8 = b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}";
        assert!(matches!(
            Inbound::decode(invalid_utf8),
            Inbound::Broken {
                fault: Fault::Json,
                ..
            }
        ));
    }

    #[test]
    fn byte_order_marks_and_huge_numbers_are_repaired() {
        check(
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[1e999]}",
            request(1.into(), Some(json!([null]))),
        );
    }

    #[test]
    fn lone_surrogates_become_replacement_characters() {
        let table = [
            (r"a\ud83db", "a\u{fffd}b"),
            (r"\ude00", "\u{fffd}"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\\ud83d\ud83d", "\\ud83d\u{fffd}"),
            (r"\ud83d\n", "\u{fffd}\n"),
        ];
        for (escaped, text) in table {
            check(
                &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":["{escaped}"]}}"#),
                request(1.into(), Some(json!([text]))),
            );
        }
    }
}
