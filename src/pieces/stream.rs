//! The identifier stream: which conversations changed.

use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use uuid::Uuid;

use super::error::Error;
use super::limits;
use super::loopback::BaseUrl;
use super::socket::{Connection, Purpose, Received, Socket};
use super::wire::{StreamedIdentifier, streamed_identifiers};

/// A change of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It exists, and may be new or changed.
    Upsert {
        /// Its id.
        id: Uuid,
        /// When it changed, in microseconds since the Unix epoch, if the service sent it.
        updated: Option<i64>,
    },
    /// It was deleted.
    Delete {
        /// Its id.
        id: Uuid,
    },
}

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// In the order in which they were sent.
    Changes {
        /// The changes that were readable.
        changes: Vec<Change>,
        /// Part of the frame was unreadable. Items about other kinds of objects do not count.
        malformed: bool,
    },
    /// No changes for a while, and the service answered our ping.
    Alive,
}

/// The objects that a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// `/conversations/stream/identifiers`.
    Conversations,
    /// `/anchors/stream/identifiers`; its items are [foreign](Frame::Changes) to a conversation.
    Anchors,
    /// `/assets/stream/identifiers`; its items are [foreign](Frame::Changes) to a conversation.
    Assets,
}

impl Watched {
    fn purpose(self) -> Purpose {
        Purpose {
            path: self.path(),
            idle: self.idle(),
            unsent: 64 << 10,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Watched::Conversations => "/conversations/stream/identifiers",
            Watched::Anchors => "/anchors/stream/identifiers",
            Watched::Assets => "/assets/stream/identifiers",
        }
    }

    /// Silence before a ping. One stream with pings is enough to detect that a peer is gone, so the streams
    /// beside that of conversations send none.
    fn idle(self) -> Duration {
        match self {
            Watched::Conversations => limits::STREAM_IDLE,
            Watched::Anchors | Watched::Assets => Duration::from_secs(365 * 24 * 3600),
        }
    }
}

/// An open identifier stream, usually `/conversations/stream/identifiers`. Dropping it closes it.
pub struct IdentifierStream(Identifiers<Connection>);

impl IdentifierStream {
    /// Connects and upgrades.
    pub(super) async fn open(
        base: &BaseUrl,
        socket: Option<&Path>,
        token: Option<HeaderValue>,
        watched: Watched,
    ) -> Result<IdentifierStream, Error> {
        let opened = Socket::open(base, socket, token, watched.purpose()).await?;
        Ok(IdentifierStream(Identifiers(opened)))
    }

    /// The next frame. Pings the service after a period of silence. Cancel safe.
    ///
    /// # Errors
    /// The stream ended: closed, reset, no answer to a ping, or a frame that is too large. It stays ended.
    pub async fn next(&mut self) -> Result<Frame, Error> {
        self.0.next().await
    }
}

/// The stream over any transport.
struct Identifiers<S>(Socket<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Identifiers<S> {
    async fn next(&mut self) -> Result<Frame, Error> {
        Ok(match self.0.next().await? {
            Received::Text(text) => frame(text.as_bytes()),
            Received::Binary => Frame::Changes {
                changes: Vec::new(),
                malformed: true,
            },
            Received::Alive => Frame::Alive,
        })
    }
}

fn frame(json: &[u8]) -> Frame {
    let Some(items) = streamed_identifiers(json) else {
        return Frame::Changes {
            changes: Vec::new(),
            malformed: true,
        };
    };
    let mut malformed = false;
    let changes = items.into_iter().filter_map(|item| match item {
        StreamedIdentifier::Upsert { id, updated } => Some(Change::Upsert { id, updated }),
        StreamedIdentifier::Delete { id } => Some(Change::Delete { id }),
        StreamedIdentifier::Foreign => None,
        StreamedIdentifier::Malformed => {
            malformed = true;
            None
        }
    });
    Frame::Changes {
        changes: changes.collect(),
        malformed,
    }
}

#[cfg(test)]
mod tests;
