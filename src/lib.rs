//! `pieces-lsp`: Pieces conversations as first-class objects in every editor.
//!
//! Data flows one way: [`pieces`] is the client of the API, [`index`] holds the known conversations, [`sync`] keeps
//! the index equal to the server, [`lsp`] shows it to editors through [`transport`]. [`service`] is the embedded local
//! service with the same API; [`transfer`] imports into it and exports from it; [`model`] is the client of language
//! models, `ask` asks questions. `docs/architecture.md` says where to start reading.

pub(crate) mod ask;
pub mod cli;
pub mod index;
pub mod json;
pub mod lsp;
pub mod markdown;
pub(crate) mod memory;
pub mod model;
pub mod pieces;
pub(crate) mod private;
pub mod service;
pub mod sync;
pub mod transfer;
pub mod transport;
pub(crate) mod words;
