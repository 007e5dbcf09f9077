//! The language server: what it offers, and where each request goes.

use crate::lsp::commands;
use crate::lsp::features::diagnostics::{self, Published};
use crate::lsp::features::{
    code_action, code_lens, completion, content, hover, inlay_hint, navigation, rename, symbols,
};
use crate::lsp::rpc::error::invalid;
use crate::lsp::rpc::{ask, serve};
use crate::lsp::state::Server;
use crate::lsp::state::asset_names::AssetNames;
use crate::lsp::state::capabilities::{Encoding, Flags};
use crate::lsp::state::document::Documents;
use crate::lsp::state::in_flight::Posts;
use crate::lsp::state::session::{Applied, Launch, Session};
use crate::lsp::state::settings::Layers;
use crate::lsp::state::transcripts::Transcripts;
use crate::lsp::upkeep::live;
use crate::lsp::upkeep::offers::Offers;
use crate::sync::Backend;
use crate::transport::{Output, stdin};
use dashmap::DashMap;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;
use tower_lsp::{LanguageServer, LspService};
use uuid::Uuid;

/// How long the client may take to answer what it should know at once.
const PROMPT: Duration = Duration::from_secs(2);
/// How long after a change derived things are brought up to date.
const SETTLE: Duration = Duration::from_millis(200);
/// The section of the editor's configuration that is ours.
const SECTION: &str = "pieces";

/// What tower-lsp calls. The tasks of the server hold on to the inside.
struct LanguageService(Arc<Server>);

/// Serves on stdin and stdout until the editor leaves; returns the exit code.
pub async fn run(launch: Launch, parent: Option<i64>) -> u8 {
    let (Ok(output), Ok(input)) = (Output::stdout(), stdin()) else {
        return 1;
    };
    let hooks = serve::Hooks {
        parent,
        ..serve::Hooks::default()
    };
    let initialize_params = Arc::clone(&hooks.initialize_params);
    let mut inside = None;
    let (service, socket) = LspService::build(|client| {
        let server = Arc::new(Server {
            client,
            session: Session::new(launch),
            documents: Documents::default(),
            posts: Posts::default(),
            transcripts: Transcripts::default(),
            offers: Offers::default(),
            asset_names: AssetNames::default(),
            published: Published::default(),
            restored: DashMap::new(),
            saved: DashMap::new(),
            stale: Notify::new(),
            stale_views: AtomicBool::new(false),
            initialize_params,
            flags: OnceLock::new(),
            layers: Mutex::default(),
            settings: arc_swap::ArcSwap::default(),
            live: AtomicBool::new(false),
            told: tokio::sync::Mutex::default(),
        });
        inside = Some(Arc::clone(&server));
        LanguageService(server)
    })
    .custom_method(content::METHOD, LanguageService::text_document_content)
    .finish();
    let code = serve::serve(service, socket, input, output.clone(), hooks).await;
    // After any session about as many as after any other: what grows with its length is a leak.
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    tracing::info!(tasks, "the editor has left");
    if let Some(server) = inside {
        server.posts.finish().await;
        server.session.shutdown().await;
    }
    output.flush(Duration::from_millis(500));
    code
}

impl Server {
    /// These conversations changed, or (`all`) anything may have.
    pub fn index_changed(self: &Arc<Self>, changed: &HashSet<Uuid>, all: bool) {
        self.transcripts.forget(changed, all);
        if all {
            self.asset_names.clear();
        }
        content::refresh(self, changed, all);
        self.views_changed();
    }

    /// Brings derived things up to date, a moment after each change.
    async fn keep_up(&self) {
        loop {
            self.stale.notified().await;
            tokio::time::sleep(SETTLE).await;
            diagnostics::publish(self).await;
            if self.stale_views.swap(false, Ordering::Relaxed) {
                let flags = self.flags();
                if flags.refreshes_code_lens && self.settings().code_lens {
                    let _ = ask::<request::CodeLensRefresh>(&self.client, (), PROMPT).await;
                }
                if flags.refreshes_inlay_hints && self.settings().inlay_hints {
                    let _ = ask::<request::InlayHintRefreshRequest>(&self.client, (), PROMPT).await;
                }
            }
        }
    }

