//! `workspace/executeCommand`.

use super::server::Server;
use super::{RequestContext, ask};
use crate::index::ConversationRef;
use crate::pieces;
use crate::sync::driver::from_wire;
use crate::sync::{Backend, State, Status, Write};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::lsp_types::{MessageActionItem, MessageType, ShowMessageRequestParams, request};
use uuid::Uuid;

/// Every command that is advertised.
pub(super) const NAMES: [&str; 8] = [
    "pieces.conversations.createFromAsset",
    "pieces.conversations.create",
    "pieces.conversations.delete",
    "pieces.conversations.identifiers",
    "pieces.conversations.snapshot",
    "pieces.conversations.refresh",
    "pieces.conversations.list",
    "pieces.status",
];

/// How long a command waits for a service to be found.
const FIND: Duration = Duration::from_secs(3);
/// How long a person may think about a question.
const DECIDE: Duration = Duration::from_secs(300);
/// How long the index may take to learn of a write.
const LEARN: Duration = Duration::from_secs(5);

/// Runs a command; `argument` is null where none was given.
pub(super) async fn execute(server: &Server, name: &str, argument: Value) -> Result<Value> {
    if !argument.is_object() && !argument.is_string() && !argument.is_null() {
        return Err(Error::invalid_params("The argument must be a JSON object."));
    }
    match name {
        "pieces.conversations.createFromAsset" => create_from_asset(server, &argument).await,
        "pieces.conversations.create" => create(server, &argument).await,
        "pieces.conversations.delete" => delete(server, &argument).await,
        "pieces.conversations.identifiers" => {
            let client = server.sync()?.client(FIND).await.map_err(failed)?;
            as_answered(client.identifiers().await)
        }
        "pieces.conversations.snapshot" => {
            let transferables = flag(&argument, "transferables")?;
            let client = server.sync()?.client(FIND).await.map_err(failed)?;
            as_answered(client.snapshot(transferables).await)
        }
        "pieces.conversations.refresh" => {
            let total = server.sync()?.refresh().await.map_err(failed)?;
            Ok(json!({ "total": total }))
        }
        "pieces.conversations.list" => list(server, &argument),
        "pieces.status" => {
            let sync = server.sync()?;
            Ok(status(&sync.status.borrow(), sync.index.snapshot().len()))
        }
        _ => Err(invalid(format!("There is no command `{name}`."))),
    }
}

/// A failure of that kind, with its sentence.
pub(super) fn failure(kind: &str, message: String) -> Error {
    Error {
        code: ErrorCode::ServerError(-32803),
        message: message.into(),
        data: Some(json!({ "kind": kind })),
    }
}

fn invalid(message: String) -> Error {
    Error {
        code: ErrorCode::InvalidParams,
        message: message.into(),
        data: Some(json!({ "kind": "invalid-argument" })),
    }
}

fn failed(error: pieces::Error) -> Error {
    let mut data = json!({ "kind": error.kind.as_str() });
    if let Some(status) = error.status {
        data["status"] = status.into();
    }
    if let Some(detail) = &error.detail {
        data["detail"] = detail.as_str().into();
    }
    if error.outcome_unknown {
        data["outcomeUnknown"] = true.into();
    }
    Error {
        code: ErrorCode::ServerError(-32803),
        message: error.message.into(),
        data: Some(data),
    }
}

/// The id in field `field`, or the bare string.
fn id(argument: &Value, field: &str) -> Result<Uuid> {
    let text = argument.as_str().or_else(|| argument.get(field)?.as_str());
    text.and_then(|text| Uuid::parse_str(text).ok())
        .ok_or_else(|| invalid(format!("`{field}` must be an id (a UUID).")))
}

/// A field that may be absent or null.
fn field<'a>(argument: &'a Value, name: &str) -> Option<&'a Value> {
    argument.get(name).filter(|value| !value.is_null())
}

fn flag(argument: &Value, name: &str) -> Result<Option<bool>> {
    let wrong = || invalid(format!("`{name}` must be true or false."));
    field(argument, name)
        .map(|value| value.as_bool().ok_or_else(wrong))
        .transpose()
}

fn number(argument: &Value, name: &str, default: usize) -> Result<usize> {
    let wrong = || invalid(format!("`{name}` must be a whole number, 0 or more."));
    field(argument, name).map_or(Ok(default), |value| {
        value
            .as_u64()
            .and_then(|value| usize::try_from(value).ok())
            .ok_or_else(wrong)
    })
}

fn as_answered(
    answer: std::result::Result<Box<serde_json::value::RawValue>, pieces::Error>,
) -> Result<Value> {
    let answer = answer.map_err(failed)?;
    serde_json::from_str(answer.get()).map_err(|_| {
        failure(
            "protocol",
            "The service's answer was not JSON; run `pieces-lsp doctor`.".into(),
        )
    })
}

/// Runs a POST in a task of its own: cancelling the request does not cut it off.
async fn post<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    if RequestContext::current().is_some_and(|context| !context.post_left()) {
        return Err(Error::request_cancelled());
    }
    tokio::spawn(work)
        .await
        .map_err(|_| Error::internal_error())?
}

