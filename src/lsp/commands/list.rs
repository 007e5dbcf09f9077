//! `pieces.conversations.list {query?, asset?, uri?, limit?, offset?}`: from the index.

use super::arguments::{number, optional_id, text, uri};
use crate::index::{ConversationRef, Reader, Snapshot};
use crate::lsp::limits::DEFAULT_LISTED;
use crate::lsp::rpc::long_work::off_the_loop;
use crate::lsp::state::Server;
use crate::lsp::text::item::conversation_item;
use crate::lsp::text::reference::{Form, id_of_uri};
use crate::lsp::text::subject::FileTies;
use serde_json::{Value, json};
use std::collections::HashSet;
use tower_lsp::jsonrpc::Result;
use url::Url;
use uuid::Uuid;

/// Lists a page of the conversations that match.
pub(super) async fn list(server: &Server, argument: &Value) -> Result<Value> {
    let limit = number(argument, "limit", DEFAULT_LISTED)?;
    let offset = number(argument, "offset", 0)?;
    let query = text(argument, "query")?
        .unwrap_or_default()
        .trim()
        .to_owned();
    let asset = optional_id(argument, "asset")?;
    let uri = uri(argument, "uri")?;

    let index = server.session.reader();
    let tied = match &uri {
        None => None,
        Some(uri) => Some(tied_to_uri(uri, &index).await),
    };
    let asked = Asked {
        limit,
        offset,
        query,
        asset,
        tied,
    };
    if asked.is_everything() && limit <= DEFAULT_LISTED {
        return Ok(asked.answer(&index));
    }
    Ok(off_the_loop(move || asked.answer(&index)).await)
}

/// What one request wants to see.
struct Asked {
    limit: usize,
    offset: usize,
    /// Empty for all names.
    query: String,
    asset: Option<Uuid>,
    /// The conversations linked to a URI.
    tied: Option<HashSet<Uuid>>,
}

impl Asked {
    /// Nothing is searched or left out.
    fn is_everything(&self) -> bool {
        self.query.is_empty() && self.asset.is_none() && self.tied.is_none()
    }

    fn answer(&self, index: &Reader) -> Value {
        let Asked {
            limit,
            offset,
            query,
            asset,
            tied,
        } = self;
        let (limit, offset, query) = (*limit, *offset, query.as_str());
        let snapshot = index.snapshot();
        let wanted = |one: &ConversationRef<'_>| {
            asset.is_none_or(|asset| one.assets.contains(&asset))
                && tied.as_ref().is_none_or(|tied| tied.contains(&one.id))
        };
        let page = |found: &mut dyn Iterator<Item = ConversationRef<'_>>| {
            let mut total = 0;
            let mut items = Vec::new();
            for one in found {
                if total >= offset && items.len() < limit {
                    items.push(conversation_item(&one, index.ties()));
                }
                total += 1;
            }
            (total, items)
        };
        let (total, items) = if self.is_everything() {
            let items = newest(&snapshot, offset, limit);
            let items = items
                .map(|one| conversation_item(&one, index.ties()))
                .collect();
            (snapshot.len(), items)
        } else if asset.is_none() && tied.is_none() {
            let hits = snapshot.search(query);
            let total = hits.len();
            let items = hits
                .skip(offset)
                .take(limit)
                .map(|hit| conversation_item(&hit.conversation, index.ties()));
            (total, items.collect())
        } else if query.is_empty() {
            page(&mut snapshot.iter().filter(wanted))
        } else {
            let hits = snapshot.search(query);
            page(&mut hits.into_iter().map(|hit| hit.conversation).filter(wanted))
        };
        json!({"total": total, "revision": snapshot.revision(), "items": items})
    }
}

fn newest(
    snapshot: &Snapshot,
    offset: usize,
    limit: usize,
) -> impl Iterator<Item = ConversationRef<'_>> {
    snapshot.iter().skip(offset).take(limit)
}

/// The conversations linked to the file, asset or conversation of `uri`.
async fn tied_to_uri(uri: &Url, index: &Reader) -> HashSet<Uuid> {
    match id_of_uri(uri) {
        Some((Form::ConversationUri, id)) => HashSet::from([id]),
        Some((_, asset)) => {
            let snapshot = index.snapshot();
            snapshot.linked_to(&[asset]).map(|one| one.id).collect()
        }
        None => {
            let ties = FileTies::of(uri, index).await;
            ties.conversations(index).iter().map(|one| one.id).collect()
        }
    }
}
