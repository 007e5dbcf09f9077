//! A cache of conversations with their messages, fetched on demand.

use super::session::Session;
use crate::lsp::limits::MAX_TRANSCRIPTS;
use crate::pieces::{Error, Transcript};
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The conversations that were read most recently, up to [`MAX_TRANSCRIPTS`].
///
/// A slot is reserved before its conversation is read, and the response goes into that slot only. If the conversation
/// was forgotten meanwhile, the slot is gone, so a response that may be stale is not cached.
#[derive(Debug, Default)]
pub(crate) struct Transcripts {
    slots: DashMap<Uuid, Slot>,
    clock: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    /// Unique among all slots.
    number: u64,
    /// `updated` and the number of messages in the index before the read.
    state: (i64, u32),
    used: u64,
    /// `None` until the response has arrived.
    transcript: Option<Arc<Transcript>>,
}

impl Transcripts {
    /// Drops a conversation that changed.
    pub fn forget(&self, id: Uuid) {
        self.slots.remove(&id);
    }

    pub fn forget_all(&self) {
        self.slots.clear();
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn get(&self, id: Uuid, state: (i64, u32)) -> Option<Arc<Transcript>> {
        let mut slot = self.slots.get_mut(&id)?;
        slot.used = self.tick();
        slot.transcript.clone().filter(|_| slot.state == state)
    }

    /// Reserves a slot for a read; returns its number.
    fn reserve(&self, id: Uuid, state: (i64, u32)) -> u64 {
        let number = self.tick();
        let slot = Slot {
            number,
            state,
            used: number,
            transcript: None,
        };
        self.slots.insert(id, slot);
        if self.slots.len() > MAX_TRANSCRIPTS {
            let oldest = self.slots.iter().min_by_key(|slot| slot.used);
            let oldest = oldest.map(|slot| *slot.key());
            oldest.and_then(|id| self.slots.remove(&id));
        }
        number
    }

    fn fill(&self, id: Uuid, number: u64, transcript: &Arc<Transcript>) {
        if let Some(mut slot) = self.slots.get_mut(&id)
            && slot.number == number
        {
            slot.transcript = Some(Arc::clone(transcript));
        }
    }

    /// The conversation with its messages, from the cache unless it changed since.
    ///
    /// # Errors
    /// Those of the service; `not-found` also where it only has the six documented endpoints.
    pub async fn read(&self, session: &Session, id: Uuid) -> Result<Arc<Transcript>, Error> {
        match self.get(id, state(session, id)) {
            Some(kept) => Ok(kept),
            None => self.fetch(session, id).await,
        }
    }

    async fn fetch(&self, session: &Session, id: Uuid) -> Result<Arc<Transcript>, Error> {
        let number = self.reserve(id, state(session, id));
        let (_, client) = session.client().await?;
        let transcript = Arc::new(client.transcript(id).await?);
        self.fill(id, number, &transcript);
        Ok(transcript)
    }

    /// The same if it arrives within that time; otherwise the fetch continues and fills the cache for the next call.
    pub async fn read_soon(
        self: &Arc<Self>,
        session: &Arc<Session>,
        id: Uuid,
        within: Duration,
    ) -> Option<Arc<Transcript>> {
        let (transcripts, session) = (Arc::clone(self), Arc::clone(session));
        let task = tokio::spawn(async move { transcripts.read(&session, id).await.ok() });
        tokio::time::timeout(within, task).await.ok()?.ok()?
    }
}

fn state(session: &Session, id: Uuid) -> (i64, u32) {
    let one = session.reader().get(id);
    one.map_or((i64::MIN, 0), |one| (one.updated, one.messages))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::limits::INDEX_TIMEOUT;
    use crate::lsp::state::session::{Applied, Launch};
    use serde_json::json;
    use tokio::time::timeout;

    fn transcript() -> Arc<Transcript> {
        Arc::new(Transcript {
            conversation: serde_json::Value::Null,
            messages: vec![],
            missing: 0,
        })
    }

    #[test]
    fn a_response_older_than_a_change_is_not_cached() {
        let (kept, id) = (Transcripts::default(), Uuid::from_u128(1));
        let first = kept.reserve(id, (0, 0));
        assert!(kept.get(id, (0, 0)).is_none(), "it is being read");
        kept.forget(id);
        kept.fill(id, first, &transcript());
        assert!(kept.get(id, (0, 0)).is_none(), "it may be stale");

        let second = kept.reserve(id, (0, 0));
        kept.fill(id, first, &transcript());
        assert!(kept.get(id, (0, 0)).is_none(), "the answer of another read");
        kept.fill(id, second, &transcript());
        assert!(kept.get(id, (0, 0)).is_some());
        assert!(kept.get(id, (1, 0)).is_none(), "the index knows more");
        kept.forget_all();
        assert!(kept.get(id, (0, 0)).is_none());
    }

    #[test]
    fn the_least_recently_used_goes() {
        let kept = Transcripts::default();
        for n in 0..=MAX_TRANSCRIPTS as u128 {
            let id = Uuid::from_u128(n);
            let number = kept.reserve(id, (0, 0));
            kept.fill(id, number, &transcript());
            assert!(kept.get(Uuid::from_u128(0), (0, 0)).is_some());
        }
        assert_eq!(kept.slots.len(), MAX_TRANSCRIPTS);
        assert!(kept.get(Uuid::from_u128(1), (0, 0)).is_none());
    }

    #[tokio::test]
    async fn a_transcript_older_than_the_index_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch {
            backend: Some("local".to_owned()),
            data_dir: Some(dir.path().join("data")),
            ..Launch::default()
        };
        let session = Session::new(launch, tokio::sync::mpsc::unbounded_channel().0);
        let Applied::Started(mut started) = session.apply(Arc::default).await else {
            panic!("there is no connection");
        };
        let (_, client) = session.client().await.unwrap();
        let seed = json!({"name": "Retries", "type": "COPILOT"});
        let (_, made) = client.create(&seed, None).await.unwrap();
        let id = made.id;
        let mut known = async |messages: u32| {
            let knows = |session: &Session| {
                let one = session.reader().get(id);
                one.is_some_and(|one| one.messages == messages)
            };
            while !knows(&session) {
                let changed = timeout(INDEX_TIMEOUT, started.events.recv()).await;
                changed.unwrap().expect("the connection is there");
            }
        };
        // Nothing tells the cache of changes.
        let transcripts = Transcripts::default();
        let read = async || transcripts.read(&session, id).await.unwrap().messages.len();
        known(0).await;
        assert_eq!(read().await, 0);
        let message = json!({"role": "USER", "conversation": {"id": id}, "fragment": {"string": {"raw": "Why?"}}});
        let message = message.to_string().into_bytes();
        client
            .post_bytes("/messages/create", message)
            .await
            .unwrap();
        known(1).await;
        assert_eq!(read().await, 1);
        session.shutdown().await;
    }
}
