//! `pieces.conversations.rename {conversation, name}`.

use super::arguments::{id, text};
use crate::lsp::features::rename::rename_conversation;
use crate::lsp::state::Server;
use serde_json::Value;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;

/// Renames a conversation; the result is its ConversationItem.
pub(super) async fn rename(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let name = text(argument, "name")?.unwrap_or_default();
    rename_conversation(server, id, name).await
}
