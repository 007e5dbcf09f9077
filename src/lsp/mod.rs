//! The language server: everything that names `tower-lsp` or `lsp-types` lives in here.

mod ask;
mod commands;
mod context;
mod handler;
mod panics;
pub mod serve;
pub mod server;

pub use ask::{Unanswered, ask};
pub use context::RequestContext;
pub use panics::log_panics;
