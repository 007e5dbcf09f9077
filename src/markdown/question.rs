//! A question as it is stored: the prompt, then the code that it is about, with its place.

use std::fmt;

/// Lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The path of the file.
    pub path: &'a str,
    /// Its first line, from 1.
    pub first: usize,
    /// Its last line, included.
    pub last: usize,
}

/// Code at the end of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// Where it is from.
    pub place: Place<'a>,
    /// Its language, as the fence has it; may be empty.
    pub language: &'a str,
    /// The code.
    pub code: &'a str,
}

/// `retry.rs, lines 3–9`.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.rsplit(['/', '\\']).next().unwrap_or(self.path);
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{name}, line {first}"),
            (first, last) => write!(f, "{name}, lines {first}–{last}"),
        }
    }
}

/// Splits a stored question into the prompt and the code below it: a fence at its end, whose info string has the
/// place, `rs /home/me/retry.rs:3-9`. `None` if there is no such code.
pub fn parts(text: &str) -> Option<(&str, Quoted<'_>)> {
    let text = text.trim_end();
    let (inside, fence) = text.rsplit_once('\n')?;
    let mark = fence
        .chars()
        .next()
        .filter(|mark| matches!(mark, '`' | '~'))?;
    if fence.len() < 3 || fence.chars().any(|c| c != mark) {
        return None;
    }
    // The fence is longer than any run in the code.
    let opening = match inside.rfind(&format!("\n{fence}")) {
        Some(line_break) => line_break + 1,
        None => inside.starts_with(fence).then_some(0)?,
    };
    let (prompt, opened) = (&inside[..opening], &inside[opening + fence.len()..]);
    let (info, code) = opened.split_once('\n').unwrap_or((opened, ""));
    let (language, place) = info.split_once(' ')?;
    let (path, lines) = place.rsplit_once(':')?;
    let (first, last) = lines.split_once('-')?;
    let place = Place {
        path,
        first: first.parse().ok()?,
        last: last.parse().ok()?,
    };
    let quoted = Quoted {
        place,
        language,
        code,
    };
    (place.first <= place.last).then_some((prompt.trim_end(), quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_with_code() {
        let check = |text: &str, expected: (&str, &str, usize, usize, &str, &str)| {
            let (prompt, quoted) = parts(text).unwrap();
            let Place { path, first, last } = quoted.place;
            let found = (prompt, path, first, last, quoted.language, quoted.code);
            assert_eq!(found, expected, "{text}");
        };
        check(
            "Why?\n\n```rs /a/retry.rs:3-9\nlet x\n```\n",
            ("Why?", "/a/retry.rs", 3, 9, "rs", "let x"),
        );
        check(
            "```\nx\n```\n\nAnd?\n\n````md /a b/c:d.md:1-1\n```rs x:1-2\ny\n```\n````",
            (
                "```\nx\n```\n\nAnd?",
                "/a b/c:d.md",
                1,
                1,
                "md",
                "```rs x:1-2\ny\n```",
            ),
        );
        check(
            "~~~text untitled:Untitled-1:7-8\n~~~",
            ("", "untitled:Untitled-1", 7, 8, "text", ""),
        );
    }

    #[test]
    fn questions_without_code() {
        for text in [
            "",
            "Why?",
            "Why?\n\n```rust\nlet x\n```",
            "```rs a.rs:9-3\nx\n```",
            "```rs a.rs:x-3\nx\n```",
            "```rs a.rs\nx\n```",
            "x```rs a.rs:1-2\nx\n```",
            "```",
            "\n```",
        ] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }

    #[test]
    fn names_of_places() {
        let check = |path, first, last, expected: &str| {
            let place = Place { path, first, last };
            assert_eq!(place.to_string(), expected);
        };
        check("/src/retry.rs", 3, 9, "retry.rs, lines 3–9");
        check("C:\\src\\retry.rs", 3, 3, "retry.rs, line 3");
        check(
            "untitled:Untitled-1",
            1,
            2,
            "untitled:Untitled-1, lines 1–2",
        );
    }
}
