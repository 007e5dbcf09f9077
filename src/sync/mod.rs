//! Joins the API and the index: list-and-watch.
//!
//! [`machine`] decides (no I/O, no clock of its own), [`driver`] does what it says, [`backend`] knows
//! where the conversations are. The stream is opened first, then the list is read, then what the
//! stream said in the meantime is applied; a lost stream means: connect again and list again.

pub mod backend;
mod backoff;
pub mod driver;
pub mod machine;
mod service;

pub use backend::{Backend, Resolved, Source};
pub use driver::{Event, Handle, State, Status, Write, start};
pub use machine::Touched;
