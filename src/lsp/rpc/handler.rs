//! Runs one handler, and survives its panics.

use super::context::RequestContext;
use crate::lsp::limits::{FOREIGN_NAME_CHARS, SLOW_HANDLER};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tower_lsp::ExitedError;
use tower_lsp::jsonrpc::{Error, ErrorCode, Response, Result};

/// The response of the service; `None` to a notification.
type Answer = std::result::Result<Option<Response>, ExitedError>;

/// A running call of the service. Yields `None` if there is no response.
pub(crate) struct Handler {
    method: String,
    call: Pin<Box<dyn Future<Output = Answer> + Send>>,
}

impl Handler {
    /// Wraps `call`; nothing runs before the first poll.
    pub fn new(
        method: &str,
        context: Option<RequestContext>,
        call: Pin<Box<dyn Future<Output = Answer> + Send>>,
    ) -> Self {
        let method: String = method.chars().take(FOREIGN_NAME_CHARS).collect();
        let call = match context {
            None => call,
            Some(context) => Box::pin(context.scope(call)),
        };
        Self { method, call }
    }

    /// Polls once. After `Pending` the caller has to poll again from a task.
    pub fn poll_once(&mut self) -> Poll<Option<Result<Value>>> {
        Pin::new(self).poll(&mut Context::from_waker(Waker::noop()))
    }
}

impl Future for Handler {
    type Output = Option<Result<Value>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let started = Instant::now();
        let polled = catch_unwind(AssertUnwindSafe(|| self.call.as_mut().poll(cx)));
        let took = started.elapsed();
        if took > SLOW_HANDLER {
            tracing::warn!(method = self.method, ?took, "slow handler");
        }
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(answer)) => {
                let response = answer.ok().flatten();
                Poll::Ready(response.map(|response| response.into_parts().1))
            }
            Err(_) => {
                tracing::error!(method = self.method, "a handler panicked");
                Poll::Ready(Some(Err(Error {
                    code: ErrorCode::InternalError,
                    message: "pieces-lsp failed on this request; please report it with the log."
                        .into(),
                    data: None,
                })))
            }
        }
    }
}
