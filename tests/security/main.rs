//! What `docs/security.md` and `docs/privacy.md` promise, on the real binary and real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod elsewhere;
#[cfg(unix)]
mod files;
mod limits;
mod scanned_ports;
mod strangers;
mod trap;
mod urls;
