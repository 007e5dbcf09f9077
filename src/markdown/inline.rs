//! Text within a line.

/// The displayed name of a conversation whose name is empty or invisible.
pub const UNNAMED: &str = "New Conversation";

/// The name, or [`UNNAMED`] if it is empty or invisible.
pub fn visible(name: &str) -> &str {
    if shows_nothing(name) { UNNAMED } else { name }
}

/// A name for a line of plain text: no control characters, no line breaks, no marks that reorder the text beside it,
/// and at most `most` characters. Empty if the name is invisible.
pub fn label(name: &str, most: usize) -> String {
    let shown = |c: &char| c.is_whitespace() || !c.is_control() && !is_dropped(*c);
    let shown: String = name.chars().filter(shown).collect();
    let spaced = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    if shows_nothing(&spaced) {
        return String::new();
    }
    let mut text: String = spaced.chars().take(most + 1).collect();
    if text.chars().count() > most {
        text.pop();
        text.push('…');
    }
    text
}

/// The same for Markdown, in a line or as a whole line: only characters that have a meaning there are escaped.
pub fn inline(name: &str, most: usize) -> String {
    let chars: Vec<char> = label(name, most).chars().collect();
    let count = |mark| chars.iter().filter(|c| **c == mark).count();
    // One alone has no partner.
    let paired = |mark| count(mark) > 1;
    let begins = beginning(&chars);
    let mut text = String::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1).copied();
        let needed = match c {
            '\\' => after.is_none_or(|c| c.is_ascii_punctuation()),
            '`' | '[' | ']' => true,
            '<' => after.is_none_or(|c| c.is_ascii_alphabetic() || "/!?".contains(c)),
            '*' => !(before == Some(' ') && after == Some(' ')),
            '_' => {
                !(before.is_some_and(char::is_alphanumeric)
                    && after.is_some_and(char::is_alphanumeric))
            }
            '~' | '$' => paired(*c),
            '&' => is_entity(&chars[at + 1..]),
            // A heading ends before its last marks.
            '#' => {
                chars[at..].iter().all(|c| *c == '#') && matches!(before, None | Some(' ' | '#'))
            }
            // Parsers turn these into links without any brackets.
            ':' => after == Some('/') && before.is_some_and(|c| c.is_ascii_alphanumeric()),
            '.' => at > 2 && chars[at - 3..at].iter().all(|c| matches!(c, 'w' | 'W')),
            _ => false,
        };
        if needed || begins == Some(at) {
            text.push('\\');
        }
        text.push(*c);
    }
    text
}

/// The same for use beside other words: see [`isolated`].
pub fn inline_isolated(name: &str, most: usize) -> String {
    isolated(&inline(name, most))
}

/// The character that makes a block of the line: a list, a quote, a heading, a rule or an underline.
fn beginning(chars: &[char]) -> Option<usize> {
    let spaced = |at: usize| chars.get(at).is_none_or(|c| *c == ' ');
    let digits = chars.iter().take_while(|c| c.is_ascii_digit()).count();
    match chars.get(digits)? {
        '.' | ')' if digits > 0 && spaced(digits + 1) => Some(digits),
        _ if digits > 0 => None,
        '>' | '#' => Some(0),
        '-' | '+' if spaced(1) => Some(0),
        '-' | '=' | '+'
            if chars
                .iter()
                .all(|c| matches!(c, '-' | '=' | '+' | ' ' | '|' | ':')) =>
        {
            Some(0)
        }
        ':' | '|' if chars.iter().all(|c| matches!(c, '-' | ' ' | '|' | ':')) => Some(0),
        _ => None,
    }
}

/// Whether `&` and this is another character to a reader.
fn is_entity(rest: &[char]) -> bool {
    let name = rest
        .iter()
        .take_while(|c| c.is_ascii_alphanumeric() || **c == '#')
        .count();
    name > 0 && rest.get(name) == Some(&';')
}

/// A name as it stands beside other words: in an isolate of its own (UAX #9) if it is written from right to
/// left, so that the words keep their order.
pub fn isolated(name: &str) -> String {
    match name.chars().any(is_right_to_left) {
        true => format!("\u{2068}{name}\u{2069}"),
        false => name.to_owned(),
    }
}

