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
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use tower_lsp::jsonrpc::Result;
use url::Url;
use uuid::Uuid;

/// Lists a page of the conversations that match.
pub(super) async fn list(server: &Server, argument: &Value) -> Result<Value> {
    let limit = number(argument, "limit", DEFAULT_LISTED)?;
    let offset = number(argument, "offset", 0)?;
    let (origins, query) = split_origins(text(argument, "query")?.unwrap_or_default());
    let asset = optional_id(argument, "asset")?;
    let uri = uri(argument, "uri")?;

    let index = server.session.reader();
    let tied = match &uri {
        None => None,
        Some(uri) => Some(tied_to_uri(uri, &index).await),
    };
    let asked = Filter {
        limit,
        offset,
        query,
        origins,
        asset,
        tied,
    };
    if asked.is_everything() && limit <= DEFAULT_LISTED {
        return Ok(asked.answer(&index));
    }
    Ok(off_the_loop(move || asked.answer(&index)).await)
}

/// The conversations that a request selects.
struct Filter {
    limit: usize,
    offset: usize,
    /// Empty for all names.
    query: String,
    /// Its application must begin with one of these; empty for all.
    origins: Vec<String>,
    asset: Option<Uuid>,
    /// The conversations tied to what a URI names.
    tied: Option<HashSet<Uuid>>,
}

impl Filter {
    /// Selects all conversations.
    fn is_everything(&self) -> bool {
        self.query.is_empty() && self.is_only_a_query()
    }

    fn is_only_a_query(&self) -> bool {
        self.origins.is_empty() && self.asset.is_none() && self.tied.is_none()
    }

    fn answer(&self, index: &Reader) -> Value {
        let Filter {
            limit,
            offset,
            query,
            origins,
            asset,
            tied,
        } = self;
        let (limit, offset, query) = (*limit, *offset, query.as_str());
        let snapshot = index.snapshot();
        // There are few applications, and many conversations of each.
        let known = RefCell::new(HashMap::<String, bool>::new());
        let is_from = |application: &str| {
            let mut known = known.borrow_mut();
            if let Some(known) = known.get(application) {
                return *known;
            }
            let is_from = comes_from(application, origins);
            known.insert(application.to_owned(), is_from);
            is_from
        };
        let wanted = |one: &ConversationRef<'_>| {
            (origins.is_empty() || is_from(one.application))
                && asset.is_none_or(|asset| one.assets.contains(&asset))
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
        } else if self.is_only_a_query() {
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

/// The names after `from:` in a query, and the rest of the query.
fn split_origins(query: &str) -> (Vec<String>, String) {
    let mut origins = Vec::new();
    let words = query.split_whitespace().filter(|word| {
        let name = word
            .get(..5)
            .filter(|start| start.eq_ignore_ascii_case("from:"));
        let name = name
            .map(|start| letters(&word[start.len()..]))
            .filter(|name| !name.is_empty());
        let is_word = name.is_none();
        origins.extend(name);
        is_word
    });
    let rest = words.collect::<Vec<_>>().join(" ");
    match origins.is_empty() {
        true => (origins, query.trim().to_owned()),
        false => (origins, rest),
    }
}

/// Whether the name of an application begins with one of these: `from:chatgpt` finds `ChatGPT` and `CHAT_GPT`.
fn comes_from(application: &str, origins: &[String]) -> bool {
    let application = letters(application);
    origins.iter().any(|origin| application.starts_with(origin))
}

/// A name without case and punctuation.
fn letters(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn newest(
    snapshot: &Snapshot,
    offset: usize,
    limit: usize,
) -> impl Iterator<Item = ConversationRef<'_>> {
    snapshot.iter().skip(offset).take(limit)
}

/// The conversations tied to the file, asset or conversation of `uri`.
async fn tied_to_uri(uri: &Url, index: &Reader) -> HashSet<Uuid> {
    match id_of_uri(uri) {
        Some((Form::ConversationUri, id)) => HashSet::from([id]),
        Some((_, asset)) => {
            let snapshot = index.snapshot();
            snapshot.tied_to(&[asset]).map(|one| one.id).collect()
        }
        None => {
            let ties = FileTies::of(uri, index).await;
            ties.conversations(index).iter().map(|one| one.id).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_applications_by_their_letters() {
        let check = |query: &str, origins: &[&str], rest: &str| {
            let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
            assert_eq!(split_origins(query), (origins, rest.to_owned()), "{query}");
        };
        check("  retry  loop ", &[], "retry  loop");
        check("from:chatgpt", &["chatgpt"], "");
        check(
            "retry FROM:Claude-Code  loop",
            &["claudecode"],
            "retry loop",
        );
        check("from:a from:b", &["a", "b"], "");
        check("from: x", &[], "from: x");
        check("fromé: é", &[], "fromé: é");
        for (application, origin, expected) in [
            ("ChatGPT", "chatgpt", true),
            ("CHAT_GPT", "chatgpt", true),
            ("Claude Code", "claude", true),
            ("Claude.ai", "claudecode", false),
            ("", "chatgpt", false),
            ("VS_CODE", "vscode", true),
        ] {
            assert_eq!(
                comes_from(application, &[origin.to_owned()]),
                expected,
                "{application}"
            );
        }
    }
}
