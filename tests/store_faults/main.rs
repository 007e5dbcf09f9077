//! The store of the local service when the system fails: at every call that changes or reads a file of it,
//! the process is killed, or the call fails. What was acknowledged is kept, what was refused did not happen,
//! nothing healthy is set aside, and the next start works.
//!
//! A library that `cc` makes of `shim.c` stands between the real binary and the system.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod faults;
mod shim;
