//! The language server: what it offers, and where each request goes.

use super::capabilities::{Encoding, Flags};
use super::document::Documents;
use super::posts::Posts;
use super::session::{Applied, Launch, Session};
use super::settings::{Layers, Settings};
use super::{ask, code_action, commands, item, live, serve};
use crate::transport::{Output, stdin};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::*;
use tower_lsp::{Client, LanguageServer, LspService};
use uuid::Uuid;

/// How long the client may take to answer what it should know at once.
const PROMPT: Duration = Duration::from_secs(2);
/// The section of the editor's configuration that is ours.
const SECTION: &str = "pieces";

/// The server behind one editor.
pub(super) struct Server {
    /// The editor.
    pub client: Client,
    /// The connection to the conversations.
    pub session: Session,
    /// The open documents.
    pub documents: Documents,
    /// What is being written.
    pub posts: Posts,
    initialize_params: Arc<OnceLock<Value>>,
    flags: OnceLock<Flags>,
    layers: Mutex<Layers>,
    settings: arc_swap::ArcSwap<Settings>,
}

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
    let (service, socket) = LspService::new(|client| {
        let server = Arc::new(Server {
            client,
            session: Session::new(launch),
            documents: Documents::default(),
            posts: Posts::default(),
            initialize_params,
            flags: OnceLock::new(),
            layers: Mutex::default(),
            settings: arc_swap::ArcSwap::default(),
        });
        inside = Some(Arc::clone(&server));
        LanguageService(server)
    });
    let code = serve::serve(service, socket, input, output.clone(), hooks).await;
    if let Some(server) = inside {
        server.posts.finish().await;
        server.session.shutdown().await;
    }
    output.flush(Duration::from_millis(500));
    code
}

impl Server {
    /// What the client can do.
    pub fn flags(&self) -> Flags {
        self.flags.get().copied().unwrap_or_default()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The Status of the protocol.
    pub fn status(&self) -> Value {
        let total = self.session.reader().snapshot().len();
        item::status_object(&self.session.status(), total)
    }

    /// These conversations changed, or (`reset`) anything may have.
    pub fn index_changed(&self, _changed: &HashSet<Uuid>, _reset: bool) {}

    /// Reads settings with `read` and puts them in force. Reports what is wrong with them.
    async fn reconfigure(self: &Arc<Self>, read: impl FnOnce(&mut Layers) -> Vec<String> + Send) {
        let before = self.settings();
        let problems = {
            let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
            let problems = read(&mut layers);
            self.settings.store(Arc::new(layers.effective()));
            problems
        };
        for problem in problems {
            self.client
                .show_message(MessageType::WARNING, problem)
                .await;
        }
        match self.session.apply(&self.settings()).await {
            Applied::Started(started) => {
                live::send_reset(self).await;
                live::send_status(self).await;
                tokio::spawn(live::follow(Arc::clone(self), started));
            }
            Applied::Refused => {
                live::send_reset(self).await;
                live::send_status(self).await;
            }
            Applied::Unchanged if !before.live_updates => live::send_reset(self).await,
            Applied::Unchanged => {}
        }
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

    /// Asks to be told when the configuration changes, where that has to be asked for.
    async fn register(&self) {
        if !self.flags().registers_configuration {
            return;
        }
        let params = RegistrationParams {
            registrations: vec![Registration {
                id: "pieces-configuration".into(),
                method: "workspace/didChangeConfiguration".into(),
                register_options: Some(json!({ "section": SECTION })),
            }],
        };
        if let Err(unanswered) =
            ask::<request::RegisterCapability>(&self.client, params, PROMPT).await
        {
            tracing::warn!(%unanswered, "changes of the configuration will not be noticed");
        }
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
        // In a task of its own: it waits for the client.
        tokio::spawn(async move {
            let params = server.initialize_params.get();
            let options = params.map_or(Value::Null, |params| {
                params["initializationOptions"].clone()
            });
            let section = server.pull_configuration().await.unwrap_or_default();
            let read = |layers: &mut Layers| {
                let mut problems = layers.initialize(&options);
                problems.extend(layers.configure(&section));
                problems
            };
            server.reconfigure(read).await;
            server.register().await;
        });
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        let server = Arc::clone(&self.0);
        tokio::spawn(async move {
            let pushed = match params.settings.get(SECTION) {
                Some(section) => Some(section.clone()),
                // Clients of the pull model say only that something changed.
                None => server.pull_configuration().await,
            };
            if let Some(section) = pushed {
                server
                    .reconfigure(|layers| layers.configure(&section))
                    .await;
            }
        });
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        self.0.documents.open(params, self.0.flags().encoding);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        self.0.documents.change(params);
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.0.documents.close(&params.text_document.uri);
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(Some(code_action::code_actions(&self.0, params).await))
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<Value>> {
        let token = params.work_done_progress_params.work_done_token;
        let mut arguments = params.arguments;
        let argument = match arguments.len() {
            0 => Value::Null,
            1 => arguments.swap_remove(0),
            _ => {
                return Err(Error::invalid_params(
                    "One JSON object is the only argument.",
                ));
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
            code_action_kinds: Some(vec![
                code_action::START,
                code_action::OPEN,
                code_action::DELETE,
            ]),
            ..CodeActionOptions::default()
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
