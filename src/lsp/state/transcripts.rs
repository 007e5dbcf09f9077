//! A cache of conversations with their messages, fetched on demand.

use super::session::Session;
use crate::lsp::limits::MAX_TRANSCRIPTS;
use crate::pieces::{Error, Transcript};
use dashmap::DashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The conversations that were read most recently, up to [`MAX_TRANSCRIPTS`].
#[derive(Debug, Default)]
pub(crate) struct Transcripts {
    kept: DashMap<Uuid, Kept>,
    clock: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    /// `updated` and the number of messages in the index when it was fetched.
    state: (i64, u32),
    used: u64,
    transcript: Arc<Transcript>,
}

impl Transcripts {
    /// Drops the conversations that changed, or all.
    pub fn forget(&self, changed: &HashSet<Uuid>, all: bool) {
        if all {
            self.kept.clear();
        }
        changed.iter().for_each(|id| {
            self.kept.remove(id);
        });
    }

    fn get(&self, id: Uuid, state: (i64, u32)) -> Option<Arc<Transcript>> {
        let mut kept = self.kept.get_mut(&id)?;
        kept.used = self.clock.fetch_add(1, Ordering::Relaxed);
        (kept.state == state).then(|| Arc::clone(&kept.transcript))
    }

    fn put(&self, id: Uuid, state: (i64, u32), transcript: &Arc<Transcript>) {
        let kept = Kept {
            state,
            used: self.clock.fetch_add(1, Ordering::Relaxed),
            transcript: Arc::clone(transcript),
        };
        self.kept.insert(id, kept);
        if self.kept.len() > MAX_TRANSCRIPTS {
            let oldest = self
                .kept
                .iter()
                .min_by_key(|kept| kept.used)
                .map(|kept| *kept.key());
            oldest.and_then(|id| self.kept.remove(&id));
        }
    }
    /// The conversation with its messages.
    ///
    /// # Errors
    /// Those of the service; `not-found` also where it only has the six documented endpoints.
    pub async fn read(&self, session: &Session, id: Uuid) -> Result<Arc<Transcript>, Error> {
        let state = || {
            let one = session.reader().get(id);
            one.map_or((i64::MIN, 0), |one| (one.updated, one.messages))
        };
        let before = state();
        if let Some(kept) = self.get(id, before) {
            return Ok(kept);
        }
        let (_, client) = session.client().await?;
        let transcript = Arc::new(client.transcript(id).await?);
        // A change during the read may or may not be in the transcript: do not cache it.
        if state() == before {
            self.put(id, before, &transcript);
        }
        Ok(transcript)
    }

    /// The same if it arrives `within` that time; otherwise it goes on being fetched for the next call.
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
