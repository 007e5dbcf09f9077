//! The HTTP side: what Pieces OS answers, and the faults in it.

use super::{
    ANCHOR, ASSET, CONVERSATION, END_OF_TIES, Fault, FirstFrame, Request as Logged, Shared, State,
    add_reference, id_of, qgpt, references,
};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{ConnectInfo, FromRequestParts, Request, WebSocketUpgrade};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

const SIX: [&str; 6] = [
    "POST /conversations/create/from_asset/{id}",
    "POST /conversations/create",
    "POST /conversations/{id}/delete",
    "GET /conversations/identifiers",
    "GET /conversations",
    STREAM,
];
const STREAM: &str = "GET /conversations/stream/identifiers";

pub(super) async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let app = Router::new().fallback(move |request| answer(Arc::clone(&shared), request));
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::from_std(listener).unwrap();
    axum::serve(listener, service).await.unwrap();
}

/// Counts a request as in flight until it is answered, or its client has gone.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.with(|state| {
            state.in_flight += 1;
            state.max_in_flight = state.max_in_flight.max(state.in_flight);
        });
        Self(Arc::clone(shared))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.with(|state| state.in_flight -= 1);
    }
}

async fn answer(shared: Arc<Shared>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0);
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let segments: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    let (route, id) = route(&parts.method, &segments);
    let fault = shared.with(|state| {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter();
        state.requests.push(Logged {
            route: route.clone(),
            target: parts.uri.to_string(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
        state.strike(&route)
    });
    let off = shared.with(|state| {
        let missing = state.six_endpoints_only && !SIX.contains(&route.as_str());
        missing || state.switched_off.contains(&route)
    });
    let about = match route.as_str() {
        STREAM => Some(CONVERSATION),
        "GET /anchors/stream/identifiers" => Some(ANCHOR),
        "GET /assets/stream/identifiers" => Some(ASSET),
        _ => None,
    };
    let tied = about.filter(|about| *about != CONVERSATION);
    let about = about.filter(|_| tied.is_none() || shared.with(|state| state.tie_streams));
    let in_flight = about.is_none().then(|| InFlight::new(&shared));
    let cut = || {
        let connection = peer.and_then(|peer| shared.with(|state| state.connections.remove(&peer)));
        connection.inspect(|connection| connection.task.abort());
    };
    match &fault {
        Some(Fault::Status(status, text)) => return failure(*status, text),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Drop) => {
            cut();
            std::future::pending().await
        }
        Some(Fault::Body(kind, text)) => {
            return ([(header::CONTENT_TYPE, *kind)], text.clone()).into_response();
        }
        _ => {}
    }
    let reply = if off {
        Reply::Failure(404, "Route not found")
    } else if route == "GET /qgpt/stream" {
        drop(in_flight);
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade.on_upgrade(move |socket| qgpt::answer(shared, socket)),
            Err(refusal) => refusal.into_response(),
        };
    } else if let Some(about) = about {
        return match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => upgrade.on_upgrade(move |socket| stream(shared, about, socket)),
            Err(refusal) => refusal.into_response(),
        };
    } else {
        carry_out(&shared, &route, &id, &body)
    };
    drop(in_flight);
    match fault {
        Some(Fault::LoseReply) => {
            cut();
            std::future::pending().await
        }
        Some(Fault::HangReply) => std::future::pending().await,
        Some(Fault::HoldReply) => {
            let mut released = shared.released.subscribe();
            shared.with(|state| state.held_replies += 1);
            let _ = released.changed().await;
            shared.with(|state| state.held_replies -= 1);
            reply.into_response()
        }
        Some(Fault::Truncate) => truncated(reply.into_response()).await,
        Some(Fault::Edit(edit)) => match reply {
            Reply::Json(mut value) => {
                edit(&mut value);
                Reply::Json(value).into_response()
            }
            reply => reply.into_response(),
        },
        _ => reply.into_response(),
    }
}

