//! The set of letters in a name, which rules out most names in a search before the matcher reads them.

use nucleo_matcher::chars;

/// The set of letters in `text`, folded like the matcher folds them: one bit each for a–z and 0–9; other
/// characters share the remaining bits. A name can match only if it has all bits of the query.
pub(super) fn letters(text: &str) -> u64 {
    letter_set(crate::markdown::visible(text))
}

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
