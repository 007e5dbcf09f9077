//! Parses JSON of the Pieces API, editors and backups by one set of rules.
//!
//! [`from_slice`] skips a byte order mark and repairs what Rust cannot hold: broken Unicode and numbers
//! beyond `f64`. `lenient` has serde types that skip values of the wrong type, `plural` reads lists of ids, and
//! [`time`] reads and writes timestamps.

pub(crate) mod lenient;
pub(crate) mod plural;
mod text;
pub mod time;

pub use text::{from_slice, without_bom};
pub(crate) use text::{repair, with_repair};
