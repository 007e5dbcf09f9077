//! What is true of the local service's store whatever it was asked.

use crate::support::local::{KINDS, Local, assert_same, check_integrity, forget_phrases, serve};
use pieces_lsp::pieces::{BaseUrl, Client, PlainHttp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The store in `dir`, which nobody serves: its rows are consistent, all routes agree, nothing changes when it is
/// opened again, and an export of it imports as what it was.
pub async fn is_whole(dir: &Path) {
    rows_are_consistent(dir);
    let (attached, local) = serve(dir, false).await;
    let before = local.everything().await;
    routes_agree(&local, &before).await;
    let export = local.text("/pieces-lsp/export").await;
    attached.shutdown().await;

    let (attached, local) = serve(dir, false).await;
    assert_same(&local.everything().await, &before);
    attached.shutdown().await;

    let copy = tempfile::tempdir().unwrap();
    let lines: Vec<&str> = export.lines().collect();
    let [_, objects @ .., end] = &lines[..] else {
        panic!("no export: {export}");
    };
    assert_eq!(*end, json!({"end": {"objects": objects.len()}}).to_string());
    let objects = objects
        .iter()
        .map(|line| serde_json::from_str(line).unwrap());
    let (attached, local) = serve(copy.path(), false).await;
    let outcomes = local.plant(objects.collect()).await;
    assert!(
        outcomes.iter().all(|outcome| outcome == "new"),
        "{outcomes:?}"
    );
    let after = local.everything().await;
    assert_same(&without_order(after), &without_order(before));
    attached.shutdown().await;
    rows_are_consistent(copy.path());
}

/// In which order associations were made is not exported, but for the messages of a conversation.
fn without_order(mut all: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    for (key, object) in &mut all {
        for kind in KINDS {
            let wrapper = &mut object[kind];
            if kind == "messages" && key.starts_with("conversations ") {
                continue;
            }
            if let Some(items) = wrapper["iterable"].as_array_mut() {
                items.sort_unstable_by_key(Value::to_string);
            }
            if let Some(indices) = wrapper["indices"].as_object_mut() {
                indices.values_mut().for_each(|at| *at = Value::Null);
            }
        }
    }
    all
}

/// Queries that count rows which must not be.
const INCONSISTENT: [(&str, &str); 4] = [
    ("documents that are no objects", "SELECT count(*) FROM entity WHERE NOT json_valid(doc) OR json_type(doc) <> 'object'"),
    ("associations in one direction", "SELECT count(*) FROM link WHERE NOT EXISTS
        (SELECT 1 FROM link AS back WHERE (back.a_kind, back.a, back.b_kind, back.b) = (link.b_kind, link.b, link.a_kind, link.a))"),
    ("associations of another kind", "SELECT count(*) FROM link JOIN entity ON seq = a WHERE kind <> a_kind"),
    ("parts without a whole", "SELECT count(*) FROM entity LEFT JOIN entity AS whole ON entity.owner = whole.seq
        WHERE CASE entity.kind WHEN 2 THEN 1 WHEN 4 THEN 3 WHEN 6 THEN 5 END IS NOT whole.kind AND entity.kind IN (2, 4, 6)"),
];

fn rows_are_consistent(dir: &Path) {
    check_integrity(dir);
    let db = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    for (what, query) in INCONSISTENT {
        let found: i64 = db.query_row(query, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 0, "{what}");
    }
}

/// What is associated with what. A field of such a name in another kind is a client's own.
const ASSOCIATED: [(&str, &[&str]); 5] = [
    (
        "conversations",
        &["messages", "assets", "anchors", "annotations", "websites"],
    ),
    (
        "assets",
        &["conversations", "anchors", "annotations", "websites"],
    ),
    ("anchors", &["assets", "conversations"]),
    ("websites", &["assets", "conversations"]),
    ("messages", &["annotations"]),
];

/// A list, the identifiers and each object alone say the same; associations hold both ways; our client reads all.
async fn routes_agree(local: &Local, all: &BTreeMap<String, Value>) {
    for kind in KINDS {
        let one = kind.trim_end_matches('s');
        let of_kind = all.iter().filter_map(|(key, object)| {
            let id = key.strip_prefix(kind)?.strip_prefix(' ')?;
            Some((id.to_owned(), object))
        });
        let listed: BTreeMap<_, _> = of_kind.collect();
        let identifiers = local.get(&format!("/{kind}/identifiers")).await;
        let identifiers = identifiers["iterable"].as_array().unwrap().iter();
        let mut identifiers: Vec<_> = identifiers.map(|one| one["id"].as_str().unwrap()).collect();
        identifiers.sort_unstable();
        assert_eq!(identifiers, listed.keys().collect::<Vec<_>>(), "{kind}");
        for (id, object) in &listed {
            let path = format!("/{one}/{id}?transferables=true");
            let mut alone = local.get(&path).await;
            forget_phrases(&mut alone);
            assert_eq!(alone, **object, "{path}");
            for other in associated_with(kind) {
                is_associated_back(all, (kind, id), (other, &object[other]));
            }
        }
    }
    let base = BaseUrl::parse(&local.url, PlainHttp::Loopback).unwrap();
    let client = Client::new(base, None).unwrap();
    let of = |kind: &str| all.keys().filter(|key| key.starts_with(kind)).count();
    let ((), read) = client.list(true, (), |_, _| ()).await.unwrap();
    assert_eq!((read.total, read.rejected), (of("conversations "), 0));
    assert_eq!(client.anchors().await.unwrap().len(), of("anchors "));
}

fn associated_with(kind: &str) -> &'static [&'static str] {
    let row = ASSOCIATED.iter().find(|(with, _)| *with == kind);
    row.map_or(&[], |(_, others)| others)
}

/// Whatever `id` lists in `wrapper` is there, and lists it, too, if its kind does.
fn is_associated_back(
    all: &BTreeMap<String, Value>,
    (kind, id): (&str, &str),
    (other, wrapper): (&str, &Value),
) {
    let ids = wrapper["indices"].as_object().into_iter();
    for back in ids.flat_map(|ids| ids.keys()) {
        let key = format!("{other} {back}");
        let Some(object) = all.get(&key) else {
            panic!("{kind} {id} lists {key}, which is not there");
        };
        let listed = match other {
            "messages" => object["conversation"]["id"] == id,
            _ => object[kind]["indices"].get(id).is_some(),
        };
        let lists = other == "messages" || associated_with(other).contains(&kind);
        assert!(listed || !lists, "{key} does not list {kind} {id}");
    }
}
