//! A cache of the names of assets, fetched when they are first shown.

use super::session::Session;
use crate::lsp::limits::{ASSET_NAMES_TURN, MAX_ASSET_NAMES};
use crate::pieces::{Error, Kind};
use dashmap::DashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

/// Names by id; `None` if an asset has none or is gone.
#[derive(Debug, Default)]
pub(crate) struct AssetNames {
    known: DashMap<Uuid, Option<String>>,
    /// Held while fetching, so that no name is fetched twice.
    asking: Mutex<()>,
}

impl AssetNames {
    pub fn get(&self, id: Uuid) -> Option<String> {
        self.known.get(&id)?.clone()
    }

    /// To be called for a new connection: another service may have other names.
    pub fn clear(&self) {
        self.known.clear();
    }

    /// Caches a response of the service; a failure is not cached.
    fn remember(&self, id: Uuid, answer: Result<Option<String>, &Error>) {
        match answer {
            Ok(name) => drop(self.known.insert(id, name)),
            Err(error) if error.kind == Kind::NotFound => drop(self.known.insert(id, None)),
            Err(_) => {}
        }
    }

    /// Fetches the names that are not known yet, and waits for them at most `within`. Names that arrive
    /// later are used the next time.
    pub async fn learn(self: &Arc<Self>, session: &Arc<Session>, ids: &[Uuid], within: Duration) {
        let new = |id: &Uuid| !self.known.contains_key(id);
        let wanted: Vec<Uuid> = ids.iter().copied().filter(new).collect();
        if wanted.is_empty() {
            return;
        }
        let (names, session) = (Arc::clone(self), Arc::clone(session));
        let asking = tokio::spawn(async move {
            let Ok(_turn) = timeout(ASSET_NAMES_TURN, names.asking.lock()).await else {
                return;
            };
            let Ok((_, client)) = session.client().await else {
                return;
            };
            if names.known.len() > MAX_ASSET_NAMES {
                names.clear();
            }
            for id in wanted {
                if names.known.contains_key(&id) {
                    continue;
                }
                let answer = client.asset_name(id).await;
                // If the service does not respond, the other requests would fail too.
                let silent = answer.as_ref().is_err_and(|error| error.status.is_none());
                names.remember(id, answer.as_ref().cloned());
                if silent {
                    break;
                }
            }
        });
        let _ = timeout(within, asking).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_are_remembered() {
        let check = |answer: Result<Option<&str>, Kind>, remembered: bool| {
            let (names, id) = (AssetNames::default(), Uuid::nil());
            let answer = answer.map(|name| name.map(str::to_owned));
            let answer = answer.map_err(|kind| Error::new(kind, "It failed."));
            names.remember(id, answer.as_ref().cloned());
            assert_eq!(names.known.contains_key(&id), remembered, "{answer:?}");
        };
        check(Ok(Some("retry.rs")), true);
        check(Ok(None), true);
        check(Err(Kind::NotFound), true);
        for kind in [
            Kind::Offline,
            Kind::Timeout,
            Kind::Busy,
            Kind::Refused,
            Kind::SignedOut,
            Kind::Protocol,
        ] {
            check(Err(kind), false);
        }
    }
}
