//! Finds the message that a place in a document shows. A section counts only if its text equals that of the message,
//! so no text can pose as another message, and an edited section is not found.

use crate::markdown::Part;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
use std::ops::Range;

/// Headings above a place that are tried: code has lines that look like headings.
const HEADINGS: usize = 16;

/// A message in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its place among the parts.
    pub message: usize,
    /// Its bytes in the document.
    pub range: Range<usize>,
}

/// The message at this byte. `render` writes a part as a section, with an empty line before it.
pub(crate) fn message_at(
    text: &str,
    at: usize,
    parts: &[Part<'_>],
    render: impl Fn(&Part<'_>) -> String,
) -> Option<Shown> {
    let mut starts: Vec<usize> = Vec::new();
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        if line_start > at {
            break;
        }
        if line.starts_with("## ") {
            starts.push(line_start);
        }
        line_start += line.len();
    }
    let sections: Vec<(String, String)> = parts
        .iter()
        .map(|part| {
            let part = Part {
                time: String::new(),
                ..part.clone()
            };
            let section = render(&part);
            let (heading, rest) = section
                .trim_start_matches('\n')
                .split_once('\n')
                .unwrap_or_default();
            (heading.to_owned(), rest.to_owned())
        })
        .collect();
    starts.iter().rev().take(HEADINGS).find_map(|start| {
        let (heading, below) = text[*start..].split_once('\n')?;
        let body = match below.split_once('\n') {
            Some((time, body)) if time.starts_with('*') && time.ends_with('*') => body,
            _ => below,
        };
        let is_shown = |(own, rest): &(String, String)| {
            own == heading && !rest.is_empty() && body.starts_with(rest.as_str())
        };
        let mut same = (0..parts.len()).filter(|one| is_shown(&sections[*one]));
        let first = same.next()?;
        let rest = &sections[first].1;
        let begin = text.len() - body.len();
        let range = *start..begin + rest.len();
        if !range.contains(&at) {
            return None;
        }
        // Of messages with equal texts, take the one with as many equal ones before it.
        let before = text[..*start].matches(rest.as_str()).count();
        let all: Vec<usize> = std::iter::once(first).chain(same).collect();
        let message = all[before.min(all.len() - 1)];
        Some(Shown { message, range })
    })
}

/// The text of the fenced block around a byte of a section.
pub(crate) fn block_at(section: &str, at: usize) -> Option<String> {
    let mut inside = false;
    let mut code = String::new();
    for (event, span) in Parser::new(section).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                inside = span.start <= at && at <= span.end;
            }
            Event::Text(text) if inside => code.push_str(&text),
            Event::End(TagEnd::CodeBlock) if inside => return Some(code),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(role: &str, text: &'static str) -> Part<'static> {
        Part {
            role: role.into(),
            time: "14:03".into(),
            text: Some(text),
            ..Part::default()
        }
    }

    fn parts() -> Vec<Part<'static>> {
        vec![
            part("You", "Why?"),
            part("Assistant", "Because:\n\n```md\n## You\nx\n```"),
            part("You", "Why?"),
            part("Assistant", "Yes."),
        ]
    }

    fn text() -> String {
        let sections: String = parts().iter().map(|part| part.render(&[])).collect();
        format!("# Retry\n{sections}")
    }

    fn found(text: &str, needle: &str, nth: usize) -> Option<usize> {
        let at = text.match_indices(needle).nth(nth).unwrap().0;
        message_at(text, at, &parts(), |part| part.render(&[])).map(|shown| shown.message)
    }

    #[test]
    fn messages_are_found_by_what_they_say() {
        let text = text();
        assert_eq!(found(&text, "Why?", 0), Some(0));
        assert_eq!(found(&text, "Why?", 1), Some(2));
        assert_eq!(found(&text, "x\n```", 0), Some(1));
        assert_eq!(found(&text, "Yes.", 0), Some(3));
        assert_eq!(found(&text, "# Retry", 0), None);
        // The day after, the time is another one.
        assert_eq!(
            found(&text.replace("*14:03*", "*Wed 14:03*"), "Yes.", 0),
            Some(3)
        );
        // An edited section is not a message any more.
        assert_eq!(found(&text.replace("Yes.", "Yes!"), "Yes!", 0), None);
    }

    #[test]
    fn blocks_around_a_place() {
        let section = "## Assistant\n\n```rs\nfn a() {}\n```\n\nand\n\n~~~\nb\n~~~\n";
        let check = |needle: &str, expected: Option<&str>| {
            let at = section.find(needle).unwrap();
            assert_eq!(block_at(section, at).as_deref(), expected, "{needle}");
        };
        check("```rs", Some("fn a() {}\n"));
        check("() {}", Some("fn a() {}\n"));
        check("and", None);
        check("b\n", Some("b\n"));
        check("## A", None);
    }
}
