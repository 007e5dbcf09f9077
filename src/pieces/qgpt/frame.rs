//! The frames of an answer.

use reqwest::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use crate::json;
use crate::pieces::error::{Error, Kind};
use crate::pieces::{OWN, limits};

/// The content of one frame for our question.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The answer continues.
    Progress(Progress),
    /// The answer has ended. Nothing follows.
    Ended(Ended),
}

/// A frame in the middle of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// The next words; may be empty.
    pub text: String,
    /// Our own field (`{question, answer, status, at}`), or null.
    pub own: Value,
}

/// The last frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// It was stopped.
    pub stopped: bool,
    /// Why there is no answer, or only a part of one.
    pub failure: Option<Error>,
    /// Our own field (`{question, answer, stop, model, usage, …}`), or null.
    pub own: Value,
}

impl Progress {
    /// Whether the frame has no content.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.own.is_null()
    }

    /// The model thinks or writes.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty() || matches!(self.own["status"].as_str(), Some("thinking" | "writing"))
    }
}

/// Reads a frame; `None` if it is about another question or is not a frame at all.
pub(super) fn read(
    text: &[u8],
    conversation: Option<Uuid>,
    request: Option<Uuid>,
) -> Option<Reply> {
    let mut frame: Value = json::from_slice(text).ok()?;
    // If one of the ids is missing, the other decides.
    let ours = |field: &str, id: Option<Uuid>| match (id, frame[field].as_str()) {
        (Some(id), Some(text)) if !text.is_empty() => {
            Some(Uuid::parse_str(text).is_ok_and(|found| found == id))
        }
        _ => None,
    };
    let (conversation, request) = (ours("conversation", conversation), ours("request", request));
    if conversation == Some(false) || request == Some(false) {
        return None;
    }
    let status = frame["status"].as_str()?.to_owned();
    let own = frame[OWN].take();
    let ended = |stopped, failure| {
        Some(Reply::Ended(Ended {
            stopped,
            failure,
            own: own.clone(),
        }))
    };
    match status.as_str() {
        "COMPLETED" => ended(false, None),
        "STOPPED" | "CANCELED" | "CANCELLED" | "RESET" => ended(true, None),
        "FAILED" | "UNKNOWN" => ended(false, Some(failure(&frame, &own))),
        // INITIALIZED has nothing; statuses to come may have words.
        _ => {
            let answers = frame["question"]["answers"]["iterable"].as_array();
            let texts = answers.into_iter().flatten();
            let text = texts.filter_map(|answer| answer["text"].as_str()).collect();
            Some(Reply::Progress(Progress { text, own }))
        }
    }
}

/// The alternative if Pieces OS does not answer.
const INSTEAD: &str =
    "or use a model of your own: set `pieces.backend` to `local` and run `pieces-lsp model`";

fn failure(frame: &Value, own: &Value) -> Error {
    if let Some(error) = own_failure(&own["error"]) {
        return error;
    }
    let said = frame["errorMessage"].as_str().unwrap_or_default();
    let code = frame["statusCode"].as_u64().unwrap_or_default();
    let (kind, what) = match (said, code) {
        ("UserSubscriptionRequired", _) => (
            Kind::Model,
            format!(
                "Pieces OS answers with this model only in a paid plan; choose another model, {INSTEAD}."
            ),
        ),
        (_, 401) => (
            Kind::SignedOut,
            format!("Pieces OS answers only when a user is signed in; sign in there, {INSTEAD}."),
        ),
        (_, 429) => (
            Kind::Model,
            format!("Pieces OS has received too many questions; wait a while, {INSTEAD}."),
        ),
        (_, 503) => (
            Kind::Model,
            format!("The model of Pieces OS is not available; try again later, {INSTEAD}."),
        ),
        _ => (
            Kind::Model,
            format!("Pieces OS could not answer; choose another model there, {INSTEAD}."),
        ),
    };
    let error = Error::new(kind, what);
    let status = u16::try_from(code).ok();
    match status.filter(|code| StatusCode::from_u16(*code).is_ok()) {
        Some(code) => error.with_status(code, detail(said)),
        None => Error {
            detail: detail(said),
            ..error
        },
    }
}

/// The error that our own service sends.
fn own_failure(error: &Value) -> Option<Error> {
    let message = error["message"].as_str()?;
    let kind = match error["kind"].as_str()? {
        "no-model" => Kind::NoModel,
        "busy" => Kind::Busy,
        "not-found" => Kind::NotFound,
        "invalid-argument" => Kind::Refused,
        _ => Kind::Model,
    };
    Some(Error {
        detail: error["detail"].as_str().and_then(detail),
        ..Error::new(kind, message)
    })
}

