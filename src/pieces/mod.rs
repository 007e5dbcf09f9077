//! The Pieces API as it is on the wire: types, REST client, identifier stream, discovery.
//!
//! Knows nothing of LSP, of the index, or of the local service.

mod client;
mod discovery;
mod error;
mod limits;
mod list;
pub(crate) mod listener;
mod loopback;
mod outcome;
mod qgpt;
mod socket;
mod stream;
mod transcript;
pub mod wire;

/// The field of ours in messages, conversations and frames of questions; other clients ignore it.
pub(crate) const OWN: &str = "pieces_lsp";

pub use client::{Client, Listed};
pub(crate) use discovery::NOT_RUNNING;
pub use discovery::{Discovery, Found, Place, Seen};
pub use error::{Error, Kind};
pub use list::{ListParser, Unreadable};
pub(crate) use loopback::localhost;
pub use loopback::{BaseUrl, Refusal};
pub use qgpt::{Asking, Ended, Model, Progress, Question, Reply};
pub use stream::{Change, Frame, IdentifierStream, Watched};
pub use transcript::{AssetText, Message, Role, SearchHit, Transcript};
