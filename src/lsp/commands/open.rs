//! `pieces.conversations.open {conversation}`.

use super::arguments::id;
use crate::lsp::ask;
use crate::lsp::error::{failure, invalid};
use crate::lsp::item::conversation_uri;
use crate::lsp::server::Server;
use crate::pieces::Kind;
use serde_json::Value;
use std::time::Duration;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{ShowDocumentParams, Url, request};

/// How long the client may take to show a document.
const SHOW: Duration = Duration::from_secs(10);

/// Runs the command.
pub(super) async fn open(server: &Server, argument: &Value) -> Result<Value> {
    let id = id(argument, "conversation")?;
    if !server.session.reader().contains(id) {
        let what = "There is no such conversation (any more); refresh the list and pick another.";
        return Err(failure(Kind::NotFound, what));
    }
    if !server.flags().show_document {
        let what = "This editor does not let a language server show documents; open the conversation from its list.";
        return Err(failure(Kind::Refused, what));
    }
    let uri =
        Url::parse(&conversation_uri(id)).map_err(|_| invalid("`conversation` must be an id."))?;
    let params = ShowDocumentParams {
        uri,
        external: Some(false),
        take_focus: Some(true),
        selection: None,
    };
    match ask::<request::ShowDocument>(&server.client, params, SHOW).await {
        Ok(shown) if shown.success => Ok(Value::Null),
        _ => {
            let what = "The editor did not show the conversation; its log may say why.";
            Err(failure(Kind::Refused, what))
        }
    }
}
