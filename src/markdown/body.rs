//! The text of a message: untrusted Markdown.
//!
//! The text is changed as little as possible. Whatever one of the common parsers (pulldown-cmark, cmark-gfm, micromark,
//! markdown-it) could take for HTML, an image or a link that leaves the web is escaped, and a block on which they may
//! differ goes into a fence. Every pass is linear in the text.

use super::outline::{Block, Outline};
use super::{lines, scan};
use std::ops::Range;

/// Rounds of rewriting, after which the message is shown verbatim in a fence.
const ROUNDS: usize = 5;
/// Longer messages, in bytes, are shown in a fence.
const LONGEST: usize = 1 << 20;
/// Deeper lists and quotes are shown in a fence: parsers stop at different depths.
const DEEPEST: usize = 32;

/// A change of the text: the replacement of the bytes of `range`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edit {
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) with: String,
}

impl Edit {
    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }

    pub(super) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            at: range.start,
            end: range.end,
            with: text.into(),
        }
    }
}

/// The text of a message as Markdown that can stand between others: it keeps its paragraphs, lists,
/// tables and code, and has no HTML, no images, no links except to the web and to conversations, no headings
/// above the third level, no link definitions, and no block that continues after its end.
pub fn body(text: &str) -> String {
    let original = cleaned(text);
    if original.len() > LONGEST || is_deep(&original) {
        return literal(&original);
    }
    let mut text = original.clone();
    for _ in 0..ROUNDS {
        match revised(&text) {
            Some(next) => text = next,
            None => return text,
        }
    }
    literal(&original)
}

/// One kind of line end, no control characters, nothing behind the end, no space behind a closing fence.
fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                clean.push('\n');
            }
            '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\n' | '\t' => clean.push(c),
            c if c.is_control() || super::inline::forces_direction(c) || c == '\u{feff}' => {}
            c => clean.push(c),
        }
    }
    clean.truncate(clean.trim_end().len());
    let mut out = String::with_capacity(clean.len());
    for line in clean.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', ' ', '\t']);
        match lines::fence(lines::unprefixed(bare)) {
            // Readers differ on a tab behind a fence.
            Some(fence)
                if fence.info.is_empty() && bare.len() < line.trim_end_matches('\n').len() =>
            {
                out.push_str(bare);
                out.push_str(if line.ends_with('\n') { "\n" } else { "" });
            }
            _ => out.push_str(line),
        }
    }
    out
}

/// Whether lists and quotes lie deeper than readers agree on.
fn is_deep(text: &str) -> bool {
    text.lines().any(|line| {
        let prefix = line.len() - lines::unprefixed(line).len();
        let prefix = &line.as_bytes()[..prefix];
        let marks = prefix
            .iter()
            .filter(|c| !matches!(c, b' ' | b'\t' | b'0'..=b'9'));
        let indent = prefix.iter().take_while(|c| matches!(c, b' ' | b'\t'));
        let marks = marks.count();
        marks > DEEPEST || marks > 0 && indent.count() > 4 * DEEPEST
    })
}

/// The text with the necessary changes; `None` if there are none.
fn revised(text: &str) -> Option<String> {
    let mut outline = Outline::of(text);
    scan::scan(text, &mut outline);
    let Outline {
        mut edits, blocks, ..
    } = outline;
    if edits.is_empty() && blocks.iter().all(|block| !block.doubtful) {
        return None;
    }
    edits.sort_unstable();
    edits.dedup();
    let mut edits = edits.into_iter().peekable();
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for Block { range, doubtful } in blocks {
        if doubtful {
            let source = text[range.clone()].trim_matches('\n');
            let gap = out.len() - out.trim_end_matches('\n').len();
            let missing = if out.is_empty() {
                0
            } else {
                2usize.saturating_sub(gap)
            };
            out.push_str(&"\n\n"[..missing]);
            out.push_str(&literal(source));
            let more = text[range.end..].bytes().take(1).next();
            out.push_str(match more {
                None => "",
                Some(b'\n') => "\n",
                Some(_) => "\n\n",
            });
            while edits.next_if(|edit| edit.at < range.end).is_some() {}
            continue;
        }
        let mut at = range.start;
        let last = range.end == text.len();
        while let Some(edit) = edits.next_if(|edit| edit.at < range.end || last) {
            // If two changes overlap, the first is applied; the next round finds the other.
            if edit.at >= at {
                out.push_str(&text[at..edit.at]);
                out.push_str(&edit.with);
                at = edit.end;
            }
        }
        out.push_str(&text[at.min(range.end)..range.end]);
    }
    Some(out)
}

/// The text verbatim, in a fence longer than any in it.
fn literal(text: &str) -> String {
    in_fence(text, "text")
}

