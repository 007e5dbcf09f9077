//! File names that are readable and valid on every system.

use crate::markdown::{UNNAMED, shows_nothing};
use uuid::Uuid;

/// Longest stem: with a full id, an extension and any encoding it stays below 255 bytes.
const BYTES: usize = 120;
/// Names that Windows reserves for devices, with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Names for this conversation, the best first: its own, then with increasing parts of its id.
pub(super) fn candidates(name: &str, id: &Uuid) -> [String; 3] {
    let stem = stem(name);
    let full = id.to_string();
    [
        format!("{stem}.md"),
        format!("{stem} ({}).md", &full[..8]),
        format!("{stem} ({full}).md"),
    ]
}

/// A name without an extension.
fn stem(name: &str) -> String {
    let mut stem = String::new();
    for c in name.chars() {
        let c = match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '-',
            c if c.is_control() || c.is_whitespace() => ' ',
            c if is_invisible(c) => continue,
            c => c,
        };
        if c == ' ' && (stem.is_empty() || stem.ends_with(' ')) {
            continue;
        }
        if stem.len() + c.len_utf8() > BYTES {
            break;
        }
        stem.push(c);
    }
    // A leading dot hides a file, a leading dash looks like an option, Windows drops trailing ones.
    let trimmed = stem.trim_start_matches(['.', '-', ' ', '~']);
    let trimmed = trimmed.trim_end_matches(['.', ' ']);
    if shows_nothing(trimmed) {
        return UNNAMED.to_owned();
    }
    let first = trimmed.split('.').next().unwrap_or_default();
    let first = first.trim_end().to_lowercase();
    let port = |prefix| {
        first.strip_prefix(prefix).is_some_and(|rest: &str| {
            matches!(
                rest,
                "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
            )
        })
    };
    if DEVICES.contains(&first.as_str()) || port("com") || port("lpt") {
        return format!("_{trimmed}");
    }
    trimmed.to_owned()
}

/// Invisible characters that change how a name looks. Joiners are letters of many scripts.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_a_file_name() {
        let long = "x".repeat(500);
        let wide = "é".repeat(500);
        for (name, expected) in [
            ("Retry with jitter", "Retry with jitter"),
            ("C# & F# – it's 100 %", "C# & F# – it's 100 %"),
            ("../../etc/passwd", "etc-passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("a/b\\c:d*e?f\"g<h>i|j", "a-b-c-d-e-f-g-h-i-j"),
            ("two\nlines\r\n\tand  more", "two lines and more"),
            ("nul\0 and \u{1b}[31mred", "nul and [31mred"),
            ("\u{202e}gpj.exe\u{200b}", "gpj.exe"),
            ("CON", "_CON"),
            ("con.tar.gz", "_con.tar.gz"),
            ("Lpt9", "_Lpt9"),
            ("COM¹.x", "_COM¹.x"),
            ("com10", "com10"),
            ("console", "console"),
            ("...", UNNAMED),
            (". hidden", "hidden"),
            ("--help", "help"),
            ("ends with dots. . .", "ends with dots"),
            ("", UNNAMED),
            (" \u{200b} ", UNNAMED),
            ("日本語の名前", "日本語の名前"),
            (
                "می\u{200c}خواهم 👩\u{200d}💻",
                "می\u{200c}خواهم 👩\u{200d}💻",
            ),
            ("\u{200d}", UNNAMED),
            (&long, &long[..BYTES]),
            (&wide, &wide[..BYTES]),
        ] {
            assert_eq!(stem(name), expected, "{name:?}");
        }
    }

    #[test]
    fn the_longest_name_fits_everywhere() {
        let [.., longest] = candidates(&"名".repeat(500), &Uuid::nil());
        assert!(longest.len() < 255, "{}", longest.len());
    }
}
