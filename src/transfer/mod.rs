//! Import into the local service and export from it, with everything that belongs to conversations.
//!
//! [`import`] reads a running Pieces OS (GET requests only, at most two in flight), the file that [`export`] wrote, or
//! an archive of another tool. It only adds: objects that are newer here are kept, nothing is deleted, ids and times
//! are kept. It can be interrupted and run again; the next run continues. Both use the local service over HTTP,
//! whichever process serves it.
//!
//! Data flows `source`, `exported` or `archives` → `sink` → local service → `export` → `markdown`.

mod archives;
mod error;
mod export;
mod exported;
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
pub use report::{Counts, Progress, Report, Step, Unreadable};
