//! Where the blocks and the code of a text are, as pulldown-cmark reads it.

use super::body::Edit;
use super::lines::{self, closes, fence};
use super::links::{self, is_harmless, starts_something};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};
use std::ops::Range;

/// Most bytes that links spelled out may add to a text, beside its own length.
const SPARE: usize = 1 << 14;

/// A top-level block with the lines before it that belong to none.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) range: Range<usize>,
    /// Readers may differ about it.
    pub(super) doubtful: bool,
}

/// What the parser found.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// They cover the text.
    pub(super) blocks: Vec<Block>,
    /// Code, which has to stay as it is; in order.
    pub(super) code: Vec<Range<usize>>,
    /// Tables on which all readers agree; in order.
    pub(super) tables: Vec<Range<usize>>,
    pub(super) edits: Vec<Edit>,
}

/// The text of a paragraph, a heading, a cell.
#[derive(Debug, Default)]
struct Leaf {
    range: Option<Range<usize>>,
    spans: Vec<Range<usize>>,
}

struct Walk<'a> {
    text: &'a str,
    outline: Outline,
    leaf: Leaf,
    doubts: Vec<usize>,
    budget: usize,
    in_table: bool,
}

impl Outline {
    /// Reads a text.
    pub(super) fn of(text: &str) -> Self {
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        let mut walk = Walk {
            text,
            outline: Outline::default(),
            leaf: Leaf::default(),
            doubts: Vec::new(),
            budget: text.len() + SPARE,
            in_table: false,
        };
        let mut depth = 0usize;
        let mut ends = Vec::new();
        for (event, span) in Parser::new_ext(text, options).into_offset_iter() {
            if let Event::Start(_) = event {
                depth += 1;
            }
            walk.event(&event, &span, depth);
            if let Event::End(_) = event {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    ends.push(span.end);
                }
            }
        }
        walk.flush();
        walk.outline.blocks = blocks(text, &ends);
        let doubts = std::mem::take(&mut walk.doubts);
        let mut outline = walk.outline;
        doubts.into_iter().for_each(|at| outline.doubt(at));
        outline.edits.sort_unstable();
        outline
    }

    /// Puts the block at this byte into a fence.
    pub(super) fn doubt(&mut self, at: usize) {
        let found = self.blocks.partition_point(|block| block.range.end <= at);
        let last = self.blocks.len().saturating_sub(1);
        if let Some(block) = self.blocks.get_mut(found.min(last)) {
            block.doubtful = true;
        }
    }
}

/// Cuts the text behind the lines where top-level blocks end.
fn blocks(text: &str, ends: &[usize]) -> Vec<Block> {
    let mut blocks = Vec::with_capacity(ends.len() + 1);
    let mut start = 0;
    for end in ends {
        // Ends lie before or behind the end of their line.
        let end = match *end {
            0 => 0,
            end if text.as_bytes()[end - 1] == b'\n' => end,
            end => lines::line_end(text, end),
        };
        if end > start {
            blocks.push(Block {
                range: start..end,
                doubtful: false,
            });
            start = end;
        }
    }
    if start < text.len() {
        blocks.push(Block {
            range: start..text.len(),
            doubtful: false,
        });
    }
    blocks
}

