//! `pieces.conversations.delete {conversation, confirm?, force?}`.

use super::arguments::{flag, id};
use crate::ask;
use crate::json::plural::live_ids;
use crate::lsp::limits::{CONFIRM_TIMEOUT, COPY_TIMEOUT, QUESTION_CHARS};
use crate::lsp::rpc::ask_user;
use crate::lsp::rpc::error::{failed, failure};
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::state::trash::{Staged, Trash};
use crate::lsp::text::item::{counted, quoted};
use crate::pieces::{self, Client, Kind};
use crate::sync::{Backend, Write};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::MessageType;
use uuid::Uuid;

/// How often a conversation is copied at most, if it changes while it is copied.
const ATTEMPTS: usize = 3;
/// Concurrent reads of annotations, anchors and websites.
const READS: usize = 2;

/// How a deleted conversation gets into the trash.
enum Kept {
    /// The service moves it there itself, or it does not exist any more.
    ByService,
    /// A copy was staged.
    Staged(Staged),
}

/// Why a conversation cannot be kept in the trash.
enum Unkept {
    /// The service does not respond, or must be signed in to or updated first.
    Service(pieces::Error),
    /// The reason, as a part of a sentence.
    Because(String),
}

impl Unkept {
    fn reading(error: pieces::Error) -> Self {
        match error.kind {
            Kind::Offline | Kind::SignedOut | Kind::UpdateRequired => Unkept::Service(error),
            _ => Unkept::because(&error),
        }
    }

    fn because(error: &pieces::Error) -> Self {
        Unkept::Because(error.message.trim_end_matches('.').to_owned())
    }
}

/// Deletes a conversation and moves it to the trash in one step. If it cannot be kept there, the user is asked
/// again, or the delete is refused if confirmation is off.
pub(super) async fn delete(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let confirm = flag(argument, "confirm")?.unwrap_or(true) && server.settings().confirm_delete;
    let force = flag(argument, "force")?.unwrap_or(false);
    let refused = Ok(json!({ "deleted": false }));
    if confirm && !confirmed(server, question(server, id)).await {
        return refused;
    }
    let (handle, client) = server.session.client().await.map_err(failed)?;
    // Copied after the question, so that messages that arrived meanwhile are included.
    let kept = match keep(server, &client, id).await {
        Ok(kept) => kept,
        // For such a reason the delete would fail too.
        Err(Unkept::Service(error)) => return Err(failed(error)),
        Err(Unkept::Because(_)) if force => Kept::ByService,
        Err(Unkept::Because(reason)) if confirm => {
            let again = format!(
                "The conversation cannot be kept in the trash: {reason}. Delete it permanently?"
            );
            if !confirmed(server, again).await {
                return refused;
            }
            Kept::ByService
        }
        Err(Unkept::Because(reason)) => {
            let what = format!(
                "The conversation was not deleted, because it cannot be kept in the trash: {reason}. To delete it permanently, repeat the command with `force`."
            );
            return Err(failure(Kind::Refused, what));
        }
    };
    let inside = Arc::clone(server);
    let deleting = async move {
        match (client.delete(id).await, kept) {
            (Ok(()), kept) => {
                if let Kept::Staged(staged) = kept {
                    staged.commit().await;
                }
                handle.wrote(Write::Deleted(id)).await;
                if let Some(dir) = inside.session.data_dir() {
                    ask::forget_kept(&dir, id).await;
                }
                Ok(json!({ "deleted": true }))
            }
            (Err(error), kept) => {
                match kept {
                    Kept::Staged(staged) if error.outcome_unknown => staged.leave(),
                    Kept::Staged(staged) => staged.discard().await,
                    Kept::ByService => {}
                }
                Err(report_failed_write(&inside, &handle, error).await)
            }
        }
    };
    send_write(server, deleting).await
}

/// Makes sure that the conversation will be in the trash after the delete.
///
/// # Errors
/// Why it cannot be kept.
async fn keep(server: &Server, client: &Client, id: Uuid) -> std::result::Result<Kept, Unkept> {
    if server.session.status().backend == Backend::Local {
        // The service moves it, in the transaction that deletes it.
        return match Trash::of(client.clone()).probe().await {
            Err(error) if error.kind == Kind::NotFound => Err(Unkept::Because(
                "the local service belongs to an older pieces-lsp; close its editor windows first"
                    .into(),
            )),
            _ => Ok(Kept::ByService),
        };
    }
    let staging = timeout(COPY_TIMEOUT, stage(server, client, id));
    staging.await.unwrap_or_else(|_| {
        let seconds = COPY_TIMEOUT.as_secs();
        Err(Unkept::Because(format!(
            "copying it took longer than {seconds} s"
        )))
    })
}

