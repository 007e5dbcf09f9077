//! Publishes committed changes to open identifier streams.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast;

use super::kind::Kind;
use crate::service::time;

/// How many frames a stream may lag behind before it is closed. Bounds the memory for all its subscribers
/// together; a channel allocates 56 bytes for each frame when it is created.
const LAG: usize = 8192;

/// One committed change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Upsert {
        kind: Kind,
        id: String,
        updated: i64,
    },
    Delete {
        kind: Kind,
        id: String,
    },
}

impl Event {
    fn kind(&self) -> Kind {
        match self {
            Self::Upsert { kind, .. } | Self::Delete { kind, .. } => *kind,
        }
    }

    pub(crate) fn key(&self) -> (Kind, &str) {
        match self {
            Self::Upsert { kind, id, .. } | Self::Delete { kind, id } => (*kind, id),
        }
    }

    /// A whole frame: one per change, so that a delete is never in the same frame as an upsert.
    fn frame(&self) -> String {
        let mut out = String::from("{\"iterable\":[");
        match self {
            Self::Upsert { kind, id, updated } => write_item(&mut out, *kind, id, *updated),
            Self::Delete { kind, id } => {
                out.push_str("{\"");
                out.push_str(kind.streamed_as());
                out.push_str("\":{\"id\":\"");
                out.push_str(id);
                out.push_str("\"},\"deleted\":true}");
            }
        }
        out.push_str("]}");
        out
    }
}

/// Writes one live object as a `StreamedIdentifier`.
pub(crate) fn write_item(out: &mut String, kind: Kind, id: &str, updated: i64) {
    out.push_str("{\"");
    out.push_str(kind.streamed_as());
    out.push_str("\":{\"id\":\"");
    out.push_str(id);
    out.push_str("\"},\"updated\":");
    time::write_value(out, updated);
    out.push('}');
}

/// A broadcast channel for each kind that has had a subscriber.
pub(crate) struct Hub {
    channels: [OnceLock<broadcast::Sender<Utf8Bytes>>; Kind::ALL.len()],
    gate: Mutex<()>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            channels: Default::default(),
            gate: Mutex::new(()),
        }
    }

    /// Held during commit and publish, and during subscribe and first read: a subscriber gets each change
    /// either in its first frame or as an event, never neither and never both.
    pub(crate) fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn subscribe(&self, kind: Kind) -> broadcast::Receiver<Utf8Bytes> {
        let channel = self.channels[kind as usize - 1].get_or_init(|| broadcast::channel(LAG).0);
        channel.subscribe()
    }

    pub(crate) fn publish(&self, event: &Event) {
        let channel = self.channels[event.kind() as usize - 1].get();
        if let Some(channel) = channel.filter(|channel| channel.receiver_count() > 0) {
            // Fails only if the last subscriber has just left.
            let _ = channel.send(event.frame().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_shape_clients_read() {
        let id = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10".to_owned();
        for (event, expected) in [
            (
                Event::Upsert {
                    kind: Kind::Message,
                    id: id.clone(),
                    updated: 0,
                },
                r#"{"iterable":[{"conversationMessage":{"id":"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10"},"updated":{"value":"1970-01-01T00:00:00.000000Z"}}]}"#,
            ),
            (
                Event::Delete {
                    kind: Kind::Conversation,
                    id,
                },
                r#"{"iterable":[{"conversation":{"id":"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10"},"deleted":true}]}"#,
            ),
        ] {
            assert_eq!(event.frame(), expected);
        }
    }
}
