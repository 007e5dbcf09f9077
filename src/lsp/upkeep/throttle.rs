//! Rate-limits messages by key, without losing the last one.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// Admits each key at once if it was not admitted within `interval`, else at the end of the interval.
#[derive(Debug)]
pub(super) struct Throttle<K> {
    interval: Duration,
    /// When each key was last admitted, and whether it is waiting.
    keys: HashMap<K, (Instant, bool)>,
}

impl<K: Copy + Eq + Hash> Throttle<K> {
    pub fn new(interval: Duration) -> Self {
        Throttle {
            interval,
            keys: HashMap::new(),
        }
    }

    /// Whether the key is admitted now. If not, [`Throttle::take_due`] returns it later.
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

    /// Resets the limit of a key.
    pub fn forget(&mut self, key: K) {
        self.keys.remove(&key);
    }

    /// When the next one is due; `None` if none is waiting.
    pub fn due(&self) -> Option<Instant> {
        let waiting = self.keys.values().filter(|(_, waiting)| *waiting);
        waiting.map(|(last, _)| *last + self.interval).min()
    }

    /// Admits all keys that are due.
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
