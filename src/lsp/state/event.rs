//! What features and commands report to upkeep.

use crate::pieces::Kind;

/// An event for which upkeep may make an offer or show something. Sent, because a lower floor must not call upkeep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A new conversation was created.
    Created,
    /// Creating one failed; a [`Event::WriteFailed`] follows.
    CreateFailed {
        /// The HTTP status, if there was a response.
        status: Option<u16>,
    },
    /// A write failed.
    WriteFailed {
        /// The kind of the error.
        kind: Kind,
        /// The HTTP status, if there was a response.
        status: Option<u16>,
    },
    /// Pieces OS started while the local service is in use.
    PiecesOsAppeared,
    /// A sentence for the user about the store that was opened.
    Notice(String),
}
