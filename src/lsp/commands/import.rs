//! `pieces.import {from?, dryRun?}`: copies a Pieces OS, or an export, into the local service.

use super::FIND;
use super::arguments::{flag, text};
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::progress::Progress;
use crate::lsp::state::Server;
use crate::pieces::Kind;
use crate::sync::Backend;
use crate::transfer::{self, Counts, Import, Origin};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::ProgressToken;

/// How long the index may take to learn of what came.
const LEARN: Duration = Duration::from_secs(10);

/// Runs the command.
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

/// Copies, showing how far it is. Goes on when the request is cancelled only as far as it must: what
/// was copied stays, and the next import goes on from there.
pub(crate) async fn import(
    server: &Arc<Server>,
    from: Option<String>,
    dry_run: bool,
    token: Option<ProgressToken>,
) -> Result<Counts> {
    let from = match from {
        // The Pieces OS in use is the one that is meant.
        None => server
            .session
            .pieces_os()
            .map_or(Origin::PiecesOs, Origin::Url),
        Some(from) => Origin::parse(Some(&from), server.session.allow_remote())
            .map_err(|refusal| invalid(format!("`from` cannot be used: {refusal}")))?,
    };
    let Some(data_dir) = server.session.data_dir() else {
        let what = "There is no directory for the local service; set `--data-dir` to one.";
        return Err(failure(Kind::Refused, what));
    };
    let import = Import {
        from,
        data_dir,
        dry_run,
    };
    let progress = Progress::begin(server, token, "Importing conversations");
    let shown = |step: transfer::Progress| {
        let percentage = (step.total > 0).then(|| (step.done * 100 / step.total).min(100) as u32);
        progress.report(
            format!("{} of {} {}", step.done, step.total, step.what),
            percentage,
        );
    };
    let report = transfer::import(&import, shown)
        .await
        .map_err(|error| match error.cause {
            // What was copied stays, and copying it again changes nothing.
            Some(cause) => failed(cause.with_message(error.message).repeatable()),
            None => failure(Kind::Refused, error.message),
        })?;
    if let Some(notice) = report.notice {
        use tower_lsp::lsp_types::MessageType;
        server
            .client
            .show_message(MessageType::WARNING, notice)
            .await;
    }
    // Who imports and looks finds what came, where the local service is in use.
    if !dry_run
        && server.session.status().backend == Backend::Local
        && let Ok((handle, _)) = server.session.client(FIND).await
    {
        let _ = timeout(LEARN, handle.refresh()).await;
    }
    Ok(report.counts)
}
