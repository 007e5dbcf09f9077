//! `pieces.conversations.stop {conversation}`.

use super::arguments::id;
use crate::lsp::rpc::error::failed;
use crate::lsp::state::Server;
use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;

/// Stops the answer that is being written in a conversation. On the local service any window can stop it; on Pieces OS
/// only the window that asked.
pub(super) async fn stop(server: &Server, argument: &Value) -> Result<Value> {
    let conversation = id(argument, "conversation")?;
    let stopped = if server.asks.stop(conversation) {
        true
    } else {
        let (_, client) = server.session.client().await.map_err(failed)?;
        match client.is_local() {
            true => client.stop_answer(conversation).await.map_err(failed)?,
            false => false,
        }
    };
    Ok(json!({ "stopped": stopped }))
}
