//! Compares references with a slow scan, and places cursors on them.

use super::*;
use crate::lsp::state::capabilities::Encoding;
use tower_lsp::lsp_types::Position;

/// The same rules, tried at every byte: slow but obviously right.
fn slow_scan(text: &str) -> Vec<Reference> {
    let bytes = text.as_bytes();
    let joins = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let mut found = Vec::new();
    let (mut at, mut from) = (0, 0);
    while at + 36 <= bytes.len() {
        let shape = bytes[at..at + 36].iter().enumerate().all(|(n, b)| {
            let hyphen = matches!(n, 8 | 13 | 18 | 23);
            (hyphen && *b == b'-') || (!hyphen && b.is_ascii_hexdigit())
        });
        if !shape || joins(at + 36) || (at > 0 && joins(at - 1)) {
            at += 1;
            continue;
        }
        let (form, span) = slow_whole(text, from, at, at + 36);
        let id = text[at..at + 36].parse().unwrap_or_default();
        from = span.end;
        found.push(Reference { id, span, form });
        at = from;
    }
    found
}

fn slow_whole(text: &str, from: usize, start: usize, end: usize) -> (Form, Range<usize>) {
    for slashes in ["/", "//", "///"] {
        for (name, form) in [
            (CONVERSATION, Form::ConversationUri),
            (ASSET, Form::AssetUri),
        ] {
            let Some(before) = text[from..start].strip_suffix(&format!("{name}:{slashes}")) else {
                continue;
            };
            let before = &text[..from + before.len()];
            let last = before.chars().next_back();
            if last.is_some_and(|c| c == '-' || c.is_alphanumeric()) {
                continue;
            }
            let after = &text[end..];
            let length = match form {
                Form::ConversationUri if after.starts_with(".md") => 3,
                Form::AssetUri if after.starts_with('/') => {
                    let ends = |c: char| {
                        c.is_whitespace() || c.is_control() || "<>()[]{}\"'`|\\^".contains(c)
                    };
                    let mut name = String::new();
                    for c in after.chars().take_while(|c| !ends(*c)) {
                        if name.len() + c.len_utf8() > 1 + 255 {
                            break;
                        }
                        name.push(c);
                    }
                    name.trim_end_matches(['.', ',', ';', ':', '!', '?']).len()
                }
                _ => 0,
            };
            return (form, before.len()..end + length);
        }
    }
    (Form::Bare, start..end)
}

/// The references are those of the slow scan.
pub(crate) fn agrees_with_the_reference(text: &str) {
    assert_eq!(scan(text).collect::<Vec<_>>(), slow_scan(text));
}

/// A cursor at either end of a reference touches it, and a range from one (line, column) to another
/// touches only what is there, wherever it is and whichever way round.
pub(crate) fn cursors_touch(text: &str, utf8: bool, start: (u32, u32), end: (u32, u32)) {
    let encoding = if utf8 {
        Encoding::Utf8
    } else {
        Encoding::Utf16
    };
    let document = Document::detached(text, encoding);
    let all: Vec<Located> = in_lines(&document, 0..document.text.len_lines()).collect();
    for located in &all {
        let range = located.range(&document);
        for cursor in [range.start, range.end] {
            let touched: Vec<Located> = touched(&document, LspRange::new(cursor, cursor)).collect();
            assert!(
                touched.contains(located),
                "{cursor:?} in {text:?}: {touched:?}"
            );
        }
    }
    let [start, end] = [start, end].map(|(line, column)| Position::new(line, column));
    for located in touched(&document, LspRange::new(start, end)) {
        assert!(all.contains(&located), "{located:?} in {text:?}");
    }
}
