//! The language server: everything that names `tower-lsp` or `lsp-types` lives in here, on the floors that
//! `docs/architecture.md` describes.

mod commands;
mod features;
mod limits;
mod rpc;
pub mod server;
mod state;
mod text;
mod upkeep;

pub use rpc::panics::log_panics;
pub use state::session::Launch;
