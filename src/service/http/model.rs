//! The models, and idle streams that published clients need.

use axum::{
    extract::{State, ws::WebSocketUpgrade},
    response::Response,
};

use super::{App, json as json_text, qgpt, stream, table::Routes};

pub(super) fn routes() -> Routes {
    Routes::default()
        .get("/models", models)
        .get("/qgpt/stream", qgpt::upgrade)
        .get("/user/stream", quiet)
        .get(
            "/workstream_pattern_engine/processors/vision/status/stream",
            quiet,
        )
        .get("/ranges/stream/identifiers", empty)
}

/// GET /models: those of the endpoint, and names that published clients need.
async fn models(State(app): State<App>) -> Response {
    json_text(app.answers.models().await.to_string())
}

/// A stream that stays open and sends nothing.
async fn quiet(state: State<App>, upgrade: WebSocketUpgrade) -> Response {
    stream::constant(state, None, upgrade).await
}

/// An identifier stream of a kind that the store does not hold.
async fn empty(state: State<App>, upgrade: WebSocketUpgrade) -> Response {
    stream::constant(state, Some("{\"iterable\":[]}".to_owned()), upgrade).await
}
