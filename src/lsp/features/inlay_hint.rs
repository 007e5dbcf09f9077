//! `textDocument/inlayHint`: the name of a conversation after its bare id.

use crate::lsp::limits::HINT_CHARS;
use crate::lsp::state::Server;
use crate::lsp::text::item::label;
use crate::lsp::text::reference::{Form, in_lines};
use tower_lsp::lsp_types::{InlayHint, InlayHintKind, InlayHintLabel, InlayHintParams};

/// `textDocument/inlayHint`.
pub(crate) fn inlay_hints(server: &Server, params: &InlayHintParams) -> Option<Vec<InlayHint>> {
    if !server.settings().inlay_hints {
        return None;
    }
    let document = server.documents.get(&params.text_document.uri)?;
    let index = server.session.reader();
    let bare = in_lines(&document, document.lines(params.range)).into_iter();
    let hints = bare
        .filter(|found| found.reference.form == Form::Bare)
        .filter_map(|found| {
            let one = index.get(found.reference.id)?;
            Some(InlayHint {
                position: found.range(&document).end,
                label: InlayHintLabel::String(label(one.as_ref().title(), HINT_CHARS)),
                kind: Some(InlayHintKind::TYPE),
                text_edits: None,
                tooltip: None,
                padding_left: Some(true),
                padding_right: None,
                data: None,
            })
        });
    Some(hints.collect())
}
