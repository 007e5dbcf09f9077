//! What a place in a document is about: the current asset, the file, and the conversations tied to it.

use super::real_path::resolved;
use super::reference::{self, Form, Reference};
use crate::index::{Anchor, Conversation, Reader};
use crate::lsp::limits::{MAX_NAMESAKES, MAX_REFERENCE_CHARS};
use crate::lsp::state::document::Document;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tower_lsp::lsp_types::{Range as LspRange, Url};
use uuid::Uuid;

/// The anchors that tie a file to conversations.
#[derive(Debug, Default)]
pub(crate) struct FileTies {
    anchors: Vec<Arc<Anchor>>,
}

impl FileTies {
    /// Looked up by the path in `uri` as written, and by its real path.
    pub async fn of(uri: &Url, index: &Reader) -> Self {
        let Some(path) = file_path(uri) else {
            return FileTies::default();
        };
        let name = path.file_name().and_then(OsStr::to_str);
        let alike = name.map_or_else(Vec::new, |name| index.ties().anchors_named(name));
        let looking = {
            let path = path.clone();
            move || resolve(&path, &alike)
        };
        let (real, same) = resolved(&path, looking).await.unwrap_or_default();
        let paths = [Some(path), real].into_iter().flatten();
        let paths: Vec<PathBuf> = paths.collect();
        let mut anchors = index
            .ties()
            .anchors_at(paths.iter().filter_map(|path| path.to_str()));
        for anchor in same {
            if !anchors.iter().any(|one| one.id == anchor.id) {
                anchors.push(anchor);
            }
        }
        anchors.sort_by_key(|anchor| std::cmp::Reverse(anchor.updated));
        FileTies { anchors }
    }

    /// The assets saved from the file, newest first.
    pub fn assets(&self) -> Vec<Uuid> {
        let mut seen = HashSet::new();
        // An anchor lists its assets in the order they were saved.
        let saved = self.anchors.iter().flat_map(|one| one.assets.iter().rev());
        saved.copied().filter(|asset| seen.insert(*asset)).collect()
    }

    /// The conversations about the file or an asset saved from it, newest first.
    pub fn conversations(&self, index: &Reader) -> Vec<Conversation> {
        if self.anchors.is_empty() {
            return Vec::new();
        }
        let mut ids: Vec<Uuid> = self.anchors.iter().map(|anchor| anchor.id).collect();
        ids.extend(self.assets());
        let mut found = tied_to(&ids, index);
        let mut seen: HashSet<Uuid> = found.iter().map(|one| one.id).collect();
        let named = self.anchors.iter().flat_map(|anchor| &anchor.conversations);
        found.extend(
            named
                .filter(|id| seen.insert(**id))
                .filter_map(|id| index.get(*id)),
        );
        found.sort_by_key(|one| (std::cmp::Reverse(one.updated), one.id));
        found
    }
}

/// The real path of a file, and those of the anchors with the same file name that resolve to it, for
/// example through a symlinked directory.
fn resolve(path: &Path, alike: &[Arc<Anchor>]) -> (Option<PathBuf>, Vec<Arc<Anchor>>) {
    let Ok(real) = path.canonicalize() else {
        return (None, Vec::new());
    };
    let leads = |other: &String| {
        // Anchors are untrusted, and resolving a path with a host on Windows contacts that host.
        let names_a_host = other.starts_with(['/', '\\']) && other[1..].starts_with(['/', '\\']);
        let other = Path::new(other);
        !names_a_host && other.canonicalize().is_ok_and(|other| other == real)
    };
    let same = alike
        .iter()
        .take(MAX_NAMESAKES)
        .filter(|anchor| anchor.paths.iter().any(leads));
    let same = same.cloned().collect();
    (Some(real), same)
}

/// The conversations tied to one of these assets or anchors, newest first.
pub(crate) fn tied_to(ids: &[Uuid], index: &Reader) -> Vec<Conversation> {
    let snapshot = index.snapshot();
    snapshot.tied_to(ids).map(|one| one.to_owned()).collect()
}

/// The path of a `file:` URI.
pub(crate) fn file_path(uri: &Url) -> Option<PathBuf> {
    (uri.scheme() == "file").then(|| uri.to_file_path().ok())?
}

/// The name of the file or document as users read it.
pub(crate) fn display_name(uri: &Url) -> String {
    let path = file_path(uri);
    let name = path.as_deref().and_then(Path::file_name);
    match name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => {
            let last = uri.path().rsplit('/').find(|part| !part.is_empty());
            let name = last.unwrap_or("untitled");
            percent_encoding::percent_decode_str(name)
                .decode_utf8_lossy()
                .into_owned()
        }
    }
}

/// The known conversations in the selection or under the cursor, `most` at most.
pub(crate) fn conversations_at(
    document: &Document,
    range: LspRange,
    index: &Reader,
    most: usize,
) -> Vec<Conversation> {
    let mut conversations: Vec<Conversation> = Vec::new();
    for found in reference::touched(document, range) {
        let Reference { id, form, .. } = found.reference;
        if form != Form::AssetUri && conversations.iter().all(|one| one.id != id) {
            conversations.extend(index.get(id));
        }
        if conversations.len() == most {
            break;
        }
    }
    conversations
}