async fn create(server: &Server, argument: &Value) -> Result<Value> {
    let seed = match field(argument, "seededConversation") {
        None => json!({"type": "COPILOT"}),
        Some(seed) if seed.is_object() => seed.clone(),
        Some(_) => return Err(invalid("`seededConversation` must be an object.".into())),
    };
    let transferables = flag(argument, "transferables")?;
    let sync = server.sync()?.clone();
    let client = sync.client(FIND).await.map_err(failed)?;
    post(async move {
        match client.create(&seed, transferables).await {
            Ok((answer, one)) => {
                sync.wrote(Write::Conversation(from_wire(&one))).await;
                Ok(answer)
            }
            Err(error) => {
                if error.outcome_unknown {
                    sync.wrote(Write::Unknown).await;
                }
                Err(failed(error))
            }
        }
    })
    .await
}

async fn create_from_asset(server: &Server, argument: &Value) -> Result<Value> {
    let asset = id(argument, "asset")?;
    let sync = server.sync()?.clone();
    let client = sync.client(FIND).await.map_err(failed)?;
    post(async move {
        match client.create_from_asset(asset).await {
            Ok(id) => {
                let _ = tokio::time::timeout(LEARN, sync.wrote(Write::Id(id))).await;
                let one = sync.index.get(id);
                let name = one
                    .as_ref()
                    .map_or(crate::index::UNNAMED, |one| one.as_ref().title());
                Ok(json!({ "conversation": id, "name": name }))
            }
            Err(error) => {
                if error.outcome_unknown {
                    sync.wrote(Write::Unknown).await;
                }
                Err(failed(error))
            }
        }
    })
    .await
}

async fn delete(server: &Server, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let confirm = flag(argument, "confirm")?.unwrap_or(true);
    let sync = server.sync()?.clone();
    if confirm && !confirmed(server, id).await? {
        return Ok(json!({ "deleted": false }));
    }
    let client = sync.client(FIND).await.map_err(failed)?;
    post(async move {
        match client.delete(id).await {
            Ok(()) => {
                sync.wrote(Write::Deleted(id)).await;
                Ok(json!({ "deleted": true }))
            }
            Err(error) => {
                if error.outcome_unknown {
                    sync.wrote(Write::Unknown).await;
                }
                Err(failed(error))
            }
        }
    })
    .await
}

async fn confirmed(server: &Server, id: Uuid) -> Result<bool> {
    let one = server.sync()?.index.get(id);
    let message = one.map_or_else(
        || "Delete this conversation? This cannot be undone.".to_owned(),
        |one| {
            let title: String = one
                .as_ref()
                .title()
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect();
            format!(
                "Delete “{title}” with {} messages? This cannot be undone.",
                one.messages
            )
        },
    );
    let action = |title: &str| MessageActionItem {
        title: title.to_owned(),
        properties: Default::default(),
    };
    let params = ShowMessageRequestParams {
        typ: MessageType::WARNING,
        message,
        actions: Some(vec![action("Delete"), action("Cancel")]),
    };
    let answer = ask::<request::ShowMessageRequest>(&server.client, params, DECIDE).await;
    // No answer is a no.
    Ok(matches!(answer, Ok(Some(chosen)) if chosen.title == "Delete"))
}

fn list(server: &Server, argument: &Value) -> Result<Value> {
    let limit = number(argument, "limit", 100)?;
    let offset = number(argument, "offset", 0)?;
    let query = match field(argument, "query") {
        None => "",
        Some(query) => query
            .as_str()
            .ok_or_else(|| invalid("`query` must be a string.".into()))?,
    };
    let asset = match field(argument, "asset") {
        None => None,
        Some(_) => Some(id(argument, "asset")?),
    };
    let sync = server.sync()?;
    let snapshot = sync.index.snapshot();
    let wanted = |one: &ConversationRef<'_>| asset.is_none_or(|asset| one.assets.contains(&asset));
    let found: Vec<ConversationRef<'_>> = if query.trim().is_empty() {
        snapshot.iter().filter(wanted).collect()
    } else {
        let hits = snapshot.search(query);
        hits.into_iter()
            .map(|hit| hit.conversation)
            .filter(wanted)
            .collect()
    };
    let page = found.iter().skip(offset).take(limit);
    let items: Vec<Value> = page.map(|one| item(one, &sync.index)).collect();
    Ok(json!({"total": found.len(), "revision": snapshot.revision(), "items": items}))
}

/// A ConversationItem.
fn item(one: &ConversationRef<'_>, index: &crate::index::Reader) -> Value {
    let mut files: Vec<String> = one
        .anchors
        .iter()
        .filter_map(|anchor| index.ties().anchor(*anchor))
        .flat_map(|anchor| anchor.paths.clone())
        .filter_map(|path| url::Url::from_file_path(path).ok())
        .map(String::from)
        .collect();
    files.sort_unstable();
    files.dedup();
    let time = |micros| {
        Timestamp::from_microsecond(micros)
            .unwrap_or_default()
            .to_string()
    };
    json!({
        "id": one.id,
        "name": one.title(),
        "created": time(one.created),
        "updated": time(one.updated),
        "favorited": one.favorited,
        "messages": one.messages,
        "assets": one.assets,
        "files": files,
        "application": one.application,
        "uri": format!("pieces-conversation:/{}.md", one.id),
    })
}

fn status(status: &Status, conversations: usize) -> Value {
    let state = match status.state {
        State::Connecting => "connecting",
        State::Syncing => "syncing",
        State::Live => "live",
        State::Offline => "offline",
    };
    let since = Timestamp::try_from(status.since)
        .unwrap_or_default()
        .to_string();
    let backend = Backend::as_str(status.backend);
    let mut answer = json!({
        "state": state, "backend": backend, "url": status.url, "version": status.version,
        "conversations": conversations, "since": since,
    });
    if let Some(error) = &status.error {
        answer["error"] = error.as_str().into();
    }
    answer
}
