//! Answers against a real store and a scripted model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod asking;
mod late;
mod races;
mod stage;
