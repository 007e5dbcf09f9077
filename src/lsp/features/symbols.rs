//! Conversations as workspace symbols, and the messages of a conversation's document.

use crate::index::{ConversationRef, Reader};
use crate::lsp::limits::{MAX_PLACES, MAX_SYMBOLS, SYMBOL_CHARS};
use crate::lsp::rpc::long_work::{off_the_loop, reading};
use crate::lsp::state::document::{Document, Documents};
use crate::lsp::text::item::conversation_uri;
use crate::lsp::text::item::label;
use crate::lsp::text::item::{ago, counted};
use crate::lsp::text::reference::CONVERSATION;
use pulldown_cmark::{Event, HeadingLevel, Parser, Tag};
use tower_lsp::lsp_types::{
    DocumentSymbol, DocumentSymbolResponse, FoldingRange, FoldingRangeKind, Location, Position,
    Range, SymbolInformation, SymbolKind, Url,
};

/// `workspace/symbol`: conversations by name, best match first; without a query, the newest.
pub(crate) async fn workspace_symbols(index: Reader, query: String) -> Vec<SymbolInformation> {
    // So that a keystroke that cancels it is read in the meantime.
    off_the_loop(move || search(&index, query.trim())).await
}

fn search(index: &Reader, query: &str) -> Vec<SymbolInformation> {
    let snapshot = index.snapshot();
    if query.is_empty() {
        return snapshot
            .iter()
            .take(MAX_SYMBOLS)
            .filter_map(|one| symbol(&one))
            .collect();
    }
    let hits = snapshot.search(query).take(MAX_SYMBOLS);
    hits.filter_map(|hit| symbol(&hit.conversation)).collect()
}

#[expect(deprecated, reason = "the field has to be given")]
fn symbol(one: &ConversationRef<'_>) -> Option<SymbolInformation> {
    let uri = Url::parse(&conversation_uri(one.id)).ok()?;
    Some(SymbolInformation {
        name: label(one.title(), SYMBOL_CHARS),
        kind: SymbolKind::EVENT,
        tags: None,
        deprecated: None,
        location: Location::new(uri, Range::default()),
        container_name: Some(format!(
            "{} · {}",
            counted(one.messages as usize, "message"),
            ago(one.updated)
        )),
    })
}

/// A heading of a conversation's document and the lines below it.
struct Section {
    title: String,
    lines: std::ops::Range<usize>,
}

/// What `describe` makes of the sections of a conversation's document, one for each message.
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
        let sections = sections(&document).into_iter();
        let described = sections.filter_map(|section| describe(&document, section));
        described.take(MAX_PLACES).collect()
    });
    Some(finding.await)
}

fn sections(document: &Document) -> Vec<Section> {
    let text = document.text.to_string();
    let mut sections: Vec<Section> = Vec::new();
    let mut heading = false;
    for (event, span) in Parser::new(&text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading {
                level: HeadingLevel::H2,
                ..
            }) => {
                let line = document.text.byte_to_line(span.start);
                if let Some(last) = sections.last_mut() {
                    last.lines.end = line;
                }
                sections.push(Section {
                    title: String::new(),
                    lines: line..document.text.len_lines(),
                });
                heading = true;
            }
            Event::End(_) => heading = false,
            Event::Text(text) if heading => {
                if let Some(last) = sections.last_mut() {
                    last.title.push_str(&text);
                }
            }
            _ => {}
        }
    }
    sections
}

/// `textDocument/documentSymbol`: the messages.
#[expect(deprecated, reason = "the field has to be given")]
pub(crate) async fn document_symbols(
    documents: &Documents,
    uri: &Url,
) -> Option<DocumentSymbolResponse> {
    let symbols = of_sections(documents, uri, |document, section| {
        let last = section.lines.end.saturating_sub(1).max(section.lines.start);
        let start = Position::new(section.lines.start as u32, 0);
        let heading = document.position(section.lines.start, usize::MAX);
        Some(DocumentSymbol {
            name: section.title,
            detail: None,
            kind: SymbolKind::STRING,
            tags: None,
            deprecated: None,
            range: Range::new(start, document.position(last, usize::MAX)),
            selection_range: Range::new(start, heading),
            children: None,
        })
    });
    Some(DocumentSymbolResponse::Nested(symbols.await?))
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
