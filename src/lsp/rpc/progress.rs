//! `window/workDoneProgress` for long work.

use super::ask;
use crate::lsp::limits::{EDITOR_TIMEOUT, PROGRESS_DELAY};
use crate::lsp::state::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tower_lsp::lsp_types::notification::Progress as ProgressNotification;
use tower_lsp::lsp_types::{
    ProgressParams, ProgressParamsValue, ProgressToken, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressCreateParams, WorkDoneProgressEnd, WorkDoneProgressReport, request,
};

/// Shows progress until it is dropped.
pub(crate) struct Progress(Option<mpsc::UnboundedSender<Report>>);

struct Report {
    message: String,
    percentage: Option<u32>,
}

impl Progress {
    /// Progress under the `token` of a request is shown at once, other progress after [`PROGRESS_DELAY`] if the client
    /// supports it.
    pub fn begin(server: &Arc<Server>, token: Option<ProgressToken>, title: &str) -> Self {
        if token.is_none() && !server.flags().progress {
            return Progress(None);
        }
        let (reports, received) = mpsc::unbounded_channel();
        let title = title.to_owned();
        tokio::spawn(show(Arc::clone(server), token, title, received));
        Progress(Some(reports))
    }

    pub fn report(&self, message: String, percentage: Option<u32>) {
        if let Some(reports) = &self.0 {
            let _ = reports.send(Report {
                message,
                percentage,
            });
        }
    }
}

/// Ends when the sender of the reports is dropped.
async fn show(
    server: Arc<Server>,
    token: Option<ProgressToken>,
    title: String,
    mut reports: mpsc::UnboundedReceiver<Report>,
) {
    let token = match token {
        Some(token) => token,
        None => {
            let wait = async { while reports.recv().await.is_some() {} };
            if tokio::time::timeout(PROGRESS_DELAY, wait).await.is_ok() {
                return;
            }
            static NEXT: AtomicU64 = AtomicU64::new(1);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let token = ProgressToken::String(format!("pieces-{number}"));
            let params = WorkDoneProgressCreateParams {
                token: token.clone(),
            };
            let created =
                ask::<request::WorkDoneProgressCreate>(&server.client, params, EDITOR_TIMEOUT);
            if created.await.is_err() {
                return;
            }
            token
        }
    };
    let send = async |value| {
        let params = ProgressParams {
            token: token.clone(),
            value: ProgressParamsValue::WorkDone(value),
        };
        server
            .client
            .send_notification::<ProgressNotification>(params)
            .await;
    };
    send(WorkDoneProgress::Begin(WorkDoneProgressBegin {
        title,
        ..WorkDoneProgressBegin::default()
    }))
    .await;
    while let Some(report) = reports.recv().await {
        send(WorkDoneProgress::Report(WorkDoneProgressReport {
            message: Some(report.message),
            percentage: report.percentage,
            ..WorkDoneProgressReport::default()
        }))
        .await;
    }
    send(WorkDoneProgress::End(WorkDoneProgressEnd { message: None })).await;
}
