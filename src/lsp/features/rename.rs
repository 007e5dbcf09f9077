//! Renaming conversations: `textDocument/rename` on a reference or on the title of a document.

use crate::lsp::limits::MAX_NAME_CHARS;
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::rpc::write::{report_failed_write, send_write};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::conversation_item;
use crate::lsp::text::reference::{Form, id_of_uri, touched};
use crate::markdown::shows_nothing;
use crate::pieces::{Client, Kind};
use crate::sync::driver::from_wire;
use crate::sync::{Handle, Write};
use serde_json::Value;
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{
    Position, PrepareRenameResponse, Range, RenameParams, TextDocumentPositionParams, Url,
    WorkspaceEdit,
};
use uuid::Uuid;

/// `textDocument/prepareRename`.
pub(crate) async fn prepare(
    server: &Server,
    place: &TextDocumentPositionParams,
) -> Option<PrepareRenameResponse> {
    let uri = &place.text_document.uri;
    let document = server.documents.get(uri)?;
    let (id, range) = subject(server, uri, document, place.position).await?;
    let one = server.session.reader().get(id)?;
    Some(PrepareRenameResponse::RangeWithPlaceholder {
        range,
        placeholder: one.as_ref().title().to_owned(),
    })
}

/// `textDocument/rename`: renames the conversation. Documents are not edited: they contain ids, not names.
pub(crate) async fn rename(
    server: &Arc<Server>,
    params: RenameParams,
) -> Result<Option<WorkspaceEdit>> {
    let place = params.text_document_position;
    let uri = &place.text_document.uri;
    let document = server.documents.get(uri);
    let subject = match document {
        Some(document) => subject(server, uri, document, place.position).await,
        None => None,
    };
    let Some((id, _)) = subject else {
        return Err(invalid(
            "`position` is not on a conversation that can be renamed.",
        ));
    };
    rename_conversation(server, id, &params.new_name).await?;
    Ok(Some(WorkspaceEdit::default()))
}

async fn subject(
    server: &Server,
    uri: &Url,
    document: Document,
    position: Position,
) -> Option<(Uuid, Range)> {
    if let Some((Form::ConversationUri, id)) = id_of_uri(uri)
        && position.line == 0
    {
        let title = Position::new(0, 2.min(document.position(0, usize::MAX).character));
        return Some((id, Range::new(title, document.position(0, usize::MAX))));
    }
    let index = server.session.reader();
    let cursor = Range::new(position, position);
    let finding = reading(document.bytes_of(document.lines(cursor)), move || {
        let found = touched(&document, cursor).find(|found| {
            found.reference.form != Form::AssetUri && index.contains(found.reference.id)
        });
        found.map(|found| (found.reference.id, found.range(&document)))
    });
    finding.await
}

/// Renames a conversation unless it was renamed elsewhere since the index last saw it.
///
/// # Errors
/// Those of the service; `refused` if the index has another name.
pub(crate) async fn rename_conversation(
    server: &Arc<Server>,
    id: Uuid,
    name: &str,
) -> Result<Value> {
    let name = name.trim().to_owned();
    let fits = name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control);
    if !fits || shows_nothing(&name) {
        return Err(invalid(
            "`name` must be one line of 1 to 1000 characters, not all of them invisible.",
        ));
    }
    let (handle, client) = server.session.client().await.map_err(failed)?;
    let mut fresh = to_be_renamed(&handle, &client, id).await?;
    fresh["name"] = name.into();
    let inside = Arc::clone(server);
    let renaming = async move { write_back(&inside, &handle, &client, &fresh).await };
    send_write(server, renaming).await
}

/// The conversation as it is now. It is written back as a whole, with the fields that we do not know.
async fn to_be_renamed(handle: &Handle, client: &Client, id: Uuid) -> Result<Value> {
    let known = handle.index.get(id);
    let fresh = match client.conversation_raw(id, false).await {
        Ok(fresh) => fresh,
        Err(error) if error.status == Some(404) && known.is_some() => {
            let message =
                "This service cannot rename conversations; rename this one in Pieces itself.";
            return Err(failed(error.with_message(message)));
        }
        Err(error) => return Err(failed(error)),
    };
    let current = fresh["name"].as_str().unwrap_or_default();
    if known.is_some_and(|known| known.name != current) {
        handle.wrote(Write::Unknown).await;
        let what = "The conversation was renamed elsewhere in the meantime; look at its new name and try again.";
        return Err(failure(Kind::Refused, what));
    }
    Ok(fresh)
}

async fn write_back(
    server: &Arc<Server>,
    handle: &Handle,
    client: &Client,
    fresh: &Value,
) -> Result<Value> {
    match client.update(fresh).await {
        Ok(one) => {
            let one = from_wire(&one);
            let item = conversation_item(&one.as_ref(), handle.index.ties());
            handle.wrote(Write::Conversation(one)).await;
            Ok(item)
        }
        Err(error) => Err(report_failed_write(server, handle, error).await),
    }
}
