//! Conversations as workspace symbols, and the messages of a conversation's document.

use super::copy;
use crate::index::{ConversationRef, Reader};
use crate::lsp::limits::{
    MAX_COPIED_SYMBOLS, MAX_PLACES, MAX_SYMBOLS, MAX_SYMBOLS_BESIDE, SAID_CHARS, SYMBOL_CHARS,
};
use crate::lsp::rpc::long_work::{off_the_loop, reading};
use crate::lsp::state::Server;
use crate::lsp::state::document::{Document, Documents};
use crate::lsp::text::item::ago;
use crate::lsp::text::item::conversation_uri;
use crate::lsp::text::item::label;
use crate::lsp::text::reference::CONVERSATION;
use crate::markdown::gist;
use pulldown_cmark::{Event, HeadingLevel, Parser, Tag};
use std::sync::Arc;
use tower_lsp::lsp_types::{
    DocumentSymbol, DocumentSymbolResponse, FoldingRange, FoldingRangeKind, Location, Position,
    Range, SymbolInformation, SymbolKind, Url,
};
use uuid::Uuid;

/// The prefix of queries for conversations only.
const ONLY_OURS: &str = "pieces ";

/// `workspace/symbol`: conversations by name, best match first; without a query, the newest. Without the prefix
/// [`ONLY_OURS`] only a few, because they are listed among the functions of a project. Where the editor
/// opens only files, they lead to private copies.
pub(crate) async fn workspace_symbols(
    server: &Arc<Server>,
    query: String,
) -> Vec<SymbolInformation> {
    let index = server.session.reader();
    let copies = server.flags().only_files;
    // Off the loop, so that a cancel is read meanwhile.
    let found = off_the_loop(move || {
        let begins = query.get(..ONLY_OURS.len()).unwrap_or_default();
        let all = if copies {
            MAX_COPIED_SYMBOLS
        } else {
            MAX_SYMBOLS
        };
        if begins.eq_ignore_ascii_case(ONLY_OURS) {
            return search(&index, query[ONLY_OURS.len()..].trim(), all);
        }
        let named = search(&index, query.trim(), MAX_SYMBOLS_BESIDE);
        // Helix sends the prefix without its blank.
        match named.is_empty() && query.trim().eq_ignore_ascii_case(ONLY_OURS.trim()) {
            true => search(&index, "", all),
            false => named,
        }
    });
    let found = found.await;
    let targets = match copies {
        true => {
            let ids: Vec<Uuid> = found.iter().map(|one| one.id).collect();
            copy::files(server, &ids).await
        }
        false => found.iter().map(|one| document_of(one.id)).collect(),
    };
    let symbols = found.into_iter().zip(targets);
    symbols
        .filter_map(|(one, target)| Some(one.symbol(target?)))
        .collect()
}

/// A conversation as a symbol.
struct Named {
    id: Uuid,
    name: String,
    age: String,
}

impl Named {
    fn of(one: &ConversationRef<'_>) -> Self {
        Named {
            id: one.id,
            name: label(one.title(), SYMBOL_CHARS),
            age: ago(one.updated),
        }
    }

    #[expect(deprecated, reason = "the field has to be given")]
    fn symbol(self, target: Url) -> SymbolInformation {
        SymbolInformation {
            name: self.name,
            kind: SymbolKind::FILE,
            tags: None,
            deprecated: None,
            location: Location::new(target, Range::default()),
            container_name: Some(format!("Pieces · {}", self.age)),
        }
    }
}

fn search(index: &Reader, query: &str, most: usize) -> Vec<Named> {
    let snapshot = index.snapshot();
    if query.is_empty() {
        let newest = snapshot.iter().take(most);
        return newest.map(|one| Named::of(&one)).collect();
    }
    let hits = snapshot.search(query).take(most);
    hits.map(|hit| Named::of(&hit.conversation)).collect()
}

fn document_of(id: Uuid) -> Option<Url> {
    Url::parse(&conversation_uri(id)).ok()
}

/// A message of a conversation's document.
struct Section {
    /// Who wrote it.
    heading: String,
    /// The beginning of its text, as plain text; may be empty.
    said: String,
    /// The line of its heading, and those below it.
    lines: std::ops::Range<usize>,
}

