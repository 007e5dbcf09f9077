//! The assets that this session saved from documents.

use crate::lsp::limits::SAVE_TIMEOUT;
use dashmap::DashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;
use uuid::Uuid;

/// The asset of each text, by a hash of its document and the text. Looking for an asset and saving one is done under
/// the lock of that text, so that two starts at once save it once.
#[derive(Debug, Default)]
pub(crate) struct SavedAssets(DashMap<u64, Arc<Mutex<Option<Uuid>>>>);

impl SavedAssets {
    /// The asset of a text, locked; `None` if another request holds it for [`SAVE_TIMEOUT`].
    pub async fn lock(&self, document: &str, text: &str) -> Option<OwnedMutexGuard<Option<Uuid>>> {
        let mut hasher = DefaultHasher::new();
        (document, text).hash(&mut hasher);
        let slot = Arc::clone(&self.0.entry(hasher.finish()).or_default());
        timeout(SAVE_TIMEOUT, slot.lock_owned()).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_text_is_locked_for_one_at_a_time_and_not_for_ever() {
        let saved = SavedAssets::default();
        let mut first = saved.lock("a.rs", "text").await.unwrap();
        assert!(saved.lock("a.rs", "text").await.is_none());
        assert!(saved.lock("a.rs", "other").await.is_some());
        assert!(saved.lock("b.rs", "text").await.is_some());
        *first = Some(Uuid::nil());
        drop(first);
        assert_eq!(
            saved.lock("a.rs", "text").await.as_deref(),
            Some(&Some(Uuid::nil()))
        );
    }
}
