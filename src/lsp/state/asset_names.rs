//! A cache of the names of assets, fetched when they are first shown.

use super::session::Session;
use crate::lsp::limits::MAX_ASSET_NAMES;
use dashmap::DashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// Names by id; `None` if an asset has none or the service did not say.
#[derive(Debug, Default)]
pub(crate) struct AssetNames(DashMap<Uuid, Option<String>>);

impl AssetNames {
    pub fn get(&self, id: Uuid) -> Option<String> {
        self.0.get(&id)?.clone()
    }

    /// To be called for a new connection: another service may have other names.
    pub fn clear(&self) {
        self.0.clear();
    }
    /// Fetches the names that are not known yet, and waits for them at most `within`. Names that arrive
    /// later are used the next time.
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
