//! `pieces.import {from?, dryRun?}`: copies a Pieces OS, an export or an archive into the local service.

use super::arguments::{flag, text};
use crate::lsp::state::Server;
use crate::lsp::upkeep::importing::import;
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::ProgressToken;

/// Imports; the result has the counts of objects.
pub(super) async fn run(
    server: &Arc<Server>,
    argument: &Value,
    token: Option<ProgressToken>,
) -> Result<Value> {
    let from = text(argument, "from")?;
    let dry_run = flag(argument, "dryRun")?.unwrap_or(false);
    let report = import(server, from.map(str::to_owned), dry_run, token).await?;
    let counts = report.counts;
    Ok(json!({
        "source": report.source,
        "new": counts.new,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "unreadable": counts.unreadable,
    }))
}
