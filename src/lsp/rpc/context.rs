//! The request that a handler is answering: whether it was cancelled, and whether a POST was sent.

use crate::ask::Stop;
use serde_json::Value;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

tokio::task_local! {
    static CURRENT: RequestContext;
}

const OPEN: u8 = 0;
const POSTED: u8 = 1;
const CANCELLED: u8 = 2;

/// The request being answered. Clone it into spawned tasks: they do not inherit task-locals.
#[derive(Debug, Clone, Default)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: AtomicU8,
    /// If set, a cancel stops this switch instead of ending the handler.
    stop: OnceLock<Stop>,
    /// What a cancel leaves behind, if not nothing.
    kept: OnceLock<&'static str>,
    /// `partialResultToken` of the raw parameters.
    partial_result_token: OnceLock<Value>,
}

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

    /// From now on a cancel of this request only stops the returned switch, and the handler must respond soon with what
    /// it has. To be called before the first await.
    pub fn stop_instead_of_cancel(&self) -> Stop {
        self.0.stop.get_or_init(Stop::default).clone()
    }

    /// From now on a cancel of this request is answered with this sentence: what was done until then is kept.
    pub fn keeps(&self, sentence: &'static str) {
        let _ = self.0.kept.set(sentence);
    }

    /// The sentence of a cancel before which no POST was sent.
    pub(crate) fn cancelled(&self) -> &'static str {
        let nothing = "Cancelled; nothing was changed.";
        self.0.kept.get().copied().unwrap_or(nothing)
    }

    /// The switch that a cancel stops, if the handler asked for one.
    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.0.stop.get()
    }

    /// The `partialResultToken` of the request, which lsp-types 0.94 drops from a command.
    pub fn partial_result_token(&self) -> Option<&Value> {
        self.0.partial_result_token.get()
    }

    pub(crate) fn set_partial_result_token(&self, token: Value) {
        let _ = self.0.partial_result_token.set(token);
    }

    /// Moves from `OPEN` to `to` unless another call was first; returns the resulting state.
    fn turn(&self, to: u8) -> u8 {
        let turned = self
            .0
            .state
            .compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire);
        turned.map_or_else(|stands| stands, |_| to)
    }

    /// Runs `handler` as the handler of this request.
    pub(crate) async fn scope<F: Future>(self, handler: F) -> F::Output {
        CURRENT.scope(self, handler).await
    }
}
