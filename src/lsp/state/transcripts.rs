//! Conversations with their messages, fetched on demand and kept until they change.

use crate::lsp::state::Server;
use crate::pieces::{Error, Transcript};
use dashmap::DashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// How long finding the service may take.
const FIND: Duration = Duration::from_secs(3);
/// Most conversations that are kept.
const KEPT: usize = 32;

/// The conversations that were read.
#[derive(Debug, Default)]
pub(crate) struct Transcripts {
    kept: DashMap<Uuid, Kept>,
    clock: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    /// What the index said when it was fetched: the last change, and the number of messages.
    state: (i64, u32),
    used: u64,
    transcript: Arc<Transcript>,
}

impl Transcripts {
    /// Drops what changed.
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
        if self.kept.len() > KEPT {
            let oldest = self
                .kept
                .iter()
                .min_by_key(|kept| kept.used)
                .map(|kept| *kept.key());
            oldest.and_then(|id| self.kept.remove(&id));
        }
    }
}

/// The conversation with its messages.
///
/// # Errors
/// Those of the service; `not-found` also where it only has the six documented endpoints.
pub(crate) async fn transcript(server: &Server, id: Uuid) -> Result<Arc<Transcript>, Error> {
    let state = |server: &Server| {
        let one = server.session.reader().get(id);
        one.map_or((i64::MIN, 0), |one| (one.updated, one.messages))
    };
    let before = state(server);
    if let Some(kept) = server.transcripts.get(id, before) {
        return Ok(kept);
    }
    let (_, client) = server.session.client(FIND).await?;
    let transcript = Arc::new(client.transcript(id).await?);
    // What changed while it was being read may be in it or not: not to be kept.
    if state(server) == before {
        server.transcripts.put(id, before, &transcript);
    }
    Ok(transcript)
}

/// The same, but only if it is here within `within`; else it goes on being fetched, for the next time.
pub(crate) async fn transcript_soon(
    server: &Arc<Server>,
    id: Uuid,
    within: Duration,
) -> Option<Arc<Transcript>> {
    let fetching = Arc::clone(server);
    let task = tokio::spawn(async move { transcript(&fetching, id).await.ok() });
    tokio::time::timeout(within, task).await.ok()?.ok()?
}