/// The subject of a conversation that is started somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A known asset: its id is the selection or under the cursor.
    AssetHere(Uuid),
    /// The selected text.
    Selection(Selection),
    /// The asset whose document it is.
    AssetDocument(Uuid),
    /// The text of the whole document.
    Whole,
}

/// Selected text of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// In characters of the document; more than one.
    pub chars: Range<usize>,
    /// The lines that have selected characters, counted from 1.
    pub lines: RangeInclusive<usize>,
}

impl Subject {
    /// The subject of `range` in a document as it is now. Reads only the lines that `range` touches.
    pub fn of(
        uri: &Url,
        document: Option<&Document>,
        range: Option<LspRange>,
        index: &Reader,
    ) -> Self {
        if let (Some(document), Some(range)) = (document, range) {
            if let Some(asset) = asset_at(document, range, index) {
                return Subject::AssetHere(asset);
            }
            if let Some(selection) = Selection::of(document, range) {
                return Subject::Selection(selection);
            }
        }
        match reference::id_of_uri(uri) {
            Some((Form::AssetUri, asset)) => Subject::AssetDocument(asset),
            _ => Subject::Whole,
        }
    }

    /// The selected text of a document; `None` if that is at most the character under a cursor.
    pub fn selection(document: &Document, range: LspRange) -> Option<Selection> {
        Selection::of(document, range)
    }

    /// The name of a conversation that is started in the document of this URI: `retry.rs`, or `retry.rs, lines 23–29`.
    pub fn name(&self, uri: &Url) -> String {
        let document = display_name(uri);
        match self {
            Subject::Selection(selection) => {
                let (first, last) = (selection.lines.start(), selection.lines.end());
                match first == last {
                    true => format!("{document}{LINE}{first}"),
                    false => format!("{document}{LINES}{first}–{last}"),
                }
            }
            _ => document,
        }
    }
}

const LINE: &str = ", line ";
const LINES: &str = ", lines ";

/// The name of the file in a name by [`Subject::name`].
pub(crate) fn file_name_in(name: &str) -> &str {
    let digits = |c: char| c.is_ascii_digit() || c == '–';
    let file = |separator: &str| {
        let (file, lines) = name.rsplit_once(separator)?;
        lines.chars().all(digits).then_some(file)
    };
    file(LINES).or_else(|| file(LINE)).unwrap_or(name)
}

impl Selection {
    fn of(document: &Document, range: LspRange) -> Option<Self> {
        let chars = document.chars(range);
        // Without a selection, Helix, Kakoune and ALE send the character under the cursor.
        if chars.len() <= 1 || document.text.slice(chars.clone()) == "\r\n" {
            return None;
        }
        let line = |char| document.text.char_to_line(char) + 1;
        // A selection that ends at the start of a line has none of its characters.
        let lines = line(chars.start)..=line(chars.end - 1);
        Some(Selection { chars, lines })
    }

    /// Whether the rest of its only line is blank.
    pub fn is_whole_line(&self, document: &Document) -> bool {
        let (number, text) = (self.lines.start() - 1, &document.text);
        let start = text.line_to_char(number);
        let end = text.line_to_char(number + 1);
        let blank = |part: Range<usize>| text.slice(part).chars().all(char::is_whitespace);
        blank(start..self.chars.start) && blank(self.chars.end..end)
    }

    /// Its first characters, as many as a title can show.
    pub fn beginning(&self, document: &Document) -> String {
        let selected = document.text.slice(self.chars.clone()).chars();
        let visible = selected.skip_while(|c| c.is_whitespace());
        visible.take(MAX_REFERENCE_CHARS).collect()
    }
}

/// The known asset whose id, or a part of it, is selected or under the cursor.
fn asset_at(document: &Document, range: LspRange, index: &Reader) -> Option<Uuid> {
    let chars = document.chars(range);
    if chars.len() > MAX_REFERENCE_CHARS {
        return None;
    }
    let selected = document.text.slice(chars.clone()).to_string();
    let blank = |c: &char| c.is_whitespace();
    let start = chars.start + selected.chars().take_while(blank).count();
    let end = chars.end - selected.chars().rev().take_while(blank).count();
    let number = document.text.char_to_line(start);
    if start > end
        || start == end && !selected.is_empty()
        || document.text.char_to_line(end) != number
    {
        return None;
    }
    let line = document.line(number);
    let first = document.text.line_to_char(number);
    let byte = |char: usize| line.char_to_byte((char - first).min(line.len_chars()));
    let (start, end) = (byte(start), byte(end));
    let touched = reference::touching(line, start..end);
    let asset = touched.into_iter().find(|found| {
        found.form != Form::ConversationUri
            && found.span.start <= start
            && end <= found.span.end
            && index.knows_asset(found.id)
    });
    asset.map(|found| found.id)
}

