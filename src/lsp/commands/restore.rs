//! `pieces.conversations.restore {conversation}`.

use super::arguments::id;
use super::trash::in_trash;
use crate::lsp::rpc::error::{failed, failure};
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::pieces::Kind;
use crate::sync::Write;
use crate::sync::driver::from_wire;
use crate::trash::Deleted;
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use uuid::Uuid;

/// Creates the conversation again, under a new id.
pub(super) async fn restore(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    let Some(deleted) = in_trash(server, move |trash| trash.get(id)).await? else {
        let what = "This conversation is not in the trash; `pieces.conversations.trash` lists those that are.";
        return Err(failure(Kind::NotFound, what));
    };
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let known = |asset: &Uuid| handle.index.knows_asset(*asset);
    let assets: Vec<Uuid> = deleted.assets.iter().copied().filter(known).collect();
    let seed = seed(&deleted, &assets);
    let inside = Arc::clone(server);
    let restoring = async move {
        match client.create(&seed, None).await {
            Ok((_, one)) => {
                let one = from_wire(&one);
                let answer = json!({ "conversation": one.id, "name": one.as_ref().title() });
                inside.restored.insert(id, one.id);
                handle.wrote(Write::Conversation(one)).await;
                let _ = in_trash(&inside, move |trash| trash.remove(id)).await;
                Ok(answer)
            }
            Err(error) => Err(report_failed_write(&inside, &handle, error).await),
        }
    };
    send_write(server, restoring).await
}

/// The body of the create.
fn seed(deleted: &Deleted, assets: &[Uuid]) -> Value {
    let message = |raw: &Value| {
        let mut message = json!({ "role": raw["role"], "fragment": raw["fragment"] });
        for field in ["created", "model", "sentiment"] {
            if raw[field].is_object() || raw[field].is_string() {
                message[field] = raw[field].clone();
            }
        }
        message
    };
    let readable = |raw: &&Value| raw["fragment"].is_object() && raw["role"].is_string();
    let messages: Vec<Value> = deleted
        .messages
        .iter()
        .filter(readable)
        .map(message)
        .collect();
    let anchor = |path: &String| json!({ "type": "FILE", "fullpath": path });
    let mut seed = json!({
        "type": "COPILOT",
        "messages": messages,
        "anchors": deleted.files.iter().map(anchor).collect::<Vec<_>>(),
    });
    for field in ["name", "favorited", "application", "pipeline"] {
        if !deleted.raw[field].is_null() {
            seed[field] = deleted.raw[field].clone();
        }
    }
    if !assets.is_empty() {
        let references: Vec<Value> = assets.iter().map(|id| json!({ "id": id })).collect();
        seed["assets"] = json!({ "iterable": references });
    }
    seed
}