    /// Reads settings with `read`. To be called before the first wait: the order counts.
    fn change<T>(&self, read: impl FnOnce(&mut Layers) -> T) -> T {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read(&mut layers);
        self.settings.store(Arc::new(layers.effective()));
        read
    }

    /// Asks for the configuration that was announced with this number. Returns what is wrong with it.
    async fn pull(&self, number: u64) -> Vec<String> {
        let section = self.pull_configuration().await;
        let read = |section| self.change(|layers| layers.configure(number, &section));
        section.map(read).unwrap_or_default()
    }

    /// Puts the settings in force, and reports what is wrong with them.
    async fn put_in_force(self: &Arc<Self>, problems: Vec<String>) {
        for problem in problems {
            self.client
                .show_message(MessageType::WARNING, problem)
                .await;
        }
        let live = self.settings().live_updates;
        let was_live = self.live.swap(live, Ordering::AcqRel);
        let followed = self.session.reader().snapshot().revision() > 0;
        let applied = self.session.apply(|| self.settings()).await;
        let started = !matches!(applied, Applied::Unchanged);
        let live_now = !started && live && !was_live;
        // Who has followed another connection, or none, begins again.
        if started && followed || live_now {
            live::send_reset(self).await;
        }
        if started || live_now {
            if !matches!(applied, Applied::Started(_)) {
                live::send_status(self).await;
            }
            self.index_changed(&HashSet::new(), true);
        }
        if let Applied::Started(started) = applied {
            tokio::spawn(live::follow(Arc::clone(self), started));
        }
        self.views_changed();
    }

    /// Connects to the backend that the person chose when asked.
    pub async fn switch_to(self: &Arc<Self>, backend: Backend) {
        self.session.choose(backend);
        self.put_in_force(Vec::new()).await;
    }

    /// Asks the client for our section of its configuration; `None` when it has none for us.
    async fn pull_configuration(&self) -> Option<Value> {
        if !self.flags().configuration {
            return None;
        }
        let params = ConfigurationParams {
            items: vec![ConfigurationItem {
                scope_uri: None,
                section: Some(SECTION.into()),
            }],
        };
        let answer = ask::<request::WorkspaceConfiguration>(&self.client, params, PROMPT).await;
        match answer {
            Ok(mut sections) if !sections.is_empty() => Some(sections.swap_remove(0)),
            Ok(_) => None,
            Err(unanswered) => {
                tracing::warn!(%unanswered, "no configuration");
                None
            }
        }
    }

    /// Registers for what this client wants registrations.
    async fn register(&self) {
        let flags = self.flags();
        let configuration = flags.registers_configuration.then(|| Registration {
            id: "pieces-configuration".into(),
            method: "workspace/didChangeConfiguration".into(),
            register_options: Some(json!({ "section": SECTION })),
        });
        let content = flags.registers_content.then(content::registration);
        let registrations: Vec<Registration> = configuration.into_iter().chain(content).collect();
        if registrations.is_empty() {
            return;
        }
        let params = RegistrationParams { registrations };
        if let Err(unanswered) =
            ask::<request::RegisterCapability>(&self.client, params, PROMPT).await
        {
            tracing::warn!(%unanswered, "the client did not register everything");
        }
    }
}

impl LanguageService {
    /// `workspace/textDocumentContent`.
    async fn text_document_content(&self, params: content::Params) -> Result<content::Content> {
        content::content(&self.0, params).await
    }
}

