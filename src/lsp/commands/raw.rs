//! Commands that return the response of the service unchanged, and `refresh`.

use super::arguments::flag;
use crate::lsp::rpc::error::{failed, failure};
use crate::lsp::state::Server;
use crate::pieces::{self, Kind};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;

/// `pieces.conversations.identifiers`.
pub(super) async fn identifiers(server: &Server) -> Result<Value> {
    let (_, client) = server.session.client().await.map_err(failed)?;
    as_answered(client.identifiers().await)
}

/// `pieces.conversations.snapshot {transferables?}`.
pub(super) async fn snapshot(server: &Server, argument: &Value) -> Result<Value> {
    let transferables = flag(argument, "transferables")?;
    let (_, client) = server.session.client().await.map_err(failed)?;
    as_answered(client.snapshot(transferables).await)
}

/// `pieces.conversations.refresh`: a full resync, with empty caches.
pub(super) async fn refresh(server: &Server) -> Result<Value> {
    // Before the resync: everything that is read from now on is current.
    server.transcripts.forget_all();
    server.asset_names.clear();
    let (handle, _) = server.session.client().await.map_err(failed)?;
    let total = handle.refresh().await.map_err(failed)?;
    Ok(json!({ "total": total }))
}

fn as_answered(answer: std::result::Result<Box<RawValue>, pieces::Error>) -> Result<Value> {
    let answer = answer.map_err(failed)?;
    let what = "The response of the service is not valid JSON; run `pieces-lsp doctor`.";
    crate::json::from_slice(answer.get().as_bytes()).map_err(|_| failure(Kind::Protocol, what))
}
