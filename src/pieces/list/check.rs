//! Lists with any items, in any chunks.

#![allow(clippy::panic, reason = "a check fails by it")]

use super::super::wire;
use super::{Conversation, ListParser, Unreadable};
use crate::json;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

pub(super) type Outcome = Result<(Vec<Conversation<'static>>, usize), Unreadable>;

/// The conversations of a list that arrives in these chunks, and the number of unreadable ones.
pub(super) fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut read = Vec::new();
    let mut parser =
        ListParser::new(|conversation: Conversation<'_>| read.push(conversation.into_owned()));
    for chunk in chunks {
        parser.feed(chunk)?;
    }
    let (accepted, rejected) = parser.finish()?;
    assert_eq!(accepted, read.len());
    Ok((read, rejected))
}

/// The result is the same for all chunks. Which error is found first may depend on them.
pub(crate) fn chunks_do_not_matter(json: &[u8], cuts: &[usize]) {
    let mut cuts = cuts.to_vec();
    cuts.extend([0, json.len()]);
    cuts.sort_unstable();
    let whole = parse([json]).ok();
    let pieces = parse(cuts.windows(2).map(|cut| &json[cut[0]..cut[1]]));
    assert_eq!(whole, pieces.ok(), "cut at {cuts:?}");
    assert_eq!(whole, parse(json.chunks(1)).ok(), "byte by byte");
}

/// A list equals its conversations, each parsed alone.
pub(crate) fn is_what_is_in_it(body: &[u8]) {
    let Ok(list) = json::from_slice::<Value>(body) else {
        return;
    };
    let expected = list["iterable"].as_array().map(|items| {
        let read = |item: &Value| wire::conversation(item.to_string().as_bytes()).ok()?;
        let read: Vec<_> = items.iter().filter_map(read).collect();
        let rejected = items.len() - read.len();
        (read, rejected)
    });
    // As it is written here, every key is there once.
    assert_eq!(parse([list.to_string().as_bytes()]).ok(), expected);
}

/// An item of a list that is JSON loses at most itself; returns the number of unreadable ones.
pub(crate) fn costs_no_other(item: &[u8]) -> Option<usize> {
    serde_json::from_slice::<IgnoredAny>(item).ok()?;
    let [first, last] = [whole(1), whole(3)].map(|one| one.to_string());
    let list = [
        b"{\"iterable\":[",
        first.as_bytes(),
        b",",
        item,
        b",",
        last.as_bytes(),
        b"]}",
    ]
    .concat();
    let expected = parse([json!({"iterable": [whole(1), whole(3)]})
        .to_string()
        .as_bytes()]);
    let (Ok((read, rejected)), Ok((expected, 0))) = (parse([&list[..]]), expected) else {
        panic!("no list");
    };
    assert_eq!(read.len() + rejected, 3);
    assert_eq!(
        (read.first(), read.last()),
        (expected.first(), expected.last())
    );
    Some(rejected)
}

/// The id number `n`.
pub(super) fn id(n: u8) -> String {
    uuid::Uuid::from_bytes([n; 16]).to_string()
}

/// A conversation with all fields.
pub(super) fn whole(n: u8) -> Value {
    let other = id(n ^ 0x80);
    json!({
        "id": id(n), "name": format!("Conversation \"{n}\""), "type": "COPILOT", "favorited": true,
        "created": {"value": "2026-11-20T09:14:02.118243Z", "readable": "3 days ago"},
        "updated": {"value": "2026-11-20T09:20:41.900Z"},
        "application": {"id": other, "name": "VS_CODE"},
        "messages": {"iterable": [{"id": other}], "indices": {&other: 0}},
        "assets": {"iterable": [{"id": other}], "indices": {&other: 0}},
        "anchors": {"iterable": [{"id": other, "reference": {"points": {"iterable": [
            {"id": other, "reference": {"fullpath": "/home/u/a.rs"}}]}}}]},
        "score": {"manual": -1, "automatic": 0.5},
    })
}
