//! Copying conversations into the local service and out of it, with all that belongs to them.
//!
//! [`import`] reads a running Pieces OS (GET requests only, at most two in flight) or the file that
//! [`export`] wrote. It only ever adds: what is newer here is kept, nothing is deleted, ids and times
//! stay as they are. It may be repeated and broken off at any point; the next run goes on.
//! Both talk to the local service over HTTP, whichever process serves it.
//!
//! Data flows `source` or `archive` → `sink` → local service → `export` → `markdown`.

mod archive;
mod error;
mod export;
mod filename;
mod import;
mod local;
mod markdown;
mod report;
mod sink;
mod source;

pub use crate::service::Kind;
pub use error::Error;
pub use export::{EXPORTED_FILE, Exported, export};
pub use import::{Import, Origin, import};
pub use report::{Counts, Progress, Report, Unreadable};