fn in_fence(text: &str, language: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(runs.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// Code in a fence. A language with characters that have another meaning to a parser is left out.
pub(super) fn code(text: &str, language: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-#._".contains(c);
    let language = if language.chars().all(plain) {
        language
    } else {
        ""
    };
    in_fence(cleaned(text).trim_start_matches('\n'), language)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(body(text), expected, "{text:?}");
    }

    #[test]
    fn bodies() {
        for same in [
            "plain *text* and `code`\n\n- a\n- b",
            "```rust\nfn <T>() {}\n# x\n![i](u)\n```",
            "1. one\n   ```c++\n   a <b>\n   ```\n2. two",
            "[go](https://example.org)",
            "<https://example.org/a?b=c&d=(e)>, <me@example.org>",
            "| a | b |\n|---|---|\n| `<x>` | y |",
            "Plan: a_b, 2 * 3, C#, x < y && y > z, i<n; $5, ~1, 50%, f(x)[0]: done!",
            "~~no~~ and **yes**\n***\n> quoted\n\n- [ ] to do\n- [x] done",
            "می\u{200c}خواهم क\u{94d}\u{200d}ष 👩\u{200d}💻 \u{2067}שלום\u{2069}",
            "",
        ] {
            check(same, same);
        }
        check("[go](command:evil)", "\\[go](command:evil)");
        check("[go](javascript:x)", "\\[go](javascript:x)");
        check("[go](file:///etc/passwd)", "\\[go](file:///etc/passwd)");
        check("[go](< command:evil>)", "\\[go](< command:evil>)");
        check("<command:evil>", "\\<command:evil>");
        check(
            "![pixel](https://example.org/p.png)",
            "\\![pixel](https://example.org/p.png)",
        );
        check("a <script>x</script>", "a \\<script>x\\</script>");
        check("# One\n## Two\n### Three", "### One\n### Two\n### Three");
        check("Over\n====", "Over\n\\====");
        check("Over\n----\nx", "Over\n\\----\nx");
        check("a\r\nb\rc\u{0}\u{202e}", "a\nb\nc");
        check("a\u{2028}b", "a\nb");
    }

    #[test]
    fn fences_close_for_every_reader() {
        check("```\nopen", "```\nopen\n```");
        check("~~~~ x\nopen ```\n", "~~~~ x\nopen ```\n~~~~");
        check("```sh\nls\n```\t\nDone. <b>", "```sh\nls\n```\nDone. \\<b>");
        check("- a\n  ```\n  half", "- a\n  ```\n  half");
        // Where a closing fence may stand too deep, everything goes into a longer one.
        check(
            "```\na\n    ```\n<b>\n```",
            "````text\n```\na\n    ```\n<b>\n```\n````",
        );
        check(
            "- a\n\n ```\n <b>\n ```",
            "- a\n\n````text\n ```\n <b>\n ```\n````",
        );
        check("```a|b <x>\n1\n```", "```a\n1\n```");
    }

    #[test]
    fn tables_are_tables_for_every_reader() {
        check(
            "| a |\n|---|\n| `x|<b>` |",
            "```text\n| a |\n|---|\n| `x|<b>` |\n```",
        );
        check("| a | b\n:-\n", "| a | b\n\\:-");
        check("a `<b>|`\n-|-\n", "a `\\<b>|`\n-|-");
    }

    #[test]
    fn links_without_brackets_take_no_escape_in() {
        check(
            "see https://a.example/<img src=x> and https://b.example<br>more",
            "see <https://a.example/>&lt;img src=x> and <https://b.example>&lt;br>more",
        );
        check("www.a.example/<b>", "www.a.example/&lt;b>");
        check("https://a.example/\\<b>", "https://a.example/&lt;b>");
        check("[x https://a/](command:y)", "\\[x https://a/](command:y)");
        check(
            "[[x https://a/](command:y)",
            "[[x https://a/&#93;(command:y)",
        );
        check("https://a/[x y](command:y)", "https://a/[x y\\](command:y)");
        check("\\<https://x.org>(<b>", "\\<https://x.org>(&lt;b>");
        check("https://a/(<b>", "https://a/(&lt;b>");
        check(
            "https://a/`x y` `<b>`",
            "```text\nhttps://a/`x y` `<b>`\n```",
        );
    }

    #[test]
    fn definitions_answer_for_no_other_message() {
        check("[a]\n\n[a]: command:x", "[a]\n\n\\[a]: command:x");
        check(
            "[a], [b][a], [c][]\n\n[a]: https://x.org/(q) \"t\"\n[C]: https://y.org",
            "[a](https://x.org/%28q%29), [b](https://x.org/%28q%29), [c](https://y.org)\n\n\\[a]: https://x.org/(q) \"t\"\n\\[C]: https://y.org",
        );
        check("x [^1]\n\n[^1]: note", "x [^1]\n\n\\[^1]: note");
        check("- [ ] [a]: command:x", "- [ ] \\[a]: command:x");
        check("- [ ] \n  ===", "- [ ] \n  \\===");
        check("> [a\n> b]: command:x", "> \\[a\n> b]: command:x");
        // An address that would be written out often is not.
        let long = format!(
            "[a]: https://x.org/{}\n\n{}",
            "y".repeat(10_000),
            "[a] ".repeat(10_000)
        );
        assert!(body(&long).len() < 3 * long.len());
    }

    #[test]
    fn blocks_on_which_readers_differ_go_into_a_fence() {
        check("a\n\n    <b>\n\nc", "a\n\n```text\n    <b>\n```\n\nc");
        check("`a <b> c` and d `e", "```text\n`a <b> c` and d `e\n```");
        check("<pre>\n```\n<b>\n", "````text\n<pre>\n```\n<b>\n````");
        let deep = format!("{}a <b>", "> ".repeat(40));
        check(&deep, &format!("```text\n{deep}\n```"));
    }
}
