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

/// In [`OWN`] of a message, as `summary`: the text is an extract that no model wrote.
pub(crate) const EXTRACT: &str = "extract";
/// How such a message is signed.
pub(crate) const EXTRACT_SIGNED: &str = "Summary (no model)";

/// Whether a message, as received, is an extract that no model wrote.
pub(crate) fn is_extract(message: &serde_json::Value) -> bool {
    message[OWN]["summary"] == EXTRACT
}

pub use client::{Client, Listed};
pub(crate) use discovery::NOT_RUNNING;
pub use discovery::{Discovery, Found, Place, Seen};
pub use error::{Error, Kind};
pub use list::{ListParser, Unreadable};
pub(crate) use loopback::localhost;
pub use loopback::{BaseUrl, PlainHttp, Refusal};
pub use qgpt::{Asking, Ended, Model, Progress, Question, Reply};
pub use stream::{Change, Frame, IdentifierStream, Watched};
pub use transcript::{AssetText, Message, Role, SearchHit, Transcript};

/// Holds the paused clock of a test until it is dropped: otherwise the clock runs ahead while a socket is waited for, and
/// with a clock that runs a busy machine exceeds the deadlines.
#[cfg(test)]
pub(crate) fn held() -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || held.recv());
    release
}
