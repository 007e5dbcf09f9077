//! A key that is never shown, even if the endpoint quotes it back.

use std::fmt;
use std::mem;

use super::limits;

/// The replacement of a key.
const CUT: &str = "[key]";
/// A shorter text is not a secret, and removing it would damage sentences.
const SHORTEST: usize = 5;
/// Placeholder keys such as `lm-studio` and `sk-no-key-required` may be words of an answer, so they are not removed from
/// answers. Real keys are at least this long and have digits.
const SHORTEST_IN_ANSWERS: usize = 16;

/// A key. `Debug` does not show it; only [`expose`](Self::expose) returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text, trimmed. `None` if it is empty.
    pub fn new(text: &str) -> Option<Secret> {
        let text = text.trim();
        (!text.is_empty()).then(|| Secret(text.to_owned()))
    }

    /// The text, for the one header that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    fn is_in_no_sentence(&self) -> bool {
        self.0.len() >= SHORTEST_IN_ANSWERS && self.0.bytes().any(|byte| byte.is_ascii_digit())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A text of the endpoint for users: on one line, without control characters and without the key.
pub(super) fn cleaned(text: &str, key: Option<&Secret>) -> String {
    let mut clean = String::with_capacity(text.len());
    // Control characters are removed first: removing them later could reassemble the key.
    for c in text.chars() {
        let blank = c.is_whitespace() || c.is_control();
        match blank {
            true if clean.ends_with(' ') || clean.is_empty() => {}
            true => clean.push(' '),
            false => clean.push(c),
        }
    }
    let clean = clean.trim_end();
    match key {
        Some(key) if key.0.len() >= SHORTEST => clean.replace(&key.0, CUT),
        _ => clean.to_owned(),
    }
}

/// The endpoint's own sentence, [`cleaned`] and cut at 1 KiB. `None` if nothing is left.
pub(super) fn detail(text: &str, key: Option<&Secret>) -> Option<String> {
    let mut clean = cleaned(text, key);
    if clean.len() > limits::DETAIL {
        let mut end = limits::DETAIL - '…'.len_utf8();
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        clean.truncate(end);
        clean.push('…');
    }
    (!clean.is_empty()).then_some(clean)
}

/// Removes a key from a streamed answer.
#[derive(Default)]
pub(super) struct Cutter {
    key: Option<Secret>,
    /// The end of the text so far, held back because it may be the beginning of the key.
    held: String,
}

impl Cutter {
    pub(super) fn new(key: Option<&Secret>) -> Cutter {
        Cutter {
            key: key.filter(|key| key.is_in_no_sentence()).cloned(),
            held: String::new(),
        }
    }

    /// The next part of the text.
    pub(super) fn push(&mut self, text: String) -> String {
        let Some(Secret(key)) = &self.key else {
            return text;
        };
        let mut text = mem::take(&mut self.held) + &text;
        if text.contains(key.as_str()) {
            text = text.replace(key.as_str(), CUT);
        }
        let mut lengths = (1..key.len().min(text.len() + 1)).rev();
        let fits = |length: &usize| text.as_bytes().ends_with(&key.as_bytes()[..*length]);
        if let Some(length) = lengths.find(fits) {
            self.held = text.split_off(text.len() - length);
        }
        text
    }

    /// The end of the answer: returns the text that was held back.
    pub(super) fn finish(&mut self) -> String {
        mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-canary-0123456789";

    #[test]
    fn a_secret_never_shows_itself() {
        let secret = Secret::new(&format!(" {KEY}\n")).unwrap();
        assert_eq!(secret.expose(), KEY);
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(Secret::new(" \n"), None);
    }

    #[test]
    fn details_are_short_clean_and_without_the_key() {
        let key = Secret::new(KEY);
        let table = [
            ("plain", Some("plain")),
            ("a\r\n\tb\u{1b}[31mc", Some("a b [31mc")),
            (&format!("bad key {KEY}."), Some("bad key [key].")),
            (&format!("{KEY}{KEY}"), Some("[key][key]")),
            (" \n", None),
        ];
        for (text, expected) in table {
            assert_eq!(detail(text, key.as_ref()).as_deref(), expected, "{text:?}");
        }
        // The key is not cut in half at the limit, nor put together by the cleaning.
        for before in 1000..1030 {
            let text = format!("{}{KEY}", "é".repeat(before / 2));
            let shown = detail(&text, key.as_ref()).unwrap();
            assert!(
                shown.len() <= limits::DETAIL && !shown.contains("sk-"),
                "{shown}"
            );
        }
        assert_eq!(
            detail("a ollama b", Secret::new("x").as_ref()).as_deref(),
            Some("a ollama b")
        );
    }

    #[test]
    fn answers_are_without_the_key_however_they_are_split() {
        let text = format!("a {KEY} b sk-canary-0 {KEY}{KEY} sk-sk-canary-01 é sk-");
        let expected = "a [key] b sk-canary-0 [key][key] sk-sk-canary-01 é sk-";
        let read = |parts: &mut dyn Iterator<Item = &str>, key: &str| {
            let mut cutter = Cutter::new(Secret::new(key).as_ref());
            let mut read: String = parts.map(|part| cutter.push(part.to_owned())).collect();
            read.push_str(&cutter.finish());
            read
        };
        assert_eq!(read(&mut [&*text].into_iter(), KEY), expected);
        for size in 1..8 {
            let chars: Vec<String> = text
                .chars()
                .collect::<Vec<_>>()
                .chunks(size)
                .map(|part| part.iter().collect())
                .collect();
            assert_eq!(
                read(&mut chars.iter().map(String::as_str), KEY),
                expected,
                "{size}"
            );
        }
        // Words that people use where no key is needed stay.
        for word in ["ollama", "lm-studio", "sk-no-key-required"] {
            assert_eq!(read(&mut [word].into_iter(), word), word);
        }
    }
}
