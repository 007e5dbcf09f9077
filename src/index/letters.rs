//! The set of letters in a name, which rules out most names in a search before the matcher reads them.

use nucleo_matcher::chars;
use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// What a search needs to know about a name before it reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    /// The [`letter_set`] of the displayed name, composed.
    pub set: u64,
    /// Whether the displayed name has to be composed before the matcher reads it.
    pub decomposed: bool,
}

impl Letters {
    pub fn of(name: &str) -> Self {
        let name = composed(crate::markdown::visible(name));
        Letters {
            set: letter_set(&name),
            decomposed: matches!(name, Cow::Owned(_)),
        }
    }
}

/// The text with a letter and its accents as one character where there is one, as people type it. Names of files on
/// macOS have them apart, and the matcher reads only the first character of each.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    match text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfc().collect()),
    }
}

/// The same letters without the accents that the matcher takes off names. With an accent left in a query, the matcher
/// compares all of its accents.
pub(super) fn plain(query: &str) -> String {
    composed(query).chars().map(chars::normalize).collect()
}

/// The set of letters in `text`, folded like the matcher folds them: one bit each for a–z and 0–9; other
/// characters share the remaining bits. A name can match only if it has all bits of the query.
pub(super) fn letter_set(text: &str) -> u64 {
    if text.is_ascii() {
        return text.bytes().fold(0, |set, c| set | ascii_bit(c));
    }
    text.chars()
        .filter(|c| !c.is_whitespace())
        .fold(0, |set, c| set | bit(c))
}

fn bit(c: char) -> u64 {
    let folded = chars::to_lower_case(chars::normalize(c));
    match u8::try_from(folded) {
        Ok(folded) if folded.is_ascii() => ascii_bit(folded),
        _ => 1 << (36 + folded as u32 % 28),
    }
}

/// `None` for a blank.
fn ascii_bit(c: u8) -> u64 {
    const BITS: [u64; 256] = {
        let mut bits = [0; 256];
        let mut c = 0;
        while c < 128_u8 {
            bits[c as usize] = match c.to_ascii_lowercase() {
                b'\t'..=b'\r' | b' ' => 0,
                letter @ b'a'..=b'z' => 1 << (letter - b'a'),
                digit @ b'0'..=b'9' => 1 << (26 + digit - b'0'),
                other => 1 << (36 + other % 28),
            };
            c += 1;
        }
        bits
    };
    BITS[usize::from(c)]
}
