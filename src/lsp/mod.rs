//! The language server: everything that names `tower-lsp` or `lsp-types` lives in here.

mod ask;
mod capabilities;
mod code_action;
mod commands;
mod context;
mod document;
mod error;
mod handler;
mod item;
mod live;
mod panics;
mod posts;
mod progress;
mod reference;
pub mod serve;
pub mod server;
mod session;
mod settings;
mod subject;

pub use ask::{Unanswered, ask};
pub use context::RequestContext;
pub use panics::log_panics;
pub use session::Launch;
