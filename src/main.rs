//! The `pieces-lsp` program.

use pieces_lsp::lsp::{log_panics, serve};
use pieces_lsp::transport::{Output, stdin};
use std::time::Duration;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{InitializeParams, InitializeResult};
use tower_lsp::{LanguageServer, LspService};

/// Stands in for the server until there is one.
struct Placeholder;

#[tower_lsp::async_trait]
impl LanguageServer for Placeholder {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        Ok(InitializeResult::default())
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    log_panics();
    let mut arguments = std::env::args();
    let parent = arguments.find(|argument| argument == "--clientProcessId");
    let parent = parent.and_then(|_| arguments.next()?.parse().ok());
    let hooks = serve::Hooks {
        parent,
        ..serve::Hooks::default()
    };
    let output = Output::stdout()?;
    let (service, socket) = LspService::new(|_| Placeholder);
    let code = serve::serve(service, socket, stdin()?, output.clone(), hooks).await;
    output.flush(Duration::from_millis(500));
    std::process::exit(code.into());
}
