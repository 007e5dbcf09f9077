//! The request that a handler is answering: whether it was cancelled, and whether a POST was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

tokio::task_local! {
    static CURRENT: RequestContext;
}

const OPEN: u8 = 0;
const POSTED: u8 = 1;
const CANCELLED: u8 = 2;

/// The request being answered. Clone it into spawned tasks: they do not inherit task-locals.
#[derive(Debug, Clone, Default)]
pub struct RequestContext(Arc<AtomicU8>);

impl RequestContext {
    /// The context of the running handler; `None` outside of requests.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// To be called right before a POST is sent: from then on, cancelling the request leaves its outcome
    /// unknown. Returns false if it was cancelled before; then the POST must not be sent.
    #[must_use = "a cancelled request must not send its POST"]
    pub fn post_left(&self) -> bool {
        self.turn(POSTED) != CANCELLED
    }

    /// Cancels the request and returns whether a POST was sent.
    pub(crate) fn cancel(&self) -> bool {
        self.turn(CANCELLED) == POSTED
    }

    /// Moves from `OPEN` to `to` unless another call was first; returns the resulting state.
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
