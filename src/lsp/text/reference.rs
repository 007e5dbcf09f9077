//! Finds ids of conversations and assets, and links to them, in any text.

use crate::lsp::limits::{MAX_MENU_LINES, MAX_URI_NAME_BYTES};
use crate::lsp::state::document::Document;
use ropey::RopeSlice;
use std::borrow::Cow;
use std::ops::Range;
use tower_lsp::lsp_types::Range as LspRange;
use uuid::Uuid;

/// The scheme of conversation documents.
pub(crate) const CONVERSATION: &str = "pieces-conversation";
/// The scheme of asset documents.
pub(crate) const ASSET: &str = "pieces-asset";

/// The length of an id in a text.
const ID_BYTES: usize = 36;
/// An upper bound of the bytes of a reference: a scheme, slashes, an id, a name, and the byte that ends it.
const LONGEST: usize = 64 + ID_BYTES + MAX_URI_NAME_BYTES;

/// How a reference is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Just an id.
    Bare,
    /// `pieces-conversation:/<id>`, with `.md`, a name or neither.
    ConversationUri,
    /// `pieces-asset:/<id>` with or without a name.
    AssetUri,
}

/// An id in a text. The index says whether it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub id: Uuid,
    /// The bytes of the id, or of the whole URI.
    pub span: Range<usize>,
    pub form: Form,
}

/// A reference in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// Its span is in bytes of the line.
    pub reference: Reference,
    /// The line, counted from 0.
    pub line: usize,
}

impl Located {
    /// Its range in the encoding of the client.
    pub fn range(&self, document: &Document) -> LspRange {
        let at = |byte| document.position(self.line, byte);
        LspRange::new(at(self.reference.span.start), at(self.reference.span.end))
    }
}

/// The id in the URI of a conversation's or an asset's document.
pub(crate) fn id_of_uri(uri: &url::Url) -> Option<(Form, Uuid)> {
    let form = match uri.scheme() {
        CONVERSATION => Form::ConversationUri,
        ASSET => Form::AssetUri,
        _ => return None,
    };
    let first = uri.path().trim_start_matches('/').split('/').next()?;
    let id = first.strip_suffix(".md").unwrap_or(first);
    Some((form, Uuid::parse_str(id).ok()?))
}

/// All references in `text`, in order. They never overlap.
pub(crate) fn scan(text: &str) -> impl Iterator<Item = Reference> {
    let bytes = text.as_bytes();
    let mut from = 0;
    text.match_indices('-').filter_map(move |(hyphen, _)| {
        let start = hyphen.checked_sub(8).filter(|start| *start >= from)?;
        let end = start + ID_BYTES;
        let id = hyphenated(bytes.get(start..end)?)?;
        let joins = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if bytes[..start].last().is_some_and(joins) || bytes.get(end).is_some_and(joins) {
            return None;
        }
        let (form, span) = whole(text, from, start..end);
        from = span.end;
        Some(Reference { id, span, form })
    })
}

