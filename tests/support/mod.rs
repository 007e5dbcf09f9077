//! What the integration tests share. Each of them is a crate of its own and uses a part of it.
#![allow(dead_code, reason = "every test file compiles all of it and uses some")]

pub mod client;
pub mod endpoint;
pub mod local;
pub mod process;
pub mod replica;
pub mod standin;
pub mod world;

/// Far longer than anything takes, also at fifteen processes for each core; only a failing test waits this long.
pub const DEADLINE: std::time::Duration = std::time::Duration::from_secs(60);
