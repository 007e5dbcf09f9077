//! `textDocument/rename` on a reference, or on the title of a conversation's document.

use crate::lsp::commands::rename_to;
use crate::lsp::rpc::error::invalid;
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::reference::{Form, id_of_uri, touched};
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{
    Position, PrepareRenameResponse, Range, RenameParams, TextDocumentPositionParams, Url,
    WorkspaceEdit,
};
use uuid::Uuid;

/// `textDocument/prepareRename`.
pub(crate) fn prepare(
    server: &Server,
    place: &TextDocumentPositionParams,
) -> Option<PrepareRenameResponse> {
    let uri = &place.text_document.uri;
    let document = server.documents.get(uri)?;
    let (id, range) = subject(server, uri, &document, place.position)?;
    let one = server.session.reader().get(id)?;
    Some(PrepareRenameResponse::RangeWithPlaceholder {
        range,
        placeholder: one.as_ref().title().to_owned(),
    })
}

/// `textDocument/rename`: renames the conversation. No text changes: it holds ids, not names.
pub(crate) async fn rename(
    server: &Arc<Server>,
    params: RenameParams,
) -> Result<Option<WorkspaceEdit>> {
    let place = params.text_document_position;
    let uri = &place.text_document.uri;
    let document = server.documents.get(uri);
    let subject = document.and_then(|document| subject(server, uri, &document, place.position));
    let Some((id, _)) = subject else {
        return Err(invalid(
            "`position` is not on a conversation that can be renamed.",
        ));
    };
    rename_to(server, id, &params.new_name).await?;
    Ok(Some(WorkspaceEdit::default()))
}

fn subject(
    server: &Server,
    uri: &Url,
    document: &Document,
    position: Position,
) -> Option<(Uuid, Range)> {
    if let Some((Form::ConversationUri, id)) = id_of_uri(uri)
        && position.line == 0
    {
        let title = Position::new(0, 2.min(document.position(0, usize::MAX).character));
        return Some((id, Range::new(title, document.position(0, usize::MAX))));
    }
    let index = server.session.reader();
    let found = touched(document, Range::new(position, position)).into_iter();
    found
        .filter(|found| {
            found.reference.form != Form::AssetUri && index.contains(found.reference.id)
        })
        .map(|found| (found.reference.id, found.range(document)))
        .next()
}
