//! `pieces.conversations.insertCode {conversation, message, block, uri, range, expect?}`.

use super::arguments::{id, number, structure, text, uri};
use super::start;
use crate::lsp::limits::APPLY_TIMEOUT;
use crate::lsp::rpc::ask as ask_editor;
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::markdown::code_blocks;
use crate::pieces::Kind;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{
    ApplyWorkspaceEditParams, DocumentChanges, OneOf, OptionalVersionedTextDocumentIdentifier,
    Range, TextDocumentEdit, TextEdit, Url, WorkspaceEdit, request,
};
use uuid::Uuid;

/// Replaces a range with a code block of a message, by an edit of the version that the range refers to. `applied` is
/// false if the text there is not `expect`, or the editor did not apply the edit.
pub(super) async fn insert_code(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let (conversation, message) = (id(argument, "conversation")?, id(argument, "message")?);
    let block = number(argument, "block", 0)?;
    let Some(uri) = uri(argument, "uri")? else {
        return Err(invalid("`uri` must be a URI."));
    };
    let range: Option<Range> = structure(argument, "range", "a range with start and end")?;
    let Some(range) = range else {
        return Err(invalid("`range` must be a range with start and end."));
    };
    // A selection that was made backwards.
    let range = Range::new(range.start.min(range.end), range.start.max(range.end));
    let expect = text(argument, "expect")?;
    // The document as it was when the command arrived: the range refers to it.
    let open = server.documents.get(&uri);
    let code = code(server, conversation, message, block).await?;
    let document = match &open {
        Some(document) => document.clone(),
        None => start::read(&uri, server).await?,
    };
    let there = document.text.slice(document.chars(range)).to_string();
    if expect.is_some_and(|expect| expect != there) {
        return Ok(json!({ "applied": false }));
    }
    let edit = TextEdit {
        range,
        new_text: fitting(code, &there, &document, range),
    };
    let edit = versioned(
        server,
        uri,
        open.and_then(|document| document.version),
        edit,
    );
    let params = ApplyWorkspaceEditParams {
        label: Some("Insert code from a conversation".to_owned()),
        edit,
    };
    let client = &server.client;
    let answer = ask_editor::<request::ApplyWorkspaceEdit>(client, params, APPLY_TIMEOUT).await;
    Ok(json!({ "applied": answer.is_ok_and(|answer| answer.applied) }))
}

/// The text of a code block.
async fn code(
    server: &Arc<Server>,
    conversation: Uuid,
    message: Uuid,
    block: usize,
) -> Result<String> {
    let transcript = server.transcripts.read(&server.session, conversation).await;
    let transcript = transcript.map_err(failed)?;
    let found = transcript.messages.iter().find(|one| one.id == message);
    let Some(found) = found else {
        let what =
            "This conversation has no message with this id (any more); read its messages again.";
        return Err(failure(Kind::NotFound, what));
    };
    let text = found.text.clone().unwrap_or_default();
    let blocks = reading(text.len(), move || code_blocks(&text)).await;
    let code = blocks.into_iter().nth(block);
    code.map(|code| code.text).ok_or_else(|| {
        invalid("`block` must be the index of a code block of this message, counted from 0.")
    })
}

/// The code with a line break at its end if whole lines are replaced or inserted, else without one.
fn fitting(mut code: String, there: &str, document: &Document, range: Range) -> String {
    let at_line_start = range.end.character == 0 && range.start.character == 0;
    let after = document.text.get_char(document.chars(range).end);
    let whole_lines = there.ends_with(['\n', '\r']) || (at_line_start && after.is_some());
    if !whole_lines && code.ends_with('\n') {
        code.pop();
    }
    code
}

fn versioned(server: &Server, uri: Url, version: Option<i32>, edit: TextEdit) -> WorkspaceEdit {
    if !server.flags().versioned_edits {
        let changes = HashMap::from([(uri, vec![edit])]);
        return WorkspaceEdit {
            changes: Some(changes),
            ..WorkspaceEdit::default()
        };
    }
    let edit = TextDocumentEdit {
        text_document: OptionalVersionedTextDocumentIdentifier { uri, version },
        edits: vec![OneOf::Left(edit)],
    };
    WorkspaceEdit {
        document_changes: Some(DocumentChanges::Edits(vec![edit])),
        ..WorkspaceEdit::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::state::capabilities::Encoding;
    use tower_lsp::lsp_types::Position;

    #[test]
    fn code_ends_with_a_line_break_only_where_whole_lines_are_replaced() {
        let document = Document::detached("one\ntwo\nend", Encoding::Utf16);
        for (range, there, expected) in [
            ((0, 0, 1, 0), "one\n", "code\n"),
            ((1, 0, 1, 0), "", "code\n"),
            ((0, 1, 1, 0), "ne\n", "code\n"),
            ((1, 0, 1, 3), "two", "code"),
            ((0, 3, 0, 3), "", "code"),
            ((2, 0, 2, 3), "end", "code"),
            ((2, 3, 2, 3), "", "code"),
        ] {
            let (a, b, c, d) = range;
            let range = Range::new(Position::new(a, b), Position::new(c, d));
            let code = fitting("code\n".to_owned(), there, &document, range);
            assert_eq!(code, expected, "{range:?}");
        }
        // Nothing follows, so nothing is put on a line of its own.
        let empty = Document::detached("", Encoding::Utf16);
        let code = fitting("code\n".to_owned(), "", &empty, Range::default());
        assert_eq!(code, "code");
    }
}
