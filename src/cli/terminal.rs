//! Plain text for people: amounts, and styles for `anstream::stdout()`, which drops them where no terminal shows
//! them.

use anstyle::{AnsiColor, Style};
use std::time::Duration;

/// Untrusted text without control characters and marks that force a text direction.
pub(super) fn inert(text: &str) -> String {
    let shown = |c: &char| {
        matches!(c, '\n' | '\t') || !c.is_control() && !matches!(c, '\u{202A}'..='\u{202E}')
    };
    text.chars().filter(shown).collect()
}

pub(super) fn good(text: &str) -> String {
    styled(AnsiColor::Green.on_default(), text)
}

pub(super) fn bad(text: &str) -> String {
    styled(AnsiColor::Red.on_default().bold(), text)
}

pub(super) fn dim(text: &str) -> String {
    styled(Style::new().dimmed(), text)
}

pub(super) fn strong(text: &str) -> String {
    styled(Style::new().bold(), text)
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// `0.42 ms`, `12.3 ms`, `1.23 s`.
pub(super) fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        0.0..10.0 => format!("{millis:.2} ms"),
        10.0..1000.0 => format!("{millis:.1} ms"),
        _ => format!("{:.2} s", millis / 1e3),
    }
}

/// `812 bytes`, `12.3 kB`, `4.5 MB`.
pub(super) fn size(bytes: u64) -> String {
    let amount = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", amount / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", amount / 1e6),
        _ => format!("{:.2} GB", amount / 1e9),
    }
}

/// `1 conversation`, `2 conversations`.
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_obey_no_text() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}31m\r\u{202e}b\n\tc";
        assert_eq!(inert(hostile), "a]0;x31mb\n\tc");
    }

    #[test]
    fn amounts() {
        assert_eq!(time(Duration::from_micros(420)), "0.42 ms");
        assert_eq!(time(Duration::from_micros(12_340)), "12.3 ms");
        assert_eq!(time(Duration::from_millis(1_234)), "1.23 s");
        assert_eq!(size(812), "812 bytes");
        assert_eq!(size(12_345), "12.3 kB");
        assert_eq!(size(4_500_000), "4.5 MB");
        assert_eq!(size(1_230_000_000), "1.23 GB");
        assert_eq!(
            (count(1, "id"), count(0, "id")),
            ("1 id".into(), "0 ids".into())
        );
    }
}
