//! `workspace/executeCommand`.

mod arguments;
mod ask;
mod create;
mod delete;
mod import;
mod insert_code;
mod list;
mod messages;
mod models;
mod open;
mod raw;
mod rename;
mod restore;
mod search;
mod start;
mod stop;
mod talk;
mod trash;

use crate::lsp::rpc::context::RequestContext;
use crate::lsp::rpc::error::invalid;
use crate::lsp::rpc::progress::Progress;
use crate::lsp::state::Server;
use crate::lsp::text::item::status_object;
use arguments::flag;
use futures_util::FutureExt as _;
use serde_json::Value;
use std::sync::Arc;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{MessageType, ProgressToken};

/// The advertised commands.
pub(crate) const NAMES: [&str; 22] = [
    "pieces.conversations.createFromAsset",
    "pieces.conversations.create",
    "pieces.conversations.delete",
    "pieces.conversations.identifiers",
    "pieces.conversations.snapshot",
    "pieces.conversations.refresh",
    "pieces.conversations.list",
    "pieces.conversations.startFromDocument",
    "pieces.conversations.open",
    "pieces.conversations.talk",
    "pieces.conversations.send",
    "pieces.conversations.rename",
    "pieces.conversations.search",
    "pieces.conversations.trash",
    "pieces.conversations.restore",
    "pieces.conversations.messages",
    "pieces.conversations.ask",
    "pieces.conversations.stop",
    "pieces.conversations.insertCode",
    "pieces.models",
    "pieces.import",
    "pieces.status",
];

/// The commands that take a bare string: an id, or the words to look for.
const TAKE_STRINGS: [&str; 9] = [
    "pieces.conversations.createFromAsset",
    "pieces.conversations.delete",
    "pieces.conversations.open",
    "pieces.conversations.talk",
    "pieces.conversations.rename",
    "pieces.conversations.search",
    "pieces.conversations.restore",
    "pieces.conversations.messages",
    "pieces.conversations.stop",
];

/// Runs a command; `argument` is null if there was none.
pub(crate) async fn execute(
    server: &Arc<Server>,
    name: &str,
    argument: Value,
    token: Option<ProgressToken>,
) -> Result<Value> {
    if !argument.is_object() && !argument.is_string() && !argument.is_null() {
        return Err(invalid("The argument must be a JSON object."));
    }
    if ASKS.contains(&name) && flag(&argument, "wait")? == Some(false) {
        begin(Arc::clone(server), name.to_owned(), argument);
        return Ok(Value::Null);
    }
    let result = run(server, name, argument, token).await;
    if let Err(error) = &result
        && server.flags().hides_errors
    {
        show_error(server, error).await;
    }
    result
}

/// The commands that are answered when a model has answered.
const ASKS: [&str; 2] = ["pieces.conversations.ask", "pieces.conversations.send"];

/// Runs a command whose answer nobody waits for. What goes wrong is shown.
fn begin(server: Arc<Server>, name: String, argument: Value) {
    // The request ends now, so its token does, too.
    let running = async move {
        if let Err(error) = run(&server, &name, argument, None).await {
            show_error(&server, &error).await;
        }
    };
    let mut running = Box::pin(RequestContext::default().scope(running));
    // Its first step is taken before the next message is read, as in a handler: it looks at the documents as they are.
    if (&mut running).now_or_never().is_none() {
        tokio::spawn(running);
    }
}

async fn show_error(server: &Server, error: &Error) {
    let message = error.message.to_string();
    server
        .client
        .show_message(MessageType::ERROR, message)
        .await;
}

async fn run(
    server: &Arc<Server>,
    name: &str,
    argument: Value,
    token: Option<ProgressToken>,
) -> Result<Value> {
    if argument.is_string() && NAMES.contains(&name) && !TAKE_STRINGS.contains(&name) {
        return Err(invalid(format!(
            "`{name}` takes a JSON object, not a bare string."
        )));
    }
    let progress = |title| Progress::begin(server, token.clone(), title);
    match name {
        "pieces.conversations.createFromAsset" => {
            let _progress = progress("Starting a conversation");
            start::from_asset(server, &argument).await
        }
        "pieces.conversations.startFromDocument" => {
            let _progress = progress("Starting a conversation");
            start::from_document(server, &argument).await
        }
        "pieces.conversations.create" => create::create(server, &argument).await,
        "pieces.conversations.delete" => delete::delete(server, &argument).await,
        "pieces.conversations.identifiers" => raw::identifiers(server).await,
        "pieces.conversations.snapshot" => {
            let _progress = progress("Reading all conversations");
            raw::snapshot(server, &argument).await
        }
        "pieces.conversations.refresh" => {
            let _progress = progress("Refreshing conversations");
            raw::refresh(server).await
        }
        "pieces.conversations.talk" => talk::talk(server, &argument).await,
        "pieces.conversations.send" => talk::send(server, &argument, token).await,
        "pieces.conversations.list" => list::list(server, &argument).await,
        "pieces.conversations.open" => open::open(server, &argument).await,
        "pieces.conversations.rename" => rename::rename(server, &argument).await,
        "pieces.conversations.search" => search::search(server, &argument).await,
        "pieces.conversations.trash" => trash::trash(server).await,
        "pieces.conversations.restore" => restore::restore(server, &argument).await,
        "pieces.conversations.messages" => messages::messages(server, &argument).await,
        "pieces.conversations.ask" => ask::ask(server, &argument, token).await,
        "pieces.conversations.stop" => stop::stop(server, &argument).await,
        "pieces.conversations.insertCode" => insert_code::insert_code(server, &argument).await,
        "pieces.models" => models::models(server).await,
        "pieces.import" => import::run(server, &argument, token).await,
        "pieces.status" => Ok(status_object(&server.session)),
        _ => Err(invalid(
            "This command is unknown; `executeCommandProvider` of the server's capabilities lists all.",
        )),
    }
}
