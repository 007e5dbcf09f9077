//! The clock, and timestamps in responses.

use std::fmt::Write as _;

use jiff::Timestamp;

pub(crate) use crate::json::time::{grouped, iso};

/// Microseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// Writes a `GroupedTimestamp` whose phrase ("a day ago") is relative to `now`.
pub(crate) fn write_grouped(out: &mut String, micros: i64, now: i64) {
    out.push_str("{\"value\":\"");
    out.push_str(&iso(micros));
    out.push_str("\",\"readable\":\"");
    write_readable(out, now.saturating_sub(micros) / 1_000_000);
    out.push_str("\"}");
}

/// Writes a `GroupedTimestamp` without the phrase, for long lists.
pub(crate) fn write_value(out: &mut String, micros: i64) {
    out.push_str("{\"value\":\"");
    out.push_str(&iso(micros));
    out.push_str("\"}");
}

fn write_readable(out: &mut String, seconds: i64) {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const MONTH: i64 = 30 * DAY;
    const YEAR: i64 = 365 * DAY;
    let (count, one, many) = match seconds {
        ..MINUTE => return out.push_str("Just now..."),
        MINUTE..HOUR => (seconds / MINUTE, "a minute ago", "minutes ago"),
        HOUR..DAY => (seconds / HOUR, "an hour ago", "hours ago"),
        DAY..MONTH => (seconds / DAY, "a day ago", "days ago"),
        MONTH..YEAR => (seconds / MONTH, "a month ago", "months ago"),
        YEAR.. => (seconds / YEAR, "about a year ago", "years ago"),
    };
    if count == 1 {
        out.push_str(one);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(out, "{count} {many}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_is_relative() {
        for (seconds, expected) in [
            (-5, "Just now..."),
            (59, "Just now..."),
            (60, "a minute ago"),
            (7200, "2 hours ago"),
            (86_400, "a day ago"),
            (120 * 86_400, "4 months ago"),
            (400 * 86_400, "about a year ago"),
            (900 * 86_400, "2 years ago"),
        ] {
            let mut out = String::new();
            write_readable(&mut out, seconds);
            assert_eq!(out, expected, "{seconds}");
        }
    }
}
