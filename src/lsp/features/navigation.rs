//! Document links, definitions and references of ids in any text.

use super::copy;
use crate::index::Reader;
use crate::lsp::limits::MAX_PLACES;
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::state::document::{Document, Documents};
use crate::lsp::text::item::conversation_uri;
use crate::lsp::text::reference::{
    ASSET, CONVERSATION, Form, Located, in_lines, is_in_uri, touched,
};
use std::sync::Arc;
use tower_lsp::lsp_types::{
    DocumentLink, DocumentLinkParams, GotoDefinitionParams, GotoDefinitionResponse, Location,
    Range, ReferenceParams, TextDocumentPositionParams, Url,
};
use uuid::Uuid;

/// `textDocument/documentLink`: every known id that is not a part of another URI.
pub(crate) async fn links(
    documents: &Documents,
    index: Reader,
    params: &DocumentLinkParams,
) -> Option<Vec<DocumentLink>> {
    let document = documents.get(&params.text_document.uri)?;
    let finding = reading(document.text.len_bytes(), move || {
        let all = in_lines(&document, 0..document.text.len_lines());
        let links = all.filter_map(|found| {
            if is_in_uri(&document, &found) {
                return None;
            }
            let target = target(&document, &found, &index)?;
            let tooltip = match target.scheme() == CONVERSATION {
                true => "Open conversation",
                false => "Open asset",
            };
            Some(DocumentLink {
                range: found.range(&document),
                target: Some(target),
                tooltip: Some(tooltip.into()),
                data: None,
            })
        });
        links.take(MAX_PLACES).collect()
    });
    Some(finding.await)
}

/// `textDocument/definition`: the conversation's document, or a private copy where the editor opens only files.
pub(crate) async fn definition(
    server: &Arc<Server>,
    params: GotoDefinitionParams,
) -> Option<GotoDefinitionResponse> {
    let place = params.text_document_position_params;
    let index = server.session.reader();
    let (id, mut uri) = at_cursor(&server.documents, index, &place).await?;
    if server.flags().only_files && uri.scheme() == CONVERSATION {
        uri = copy::files(server, &[id]).await.pop()??;
    }
    Some(GotoDefinitionResponse::Scalar(Location::new(
        uri,
        Range::default(),
    )))
}

/// `textDocument/references`: the same id in all open documents.
pub(crate) async fn references(
    documents: &Documents,
    index: Reader,
    params: ReferenceParams,
) -> Option<Vec<Location>> {
    let mut all = documents.all();
    let (id, _) = at_cursor(documents, index, &params.text_document_position).await?;
    let bytes = all.iter().map(|(_, document)| document.text.len_bytes());
    let finding = reading(bytes.sum(), move || {
        all.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let locations = all.iter().flat_map(|(uri, document)| {
            in_lines(document, 0..document.text.len_lines())
                .filter(move |found| found.reference.id == id)
                .map(move |found| Location::new(uri.clone(), found.range(document)))
        });
        locations.take(MAX_PLACES).collect()
    });
    Some(finding.await)
}

/// The id at the cursor and its target, if it is known.
async fn at_cursor(
    documents: &Documents,
    index: Reader,
    place: &TextDocumentPositionParams,
) -> Option<(Uuid, Url)> {
    let document = documents.get(&place.text_document.uri)?;
    let cursor = Range::new(place.position, place.position);
    let finding = reading(document.bytes_of(document.lines(cursor)), move || {
        touched(&document, cursor).find_map(|found| {
            let uri = target(&document, &found, &index)?;
            Some((found.reference.id, uri))
        })
    });
    finding.await
}

/// The target of a reference to a known conversation or asset.
fn target(document: &Document, found: &Located, index: &Reader) -> Option<Url> {
    let id: Uuid = found.reference.id;
    if found.reference.form != Form::AssetUri && index.contains(id) {
        return Url::parse(&conversation_uri(id)).ok();
    }
    if found.reference.form != Form::ConversationUri && index.knows_asset(id) {
        let uri = match found.reference.form {
            // With its name, by which editors know the language.
            Form::AssetUri => document
                .line(found.line)
                .byte_slice(found.reference.span.clone())
                .to_string(),
            _ => format!("{ASSET}:/{id}"),
        };
        return Url::parse(&uri).ok();
    }
    None
}
