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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::future::pending;
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn an_exit_waits_for_every_write_but_not_for_ever() {
        let writes = InFlightWrites::default();
        let mut answers = Vec::new();
        for _ in 0..2 {
            let (answer, answered) = oneshot::channel::<()>();
            answers.push(answer);
            // The caller is cancelled after it sent the write.
            assert!(writes.run(answered).now_or_never().is_none());
        }
        while let Some(answer) = answers.pop() {
            let waits = timeout(WRITE_GRACE / 2, writes.finish()).await;
            assert!(waits.is_err(), "{} are left", answers.len() + 1);
            answer.send(()).unwrap();
        }
        let start = Instant::now();
        writes.finish().await;
        assert_eq!(start.elapsed().as_millis(), 0, "none is left");
        assert!(writes.run(pending::<()>()).now_or_never().is_none());
        writes.finish().await;
        assert!(start.elapsed() >= WRITE_GRACE);
    }
}
