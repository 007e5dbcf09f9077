//! Finds what any reader could take for a link, a tag, a table or a fence outside of code, and escapes it.

use super::body::Edit;
use super::lines::{fence, is_delimiter_row, line_end, unprefixed, unprefixed_row, untasked};
use super::links::{address, autolink, is_harmless, is_link, opens_tag};
use super::outline::Outline;

/// Longest label of a link, in bytes; CommonMark says 999 characters.
const LABEL: usize = 4096;
/// Finds what has to be changed outside of code.
pub(super) fn scan(text: &str, outline: &mut Outline) {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        edits: Vec::new(),
        doubts: Vec::new(),
        word: 0,
        linked: false,
        first: 0,
        empty_task: false,
        open: Open::None,
        next_gt: None,
    };
    let mut tables = outline.tables.iter().peekable();
    let mut code = outline.code.iter().peekable();
    let mut at = 0;
    while at < text.len() {
        if let Some(code) = code.next_if(|code| code.start <= at) {
            at = scan.skip(at, code.end);
            continue;
        }
        if at == 0 || scan.bytes[at - 1] == b'\n' {
            while tables.next_if(|table| table.end <= at).is_some() {}
            let in_table = tables
                .peek()
                .is_some_and(|table| table.start < line_end(text, at));
            scan.line(at, in_table, code.peek().map(|code| code.start));
        }
        at = scan.byte(at);
    }
    outline.edits.append(&mut scan.edits);
    scan.doubts.into_iter().for_each(|at| outline.doubt(at));
}

/// The `[` since the last blank line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    /// One, here, where a backslash counts.
    One(usize),
    Many,
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    edits: Vec<Edit>,
    doubts: Vec<usize>,
    /// Where the word begins that we are in.
    word: usize,
    /// It may be a link without brackets, which takes everything in up to a space.
    linked: bool,
    open: Open,
    /// The line before is a task without a text, which to some readers is the text of a heading.
    empty_task: bool,
    /// Where the text of the line begins, behind quotes and lists.
    first: usize,
    /// The first `>` behind a place that was looked at.
    next_gt: Option<usize>,
}

