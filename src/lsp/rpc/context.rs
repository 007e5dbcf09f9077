//! What a handler can say about the request that it is answering.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

tokio::task_local! {
    static CURRENT: RequestContext;
}

const OPEN: u8 = 0;
const POSTED: u8 = 1;
const CANCELLED: u8 = 2;

/// The request being answered. Clone it into spawned tasks: task-locals do not follow there.
#[derive(Debug, Clone, Default)]
pub struct RequestContext(Arc<AtomicU8>);

impl RequestContext {
    /// The context of the handler that is running, `None` outside of requests.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// To be called right before a POST leaves: from then on a cancelled request has an unknown
    /// outcome. `false` when the request was cancelled first; then the POST must not leave.
    #[must_use = "a cancelled request must not send its POST any more"]
    pub fn post_left(&self) -> bool {
        self.turn(POSTED) != CANCELLED
    }

    /// Cancels the request and returns whether a POST has left.
    pub(crate) fn cancel(&self) -> bool {
        self.turn(CANCELLED) == POSTED
    }

    /// Moves on from `OPEN` if nobody else has, and returns where the request stands then.
    fn turn(&self, to: u8) -> u8 {
        let turned = self
            .0
            .compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire);
        turned.map_or_else(|stands| stands, |_| to)
    }

    /// Runs `handler` as the handler of this request.
    pub(crate) async fn scope<F: Future>(self, handler: F) -> F::Output {
        CURRENT.scope(self, handler).await
    }
}
