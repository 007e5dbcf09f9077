//! Refresh requests to the editor.

use super::diagnostics::Published;
use crate::lsp::features::copy;
use crate::lsp::limits::{EDITOR_TIMEOUT, REFRESH_DELAY, REFRESH_TIMEOUT};
use crate::lsp::rpc::ask;
use crate::lsp::state::Server;
use crate::lsp::text::reference::id_of_uri;
use crate::sync::State;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tower_lsp::lsp_types::request::{self, Request};
use uuid::Uuid;

enum RefreshDocument {}

impl Request for RefreshDocument {
    type Params = Value;
    type Result = Value;
    const METHOD: &'static str = "workspace/textDocumentContent/refresh";
}

/// Refreshes diagnostics, lenses and hints, [`REFRESH_DELAY`] after each change. Never returns.
pub(crate) async fn refresh_views(server: &Server) {
    let mut published = Published::default();
    loop {
        server.stale.changed().await;
        tokio::time::sleep(REFRESH_DELAY).await;
        published.update(server).await;
        if server.stale.take_views() {
            let (flags, settings) = (server.flags(), server.settings());
            if flags.refreshes_code_lens && settings.code_lens {
                let _ = ask::<request::CodeLensRefresh>(&server.client, (), EDITOR_TIMEOUT).await;
            }
            if flags.refreshes_inlay_hints && settings.inlay_hints {
                let refreshed =
                    ask::<request::InlayHintRefreshRequest>(&server.client, (), EDITOR_TIMEOUT);
                let _ = refreshed.await;
            }
        }
    }
}

/// To be called after a switch to another connection: every cache is stale.
pub(crate) fn everything_changed(server: &Arc<Server>) {
    server.transcripts.forget_all();
    server.asset_names.clear();
    refresh_documents(server, &HashSet::new(), true);
    server.stale.views_changed();
}

/// Asks the editor to read the open documents of these conversations again. A document whose
/// conversation is gone, or cannot be read now, stays as it is.
pub(crate) fn refresh_documents(server: &Arc<Server>, changed: &HashSet<Uuid>, all: bool) {
    let readable = matches!(server.session.status().state, State::Live | State::Syncing);
    if !readable {
        return;
    }
    for id in server
        .copies
        .iter()
        .map(|id| *id)
        .filter(|id| all || changed.contains(id))
    {
        let server = Arc::clone(server);
        tokio::spawn(async move { copy::renew(&server, id).await });
    }
    if !server.flags().text_document_content {
        return;
    }
    let index = server.session.reader();
    for uri in server.documents.uris() {
        let concerned = |id: Uuid| (all || changed.contains(&id)) && index.contains(id);
        if id_of_uri(&uri).is_some_and(|(_, id)| concerned(id)) {
            let server = Arc::clone(server);
            tokio::spawn(async move {
                let params = json!({ "uri": uri });
                let _ = ask::<RefreshDocument>(&server.client, params, REFRESH_TIMEOUT).await;
            });
        }
    }
}
