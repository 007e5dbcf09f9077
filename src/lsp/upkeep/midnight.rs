//! Open conversations at midnight: `14:03` becomes `Mon 14:03`.

use super::refresh::refresh_documents;
use crate::lsp::state::Server;
use crate::lsp::text::reference::id_of_uri;
use crate::markdown::Clock;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tower_lsp::lsp_types::Url;

/// To be called when a document was opened. If it shows a conversation, waits for midnight, unless something does already.
pub(crate) fn opened(server: &Arc<Server>, uri: &Url) {
    if id_of_uri(uri).is_none() || server.awaits_midnight.swap(true, Ordering::AcqRel) {
        return;
    }
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let until = || Clock::now(server.settings().time_zone.as_deref()).until_midnight();
        let renew = || {
            // First, so that a document that is opened from here on waits for the next midnight.
            server.awaits_midnight.store(false, Ordering::Release);
            refresh_documents(&server, &HashSet::new(), true);
            let uris = server.documents.uris();
            let is_open = uris.iter().any(|uri| id_of_uri(uri).is_some());
            is_open && !server.awaits_midnight.swap(true, Ordering::AcqRel)
        };
        each_midnight(until, renew).await;
    });
}

/// Calls `renew` at each midnight as long as it returns true.
async fn each_midnight(until: impl Fn() -> Duration, mut renew: impl FnMut() -> bool) {
    loop {
        tokio::time::sleep(until()).await;
        if !renew() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn documents_are_renewed_once_each_midnight_while_any_is_open() {
        let start = Instant::now();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let renewed = Cell::new(0);
        let until = || match renewed.get() {
            0 => hours(3),
            _ => hours(24),
        };
        let renew = || {
            renewed.set(renewed.get() + 1);
            renewed.get() < 3
        };
        each_midnight(until, renew).await;
        assert_eq!(renewed.get(), 3);
        let took = start.elapsed();
        assert!(took >= hours(51) && took < hours(52), "{took:?}");
    }
}
