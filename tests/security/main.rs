//! What `docs/security.md` and `docs/privacy.md` promise, on the real binary and real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod canaries;
mod crowds;
mod elsewhere;
mod endless;
mod files;
mod log;
mod scanned_ports;
mod strangers;
mod trap;
mod urls;
