//! Timestamps: microseconds since 1970 inside, ISO 8601 on the wire.

use std::fmt::Write as _;

use jiff::{Timestamp, civil, fmt::temporal::DateTimePrinter, tz::TimeZone};
use serde_json::Value;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// `2026-11-23T08:00:00.000000Z`.
pub(crate) fn iso(micros: i64) -> String {
    let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
    PRINTER.timestamp_to_string(&time)
}

/// Reads `Z`, an offset, or nothing (taken as UTC), with any number of fraction digits.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_microsecond());
    }
    let naive: civil::DateTime = text.parse().ok()?;
    let zoned = naive.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

/// The time in a `GroupedTimestamp` (`{"value": …}`), if there is one.
pub(crate) fn grouped(value: Option<&Value>) -> Option<i64> {
    parse(value?.get("value")?.as_str()?)
}

/// Writes a `GroupedTimestamp` as of `now`.
pub(crate) fn write_grouped(out: &mut String, micros: i64, now: i64) {
    out.push_str("{\"value\":\"");
    out.push_str(&iso(micros));
    out.push_str("\",\"readable\":\"");
    write_readable(out, now.saturating_sub(micros) / 1_000_000);
    out.push_str("\"}");
}

/// Writes a `GroupedTimestamp` without the relative phrase, where there are many.
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
    fn every_form_clients_send_is_read() {
        for (text, expected) in [
            (
                "2026-11-20T09:20:41.900123Z",
                Some("2026-11-20T09:20:41.900123Z"),
            ),
            (
                "2026-11-20T09:20:41.900Z",
                Some("2026-11-20T09:20:41.900000Z"),
            ),
            (
                "2025-01-01T00:00:00+00:00",
                Some("2025-01-01T00:00:00.000000Z"),
            ),
            (
                "2025-01-01T02:00:00.5+02:00",
                Some("2025-01-01T00:00:00.500000Z"),
            ),
            ("2025-01-01T00:00:00", Some("2025-01-01T00:00:00.000000Z")),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(iso).as_deref(), expected, "{text}");
        }
    }

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
