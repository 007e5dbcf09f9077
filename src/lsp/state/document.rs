//! The open documents, and positions in them.

use super::capabilities::Encoding;
use dashmap::DashMap;
use ropey::{Rope, RopeSlice};
use std::ops::Range;
use std::sync::Arc;
use tower_lsp::lsp_types::{
    DidChangeTextDocumentParams, DidOpenTextDocumentParams, Position, Range as LspRange, Url,
};

/// Stands for a version that the editor did not send.
pub(crate) const NO_VERSION: i32 = i32::MIN;

/// A document as it is in the editor. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub text: Rope,
    /// `None` if the editor sent no usable version.
    pub version: Option<i32>,
    /// Its `languageId`; empty if the editor sent none.
    pub language_id: Arc<str>,
    encoding: Encoding,
}

/// All open documents. Handlers apply changes before their first await, so in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Documents(DashMap<Url, Document>);

impl Documents {
    /// `textDocument/didOpen`.
    pub fn open(&self, params: DidOpenTextDocumentParams, encoding: Encoding) {
        let item = params.text_document;
        let document = Document {
            text: Rope::from_str(&item.text),
            version: usable(item.version),
            language_id: item.language_id.into(),
            encoding,
        };
        self.0.insert(item.uri, document);
    }

    /// `textDocument/didChange`; ignored for a document that is not open.
    pub fn change(&self, params: DidChangeTextDocumentParams) {
        let Some(mut document) = self.0.get_mut(&params.text_document.uri) else {
            return;
        };
        document.version = usable(params.text_document.version);
        for change in params.content_changes {
            match change.range {
                None => document.text = Rope::from_str(&change.text),
                Some(range) => {
                    let chars = document.chars(range);
                    document.text.remove(chars.clone());
                    document.text.insert(chars.start, &change.text);
                }
            }
        }
    }

    /// `textDocument/didClose`.
    pub fn close(&self, uri: &Url) {
        self.0.remove(uri);
    }

    pub fn get(&self, uri: &Url) -> Option<Document> {
        self.0.get(uri).map(|document| document.clone())
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<(Url, Document)> {
        let all = self.0.iter();
        all.map(|entry| (entry.key().clone(), entry.value().clone()))
            .collect()
    }

    pub fn uris(&self) -> Vec<Url> {
        self.0.iter().map(|entry| entry.key().clone()).collect()
    }
}

fn usable(version: i32) -> Option<i32> {
    (version != NO_VERSION).then_some(version)
}

impl Document {
    /// A document that is not open in the editor.
    pub fn detached(text: &str, encoding: Encoding) -> Self {
        Document {
            text: Rope::from_str(text),
            version: None,
            language_id: Arc::default(),
            encoding,
        }
    }

    /// Markdown or plain text, not code.
    pub fn is_text(&self) -> bool {
        matches!(&*self.language_id, "markdown" | "plaintext" | "text")
    }

    /// A range in characters of the text. As LSP says, positions beyond a line or the text are moved to
    /// its end; a reversed range is turned around.
    pub fn chars(&self, range: LspRange) -> Range<usize> {
        let (start, end) = (self.char_at(range.start), self.char_at(range.end));
        start.min(end)..start.max(end)
    }

    fn char_at(&self, position: Position) -> usize {
        let line = position.line as usize;
        if line >= self.text.len_lines() {
            return self.text.len_chars();
        }
        self.text.line_to_char(line) + self.column(self.line(line), position.character as usize)
    }

    /// The number of characters in `line` before column `column`.
    fn column(&self, line: RopeSlice<'_>, column: usize) -> usize {
        match self.encoding {
            Encoding::Utf8 => line.byte_to_char(column.min(line.len_bytes())),
            Encoding::Utf16 => line.utf16_cu_to_char(column.min(line.len_utf16_cu())),
        }
    }

    /// Line `number` without its line break.
    pub fn line(&self, number: usize) -> RopeSlice<'_> {
        let line = self.text.line(number);
        let breaks = line.chars_at(line.len_chars()).reversed().take(2);
        let breaks = breaks.take_while(|c| matches!(c, '\n' | '\r')).count();
        line.slice(..line.len_chars() - breaks)
    }

    /// The lines that a range touches, the last one included.
    pub fn lines(&self, range: LspRange) -> Range<usize> {
        let last = self.text.len_lines().saturating_sub(1);
        let (start, end) = (range.start.line as usize, range.end.line as usize);
        start.min(end).min(last)..start.max(end).min(last) + 1
    }

