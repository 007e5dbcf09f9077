//! The model of the demo: the chosen one if it is on this machine, else a small endpoint with a scripted answer.

use super::Outcome;
use crate::model::{self, Choice};
use crate::pieces::PlainHttp;
use crate::service;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The scripted answer, sent word by word.
const WORDS: &str = "The pause doubles after each failed try, so a service that is down is not flooded. \
                     Begin with 100 ms and stop growing at a few seconds.";
/// Pause between two words.
const PAUSE: Duration = Duration::from_millis(60);

/// A model that answers in the demo.
pub(super) struct Model {
    pub url: String,
    pub name: Option<String>,
    /// Whether its answer is scripted.
    pub scripted: bool,
    serving: Option<AbortHandle>,
}

impl Model {
    /// The chosen model, if it is on this machine and needs no key; else a scripted one.
    pub async fn find() -> Outcome<Model> {
        let dir = service::default_data_dir().ok();
        let choice = match dir {
            Some(dir) => model::choose(&dir, PlainHttp::Loopback)
                .await
                .ok()
                .flatten(),
            None => None,
        };
        match choice.filter(is_here) {
            Some(choice) if answers(&choice).await => Ok(Model {
                url: choice.url.as_str().to_owned(),
                name: choice.model,
                scripted: false,
                serving: None,
            }),
            _ => Model::scripted().await,
        }
    }

    async fn scripted() -> Outcome<Model> {
        let failed = |error: std::io::Error| format!("No port is free ({error})");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let routes = Router::new()
            .route("/v1/models", get(models))
            .route("/v1/chat/completions", post(words));
        let serving = tokio::spawn(async move {
            // Ends with the demo.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Model {
            url: format!("http://{address}/v1"),
            name: None,
            scripted: true,
            serving: Some(serving.abort_handle()),
        })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn is_here(choice: &Choice) -> bool {
    choice.url.is_loopback() && choice.key.is_none()
}

async fn answers(choice: &Choice) -> bool {
    match model::endpoint(Some(choice)) {
        Ok(endpoint) => endpoint.models().await.is_ok(),
        Err(_) => false,
    }
}

async fn models() -> Response {
    json_text(json!({"object": "list", "data": [{"id": "scripted-by-the-demo"}]}))
}

fn json_text(value: Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// The answer as a stream of events, as a real model sends it.
async fn words() -> Response {
    let words = WORDS
        .split_inclusive(' ')
        .map(|word| json!({"choices": [{"index": 0, "delta": {"content": word}}]}).to_string());
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string();
    let events: Vec<String> = words.chain([end, "[DONE]".to_owned()]).collect();
    let events = stream::unfold(events.into_iter(), |mut events| async move {
        let event = events.next()?;
        sleep(PAUSE).await;
        let line = Bytes::from(format!("data: {event}\n\n"));
        Some((Ok::<_, Infallible>(line), events))
    });
    (
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
        .into_response()
}
