//! A million conversations: in the index, and in the local service.

use crate::service::{self, Service};
use crate::support::client::{Client, eventually};
use crate::support::process::Spawn;
use crate::support::world::{local, pieces_os};
use crate::{Figures, is_long};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The short form shows that nothing depends on everything fitting into one page, batch or frame.
fn conversations() -> usize {
    if is_long() { 1_000_000 } else { 10_000 }
}

/// How long loading all of them may take: far more than it does.
const LOADED: Duration = Duration::from_secs(120);
/// How many come by an import. The rest is put into the store as it is, which is a matter of seconds.
const IMPORTED: usize = 10_000;
/// Memory for each, in bytes: the record, its entry in the map of ids, and what allocators keep. In
/// the short form most of it is what loading any list takes.
const EACH: u64 = 700;
const ALLOWANCE: u64 = 32 << 20;

/// A server that is live, and what it has then.
fn open(spawn: Spawn) -> (Client, Duration, Figures) {
    let began = Instant::now();
    let (mut client, _) = Client::connect(spawn, json!({}), Value::Null);
    for expected in ["window/logMessage", "window/showMessage"] {
        client.allow(expected);
    }
    loop {
        let status = client.command("pieces.status", Value::Null).unwrap();
        if status["state"] == "live" {
            break;
        }
        assert!(began.elapsed() < LOADED, "{status}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    let figures = Figures::of(client.process().id());
    (client, took, figures)
}

fn run(client: &mut Client, command: &str, argument: Value) -> Value {
    let command = format!("pieces.conversations.{command}");
    client.command(&command, argument).unwrap()
}

fn total(client: &mut Client) -> u64 {
    let page = run(client, "list", json!({"limit": 1}));
    page["total"].as_u64().unwrap()
}

/// All pages together have every conversation once, newest first.
fn check_pages(client: &mut Client, count: usize) {
    let size = count / 20 + 1;
    let mut ids = HashSet::new();
    let mut last = String::from("9");
    for page in 0..20 {
        let argument = json!({"limit": size, "offset": page * size});
        let page = run(client, "list", argument);
        for item in page["items"].as_array().unwrap() {
            let updated = item["updated"].as_str().unwrap();
            assert!(updated <= last.as_str(), "{updated} after {last}");
            last = updated.to_owned();
            assert!(
                ids.insert(item["id"].as_str().unwrap().to_owned()),
                "{item} is there twice"
            );
        }
    }
    assert_eq!(ids.len(), count);
}

/// The number in its name finds one of them.
fn check_search(client: &mut Client, name: &str, id: &str) {
    let began = Instant::now();
    let found = run(client, "list", json!({"query": name, "limit": 5}));
    let took = began.elapsed();
    assert_eq!(found["items"][0]["id"], id, "{name}: {found}");
    let symbols = client
        .request("workspace/symbol", json!({"query": name}))
        .unwrap();
    assert_eq!(symbols[0]["name"], name);
    eprintln!("`{name}` found in {took:?}");
}

fn item(client: &mut Client, id: &str) -> Option<Value> {
    let uri = format!("pieces-conversation:/{id}.md");
    let mut found = run(client, "list", json!({"uri": uri}));
    found["items"].as_array_mut().unwrap().pop()
}

fn check_memory(empty: Figures, full: Figures, count: usize) {
    let more = full.anonymous.saturating_sub(empty.anonymous) * 1024;
    let each = more / count as u64;
    eprintln!("{each} bytes each: {empty:?}, then {full:?}");
    let allowed = EACH * count as u64 + ALLOWANCE;
    assert!(more < allowed, "{each} bytes each");
}

#[test]
fn a_million_conversations_are_indexed() {
    let count = conversations();
    let empty = {
        let service = Service::start(0);
        open(pieces_os(&service.url())).2
    };
    let service = Service::start(count);
    let (mut client, took, full) = open(pieces_os(&service.url()));
    eprintln!(
        "{count} conversations, {} MB: live after {took:?}",
        service.list_length() >> 20
    );
    // Once more if the first frame, which repeats all ids, came after the list had left.
    let lists = service.lists();
    eprintln!("the list was read {lists} times");
    assert!(lists <= 2, "the list was read {lists} times");
    assert_eq!(total(&mut client), count as u64);
    check_memory(empty, full, count);
    let one = count / 3;
    check_search(&mut client, &service::name(one), &service::ids(one, 0));
    check_pages(&mut client, count);

    // One is renamed by somebody else, and one is deleted.
    let id = service::ids(one, 0);
    service.announce(one, false);
    eventually("the new name", || {
        item(&mut client, &id).is_some_and(|item| item["name"] != service::name(one))
    });
    let other = service::ids(one + 1, 0);
    service.delete(one + 1);
    eventually("it is gone", || item(&mut client, &other).is_none());
    assert_eq!(total(&mut client), count as u64 - 1);
    eprintln!("after paging: {:?}", Figures::of(client.process().id()));
}

/// When the first conversation was made.
const SECOND: i64 = 1_767_225_600;

/// An export of so many conversations.
fn write_export(path: &Path, count: usize) {
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut line = |value: Value| writeln!(file, "{value}").unwrap();
    line(json!({"export": {"format": 1, "version": env!("CARGO_PKG_VERSION")}}));
    for n in 0..count {
        let second = jiff::Timestamp::from_second(SECOND + n as i64).unwrap();
        let at = json!({"value": format!("{second:.6}")});
        line(json!({"conversation": {
            "id": service::ids(n, 0), "name": service::name(n), "type": "COPILOT",
            "created": at, "updated": at,
        }}));
    }
    line(json!({"end": {"objects": count}}));
    file.flush().unwrap();
}

/// Puts conversations into a store that nobody serves, made like those that are there.
fn plant(store: &Path, numbers: std::ops::Range<usize>) {
    let mut db = rusqlite::Connection::open(store.join("store.db")).unwrap();
    let template = service::name(0);
    let (kind, doc): (i64, String) = db
        .query_row(
            "SELECT kind, doc FROM entity WHERE id = ?1",
            [service::ids(0, 0)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!(doc.contains(&template), "{doc}");
    let all = db.transaction().unwrap();
    let mut entity = all
        .prepare("INSERT INTO entity (kind, id, created, updated, doc) VALUES (?1, ?2, ?3, ?3, ?4)")
        .unwrap();
    let mut search = all
        .prepare("INSERT INTO search (rowid, text) VALUES (?1, ?2)")
        .unwrap();
    for n in numbers {
        let (name, at) = (service::name(n), (SECOND + n as i64) * 1_000_000);
        let doc = doc.replace(&template, &name);
        let seq = entity.insert((kind, service::ids(n, 0), at, doc)).unwrap();
        search.execute((seq, name)).unwrap();
    }
    drop((entity, search));
    all.commit().unwrap();
}

#[test]
fn a_million_conversations_are_served() {
    let count = conversations();
    let dir = TempDir::new().unwrap();
    let (export, store) = (dir.path().join("all.jsonl"), dir.path().join("store"));
    write_export(&export, IMPORTED);
    let import = Spawn::with_arguments(["import", "--from"])
        .arg(&export)
        .arg("--data-dir")
        .arg(&store);
    let began = Instant::now();
    let imported = import.run();
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    eprintln!("{IMPORTED} conversations imported in {:?}", began.elapsed());
    plant(&store, IMPORTED..count);

    let empty = open(local(&dir.path().join("empty"))).2;
    let (mut serving, took, figures) = open(local(&store));
    eprintln!("the one that serves: live after {took:?}, {figures:?}");
    let (mut client, took, full) = open(local(&store));
    eprintln!("another window: live after {took:?}");
    check_memory(empty, full, count);
    assert_eq!(
        (total(&mut client), total(&mut serving)),
        (count as u64, count as u64)
    );
    let one = count / 3;
    let id = service::ids(one, 0);
    check_search(&mut client, &service::name(one), &id);
    check_pages(&mut client, count);
    let found = run(&mut client, "search", json!({"query": service::name(one)}));
    assert_eq!(
        found["items"][0]["conversation"]["id"],
        id.as_str(),
        "{found}"
    );

    run(
        &mut client,
        "rename",
        json!({"conversation": id, "name": "another name"}),
    );
    let made = run(&mut client, "create", Value::Null);
    let other = service::ids(one + 1, 0);
    run(
        &mut client,
        "delete",
        json!({"conversation": other, "confirm": false}),
    );
    for window in [&mut client, &mut serving] {
        eventually("everybody has the same", || {
            let name = item(window, &id).map(|item| item["name"].clone());
            name == Some("another name".into())
                && item(window, &other).is_none()
                && item(window, made["id"].as_str().unwrap()).is_some()
                && total(window) == count as u64
        });
    }
    eprintln!("in the end: {:?}", Figures::of(serving.process().id()));
}
