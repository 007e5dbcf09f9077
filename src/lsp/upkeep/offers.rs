//! What is offered to a person once, and never done behind their back.

use super::live;
use crate::lsp::commands;
use crate::lsp::rpc::ask;
use crate::lsp::state::Server;
use crate::markdown::label;
use crate::pieces::{self, Kind};
use crate::sync::Backend;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower_lsp::lsp_types::{MessageActionItem, MessageType, ShowMessageRequestParams, request};

/// How long a person may think about it.
const DECIDE: Duration = Duration::from_secs(3600);

/// What was offered already.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    failed: AtomicBool,
    import: AtomicBool,
    switch: AtomicBool,
}

/// Creating something new failed: nothing that it refers to could be missing, and yet Pieces OS says
/// 500 to much. Twice is no accident.
pub(crate) fn create_failed(server: &Arc<Server>, error: &pieces::Error) {
    let failed = (error.kind, error.status) == (Kind::Refused, Some(500));
    if failed && server.offers.failed.swap(true, Ordering::Relaxed) {
        import(server);
    }
}

/// A write failed. Where Pieces OS refuses to be written, the local service may take over.
pub(crate) fn write_failed(server: &Arc<Server>, error: &pieces::Error) {
    match (error.kind, error.status) {
        (Kind::UpdateRequired, _) => import(server),
        // What is wrong with a request, and not with the service.
        (Kind::Refused, Some(400 | 409 | 413 | 422 | 500)) => {}
        (Kind::Refused, _) => import(server),
        _ => {}
    }
}

/// Offers to copy everything into the local service, and to go on there.
fn import(server: &Arc<Server>) {
    if server.session.status().backend != Backend::PiecesOs
        || server.offers.import.swap(true, Ordering::Relaxed)
    {
        return;
    }
    let server = Arc::clone(server);
    tokio::spawn(async move {
        const COPY: &str = "Copy and switch";
        let question = "Pieces OS refuses changes. Copy your conversations into the local service and go on there?";
        if !chosen(&server, question, COPY).await {
            return;
        }
        match commands::import::import(&server, None, false, None).await {
            Ok(counts) => {
                server.switch_to(Backend::Local).await;
                let total = counts.new + counts.updated + counts.unchanged;
                let said = format!(
                    "Copied {total} objects ({} unreadable); the local service is in use until this editor ends. Set `pieces.backend` to `local` to keep it.",
                    counts.unreadable
                );
                server.client.show_message(MessageType::INFO, said).await;
            }
            Err(error) => {
                let said = label(&error.message, 500);
                server.client.show_message(MessageType::ERROR, said).await;
            }
        }
    });
}

/// The local service is in use because Pieces OS was not there, and now it is.
pub(crate) fn pieces_os_appeared(server: &Arc<Server>) {
    if server.offers.switch.swap(true, Ordering::Relaxed) {
        return;
    }
    let server = Arc::clone(server);
    tokio::spawn(async move {
        const SWITCH: &str = "Switch";
        let question =
            "Pieces OS is running now, and the local service is in use. Switch to Pieces OS?";
        if chosen(&server, question, SWITCH).await {
            server.switch_to(Backend::PiecesOs).await;
            live::send_status(&server).await;
        }
    });
}

/// Whether the person chose `yes`.
async fn chosen(server: &Server, question: &str, yes: &str) -> bool {
    let action = |title: &str| MessageActionItem {
        title: title.to_owned(),
        properties: Default::default(),
    };
    let params = ShowMessageRequestParams {
        typ: MessageType::INFO,
        message: question.to_owned(),
        actions: Some(vec![action(yes), action("Not now")]),
    };
    let answer = ask::<request::ShowMessageRequest>(&server.client, params, DECIDE).await;
    matches!(answer, Ok(Some(chosen)) if chosen.title == yes)
}