/// The conversations about a file or an asset, by the URI of its document; newest first.
pub(crate) async fn conversations_about(uri: &Url, index: &Reader) -> Vec<Conversation> {
    match reference::id_of_uri(uri) {
        Some((Form::ConversationUri, _)) => Vec::new(),
        Some((_, asset)) => tied_to(&[asset], index),
        None => FileTies::of(uri, index).await.conversations(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;
    use crate::lsp::state::capabilities::Encoding;
    use tower_lsp::lsp_types::Position;

    fn selected(
        text: &str,
        range: (u32, u32, u32, u32),
    ) -> Option<(String, RangeInclusive<usize>)> {
        let document = Document::detached(text, Encoding::Utf16);
        let (line, column, to_line, to_column) = range;
        let (start, end) = (
            Position::new(line, column),
            Position::new(to_line, to_column),
        );
        let selection = Selection::of(&document, LspRange::new(start, end))?;
        let text = document.text.slice(selection.chars).to_string();
        Some((text, selection.lines))
    }

    #[test]
    fn a_selection_counts_the_lines_that_it_has_characters_of() {
        let text = "one\ntwo\r\nthree\nfour";
        let check = |range, expected: Option<(&str, RangeInclusive<usize>)>| {
            let expected = expected.map(|(text, lines)| (text.to_owned(), lines));
            assert_eq!(selected(text, range), expected, "{range:?}");
        };
        check((0, 1, 0, 1), None);
        check((0, 1, 0, 2), None);
        check((1, 3, 2, 0), None);
        check((9, 0, 9, 9), None);
        check((0, 1, 0, 3), Some(("ne", 1..=1)));
        check((0, 0, 1, 0), Some(("one\n", 1..=1)));
        check((1, 0, 3, 0), Some(("two\r\nthree\n", 2..=3)));
        check((3, 0, 1, 0), Some(("two\r\nthree\n", 2..=3)));
        check((1, 1, 3, 1), Some(("wo\r\nthree\nf", 2..=4)));
        check((3, 2, 99, 0), Some(("ur", 4..=4)));
    }

    #[test]
    fn an_asset_counts_only_if_its_id_is_selected_or_under_the_cursor() {
        let id = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";
        let asset = Uuid::parse_str(id).unwrap();
        let mut known = Index::default();
        known.put_asset(asset);
        let index = known.reader();
        let uri = Url::parse("file:///tmp/retry.rs").unwrap();
        let document = Document::detached(&format!("😀 {id} x\n{id}\n"), Encoding::Utf16);
        let check = |range: (u32, u32, u32, u32), expected: bool| {
            let (line, column, to_line, to_column) = range;
            let (start, end) = (
                Position::new(line, column),
                Position::new(to_line, to_column),
            );
            let range = LspRange::new(start, end);
            let found = Subject::of(&uri, Some(&document), Some(range), &index);
            assert_eq!(found == Subject::AssetHere(asset), expected, "{range:?}");
        };
        // Cursors.
        check((0, 2, 0, 2), false);
        check((0, 3, 0, 3), true);
        check((0, 39, 0, 39), true);
        check((0, 40, 0, 40), false);
        check((2, 0, 2, 0), false);
        // Selections: the id, a part of it, with blanks around it, the whole line.
        check((0, 3, 0, 39), true);
        check((0, 39, 0, 3), true);
        check((0, 5, 0, 9), true);
        check((0, 2, 0, 40), true);
        check((1, 0, 2, 0), true);
        // More than the id, or nothing of it.
        check((0, 3, 0, 41), false);
        check((0, 0, 0, 39), false);
        check((0, 0, 2, 0), false);
        check((0, 39, 0, 40), false);
        check((9, 0, 9, 9), false);
    }

    #[test]
    fn names_say_the_file_and_the_lines() {
        let uri = Url::parse("file:///tmp/retry.rs").unwrap();
        let check = |subject: Subject, expected: &str| {
            assert_eq!(subject.name(&uri), expected);
            assert_eq!(file_name_in(expected), "retry.rs");
        };
        let selection = |lines| Subject::Selection(Selection { chars: 0..1, lines });
        check(Subject::Whole, "retry.rs");
        check(selection(3..=3), "retry.rs, line 3");
        check(selection(23..=29), "retry.rs, lines 23–29");
        assert_eq!(
            file_name_in("notes, lines of a poem"),
            "notes, lines of a poem"
        );
    }
}

#[cfg(unix)]
#[cfg(test)]
mod path_tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_that_name_a_host_are_never_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        fs::write(real.join("a.rs"), "").unwrap();
        symlink(&real, dir.path().join("link")).unwrap();
        let other = format!("{}/link/a.rs", dir.path().display());
        for (path, leads) in [
            (other.clone(), true),
            (format!("/{other}"), false),
            (format!("\\\\{other}"), false),
            (format!("/\\{other}"), false),
            (String::new(), false),
        ] {
            let anchor = Anchor {
                id: Uuid::nil(),
                paths: vec![path.clone()],
                assets: Vec::new(),
                conversations: Vec::new(),
                updated: 0,
            };
            let (_, same) = resolve(&real.join("a.rs"), &[Arc::new(anchor)]);
            assert_eq!(same.len(), usize::from(leads), "{path}");
        }
    }
}
