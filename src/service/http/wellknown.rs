//! Health, version, `/connect`, users and applications.

use axum::{
    extract::{State, WebSocketUpgrade},
    response::Response,
};
use serde_json::{Map, Value, json};

use super::{
    App, VERSION, json as json_text,
    request::{Body, ourselves},
    stream,
};
use crate::service::{
    Failure,
    objects::{anchor::PLATFORM, seed::Seed},
    store::{self, Change, Kind, New, Store},
};

/// Processes that look for a service of this store use this route, too.
pub(super) async fn health(State(app): State<App>) -> Result<String, Failure> {
    // A window that starts now waits for the lock instead of connecting to a service that leaves.
    if *app.stopped.borrow() {
        return Err(Failure::Busy);
    }
    app.store.check_place().await?;
    Ok(format!("ok:{}", app.store.id()))
}

pub(super) async fn health_stream(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    let greeting = format!("ok:{}", app.store.id());
    stream::constant(State(app), Some(greeting), upgrade).await
}

pub(super) async fn version() -> &'static str {
    VERSION
}

/// POST /connect: registers the application; the same application gets the same id each time.
pub(super) async fn connect(State(app): State<App>, Body(body): Body) -> Result<Response, Failure> {
    let application = app
        .store
        .write(move |change| register(change, body))
        .await?;
    let os = app.store.id().to_string();
    let context = json!({
        "os": os,
        "application": application,
        "health": {"os": {"id": os, "version": VERSION}},
        "user": user(&app.store),
    });
    Ok(json_text(context.to_string()))
}

fn register(change: &mut Change<'_>, body: Value) -> Result<Map<String, Value>, Failure> {
    let mut seed = Seed::object(body, "body")?
        .take_object("application")?
        .ok_or_else(|| Failure::invalid("`application` is required."))?;
    let name = seed.required("name")?.to_owned();
    // Names are an enumeration that clients validate when they read it.
    let known = name
        .bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let name = if known { name } else { "UNKNOWN".to_owned() };
    let version = seed.required("version")?.to_owned();
    let platform = seed.optional("platform")?.unwrap_or(PLATFORM).to_owned();
    seed.set("name", name.as_str());
    seed.set("platform", platform.as_str());
    seed.set_default("onboarded", false);
    seed.set_default("privacy", "OPEN");
    seed.take("id");
    let key = format!("{name}/{version}/{platform}");
    let known = store::find_by_key(change.db, Kind::Application, &key)?
        .into_iter()
        .next();
    let (id, mut application) = match known {
        Some(row) => (row.id.clone(), row.object()?),
        None => {
            let doc = seed.into_map();
            let new = New {
                kind: Kind::Application,
                owner: None,
                key: Some(&key),
                text: "",
                doc: doc.clone(),
            };
            (change.insert(new)?.id, doc)
        }
    };
    application.insert("id".to_owned(), id.into());
    Ok(application)
}

/// The one user, owner of the data directory.
fn user(store: &Store) -> Value {
    json!({
        "id": store.user().to_string(),
        "name": "Local user",
        "aesthetics": {"theme": {"dark": true}, "font": {"size": 14}},
    })
}

pub(super) async fn current_user(State(app): State<App>) -> Response {
    json_text(json!({"user": user(&app.store)}).to_string())
}

pub(super) async fn applications(State(app): State<App>) -> Result<Response, Failure> {
    let ourselves = ourselves(app.store.id());
    let rows = app
        .store
        .read(|db| store::list(db, Kind::Application, 0, usize::MAX))
        .await?;
    let mut iterable = vec![Value::Object(ourselves)];
    for row in rows {
        let mut application = row.object()?;
        application.insert("id".to_owned(), row.id.into());
        iterable.push(Value::Object(application));
    }
    Ok(json_text(json!({"iterable": iterable}).to_string()))
}
