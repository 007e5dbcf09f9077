//! Writes in flight: a write that was sent is never dropped.

use crate::lsp::limits::WRITE_GRACE;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::timeout;

/// Counts the writes that are in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlightWrites(watch::Sender<usize>);

/// Counts one write for as long as it lives.
struct InFlightGuard(watch::Sender<usize>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl InFlightWrites {
    /// Runs `write` in a task of its own: dropping this future ends the wait, not the write.
    ///
    /// # Errors
    /// If `write` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        write: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.0.send_modify(|count| *count += 1);
        let guard = InFlightGuard(self.0.clone());
        let task = tokio::spawn(async move {
            let _guard = guard;
            write.await
        });
        task.await
    }

    /// Waits for the writes in flight, for [`WRITE_GRACE`] at most.
    pub async fn finish(&self) {
        let mut count = self.0.subscribe();
        if timeout(WRITE_GRACE, count.wait_for(|count| *count == 0))
            .await
            .is_err()
        {
            tracing::warn!("exiting with writes in flight");
        }
    }
}
