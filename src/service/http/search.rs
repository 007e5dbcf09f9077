//! Full-text search: every word must occur in a name, a message, a note or a saved text.

use std::collections::{HashMap, hash_map::Entry};

use axum::{extract::State, response::Response};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    App, json as json_text,
    request::{Body, Id, Params},
    table::Routes,
};
use crate::service::{
    Failure,
    objects::seed::Seed,
    store::{self, Found, Kind},
    view::View,
};

/// Maximum objects examined for one response.
const DEPTH: usize = 10_000;
/// Maximum objects in one response.
const HITS: usize = 100;

pub(super) fn routes() -> Routes {
    Routes::default()
        .post("/conversations/search", conversations)
        .post("/conversation/{conversation}/search", messages)
        .get("/assets/search", assets)
}

/// The objects that match `typed`, best first.
fn hits(db: &Connection, typed: &str) -> Result<Vec<Found>, Failure> {
    match crate::words::query(typed) {
        Some(query) => store::search(db, &query, DEPTH),
        None => Ok(Vec::new()),
    }
}

/// The words of a `SearchInput`, from all its engines.
fn words(body: Value) -> Result<String, Failure> {
    let engines = Seed::object(body, "body")?
        .take_object("engines")?
        .ok_or_else(|| Failure::invalid("`engines` is required."))?
        .take_array("iterable")?;
    let queries = engines
        .iter()
        .filter_map(|engine| engine.get("query")?.as_str());
    Ok(queries.collect::<Vec<_>>().join(" "))
}

/// A conversation with what was found of it.
struct Hit {
    id: String,
    messages: Vec<String>,
    annotations: Vec<String>,
}

impl Hit {
    fn new(id: String) -> Self {
        Self {
            id,
            messages: Vec::new(),
            annotations: Vec::new(),
        }
    }
}

/// The conversations that the objects belong to, in order of the best of them.
fn by_conversation(db: &Connection, found: Vec<Found>) -> Result<Vec<Hit>, Failure> {
    let mut places: HashMap<i64, usize> = HashMap::new();
    let mut hits: Vec<Hit> = Vec::new();
    for Found { link, owner } in found {
        let conversation = match (link.kind, owner) {
            (Kind::Conversation, _) => link.seq,
            (Kind::Message | Kind::Annotation, Some(owner)) => owner,
            _ => continue,
        };
        let at = match places.entry(conversation) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let owner = store::by_seq(db, conversation)?;
                // Assets have annotations, too.
                let Some(owner) = owner.filter(|one| one.kind == Kind::Conversation) else {
                    continue;
                };
                hits.push(Hit::new(owner.id));
                *new.insert(hits.len() - 1)
            }
        };
        match link.kind {
            Kind::Message => hits[at].messages.push(link.id),
            Kind::Annotation => hits[at].annotations.push(link.id),
            _ => {}
        }
    }
    Ok(hits)
}

/// All conversations that match; with `transferables` the best of them, as objects.
async fn conversations(
    State(app): State<App>,
    params: Params,
    Body(body): Body,
) -> Result<Response, Failure> {
    let transferables = params.transferables()?;
    let typed = words(body)?;
    let store = app.store.clone();
    let text = app
        .store
        .read(move |db| {
            let mut hits = by_conversation(db, hits(db, &typed)?)?;
            if transferables {
                hits.truncate(HITS);
            }
            let mut view = View::new(&store, db, transferables);
            let mut found = Vec::with_capacity(hits.len());
            for Hit {
                id,
                messages,
                annotations,
            } in hits
            {
                let row = transferables.then(|| store::get(db, Kind::Conversation, &id));
                let mut hit = hit(id);
                hit["messages"] = plural(messages);
                hit["annotations"] = plural(annotations);
                if let Some(row) = row.transpose()? {
                    hit["conversation"] = serde_json::from_str(&view.one(&row)?)?;
                }
                found.push(hit);
            }
            Ok(plural_of(found).to_string())
        })
        .await?;
    Ok(json_text(text))
}

fn plural(ids: Vec<String>) -> Value {
    plural_of(ids.into_iter().map(hit).collect())
}

fn plural_of(items: Vec<Value>) -> Value {
    json!({ "iterable": items })
}

async fn messages(
    State(app): State<App>,
    Id(id): Id,
    params: Params,
    Body(body): Body,
) -> Result<Response, Failure> {
    let transferables = params.transferables()?;
    let typed = words(body)?;
    let store = app.store.clone();
    let text = app
        .store
        .read(move |db| {
            let conversation = store::get(db, Kind::Conversation, &id)?;
            let mut view = View::new(&store, db, transferables);
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
            Ok(plural_of(found).to_string())
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
    let store = app.store.clone();
    let text = app
        .store
        .read(move |db| {
            let mut view = View::new(&store, db, transferables);
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
