//! Requests to the client, with a deadline.

use std::time::Duration;
use tower_lsp::Client;
use tower_lsp::jsonrpc;
use tower_lsp::lsp_types::request::{Request, ShowMessageRequest};
use tower_lsp::lsp_types::{MessageActionItem, MessageType, ShowMessageRequestParams};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unanswered {
    /// The deadline passed.
    #[error("the editor did not answer in time")]
    Late,
    /// The client answered with an error, or with a result of the wrong type.
    #[error("the editor refused: {0}")]
    Refused(jsonrpc::Error),
}

/// Sends request `R` to the client and waits at most `within` for the answer.
///
/// tower-lsp 0.20 panics on the reply to a request whose future was dropped
/// (ebkalderon/tower-lsp#417), so the request runs in a task of its own; the deadline and a
/// cancelled caller only end the waiting.
///
/// # Errors
///
/// [`Unanswered`], after `within` at the latest.
pub async fn ask<R>(
    client: &Client,
    params: R::Params,
    within: Duration,
) -> Result<R::Result, Unanswered>
where
    R: Request + 'static,
    R::Params: Send + 'static,
    R::Result: Send + 'static,
{
    let client = client.clone();
    let request = tokio::spawn(async move { client.send_request::<R>(params).await });
    match tokio::time::timeout(within, request).await {
        Err(_) => Err(Unanswered::Late),
        Ok(Err(_)) => Err(Unanswered::Refused(jsonrpc::Error::internal_error())),
        Ok(Ok(answer)) => answer.map_err(Unanswered::Refused),
    }
}

/// Shows `message` with a button for each of `titles` and waits at most `within` for the user. A missing
/// answer counts as none of them.
pub async fn ask_user<T: ToString>(
    client: &Client,
    typ: MessageType,
    message: String,
    titles: &[T],
    within: Duration,
) -> Option<String> {
    let action = |title: &T| MessageActionItem {
        title: title.to_string(),
        properties: Default::default(),
    };
    let params = ShowMessageRequestParams {
        typ,
        message,
        actions: Some(titles.iter().map(action).collect()),
    };
    let answer = ask::<ShowMessageRequest>(client, params, within).await;
    Some(answer.ok().flatten()?.title)
}
