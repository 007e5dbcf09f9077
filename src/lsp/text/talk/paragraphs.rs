//! The part of an answer that will not change any more.

/// The paragraphs and code blocks of a text that have ended, while more of it is still to come.
pub(super) fn finished(text: &str) -> &str {
    let mut fence: Option<(char, usize)> = None;
    let (mut at, mut end) = (0, 0);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if !line.ends_with('\n') {
            break;
        }
        let bare = line.trim();
        match (fence, opening(bare)) {
            (None, None) if bare.is_empty() => end = at,
            (None, found) => fence = found,
            (Some((mark, length)), Some((other, run))) => {
                let closes = mark == other && run >= length && bare.chars().all(|c| c == mark);
                if closes {
                    (fence, end) = (None, at);
                }
            }
            (Some(_), None) => {}
        }
    }
    text[..end].trim_end()
}

/// The mark and the length of the fence that a line begins with.
fn opening(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let run = line.chars().take_while(|c| *c == mark).count();
    (run >= 3 && !(mark == '`' && line[run..].contains('`'))).then_some((mark, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_ended_is_finished() {
        let check = |text: &str, expected: &str| assert_eq!(finished(text), expected, "{text:?}");
        check("", "");
        check("One", "");
        check("One\nline", "");
        check("One.\n\nTwo", "One.");
        check("One.\n\nTwo.\n\n", "One.\n\nTwo.");
        check("Code:\n```rust\nfn a() {\n\n", "");
        check("Code:\n\n```rust\nfn a() {\n\n", "Code:");
        check(
            "```rust\nfn a() {\n\n}\n```\nthen",
            "```rust\nfn a() {\n\n}\n```",
        );
        check("````\n```\n\n````", "");
        check("````\n```\n\n````\n", "````\n```\n\n````");
        check("`a` ```b``` c\n\nd", "`a` ```b``` c");
        check(
            "- a\n\n  ```\n  b\n\n  ```\n\nc",
            "- a\n\n  ```\n  b\n\n  ```",
        );
    }

    #[test]
    fn what_is_finished_only_grows() {
        let text = "One.\n\n```a\nx\n\n```\n\nTwo *and\nthree*.\n\n~~~\n```\n~~~\nend";
        let mut before = "";
        for (at, _) in text.char_indices() {
            let now = finished(&text[..at]);
            assert!(now.starts_with(before), "{now:?} after {before:?}");
            before = now;
        }
    }
}
