//! What only shows after a long time or in large numbers.
//!
//! `ENDURANCE=1 cargo test --release --test endurance -- --nocapture --test-threads 1` runs all of it in full and
//! says what it measured; without the variable it is a short form of each. `ENDURANCE_SEED=n` makes
//! another life of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod fifty;
mod life;
mod million;
#[allow(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/support/process.rs"]
mod process;
#[path = "../sync_simulation/rng.rs"]
mod rng;
#[allow(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/support/service.rs"]
mod service;
#[path = "../support/mod.rs"]
mod support;

/// Whether the long form is wanted.
fn is_long() -> bool {
    std::env::var_os("ENDURANCE").is_some()
}

/// What the kernel says of a process. All zeros where there is no `/proc`.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Memory of its own, in kB.
    anonymous: u64,
    /// With the pages of its files.
    resident: u64,
    threads: u64,
    descriptors: usize,
}

impl Figures {
    fn of(pid: u32) -> Self {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"));
        Figures {
            anonymous: process::memory(pid, "RssAnon"),
            resident: process::memory(pid, "VmRSS"),
            threads: process::memory(pid, "Threads"),
            descriptors: descriptors.map_or(0, Iterator::count),
        }
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values[values.len() / 2]
}
