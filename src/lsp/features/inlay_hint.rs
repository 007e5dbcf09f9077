//! `textDocument/inlayHint`: the name of a conversation after its bare id.

use crate::lsp::limits::{HINT_CHARS, MAX_PLACES};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::text::item::label;
use crate::lsp::text::reference::{Form, in_lines};
use tower_lsp::lsp_types::{InlayHint, InlayHintKind, InlayHintLabel, InlayHintParams};

/// `textDocument/inlayHint`.
pub(crate) async fn inlay_hints(
    server: &Server,
    params: &InlayHintParams,
) -> Option<Vec<InlayHint>> {
    if !server.settings().inlay_hints {
        return None;
    }
    let document = server.documents.get(&params.text_document.uri)?;
    let index = server.session.reader();
    let lines = document.lines(params.range);
    let finding = reading(document.bytes_of(lines.clone()), move || {
        let bare = in_lines(&document, lines).filter(|found| found.reference.form == Form::Bare);
        let hints = bare.filter_map(|found| {
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
        hints.take(MAX_PLACES).collect()
    });
    Some(finding.await)
}
