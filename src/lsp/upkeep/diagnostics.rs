//! `textDocument/publishDiagnostics`, whenever something changed.

use crate::lsp::features::diagnostics::diagnose;
use crate::lsp::state::Server;
use std::collections::HashMap;
use tower_lsp::lsp_types::{Diagnostic, Url};

/// The diagnostics that the editor shows. One task owns them: two tasks would race, and diagnostics for a document that
/// was just closed could stay.
#[derive(Debug, Default)]
pub(crate) struct Published(HashMap<Url, Vec<Diagnostic>>);

impl Published {
    /// Publishes the diagnostics of open documents that changed, and clears those of closed ones.
    pub async fn update(&mut self, server: &Server) {
        for uri in server.documents.uris() {
            let Some(document) = server.documents.get(&uri) else {
                continue;
            };
            let diagnostics = diagnose(server, &document).await;
            let unchanged = match self.0.get(&uri) {
                Some(before) => *before == diagnostics,
                None => diagnostics.is_empty(),
            };
            if unchanged {
                continue;
            }
            self.0.insert(uri.clone(), diagnostics.clone());
            let version = document.version;
            let client = &server.client;
            client.publish_diagnostics(uri, diagnostics, version).await;
        }
        let closed: Vec<Url> = self.0.keys().cloned().collect();
        for uri in closed {
            if server.documents.get(&uri).is_some() {
                continue;
            }
            if self.0.remove(&uri).is_some_and(|before| !before.is_empty()) {
                let client = &server.client;
                client.publish_diagnostics(uri, Vec::new(), None).await;
            }
        }
    }
}