#[tower_lsp::async_trait]
impl LanguageServer for LanguageService {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        let params = self.0.initialize_params.get();
        let flags = self
            .0
            .flags
            .get_or_init(|| params.map(Flags::read).unwrap_or_default());
        Ok(InitializeResult {
            server_info: Some(ServerInfo {
                name: "pieces-lsp".into(),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            }),
            capabilities: offered(flags.encoding),
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        let server = Arc::clone(&self.0);
        let params = server.initialize_params.get();
        let options = params.map_or(Value::Null, |params| {
            params["initializationOptions"].clone()
        });
        let (number, mut problems) =
            server.change(|layers| (layers.announce(), layers.initialize(&options)));
        // In a task of its own: it waits for the client.
        tokio::spawn(async move {
            problems.extend(server.pull(number).await);
            server.put_in_force(problems).await;
            server.register().await;
            server.keep_up().await;
        });
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        let server = Arc::clone(&self.0);
        let (number, problems) = server.change(|layers| {
            let number = layers.announce();
            let pushed = params.settings.get(SECTION);
            (
                number,
                pushed.map(|section| layers.configure(number, section)),
            )
        });
        tokio::spawn(async move {
            let problems = match problems {
                Some(problems) => problems,
                // Clients of the pull model say only that something changed.
                None => server.pull(number).await,
            };
            server.put_in_force(problems).await;
        });
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        self.0.documents.open(params, self.0.flags().encoding);
        self.0.stale.notify_one();
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        self.0.documents.change(params);
        self.0.stale.notify_one();
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.0.documents.close(&params.text_document.uri);
        self.0.stale.notify_one();
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(Some(code_action::code_actions(&self.0, params).await))
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        Ok(hover::hover(&self.0, params).await)
    }

    async fn document_link(&self, params: DocumentLinkParams) -> Result<Option<Vec<DocumentLink>>> {
        Ok(navigation::links(&self.0, &params))
    }

    async fn goto_definition(
        &self,
        params: GotoDefinitionParams,
    ) -> Result<Option<GotoDefinitionResponse>> {
        Ok(navigation::definition(&self.0, params))
    }

    async fn references(&self, params: ReferenceParams) -> Result<Option<Vec<Location>>> {
        Ok(navigation::references(&self.0, params))
    }

    async fn inlay_hint(&self, params: InlayHintParams) -> Result<Option<Vec<InlayHint>>> {
        Ok(inlay_hint::inlay_hints(&self.0, &params))
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        Ok(completion::completion(&self.0, &params))
    }

    async fn code_lens(&self, params: CodeLensParams) -> Result<Option<Vec<CodeLens>>> {
        Ok(Some(
            code_lens::code_lenses(&self.0, &params.text_document.uri).await,
        ))
    }

    async fn symbol(
        &self,
        params: WorkspaceSymbolParams,
    ) -> Result<Option<Vec<SymbolInformation>>> {
        Ok(Some(
            symbols::workspace_symbols(&self.0, params.query).await,
        ))
    }

    async fn document_symbol(
        &self,
        params: DocumentSymbolParams,
    ) -> Result<Option<DocumentSymbolResponse>> {
        Ok(symbols::document_symbols(
            &self.0,
            &params.text_document.uri,
        ))
    }

    async fn folding_range(&self, params: FoldingRangeParams) -> Result<Option<Vec<FoldingRange>>> {
        Ok(symbols::folding_ranges(&self.0, &params.text_document.uri))
    }

    async fn prepare_rename(
        &self,
        params: TextDocumentPositionParams,
    ) -> Result<Option<PrepareRenameResponse>> {
        Ok(rename::prepare(&self.0, &params))
    }

    async fn rename(&self, params: RenameParams) -> Result<Option<WorkspaceEdit>> {
        rename::rename(&self.0, params).await
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<Value>> {
        let token = params.work_done_progress_params.work_done_token;
        let mut arguments = params.arguments;
        let argument = match arguments.len() {
            0 => Value::Null,
            1 => arguments.swap_remove(0),
            _ => {
                return Err(invalid("One JSON object is the only argument."));
            }
        };
        commands::execute(&self.0, &params.command, argument, token)
            .await
            .map(Some)
    }
}

/// What the server can do.
fn offered(encoding: Encoding) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(match encoding {
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
            code_action_kinds: Some(code_action::KINDS.into()),
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
        rename_provider: Some(OneOf::Right(RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: WorkDoneProgressOptions::default(),
        })),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: commands::NAMES.map(str::to_owned).into(),
            work_done_progress_options: WorkDoneProgressOptions {
                work_done_progress: Some(true),
            },
        }),
        ..ServerCapabilities::default()
    }
}
