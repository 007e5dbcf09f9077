//! `textDocument/completion`: links to conversations by name, after `pieces-conversation:` or `[[pieces:`.

use crate::index::{ConversationRef, Reader};
use crate::lsp::limits::{COMPLETION_CHARS, MAX_COMPLETIONS, QUERY_CHARS};
use crate::lsp::rpc::long_work::off_the_loop;
use crate::lsp::state::document::{Document, Documents};
use crate::lsp::text::item::label;
use crate::lsp::text::item::{ago, conversation_uri, counted};
use crate::lsp::text::reference::CONVERSATION;
use crate::markdown::{inline, within_code};
use std::ops::Range;
use tower_lsp::lsp_types::{
    CompletionItem, CompletionItemKind, CompletionItemLabelDetails, CompletionList,
    CompletionParams, CompletionResponse, CompletionTextEdit, Position, Range as LspRange,
    TextEdit,
};

/// Characters that trigger completion.
pub(crate) const TRIGGERS: [&str; 1] = [":"];
/// The link that is being typed.
#[derive(Debug, PartialEq, Eq)]
struct Typed<'a> {
    /// The bytes of the line that an item replaces.
    span: Range<usize>,
    query: &'a str,
    /// Complete a whole Markdown link, not just the URI.
    link: bool,
}

/// `textDocument/completion`.
pub(crate) async fn completion(
    documents: &Documents,
    index: Reader,
    params: &CompletionParams,
) -> Option<CompletionResponse> {
    let place = &params.text_document_position;
    let document = documents.get(&place.text_document.uri)?;
    let number = place.position.line as usize;
    if number >= document.text.len_lines() {
        return None;
    }
    let line = String::from(document.line(number));
    let cursor = LspRange::new(place.position, place.position);
    let cursor = document.bytes_in_line(number, cursor).start;
    typed(&line, cursor)?;
    off_the_loop(move || items(&document, number, &line, cursor, &index)).await
}

fn items(
    document: &Document,
    number: usize,
    line: &str,
    cursor: usize,
    index: &Reader,
) -> Option<CompletionResponse> {
    let typed = typed(line, cursor)?;
    let snapshot = index.snapshot();
    let found: Vec<ConversationRef<'_>> = match typed.query.trim() {
        "" => snapshot.iter().take(MAX_COMPLETIONS).collect(),
        query => {
            let hits: Vec<_> = snapshot.search(query).take(MAX_COMPLETIONS).collect();
            let whole = hits.first().is_some_and(|hit| hit.whole);
            // Names that have only the letters are for queries that nothing else answers.
            let best = hits.into_iter().take_while(|hit| hit.whole == whole);
            best.map(|hit| hit.conversation).collect()
        }
    };
    let items = found
        .iter()
        .enumerate()
        .map(|(rank, one)| item(document, number, line, &typed, rank, one));
    Some(CompletionResponse::List(CompletionList {
        // A longer query needs a new list.
        is_incomplete: true,
        items: items.collect(),
    }))
}

fn typed(line: &str, cursor: usize) -> Option<Typed<'_>> {
    let before = &line[..cursor];
    let wiki = before
        .rfind("[[pieces:")
        .map(|at| (at, at + "[[pieces:".len(), true));
    let scheme = before.rfind(&format!("{CONVERSATION}:"));
    let scheme = scheme.map(|at| (at, at + CONVERSATION.len() + 1, false));
    let (start, name, link) = wiki.max(scheme)?;
    let slashed = &before[name..];
    let query = slashed.trim_start_matches('/');
    if slashed.len() - query.len() > 3 {
        return None;
    }
    let ends = |c: char| {
        if link {
            c == ']'
        } else {
            c.is_whitespace() || c == ')' || c == '>'
        }
    };
    if query.contains(ends) || query.chars().count() > QUERY_CHARS {
        return None;
    }
    // Editors add closing brackets; the item replaces them.
    let closing = if link && line[cursor..].starts_with("]]") {
        2
    } else {
        0
    };
    Some(Typed {
        span: start..cursor + closing,
        query,
        link,
    })
}

fn item(
    document: &Document,
    number: usize,
    line: &str,
    typed: &Typed<'_>,
    rank: usize,
    one: &ConversationRef<'_>,
) -> CompletionItem {
    let uri = conversation_uri(one.id);
    let new_text = match typed.link {
        true if document.is_text() => format!("[{}]({uri})", inline(one.title(), COMPLETION_CHARS)),
        true => format!("[{}]({uri})", within_code(one.title(), COMPLETION_CHARS)),
        false => uri,
    };
    let at = |byte| -> Position { document.position(number, byte) };
    let range = LspRange::new(at(typed.span.start), at(typed.span.end));
    CompletionItem {
        label: label(one.title(), COMPLETION_CHARS),
        // Shown on every row: conversations may have the same name.
        label_details: Some(CompletionItemLabelDetails {
            detail: None,
            description: Some(ago(one.updated)),
        }),
        kind: Some(CompletionItemKind::REFERENCE),
        detail: Some(format!(
            "{} · {}",
            counted(one.messages as usize, "message"),
            ago(one.updated)
        )),
        // Clients filter by the replaced text, but the list is already filtered.
        filter_text: Some(line[typed.span.clone()].to_owned()),
        sort_text: Some(format!("{rank:03}")),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(range, new_text))),
        ..CompletionItem::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_typed() {
        // `|` is the cursor.
        let check = |line: &str, expected: Option<(&str, &str, bool)>| {
            let cursor = line.find('|').unwrap();
            let line = line.replace('|', "");
            let typed = typed(&line, cursor);
            let typed = typed.map(|typed| (&line[typed.span.clone()], typed.query, typed.link));
            assert_eq!(typed, expected, "{line}");
        };
        check("|", None);
        check("pieces|", None);
        check(
            "// pieces-conversation:|",
            Some(("pieces-conversation:", "", false)),
        );
        check(
            "(pieces-conversation:/ret|)",
            Some(("pieces-conversation:/ret", "ret", false)),
        );
        check("pieces-conversation:x y|", None);
        check(
            "see [[pieces:retry with|]] x",
            Some(("[[pieces:retry with]]", "retry with", true)),
        );
        check("[[pieces:a]] b|", None);
        // Every item contains the text that it replaces, so that must be short.
        check("pieces-conversation:////a|", None);
        check(
            "pieces-conversation:/a.md [[pieces:b|",
            Some(("[[pieces:b", "b", true)),
        );
    }
}
