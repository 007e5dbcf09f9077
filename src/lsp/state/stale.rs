//! Marks what the editor shows as stale.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Wakes the task that refreshes diagnostics, lenses and hints.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    changed: Notify,
    views: AtomicBool,
}

impl Stale {
    /// A document was opened, edited or closed: its diagnostics may differ.
    pub fn documents_changed(&self) {
        self.changed.notify_one();
    }

    /// The index, the status or the settings changed: lenses and hints may differ as well.
    pub fn views_changed(&self) {
        self.views.store(true, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Waits until something changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether [`Stale::views_changed`] was called since the last call.
    pub fn take_views(&self) -> bool {
        self.views.swap(false, Ordering::Relaxed)
    }
}
