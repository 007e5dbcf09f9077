//! At most so many messages a second about one thing, the last of them not lost.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// Lets each key through at once if it was not let through within `interval`, else when that is over.
#[derive(Debug)]
pub(super) struct Throttle<K> {
    interval: Duration,
    /// When each key was last let through, and whether it is waiting.
    keys: HashMap<K, (Instant, bool)>,
}

impl<K: Copy + Eq + Hash> Throttle<K> {
    pub fn new(interval: Duration) -> Self {
        Throttle {
            interval,
            keys: HashMap::new(),
        }
    }

    /// Whether the key may pass now. If not, it is one of [`Throttle::take_due`] later.
    pub fn admit(&mut self, key: K) -> bool {
        let now = Instant::now();
        match self.keys.get_mut(&key) {
            Some((last, waiting)) if now < *last + self.interval => {
                *waiting = true;
                false
            }
            _ => {
                self.keys.insert(key, (now, false));
                true
            }
        }
    }

    /// The key is not limited any more.
    pub fn forget(&mut self, key: K) {
        self.keys.remove(&key);
    }

    /// When the next one is due; `None` if none is waiting.
    pub fn due(&self) -> Option<Instant> {
        let waiting = self.keys.values().filter(|(_, waiting)| *waiting);
        waiting.map(|(last, _)| *last + self.interval).min()
    }

    /// Lets all through that are due.
    pub fn take_due(&mut self) -> Vec<K> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (key, (last, waiting)) in &mut self.keys {
            if *waiting && now >= *last + self.interval {
                (*last, *waiting) = (now, false);
                due.push(*key);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn the_first_passes_at_once_and_the_last_later() {
        let mut throttle = Throttle::new(Duration::from_millis(250));
        assert!(throttle.admit(1) && throttle.admit(2));
        assert_eq!(throttle.due(), None);
        sleep(Duration::from_millis(100)).await;
        assert!(!throttle.admit(1) && !throttle.admit(1));
        assert_eq!(
            throttle.due(),
            Some(Instant::now() + Duration::from_millis(150))
        );
        assert!(throttle.take_due().is_empty());
        sleep(Duration::from_millis(150)).await;
        assert_eq!(throttle.take_due(), [1]);
        assert_eq!((throttle.due(), throttle.take_due()), (None, vec![]));
        assert!(!throttle.admit(1), "it passed just now");
        throttle.forget(1);
        assert!(throttle.admit(1));
    }
}
