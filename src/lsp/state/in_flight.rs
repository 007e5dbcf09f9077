//! Requests that change something: each is sent at most once and is not cut off.

use crate::lsp::rpc::context::RequestContext;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_lsp::jsonrpc::{Error, Result};

/// How long what is under way may take when the editor leaves. Editors kill after two seconds.
const GRACE: Duration = Duration::from_millis(1500);

/// The POSTs under way.
#[derive(Debug, Default)]
pub(crate) struct Posts(watch::Sender<usize>);

/// Counts one POST for as long as it lives.
struct Under(watch::Sender<usize>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Posts {
    /// Runs `work`, which posts, in a task of its own: cancelling the request stops the waiting, not
    /// the work. A request that was cancelled before is not carried out at all.
    ///
    /// # Errors
    /// Those of `work`, or "cancelled".
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        if RequestContext::current().is_some_and(|context| !context.post_left()) {
            return Err(Error::request_cancelled());
        }
        self.0.send_modify(|count| *count += 1);
        let under = Under(self.0.clone());
        let task = tokio::spawn(async move {
            let _under = under;
            work.await
        });
        task.await.map_err(|_| Error::internal_error())?
    }

    /// Waits for what is under way, for a moment.
    pub async fn finish(&self) {
        let mut count = self.0.subscribe();
        if timeout(GRACE, count.wait_for(|count| *count == 0))
            .await
            .is_err()
        {
            tracing::warn!("leaving before every request was answered");
        }
    }
}
