//! The language server: everything that names `tower-lsp` or `lsp-types` lives in here.

mod ask;
mod assets;
mod capabilities;
mod code_action;
mod code_lens;
mod commands;
mod completion;
mod content;
mod context;
mod diagnostics;
mod document;
mod error;
mod handler;
mod hover;
mod inlay_hint;
mod item;
mod live;
mod navigation;
mod offer;
mod panics;
mod posts;
mod progress;
mod reference;
mod rename;
pub mod serve;
pub mod server;
mod session;
mod settings;
mod subject;
mod symbols;
mod transcripts;

pub use ask::{Unanswered, ask};
pub use context::RequestContext;
pub use panics::log_panics;
#[cfg(any(test, fuzzing))]
pub(crate) use reference::check;
pub use session::Launch;
