//! A switch that stops a question.

use std::sync::Arc;
use tokio::sync::watch;

/// A switch that stays on once it is on. Clones are the same switch.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Stops.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether [`Stop::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for [`Stop::stop`]. Cancel safe.
    pub async fn stopped(&self) {
        let mut switch = self.0.subscribe();
        // The sender lives as long as `self`.
        let _ = switch.wait_for(|stopped| *stopped).await;
    }
}
