//! The names of assets, asked for when they are first shown.

use super::session::Session;
use crate::lsp::limits::MAX_ASSET_NAMES;
use dashmap::DashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// The names that were asked for; `None`: there is none, or nobody told.
#[derive(Debug, Default)]
pub(crate) struct AssetNames(DashMap<Uuid, Option<String>>);

impl AssetNames {
    /// The name, if it is known.
    pub fn get(&self, id: Uuid) -> Option<String> {
        self.0.get(&id)?.clone()
    }

    /// Forgets everything: another service may call them otherwise.
    pub fn clear(&self) {
        self.0.clear();
    }
    /// Asks for the names that are not known yet, and waits for them at most `within`. Those that come
    /// later are there the next time.
    pub async fn learn(self: &Arc<Self>, session: &Arc<Session>, ids: &[Uuid], within: Duration) {
        let new = |id: &Uuid| !self.0.contains_key(id);
        let wanted: Vec<Uuid> = ids.iter().copied().filter(new).collect();
        if wanted.is_empty() {
            return;
        }
        let (names, session) = (Arc::clone(self), Arc::clone(session));
        let asking = tokio::spawn(async move {
            let Ok((_, client)) = session.client().await else {
                return;
            };
            if names.0.len() > MAX_ASSET_NAMES {
                names.clear();
            }
            for id in wanted {
                let name = client.asset_name(id).await.ok().flatten();
                names.0.insert(id, name);
            }
        });
        let _ = timeout(within, asking).await;
    }
}
