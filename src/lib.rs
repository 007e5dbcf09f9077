//! `pieces-lsp`: Pieces conversations as first-class objects in every editor.
//!
//! Data flows one way: [`pieces`] speaks the API, [`index`] holds what we know, [`sync`] keeps the
//! second equal to the first, [`lsp`] shows it to editors through [`transport`]. [`service`] is the
//! embedded local service with the same API; [`transfer`] copies into it and out of it; [`model`] asks language models, [`ask`] puts a person's question together. `docs/architecture.md` says where to start reading.

pub mod ask;
pub mod cli;
pub mod index;
pub mod json;
pub mod lsp;
pub mod markdown;
pub mod memory;
pub mod model;
pub mod pieces;
pub mod private;
pub mod service;
pub mod sync;
pub mod transfer;
pub mod transport;
pub(crate) mod words;