    /// The length of these lines, in bytes.
    pub fn bytes_of(&self, lines: Range<usize>) -> usize {
        let start = |line: usize| self.text.line_to_byte(line.min(self.text.len_lines()));
        start(lines.end).saturating_sub(start(lines.start))
    }

    /// The position of byte `byte` of line `number`, in the encoding of the client.
    pub fn position(&self, number: usize, byte: usize) -> Position {
        let line = self.line(number);
        let byte = byte.min(line.len_bytes());
        let column = match self.encoding {
            Encoding::Utf8 => byte,
            Encoding::Utf16 => line.char_to_utf16_cu(line.byte_to_char(byte)),
        };
        Position::new(number as u32, column as u32)
    }

    /// The bytes of line `number` that `range` touches.
    pub fn bytes_in_line(&self, number: usize, range: LspRange) -> Range<usize> {
        let line = self.line(number);
        let chars = self.chars(range);
        let first = self.text.line_to_char(number);
        let byte = |at: usize| line.char_to_byte(at.saturating_sub(first).min(line.len_chars()));
        byte(chars.start)..byte(chars.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn documents(text: &str, encoding: Encoding) -> (Documents, Url) {
        let uri = Url::parse("file:///a.rs").unwrap();
        let documents = Documents::default();
        let params = json!({"textDocument":
            {"uri": uri, "languageId": "rust", "version": 1, "text": text}});
        documents.open(serde_json::from_value(params).unwrap(), encoding);
        (documents, uri)
    }

    /// Applies changes `(start line, column, end line, column, text)`.
    fn check(encoding: Encoding, text: &str, changes: &[(u32, u32, u32, u32, &str)], after: &str) {
        let (documents, uri) = documents(text, encoding);
        let changes: Vec<_> = changes
            .iter()
            .map(|(line, column, to_line, to_column, text)| {
                json!({"text": text, "range": {
                    "start": {"line": line, "character": column},
                    "end": {"line": to_line, "character": to_column}}})
            })
            .collect();
        let params = json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": changes});
        documents.change(serde_json::from_value(params).unwrap());
        let document = documents.get(&uri).unwrap();
        assert_eq!(
            (document.text.to_string().as_str(), document.version),
            (after, Some(2))
        );
    }

    #[test]
    fn changes() {
        use Encoding::{Utf8, Utf16};
        check(Utf16, "", &[(0, 0, 0, 0, "a\nb")], "a\nb");
        check(Utf16, "a😀b", &[(0, 3, 0, 4, "x")], "a😀x");
        check(Utf8, "a😀b", &[(0, 5, 0, 6, "x")], "a😀x");
        check(Utf16, "ab\r\ncd\rq", &[(1, 1, 2, 0, "")], "ab\r\ncq");
        check(
            Utf16,
            "one\ntwo",
            &[(0, 99, 0, 99, "!"), (9, 9, 9, 9, "?")],
            "one!\ntwo?",
        );
        check(Utf16, "one\ntwo", &[(1, 2, 0, 1, "")], "oo");
        check(Utf16, "ab", &[(0, 1, 0, 1, "x"), (0, 2, 0, 3, "")], "ax");
    }

    #[test]
    fn a_change_without_range_replaces_everything() {
        let (documents, uri) = documents("old", Encoding::Utf16);
        let params = json!({"textDocument": {"uri": uri, "version": 5},
            "contentChanges": [{"text": "new"}]});
        documents.change(serde_json::from_value(params).unwrap());
        assert_eq!(documents.get(&uri).unwrap().text, "new");
        documents.close(&uri);
        assert!(documents.get(&uri).is_none());
    }

    #[test]
    fn positions_go_there_and_back() {
        let text = "fn 😀é() {}\r\nsecond\n\nlast";
        for encoding in [Encoding::Utf8, Encoding::Utf16] {
            let document = Document::detached(text, encoding);
            for number in 0..document.text.len_lines() {
                let line = document.line(number).to_string();
                for (byte, _) in line.char_indices().chain([(line.len(), ' ')]) {
                    let position = document.position(number, byte);
                    let range = LspRange::new(position, position);
                    assert_eq!(
                        document.bytes_in_line(number, range),
                        byte..byte,
                        "{position:?}"
                    );
                }
            }
        }
    }
}
