//! Imports into the local service: by command, or after an accepted offer.

use crate::lsp::limits::IMPORT_INDEX_TIMEOUT;
use crate::lsp::rpc::context::RequestContext;
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::progress::Progress;
use crate::lsp::state::Server;
use crate::pieces::Kind;
use crate::sync::Backend;
use crate::transfer::{self, Import, Origin, Report, Step};
use std::sync::Arc;
use tokio::time::timeout;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{MessageType, ProgressToken};

/// Imports with progress. Cancelling stops after the current batch; what was copied stays, and the next
/// import resumes there.
///
/// # Errors
/// If the source cannot be read or the store cannot be written.
pub(crate) async fn import(
    server: &Arc<Server>,
    from: Option<String>,
    dry_run: bool,
    token: Option<ProgressToken>,
) -> Result<Report> {
    let from = match from {
        // By default the Pieces OS in use.
        None => server
            .session
            .pieces_os()
            .map_or(Origin::PiecesOs, Origin::Url),
        Some(from) => Origin::parse(Some(&from), server.session.plain_http()).map_err(invalid)?,
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
    if !dry_run && let Some(request) = RequestContext::current() {
        request.keeps(
            "Cancelled; what was copied so far is kept, and the next import continues from there.",
        );
    }
    let progress = Progress::begin(server, token, "Importing conversations");
    let shown = |step: Step| {
        let step = match step {
            Step::Found(what) => return progress.report(what, None),
            Step::Progress(step) => step,
        };
        let percentage = (step.total > 0).then(|| (step.done * 100 / step.total).min(100) as u32);
        progress.report(
            format!("{} of {} {}", step.done, step.total, step.what),
            percentage,
        );
    };
    let report = transfer::import(&import, shown)
        .await
        .map_err(|error| match error.cause {
            // Copied objects stay, and copying them again changes nothing.
            Some(cause) => failed(cause.with_message(error.message).repeatable()),
            None => failure(Kind::Refused, error.message),
        })?;
    if let Some(notice) = &report.notice {
        server
            .client
            .show_message(MessageType::WARNING, notice)
            .await;
    }
    // If the local service is in use, its index has the imported objects when this returns.
    if !dry_run
        && server.session.status().backend == Backend::Local
        && let Ok((handle, _)) = server.session.client().await
    {
        let _ = timeout(IMPORT_INDEX_TIMEOUT, handle.refresh()).await;
    }
    Ok(report)
}
