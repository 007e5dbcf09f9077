//! Times for users: in their time zone, as short as the age allows.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::time::Duration;

/// Days after which a weekday alone is ambiguous.
const WEEK: i32 = 7;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The present, in the zone of the reader.
#[derive(Debug, Clone)]
pub struct Clock {
    now: Zoned,
}

impl Clock {
    /// The present in an IANA zone; in the zone of the machine if none is given, or none has this name.
    pub fn now(zone: Option<&str>) -> Self {
        Self::at(Timestamp::now(), zone)
    }

    fn at(now: Timestamp, zone: Option<&str>) -> Self {
        let named = zone.and_then(|name| TimeZone::get(name).ok());
        let zone = named.unwrap_or_else(TimeZone::system);
        Clock {
            now: now.to_zoned(zone),
        }
    }

    /// Whether there is an IANA zone of this name.
    pub fn knows(zone: &str) -> bool {
        TimeZone::get(zone).is_ok()
    }

    /// From now to the start of the next day; a day beyond the calendar is 24 hours long.
    pub fn until_midnight(&self) -> Duration {
        let midnight = self.now.tomorrow().and_then(|day| day.start_of_day());
        let until = midnight.map(|midnight| self.now.duration_until(&midnight));
        let until = until.ok().and_then(|until| Duration::try_from(until).ok());
        until.unwrap_or(DAY)
    }

    /// Microseconds since the Unix epoch: `14:03` today, `Mon 14:03` in the six days before, else
    /// `23 Nov 2026, 14:03`.
    pub fn short(&self, micros: i64) -> String {
        let time = self.zoned(micros);
        let days = (self.now.date() - time.date()).get_days();
        match days {
            0 => time.strftime("%H:%M").to_string(),
            1..WEEK => time.strftime("%a %H:%M").to_string(),
            _ => full(&time),
        }
    }

    /// The same for a text that is read at any time: always `23 Nov 2026, 14:03`.
    pub fn full(&self, micros: i64) -> String {
        full(&self.zoned(micros))
    }

    fn zoned(&self, micros: i64) -> Zoned {
        let time = Timestamp::from_microsecond(micros).unwrap_or_default();
        time.to_zoned(self.now.time_zone().clone())
    }
}

fn full(time: &Zoned) -> String {
    time.strftime("%-d %b %Y, %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn times_are_local_and_as_short_as_their_age_allows() {
        // A Thursday; in New York it is still Wednesday.
        let now = "2026-11-26T04:30:00Z".parse().unwrap();
        let check = |zone: &str, time: &str, expected: &str| {
            let clock = Clock::at(now, Some(zone));
            assert_eq!(clock.short(micros(time)), expected, "{time} in {zone}");
        };
        check("UTC", "2026-11-26T04:03:00Z", "04:03");
        check("UTC", "2026-11-26T23:59:59Z", "23:59");
        check("UTC", "2026-11-25T23:59:59Z", "Wed 23:59");
        check("UTC", "2026-11-20T00:00:00Z", "Fri 00:00");
        check("UTC", "2026-11-19T23:59:00Z", "19 Nov 2026, 23:59");
        check("UTC", "2026-12-01T08:05:00Z", "1 Dec 2026, 08:05");
        check("America/New_York", "2026-11-26T04:03:00Z", "23:03");
        check("America/New_York", "2026-11-25T04:59:00Z", "Tue 23:59");
        check("Asia/Kolkata", "2026-11-25T18:30:00Z", "00:00");
        // Beyond the calendar there is no time to tell.
        let clock = Clock::at(now, Some("UTC"));
        assert_eq!(clock.short(i64::MAX), "1 Jan 1970, 00:00");
        assert_eq!(
            clock.full(micros("2026-11-26T04:03:00Z")),
            "26 Nov 2026, 04:03"
        );
    }

    #[test]
    fn midnight_is_that_of_the_zone() {
        let check = |zone: &str, now: &str, expected: &str| {
            let clock = Clock::at(now.parse().unwrap(), Some(zone));
            let until = i64::try_from(clock.until_midnight().as_micros()).unwrap();
            assert_eq!(micros(now) + until, micros(expected), "{now} in {zone}");
        };
        check("UTC", "2026-11-26T14:03:00Z", "2026-11-27T00:00:00Z");
        check("UTC", "2026-11-26T00:00:00Z", "2026-11-27T00:00:00Z");
        check(
            "Asia/Kolkata",
            "2026-11-26T18:29:59.5Z",
            "2026-11-26T18:30:00Z",
        );
        // A day of 25 hours, and one without a midnight.
        check(
            "Europe/Berlin",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        );
        check(
            "Africa/Cairo",
            "2026-04-23T21:00:00Z",
            "2026-04-23T22:00:00Z",
        );
    }

    #[test]
    fn an_unknown_zone_is_that_of_the_machine() {
        let now = "2026-11-26T04:30:00Z".parse().unwrap();
        let (system, unknown) = (Clock::at(now, None), Clock::at(now, Some("../etc/passwd")));
        assert_eq!(system.now.time_zone(), unknown.now.time_zone());
        assert!(Clock::knows("Europe/Berlin") && !Clock::knows("Mars/Olympus"));
    }
}
