//! The beginning of a message, for a line of a list.

use super::label;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Bytes that are read for each character that is wanted: marks, addresses and code take most of a text.
const BYTES_PER_CHAR: usize = 24;

/// The beginning of a message as one line of plain text of at most `most` characters, cut at a word, without marks and
/// code blocks. If the text has only code, the beginning of the code.
pub fn gist(text: &str, most: usize) -> String {
    let mut end = text.len().min(most * BYTES_PER_CHAR);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let (mut said, mut code, mut in_code) = (String::new(), String::new(), false);
    for event in Parser::new_ext(&text[..end], options) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(text) if in_code => code.push_str(&text),
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) | Event::Html(text) => {
                said.push_str(&text)
            }
            Event::End(
                TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link,
            ) => {}
            Event::End(_) | Event::SoftBreak | Event::HardBreak => said.push(' '),
            _ => {}
        }
    }
    let said = if said.trim().is_empty() { code } else { said };
    at_a_word(&said, most)
}

/// One line of at most `most` characters, cut after a word unless the last word is very long.
fn at_a_word(text: &str, most: usize) -> String {
    let whole = label(text, usize::MAX - 1);
    if whole.chars().count() <= most {
        return whole;
    }
    let cut: String = whole.chars().take(most).collect();
    let next = whole[cut.len()..].chars().next();
    let cut = match cut.rfind(' ') {
        Some(space) if space > cut.len() / 2 && next != Some(' ') => &cut[..space],
        _ => &cut,
    };
    let cut = cut.trim_end_matches([' ', ',', ';', ':', '.', '-', '–', '—']);
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_marks() {
        let check = |text: &str, expected: &str| assert_eq!(gist(text, 40), expected, "{text:?}");
        check(
            "Why **does** `this` [leak](https://x.org)?",
            "Why does this leak?",
        );
        check("# One\n\ntwo\nthree\n\n- a\n- b", "One two three a b");
        check("Yes.\n```rust\nlet x = 1;\n```\nDone.", "Yes. Done.");
        check("```rust\nlet x = 1;\n```", "let x = 1;");
        check("```rust\nlet half", "let half");
        check("a Vec<String> of x\\_y", "a Vec<String> of x_y");
        check("| a | b |\n|---|---|\n| c | d |", "a b c d");
        check(
            "The first forty characters, and then some more of them.",
            "The first forty characters, and then…",
        );
        check(&"x".repeat(50), &format!("{}…", "x".repeat(40)));
        check("", "");
        check(" \u{200b} ", "");
    }

    #[test]
    fn only_the_beginning_is_read() {
        let text = format!("Begin {}", "[x](https://example.org) ".repeat(100_000));
        assert!(gist(&text, 80).starts_with("Begin x x"));
        let text = "é".repeat(10_000);
        assert_eq!(gist(&text, 3), "ééé…");
    }
}
