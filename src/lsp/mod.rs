//! The language server. Only code in here uses `tower-lsp` and `lsp-types`. `docs/architecture.md` describes its floors.

mod commands;
mod features;
mod limits;
mod rpc;
pub(crate) mod server;
mod state;
mod text;
mod upkeep;

pub use rpc::panics::log_panics;
pub(crate) use state::session::Launch;
