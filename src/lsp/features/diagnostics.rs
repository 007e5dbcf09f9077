//! Diagnostics for links whose conversation is gone, and their quick fixes.

use crate::lsp::limits::{ACTION_CHARS, MAX_REPLACEMENTS};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::conversation_uri;
use crate::lsp::text::item::quoted;
use crate::lsp::text::reference::{Form, Located, in_lines, touched};
use crate::sync::State;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use tower_lsp::lsp_types::{
    Diagnostic, DiagnosticSeverity, NumberOrString, Range as LspRange, TextEdit, Url, WorkspaceEdit,
};

/// The `source` of our diagnostics.
const SOURCE: &str = "pieces";
/// The `code` of a link whose conversation is gone.
const GONE: &str = "gone";
/// The diagnostics of a document.
pub(crate) fn diagnose(server: &Server, document: &Document) -> Vec<Diagnostic> {
    if !server.settings().diagnostics {
        return Vec::new();
    }
    let all = in_lines(document, 0..document.text.len_lines());
    let gone = all.iter().filter(|found| is_gone(server, found));
    gone.map(|found| Diagnostic {
        range: found.range(document),
        severity: Some(DiagnosticSeverity::WARNING),
        code: Some(NumberOrString::String(GONE.into())),
        source: Some(SOURCE.into()),
        message: "The conversation that this links to is gone.".into(),
        ..Diagnostic::default()
    })
    .collect()
}

/// Only a complete index can tell that a conversation is gone.
fn is_gone(server: &Server, found: &Located) -> bool {
    found.reference.form == Form::ConversationUri
        && server.session.status().state == State::Live
        && !server.session.reader().contains(found.reference.id)
}

/// A quick fix.
pub(crate) struct Fix {
    pub title: String,
    pub edit: WorkspaceEdit,
    /// The range of its diagnostic.
    pub range: LspRange,
}

/// The fixes for the links that `range` touches.
pub(crate) fn fixes(server: &Server, uri: &Url, document: &Document, range: LspRange) -> Vec<Fix> {
    let mut fixes = Vec::new();
    for found in touched(document, range) {
        if !is_gone(server, &found) {
            continue;
        }
        let line = Cow::from(document.line(found.line));
        let link = MarkdownLink::around(&line, &found.reference.span);
        let edit = |bytes: &Range<usize>, text: String| {
            let at = |byte| document.position(found.line, byte);
            let edit = TextEdit::new(LspRange::new(at(bytes.start), at(bytes.end)), text);
            WorkspaceEdit::new(HashMap::from([(uri.clone(), vec![edit])]))
        };
        let mut fix = |title: String, edit: WorkspaceEdit| {
            let range = found.range(document);
            fixes.push(Fix { title, edit, range });
        };
        let index = server.session.reader();
        let restored = server.restored.get(&found.reference.id).map(|id| *id);
        let text = link.as_ref().map_or("", |link| &line[link.text.clone()]);
        let snapshot = index.snapshot();
        // An empty query would match everything.
        let alike = Some(text.trim()).filter(|text| !text.is_empty());
        let alike = alike
            .into_iter()
            .flat_map(|text| snapshot.search(text).take(MAX_REPLACEMENTS));
        let alike = alike.map(|hit| hit.conversation.to_owned());
        let candidates = restored
            .and_then(|id| index.get(id))
            .into_iter()
            .chain(alike);
        for one in candidates.take(MAX_REPLACEMENTS) {
            let title = quoted(one.as_ref().title(), ACTION_CHARS);
            let target = conversation_uri(one.id);
            fix(
                format!("Point the link to {title}"),
                edit(&found.reference.span, target),
            );
        }
        match &link {
            Some(link) => fix("Remove the link".into(), edit(&link.whole, text.to_owned())),
            None => fix(
                "Remove the link".into(),
                edit(&found.reference.span, String::new()),
            ),
        }
    }
    fixes
}

/// `[text](uri)` around a URI.
struct MarkdownLink {
    whole: Range<usize>,
    text: Range<usize>,
}

impl MarkdownLink {
    fn around(line: &str, uri: &Range<usize>) -> Option<Self> {
        let (before, after) = (&line[..uri.start], &line[uri.end..]);
        let (before, close) = match before.strip_suffix('<') {
            Some(before) => (before, ">)"),
            None => (before, ")"),
        };
        let before = before.strip_suffix("](")?;
        after.starts_with(close).then_some(())?;
        let mut depth = 1;
        let open = before.char_indices().rev().find_map(|(at, c)| {
            depth += i32::from(c == ']') - i32::from(c == '[');
            (depth == 0).then_some(at)
        })?;
        Some(MarkdownLink {
            whole: open..uri.end + close.len(),
            text: open + 1..before.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_around_uris() {
        // The URI is `u`; what counts as the link is in guillemets, its text in braces.
        let check = |line: &str| {
            let plain = line.replace(['«', '»', '{', '}'], "");
            let at = plain.find('u').unwrap();
            let link = MarkdownLink::around(&plain, &(at..at + 1));
            let mut shown = plain.clone();
            if let Some(link) = &link {
                shown.insert(link.whole.end, '»');
                shown.insert(link.text.end, '}');
                shown.insert(link.text.start, '{');
                shown.insert(link.whole.start, '«');
            }
            assert_eq!(shown, line);
        };
        check("a «[{b}](u)» c");
        check("«[{a [b] c}](<u>)»");
        check("«[{}](u)»");
        check("a u c");
        check("](u)");
        check("[a](u");
    }
}
