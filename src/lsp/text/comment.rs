//! Questions in comments: `// pieces: why does this leak when open fails?`

use crate::lsp::limits::MAX_COMMENT_LINES;
use crate::lsp::state::document::Document;
use ropey::RopeSlice;
use std::ops::Range;

/// Beginnings of comments in common languages, longer ones first.
const LEADERS: [&str; 18] = [
    "<!--", "///", "//!", "/**", "//", "/*", "(*", "{-", "--", "#", ";;", ";", "%", "\"\"\"", "\"",
    "'", "*", "REM",
];
/// Ends of comments, on the same line.
const CLOSERS: [&str; 6] = ["*/", "-->", "*)", "-}", "--}}", "\"\"\""];
/// The word that makes a comment a question.
const NAME: &str = "pieces:";
/// Bytes of a line in which a comment is searched.
const WIDEST: usize = 4096;

/// A question in a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub text: String,
    /// The lines of the comment, from 0.
    pub lines: Range<usize>,
}

/// The question in the comment on this line, which may begin on a line above.
pub(crate) fn question_at(document: &Document, line: usize) -> Option<Question> {
    let lowest = line.saturating_sub(MAX_COMMENT_LINES - 1);
    let mut asked = None;
    for start in (lowest..=line.min(document.text.len_lines().saturating_sub(1))).rev() {
        let text = bounded(document.line(start))?;
        if let Some((leader, words)) = begins(&text) {
            asked = Some((start, leader.to_owned(), without_closer(words).to_owned()));
            break;
        }
        // A comment continues only with the same leader.
        leader_of(text.trim_start())?;
    }
    let (start, leader, first) = asked?;
    let mut words = vec![first];
    let mut end = start + 1;
    while end < document.text.len_lines() && end < start + MAX_COMMENT_LINES {
        let Some(text) = bounded(document.line(end)) else {
            break;
        };
        let Some(more) = goes_on(&text, &leader) else {
            break;
        };
        words.push(without_closer(more).to_owned());
        end += 1;
    }
    if line >= end {
        return None;
    }
    let text = words.join(" ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    is_question(&text).then_some(Question {
        text,
        lines: start..end,
    })
}

fn bounded(line: RopeSlice<'_>) -> Option<String> {
    (line.len_bytes() <= WIDEST).then(|| line.to_string())
}

/// The leader and the text of a comment that begins with [`NAME`], on its own or after code.
fn begins(line: &str) -> Option<(&'static str, &str)> {
    let at = line.find(NAME)?;
    let before = line[..at].trim_end();
    let leader = LEADERS.iter().find(|leader| before.ends_with(**leader))?;
    let code = &before[..before.len() - leader.len()];
    let apart = code.is_empty() || code.ends_with(char::is_whitespace);
    apart.then_some((*leader, &line[at + NAME.len()..]))
}

fn leader_of(text: &str) -> Option<&'static str> {
    let found = LEADERS.iter().find(|leader| text.starts_with(**leader));
    found.copied()
}

/// The text of the next line of a comment, if it continues the question.
fn goes_on<'a>(line: &'a str, leader: &str) -> Option<&'a str> {
    let text = line.trim_start();
    let line_leader = match leader {
        "/*" | "/**" => "*",
        leader => leader,
    };
    let rest = text.strip_prefix(line_leader)?;
    // Another question, or the end of the block.
    let says = !rest.trim_start().starts_with(NAME) && !rest.starts_with('/');
    says.then_some(rest).filter(|rest| !rest.trim().is_empty())
}

fn without_closer(text: &str) -> &str {
    let text = text.trim();
    let closer = CLOSERS.iter().find_map(|closer| text.strip_suffix(closer));
    closer.unwrap_or(text).trim()
}

/// A single word may document a field called `pieces`, unless it ends with a question mark.
fn is_question(text: &str) -> bool {
    let asks = |c: char| matches!(c, '?' | '？' | '؟' | ';' | '՞');
    let words = text
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphabetic));
    let count = words.count();
    count > 1 || count == 1 && text.ends_with(asks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::state::capabilities::Encoding;

    /// The line of the cursor is marked with `|` at its end.
    fn check(text: &str, expected: Option<(&str, Range<usize>)>) {
        let line = text.lines().position(|line| line.ends_with('|')).unwrap();
        let document = Document::detached(&text.replace('|', ""), Encoding::Utf16);
        let found = question_at(&document, line).map(|found| (found.text, found.lines));
        let expected = expected.map(|(text, lines)| (text.to_owned(), lines));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn questions_in_comments_of_many_languages() {
        let why = "why does this leak?";
        for line in [
            "// pieces: why does this leak?",
            "    # pieces: why does this leak?",
            "let x = 1; // pieces: why does this leak?",
            "/* pieces: why does this leak? */",
            "<!-- pieces:why does this leak? -->",
            "-- pieces:  why does  this leak?",
            ";; pieces: why does this leak?",
            "(* pieces: why does this leak? *)",
            "{- pieces: why does this leak? -}",
            "\" pieces: why does this leak?",
            "% pieces: why does this leak?",
        ] {
            check(&format!("a\n{line}|\nb"), Some((why, 1..2)));
        }
    }

    #[test]
    fn a_question_goes_on_over_lines_of_the_same_comment() {
        let text = "// note\n// pieces: why does\n// this leak|\n// when it fails?\nfn a() {}";
        check(text, Some(("why does this leak when it fails?", 1..4)));
        let text = "/* pieces: why does\n * this leak?|\n */\nfn a() {}";
        check(text, Some(("why does this leak?", 0..2)));
        let text = "# pieces: one thing?\n# pieces: another thing?|";
        check(text, Some(("another thing?", 1..2)));
        check("// pieces: why so?\n\n// other|", None);
        check("// pieces: why so?\nfn a() {}|", None);
        let long = format!(
            "// pieces: why\n{}// end|",
            "// more\n".repeat(MAX_COMMENT_LINES)
        );
        check(&long, None);
    }

    #[test]
    fn other_text_is_no_question() {
        for line in [
            "// pieces: |",
            "// pieces: count|",
            "// pieces|",
            "// some pieces: why so?|",
            "let pieces: Vec<String> = x;|",
            "https://pieces: why so?|",
            "xpieces: why so?|",
            "// pieces: 12 34|",
        ] {
            check(line, None);
        }
        check("// pieces: why?|", Some(("why?", 0..1)));
        check("// pieces: explain this|", Some(("explain this", 0..1)));
        check("// pieces: 为什么？|", Some(("为什么？", 0..1)));
        check(&format!("{}// pieces: why so?|", " ".repeat(WIDEST)), None);
    }
}