impl Scan<'_> {
    /// Goes on behind code. Some reader may still be in a word that began before it.
    fn skip(&mut self, at: usize, end: usize) -> usize {
        let end = end.max(at + 1);
        let code = &self.bytes[at..end];
        if code.contains(&b'[') {
            self.open = Open::Many;
        }
        match code.iter().rposition(u8::is_ascii_whitespace) {
            Some(space) => {
                self.word = at + space + 1;
                self.linked = is_link(&code[space + 1..]);
            }
            None => self.linked |= is_link(code),
        }
        end
    }

    /// What only counts at the beginning of a line.
    fn line(&mut self, start: usize, in_table: bool, code: Option<usize>) {
        let end = line_end(self.text, start);
        let line = self.text[start..end].trim_end_matches('\n');
        if line.trim_ascii().is_empty() {
            self.open = Open::None;
        }
        let rest = unprefixed(line);
        let at = start + line.len() - rest.len();
        self.first = at;
        if code.is_some_and(|code| code <= at) {
            return;
        }
        if fence(rest).is_some() {
            self.doubts.push(at);
        }
        let text = at + rest.len() - untasked(rest).len();
        if self.bytes.get(text) == Some(&b'[') && self.is_definition(text) {
            self.edits.push(Edit::insert(text, "\\"));
        }
        let row = unprefixed_row(line);
        let underline = row.trim_end();
        let of = |mark: char| underline.chars().all(|c| c == mark);
        if self.empty_task && !underline.is_empty() && (of('=') || of('-')) {
            self.edits
                .push(Edit::insert(start + line.len() - row.len(), "\\"));
        }
        self.empty_task = matches!(rest.trim_end(), "[ ]" | "[x]" | "[X]");
        if !in_table && is_delimiter_row(row) {
            let first = row.find(['|', ':']).unwrap_or(0);
            self.edits.push(Edit::insert(
                end.min(start + line.len()) - row.len() + first,
                "\\",
            ));
        }
    }

    /// Whether `[label]:` stands here.
    fn is_definition(&self, at: usize) -> bool {
        let label = &self.bytes[at + 1..self.bytes.len().min(at + LABEL)];
        let mut escaped = false;
        for (length, c) in label.iter().enumerate() {
            match c {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'[' => return false,
                b']' => return label.get(length + 1) == Some(&b':'),
                _ => {}
            }
        }
        false
    }

    /// Looks at one byte, and says where to go on.
    fn byte(&mut self, at: usize) -> usize {
        let next = self.bytes.get(at + 1).copied().unwrap_or(b'\n');
        match self.bytes[at] {
            b' ' | b'\t' | b'\n' => self.ends_word(at + 1),
            b':' if self.bytes[at..].starts_with(b"://") => self.linked = true,
            b'w' | b'W' => {
                self.linked |= self.bytes[at..]
                    .get(..4)
                    .is_some_and(|at| at.eq_ignore_ascii_case(b"www."))
            }
            b'<' if opens_tag(next) => return self.angle(at),
            b'<' => self.passes(at + 1),
            b'!' if next == b'[' => self.escape(at, "&#33;"),
            b'[' if self.linked || self.slashes(at).is_multiple_of(2) => {
                self.open = match self.open {
                    Open::None if !self.linked => Open::One(at),
                    _ => Open::Many,
                }
            }
            b']' if next == b'(' => return self.destination(at),
            _ => {}
        }
        at + 1
    }

    fn ends_word(&mut self, at: usize) {
        self.word = at;
        self.linked = false;
    }

    /// A `<` that may open a tag or a link.
    fn angle(&mut self, at: usize) -> usize {
        if !self.linked && self.slashes(at) % 2 == 1 {
            self.passes(at + 1);
            return at + 1;
        }
        if let Some(length) = autolink(&self.bytes[at..]) {
            self.passes(at + length);
            return at + length;
        }
        if self.is_closed(at) {
            if let Some(start) = self.bare_link(at) {
                // The link ends here for every reader, and nothing of what follows belongs to it.
                self.edits.push(Edit::insert(start, "<"));
                self.edits.push(Edit::replace(at..at + 1, ">&lt;"));
                self.ends_word(at + 1);
                return at + 1;
            }
            self.escape(at, "&lt;");
        }
        self.passes(at + 1);
        at + 1
    }

    /// A `<` ends a word, but not a link without brackets: markdown-it takes one in within parentheses.
    fn passes(&mut self, at: usize) {
        if !self.linked {
            self.word = at;
        }
    }

    /// Whether a tag that opens here could end, or needs no end.
    fn is_closed(&mut self, at: usize) -> bool {
        if self.next_gt.is_none_or(|found| found < at) {
            let found = self.bytes[at..].iter().position(|c| *c == b'>');
            self.next_gt = Some(found.map_or(usize::MAX, |found| at + found));
        }
        self.next_gt != Some(usize::MAX) || at == self.first
    }

    /// Where the address begins that ends here, if it is one that stands in angle brackets as well.
    fn bare_link(&self, end: usize) -> Option<usize> {
        let word = &self.text[self.word..end];
        let start = word.find(|c| c != '(')?;
        let url = &word[start..];
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@$+,=%".contains(c);
        let web = url.starts_with("https://") || url.starts_with("http://");
        (web && url.chars().all(plain)).then_some(self.word + start)
    }

    /// Sees to it that no link ends with this `]`: nothing may open one, by whatever reader.
    fn no_link(&mut self, at: usize) {
        match self.open {
            Open::None => {}
            Open::One(open) => {
                self.edits.push(Edit::insert(open, "\\"));
                self.open = Open::None;
            }
            Open::Many => self.escape(at, "&#93;"),
        }
    }

    /// How many backslashes stand before this byte.
    fn slashes(&self, at: usize) -> usize {
        let before = self.bytes[..at].iter().rev();
        before.take_while(|c| **c == b'\\').count()
    }

    /// A backslash, or an entity where a link without brackets would take the backslash in.
    fn escape(&mut self, at: usize, entity: &str) {
        let slashes = self.slashes(at);
        match (self.linked, slashes % 2 == 1) {
            (true, escaped) => {
                self.edits
                    .push(Edit::replace(at - usize::from(escaped)..at + 1, entity));
            }
            (false, true) => {}
            (false, false) => self.edits.push(Edit::insert(at, "\\")),
        }
    }

    /// A `](` leads to the web, or ends no link.
    fn destination(&mut self, at: usize) -> usize {
        let rest = &self.text[at + 2..];
        let url = rest.trim_start_matches(' ');
        let start = at + 2 + rest.len() - url.len();
        let pointed = url.strip_prefix('<');
        if !is_harmless(pointed.unwrap_or(url)) {
            self.no_link(at);
            return at + 1;
        }
        if let Some(pointed) = pointed {
            let plain = |c: char| {
                !c.is_ascii() || c.is_ascii_alphanumeric() || " -._~:/?#@$&'*+,;=%".contains(c)
            };
            let length = pointed.find(|c| !plain(c)).unwrap_or(pointed.len());
            if !pointed[length..].starts_with('>') {
                self.no_link(at);
                return at + 1;
            }
            let end = start + 1 + length + 1;
            if pointed[..length].contains(' ') {
                self.edits
                    .push(Edit::replace(start..end, address(&pointed[..length])));
            }
            self.passes(end);
            return end;
        }
        at + 1
    }
}
