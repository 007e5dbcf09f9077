//! When one kind of request is due.

use crate::sync::backoff::{BACKOFF_MAX, backoff};
use std::time::{Duration, Instant};

/// A request of which at most one is in flight.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    at: Option<Instant>,
    /// Backoff after failures: not before this.
    not_before: Option<Instant>,
    under_way: bool,
    /// Consecutive failures.
    pub(super) failures: u32,
    /// How long the last one took.
    pub(super) took: Duration,
}

impl Schedule {
    /// Makes it due at this time at the latest. An earlier due time stays.
    pub(super) fn soon(&mut self, at: Instant) {
        self.at = Some(self.at.map_or(at, |due| due.min(at)));
    }

    /// Makes it due now, regardless of failures: a caller asks.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.at = Some(now);
        self.not_before = None;
    }

    /// When it is due; `None` while one is in flight.
    pub(super) fn due(&self) -> Option<Instant> {
        let at = self.at.filter(|_| !self.under_way)?;
        Some(self.not_before.map_or(at, |earliest| at.max(earliest)))
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Whether it is in flight or due.
    pub(super) fn is_wanted(&self) -> bool {
        self.under_way || self.at.is_some()
    }

    pub(super) fn left(&mut self) {
        self.at = None;
        self.under_way = true;
    }

    pub(super) fn done(&mut self, took: Duration) {
        self.under_way = false;
        self.failures = 0;
        self.not_before = None;
        self.took = took;
    }

    /// It failed; retry after a pause.
    pub(super) fn failed(&mut self, now: Instant) {
        self.under_way = false;
        self.failures = self.failures.saturating_add(1);
        let earliest = now + backoff(self.failures, BACKOFF_MAX);
        self.not_before = Some(earliest);
        self.soon(earliest);
    }

    /// Forgets earlier failures.
    pub(super) fn start_over(&mut self) {
        self.at = None;
        self.not_before = None;
        self.failures = 0;
    }

    /// Not needed any more, or never.
    pub(super) fn give_up(&mut self) {
        self.start_over();
        self.under_way = false;
    }
}