/// Whether this name is empty or invisible.
pub fn shows_nothing(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// The same for a comment or a text in code of any language: nothing that could end one of them.
pub fn within_code(name: &str, most: usize) -> String {
    let mild = |c: char| match c {
        '\'' => '’',
        '"' => '”',
        // `*/`, `-->`, `]]`, `?>`, `|#`, `=#`, `${…}`, `{{…}}` and the like need one of the others.
        c if !c.is_ascii() || c.is_ascii_alphanumeric() || " .,;:()+-_/%!#?".contains(c) => c,
        _ => ' ',
    };
    let mild: String = name.chars().map(mild).collect();
    label(&mild, most)
}

/// Characters without a shape of their own: joiners, marks of direction, fillers, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    is_dropped(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200c}'..='\u{200f}' | '\u{2800}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Characters that a name goes without: they reorder what stands beside it, or mark where a line may break.
/// Joiners are letters of many scripts and stay.
pub(super) fn is_dropped(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Characters that turn letters around which have a direction of their own.
pub(super) fn forces_direction(c: char) -> bool {
    matches!(c, '\u{202d}' | '\u{202e}')
}

/// Letters and marks that are written from right to left.
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{200f}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let check = |name: &str, expected: &str| assert_eq!(label(name, 8), expected, "{name:?}");
        check("short", "short");
        check("exactly8", "exactly8");
        check("more than 8", "more tha…");
        check(" a\n\tb\u{0} ", "a b");
        check("\u{202e}evil", "evil");
        check("می\u{200c}خواهم", "می\u{200c}خواهم");
        check("👩\u{200d}💻", "👩\u{200d}💻");
        check(" \u{200b}\u{200d} \u{2060}", "");
    }

    #[test]
    fn names_get_only_the_escapes_that_a_reader_needs() {
        for same in [
            "Plan: a_b, 2 * 3, C# & F#, (x) | y, 50%, me@example.org, ~/src, $5, !",
            "C:\\Users, -1 degrees, --flag, 1.5, #",
            "می\u{200c}خواهم",
        ] {
            let expected = same.replace(", #", ", \\#");
            assert_eq!(inline(same, 100), expected);
        }
        for (name, expected) in [
            (
                "*a* _b_ `c` ~d~ $e$",
                "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~ \\$e\\$",
            ),
            ("[a](b) <c> &lt;", "\\[a\\](b) \\<c> \\&lt;"),
            ("https://x www.y", "https\\://x www\\.y"),
            ("1. a", "1\\. a"),
            ("- a", "\\- a"),
            ("# a #", "\\# a \\#"),
            ("---", "\\---"),
            ("a\\", "a\\\\"),
        ] {
            assert_eq!(inline(name, 100), expected, "{name}");
        }
    }

    #[test]
    fn names_from_right_to_left_are_isolated() {
        assert_eq!(isolated("plan"), "plan");
        assert_eq!(isolated("תוכנית"), "\u{2068}תוכנית\u{2069}");
        assert_eq!(inline_isolated("خطة *", 20), "\u{2068}خطة \\*\u{2069}");
    }

    #[test]
    fn names_that_show_nothing_have_one_fallback() {
        for name in [
            "",
            " \n",
            "\u{200b}\u{200d}",
            "\u{3164}\u{2800}",
            "\u{0}\u{202e}",
        ] {
            assert_eq!(visible(name), UNNAMED, "{name:?}");
            assert_eq!(label(name, 10), "", "{name:?}");
        }
        assert_eq!(visible("👩\u{200d}💻"), "👩\u{200d}💻");
    }

    #[test]
    fn names_end_no_comment() {
        for (name, expected) in [
            ("C# & F#: it's 100 %", "C# F#: it’s 100 %"),
            (r#"a */ system("rm") /*"#, "a / system(”rm”) /"),
            (
                "--> <script> ?> %> #> |# =# #} }} -} *) ]] ]]>",
                "-- script ? % # # # # - )",
            ),
            (r#"""" ''' ``` ${x} $(x) `x` \"#, "””” ’’’ x (x) x"),
            ("two\nlines\u{2028}or\u{85}three", "two lines or three"),
            ("日本語 – Größe", "日本語 – Größe"),
        ] {
            assert_eq!(within_code(name, 100), expected, "{name}");
        }
    }
}
