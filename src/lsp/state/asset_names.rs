//! The names of assets, asked for when they are first shown.

use crate::lsp::state::Server;
use dashmap::DashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long finding the service may take.
const FIND: Duration = Duration::from_secs(3);
/// Most names that are remembered.
const MOST: usize = 4096;

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
}

/// Asks for the names of these assets that are not known, and waits at most `within` for them. What comes
/// later is there the next time.
pub(crate) async fn learn_names(server: &Arc<Server>, ids: &[Uuid], within: Duration) {
    let new = |id: &Uuid| !server.asset_names.0.contains_key(id);
    let wanted: Vec<Uuid> = ids.iter().copied().filter(new).collect();
    if wanted.is_empty() {
        return;
    }
    let inside = Arc::clone(server);
    let asking = tokio::spawn(async move {
        let Ok((_, client)) = inside.session.client(FIND).await else {
            return;
        };
        if inside.asset_names.0.len() > MOST {
            inside.asset_names.clear();
        }
        for id in wanted {
            let name = client.asset_name(id).await.ok().flatten();
            inside.asset_names.0.insert(id, name);
        }
    });
    let _ = timeout(within, asking).await;
}
