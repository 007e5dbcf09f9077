//! Timestamps: ISO 8601 in JSON, microseconds since the Unix epoch in memory.

use std::borrow::Cow;

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};
use jiff::fmt::temporal::{DateTimePrinter, Pieces};
use serde_json::Value;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
static MICROS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
static SHORTEST: DateTimePrinter = DateTimePrinter::new();

/// Reads a date with a time. Without an offset it is UTC; fractions below a microsecond are cut off, however
/// many digits there are.
pub fn parse(text: &str) -> Option<i64> {
    let text = without_long_fraction(text.trim());
    let pieces = Pieces::parse(&*text).ok()?;
    let time = pieces.date().to_datetime(pieces.time()?);
    // Not by way of `Timestamp`, which ends 26 hours before year 9999 does.
    let mut since = time.duration_since(EPOCH);
    if let Some(offset) = pieces.to_numeric_offset() {
        since -= SignedDuration::from_secs(offset.seconds().into());
    }
    i64::try_from(since.as_micros()).ok()
}

/// jiff takes nine digits of a fraction; some clients write more.
fn without_long_fraction(text: &str) -> Cow<'_, str> {
    let Some(point) = text.find(['.', ',']) else {
        return Cow::Borrowed(text);
    };
    let start = point + 1;
    let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
    match digits {
        ..=9 => Cow::Borrowed(text),
        _ => Cow::Owned(format!("{}{}", &text[..start + 9], &text[start + digits..])),
    }
}

/// The time in a `GroupedTimestamp` (`{"value": …}`), if it has a readable one. Scripts also write the text alone.
pub(crate) fn grouped(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    parse(value.as_str().or_else(|| value.get("value")?.as_str())?)
}

/// With all six digits of the fraction, as Pieces OS writes it: `2026-11-23T08:00:00.000000Z`.
pub(crate) fn iso(micros: i64) -> String {
    MICROS.datetime_to_string(&civil(micros)) + "Z"
}

/// With as many digits of the fraction as needed: `2026-11-23T08:00:00Z`.
pub(crate) fn rfc3339(micros: i64) -> String {
    SHORTEST.datetime_to_string(&civil(micros)) + "Z"
}

fn civil(micros: i64) -> DateTime {
    EPOCH.saturating_add(SignedDuration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_time_may_be_grouped_or_a_text_alone() {
        let noon = "2026-11-20T12:00:00Z";
        for value in [json!({"value": noon, "readable": "noon"}), json!(noon)] {
            assert_eq!(grouped(Some(&value)), parse(noon), "{value}");
        }
        for value in [
            json!({"value": 12}),
            json!({}),
            json!(12),
            json!("noon"),
            json!(null),
        ] {
            assert_eq!(grouped(Some(&value)), None, "{value}");
        }
        assert_eq!(grouped(None), None);
    }

    #[test]
    fn accepted_and_refused_forms() {
        let table: &[(&str, Option<&str>)] = &[
            ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z")),
            (
                "2023-10-26T15:30:01.617743Z",
                Some("2023-10-26T15:30:01.617743Z"),
            ),
            ("2024-07-17T16:00:00.000Z", Some("2024-07-17T16:00:00Z")),
            ("2024-07-17T16:00:00.5Z", Some("2024-07-17T16:00:00.5Z")),
            (
                "2024-07-17T16:00:00.123456789Z",
                Some("2024-07-17T16:00:00.123456Z"),
            ),
            (
                "2024-07-17T16:00:00.1234567890Z",
                Some("2024-07-17T16:00:00.123456Z"),
            ),
            (
                "2024-07-17T18:00:00.12345678901234567890+02:00",
                Some("2024-07-17T16:00:00.123456Z"),
            ),
            ("2025-01-01T00:00:00+00:00", Some("2025-01-01T00:00:00Z")),
            (
                "2025-01-01T02:00:00.250+02:00",
                Some("2025-01-01T00:00:00.25Z"),
            ),
            ("2024-12-31T19:00:00-05:00", Some("2025-01-01T00:00:00Z")),
            ("2025-01-01T00:00:00", Some("2025-01-01T00:00:00Z")),
            (
                "2025-01-01T00:00:00.1234567891",
                Some("2025-01-01T00:00:00.123456Z"),
            ),
            (" 2025-01-01 00:00:00z\n", Some("2025-01-01T00:00:00Z")),
            ("2024-02-29T00:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("1969-12-31T23:59:59Z", Some("1969-12-31T23:59:59Z")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            (
                "9999-12-31T23:59:59.999999Z",
                Some("9999-12-31T23:59:59.999999Z"),
            ),
            ("9999-12-31T23:59:59", Some("9999-12-31T23:59:59Z")),
            ("2023-02-29T00:00:00Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00.12x4Z", None),
            ("yesterday", None),
            ("", None),
            ("éééééééééééééééééééé", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).map(rfc3339).as_deref(), *expected, "{text}");
        }
    }

    #[test]
    fn wire_times_have_six_digits() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999999Z");
        // Nothing is outside the calendar.
        assert_eq!(iso(i64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    proptest! {
        #[test]
        fn written_times_read_back(micros in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            prop_assert_eq!(parse(&iso(micros)), Some(micros));
            prop_assert_eq!(parse(&rfc3339(micros)), Some(micros));
        }

        #[test]
        fn any_text_can_be_parsed(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
