//! Timestamps: ISO 8601 with 0 to 9 fraction digits, `Z` or an offset.

/// Microseconds since the Unix epoch; anything below a microsecond is cut off.
pub fn parse_micros(text: &str) -> Option<i64> {
    parse_utc(text.as_bytes()).or_else(|| {
        text.trim()
            .parse::<jiff::Timestamp>()
            .ok()
            .map(|t| t.as_microsecond())
    })
}

/// The form nearly every timestamp has, `YYYY-MM-DDTHH:MM:SS[.fraction]Z` from 1970 on, without
/// going through a general parser: a snapshot has two of them per conversation.
pub(crate) fn parse_utc(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    if date[4] != b'-'
        || date[7] != b'-'
        || date[10] != b'T'
        || date[13] != b':'
        || date[16] != b':'
    {
        return None;
    }
    let (year, month, day) = (
        digits(&date[..4])?,
        digits(&date[5..7])?,
        digits(&date[8..10])?,
    );
    let (hour, minute, second) = (
        digits(&date[11..13])?,
        digits(&date[14..16])?,
        digits(&date[17..])?,
    );
    // Days 29 to 31 exist in some months only: leave the rest of the calendar to the general parser.
    if year < 1970
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    if day > 28 && day > days_in_month(year, month) {
        return None;
    }
    let micros = match rest {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => {
            let kept = &fraction[..fraction.len().min(6)];
            digits(&fraction[kept.len()..])?;
            digits(kept)? * 10_i64.pow(6 - kept.len() as u32)
        }
        _ => return None,
    };
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000 + micros)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Proleptic Gregorian calendar, years from 0 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted_and_refused_forms() {
        let table: &[(&str, Option<i64>)] = &[
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2023-10-26T15:30:01.617743Z", Some(1_698_334_201_617_743)),
            ("2024-07-17T16:00:00.000Z", Some(1_721_232_000_000_000)),
            ("2024-07-17T16:00:00.5Z", Some(1_721_232_000_500_000)),
            (
                "2024-07-17T16:00:00.123456789Z",
                Some(1_721_232_000_123_456),
            ),
            ("2025-01-01T00:00:00+00:00", Some(1_735_689_600_000_000)),
            ("2025-01-01T02:00:00.250+02:00", Some(1_735_689_600_250_000)),
            ("2024-12-31T19:00:00-05:00", Some(1_735_689_600_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00.12x4Z", None),
            ("2024-01-01T00:00:00.1234567890Z", None),
            ("yesterday", None),
            ("", None),
            ("éééééééééééééééééééé", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_micros(text), *expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_general_parser(seconds in 0_i64..253_402_200_000, micros in 0_i64..1_000_000, digits in 0_usize..=6) {
            let stamp = jiff::Timestamp::from_microsecond(seconds * 1_000_000 + micros).unwrap();
            let text = format!("{stamp:.digits$}");
            prop_assert_eq!(parse_utc(text.as_bytes()), Some(text.parse::<jiff::Timestamp>().unwrap().as_microsecond()), "{}", text);
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") {
            let _ = parse_micros(&text);
        }
    }
}
