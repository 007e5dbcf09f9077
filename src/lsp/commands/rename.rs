//! `pieces.conversations.rename {conversation, name}`.

use super::FIND;
use super::arguments::{id, text};
use super::write::learned;
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::state::Server;
use crate::lsp::text::item::conversation_item;
use crate::pieces::{Client, Kind};
use crate::sync::driver::from_wire;
use crate::sync::{Handle, Write};
use serde_json::Value;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use uuid::Uuid;

/// Longest name, in characters.
const LONGEST: usize = 1000;

/// Runs the command.
pub(super) async fn rename(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let name = text(argument, "name")?.unwrap_or_default();
    rename_to(server, id, name).await
}

/// Renames a conversation unless somebody else renamed it since we last looked.
pub(crate) async fn rename_to(server: &Arc<Server>, id: Uuid, name: &str) -> Result<Value> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > LONGEST || name.contains(char::is_control) {
        return Err(invalid("`name` must be one line of 1 to 1000 characters."));
    }
    let (handle, client) = server.session.client(FIND).await.map_err(failed)?;
    let inside = Arc::clone(server);
    let renaming = async move { replace_name(&inside, &handle, &client, id, name).await };
    server.posts.run(renaming).await
}

async fn replace_name(
    server: &Arc<Server>,
    handle: &Handle,
    client: &Client,
    id: Uuid,
    name: String,
) -> Result<Value> {
    let known = handle.index.get(id);
    // The whole object is written back, so it is fetched now and keeps every field we do not know.
    let mut fresh = match client.conversation_raw(id, false).await {
        Ok(fresh) => fresh,
        Err(error) if error.status == Some(404) && known.is_some() => {
            let message = "This service cannot rename conversations; rename it in Pieces itself.";
            return Err(failed(error.with_message(message)));
        }
        Err(error) => return Err(failed(error)),
    };
    let current = fresh["name"].as_str().unwrap_or_default();
    if known.is_some_and(|known| known.name != current) {
        handle.wrote(Write::Unknown).await;
        let what = "The conversation was renamed elsewhere in the meantime; look at its new name and try again.";
        return Err(failure(Kind::Refused, what));
    }
    fresh["name"] = name.into();
    match client.update(&fresh).await {
        Ok(one) => {
            let one = from_wire(&one);
            let item = conversation_item(&one.as_ref(), handle.index.ties());
            handle.wrote(Write::Conversation(one)).await;
            Ok(item)
        }
        Err(error) => Err(learned(server, handle, error).await),
    }
}
