//! Import into the local service and export from it, with everything that belongs to conversations.
//!
//! [`import`] reads a running Pieces OS (GET requests only, at most two in flight) or the file that
//! [`export`] wrote. It only adds: objects that are newer here are kept, nothing is deleted, ids and times
//! are kept. It can be interrupted and run again; the next run continues. Both use the local service over
//! HTTP, whichever process serves it.
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
