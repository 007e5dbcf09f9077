//! The words of full-text search: how texts are indexed, how a query is written, and where a match is in a text.
//!
//! The index splits texts at spaces and punctuation, ignores case and accents, and finds whole words. In scripts without
//! spaces between words each letter is indexed as a word, and a query is a phrase of letters. So any part of a run of
//! letters is found.

use nucleo_matcher::chars;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::{Range, RangeInclusive};

/// Characters of a query that count. The index takes more than linear time in the number of words, and people type
/// words, not files.
const MOST_TYPED: usize = 1_000;
/// Words of a query that are located in a text; the other ones are only matched.
const MOST_LOCATED: usize = 32;

/// Letters of Chinese, Japanese and Korean. Korean has spaces, but its words take endings.
const EAST_ASIAN: &[RangeInclusive<char>] = &[
    '\u{1100}'..='\u{11FF}', // Hangul Jamo
    '\u{3005}'..='\u{3007}', // ideographic marks
    '\u{3041}'..='\u{309A}', // Hiragana
    '\u{309D}'..='\u{309F}',
    '\u{30A1}'..='\u{30FA}', // Katakana
    '\u{30FC}'..='\u{30FF}',
    '\u{3105}'..='\u{318E}', // Bopomofo, Hangul
    '\u{31A0}'..='\u{31BF}',
    '\u{31F0}'..='\u{31FF}',
    '\u{3400}'..='\u{4DBF}', // Han
    '\u{4E00}'..='\u{9FFF}',
    '\u{A960}'..='\u{A97C}', // Hangul
    '\u{AC00}'..='\u{D7FB}',
    '\u{F900}'..='\u{FAFF}',   // Han
    '\u{FF66}'..='\u{FFDC}',   // halfwidth forms
    '\u{20000}'..='\u{3FFFD}', // Han
];

/// Letters, vowel signs and tone marks of Southeast Asian scripts.
const SOUTHEAST_ASIAN: &[RangeInclusive<char>] = &[
    '\u{0E01}'..='\u{0E3A}', // Thai
    '\u{0E40}'..='\u{0E4E}',
    '\u{0E81}'..='\u{0ECE}', // Lao
    '\u{0EDC}'..='\u{0EDF}',
    '\u{1000}'..='\u{103F}', // Myanmar
    '\u{1050}'..='\u{108F}',
    '\u{109A}'..='\u{109D}',
    '\u{1780}'..='\u{17D3}', // Khmer
    '\u{17D7}'..='\u{17D7}',
    '\u{17DC}'..='\u{17DD}',
    '\u{1950}'..='\u{19C9}', // Tai Le, New Tai Lue
    '\u{1A20}'..='\u{1A7F}', // Tai Tham
    '\u{1B00}'..='\u{1B4C}', // Balinese
    '\u{A980}'..='\u{A9C0}', // Javanese
    '\u{A9E0}'..='\u{A9EF}', // Myanmar
    '\u{AA60}'..='\u{AADF}', // Myanmar, Tai Viet
];

/// The first letter of the tables, which rules out most texts quickly.
const FIRST: char = '\u{0E01}';

/// Whether a letter belongs to a script without spaces.
fn is_unspaced(c: char) -> bool {
    c >= FIRST && (within(EAST_ASIAN, c) || within(SOUTHEAST_ASIAN, c))
}

fn within(blocks: &[RangeInclusive<char>], c: char) -> bool {
    let after = blocks.partition_point(|block| *block.start() <= c);
    after > 0 && blocks[after - 1].contains(&c)
}

/// A letter as it is indexed. The tokenizer drops vowel signs of Southeast Asian scripts, so they are mapped to the
/// private planes, whose characters it takes for letters.
fn indexed(c: char) -> char {
    if c >= FIRST && within(SOUTHEAST_ASIAN, c) {
        return char::from_u32(0xF_0000 + u32::from(c)).unwrap_or(c);
    }
    c
}

/// Whether a text has letters of scripts without spaces, and so must be rewritten for the index.
pub(crate) fn has_unspaced(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(is_unspaced)
}

/// A text as it is indexed: with spaces around each letter of a script without spaces.
pub(crate) fn spaced(text: &str) -> Cow<'_, str> {
    if !has_unspaced(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut in_run = false;
    for c in text.chars() {
        let unspaced = is_unspaced(c);
        if unspaced || in_run {
            out.push(' ');
        }
        out.push(indexed(c));
        in_run = unspaced;
    }
    Cow::Owned(out)
}

/// One word of a query.
#[derive(Debug, PartialEq, Eq)]
struct Word<'a> {
    text: &'a str,
    /// Letters of a script without spaces, found anywhere.
    unspaced: bool,
}

/// The class of a character of a query; `None` if it separates words.
fn class(c: char) -> Option<bool> {
    match is_unspaced(c) {
        true => Some(true),
        false => (c.is_alphanumeric() || is_accent(c)).then_some(false),
    }
}

/// A mark that the index ignores, as it does accents of letters that have one.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}')
}

fn words(typed: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = typed;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| class(c).is_none());
        let first = class(rest.chars().next()?)?;
        let end = rest.find(|c| class(c) != Some(first)).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        rest = after;
        Some(Word {
            text,
            unspaced: first,
        })
    })
}

/// Typed text as an FTS5 query: every word must occur, the last as a prefix. `None` if there is no word. Of a long text
/// only the beginning counts.
pub(crate) fn query(typed: &str) -> Option<String> {
    let end = typed.char_indices().nth(MOST_TYPED);
    let typed = &typed[..end.map_or(typed.len(), |(at, _)| at)];
    let mut out = String::new();
    for Word { text, .. } in words(typed) {
        let separator = if out.is_empty() { "" } else { " " };
        // Writing to a String cannot fail. Quoted, so no word is an operator.
        let _ = write!(out, "{separator}\"{}\"", spaced(text).trim());
    }
    if out.is_empty() {
        return None;
    }
    out.push('*');
    Some(out)
}