/// Parses 36 bytes as a hyphenated id.
fn hyphenated(bytes: &[u8]) -> Option<Uuid> {
    let hyphens = [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let text = std::str::from_utf8(bytes).ok().filter(|_| hyphens)?;
    Uuid::try_parse(text).ok()
}

/// The URI around the id at `id`, or just the id. Bytes before `from` belong to the previous reference.
fn whole(text: &str, from: usize, id: Range<usize>) -> (Form, Range<usize>) {
    let before = text[from..id.start].trim_end_matches('/');
    let slashes = id.start - from - before.len();
    let scheme = |name: &str| {
        let start = from + before.strip_suffix(':')?.strip_suffix(name)?.len();
        let joined = text[..start].ends_with(|c: char| c.is_alphanumeric() || c == '-');
        ((1..=3).contains(&slashes) && !joined).then_some(start)
    };
    let after = &text[id.end..];
    if let Some(start) = scheme(CONVERSATION) {
        let suffix = match after.starts_with(".md") {
            true => ".md".len(),
            false => name_length(after),
        };
        return (Form::ConversationUri, start..id.end + suffix);
    }
    if let Some(start) = scheme(ASSET) {
        return (Form::AssetUri, start..id.end + name_length(after));
    }
    (Form::Bare, id)
}

/// The length in bytes of `/<name>` at the start of `after`, the text after the id of a URI.
fn name_length(after: &str) -> usize {
    if !after.starts_with('/') {
        return 0;
    }
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>()[]{}\"'`|\\^".contains(c);
    let mut most = after.len().min("/".len() + MAX_URI_NAME_BYTES);
    while !after.is_char_boundary(most) {
        most -= 1;
    }
    let name = &after[..after[..most].find(ends).unwrap_or(most)];
    // Punctuation at the end belongs to the sentence around it.
    name.trim_end_matches(['.', ',', ';', ':', '!', '?']).len()
}

/// Whether it is a bare id in an unknown URI of ours: `pieces-other:/<id>`.
pub(crate) fn is_in_uri(document: &Document, found: &Located) -> bool {
    if found.reference.form != Form::Bare {
        return false;
    }
    let start = found
        .reference
        .span
        .start
        .min(document.line(found.line).len_bytes());
    let before = document.line(found.line).byte_slice(..start);
    let near = before.len_chars().saturating_sub(MAX_URI_NAME_BYTES);
    let before = before.slice(near..).to_string();
    let ends = |c: char| c.is_whitespace() || "<>()[]{}\"'`|".contains(c);
    let word = before.rsplit(ends).next().unwrap_or_default();
    word.find("pieces-")
        .is_some_and(|at| word[at..].contains(':'))
}

/// The references that `range` touches, in its first [`MAX_MENU_LINES`] lines; a cursor directly behind
/// one touches it. Lazy: reads a line when its references are needed.
pub(crate) fn touched(document: &Document, range: LspRange) -> impl Iterator<Item = Located> {
    let selected = document.lines(range);
    let lines = touched_lines(document, range);
    let texts = document.text.lines_at(lines.start);
    lines.zip(texts).flat_map(move |(line, text)| {
        let within = line > selected.start && line + 1 < selected.end;
        let found = match text.len_bytes() {
            0..ID_BYTES => Vec::new(),
            all if within => touching(document.line(line), 0..all),
            _ => touching(document.line(line), document.bytes_in_line(line, range)),
        };
        found
            .into_iter()
            .map(move |reference| Located { reference, line })
    })
}

/// The references in a line that touch these bytes of it. Only the bytes near them are read.
pub(crate) fn touching(line: RopeSlice<'_>, bytes: Range<usize>) -> Vec<Reference> {
    let end = bytes.end.saturating_add(LONGEST).min(line.len_bytes());
    let text = Cow::from(line.slice(..line.byte_to_char(end)));
    scan(&text)
        .skip_while(|found| found.span.end < bytes.start)
        .take_while(|found| found.span.start <= bytes.end)
        .collect()
}

/// The lines that [`touched`] reads.
pub(crate) fn touched_lines(document: &Document, range: LspRange) -> Range<usize> {
    let lines = document.lines(range);
    lines.start..lines.end.min(lines.start + MAX_MENU_LINES)
}

/// All references in these lines. Lazy: reads a line when its references are needed.
pub(crate) fn in_lines(document: &Document, lines: Range<usize>) -> impl Iterator<Item = Located> {
    // Iterating is many times faster than indexing each line, and most lines are too short for an id.
    let texts = document.text.lines_at(lines.start);
    lines.zip(texts).flat_map(move |(line, text)| {
        let found: Vec<Reference> = match text.len_bytes() < ID_BYTES {
            true => Vec::new(),
            false => scan(&Cow::from(document.line(line))).collect(),
        };
        found
            .into_iter()
            .map(move |reference| Located { reference, line })
    })
}

#[cfg(test)]
mod tests;
