//! Pauses after failures.

use std::time::Duration;

/// The first pause; it doubles with each consecutive failure.
const BACKOFF: Duration = Duration::from_millis(250);
/// Longest pause before work that a user waits for.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// The pause after this many consecutive failures, at most `max`.
pub(super) fn backoff(failures: u32, max: Duration) -> Duration {
    let doubled = failures.saturating_sub(1).min(16);
    BACKOFF.saturating_mul(1 << doubled).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let check = |failures, ms| {
            assert_eq!(backoff(failures, BACKOFF_MAX).as_millis(), ms, "{failures}");
        };
        [
            (0, 250),
            (1, 250),
            (2, 500),
            (3, 1000),
            (6, 8000),
            (7, 10_000),
            (u32::MAX, 10_000),
        ]
        .into_iter()
        .for_each(|(failures, ms)| check(failures, ms));
    }
}
