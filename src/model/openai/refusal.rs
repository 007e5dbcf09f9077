//! A refusal of the endpoint, and its reason.

use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::chunk;
use crate::json;
use crate::model::http::Reply;
use crate::model::secret::detail;
use crate::model::url::shown;
use crate::model::{Error, Secret, TooLong, limits};

/// A status other than success, with the endpoint's sentence.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The endpoint's sentence, as received.
    text: String,
    /// The whole error in lower case, including its other fields.
    hay: String,
    /// A context size in a field of the error.
    context: Option<u32>,
}

/// The reason of a 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    /// The prompt is too long.
    Length,
    /// It does not count tokens in a stream.
    Usage,
    /// It does not take a system message.
    System,
}

impl Refusal {
    pub(super) async fn read(reply: Reply, key: Option<&Secret>) -> Refusal {
        let status = reply.status.as_u16();
        let html = reply.kind == "text/html";
        let until = Instant::now() + limits::REFUSAL_TEXT;
        let body = reply.start_of_body(limits::REFUSAL_BODY, until).await;
        let mut refusal = Refusal::parse(status, &body, key);
        if html {
            refusal.text.clear();
        }
        refusal
    }

    fn parse(status: u16, body: &[u8], key: Option<&Secret>) -> Refusal {
        let plain = String::from_utf8_lossy(body);
        let value = json::from_slice::<Value>(body).ok();
        // Some servers put the error into a list.
        let value = value.as_ref().map(|value| value.get(0).unwrap_or(value));
        let text = match value {
            Some(value) => chunk::error(value).unwrap_or_else(|| chunk::sentence(value)),
            None => plain.trim().to_owned(),
        };
        let named = value.and_then(|value| value.pointer("/error/n_ctx")?.as_u64());
        let hay = detail(&plain, key).unwrap_or_default().to_lowercase();
        let hay = format!("{} {hay}", text.to_lowercase());
        let context = named.and_then(|size| u32::try_from(size).ok());
        Refusal {
            status,
            context: context.or_else(|| context_in(&hay)),
            text,
            hay,
        }
    }

    /// The reason of a 400, if another request may help.
    pub(super) fn objection(&self) -> Option<Objection> {
        const LENGTH: [&str; 11] = [
            "exceed_context_size",
            "context_length_exceeded",
            "context length",
            "context size",
            "context window",
            "maximum context",
            "too many tokens",
            "prompt is too long",
            "prompt too long",
            "input is too long",
            "input too long",
        ];
        if self.status != 400 {
            return None;
        }
        let says = |words: &[&str]| words.iter().any(|word| self.hay.contains(word));
        if says(&LENGTH) {
            Some(Objection::Length)
        } else if says(&["stream_options", "include_usage"]) {
            Some(Objection::Usage)
        } else if says(&[
            "system role",
            "system message",
            "role: system",
            "'system'",
            "\"system\"",
            "roles must alternate",
        ]) {
            Some(Objection::System)
        } else {
            None
        }
    }

    /// The refusal as an error. `last`: no other request may follow.
    pub(super) fn error(&self, url: &Url, key: Option<&Secret>, last: bool) -> Error {
        let too_long = self.objection() == Some(Objection::Length);
        let context = self.context;
        let url = shown(url);
        let message = match self.status {
            _ if too_long => {
                let size = context.map(|size| format!(" (it reads {size} tokens)"));
                format!(
                    "The question is too long for the model{}; send less with it, or set the model's size with `pieces-lsp model use URL --context N`.",
                    size.unwrap_or_default()
                )
            }
            300..=399 => format!(
                "The endpoint {url} redirects to another address, which is not followed; choose that one with `pieces-lsp model use URL`."
            ),
            401 | 403 if key.is_none() => format!(
                "The endpoint {url} wants a key; choose it again with `--key-env VAR` or `--key-command CMD`."
            ),
            401 | 403 => format!(
                "The endpoint {url} refused the key (HTTP {}); check the key that it was chosen with.",
                self.status
            ),
            402 => {
                format!("The endpoint {url} requires payment (HTTP 402); check your account there.")
            }
            404 | 405 => format!(
                "The endpoint {url} does not know this path or model (HTTP {}); check the URL, and the model with `pieces-lsp model list`.",
                self.status
            ),
            413 => format!("The question is too long for {url} (HTTP 413); send less with it."),
            429 => format!(
                "The endpoint {url} limits the rate of requests (HTTP 429); wait a while, then ask again."
            ),
            503 => format!(
                "The endpoint {url} is not ready (HTTP 503), perhaps because the model is being loaded; ask again in a moment."
            ),
            500.. => format!(
                "The endpoint {url} failed (HTTP {}); check the log of the model server, then ask again.",
                self.status
            ),
            _ => format!(
                "The endpoint {url} refused the question (HTTP {}).",
                self.status
            ),
        };
        Error {
            status: Some(self.status),
            detail: detail(&self.text, key),
            too_long: (too_long && !last).then_some(TooLong { context }),
            ..Error::model(message)
        }
    }
}

