//! `textDocument/codeLens`: the conversations of a file, at its top; "Send" or "Stop" at the marker of a talk file.

use super::talk;
use crate::lsp::limits::ACTION_CHARS;
use crate::lsp::state::Server;
use crate::lsp::text::item::{counted, quoted};
use crate::lsp::text::reference::CONVERSATION;
use crate::lsp::text::subject::FileTies;
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::lsp_types::{CodeLens, Command, Range, Url};

/// `textDocument/codeLens`. Files without conversations and assets have none.
pub(crate) async fn code_lenses(server: &Arc<Server>, uri: &Url) -> Vec<CodeLens> {
    if !server.settings().code_lens || uri.scheme() == CONVERSATION {
        return Vec::new();
    }
    if let Some(lenses) = talk::lenses(server, uri).await {
        return lenses;
    }
    let index = server.session.reader();
    let ties = FileTies::of(uri, &index).await;
    let conversations = ties.conversations(&index);
    if conversations.is_empty() && ties.assets().is_empty() {
        return Vec::new();
    }
    let mut lenses = Vec::new();
    match conversations.as_slice() {
        [] => {}
        [one] => {
            let title = format!("Open {}", quoted(one.as_ref().title(), ACTION_CHARS));
            let argument = json!({ "conversation": one.id });
            lenses.push(lens(title, "pieces.conversations.open", argument));
        }
        // The command asks which one.
        several => {
            let title = format!("{}…", counted(several.len(), "conversation"));
            lenses.push(lens(
                title,
                "pieces.conversations.open",
                json!({ "uri": uri }),
            ));
        }
    }
    let title = match conversations.is_empty() {
        true => "Start a conversation",
        false => "Start another",
    };
    let argument = json!({ "uri": uri });
    lenses.push(lens(
        title.into(),
        "pieces.conversations.startFromDocument",
        argument,
    ));
    lenses
}

fn lens(title: String, command: &str, argument: Value) -> CodeLens {
    CodeLens {
        range: Range::default(),
        command: Some(Command {
            title,
            command: command.to_owned(),
            arguments: Some(vec![argument]),
        }),
        data: None,
    }
}
