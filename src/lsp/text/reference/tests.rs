use super::*;
use crate::lsp::state::capabilities::Encoding;
use proptest::prelude::*;
use tower_lsp::lsp_types::Position;

const ID: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";

/// The text is given with each reference in guillemets.
fn check(marked: &str, forms: &[Form]) {
    let marked = marked.replace("ID", ID);
    let text = marked.replace(['«', '»'], "");
    let found: Vec<Reference> = scan(&text).collect();
    let mut shown = text.clone();
    for reference in found.iter().rev() {
        shown.insert(reference.span.end, '»');
        shown.insert(reference.span.start, '«');
    }
    assert_eq!(shown, marked);
    assert_eq!(found.iter().map(|one| one.form).collect::<Vec<_>>(), forms);
}

#[test]
fn references_in_text() {
    use Form::{AssetUri, Bare, ConversationUri};
    check("", &[]);
    check("// see «ID», and («ID»)", &[Bare, Bare]);
    check("«ID»", &[Bare]);
    check("0ID ID0 -ID ID- _ID IDx", &[]);
    check("é«ID»é", &[Bare]);
    check("[x](«pieces-conversation:/ID.md»)", &[ConversationUri]);
    check("<«pieces-conversation:///ID»>", &[ConversationUri]);
    check("«pieces-conversation:/ID.md».", &[ConversationUri]);
    check("xpieces-conversation:/«ID».md", &[Bare]);
    check(
        "«pieces-asset:/ID/retry.rs», «pieces-asset:/ID»",
        &[AssetUri, AssetUri],
    );
    check("(«pieces-asset:/ID/a%20b.rs»)", &[AssetUri]);
    check(
        "[x](«pieces-conversation:/ID/Retry%20it.md»).",
        &[ConversationUri],
    );
    check("https://example.org/«ID»/x", &[Bare]);
    check("«pieces-asset:/ID/pieces-asset:/ID/a.rs»", &[AssetUri]);
    check("------------------------------------", &[]);
    check("0b9f6f0e-7d0b-4d4e-9d5e2f7f3c1f4a10-1", &[]);
}

#[test]
fn in_a_long_line_only_what_is_near_is_read_and_nothing_is_cut() {
    let link = format!("pieces-asset:/{ID}/{}", "é".repeat(127));
    let line = format!(
        "{}{link} {}",
        "x ".repeat(500),
        format!("{ID} ").repeat(1000)
    );
    let document = Document::detached(&line, Encoding::Utf16);
    for column in [1000, 1010, 1000 + 14 + 36 + 1 + 127] {
        let cursor = Position::new(0, column);
        let found: Vec<Located> = touched(&document, LspRange::new(cursor, cursor)).collect();
        assert_eq!(found.len(), 1, "{column}");
        assert_eq!(&line[found[0].reference.span.clone()], link);
    }
}

#[test]
fn a_name_ends_after_255_bytes_at_a_whole_character() {
    let check = |name: String, kept: usize| {
        let text = format!("pieces-asset:/{ID}/{name}");
        let found: Vec<Reference> = scan(&text).collect();
        let end = text.len() - name.len() + kept;
        assert_eq!(found[0].span, 0..end, "{name}");
    };
    check("a".repeat(255), 255);
    check("a".repeat(256), 255);
    check("é".repeat(200), 254);
    check(format!("{}.rs", "a".repeat(254)), 254);
}

#[test]
fn an_id_in_another_uri_of_ours_is_known_as_such() {
    let check = |text: &str, expected: &[bool]| {
        let document = Document::detached(&text.replace("ID", ID), Encoding::Utf16);
        let found = in_lines(&document, 0..1).map(|found| is_in_uri(&document, &found));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
    };
    check("see ID", &[false]);
    check("pieces-drop:/x/ID", &[true]);
    check("xpieces-conversation:/ID.md ID", &[true, false]);
    check("pieces-conversation:/ID", &[false]);
    check("pieces-lsp ID, (pieces-x) a:ID", &[false, false]);
}

#[test]
fn no_byte_of_a_chain_of_uris_is_read_twice() {
    for part in [
        "pieces-asset:/ID/",
        "pieces-asset:/ID/é",
        "pieces-conversation:///ID ",
    ] {
        let text = part.replace("ID", ID).repeat(200);
        let mut end = 0;
        for found in scan(&text) {
            assert!(end <= found.span.start, "{found:?} begins before {end}");
            assert!(found.span.len() < 400, "{found:?}");
            end = found.span.end;
        }
        assert!(end + 400 > text.len(), "the scan stopped at {end}");
    }
}

