//! The text of a message: Markdown that somebody else wrote.

use super::inline::is_hidden;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

/// Rounds of rewriting before a message is shown as it is, in a code block.
const ROUNDS: usize = 4;
/// Longer messages are shown as they are: parsing Markdown is not linear for every input.
const LONGEST: usize = 1 << 20;

/// The text of a message as Markdown that can stand between others: it keeps its paragraphs, lists,
/// tables and code, and has no HTML, no images, no links but to the web and to conversations, no headings
/// above the third level, and nothing that goes on behind its end.
pub fn body(text: &str) -> String {
    let shown = |c: &char| !is_hidden(*c) && (!c.is_control() || matches!(c, '\n' | '\t'));
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut text: String = text.chars().filter(shown).collect();
    text.truncate(text.trim_end().len());
    if text.len() <= LONGEST {
        for _ in 0..ROUNDS {
            let edits = offences(&text);
            if edits.is_empty() {
                if is_closed(&text) {
                    return text;
                }
                close(&mut text);
            }
            apply(&mut text, edits);
        }
    }
    literal(&text)
}

fn parser(text: &str) -> Parser<'_> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    Parser::new_ext(text, options)
}

/// What has to be inserted, and at which bytes, for the text to be harmless.
fn offences(text: &str) -> Vec<(usize, &'static str)> {
    let mut edits = Vec::new();
    let parser = parser(text);
    for (_, definition) in parser.reference_definitions().iter() {
        edits.push((definition.span.start, "\\"));
    }
    for (event, span) in parser.into_offset_iter() {
        match event {
            Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::HtmlBlock) => {
                let html = &text[span.clone()];
                edits.extend(
                    html.match_indices('<')
                        .map(|(at, _)| (span.start + at, "\\")),
                );
            }
            Event::Start(Tag::Image { .. }) => edits.push((span.start, "\\")),
            Event::Start(Tag::Link { dest_url, .. }) if !is_harmless(&dest_url) => {
                edits.push((span.start, "\\"));
            }
            Event::Start(Tag::Heading { level, .. }) if level < HeadingLevel::H3 => {
                edits.push(demoted(text, &span, level));
            }
            _ => {}
        }
    }
    edits.sort_unstable();
    edits.dedup();
    edits
}

/// The edit that makes a heading of level three, or a paragraph of an underlined one.
fn demoted(
    text: &str,
    span: &std::ops::Range<usize>,
    level: HeadingLevel,
) -> (usize, &'static str) {
    let heading = text[span.clone()].trim_end();
    if heading.starts_with('#') {
        let more = if level == HeadingLevel::H1 { "##" } else { "#" };
        return (span.start, more);
    }
    let underline = heading.rfind('\n').map_or(0, |at| at + 1);
    let indent = heading[underline..].find(['=', '-']).unwrap_or(0);
    (span.start + underline + indent, "\\")
}

/// Whether following a link only shows something: the web in the browser, or a conversation.
pub(super) fn is_harmless(url: &str) -> bool {
    let scheme = url
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(
        scheme.as_deref(),
        Some("http" | "https" | "mailto" | "pieces-conversation" | "pieces-asset")
    )
}

fn apply(text: &mut String, edits: Vec<(usize, &'static str)>) {
    for (at, insert) in edits.into_iter().rev() {
        text.insert_str(at, insert);
    }
}

/// What follows the text is on its own: no fence is left open.
fn is_closed(text: &str) -> bool {
    const NEXT: &str = "\n\nnext";
    let followed = format!("{text}{NEXT}");
    let mut depth = 0usize;
    let mut last = (usize::MAX, String::new());
    for event in parser(&followed) {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(text) => last = (depth, text.into_string()),
            _ => last = (usize::MAX, String::new()),
        }
    }
    last == (1, "next".to_owned())
}

/// Closes the fence that is open at the end.
fn close(text: &mut String) {
    let open = parser(text).into_offset_iter().filter_map(|(event, span)| {
        matches!(
            event,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_)))
        )
        .then_some(span.start)
    });
    let Some(start) = open.last() else { return };
    let fence = &text[start..];
    let mark = fence.chars().next().unwrap_or('`');
    let length = fence.chars().take_while(|c| *c == mark).count();
    let closing: String = std::iter::repeat_n(mark, length).collect();
    text.push('\n');
    text.push_str(&closing);
}

/// The text as it is, in a fence that nothing in it can close.
fn literal(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(runs.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::super::check::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bodies() {
        let check = |text: &str, expected: &str| assert_eq!(body(text), expected, "{text:?}");
        check(
            "plain *text* and `code`\n\n- a\n- b",
            "plain *text* and `code`\n\n- a\n- b",
        );
        check(
            "```rust\nfn <T>() {}\n# x\n![i](u)\n```",
            "```rust\nfn <T>() {}\n# x\n![i](u)\n```",
        );
        check("[go](https://example.org)", "[go](https://example.org)");
        check("[go](command:evil)", "\\[go](command:evil)");
        check("[go](javascript:x)", "\\[go](javascript:x)");
        check("[go](file:///etc/passwd)", "\\[go](file:///etc/passwd)");
        check("<command:evil>", "\\<command:evil>");
        check(
            "![pixel](https://example.org/p.png)",
            "\\![pixel](https://example.org/p.png)",
        );
        check("a <script>x</script>", "a \\<script>x\\</script>");
        check("[a]\n\n[a]: command:x", "\\[a]\n\n\\[a]: command:x");
        check("# One\n## Two\n### Three", "### One\n### Two\n### Three");
        check("Over\n====", "Over\n\\====");
        check("Over\n----\nx", "Over\n\\----\nx");
        check("```\nopen", "```\nopen\n```");
        check("~~~~ x\nopen ```\n", "~~~~ x\nopen ```\n~~~~");
        check("a\r\nb\rc\u{0}\u{202e}", "a\nb\nc");
        check("", "");
    }

    proptest! {
        #[test]
        fn no_body_does_anything(text in "([\\[\\]()!<>#=*`~: \\n-]|a|command:|https://x|<b>|```|\\]: |    ){0,40}") {
            a_body_does_nothing(&text);
            a_transcript_keeps_its_shape(&text, &text);
        }
    }
}
