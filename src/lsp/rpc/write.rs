//! Cancellation and errors of handlers that write.

use super::context::RequestContext;
use super::error::failed;
use crate::lsp::state::Server;
use crate::lsp::state::event::Event;
use crate::pieces::{self, Kind};
use crate::sync::{Handle, Write};
use tower_lsp::jsonrpc::{Error, Result};

/// Runs `write`, which sends a POST, to its end. If the request was cancelled before the POST, nothing is sent. A later
/// cancel ends the wait but not the write, and the outcome is reported as unknown.
///
/// # Errors
/// Those of `write`, or "cancelled".
pub(crate) async fn send_write<T: Send + 'static>(
    server: &Server,
    write: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    if RequestContext::current().is_some_and(|context| !context.post_left()) {
        return Err(Error::request_cancelled());
    }
    let written = server.writes.run(write).await;
    written.map_err(|_| Error::internal_error())?
}

/// Turns the error of a write into a response. If the write may have happened, or its object is gone,
/// the index is resynced first.
pub(crate) async fn report_failed_write(
    server: &Server,
    handle: &Handle,
    error: pieces::Error,
) -> Error {
    server.report(Event::WriteFailed {
        kind: error.kind,
        status: error.status,
    });
    if error.outcome_unknown || error.kind == Kind::NotFound {
        handle.wrote(Write::Unknown).await;
    }
    failed(error)
}
