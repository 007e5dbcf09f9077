//! JSON-RPC between the pipes and the handlers.

pub(crate) mod answering;
pub(crate) mod ask;
pub(crate) mod context;
pub(crate) mod error;
mod handler;
pub(crate) mod lenient;
pub(crate) mod long_work;
pub(crate) mod panics;
pub(crate) mod progress;
pub(crate) mod serve;
mod spelling;
pub(crate) mod write;

pub(crate) use ask::{ask, ask_user};
