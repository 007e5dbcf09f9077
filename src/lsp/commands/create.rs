//! `pieces.conversations.create {seededConversation?, transferables?}`.

use super::arguments::{field, flag};
use crate::lsp::rpc::error::{failed, invalid};
use crate::lsp::rpc::lenient::is_empty_table;
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::state::event::Event;
use crate::sync::Write;
use crate::sync::driver::from_wire;
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;

/// Creates a conversation and waits until the index has it. Returns the Conversation as the service sent it.
pub(super) async fn create(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let seed = match field(argument, "seededConversation") {
        None => json!({"type": "COPILOT"}),
        Some(seed) if is_empty_table(seed) => json!({"type": "COPILOT"}),
        Some(seed) if seed.is_object() => seed.clone(),
        Some(_) => return Err(invalid("`seededConversation` must be an object.")),
    };
    let transferables = flag(argument, "transferables")?;
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let inside = Arc::clone(server);
    let creating = async move {
        match client.create(&seed, transferables).await {
            Ok((answer, one)) => {
                inside.report(Event::Created);
                handle.wrote(Write::Conversation(from_wire(&one))).await;
                Ok(answer)
            }
            Err(error) => {
                inside.report(Event::CreateFailed {
                    status: error.status,
                });
                Err(report_failed_write(&inside, &handle, error).await)
            }
        }
    };
    send_write(server, creating).await
}
