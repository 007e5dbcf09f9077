//! `pieces.conversations.search {query, limit?, offset?}`: full-text search in messages, by the service.

use super::arguments::{number, text};
use crate::index::Conversation;
use crate::lsp::features::content;
use crate::lsp::limits::{DEFAULT_SEARCH_HITS, EXCERPT_CHARS, MAX_SEARCH_HITS, SEARCHES_AT_ONCE};
use crate::lsp::rpc::error::{failed, failure, invalid};
use crate::lsp::rpc::long_work::reading;
use crate::lsp::state::Server;
use crate::lsp::text::item::{conversation_item, rfc3339};
use crate::markdown::{label, plain};
use crate::pieces::{Client, Kind, Message, SearchHit};
use crate::words;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use tower_lsp::jsonrpc::Result;
use uuid::Uuid;

/// One match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    conversation: Uuid,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Message(Uuid),
    /// Only the name of the conversation or a note matches.
    Name,
    /// The service did not say which messages match.
    Unknown,
}

/// One page of matches, each with an excerpt.
pub(super) async fn search(server: &Arc<Server>, argument: &Value) -> Result<Value> {
    let query = argument
        .as_str()
        .map(Some)
        .map_or_else(|| text(argument, "query"), Ok)?;
    let query = query.unwrap_or_default().trim();
    if query.is_empty() {
        return Err(invalid("`query` must have at least one word."));
    }
    let limit = number(argument, "limit", DEFAULT_SEARCH_HITS)?.min(MAX_SEARCH_HITS);
    let offset = number(argument, "offset", 0)?;
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
    let known = hits.iter().filter(|hit| index.contains(hit.conversation));
    let found: Vec<Place> = known.flat_map(places).collect();
    let page = found.iter().skip(offset).take(limit);
    let page: Vec<Place> = page.copied().collect();
    let one = page.chunk_by(|a, b| a.conversation == b.conversation);
    let one: Vec<Vec<Place>> = one.map(<[Place]>::to_vec).collect();
    let items = stream::iter(one)
        .map(|places| items(server, &client, places, query))
        .buffered(SEARCHES_AT_ONCE)
        .collect::<Vec<Vec<Value>>>()
        .await
        .concat();
    Ok(json!({ "total": found.len(), "items": items }))
}

fn places(hit: &SearchHit) -> Vec<Place> {
    let what = match hit.messages.as_deref() {
        None => vec![What::Unknown],
        Some([]) => vec![What::Name],
        Some(messages) => messages.iter().copied().map(What::Message).collect(),
    };
    let place = |what| Place {
        conversation: hit.conversation,
        what,
    };
    what.into_iter().map(place).collect()
}

/// Items for the matches in one conversation; none if it is gone meanwhile.
async fn items(
    server: &Arc<Server>,
    client: &Client,
    places: Vec<Place>,
    query: &str,
) -> Vec<Value> {
    let index = server.session.reader();
    let Some(one) = places
        .first()
        .and_then(|first| index.get(first.conversation))
    else {
        return Vec::new();
    };
    let item = conversation_item(&one.as_ref(), index.ties());
    let mut ids = Vec::with_capacity(places.len());
    for place in &places {
        ids.push(match place.what {
            What::Message(id) => Some(id),
            What::Name => None,
            What::Unknown => {
                let found = client.search_messages(one.id, query).await;
                found.ok().and_then(|found| found.first().copied())
            }
        });
    }
    let messages = match ids.iter().any(Option::is_some) {
        true => messages(server, client, &one, &ids).await,
        false => ids.iter().map(|_| None).collect(),
    };
    let bytes = messages
        .iter()
        .flatten()
        .filter_map(|(one, _)| Some(one.text.as_ref()?.len()));
    let (bytes, query) = (bytes.sum(), query.to_owned());
    reading(bytes, move || {
        let items = ids.into_iter().zip(messages);
        items
            .map(|(id, message)| described(&item, &one, id, message, &query))
            .collect()
    })
    .await
}

