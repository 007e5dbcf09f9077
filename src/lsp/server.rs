//! The language server: its capabilities, and the handler of each request.

use crate::index::Reader;
use crate::lsp::features::{
    action, code_action, code_lens, completion, content, hover, inlay_hint, navigation, rename,
    symbols,
};
use crate::lsp::rpc::error::invalid;
use crate::lsp::rpc::serve;
use crate::lsp::state::Server;
use crate::lsp::state::capabilities::{Encoding, Flags};
use crate::lsp::state::document::Documents;
use crate::lsp::state::event::Event;
use crate::lsp::state::session::Launch;
use crate::lsp::{commands, upkeep};
use crate::transport::{Output, stdin};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;
use tower_lsp::{LanguageServer, LspService};

/// A notification that tower-lsp 0.20 does not know.
const PROGRESS_CANCEL: &str = "window/workDoneProgress/cancel";

/// What tower-lsp calls.
struct LanguageService {
    server: Arc<Server>,
    /// Events for `upkeep`; taken at `initialized`.
    events: Mutex<Option<mpsc::UnboundedReceiver<Event>>>,
}

/// Serves on stdin and stdout until the editor leaves.
///
/// # Errors
/// Why its input could not be read any further, one sentence.
pub async fn run(launch: Launch, parent: Option<i64>) -> std::result::Result<u8, String> {
    let (Ok(output), Ok(input)) = (Output::stdout(), stdin()) else {
        return Err("Cannot start a thread; close other programs first.".to_owned());
    };
    let hooks = serve::Hooks {
        parent,
        ..serve::Hooks::default()
    };
    let initialize_params = Arc::clone(&hooks.initialize_params);
    let unreadable = Arc::clone(&hooks.unreadable);
    let (sender, events) = mpsc::unbounded_channel();
    let mut started = None;
    let (service, socket) = LspService::build(|client| {
        let server = Arc::new(Server::new(client, launch, initialize_params, sender));
        started = Some(Arc::clone(&server));
        let events = Mutex::new(Some(events));
        LanguageService { server, events }
    })
    .custom_method(content::METHOD, LanguageService::text_document_content)
    .custom_method(PROGRESS_CANCEL, LanguageService::work_done_progress_cancel)
    .finish();
    let code = serve::serve(service, socket, input, output.clone(), hooks).await;
    // Must not grow with the length of the session: that would be a leak.
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    tracing::info!(tasks, "the editor has left");
    if let Some(server) = started {
        server.writes.finish().await;
        server.session.shutdown().await;
    }
    output.flush(Duration::from_millis(500));
    match unreadable.get() {
        None => Ok(code),
        Some(why) => Err(format!(
            "The input is not LSP: {why}. The server has stopped; check whether another program writes to its stdin."
        )),
    }
}

impl LanguageService {
    fn documents(&self) -> &Documents {
        &self.server.documents
    }

    fn index(&self) -> Reader {
        self.server.session.reader()
    }

    async fn work_done_progress_cancel(&self, params: WorkDoneProgressCancelParams) {
        self.server.asks.cancel(&params.token);
    }

    async fn text_document_content(&self, params: content::Params) -> Result<content::Content> {
        content::content(&self.server, params).await
    }
}

