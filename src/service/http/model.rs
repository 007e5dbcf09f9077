//! What published clients need even without a language model: model names, idle streams, and a plain answer
//! to a question.

use axum::{
    Router,
    extract::{
        State,
        ws::{Message, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, json as json_text, stream};
use crate::service::time;

/// The answer to every question for a language model.
const NO_MODEL: &str = "The local service has no language model; it keeps conversations but does not \
                        write them. Use Pieces OS to ask questions.";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/models", get(models))
        .route("/qgpt/stream", get(qgpt))
        .route("/user/stream", get(quiet))
        .route(
            "/workstream_pattern_engine/processors/vision/status/stream",
            get(quiet),
        )
        .route("/ranges/stream/identifiers", get(empty))
}

/// GET /models. The Python SDK and the `pieces` CLI refuse to start unless these names are listed;
/// their descriptions say that they cannot be used.
async fn models() -> Response {
    let models = [
        (0x1, "GPT-3.5-turbo Chat Model", "gpt-3.5-turbo"),
        (
            0x2,
            "Gemini 2.0 Flash Lite Chat Model",
            "gemini-2.0-flash-lite-001",
        ),
    ];
    let models = models.map(|(id, name, unique)| {
        json!({
            // Stable, and recognisably artificial.
            "id": Uuid::from_u128(0x5049_4543_4553_4c53_9000_0000_0000_0000 + id).to_string(),
            "version": "1",
            "created": {"value": time::iso(0)},
            "name": name,
            "description": NO_MODEL,
            "unique": unique,
            "cloud": true,
            "downloaded": false,
            "loaded": false,
            "type": "SPEED",
            "usage": "CODE_GENERATION",
        })
    });
    json_text(json!({"iterable": models}).to_string())
}

/// A stream that stays open and sends nothing.
async fn quiet(state: State<App>, upgrade: WebSocketUpgrade) -> Response {
    stream::constant(state, None, upgrade).await
}

/// An identifier stream of a kind that the store does not hold.
async fn empty(state: State<App>, upgrade: WebSocketUpgrade) -> Response {
    stream::constant(state, Some("{\"iterable\":[]}".to_owned()), upgrade).await
}

/// WS /qgpt/stream: answers each question with the reason why there is no answer. Nothing is stored.
async fn qgpt(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    stream::limited(upgrade).on_upgrade(move |mut socket| async move {
        let mut stopped = app.stopped.clone();
        loop {
            let said = tokio::select! {
                said = socket.recv() => said,
                () = stream::until(&mut stopped) => return,
            };
            let text = match said {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            };
            let Ok(input) = crate::json::from_slice::<Value>(text.as_bytes()) else {
                continue;
            };
            if !stream::send(&mut socket, Message::text(no_answer(&input))).await {
                return;
            }
        }
    })
}

fn no_answer(input: &Value) -> String {
    let mut output = json!({
        "conversation": input.get("conversation").and_then(Value::as_str).unwrap_or_default(),
        "status": "FAILED",
        "statusCode": 501,
        "errorMessage": NO_MODEL,
    });
    if let Some(request) = input.get("request") {
        output["request"] = request.clone();
    }
    output.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_told_apart_by_its_request() {
        let output: Value =
            serde_json::from_str(&no_answer(&json!({"request": "r1", "conversation": "c"})))
                .unwrap();
        assert_eq!(
            (&output["request"], &output["conversation"]),
            (&json!("r1"), &json!("c"))
        );
        assert_eq!(
            (&output["status"], &output["statusCode"]),
            (&json!("FAILED"), &json!(501))
        );
    }
}
