//! The routes and what each one answers.

use axum::{
    extract::{Extension, State, WebSocketUpgrade},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::{
    App, asking, batch,
    connections::OverSocket,
    json as json_text, list, model,
    request::{Asking, Body, Id, Ids, Params, ourselves},
    search, stream,
    table::Routes,
    transfer, trash, wellknown,
};
use crate::service::{
    Failure,
    objects::{self, anchor, annotation, asset, conversation, message, seed::Seed, website},
    store::{self, Change, Kind, Link, Row},
    view::{View, write_index},
};

type Answer = Result<Response, Failure>;

/// Every route of the service.
pub(super) fn all() -> Routes {
    let mut routes = Routes::default()
        .get("/.well-known/health", wellknown::health)
        .get("/.well-known/version", wellknown::version)
        .get("/.well-known/stream/health", wellknown::health_stream)
        .post("/connect", wellknown::connect)
        .get("/applications", wellknown::applications)
        .get("/user", wellknown::current_user)
        .post("/conversations/create", create_conversation)
        .post(
            "/conversations/create/from_asset/{asset}",
            create_from_asset,
        )
        .get("/conversations/identifiers", newest_first)
        .get(
            "/conversation/{conversation}/messages",
            messages_of_conversation,
        )
        .post("/messages/create", create_message)
        .post("/assets/create", create_asset)
        .get("/assets/{asset}", one_asset)
        .post("/assets/{asset}/delete", delete_asset)
        .get("/asset/{asset}/conversations", conversations_of_asset)
        .get("/asset/{asset}/formats", formats_of_asset)
        .get("/format/{format}", one_format)
        .post("/anchors/create", create_anchor)
        .post("/annotations/create", create_annotation)
        .post("/websites/create", create_website)
        .post("/message/update/value", update_message)
        .post(
            "/conversation/{conversation}/rename",
            name_after_first_message,
        )
        .merge(search::routes())
        .merge(transfer::routes())
        .merge(trash::routes())
        .merge(asking::routes())
        .merge(model::routes());
    for kind in Kind::ROUTED {
        routes = of_kind(routes, kind).merge(batch::route(kind));
    }
    for (a, b) in [
        (Kind::Conversation, Kind::Asset),
        (Kind::Conversation, Kind::Anchor),
        (Kind::Conversation, Kind::Annotation),
        (Kind::Conversation, Kind::Website),
        (Kind::Asset, Kind::Conversation),
        (Kind::Asset, Kind::Anchor),
        (Kind::Asset, Kind::Annotation),
        (Kind::Asset, Kind::Website),
        (Kind::Anchor, Kind::Asset),
        (Kind::Anchor, Kind::Conversation),
        (Kind::Anchor, Kind::Annotation),
        (Kind::Message, Kind::Annotation),
    ] {
        routes = association(routes, a, b);
    }
    routes
}

/// The routes that all kinds share.
fn of_kind(routes: Routes, kind: Kind) -> Routes {
    let (one, many) = (kind.noun(), kind.plural());
    let mut routes = routes
        .get(
            &format!("/{many}"),
            move |State(app): State<App>, params: Params| async move {
                let transferables = params.transferables()?;
                Ok::<_, Failure>(list::all(app.store, kind, transferables))
            },
        )
        .get(
            &format!("/{many}/stream/identifiers"),
            move |State(app): State<App>, upgrade: WebSocketUpgrade| {
                stream::identifiers(app, kind, upgrade)
            },
        )
        .get(
            &format!("/{one}/{{id}}"),
            move |State(app): State<App>, Id(id): Id, params: Params| fetch(app, kind, id, params),
        )
        .post(
            &format!("/{one}/update"),
            move |State(app): State<App>, params: Params, Body(body): Body| {
                write(app, params, move |change| {
                    objects::update(change, kind, body).map(|row| Link::from(&row))
                })
            },
        );
    // Conversations and assets have their own of one of these.
    if kind != Kind::Conversation {
        routes = routes.get(
            &format!("/{many}/identifiers"),
            move |State(app): State<App>| identifiers(app, kind),
        );
    }
    if kind != Kind::Asset {
        routes = routes.post(
            &format!("/{many}/{{id}}/delete"),
            move |State(app): State<App>, Id(id): Id| delete(app, kind, id),
        );
    }
    routes
}

async fn delete(app: App, kind: Kind, id: String) -> Result<StatusCode, Failure> {
    let halted = match kind {
        Kind::Conversation => app.answers.halt(&id),
        _ => None,
    };
    app.store
        .write(move |change| {
            if let Some(halted) = halted {
                halted.store(change)?;
            }
            objects::delete(change, kind, &id)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Associates and disassociates objects, named from the side of `a`.
fn association(routes: Routes, a: Kind, b: Kind) -> Routes {
    let path = |verb| format!("/{}/{{a}}/{}/{verb}/{{b}}", a.noun(), b.plural());
    routes
        .post(
            &path("associate"),
            move |State(app): State<App>,
                  over_socket: Extension<OverSocket>,
                  Ids(x, y): Ids| async move {
                let ends = named_file((a, &x), (b, &y));
                let job =
                    move |change: &mut Change<'_>| objects::associate(change, (a, &x), (b, &y));
                app.store.write(job).await?;
                // Editor windows only tie files to a conversation; other clients attach them.
                if let Some((conversation, anchor)) = ends
                    && !over_socket.0.0
                {
                    app.answers.note_anchor(&conversation, &anchor, true);
                }
                Ok::<_, Failure>(StatusCode::NO_CONTENT)
            },
        )
        .post(
            &path("disassociate"),
            move |State(app): State<App>, Ids(x, y): Ids| async move {
                if let Some((conversation, anchor)) = named_file((a, &x), (b, &y)) {
                    app.answers.note_anchor(&conversation, &anchor, false);
                }
                let job =
                    move |change: &mut Change<'_>| objects::disassociate(change, (a, &x), (b, &y));
                app.store.write(job).await?;
                Ok::<_, Failure>(StatusCode::NO_CONTENT)
            },
        )
}

/// The conversation and the anchor, if these are the ends of an association.
fn named_file(a: (Kind, &str), b: (Kind, &str)) -> Option<(String, String)> {
    match (a, b) {
        ((Kind::Conversation, conversation), (Kind::Anchor, anchor))
        | ((Kind::Anchor, anchor), (Kind::Conversation, conversation)) => {
            Some((conversation.to_owned(), anchor.to_owned()))
        }
        _ => None,
    }
}

async fn fetch(app: App, kind: Kind, id: String, params: Params) -> Answer {
    let transferables = params.transferables()?;
    let store = app.store.clone();
    let text = app
        .store
        .read(move |db| View::new(&store, db, transferables).one(&store::get(db, kind, &id)?))
        .await?;
    Ok(json_text(text))
}

/// Runs a write and answers with the object that it created or changed.
async fn write<F>(app: App, params: Params, job: F) -> Answer
where
    F: FnOnce(&mut Change<'_>) -> Result<Link, Failure> + Send + 'static,
{
    let transferables = params.transferables()?;
    let store = app.store.clone();
    let text = app
        .store
        .write(move |change| {
            let link = job(change)?;
            View::new(&store, change.db, transferables)
                .one(&store::get(change.db, link.kind, &link.id)?)
        })
        .await?;
    Ok(json_text(text))
}

async fn create_conversation(
    State(app): State<App>,
    params: Params,
    asking: Asking,
    Body(body): Body,
) -> Answer {
    let body = if body.is_null() {
        Value::Object(Map::new())
    } else {
        body
    };
    write(app, params, move |change| {
        let application = asking.application(change.db)?;
        conversation::create(change, body, application)
    })
    .await
}

async fn create_from_asset(
    State(app): State<App>,
    Extension(over_socket): Extension<OverSocket>,
    Id(asset): Id,
    asking: Asking,
) -> Answer {
    let made = app
        .store
        .write(move |change| {
            let application = asking.application(change.db)?;
            conversation::create_from_asset(change, &asset, application)
        })
        .await?;
    app.answers
        .summarise(made.id.clone(), app.peer(over_socket));
    Ok(json_text(
        json!({"conversation": {"id": made.id}}).to_string(),
    ))
}

async fn create_message(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    write(app, params, move |change| message::create(change, body)).await
}

async fn create_asset(
    State(app): State<App>,
    params: Params,
    asking: Asking,
    Body(body): Body,
) -> Answer {
    let creator = app.store.user().to_string();
    let ourselves = ourselves(app.store.id());
    write(app, params, move |change| {
        let application = asking.application(change.db)?.unwrap_or(ourselves);
        asset::create(change, body, application, &creator)
    })
    .await
}

async fn create_anchor(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    write(app, params, move |change| {
        anchor::resolve(change, Seed::object(body, "body")?)
    })
    .await
}

async fn create_annotation(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    write(app, params, move |change| {
        annotation::add(change, Seed::object(body, "body")?)
    })
    .await
}

async fn create_website(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    write(app, params, move |change| {
        website::resolve(change, Seed::object(body, "body")?)
    })
    .await
}

/// POST /message/update/value: like /message/update; both take the whole message.
async fn update_message(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    write(app, params, move |change| {
        objects::update(change, Kind::Message, body).map(|row| Link::from(&row))
    })
    .await
}

/// POST /conversation/{c}/rename without a name: Pieces OS asks a model, we use the first line of a user's
/// message.
async fn name_after_first_message(State(app): State<App>, Id(id): Id, params: Params) -> Answer {
    write(app, params, move |change| {
        conversation::name_after_first_message(change, &id)
    })
    .await
}

async fn one_asset(State(app): State<App>, Id(id): Id, params: Params) -> Answer {
    fetch(app, Kind::Asset, id, params).await
}

async fn one_format(State(app): State<App>, Id(id): Id, params: Params) -> Answer {
    fetch(app, Kind::Format, id, params).await
}

/// Answers 200 with the id as text, as Pieces OS does; other deletes answer 204.
async fn delete_asset(State(app): State<App>, Id(id): Id) -> Answer {
    let answer = id.clone();
    app.store
        .write(move |change| objects::delete(change, Kind::Asset, &id))
        .await?;
    Ok(answer.into_response())
}

async fn identifiers(app: App, kind: Kind) -> Answer {
    references(app, kind, |_| {}).await
}

/// GET /conversations/identifiers: newest `updated` first, which some clients rely on.
async fn newest_first(State(app): State<App>) -> Answer {
    references(app, Kind::Conversation, |ids| {
        ids.sort_by_key(|(_, updated)| std::cmp::Reverse(*updated))
    })
    .await
}

async fn references(app: App, kind: Kind, order: fn(&mut Vec<(String, i64)>)) -> Answer {
    let text = app
        .store
        .read(move |db| {
            let mut ids = store::identifiers(db, kind)?;
            order(&mut ids);
            let mut out = String::from("{\"iterable\":[");
            let mut indices = String::new();
            for (at, (id, _)) in ids.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str("{\"id\":\"");
                out.push_str(id);
                out.push_str("\"}");
                write_index(&mut indices, id, at);
            }
            out.push_str("],\"indices\":{");
            out.push_str(&indices);
            out.push_str("}}");
            Ok(out)
        })
        .await?;
    Ok(json_text(text))
}

async fn messages_of_conversation(State(app): State<App>, Id(id): Id, params: Params) -> Answer {
    some(app, params, move |db| {
        let conversation = store::get(db, Kind::Conversation, &id)?;
        store::owned_rows(db, Kind::Message, conversation.seq)
    })
    .await
}

async fn formats_of_asset(State(app): State<App>, Id(id): Id, params: Params) -> Answer {
    some(app, params, move |db| {
        let asset = store::get(db, Kind::Asset, &id)?;
        store::owned_rows(db, Kind::Format, asset.seq)
    })
    .await
}

async fn conversations_of_asset(State(app): State<App>, Id(id): Id, params: Params) -> Answer {
    some(app, params, move |db| {
        let asset = store::get(db, Kind::Asset, &id)?;
        let links = store::neighbours(db, asset.seq)?;
        let conversations = links.iter().filter(|link| link.kind == Kind::Conversation);
        conversations
            .map(|link| store::get(db, Kind::Conversation, &link.id))
            .collect()
    })
    .await
}

/// A wrapper of a few objects.
async fn some<F>(app: App, params: Params, rows: F) -> Answer
where
    F: FnOnce(&Connection) -> Result<Vec<Row>, Failure> + Send + 'static,
{
    let transferables = params.transferables()?;
    let store = app.store.clone();
    let text = app
        .store
        .read(move |db| {
            let rows = rows(db)?;
            let mut view = View::new(&store, db, transferables);
            let mut out = String::from("{\"iterable\":[");
            let mut indices = String::new();
            for (at, row) in rows.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&view.one(row)?);
                write_index(&mut indices, &row.id, at);
            }
            out.push_str("],\"indices\":{");
            out.push_str(&indices);
            out.push_str("}}");
            Ok(out)
        })
        .await?;
    Ok(json_text(text))
}
