//! Creating and deleting.

use super::arguments::{field, flag, id};
use super::{DECIDE, FIND};
use crate::lsp::ask;
use crate::lsp::error::{failed, invalid};
use crate::lsp::item::label;
use crate::lsp::server::Server;
use crate::pieces;
use crate::sync::driver::from_wire;
use crate::sync::{Handle, Write};
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{MessageActionItem, MessageType, ShowMessageRequestParams, request};
use uuid::Uuid;

/// Most characters of a name in a question.
const NAME: usize = 80;

/// `pieces.conversations.create {seededConversation?, transferables?}`.
pub(super) async fn create(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let seed = match field(argument, "seededConversation") {
        None => json!({"type": "COPILOT"}),
        Some(seed) if seed.is_object() => seed.clone(),
        Some(_) => return Err(invalid("`seededConversation` must be an object.")),
    };
    let transferables = flag(argument, "transferables")?;
    let (handle, client) = server.session.client(FIND).await.map_err(failed)?;
    let creating = async move {
        match client.create(&seed, transferables).await {
            Ok((answer, one)) => {
                handle.wrote(Write::Conversation(from_wire(&one))).await;
                Ok(answer)
            }
            Err(error) => Err(learned(&handle, error).await),
        }
    };
    server.posts.run(creating).await
}

/// `pieces.conversations.delete {conversation, confirm?}`.
pub(super) async fn delete(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let confirm = flag(argument, "confirm")?.unwrap_or(true) && server.settings().confirm_delete;
    if confirm && !confirmed(server, id).await {
        return Ok(json!({ "deleted": false }));
    }
    let (handle, client) = server.session.client(FIND).await.map_err(failed)?;
    let deleting = async move {
        match client.delete(id).await {
            Ok(()) => {
                handle.wrote(Write::Deleted(id)).await;
                Ok(json!({ "deleted": true }))
            }
            Err(error) => Err(learned(&handle, error).await),
        }
    };
    server.posts.run(deleting).await
}

/// After a POST that failed: where it may have been carried out, the index looks again.
pub(super) async fn learned(handle: &Handle, error: pieces::Error) -> Error {
    if error.outcome_unknown {
        handle.wrote(Write::Unknown).await;
    }
    failed(error)
}

/// Asks the person. No answer is a no.
async fn confirmed(server: &Server, id: Uuid) -> bool {
    const DELETE: &str = "Delete";
    let one = server.session.reader().get(id);
    let message = one.map_or_else(
        || "Delete this conversation?".to_owned(),
        |one| {
            let title = label(one.as_ref().title(), NAME);
            let messages = match one.messages {
                0 => "without messages".to_owned(),
                1 => "with 1 message".to_owned(),
                many => format!("with {many} messages"),
            };
            format!("Delete “{title}” {messages}?")
        },
    );
    let action = |title: &str| MessageActionItem {
        title: title.to_owned(),
        properties: Default::default(),
    };
    let params = ShowMessageRequestParams {
        typ: MessageType::WARNING,
        message,
        actions: Some(vec![action(DELETE), action("Cancel")]),
    };
    let answer = ask::<request::ShowMessageRequest>(&server.client, params, DECIDE).await;
    matches!(answer, Ok(Some(chosen)) if chosen.title == DELETE)
}