impl State {
    /// The fault that strikes this request, if any; the newest wins.
    fn strike(&mut self, route: &str) -> Option<Fault> {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => route.starts_with(start),
            None => route == pattern,
        };
        let (_, fault, times) = self
            .faults
            .iter_mut()
            .rev()
            .find(|(pattern, _, times)| *times > 0 && matches(pattern))?;
        *times = times.saturating_sub(1);
        Some(fault.clone())
    }
}

enum Reply {
    Json(Value),
    Text(String),
    Done,
    Failure(u16, &'static str),
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Json(value) => (
                [(header::CONTENT_TYPE, "application/json")],
                value.to_string(),
            )
                .into_response(),
            Self::Text(text) => text.into_response(),
            Self::Done => StatusCode::NO_CONTENT.into_response(),
            Self::Failure(status, text) => failure(status, text),
        }
    }
}

fn failure(status: u16, text: &'static str) -> Response {
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// Announces the whole body and breaks off in the middle.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts
        .headers
        .insert(header::CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    let broken = async {
        // Lets the first half go out.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    let chunks = futures_util::stream::iter([Ok(half)]);
    let chunks = chunks.chain(futures_util::stream::once(broken));
    Response::from_parts(parts, Body::from_stream(chunks))
}

/// The name of the route and the id in the path.
fn route(method: &Method, segments: &[&str]) -> (String, String) {
    let (pattern, id) = match segments {
        ["conversations", "create", "from_asset", id] => {
            ("/conversations/create/from_asset/{id}".to_owned(), *id)
        }
        ["conversations", id, "delete"] => ("/conversations/{id}/delete".to_owned(), *id),
        [
            kind @ ("conversation" | "message" | "asset" | "anchor" | "annotation"),
            "update",
        ] => (format!("/{kind}/update"), ""),
        [
            kind @ ("conversation" | "message" | "asset" | "anchor" | "annotation"),
            id,
        ] => (format!("/{kind}/{{id}}"), *id),
        ["conversation", id, "messages"] => ("/conversation/{id}/messages".to_owned(), *id),
        ["asset", id, "conversations"] => ("/asset/{id}/conversations".to_owned(), *id),
        other => (format!("/{}", other.join("/")), ""),
    };
    (format!("{method} {pattern}"), id.to_owned())
}

fn carry_out(shared: &Shared, route: &str, id: &str, body: &Bytes) -> Reply {
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(_) if body.is_empty() => Value::Null,
        Err(_) => return Reply::Failure(400, "The body is not JSON."),
    };
    shared.with(|state| match route {
        "GET /.well-known/health" | "HEAD /.well-known/health" => Reply::Text(state.health.clone()),
        "GET /.well-known/version" => Reply::Text(state.version.clone()),
        "POST /connect" => {
            let mut application = body["application"].clone();
            application["id"] = json!("55f4576b-8be6-4508-bf89-e85f263a083b");
            application["onboarded"] = json!(false);
            let os = json!({"id": "os", "version": state.version});
            Reply::Json(json!({"application": application, "health": {"os": os}}))
        }
        "GET /models" => Reply::Json(json!({"iterable": state.models})),
        "GET /user" => Reply::Json(json!({"user": {"id": "user"}})),
        "GET /conversations" => Reply::Json(collection(&state.conversations, Value::clone)),
        "GET /conversations/identifiers" => Reply::Json(collection(&state.conversations, only_id)),
        "POST /conversations/create" => {
            let conversation = create(shared, state, &body);
            Reply::Json(conversation)
        }
        "POST /conversations/create/from_asset/{id}" => match state.assets.get(id).cloned() {
            None => Reply::Failure(500, "Asset not found."),
            Some(asset) => {
                let seed = json!({"name": asset["name"], "assets": references([id])});
                let conversation = create(shared, state, &seed);
                let message = state.new_message(&id_of(&conversation), "ASSISTANT", "Summary.");
                add_message(shared, state, message);
                Reply::Json(json!({"conversation": {"id": conversation["id"]}}))
            }
        },
        "POST /conversations/{id}/delete" => match shared.delete(state, id) {
            true => Reply::Done,
            false => Reply::Failure(500, "Conversation not found."),
        },
        "GET /conversation/{id}" => found(state, state.conversations.get(id)),
        "POST /conversation/update" => {
            let mut conversation = body;
            let known = conversation["id"]
                .as_str()
                .map(|id| state.conversations.contains_key(id));
            if known != Some(true) {
                return Reply::Failure(500, "Conversation not found.");
            }
            state.stamp(&mut conversation);
            shared.store(state, conversation.clone());
            Reply::Json(conversation)
        }
        "GET /conversation/{id}/messages" => {
            let own = |message: &&Value| message["conversation"]["id"] == id;
            let messages = state.messages.values().filter(own);
            let messages = messages.map(|message| (id_of(message), message.clone()));
            Reply::Json(collection(&messages.collect(), Value::clone))
        }
        "POST /messages/create" => {
            let conversation = body["conversation"]["id"].as_str().unwrap_or_default();
            if !state.conversations.contains_key(conversation) {
                return Reply::Failure(500, "Conversation not found.");
            }
            let role = body["role"].as_str().unwrap_or("USER");
            let text = body["fragment"]["string"]["raw"]
                .as_str()
                .unwrap_or_default();
            let message = state.new_message(conversation, role, text);
            add_message(shared, state, message.clone());
            Reply::Json(message)
        }
        "GET /messages" => Reply::Json(collection(&state.messages, Value::clone)),
        "GET /annotations" => Reply::Json(collection(&state.annotations, Value::clone)),
        "GET /message/{id}" => found(state, state.messages.get(id)),
        "GET /annotation/{id}" => found(state, state.annotations.get(id)),
        "GET /assets" => Reply::Json(collection(&state.assets, Value::clone)),
        "GET /assets/identifiers" => Reply::Json(collection(&state.assets, only_id)),
        "GET /asset/{id}" => found(state, state.assets.get(id)),
        "GET /asset/{id}/conversations" => {
            let tied = |wrapper: &Value| wrapper["indices"].get(id).is_some_and(|at| *at != -1);
            let tied = state
                .conversations
                .iter()
                .filter(|(_, c)| tied(&c["assets"]));
            let tied = tied.map(|(id, conversation)| (id.clone(), conversation.clone()));
            Reply::Json(collection(&tied.collect(), Value::clone))
        }
        "POST /assets/create" => {
            let asset = state.new_asset(&body);
            let id = id_of(&asset);
            state.assets.insert(id.clone(), asset.clone());
            for seed in body["asset"]["metadata"]["anchors"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let path = seed["fullpath"].as_str().unwrap_or_default();
                let anchor = state.new_anchor(path, &[&id], &[]);
                state.anchors.insert(id_of(&anchor), anchor);
            }
            Reply::Json(asset)
        }
        "GET /anchors" => Reply::Json(collection(&state.anchors, Value::clone)),
        "GET /anchor/{id}" => found(state, state.anchors.get(id)),
        _ => Reply::Failure(404, "Route not found"),
    })
}

/// A conversation from a seed, with its messages and anchors.
fn create(shared: &Shared, state: &mut State, seed: &Value) -> Value {
    let mut fields = seed.clone();
    let (mut messages, mut anchors) = (Value::Null, Value::Null);
    if let Some(fields) = fields.as_object_mut() {
        messages = fields.remove("messages").unwrap_or_default();
        anchors = fields.remove("anchors").unwrap_or_default();
    }
    let mut conversation = state.new_conversation(fields);
    let id = id_of(&conversation);
    for seed in anchors.as_array().into_iter().flatten() {
        let path = seed["fullpath"].as_str().unwrap_or_default();
        let anchor = state.new_anchor(path, &[], &[&id]);
        add_reference(&mut conversation["anchors"], &id_of(&anchor));
        state.anchors.insert(id_of(&anchor), anchor);
    }
    shared.store(state, conversation);
    for seed in messages.as_array().into_iter().flatten() {
        let role = seed["role"].as_str().unwrap_or("USER");
        let text = seed["fragment"]["string"]["raw"]
            .as_str()
            .unwrap_or_default();
        let message = state.new_message(&id, role, text);
        add_message(shared, state, message);
    }
    state.conversations[&id].clone()
}

/// Stores a message and puts it into its conversation, which changes by that.
pub(super) fn add_message(shared: &Shared, state: &mut State, message: Value) {
    let owner = message["conversation"]["id"].as_str().unwrap_or_default();
    if let Some(mut conversation) = state.conversations.get(owner).cloned() {
        add_reference(&mut conversation["messages"], &id_of(&message));
        state.stamp(&mut conversation);
        shared.store(state, conversation);
    }
    state.messages.insert(id_of(&message), message);
}

fn found(state: &State, object: Option<&Value>) -> Reply {
    match object {
        Some(object) => Reply::Json(object.clone()),
        None if state.gone_is_500 => Reply::Failure(500, "Not found."),
        None => Reply::Failure(410, "Gone."),
    }
}

fn only_id(object: &Value) -> Value {
    json!({"id": object["id"]})
}

fn collection(objects: &BTreeMap<String, Value>, item: impl Fn(&Value) -> Value) -> Value {
    let indices: serde_json::Map<String, Value> = objects
        .keys()
        .enumerate()
        .map(|(position, id)| (id.clone(), position.into()))
        .collect();
    json!({"iterable": objects.values().map(item).collect::<Vec<_>>(), "indices": indices})
}

/// One identifier stream, until one side ends it.
async fn stream(shared: Arc<Shared>, about: &'static str, mut socket: WebSocket) {
    struct Open(Arc<Shared>, fn(&mut State) -> &mut usize);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.with(|state| *self.1(state) -= 1);
        }
    }
    // Subscribed and listed in one step: no change falls between the two.
    let (mut frames, first) = shared.with(|state| {
        let first = match about {
            CONVERSATION => first_frames(state),
            about => {
                let objects = if about == ANCHOR {
                    &state.anchors
                } else {
                    &state.assets
                };
                let items = objects.keys().map(|id| json!({about: {"id": id}}));
                vec![json!({"iterable": items.collect::<Vec<_>>()}).to_string()]
            }
        };
        (shared.frames.subscribe(), first)
    });
    for frame in first {
        if socket.send(Message::text(frame)).await.is_err() {
            return;
        }
    }
    let count: fn(&mut State) -> &mut usize = match about {
        CONVERSATION => |state| &mut state.websockets,
        _ => |state| &mut state.tie_websockets,
    };
    shared.with(|state| {
        *count(state) += 1;
        state.websockets_opened += usize::from(about == CONVERSATION);
    });
    let _open = Open(Arc::clone(&shared), count);
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Ok((END_OF_TIES, _)) if about != CONVERSATION => return,
                Ok((of, _)) if of != about => {}
                Ok((_, frame)) => {
                    if socket.send(Message::text(frame)).await.is_err() {
                        return;
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
            },
            // Reading answers pings.
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

/// What a stream of conversations begins with.
fn first_frames(state: &State) -> Vec<String> {
    let updated = !state.frames_without_updated;
    let items = state
        .conversations
        .values()
        .map(|conversation| match updated {
            true => {
                json!({"conversation": only_id(conversation), "updated": conversation["updated"]})
            }
            false => json!({"conversation": only_id(conversation)}),
        });
    let items: Vec<Value> = items.collect();
    match state.first_frame {
        FirstFrame::Whole => vec![json!({"iterable": items}).to_string()],
        FirstFrame::Split(size) => {
            let parts = items.chunks(size.max(1));
            parts
                .map(|part| json!({"iterable": part}).to_string())
                .collect()
        }
        FirstFrame::Missing => Vec::new(),
    }
}
