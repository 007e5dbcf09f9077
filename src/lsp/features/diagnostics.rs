//! Diagnostics for links whose conversation is gone, and their quick fixes.

use crate::index::Reader;
use crate::lsp::limits::{
    ACTION_CHARS, MAX_DIAGNOSTICS, MAX_FIXED_LINKS, MAX_NAME_CHARS, MAX_REPLACEMENTS,
};
use crate::lsp::rpc::lenient::OUR_SOURCE;
use crate::lsp::rpc::long_work::{off_the_loop, reading};
use crate::lsp::state::Server;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::conversation_uri;
use crate::lsp::text::item::quoted;
use crate::lsp::text::reference::{Form, Located, in_lines, touched, touched_lines};
use crate::sync::State;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use tower_lsp::lsp_types::{
    Diagnostic, DiagnosticSeverity, NumberOrString, Range as LspRange, TextEdit, Url, WorkspaceEdit,
};
use uuid::Uuid;

/// The `code` of a link whose conversation is gone.
const GONE: &str = "gone";
/// The diagnostics of a document.
pub(crate) async fn diagnose(server: &Server, document: &Document) -> Vec<Diagnostic> {
    let Some(index) = complete_index(server).filter(|_| server.settings().diagnostics) else {
        return Vec::new();
    };
    let document = document.clone();
    let finding = reading(document.text.len_bytes(), move || {
        let all = in_lines(&document, 0..document.text.len_lines());
        let gone = all.filter(|found| is_gone(&index, found));
        let diagnostics = gone.map(|found| Diagnostic {
            range: found.range(&document),
            severity: Some(DiagnosticSeverity::WARNING),
            code: Some(NumberOrString::String(GONE.into())),
            source: Some(OUR_SOURCE.into()),
            message: "The linked conversation does not exist (any more).".into(),
            ..Diagnostic::default()
        });
        diagnostics.take(MAX_DIAGNOSTICS).collect()
    });
    finding.await
}

/// Only a complete index can tell that a conversation is gone.
fn complete_index(server: &Server) -> Option<Reader> {
    (server.session.status().state == State::Live).then(|| server.session.reader())
}

fn is_gone(index: &Reader, found: &Located) -> bool {
    found.reference.form == Form::ConversationUri && !index.contains(found.reference.id)
}

/// A quick fix.
pub(crate) struct Fix {
    pub title: String,
    pub edit: WorkspaceEdit,
    /// The range of its diagnostic.
    pub range: LspRange,
}

/// The fixes for the first [`MAX_FIXED_LINKS`] broken links that `range` touches.
pub(crate) async fn fixes(
    server: &Server,
    uri: &Url,
    document: &Document,
    range: LspRange,
) -> Vec<Fix> {
    let Some(index) = complete_index(server) else {
        return Vec::new();
    };
    let (text, known) = (document.clone(), index.clone());
    let bytes = text.bytes_of(touched_lines(&text, range));
    let finding = reading(bytes, move || {
        let gone = touched(&text, range).filter(|found| is_gone(&known, found));
        gone.take(MAX_FIXED_LINKS).collect::<Vec<_>>()
    });
    let gone: Vec<_> = finding
        .await
        .into_iter()
        .map(|found| {
            let restored = server.restored.get(&found.reference.id).map(|id| *id);
            (found, restored)
        })
        .collect();
    if gone.is_empty() {
        return Vec::new();
    }
    let (uri, document) = (uri.clone(), document.clone());
    off_the_loop(move || search_fixes(&index, &uri, &document, gone)).await
}

/// The fixes for broken links. For a restored conversation the fix is its new id.
fn search_fixes(
    index: &Reader,
    uri: &Url,
    document: &Document,
    gone: Vec<(Located, Option<Uuid>)>,
) -> Vec<Fix> {
    let mut fixes = Vec::new();
    for (found, restored) in gone {
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
        let text = link.as_ref().map_or("", |link| &line[link.text.clone()]);
        let snapshot = index.snapshot();
        // An empty query would match everything, and a long text is not a name.
        let is_name = |text: &&str| !text.is_empty() && text.len() <= MAX_NAME_CHARS;
        let alike = Some(text.trim()).filter(is_name);
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