/// The range of the match in a text, in bytes: the whole query, or else the first of its words. Linear in the text for
/// each of the first few words.
pub(crate) fn find(text: &str, typed: &str) -> Option<Range<usize>> {
    let folded = fold(text);
    let words: Vec<Word<'_>> = words(typed).take(MOST_LOCATED).collect();
    let whole = fold(typed.trim_matches(|c| class(c).is_none()));
    let last = words.len().checked_sub(1)?;
    let found = place(&folded, &whole, true).or_else(|| {
        let places = words.iter().enumerate();
        let places = places.filter_map(|(at, word)| place(&folded, &fold(word.text), at == last));
        places.min_by_key(|place| place.start)
    })?;
    Some(unfolded(text, found.start)..unfolded(text, found.end))
}

/// Folds case and removes accents. Each character becomes one character or none.
fn fold(text: &str) -> String {
    text.chars().filter_map(folded).collect()
}

fn folded(c: char) -> Option<char> {
    (!is_accent(c)).then(|| chars::to_lower_case(chars::normalize(c)))
}

/// The byte of `text` that became byte `at` when it was folded.
fn unfolded(text: &str, at: usize) -> usize {
    let mut length = 0;
    for (place, c) in text.char_indices() {
        // Accents belong to the letter before them.
        if let Some(c) = folded(c) {
            if length >= at {
                return place;
            }
            length += c.len_utf8();
        }
    }
    text.len()
}

/// The first match of a word: anywhere in a run of letters without spaces, else as a whole word, or as a prefix.
fn place(text: &str, word: &str, may_go_on: bool) -> Option<Range<usize>> {
    let goes_on = |c: Option<char>| c.is_some_and(|c| class(c) == Some(false));
    let first = word.chars().next()?;
    let last = word.chars().next_back()?;
    text.match_indices(word)
        .map(|(start, found)| start..start + found.len())
        .find(|at| {
            let before = text[..at.start].chars().next_back();
            let after = text[at.end..].chars().next();
            (is_unspaced(first) || !goes_on(before))
                && (is_unspaced(last) || may_go_on || !goes_on(after))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_text_never_becomes_syntax() {
        for (typed, expected) in [
            ("retry", Some("\"retry\"*")),
            ("retry jitter", Some("\"retry\" \"jitter\"*")),
            (
                "a OR \"b\" NEAR(c)",
                Some("\"a\" \"OR\" \"b\" \"NEAR\" \"c\"*"),
            ),
            ("cafe\u{301}s", Some("\"cafe\u{301}s\"*")),
            ("部署", Some("\"部 署\"*")),
            ("用Rust写", Some("\"用\" \"Rust\" \"写\"*")),
            ("배포 grau", Some("\"배 포\" \"grau\"*")),
            ("  -- ;'", None),
            ("", None),
        ] {
            assert_eq!(query(typed).as_deref(), expected, "{typed}");
        }
    }

    #[test]
    fn of_a_pasted_text_only_the_beginning_is_searched() {
        for pasted in ["a b ", "語", "x"] {
            let found = query(&pasted.repeat(100_000)).unwrap();
            assert!(found.len() < 10 * MOST_TYPED, "{} bytes", found.len());
        }
    }

    #[test]
    fn only_texts_in_scripts_without_spaces_are_rewritten() {
        for same in [
            "",
            "Über 12 naïve-test",
            "हिन्दी में",
            "שלום",
            "،مرحبا",
            "。、！「」",
        ] {
            assert!(matches!(spaced(same), Cow::Borrowed(_)), "{same}");
        }
        assert_eq!(spaced("用Rust写。2"), " 用 Rust 写 。2");
        // Vowel signs count.
        assert_ne!(spaced("ปรับ"), spaced("ปรบ"));
        assert_eq!(spaced("ปรับ").split_whitespace().count(), 4);
    }

    #[test]
    fn blocks_are_in_order() {
        for blocks in [EAST_ASIAN, SOUTHEAST_ASIAN] {
            assert!(blocks.windows(2).all(|two| two[0].end() < two[1].start()));
            assert!(blocks.iter().all(|block| block.start() <= block.end()));
            assert!(blocks.iter().all(|block| *block.start() >= FIRST));
        }
    }

    #[test]
    fn places() {
        for (text, typed, expected) in [
            ("a retry helper", "RETRY", Some("retry")),
            (
                "use exponential backoff",
                "exponential back",
                Some("exponential back"),
            ),
            (
                "backoff, exponential",
                "exponential backoff",
                Some("backoff"),
            ),
            ("a backoffice", "backoff x", None),
            ("prefix fix", "fix", Some("fix")),
            ("un café noir", "CAFE", Some("café")),
            ("un cafe\u{301} noir", "café", Some("cafe\u{301}")),
            ("STRASSE und Überlauf", "uber", Some("Über")),
            ("今天讨论了部署方案", "部署", Some("部署")),
            ("배포를 방안을", "방안", Some("방안")),
            ("วันนี้คุยเรื่องการปรับใช้", "การปรับ", Some("การปรับ")),
            ("用Rust写", "rust", Some("Rust")),
            ("nothing", "else", None),
            ("", "x", None),
            ("x", "", None),
            ("x", "-", None),
        ] {
            let found = find(text, typed).map(|at| &text[at]);
            assert_eq!(found, expected, "{typed} in {text}");
        }
        assert_eq!(find("prefix fix", "fix"), Some(7..10));
    }
}
