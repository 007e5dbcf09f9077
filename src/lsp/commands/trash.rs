//! `pieces.conversations.trash`, and access to the trash for other commands.

use crate::index::UNNAMED;
use crate::lsp::rpc::error::failure;
use crate::lsp::state::Server;
use crate::lsp::text::item::rfc3339;
use crate::pieces::Kind;
use crate::trash::{Deleted, Trash};
use serde_json::{Value, json};
use tower_lsp::jsonrpc::{Error, Result};

/// What is in the trash, newest first.
pub(super) async fn trash(server: &Server) -> Result<Value> {
    let deleted = in_trash(server, |trash| trash.list()).await?;
    let item = |one: &Deleted| {
        let name = if one.name.trim().is_empty() {
            UNNAMED
        } else {
            &one.name
        };
        json!({
            "conversation": one.conversation,
            "name": name,
            "deleted": rfc3339(one.deleted),
            "messages": one.messages.len(),
        })
    };
    Ok(json!({ "items": deleted.iter().map(item).collect::<Vec<_>>() }))
}

/// Runs `work` on a thread that may block.
pub(super) async fn in_trash<T: Send + 'static>(
    server: &Server,
    work: impl FnOnce(&Trash) -> T + Send + 'static,
) -> Result<T> {
    let Some(trash) = server.session.trash() else {
        let what = "There is no directory for the trash; set `--data-dir` to one.";
        return Err(failure(Kind::Refused, what));
    };
    let working = tokio::task::spawn_blocking(move || work(&trash));
    working.await.map_err(|_| Error::internal_error())
}