/// The number in "maximum context length is 4096 tokens" and the like.
fn context_in(hay: &str) -> Option<u32> {
    let markers = [
        "maximum context length is ",
        "context size (",
        "context length of ",
        "context window of ",
        "context length is only ",
    ];
    markers.iter().find_map(|marker| {
        let at = hay.find(marker)? + marker.len();
        let digits: String = hay[at..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .filter(char::is_ascii_digit)
            .collect();
        digits.parse().ok().filter(|size| *size > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        status: u16,
        body: &str,
        objection: Option<Objection>,
        context: Option<u32>,
        text: &str,
    ) {
        let refusal = Refusal::parse(status, body.as_bytes(), None);
        assert_eq!(
            (refusal.objection(), refusal.context),
            (objection, context),
            "{body}"
        );
        assert_eq!(refusal.text, text, "{body}");
    }

    #[test]
    fn what_a_refusal_objects_to() {
        use Objection::{Length, System, Usage};
        check(
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":6031,"n_ctx":2048}}"#,
            Some(Length),
            Some(2048),
            "the request exceeds the available context size, try increasing it",
        );
        check(
            400,
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.","code":"context_length_exceeded"}}"#,
            Some(Length),
            Some(128_000),
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        );
        check(
            400,
            r#"{"error":"the input length exceeds the context length"}"#,
            Some(Length),
            None,
            "the input length exceeds the context length",
        );
        check(
            400,
            r#"{"detail":"Unrecognized field: stream_options"}"#,
            Some(Usage),
            None,
            "Unrecognized field: stream_options",
        );
        check(
            400,
            r#"{"object":"error","message":"System role not supported"}"#,
            Some(System),
            None,
            "System role not supported",
        );
        check(
            400,
            "Conversation roles must alternate user/assistant",
            Some(System),
            None,
            "Conversation roles must alternate user/assistant",
        );
        check(
            400,
            r#"{"error":{"message":"invalid temperature"}}"#,
            None,
            None,
            "invalid temperature",
        );
        check(
            401,
            r#"{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}"#,
            None,
            None,
            "Invalid API Key",
        );
        check(
            503,
            r#"{"error":{"message":"context size","code":503}}"#,
            None,
            None,
            "context size",
        );
        check(
            400,
            r#"[{"error":{"code":400,"message":"API key not valid."}}]"#,
            None,
            None,
            "API key not valid.",
        );
        check(500, "", None, None, "");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let url = Url::parse("https://x.org/v1/chat/completions?key=secret").unwrap();
        let key = Secret::new("sk-canary-0123456789");
        for status in [301, 400, 401, 402, 403, 404, 413, 418, 429, 500, 503, 599] {
            let body = r#"{"error":{"message":"no: sk-canary-0123456789"}}"#;
            let error = Refusal::parse(status, body.as_bytes(), key.as_ref()).error(
                &url,
                key.as_ref(),
                false,
            );
            assert_eq!(error.status, Some(status));
            assert_eq!(error.detail.as_deref(), Some("no: [key]"));
            assert!(
                error.message.ends_with('.') && !error.message.contains("secret"),
                "{error}"
            );
            assert_eq!(error.too_long, None);
        }
        let long = Refusal::parse(
            400,
            br#"{"error":{"type":"exceed_context_size_error","n_ctx":7}}"#,
            None,
        );
        assert_eq!(
            long.error(&url, None, false).too_long,
            Some(TooLong { context: Some(7) })
        );
        assert_eq!(long.error(&url, None, true).too_long, None);
    }
}