/// Maps the sections of a conversation's document, one for each message, with `describe`.
async fn of_sections<T: Send + 'static>(
    documents: &Documents,
    uri: &Url,
    describe: impl Fn(&Document, Section) -> Option<T> + Send + 'static,
) -> Option<Vec<T>> {
    let document = documents.get(uri)?;
    if uri.scheme() != CONVERSATION {
        return None;
    }
    let finding = reading(document.text.len_bytes(), move || {
        let text = document.text.to_string();
        let sections = sections(&document, &text).into_iter();
        let described = sections.filter_map(|section| describe(&document, section));
        described.take(MAX_PLACES).collect()
    });
    Some(finding.await)
}

fn sections(document: &Document, text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    // Where the heading of the last section ends, in bytes.
    let mut begins = 0;
    let mut heading = false;
    let close = |sections: &mut Vec<Section>, begins: usize, end: usize| {
        if let Some(last) = sections.last_mut() {
            last.said = said(&text[begins..end]);
            last.lines.end = document.text.byte_to_line(end);
        }
    };
    for (event, span) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                ..
            }) => {
                close(&mut sections, begins, span.start);
                begins = span.end;
                let line = document.text.byte_to_line(span.start);
                sections.push(Section {
                    heading: String::new(),
                    said: String::new(),
                    lines: line..line,
                });
                heading = true;
            }
            Event::End(_) => heading = false,
            Event::Text(text) if heading => {
                if let Some(last) = sections.last_mut() {
                    last.heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    close(&mut sections, begins, text.len());
    if let Some(last) = sections.last_mut() {
        last.lines.end = document.text.len_lines();
    }
    sections
}

/// The beginning of the text below a heading, without the line with its time.
fn said(text: &str) -> String {
    let text = text.trim_start_matches('\n');
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let is_time = first.len() > 2 && first.starts_with('*') && first.ends_with('*');
    let below = match is_time {
        true if !rest.trim().is_empty() => rest,
        _ => text,
    };
    gist(below, SAID_CHARS)
}

/// `textDocument/documentSymbol`: the messages.
#[expect(deprecated, reason = "the field has to be given")]
pub(crate) async fn document_symbols(server: &Server, uri: Url) -> Option<DocumentSymbolResponse> {
    let symbols = of_sections(&server.documents, &uri, |document, section| {
        let last = section.lines.end.saturating_sub(1).max(section.lines.start);
        let start = Position::new(section.lines.start as u32, 0);
        let heading = document.position(section.lines.start, usize::MAX);
        let name = match section.said.is_empty() {
            true => section.heading,
            false => format!("{}: {}", section.heading, section.said),
        };
        Some(DocumentSymbol {
            name,
            detail: None,
            kind: SymbolKind::STRING,
            tags: None,
            deprecated: None,
            range: Range::new(start, document.position(last, usize::MAX)),
            selection_range: Range::new(start, heading),
            children: None,
        })
    });
    let symbols = symbols.await?;
    if server.flags().symbol_tree {
        return Some(DocumentSymbolResponse::Nested(symbols));
    }
    let flat = |symbol: DocumentSymbol| SymbolInformation {
        name: symbol.name,
        kind: symbol.kind,
        tags: None,
        deprecated: None,
        location: Location::new(uri.clone(), symbol.range),
        container_name: None,
    };
    let symbols = symbols.into_iter().map(flat).collect();
    Some(DocumentSymbolResponse::Flat(symbols))
}

/// `textDocument/foldingRange`: the messages.
pub(crate) async fn folding_ranges(documents: &Documents, uri: &Url) -> Option<Vec<FoldingRange>> {
    let ranges = of_sections(documents, uri, |document, section| {
        let blank = |line: usize| document.line(line).chars().all(char::is_whitespace);
        let last = section.lines.clone().rev().find(|line| !blank(*line))?;
        (last > section.lines.start).then(|| FoldingRange {
            start_line: section.lines.start as u32,
            end_line: last as u32,
            kind: Some(FoldingRangeKind::Region),
            ..FoldingRange::default()
        })
    });
    ranges.await
}
