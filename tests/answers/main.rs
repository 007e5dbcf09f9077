//! Questions to the local service, from the wire to a model that the test plays, and what is kept of the answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod asker;
mod files;
mod kept;
mod rest;
mod wire;