#[test]
fn uris_of_documents() {
    let check = |uri: &str, expected: Option<Form>| {
        let uri = url::Url::parse(&uri.replace("ID", ID)).unwrap();
        assert_eq!(id_of_uri(&uri).map(|(form, _)| form), expected, "{uri}");
    };
    check("pieces-conversation:/ID.md", Some(Form::ConversationUri));
    check("pieces-conversation:///ID.md", Some(Form::ConversationUri));
    check("pieces-asset:/ID/retry.rs", Some(Form::AssetUri));
    check("pieces-asset:/ID", Some(Form::AssetUri));
    check("file:///ID.md", None);
    check("pieces-asset:/x/ID", None);
}

#[test]
fn a_selection_is_read_no_further_than_a_menu_needs() {
    use crate::lsp::state::capabilities::Encoding;
    let line = format!("{ID}\n");
    let document = Document::detached(&line.repeat(MAX_MENU_LINES + 5), Encoding::Utf16);
    let at = |line| tower_lsp::lsp_types::Position::new(line, 0);
    let count = |start, end| touched(&document, LspRange::new(at(start), at(end))).count();
    assert_eq!(count(0, u32::MAX), MAX_MENU_LINES);
    assert_eq!(count(7, 9), 3);
}

/// Text made mostly of the parts of references.
fn any_text() -> impl Strategy<Value = String> {
    let id = "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let part = prop_oneof![
        6 => id,
        1 => id.prop_map(|id: String| id[..35].to_owned()),
        1 => id.prop_map(|id| id.replacen('-', "g", 1)),
        4 => "(pieces-conversation|pieces-asset|x-pieces-asset):/{0,4}",
        2 => "(\\.md|/a%20b\\.rs|/é\\.)?[ -.:;_]?",
        1 => "[-0-9a-f]{1,40}",
        1 => "\r\n|\n|[ \u{2028}\té😀]",
        1 => ".{0,5}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// A cursor at either end of a reference touches it, and a range from one (line, column) to another
/// touches only what is there, wherever it is and whichever way round.
fn cursors_touch(text: &str, utf8: bool, start: (u32, u32), end: (u32, u32)) {
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
    let range = LspRange::new(start, end);
    let selected = document.lines(range);
    let expected = all.into_iter().filter(|found| {
        let (span, bytes) = (
            &found.reference.span,
            document.bytes_in_line(found.line, range),
        );
        selected.contains(&found.line) && span.start <= bytes.end && bytes.start <= span.end
    });
    let touched: Vec<Located> = touched(&document, range).collect();
    assert_eq!(
        touched,
        expected.collect::<Vec<_>>(),
        "{range:?} in {text:?}"
    );
}

/// Text with at most one reference, which is in guillemets, and its form. Nothing of it joins what is beside it.
fn planted() -> impl Strategy<Value = (String, Option<Form>)> {
    let end = "[ \n(),;]";
    let reference = prop_oneof![
        Just(("«ID»", Form::Bare)),
        Just(("xpieces-conversation:/«ID».md", Form::Bare)),
        Just(("«pieces-conversation:/ID.md»", Form::ConversationUri)),
        Just(("«pieces-conversation:///ID»", Form::ConversationUri)),
        Just(("«pieces-asset:/ID/a%20b.rs»", Form::AssetUri)),
        Just(("«pieces-asset://ID»", Form::AssetUri)),
    ];
    let nothing = prop_oneof![
        "[0-9a-f]{0,40}",
        "ID(-|_|x)ID",
        "[g-z😀é/:.-]{0,8}",
        Just("IDx".to_owned())
    ];
    prop_oneof![
        (reference, end).prop_map(|((text, form), end)| (format!(" {text}{end}"), Some(form))),
        (nothing, end).prop_map(|(text, end)| (format!(" {text}{end}"), None)),
    ]
}

fn any_position() -> impl Strategy<Value = (u32, u32)> {
    let number = || prop_oneof![8 => 0u32..120, 1 => Just(u32::MAX), 1 => any::<u32>()];
    (number(), number()).prop_map(|(line, column)| (line % 9, column))
}

proptest! {
    #[test]
    fn finds_what_is_planted(parts in prop::collection::vec(planted(), 0..12)) {
        let marked: String = parts.iter().map(|(text, _)| text.as_str()).collect();
        let forms: Vec<_> = parts.iter().filter_map(|(_, form)| *form).collect();
        check(&marked, &forms);
    }

    #[test]
    fn spans_are_in_order_and_hold_their_ids(text in any_text()) {
        let mut end = 0;
        for Reference { id, span, form } in scan(&text) {
            assert!(end <= span.start && span.end <= text.len());
            let shown = text[span.clone()].to_ascii_lowercase();
            assert!(shown.contains(&id.to_string()), "{shown} {id}");
            assert_eq!(shown.contains(':'), form != Form::Bare, "{shown}");
            end = span.end;
        }
    }

    #[test]
    fn a_cursor_at_either_end_touches_it(
        text in any_text(), utf8 in any::<bool>(), start in any_position(), end in any_position(),
    ) {
        cursors_touch(&text, utf8, start, end);
    }
}
