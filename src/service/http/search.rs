//! Full-text search: every word must occur in a name, a message, a note or a saved text.

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    App, json as json_text,
    request::{Body, Id, Params},
};
use crate::service::{
    Failure,
    objects::seed::Seed,
    store::{self, Found, Kind},
    view::View,
};

/// Maximum objects examined for one response.
const DEPTH: usize = 10_000;
/// Maximum hits in one response.
const HITS: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/conversations/search", post(conversations))
        .route("/conversation/{conversation}/search", post(messages))
        .route("/assets/search", get(assets))
}

/// The objects that match `typed`, best first.
fn hits(db: &Connection, typed: &str) -> Result<Vec<Found>, Failure> {
    match store::text_of_query(typed) {
        Some(query) => store::search(db, &query, DEPTH),
        None => Ok(Vec::new()),
    }
}

/// The words of a `SearchInput`, from all its engines.
fn words(body: Value) -> Result<String, Failure> {
    let engines = Seed::object(body, "the body")?
        .take_object("engines")?
        .ok_or_else(|| Failure::invalid("`engines` is required."))?
        .take_array("iterable")?;
    let queries = engines
        .iter()
        .filter_map(|engine| engine.get("query")?.as_str());
    Ok(queries.collect::<Vec<_>>().join(" "))
}

async fn conversations(
    State(app): State<App>,
    params: Params,
    Body(body): Body,
) -> Result<Response, Failure> {
    let transferables = params.transferables()?;
    let typed = words(body)?;
    let text = app
        .store
        .read(move |db| {
            let mut ids: Vec<String> = Vec::new();
            for Found { link, owner } in hits(db, &typed)? {
                let conversation = match (link.kind, owner) {
                    (Kind::Conversation, _) => Some(link),
                    (Kind::Message | Kind::Annotation, Some(owner)) => store::by_seq(db, owner)?,
                    _ => None,
                };
                let Some(found) = conversation.filter(|c| c.kind == Kind::Conversation) else {
                    continue;
                };
                if !ids.contains(&found.id) {
                    ids.push(found.id);
                }
                if ids.len() == HITS {
                    break;
                }
            }
            let mut view = View::new(db, transferables);
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let row = store::get(db, Kind::Conversation, &id)?;
                let conversation: Value = serde_json::from_str(&view.one(&row)?)?;
                let mut hit = hit(id);
                hit["conversation"] = conversation;
                found.push(hit);
            }
            Ok(json!({"iterable": found}).to_string())
        })
        .await?;
    Ok(json_text(text))
}

async fn messages(
    State(app): State<App>,
    Id(id): Id,
    params: Params,
    Body(body): Body,
) -> Result<Response, Failure> {
    let transferables = params.transferables()?;
    let typed = words(body)?;
    let text = app
        .store
        .read(move |db| {
            let conversation = store::get(db, Kind::Conversation, &id)?;
            let mut view = View::new(db, transferables);
            let mut found = Vec::new();
            for Found { link, owner } in hits(db, &typed)? {
                if link.kind != Kind::Message || owner != Some(conversation.seq) {
                    continue;
                }
                let row = store::get(db, Kind::Message, &link.id)?;
                let message: Value = serde_json::from_str(&view.one(&row)?)?;
                let mut hit = hit(link.id);
                hit["message"] = message;
                found.push(hit);
                if found.len() == HITS {
                    break;
                }
            }
            Ok(json!({"iterable": found}).to_string())
        })
        .await?;
    Ok(json_text(text))
}

/// Fields common to all hits: words match whole, and there is no similarity ranking.
fn hit(id: String) -> Value {
    json!({"identifier": id, "exact": true, "similarity": 1.0})
}

async fn assets(State(app): State<App>, params: Params) -> Result<Response, Failure> {
    let transferables = params.transferables()?;
    let typed = params.get("query").unwrap_or_default().to_owned();
    let text = app
        .store
        .read(move |db| {
            let mut view = View::new(db, transferables);
            let mut found = Vec::new();
            for Found { link, .. } in hits(db, &typed)? {
                if link.kind != Kind::Asset {
                    continue;
                }
                let row = store::get(db, Kind::Asset, &link.id)?;
                let asset: Value = serde_json::from_str(&view.one(&row)?)?;
                found.push(json!({
                    "identifier": link.id,
                    "asset": asset,
                    "exact": true,
                    "score": 1.0,
                    "match": "CONTENT",
                }));
                if found.len() == HITS {
                    break;
                }
            }
            let count = found.len();
            Ok(json!({"iterable": found, "suggested": 0, "exact": count}).to_string())
        })
        .await?;
    Ok(json_text(text))
}
