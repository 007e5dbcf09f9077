//! `pieces.conversations.trash`.

use crate::index::UNNAMED;
use crate::lsp::rpc::error::failed;
use crate::lsp::state::Server;
use crate::lsp::state::trash::{Entry, Trash};
use crate::lsp::text::item::{counted, rfc3339};
use crate::pieces::Error;
use crate::sync::{Backend, State};
use serde_json::{Value, json};
use std::collections::HashSet;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::MessageType;
use uuid::Uuid;

/// In microseconds: a staged copy of this age whose conversation exists belongs to no delete in flight.
const ABANDONED: i64 = 86_400_000_000;

/// Lists the trash, most recently deleted first.
pub(super) async fn trash(server: &Server) -> Result<Value> {
    if server.session.has_no_trash() {
        return Ok(json!({ "items": [] }));
    }
    let trash = server.session.trash().await.map_err(failed)?;
    let deleted = deleted(server, &trash).await.map_err(failed)?;
    let item = |one: &Entry| {
        json!({
            "conversation": one.conversation,
            "name": shown(&one.name),
            "deleted": rfc3339(one.deleted),
            "messages": one.messages,
        })
    };
    Ok(json!({ "items": deleted.iter().map(item).collect::<Vec<_>>() }))
}

/// A name as users see it.
pub(super) fn shown(name: &str) -> &str {
    match name.trim().is_empty() {
        true => UNNAMED,
        false => name,
    }
}

/// The deleted conversations that do not exist again, each once, most recently deleted first.
pub(super) async fn deleted(
    server: &Server,
    trash: &Trash,
) -> std::result::Result<Vec<Entry>, Error> {
    let listed = trash.list().await?;
    if listed.unreadable > 0 && server.session.first_time_unreadable() {
        let what = format!(
            "The trash of an older version holds {} that cannot be read. They stay in `trash` in the data directory.",
            counted(listed.unreadable as usize, "file")
        );
        server.client.show_message(MessageType::WARNING, what).await;
    }
    let status = server.session.status();
    let local = status.backend == Backend::Local;
    let index = server.session.reader();
    let staged = listed.entries.iter().any(|one| one.staged);
    // Only a complete index can tell whether the conversation of a staged copy is gone.
    let judged = staged && !local && status.state == State::Live;
    let origin = match judged {
        true => match server.session.client().await {
            Ok((_, client)) => Some(server.session.origin(&client).await),
            Err(_) => None,
        },
        false => None,
    };
    let mut seen = HashSet::<Uuid>::new();
    let mut found = Vec::new();
    for one in listed.entries {
        let exists = match local {
            true => one.exists,
            false => index.get(one.conversation).is_some(),
        };
        if one.staged {
            // Only the service that had it can tell whether it was deleted, and only if its index is complete.
            if origin.as_ref() != Some(&one.origin) {
                continue;
            }
            if !exists {
                let _ = trash.commit(one.entry).await;
            } else if distance(one.deleted) > ABANDONED {
                trash.discard(one.entry).await;
            }
        }
        if !exists && seen.insert(one.conversation) {
            found.push(one);
        }
    }
    Ok(found)
}

/// The absolute difference between `then` and now, in microseconds.
fn distance(then: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    });
    now.saturating_sub(then).saturating_abs()
}
