//! Text within a line.

/// A name for a line of plain text: no control or direction characters, no line breaks, and at most
/// `most` characters.
pub fn label(name: &str, most: usize) -> String {
    let shown = |c: &char| c.is_whitespace() || !c.is_control() && !is_hidden(*c);
    let shown: String = name.chars().filter(shown).collect();
    let spaced = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text: String = spaced.chars().take(most + 1).collect();
    if text.chars().count() > most {
        text.pop();
        text.push('…');
    }
    text
}

/// The same for Markdown, within a line or as one: what could mean something is escaped.
pub fn inline(name: &str, most: usize) -> String {
    let mut text = String::new();
    // A list or an underline begins with digits or nothing before one of these.
    let mut begins = true;
    for c in label(name, most).chars() {
        let always = matches!(
            c,
            '\\' | '`'
                | '*'
                | '_'
                | '['
                | ']'
                | '<'
                | '>'
                | '('
                | ')'
                | '#'
                | '!'
                | '|'
                | '~'
                | '&'
                | ':'
                | '@'
                | '$'
                | '^'
        );
        if always || begins && matches!(c, '-' | '+' | '=' | '.') {
            text.push('\\');
        }
        begins &= c.is_ascii_digit();
        text.push(c);
    }
    text
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

/// Characters that reorder or hide the text around them.
pub fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        let check = |name: &str, expected: &str| assert_eq!(label(name, 8), expected, "{name:?}");
        check("short", "short");
        check("exactly8", "exactly8");
        check("more than 8", "more tha…");
        check(" a\n\tb\u{0} ", "a b");
        check("\u{202e}evil", "evil");
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

    proptest! {
        #[test]
        fn a_name_is_only_text(name in "[ -~é\\n\u{202e}]{0,60}") {
            check::a_name_is_only_text(&name);
        }
    }
}
