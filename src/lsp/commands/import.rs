//! `pieces.import {from?, dryRun?}`: copies a Pieces OS, or an export, into the local service.

use super::arguments::{flag, text};
use crate::lsp::state::Server;
use crate::lsp::upkeep::importing::import;
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::ProgressToken;

/// Imports, and answers with the counts.
pub(super) async fn run(
    server: &Arc<Server>,
    argument: &Value,
    token: Option<ProgressToken>,
) -> Result<Value> {
    let from = text(argument, "from")?;
    let dry_run = flag(argument, "dryRun")?.unwrap_or(false);
    let counts = import(server, from.map(str::to_owned), dry_run, token).await?;
    Ok(json!({
        "new": counts.new,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "unreadable": counts.unreadable,
    }))
}