/// The messages with these ids, each with its line in the conversation's document.
async fn messages(
    server: &Arc<Server>,
    client: &Client,
    one: &Conversation,
    ids: &[Option<Uuid>],
) -> Vec<Option<(Message, usize)>> {
    let transcript = server.transcripts.read(&server.session, one.id).await.ok();
    let lines = match &transcript {
        Some(transcript) => content::lines(server, one, transcript).await,
        None => Vec::new(),
    };
    let in_order = transcript.as_deref().map_or(&[][..], |all| &all.messages);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(id) = id else {
            found.push(None);
            continue;
        };
        let at = in_order.iter().position(|message| message.id == *id);
        found.push(match at {
            Some(at) => Some((
                in_order[at].clone(),
                lines.get(at).copied().unwrap_or_default(),
            )),
            None => client.message(*id).await.ok().map(|message| (message, 0)),
        });
    }
    found
}

fn described(
    item: &Value,
    one: &Conversation,
    id: Option<Uuid>,
    message: Option<(Message, usize)>,
    query: &str,
) -> Value {
    let (message, line) = message.unzip();
    let (excerpt, at) = match (&message, id) {
        (Some(message), _) => of_message(message.text.as_deref().unwrap_or_default(), query),
        (None, Some(_)) => (String::new(), [0, 0]),
        (None, None) => {
            around(&label(one.as_ref().title(), EXCERPT_CHARS), query).unwrap_or_default()
        }
    };
    json!({
        "conversation": item,
        "message": id,
        "role": message.as_ref().map(|message| message.role.as_str()),
        "time": message.and_then(|message| message.created).map(rfc3339),
        "excerpt": excerpt,
        "match": at,
        "line": line.unwrap_or_default(),
    })
}

/// The part of a message around the match, in plain text, or in Markdown if only that has the words, such as those
/// of an address.
fn of_message(text: &str, query: &str) -> (String, [usize; 2]) {
    let said = plain(text);
    around(&said, query)
        .or_else(|| around(&label(text, text.len()), query))
        .unwrap_or_else(|| (label(&said, EXCERPT_CHARS), [0, 0]))
}

/// The part of a line around the match, and the range of the match in it, in UTF-16 code units. `None` if the line
/// does not match.
fn around(line: &str, query: &str) -> Option<(String, [usize; 2])> {
    let found = words::find(line, query)?;
    let before = &line[..found.start];
    let lead = before.char_indices().rev().nth(EXCERPT_CHARS / 3);
    let from = match lead {
        None => 0,
        // At the beginning of a word, if there is one.
        Some((at, _)) => before[at..].find(' ').map_or(at, |space| at + space + 1),
    };
    let to = line[from..].char_indices().nth(EXCERPT_CHARS);
    let to = to.map_or(line.len(), |(at, _)| from + at);
    let ellipsis = |cut: bool| if cut { "…" } else { "" };
    let (first, last) = (ellipsis(from > 0), ellipsis(to < line.len()));
    let units = |text: &str| text.encode_utf16().count();
    let start = units(first) + units(&line[from..found.start]);
    let end = start + units(&line[found.start..found.end.min(to)]);
    Some((format!("{first}{}{last}", &line[from..to]), [start, end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts() {
        for (text, query, expected, matched) in [
            ("a retry\nhelper", "RETRY", "a retry helper", "retry"),
            ("😀 **re**try", "retry", "😀 retry", "retry"),
            (
                "[go](https://example.org)",
                "example",
                "[go](https://example.org)",
                "example",
            ),
            ("今天讨论了部署方案", "部署", "今天讨论了部署方案", "部署"),
            ("nothing", "x", "nothing", ""),
            ("", "x", "", ""),
        ] {
            let (excerpt, [start, end]) = of_message(text, query);
            let units: Vec<u16> = excerpt.encode_utf16().collect();
            let found = String::from_utf16(&units[start..end]).unwrap();
            assert_eq!((excerpt.as_str(), found.as_str()), (expected, matched));
        }
    }

    #[test]
    fn a_long_text_is_cut_around_the_match() {
        let long = format!("{}needle{}", "a ".repeat(200), " b".repeat(200));
        let (cut, [start, end]) = of_message(&long, "nothing needle");
        assert!(cut.starts_with("…a ") && cut.ends_with('…'), "{cut}");
        let units: Vec<u16> = cut.encode_utf16().collect();
        assert_eq!(String::from_utf16(&units[start..end]).unwrap(), "needle");
        assert!(units.len() <= EXCERPT_CHARS + 2, "{cut}");
        // A match longer than an excerpt ends with it.
        let words = "word ".repeat(100);
        let (cut, [start, end]) = of_message(&words, words.trim());
        assert_eq!((start, end), (0, EXCERPT_CHARS), "{cut}");
    }
}
