//! `pieces.conversations.restore {conversation}`.

use super::arguments::id;
use super::trash::{deleted, shown};
use crate::lsp::rpc::error::{failed, failure};
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::state::trash::Trash;
use crate::pieces::Kind;
use crate::sync::driver::from_wire;
use crate::sync::{Backend, Write};
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::{Error, Result};
use uuid::Uuid;

/// Restores a deleted conversation: on the local service as it was, on Pieces OS under a new id.
pub(super) async fn restore(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    if server.session.has_no_trash() {
        return Err(not_there());
    }
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let inside = Arc::clone(server);
    if server.session.status().backend == Backend::Local {
        let restoring = async move {
            match Trash::of(client).restore_here(id).await {
                Ok(name) => {
                    handle.wrote(Write::Id(id)).await;
                    Ok(json!({ "conversation": id, "name": shown(&name) }))
                }
                Err(error) if error.kind == Kind::NotFound => Err(not_there()),
                Err(error) => Err(report_failed_write(&inside, &handle, error).await),
            }
        };
        return send_write(server, restoring).await;
    }
    let trash = server.session.trash().await.map_err(failed)?;
    let entries = deleted(server, &trash).await.map_err(failed)?;
    let Some(entry) = entries.into_iter().find(|one| one.conversation == id) else {
        return Err(not_there());
    };
    let restoring = async move {
        let mut seed = match trash.take(entry.entry).await {
            Ok(seed) => seed,
            Err(error) if error.status == Some(503) => {
                let what = "This conversation is being restored already; look for it in the list.";
                return Err(failure(Kind::Refused, what));
            }
            Err(error) if error.kind == Kind::NotFound => return Err(not_there()),
            Err(error) => return Err(failed(error)),
        };
        keep_known_assets(&mut seed, |asset| handle.index.knows_asset(asset));
        match client.create(&seed, None).await {
            Ok((_, one)) => {
                let one = from_wire(&one);
                let answer = json!({ "conversation": one.id, "name": one.as_ref().title() });
                inside.restored.insert(id, one.id);
                if let Err(error) = trash.restored(entry.entry, one.id).await {
                    tracing::warn!(%error, "a restored conversation is still in the trash");
                }
                handle.wrote(Write::Conversation(one)).await;
                Ok(answer)
            }
            Err(error) => {
                // If it may have been restored, the claim is kept until it expires, so that it is not restored twice.
                if !error.outcome_unknown {
                    trash.release(entry.entry).await;
                }
                Err(report_failed_write(&inside, &handle, error).await)
            }
        }
    };
    send_write(server, restoring).await
}

fn not_there() -> Error {
    let what = "This conversation is not in the trash (any more); `pieces.conversations.trash` lists the trash.";
    failure(Kind::NotFound, what)
}

/// Drops unknown assets: a service refuses a conversation about an asset that it does not have.
fn keep_known_assets(seed: &mut Value, known: impl Fn(Uuid) -> bool) {
    if let Some(assets) = seed
        .pointer_mut("/assets/iterable")
        .and_then(Value::as_array_mut)
    {
        assets.retain(|asset| {
            let id = asset["id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
            id.is_some_and(&known)
        });
        if assets.is_empty() {
            seed["assets"] = Value::Null;
        }
    }
}
