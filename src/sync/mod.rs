//! Keeps the index up to date with the API: list-and-watch.
//!
//! [`machine`] decides (no I/O, no clock of its own), `driver` carries out its decisions, `backend` finds
//! the service. The stream is opened first, then the list is read, then the changes that the stream announced
//! meanwhile are applied. After a lost stream: reconnect and list again.

mod backend;
mod backoff;
pub(crate) mod driver;
pub mod machine;
mod service;

pub(crate) use backend::{Backend, Source, may_use_unknown};
pub(crate) use driver::{Event, Handle, State, Status, Write, start};
pub(crate) use machine::Touched;
