//! `pieces.conversations.search {query, limit?}`: full-text search in messages, by the service.

use super::arguments::{number, text};
use crate::lsp::limits::{DEFAULT_SEARCH_HITS, EXCERPT_CHARS, MAX_SEARCH_HITS, SEARCHES_AT_ONCE};
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::state::Server;
use crate::lsp::text::item::conversation_item;
use crate::markdown::label;
use crate::pieces::{Client, Kind, SearchHit};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;
use uuid::Uuid;

/// Searches, and adds an excerpt of the first match to each conversation.
pub(super) async fn search(server: &Server, argument: &Value) -> Result<Value> {
    let query = argument
        .as_str()
        .map(Some)
        .map_or_else(|| text(argument, "query"), Ok)?;
    let query = query.unwrap_or_default().trim();
    if query.is_empty() {
        return Err(invalid("`query` must be some words to look for."));
    }
    let limit = number(argument, "limit", DEFAULT_SEARCH_HITS)?.min(MAX_SEARCH_HITS);
    let (_, client) = server.session.client().await.map_err(failed)?;
    let hits = match client.search(query).await {
        Ok(hits) => hits,
        Err(error) if error.kind == Kind::NotFound => {
            let what = "This service cannot search in messages; search for names instead.";
            return Err(failure(Kind::NotFound, what));
        }
        Err(error) => return Err(failed(error)),
    };
    let index = server.session.reader();
    let known = hits
        .into_iter()
        .filter_map(|hit| Some((index.get(hit.conversation)?, hit)));
    let items = stream::iter(known.take(limit))
        .map(|(one, hit)| {
            let client = &client;
            let item = conversation_item(&one.as_ref(), index.ties());
            async move {
                let (message, excerpt) = excerpt(client, &hit, query).await;
                json!({ "conversation": item, "message": message, "excerpt": excerpt })
            }
        })
        .buffered(SEARCHES_AT_ONCE)
        .collect::<Vec<Value>>()
        .await;
    Ok(json!({ "items": items }))
}

/// The first matching message and an excerpt around the match; `None` if only the name matches.
async fn excerpt(client: &Client, hit: &SearchHit, query: &str) -> (Option<Uuid>, String) {
    let id = match hit.messages.first() {
        Some(id) => Some(*id),
        None => {
            let found = client.search_messages(hit.conversation, query).await;
            found.ok().and_then(|found| found.first().copied())
        }
    };
    let Some(id) = id else {
        return (None, String::new());
    };
    let message = client.message(id).await.ok();
    let text = message.and_then(|message| message.text).unwrap_or_default();
    (Some(id), around(&text, query))
}

/// The part of `text` around the first word of `query` that is in it.
fn around(text: &str, query: &str) -> String {
    let lower = text.to_lowercase();
    let words = query.split_whitespace().map(str::to_lowercase);
    let at = words
        .filter_map(|word| lower.find(&word))
        .min()
        .unwrap_or(0);
    // Lower case may have another length, so this is approximate, but at a character boundary.
    let before = lower[..at]
        .chars()
        .count()
        .saturating_sub(EXCERPT_CHARS / 3);
    let part: String = text.chars().skip(before).take(EXCERPT_CHARS * 2).collect();
    let cut = label(&part, EXCERPT_CHARS);
    if before > 0 { format!("…{cut}") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts() {
        assert_eq!(around("a retry\nhelper", "RETRY"), "a retry helper");
        assert_eq!(around("", "x"), "");
        let long = format!("{}needle{}", "a ".repeat(200), " b".repeat(200));
        let cut = around(&long, "nothing needle");
        assert!(
            cut.starts_with('…') && cut.ends_with('…') && cut.contains("needle"),
            "{cut}"
        );
    }
}
