//! When one kind of request is to leave.

use crate::sync::backoff::{BACKOFF_MAX, backoff};
use std::time::{Duration, Instant};

/// A request of which at most one is under way.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    at: Option<Instant>,
    /// After failures: no earlier than this.
    not_before: Option<Instant>,
    under_way: bool,
    /// Failures in a row.
    pub(super) failures: u32,
    /// How long the last one took.
    pub(super) took: Duration,
}

impl Schedule {
    /// At the latest then. What is due already is not pushed further away.
    pub(super) fn soon(&mut self, at: Instant) {
        self.at = Some(self.at.map_or(at, |due| due.min(at)));
    }

    /// Now, whatever failed before: somebody asks.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.at = Some(now);
        self.not_before = None;
    }

    /// When it is to leave; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        let at = self.at.filter(|_| !self.under_way)?;
        Some(self.not_before.map_or(at, |earliest| at.max(earliest)))
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// It is under way or will be.
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

    /// It failed, and is to be tried again after a pause.
    pub(super) fn failed(&mut self, now: Instant) {
        self.under_way = false;
        self.failures = self.failures.saturating_add(1);
        let earliest = now + backoff(self.failures, BACKOFF_MAX);
        self.not_before = Some(earliest);
        self.soon(earliest);
    }

    /// What went wrong before does not count any more.
    pub(super) fn start_over(&mut self) {
        self.at = None;
        self.not_before = None;
        self.failures = 0;
    }

    /// Not wanted any more, or not at all.
    pub(super) fn give_up(&mut self) {
        self.start_over();
        self.under_way = false;
    }
}
