//! Parsing JSON text that may be damaged.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny};

const BOM: &[u8] = "\u{feff}".as_bytes();

/// `json` without the byte order mark that some editors and tools put in front.
pub fn without_bom(json: &[u8]) -> &[u8] {
    json.strip_prefix(BOM).unwrap_or(json)
}

/// Parses `json`. A leading byte order mark is skipped; broken Unicode in strings (a lone surrogate, bytes
/// that are not UTF-8) becomes U+FFFD, because clients cut text in half; numbers beyond `f64` become `null`.
///
/// # Errors
/// Where the text is not JSON, or not a `T`.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    with_repair(json, |json| serde_json::from_slice(json))
}

/// The same for values that borrow: calls `read` with the text, and with the repaired text if that fails.
pub(crate) fn with_repair<T>(
    json: &[u8],
    read: impl Fn(&[u8]) -> serde_json::Result<T>,
) -> serde_json::Result<T> {
    let json = without_bom(json);
    read(json).or_else(|error| match repair(json) {
        Some(repaired) => read(&repaired),
        None => Err(error),
    })
}

/// Replaces invalid Unicode in strings by U+FFFD and numbers beyond `f64` by `null`. `None` if nothing
/// needed repair.
pub(crate) fn repair(json: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(json);
    let mut changed = matches!(text, Cow::Owned(_));
    let bytes = text.as_bytes();
    let mut repaired = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut string = false;
    while let Some(&byte) = bytes.get(at) {
        string ^= byte == b'"';
        if !string && let Some(length) = beyond_f64(&bytes[at..]) {
            repaired.extend_from_slice(b"null");
            changed = true;
            at += length;
            continue;
        }
        // `at` never points into an escape, so a backslash starts one and `\\u` is not taken for `\u`.
        let length = match (byte, unicode_escape(&bytes[at..])) {
            (_, Some(0xD800..0xDC00))
                if matches!(unicode_escape(&bytes[at + 6..]), Some(0xDC00..0xE000)) =>
            {
                12
            }
            (_, Some(0xD800..0xE000)) => {
                repaired.extend_from_slice(b"\\ufffd");
                changed = true;
                at += 6;
                continue;
            }
            (_, Some(_)) => 6,
            (b'\\', None) => 2,
            (b'0'..=b'9' | b'-', None) if !string => number(&bytes[at..]),
            _ => 1,
        };
        let end = bytes.len().min(at + length);
        repaired.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    changed.then_some(repaired)
}

/// Length of the number-like token at the start of `bytes`.
fn number(bytes: &[u8]) -> usize {
    let part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    bytes.iter().take_while(part).count()
}

/// Length of the number at the start of `bytes` if it is valid JSON but beyond `f64`.
fn beyond_f64(bytes: &[u8]) -> Option<usize> {
    let length = number(bytes);
    let number = &bytes[..length];
    let fits = length == 0 || serde_json::from_slice::<f64>(number).is_ok();
    (!fits && serde_json::from_slice::<IgnoredAny>(number).is_ok()).then_some(length)
}

/// The UTF-16 code unit of the `\uXXXX` at the start of `bytes`.
fn unicode_escape(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.starts_with('+') {
        None
    } else {
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_f64_are_null() {
        let digits = "9".repeat(400);
        let table = [
            ("[1e999]", Some("[null]")),
            ("[-1E+999,1e308]", Some("[null,1e+308]")),
            (&format!("{{\"a\":{digits}}}"), Some("{\"a\":null}")),
            (
                "[\"1e999\\\"1e999\", 1e999 ]",
                Some("[\"1e999\\\"1e999\",null]"),
            ),
            ("[1e999", None),
            ("[1e999e]", None),
            ("[01e999]", None),
        ];
        for (json, expected) in table {
            let read: Option<serde_json::Value> = from_slice(json.as_bytes()).ok();
            assert_eq!(
                read.map(|read| read.to_string()).as_deref(),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn only_broken_strings_are_repaired() {
        let table: &[(&[u8], Option<&str>)] = &[
            (br#""plain""#, Some("plain")),
            (br#""\ud83d\ude00""#, Some("😀")),
            (br#""a\ud83d""#, Some("a\u{fffd}")),
            (br#""\ude00\ud83d!""#, Some("\u{fffd}\u{fffd}!")),
            (br#""\\ud83d""#, Some("\\ud83d")),
            (br#""\\\ud83d""#, Some("\\\u{fffd}")),
            (b"\"a\xff\"", Some("a\u{fffd}")),
            (br#""\ud83d\n""#, Some("\u{fffd}\n")),
            (br#""\ud8"#, None),
            (br#""a"#, None),
            (br#"\"#, None),
        ];
        for (json, expected) in table {
            let got: Result<String, _> = from_slice(json);
            assert_eq!(
                got.as_deref().ok(),
                *expected,
                "{}",
                String::from_utf8_lossy(json)
            );
        }
    }

    #[test]
    fn one_byte_order_mark_is_skipped() {
        assert_eq!(from_slice::<u8>(b"\xef\xbb\xbf7").ok(), Some(7));
        assert!(from_slice::<u8>(b"\xef\xbb\xbf\xef\xbb\xbf7").is_err());
        assert!(from_slice::<u8>(b"\xef\xbb7").is_err());
        let both: String = from_slice(b"\xef\xbb\xbf\"\\ud800\"").unwrap();
        assert_eq!(both, "\u{fffd}");
    }

    #[test]
    fn repair_is_linear() {
        // Quadratic work on 8 MB would take hours.
        for part in ["\\ud800", "\\\\", "1e999,", "-", "9", "\""] {
            let text = part.repeat((8 << 20) / part.len());
            let _ = from_slice::<serde_json::Value>(text.as_bytes());
            let _ = from_slice::<serde_json::Value>(format!("[{text}").as_bytes());
        }
    }
}