#[tower_lsp::async_trait]
impl LanguageServer for LanguageService {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        Ok(InitializeResult {
            server_info: Some(ServerInfo {
                name: "pieces-lsp".into(),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            }),
            capabilities: offered(&self.server.flags()),
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // A second `initialized` would start everything twice.
        if let Some(events) = events.take() {
            upkeep::start(&self.server, events);
        }
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        upkeep::change_configuration(&self.server, &params.settings);
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let uri = params.text_document.uri.clone();
        self.server
            .documents
            .open(params, self.server.flags().encoding);
        self.server.stale.documents_changed();
        upkeep::midnight::opened(&self.server, &uri);
        upkeep::talk::opened(&self.server, uri);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        let uri = params.text_document.uri.clone();
        self.server.documents.change(params);
        self.server.stale.documents_changed();
        upkeep::talk::changed(&self.server, &uri);
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        let uri = &params.text_document.uri;
        let last = self.server.documents.get(uri);
        self.server.documents.close(uri);
        self.server.stale.documents_changed();
        upkeep::talk::closed(&self.server, uri, last);
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(Some(code_action::code_actions(&self.server, params).await))
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        Ok(hover::hover(&self.server, params).await)
    }

    async fn document_link(&self, params: DocumentLinkParams) -> Result<Option<Vec<DocumentLink>>> {
        Ok(navigation::links(self.documents(), self.index(), &params).await)
    }

    async fn goto_definition(
        &self,
        params: GotoDefinitionParams,
    ) -> Result<Option<GotoDefinitionResponse>> {
        Ok(navigation::definition(&self.server, params).await)
    }

    async fn references(&self, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
        Ok(navigation::references(self.documents(), self.index(), params).await)
    }

    async fn inlay_hint(&self, params: InlayHintParams) -> Result<Option<Vec<InlayHint>>> {
        Ok(inlay_hint::inlay_hints(&self.server, &params).await)
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        Ok(completion::completion(self.documents(), self.index(), &params).await)
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        Ok(Some(
            code_lens::code_lenses(&self.server, &params.text_document.uri).await,
        ))
    }

    async fn symbol(
        &self,
        params: WorkspaceSymbolParams,
    ) -> Result<Option<Vec<SymbolInformation>>> {
        Ok(Some(
            symbols::workspace_symbols(&self.server, params.query).await,
        ))
    }

    async fn document_symbol(
        &self,
        params: DocumentSymbolParams,
    ) -> Result<Option<DocumentSymbolResponse>> {
        Ok(symbols::document_symbols(&self.server, params.text_document.uri).await)
    }

    async fn folding_range(&self, params: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>> {
        Ok(symbols::folding_ranges(self.documents(), &params.text_document.uri).await)
    }

    async fn prepare_rename(
        &self,
        params: TextDocumentPositionParams,
    ) -> Result<Option<PrepareRenameResponse>> {
        Ok(rename::prepare(&self.server, &params).await)
    }

    async fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
        rename::rename(&self.server, params).await
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<Value>> {
        let token = params.work_done_progress_params.work_done_token;
        let mut arguments = params.arguments;
        let argument = match arguments.len() {
            0 => Value::Null,
            1 => arguments.swap_remove(0),
            _ => {
                return Err(invalid(
                    "A command takes one JSON object as its only argument.",
                ));
            }
        };
        commands::execute(&self.server, &params.command, argument, token)
            .await
            .map(Some)
    }
}

/// The advertised capabilities.
fn offered(flags: &Flags) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(match flags.encoding {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(TextDocumentSyncCapability::Options(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::INCREMENTAL),
                ..TextDocumentSyncOptions::default()
            },
        )),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(action::KINDS.into()),
            ..CodeActionOptions::default()
        })),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        document_link_provider: Some(DocumentLinkOptions {
            resolve_provider: Some(false),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        }),
        definition_provider: Some(OneOf::Left(true)),
        references_provider: Some(OneOf::Left(true)),
        inlay_hint_provider: Some(OneOf::Left(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(completion::TRIGGERS.map(str::to_owned).into()),
            ..CompletionOptions::default()
        }),
        code_lens_provider: Some(CodeLensOptions {
            resolve_provider: Some(false),
        }),
        workspace_symbol_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        folding_range_provider: Some(FoldingRangeProviderCapability::Simple(true)),
        rename_provider: Some(match flags.prepares_rename {
            true => OneOf::Right(RenameOptions {
                prepare_provider: Some(true),
                work_done_progress_options: WorkDoneProgressOptions::default(),
            }),
            false => OneOf::Left(true),
        }),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: commands::NAMES.map(str::to_owned).into(),
            work_done_progress_options: WorkDoneProgressOptions {
                work_done_progress: Some(true),
            },
        }),
        ..ServerCapabilities::default()
    }
}