impl Walk<'_> {
    fn event(&mut self, event: &Event<'_>, span: &Range<usize>, depth: usize) {
        match event {
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => {
                self.extend(span);
                self.spell_out(*link_type, dest_url, span);
            }
            Event::Code(_) => {
                self.extend(span);
                self.leaf.spans.push(span.clone());
            }
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Image { .. })
            | Event::End(
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Link
                | TagEnd::Image,
            )
            | Event::InlineHtml(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::TaskListMarker(_) => self.extend(span),
            Event::Text(_) => self.extend(span),
            Event::Start(Tag::Table(_)) => {
                self.flush();
                self.in_table = true;
                match lines::is_plain_table(&self.text[span.clone()]) {
                    true => self.outline.tables.push(span.clone()),
                    false => self.doubts.push(span.start),
                }
            }
            Event::End(TagEnd::Table) => {
                self.flush();
                self.in_table = false;
            }
            Event::Start(Tag::Heading { level, .. }) if *level < HeadingLevel::H3 => {
                self.flush();
                self.outline.edits.push(demoted(self.text, span, *level));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                self.flush();
                match kind {
                    CodeBlockKind::Fenced(_) => self.fenced(span, depth),
                    CodeBlockKind::Indented => self.indented(span),
                }
            }
            Event::End(TagEnd::CodeBlock) => self.leaf = Leaf::default(),
            Event::Start(Tag::HtmlBlock) => {
                self.flush();
                let text = &self.text[span.clone()];
                let indented = |line: &str| {
                    line.starts_with("    ") || line.trim_start_matches(' ').starts_with('\t')
                };
                if text.contains(['`', '~']) || text.lines().any(indented) {
                    self.doubts.push(span.start);
                }
            }
            _ => self.flush(),
        }
    }

    fn extend(&mut self, span: &Range<usize>) {
        let range = self.leaf.range.get_or_insert_with(|| span.clone());
        *range = range.start.min(span.start)..range.end.max(span.end);
    }

    /// Ends a leaf: its code spans are code for every reader, or they hold nothing, or it is doubtful.
    fn flush(&mut self) {
        let leaf = std::mem::take(&mut self.leaf);
        let Some(range) = leaf.range else { return };
        let text = self.text;
        let active = leaf
            .spans
            .iter()
            .any(|span| starts_something(&text[span.clone()]));
        if active && !self.agreed(&range, &leaf.spans) {
            self.doubts.push(range.start);
        }
        self.outline.code.extend(leaf.spans);
    }

    /// Whether every reader finds these code spans, however it cuts the lines into blocks: each stands in one
    /// line, no link without brackets can take its first backtick, and there are no other backticks.
    fn agreed(&self, leaf: &Range<usize>, spans: &[Range<usize>]) -> bool {
        let text = self.text;
        let ticks = |text: &str| text.bytes().filter(|c| *c == b'`').count();
        let within: usize = spans.iter().map(|span| ticks(&text[span.clone()])).sum();
        within == ticks(&text[leaf.clone()])
            && spans.iter().all(|span| {
                let code = &text[span.clone()];
                let split = self.in_table && code.contains('|');
                !code.contains('\n')
                    && !split
                    && !links::in_bare_link(&text[leaf.start..span.start])
            })
    }

    /// A link by reference becomes one with its address.
    fn spell_out(&mut self, kind: LinkType, url: &str, span: &Range<usize>) {
        if !matches!(
            kind,
            LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut
        ) || !is_harmless(url)
        {
            return;
        }
        let address = format!("({})", links::address(url));
        let Some(left) = self.budget.checked_sub(address.len()) else {
            return;
        };
        let text = &self.text[span.clone()];
        // What follows the text of the link: `[label]`, `[]`, or nothing.
        let (label, end) = match kind {
            LinkType::Reference => (text.rfind('[').unwrap_or(0), span.end),
            LinkType::Collapsed if text.ends_with("[]") => (text.len() - 2, span.end),
            LinkType::Collapsed if self.text[span.end..].starts_with("[]") => {
                (text.len(), span.end + 2)
            }
            _ => (text.len(), span.end),
        };
        if label > 0 && text[..label].ends_with(']') {
            self.budget = left;
            self.outline
                .edits
                .push(Edit::replace(span.start + label..end, address));
        }
    }

    /// A fence counts where it opens and closes in the same way for every reader.
    fn fenced(&mut self, span: &Range<usize>, depth: usize) {
        let text = self.text;
        let line = lines::line_start(text, span.start)..lines::line_end(text, span.start);
        let prefix = &text[line.start..span.start];
        // A tab, or a space where no list is: some reader finds the fence within the list before it.
        let agreed = if depth == 1 {
            prefix.is_empty()
        } else {
            !prefix.contains('\t')
        };
        let opening = fence(text[span.start..line.end].trim_end_matches('\n'));
        let Some(opening) = opening.filter(|_| agreed) else {
            return self.doubts.push(span.start);
        };
        if opening.plain < opening.info.trim_end().len() {
            let info = span.start + opening.length + opening.plain;
            let end = span.start + opening.length + opening.info.len();
            self.outline.edits.push(Edit::replace(info..end, ""));
        }
        self.outline.code.push(span.clone());
        let code = &text[line.end.min(span.end)..span.end];
        let mut lines = code.lines();
        let last = lines.next_back();
        let closed = last.is_some_and(|last| closes(last, &opening, depth == 1));
        let mut other = lines.chain(last.filter(|_| !closed));
        if other.any(|line| closes(line, &opening, false)) {
            return self.doubts.push(span.start);
        }
        if closed {
            return;
        }
        match (depth, text[span.end..].trim().is_empty()) {
            (1, _) => {
                let line_break = if text.ends_with('\n') { "" } else { "\n" };
                let closing = &text[span.start..span.start + opening.length];
                self.outline
                    .edits
                    .push(Edit::insert(text.len(), format!("{line_break}{closing}")));
            }
            // The list or the quote ends with the message, and the fence with it.
            (_, true) => {}
            (_, false) => self.doubts.push(span.start),
        }
    }

    /// Readers differ on what is indented far enough.
    fn indented(&mut self, span: &Range<usize>) {
        let code = &self.text[span.clone()];
        // micromark takes an empty item behind it for the text of a heading.
        let next = self.text[span.end..].trim_start().lines().next();
        let empty_item = next.is_some_and(|line| lines::unprefixed(line).is_empty());
        if empty_item
            || starts_something(code)
            || code
                .lines()
                .any(|line| fence(lines::unprefixed(line)).is_some())
        {
            self.doubts.push(span.start);
        }
        self.outline.code.push(span.clone());
    }
}

/// The edit that makes a heading of level three, or a paragraph of an underlined one.
fn demoted(text: &str, span: &Range<usize>, level: HeadingLevel) -> Edit {
    let heading = text[span.clone()].trim_end();
    if heading.starts_with('#') {
        let more = if level == HeadingLevel::H1 { "##" } else { "#" };
        return Edit::insert(span.start, more);
    }
    let underline = heading.rfind('\n').map_or(0, |at| at + 1);
    let indent = heading[underline..]
        .rfind(|c| c != '=' && c != '-')
        .map_or(0, |at| at + 1);
    Edit::insert(span.start + underline + indent, "\\")
}
