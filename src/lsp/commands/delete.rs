//! `pieces.conversations.delete {conversation, confirm?}`.

use super::arguments::{flag, id};
use super::trash::in_trash;
use crate::lsp::limits::{CONFIRM_TIMEOUT, COPY_TIMEOUT, QUESTION_CHARS};
use crate::lsp::rpc::ask;
use crate::lsp::rpc::error::failed;
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::text::item::{counted, label};
use crate::pieces;
use crate::sync::Write;
use crate::trash::{self, Deleted};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{MessageActionItem, MessageType, ShowMessageRequestParams, request};
use uuid::Uuid;

/// `pieces.conversations.delete {conversation, confirm?}`. The conversation goes to the trash first.
pub(super) async fn delete(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let confirm = flag(argument, "confirm")?.unwrap_or(true) && server.settings().confirm_delete;
    let deleted = |deleted: bool| Ok(json!({ "deleted": deleted }));
    // Fetched before asking, so that the delete can start as soon as the user confirms.
    let copy = copy(server, id).await;
    if confirm && !confirmed(server, question(server, id, copy.as_ref().err())).await {
        return deleted(false);
    }
    let kept = match copy {
        Ok(copy) => {
            let put = in_trash(server, move |trash| trash.put(&copy)).await;
            put.is_ok_and(|put| put.is_ok())
        }
        // The question already said that there is no copy.
        Err(_) => true,
    };
    if confirm && !kept {
        let again = "The trash cannot be written, so this cannot be undone. Delete it for good?";
        if !confirmed(server, again.to_owned()).await {
            return deleted(false);
        }
    }
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let inside = Arc::clone(server);
    let deleting = async move {
        match client.delete(id).await {
            Ok(()) => {
                handle.wrote(Write::Deleted(id)).await;
                Ok(json!({ "deleted": true }))
            }
            Err(error) => {
                if !error.outcome_unknown {
                    let _ = in_trash(&inside, move |trash| trash.remove(id)).await;
                }
                Err(report_failed_write(&inside, &handle, error).await)
            }
        }
    };
    send_write(server, deleting).await
}

/// The copy of a conversation for the trash.
async fn copy(server: &Server, id: Uuid) -> std::result::Result<Deleted, pieces::Error> {
    let index = server.session.reader();
    let transcript = match timeout(COPY_TIMEOUT, server.transcripts.read(&server.session, id)).await
    {
        Ok(transcript) => transcript?,
        Err(_) => return Err(unread(pieces::Kind::Timeout)),
    };
    if transcript.missing > 0 {
        return Err(unread(pieces::Kind::Protocol));
    }
    let one = index.get(id);
    let anchors = one.iter().flat_map(|one| &one.anchors);
    let anchors = anchors.filter_map(|anchor| index.ties().anchor(*anchor));
    let raw = transcript.conversation.clone();
    Ok(Deleted {
        conversation: id,
        name: raw["name"].as_str().unwrap_or_default().to_owned(),
        deleted: trash::now(),
        messages: transcript
            .messages
            .iter()
            .map(|one| one.raw.clone())
            .collect(),
        files: anchors.flat_map(|anchor| anchor.paths.clone()).collect(),
        assets: one.map(|one| one.assets).unwrap_or_default(),
        raw,
    })
}

fn unread(kind: pieces::Kind) -> pieces::Error {
    pieces::Error::new(kind, "Its messages could not be read.")
}

/// The question before a delete.
fn question(server: &Server, id: Uuid, uncopied: Option<&pieces::Error>) -> String {
    let one = server.session.reader().get(id);
    let what = one.map_or_else(
        || "this conversation".to_owned(),
        |one| {
            let title = label(one.as_ref().title(), QUESTION_CHARS);
            let messages = counted(one.messages as usize, "message");
            format!("“{title}” with {messages}")
        },
    );
    match uncopied {
        None => format!("Delete {what}?"),
        Some(_) => format!(
            "Delete {what}? Its messages cannot be read, so it will not be in the trash and this cannot be undone."
        ),
    }
}

/// Asks the user. A missing answer counts as no.
async fn confirmed(server: &Server, message: String) -> bool {
    const DELETE: &str = "Delete";
    let action = |title: &str| MessageActionItem {
        title: title.to_owned(),
        properties: Default::default(),
    };
    let params = ShowMessageRequestParams {
        typ: MessageType::WARNING,
        message,
        actions: Some(vec![action(DELETE), action("Cancel")]),
    };
    let answer = ask::<request::ShowMessageRequest>(&server.client, params, CONFIRM_TIMEOUT).await;
    matches!(answer, Ok(Some(chosen)) if chosen.title == DELETE)
}