/// Stages a copy of the conversation as it is now, bypassing every cache.
async fn stage(server: &Server, client: &Client, id: Uuid) -> std::result::Result<Kept, Unkept> {
    let trash = server.session.trash().await;
    let trash = trash.map_err(|error| Unkept::because(&error))?;
    let origin = server.session.origin(client).await;
    for _ in 0..ATTEMPTS {
        let transcript = match client.transcript(id).await {
            Ok(transcript) => transcript,
            Err(error) if error.kind == Kind::NotFound => {
                // Either it is gone, which the delete will report, or the route is missing.
                return match client.identifier_ids().await {
                    Ok(ids) if !ids.contains(&id) => Ok(Kept::ByService),
                    _ => Err(Unkept::Because(
                        "the service does not provide its messages".into(),
                    )),
                };
            }
            Err(error) => return Err(Unkept::reading(error)),
        };
        if transcript.missing > 0 {
            let missing = counted(transcript.missing, "message");
            return Err(Unkept::Because(format!("{missing} cannot be read")));
        }
        let mut objects = vec![json!({"conversation": transcript.conversation}).to_string()];
        for message in &transcript.messages {
            let mut raw = message.raw.clone();
            raw["conversation"] = json!({ "id": id });
            objects.push(json!({ "message": raw }).to_string());
        }
        objects.extend(around(server, client, &transcript.conversation).await?);
        let staged = trash.stage(&origin, &objects).await;
        let staged = staged.map_err(|error| Unkept::because(&error))?;
        let now = client.conversation_raw(id, false).await;
        match now {
            Ok(now) if state(&now) == state(&transcript.conversation) => {
                return Ok(Kept::Staged(staged));
            }
            // It has changed while it was copied.
            Ok(_) => staged.discard().await,
            Err(error) => return Err(Unkept::reading(error)),
        }
    }
    Err(Unkept::Because(
        "it keeps changing while it is copied".into(),
    ))
}

/// `updated` and the ids of messages and annotations, by which two versions of a conversation differ.
fn state(conversation: &Value) -> (&Value, Vec<Uuid>, Vec<Uuid>) {
    (
        &conversation["updated"]["value"],
        live_ids(&conversation["messages"]),
        live_ids(&conversation["annotations"]),
    )
}

/// The annotations of a conversation and its associated anchors and websites. Objects that the service does not
/// provide are left out.
async fn around(
    server: &Server,
    client: &Client,
    conversation: &Value,
) -> std::result::Result<Vec<String>, Unkept> {
    let wanted = [
        ("annotation", "annotations"),
        ("anchor", "anchors"),
        ("website", "websites"),
    ];
    let wanted = wanted.into_iter().flat_map(|(one, many)| {
        let ids = live_ids(&conversation[many]).into_iter();
        ids.map(move |id| (one, id))
    });
    let ties = server.session.reader();
    let read = |(kind, id): (&'static str, Uuid)| {
        let known = match kind {
            "anchor" => ties.ties().anchor(id),
            _ => None,
        };
        async move {
            let path = format!("/{kind}/{id}?transferables=true");
            match client.get_value(&path).await {
                Ok(object) => Ok(Some(json!({ (kind): object }).to_string())),
                Err(error) => match known {
                    Some(anchor) => {
                        let point = |path: &String| json!({"reference": {"fullpath": path}});
                        let points: Vec<_> = anchor.paths.iter().map(point).collect();
                        let anchor = json!({"id": id, "points": {"iterable": points}});
                        Ok(Some(json!({ "anchor": anchor }).to_string()))
                    }
                    None if error.kind == Kind::NotFound => Ok(None),
                    None => Err(Unkept::reading(error)),
                },
            }
        }
    };
    let wanted: Vec<_> = wanted.map(read).collect();
    let read: Vec<_> = stream::iter(wanted).buffered(READS).collect().await;
    read.into_iter()
        .filter_map(std::result::Result::transpose)
        .collect()
}

/// The question before a delete.
fn question(server: &Server, id: Uuid) -> String {
    let one = server.session.reader().get(id);
    let what = one.map_or_else(
        || "this conversation".to_owned(),
        |one| {
            let title = quoted(one.as_ref().title(), QUESTION_CHARS);
            let messages = counted(one.messages as usize, "message");
            format!("{title} with {messages}")
        },
    );
    format!("Delete {what}?")
}

/// Asks for confirmation. A missing answer counts as no.
async fn confirmed(server: &Server, message: String) -> bool {
    const DELETE: &str = "Delete";
    let (client, titles) = (&server.client, [DELETE, "Cancel"]);
    let chosen = ask_user(
        client,
        MessageType::WARNING,
        message,
        &titles,
        CONFIRM_TIMEOUT,
    )
    .await;
    chosen.is_some_and(|chosen| chosen == DELETE)
}
