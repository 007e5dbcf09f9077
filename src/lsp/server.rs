//! The language server: what it offers, and where each request goes.

use super::{commands, serve};
use crate::sync::{self, Handle, Source};
use crate::transport::{Output, stdin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::*;
use tower_lsp::{Client, LanguageServer, LspService};

/// The server behind one editor.
pub(super) struct Server {
    pub(super) client: Client,
    source: std::result::Result<Arc<Source>, String>,
    sync: OnceLock<Handle>,
}

/// Serves on stdin and stdout until the editor leaves; returns the exit code.
pub async fn run(source: std::result::Result<Arc<Source>, String>, parent: Option<i64>) -> u8 {
    let (Ok(output), Ok(input)) = (Output::stdout(), stdin()) else {
        return 1;
    };
    let hooks = serve::Hooks {
        parent,
        ..serve::Hooks::default()
    };
    let shared = source.clone();
    let (service, socket) = LspService::new(|client| Server {
        client,
        source,
        sync: OnceLock::new(),
    });
    let code = serve::serve(service, socket, input, output.clone(), hooks).await;
    if let Ok(source) = shared {
        source.shutdown().await;
    }
    output.flush(Duration::from_millis(500));
    code
}

impl Server {
    /// The synchroniser, once the editor is ready.
    pub(super) fn sync(&self) -> Result<&Handle> {
        self.sync.get().ok_or_else(|| match &self.source {
            Err(refusal) => commands::failure("offline", refusal.clone()),
            Ok(_) => commands::failure("offline", "Not started yet; try again in a moment.".into()),
        })
    }
}

#[tower_lsp::async_trait]
impl LanguageServer for Server {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        Ok(InitializeResult {
            server_info: Some(ServerInfo {
                name: "pieces-lsp".into(),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            }),
            capabilities: ServerCapabilities {
                execute_command_provider: Some(ExecuteCommandOptions {
                    commands: commands::NAMES.map(str::to_owned).into(),
                    ..ExecuteCommandOptions::default()
                }),
                ..ServerCapabilities::default()
            },
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        if let Ok(source) = &self.source {
            let (deltas, _) = tokio::sync::mpsc::unbounded_channel();
            self.sync
                .get_or_init(|| sync::start(Arc::clone(source), deltas));
        }
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn execute_command(
        &self,
        params: ExecuteCommandParams,
    ) -> Result<Option<serde_json::Value>> {
        let argument = match params.arguments.as_slice() {
            [] => serde_json::Value::Null,
            [one] => one.clone(),
            _ => {
                return Err(Error::invalid_params(
                    "One JSON object is the only argument.",
                ));
            }
        };
        commands::execute(self, &params.command, argument)
            .await
            .map(Some)
    }
}