/// At most 1 KiB, for one line.
fn detail(text: &str) -> Option<String> {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = line.trim();
    let end =
        (0..=line.len().min(limits::REFUSAL_BODY)).rfind(|&end| line.is_char_boundary(end))?;
    (end > 0).then(|| line[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const C: Uuid = Uuid::from_u128(1);
    const R: Uuid = Uuid::from_u128(2);

    fn frame(fields: Value) -> Option<Reply> {
        let mut frame = json!({"conversation": C, "request": R});
        for (name, value) in fields.as_object().unwrap() {
            frame[name] = value.clone();
        }
        read(frame.to_string().as_bytes(), Some(C), Some(R))
    }

    fn words(text: &str) -> Option<Reply> {
        Some(Reply::Progress(Progress {
            text: text.into(),
            own: Value::Null,
        }))
    }

    fn failed(fields: Value) -> Error {
        let mut all = json!({"status": "FAILED"});
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        match frame(all) {
            Some(Reply::Ended(Ended {
                failure: Some(error),
                ..
            })) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_of_an_answer() {
        let answers = |texts: Value| json!({"status": "IN-PROGRESS", "question": {"answers": {"iterable": texts}}});
        assert_eq!(
            frame(answers(json!([{"score": 1, "text": "a"}, {"text": "b"}]))),
            words("ab")
        );
        assert_eq!(frame(answers(json!([{"text": 7}, null]))), words(""));
        assert_eq!(frame(json!({"status": "INITIALIZED"})), words(""));
        assert_eq!(
            frame(json!({"status": "IN-PROGRESS", "question": 7})),
            words("")
        );
        // Some servers repeat the text in the last frame.
        let last =
            json!({"status": "COMPLETED", "question": {"answers": {"iterable": [{"text": "ab"}]}}});
        assert!(matches!(frame(last), Some(Reply::Ended(_))));
    }

    #[test]
    fn frames_about_other_questions_are_skipped() {
        let other = json!(Uuid::from_u128(3));
        for fields in [
            json!({"conversation": other, "status": "COMPLETED"}),
            json!({"request": other, "status": "COMPLETED"}),
            json!({"request": "not an id", "status": "COMPLETED"}),
            json!({"status": 7}),
            json!({}),
        ] {
            assert_eq!(frame(fields.clone()), None, "{fields}");
        }
        for fields in [
            json!({"request": null, "status": "COMPLETED"}),
            json!({"conversation": "", "status": "COMPLETED"}),
        ] {
            assert!(frame(fields.clone()).is_some(), "{fields}");
        }
        for text in ["", "{", "[]", "null", "\u{feff}7"] {
            assert_eq!(read(text.as_bytes(), Some(C), Some(R)), None, "{text}");
        }
    }

    #[test]
    fn the_ways_an_answer_ends() {
        for (status, stopped) in [
            ("COMPLETED", false),
            ("STOPPED", true),
            ("CANCELED", true),
            ("RESET", true),
        ] {
            let own = json!({"stop": "end"});
            let ended = Ended {
                stopped,
                failure: None,
                own: own.clone(),
            };
            let found = frame(json!({"status": status, "pieces_lsp": own}));
            assert_eq!(found, Some(Reply::Ended(ended)), "{status}");
        }
    }

    #[test]
    fn every_failure_of_pieces_os_says_what_to_do() {
        for (fields, kind) in [
            (
                json!({"errorMessage": "UserSubscriptionRequired", "statusCode": 500}),
                Kind::Model,
            ),
            (json!({"statusCode": 401}), Kind::SignedOut),
            (json!({"statusCode": 429}), Kind::Model),
            (json!({"statusCode": 503}), Kind::Model),
            (
                json!({"statusCode": 500, "errorMessage": "qGPT failed"}),
                Kind::Model,
            ),
            (json!({"statusCode": "x"}), Kind::Model),
            (json!({"status": "UNKNOWN"}), Kind::Model),
        ] {
            let error = failed(fields.clone());
            assert_eq!(error.kind, kind, "{fields}");
            assert!(
                error.message.contains("`local`") && error.message.ends_with('.'),
                "{error}"
            );
        }
        let error = failed(json!({"errorMessage": format!("a\nb{}", "é".repeat(2000))}));
        let detail = error.detail.unwrap();
        assert!(detail.starts_with("a b") && detail.len() <= 1024 && !detail.contains('\n'));
    }

    #[test]
    fn our_own_service_names_the_kind() {
        for (name, kind) in [
            ("no-model", Kind::NoModel),
            ("model", Kind::Model),
            ("busy", Kind::Busy),
            ("not-found", Kind::NotFound),
            ("invalid-argument", Kind::Refused),
            ("later", Kind::Model),
        ] {
            let own = json!({"error": {"kind": name, "message": "Do this.", "detail": "d"}});
            let error = failed(json!({"pieces_lsp": own, "statusCode": 501}));
            assert_eq!((error.kind, error.message.as_str()), (kind, "Do this."));
            assert_eq!(error.detail.as_deref(), Some("d"));
        }
    }
}
