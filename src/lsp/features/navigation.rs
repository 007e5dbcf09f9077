//! Document links, definitions and references of ids in any text.

use crate::index::Reader;
use crate::lsp::limits::QUESTION_CHARS;
use crate::lsp::state::document::Documents;
use crate::lsp::text::item::{conversation_uri, label};
use crate::lsp::text::reference::{ASSET, Form, Located, in_lines, touched};
use tower_lsp::lsp_types::{
    DocumentLink, DocumentLinkParams, GotoDefinitionParams, GotoDefinitionResponse, Location,
    Position, Range, ReferenceParams, TextDocumentPositionParams, Url,
};
use uuid::Uuid;

/// `textDocument/documentLink`: every known id.
pub(crate) fn links(
    documents: &Documents,
    index: &Reader,
    params: &DocumentLinkParams,
) -> Option<Vec<DocumentLink>> {
    let document = documents.get(&params.text_document.uri)?;
    let links = in_lines(&document, 0..document.text.len_lines())
        .into_iter()
        .filter_map(|found| {
            let (target, tooltip) = target(&found, index)?;
            Some(DocumentLink {
                range: found.range(&document),
                target: Some(target),
                tooltip,
                data: None,
            })
        });
    Some(links.collect())
}

/// `textDocument/definition`: the conversation's document.
pub(crate) fn definition(
    documents: &Documents,
    index: &Reader,
    params: GotoDefinitionParams,
) -> Option<GotoDefinitionResponse> {
    let found = at(documents, &params.text_document_position_params)?;
    let (uri, _) = found.iter().find_map(|found| target(found, index))?;
    Some(GotoDefinitionResponse::Scalar(Location::new(
        uri,
        Range::default(),
    )))
}

/// `textDocument/references`: the same id in all open documents.
pub(crate) fn references(
    documents: &Documents,
    index: &Reader,
    params: ReferenceParams,
) -> Option<Vec<Location>> {
    let found = at(documents, &params.text_document_position)?;
    let id = found
        .iter()
        .find(|found| target(found, index).is_some())?
        .reference
        .id;
    let mut locations = Vec::new();
    for uri in documents.uris() {
        let Some(document) = documents.get(&uri) else {
            continue;
        };
        let all = in_lines(&document, 0..document.text.len_lines());
        let same = all.iter().filter(|found| found.reference.id == id);
        locations.extend(same.map(|found| Location::new(uri.clone(), found.range(&document))));
    }
    locations.sort_by_key(|one| (one.uri.to_string(), one.range.start));
    Some(locations)
}

fn at(documents: &Documents, place: &TextDocumentPositionParams) -> Option<Vec<Located>> {
    let document = documents.get(&place.text_document.uri)?;
    let cursor: Position = place.position;
    Some(touched(&document, Range::new(cursor, cursor)))
}

/// The target of a reference to a known conversation or asset, and its tooltip.
fn target(found: &Located, index: &Reader) -> Option<(Url, Option<String>)> {
    let id: Uuid = found.reference.id;
    if found.reference.form != Form::AssetUri
        && let Some(one) = index.get(id)
    {
        let uri = Url::parse(&conversation_uri(id)).ok()?;
        return Some((uri, Some(label(one.as_ref().title(), QUESTION_CHARS))));
    }
    if found.reference.form != Form::ConversationUri && index.knows_asset(id) {
        let uri = Url::parse(&format!("{}:/{id}", ASSET)).ok()?;
        return Some((uri, None));
    }
    None
}
