//! The plain text of a message, without Markdown.

use pulldown_cmark::{Event, Options, Parser};

/// Longer messages, in bytes, are taken as they are.
const LONGEST: usize = 1 << 20;

/// The words of a message as one line: no marks of Markdown, no line breaks, no control characters.
pub fn plain(text: &str) -> String {
    if text.len() > LONGEST {
        return super::label(text, text.len());
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut out = String::with_capacity(text.len());
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                out.push_str(&text);
            }
            Event::SoftBreak | Event::HardBreak | Event::Rule => out.push(' '),
            Event::End(end) if !is_within_words(end) => out.push(' '),
            _ => {}
        }
    }
    super::label(&out, out.len())
}

/// Whether what ends here may stand in the middle of a word.
fn is_within_words(end: pulldown_cmark::TagEnd) -> bool {
    use pulldown_cmark::TagEnd::{Emphasis, Image, Link, Strikethrough, Strong};
    matches!(end, Emphasis | Image | Link | Strikethrough | Strong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_removed_and_words_stay() {
        for (text, expected) in [
            (
                "Use **back**off, see [the *guide*](https://a.example).",
                "Use backoff, see the guide.",
            ),
            (
                "# One\ntwo\nthree\n\n- four\n- `five <T>`",
                "One two three four five <T>",
            ),
            (
                "```rust\nfn main() {}\n\tx\n```\nDone",
                "fn main() {} x Done",
            ),
            ("| a | b |\n|---|---|\n| c | d |", "a b c d"),
            ("a <b>c</b> &amp; 2 * 3", "a <b>c</b> & 2 * 3"),
            ("", ""),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
