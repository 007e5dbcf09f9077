//! What the benches share: a service to talk to, an editor that talks to the binary, a table.
//!
//! Every bench is a program of its own that measures a budget and, in the same run, something
//! comparable that does only the unavoidable part. `docs/performance.md` has the results.
#![allow(dead_code, reason = "no bench uses everything")]

pub mod editor;
pub mod endpoint;
pub mod loading;
pub mod process;
pub mod report;
pub mod service;

use std::time::{Duration, Instant};

/// The binary, built with the profile of the benches.
pub const BINARY: &str = env!("CARGO_BIN_EXE_pieces-lsp");

pub fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Waits for the allocator: what a load has freed may be given back a moment later.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}

/// The number after `option` on the command line.
pub fn number(option: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != option);
    arguments.nth(1)?.parse().ok()
}

/// Timings of one thing, in order of size.
pub struct Timings(Vec<Duration>);

impl Timings {
    pub fn new(mut timings: Vec<Duration>) -> Self {
        timings.sort();
        Timings(timings)
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}
