//! The embedded local service: the Pieces API on loopback over a durable store of its own.
//!
//! [`attach`] serves the store of a data directory or finds the process that does. Inside, data flows one
//! way: `http` reads requests, `objects` has their rules, `store` stores the objects, `view` builds
//! responses. `docs/service.md` lists the routes and the files.

mod answer;
mod attach;
mod error;
mod extract;
mod failure;
mod hold;
mod http;
mod look;
mod objects;
mod old_trash;
mod socket;
mod store;
mod time;
mod trouble;
mod view;

pub use answer::Asking;
pub use attach::{
    Attached, Options, Role, attach, default_data_dir, has_conversations, has_store,
    prefer_pieces_os, prefers_pieces_os, view,
};
pub use error::ServiceError;
pub(crate) use http::{EXPORT_FORMAT, MAX_IMPORT};
pub use look::{Held, Look, Readable, Unwritable, look};
pub use store::Kind;
pub use store::restored_ids;

pub(crate) use failure::Failure;
