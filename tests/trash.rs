//! What is deleted is in the trash, as it was, and comes back once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use support::client::{Client, RpcError, eventually};
use support::local::{Local, Method, assert_same, check_integrity, serve};
use support::standin::{Fault, StandIn};
use support::world::{capabilities, pieces_os, refused, wait_live, window};
use tempfile::TempDir;

const C: &str = "c0000000-0000-4000-8000-000000000001";
const D: &str = "c0000000-0000-4000-8000-000000000002";
const A: &str = "a0000000-0000-4000-8000-000000000001";

async fn trash(local: &Local) -> Vec<Value> {
    let listed = local.get("/pieces-lsp/trash").await;
    listed["items"].as_array().unwrap().clone()
}

/// The names of what can be restored here.
async fn names(local: &Local) -> Vec<String> {
    let listed = trash(local).await.into_iter();
    let deleted = listed.filter(|one| one["exists"] == false && one["staged"] == false);
    deleted
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn delete(local: &Local, id: &str) -> u16 {
    let path = format!("/conversations/{id}/delete");
    let answer = local.try_send(Method::Post(String::new()), &path).await;
    answer.unwrap().0
}

async fn restore(local: &Local, id: &str) -> (u16, Value) {
    let path = format!("/pieces-lsp/restore/{id}");
    let answer = local.try_send(Method::Post(String::new()), &path).await;
    let (status, text) = answer.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn text(text: &str) -> Value {
    json!({"string": {"raw": text}})
}

/// A conversation with everything that one can have, and its id.
async fn whole(local: &Local) -> String {
    let website = local
        .post(
            "/websites/create",
            json!({"url": "https://a.example", "name": "A"}),
        )
        .await;
    let asset = local
        .post(
            "/assets/create",
            json!({"type": "SEEDED_ASSET", "asset": {"format": {"fragment": text("fn a() {}")}}}),
        )
        .await;
    let created = json!({"value": "2020-01-02T03:04:05.678901Z"});
    let seed = json!({
        "id": C, "type": "COPILOT", "name": "Whole", "favorited": true, "created": created, "updated": created,
        "later": {"unknown": [1, null, {"deep": true}]},
        "messages": [
            {"role": "USER", "fragment": text("One"), "created": created, "updated": created, "odd": 1},
            {"role": "ASSISTANT", "fragment": text("Two"), "created": created}],
        "anchors": [{"type": "DIRECTORY", "fullpath": "/a/b"}],
        "annotations": [{"type": "SUMMARY", "text": "A note"}],
        "assets": {"iterable": [{"id": asset["id"]}]},
        "websites": {"iterable": [{"id": website["id"]}]},
    });
    let made = local.post("/conversations/create", seed).await;
    let message = made["messages"]["iterable"][0]["id"].clone();
    let about = json!({"type": "COMMENTATION", "text": "On a message", "messages": {"iterable": [{"id": message}]}});
    local.post("/annotations/create", about).await;
    C.to_owned()
}

/// Without the times of what was only associated with the conversation, which move.
fn settled(mut all: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    fn forget_updated(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("updated");
                map.values_mut().for_each(forget_updated);
            }
            Value::Array(items) => items.iter_mut().for_each(forget_updated),
            _ => {}
        }
    }
    for (key, object) in &mut all {
        let other = ["anchors", "assets", "websites"]
            .iter()
            .any(|kind| key.starts_with(kind));
        forget_updated(if other {
            object
        } else {
            &mut object["anchors"]
        });
    }
    all
}

#[tokio::test]
async fn a_deleted_conversation_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let id = whole(&local).await;
    let before = settled(local.everything().await);
    assert_eq!(delete(&local, &id).await, 204);
    let listed = trash(&local).await;
    let told = |one: &Value| {
        ["conversation", "name", "messages", "exists", "staged"].map(|key| one[key].clone())
    };
    assert_eq!(
        listed.iter().map(told).collect::<Vec<_>>(),
        [[
            json!(id),
            json!("Whole"),
            json!(2),
            json!(false),
            json!(false)
        ]]
    );
    let gone = local.everything().await;
    let left: Vec<_> = gone.keys().filter(|key| key.starts_with("mess")).collect();
    assert_eq!(left, [""; 0]);

    let answer = restore(&local, &id).await;
    assert_eq!(answer, (200, json!({"conversation": id, "name": "Whole"})));
    assert_same(&settled(local.everything().await), &before);
    // It is found by its words, too.
    let query = json!({"engines": {"iterable": [{"query": "Two"}]}});
    let found = local.post("/conversations/search", query).await;
    assert_eq!(found["iterable"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(names(&local).await, [""; 0]);
    attached.shutdown().await;
    check_integrity(dir.path());
}

#[tokio::test]
async fn anchors_that_are_gone_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let id = whole(&local).await;
    let anchors = local.get("/anchors").await;
    let anchor = anchors["iterable"][0]["id"].as_str().unwrap();
    delete(&local, &id).await;
    local
        .post(&format!("/anchors/{anchor}/delete"), Value::Null)
        .await;
    assert_eq!(restore(&local, &id).await.0, 200);
    let anchors = local.get("/anchors").await;
    let point = &anchors["iterable"][0]["points"]["iterable"][0]["reference"];
    assert_eq!(point["fullpath"], "/a/b");
    assert_eq!(anchors["iterable"][0]["type"], "DIRECTORY");
    attached.shutdown().await;
}

#[tokio::test]
async fn restoring_at_once_gives_one() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let id = whole(&local).await;
    delete(&local, &id).await;
    let both = tokio::join!(restore(&local, &id), restore(&local, &id));
    let expected = (200, json!({"conversation": id, "name": "Whole"}));
    assert_eq!(both, (expected.clone(), expected.clone()));
    assert_eq!(restore(&local, &id).await, expected);
    let all = local.get("/conversations").await;
    assert_eq!(all["iterable"].as_array().unwrap().len(), 1);
    assert_eq!(restore(&local, D).await.0, 410);
    attached.shutdown().await;
}

#[tokio::test]
async fn a_refused_delete_takes_nothing_out_of_the_trash() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let id = whole(&local).await;
    let both = tokio::join!(delete(&local, &id), delete(&local, &id));
    assert!(matches!(both, (204, 410) | (410, 204)), "{both:?}");
    assert_eq!(names(&local).await, ["Whole"]);
    attached.shutdown().await;
}

#[tokio::test]
async fn restored_conversations_share_their_annotation_again() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    for (first, second) in [(C, D), (D, C)] {
        let id = whole(&local).await;
        let other = json!({"type": "COPILOT", "id": D, "name": "Other"});
        local.post("/conversations/create", other).await;
        let all = local.get("/annotations").await;
        let notes = all["iterable"].as_array().unwrap();
        let note = notes.iter().find(|one| one["text"] == "A note").unwrap();
        let note = note["id"].as_str().unwrap();
        let tie = format!("/conversation/{D}/annotations/associate/{note}");
        local.post(&tie, Value::Null).await;
        delete(&local, &id).await;
        delete(&local, D).await;
        for id in [first, second] {
            assert_eq!(restore(&local, id).await.0, 200);
        }
        let other = local.get(&format!("/conversation/{D}")).await;
        assert_eq!(other["annotations"]["iterable"], json!([{"id": note}]));
        for id in [C, D] {
            delete(&local, id).await;
        }
    }
    attached.shutdown().await;
}

#[tokio::test]
async fn a_conversation_larger_than_a_request_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let made = local
        .post(
            "/conversations/create",
            json!({"type": "COPILOT", "name": "Large"}),
        )
        .await;
    let id = made["id"].as_str().unwrap();
    let line = "x".repeat(1023) + "\n";
    for number in 0..40 {
        let raw = format!("{number}\n{}", line.repeat(1024));
        let message = json!({"role": "USER", "conversation": {"id": id}, "fragment": text(&raw)});
        local
            .post("/messages/create?transferables=false", message)
            .await;
    }
    assert_eq!(delete(&local, id).await, 204);
    assert_eq!(trash(&local).await[0]["messages"], 40);
    assert_eq!(restore(&local, id).await.0, 200);
    let path = format!("/conversation/{id}/messages?transferables=true");
    let back = local.get(&path).await;
    for (number, message) in back["iterable"].as_array().unwrap().iter().enumerate() {
        let raw = message["fragment"]["string"]["raw"].as_str().unwrap();
        assert!(raw.starts_with(&format!("{number}\n")) && raw.len() > 1 << 20);
    }
    attached.shutdown().await;
}

#[tokio::test]
async fn a_conversation_imported_again_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let id = whole(&local).await;
    let kept = local.get(&format!("/conversation/{id}")).await;
    delete(&local, &id).await;
    local.plant(vec![json!({"conversation": kept})]).await;
    assert_eq!(names(&local).await, [""; 0]);
    let answer = restore(&local, &id).await;
    assert_eq!(answer, (200, json!({"conversation": id, "name": "Whole"})));
    attached.shutdown().await;
}

/// What the version before left for each deleted conversation.
fn old_file(dir: &Path, number: u32, name: &str) {
    let id = format!("c0000000-0000-4000-8000-0000000000{number:02}");
    let message = |role: &str, raw: &str| {
        json!({"id": uuid::Uuid::new_v4(), "role": role, "fragment": text(raw), "extra": 1,
            "created": {"value": "2020-01-01T00:00:00Z"}, "conversation": {"id": id}})
    };
    let old = json!({
        "conversation": id, "name": name, "deleted": 1_700_000_000_000_000_i64 + i64::from(number),
        "raw": {"id": id, "name": name, "type": "COPILOT", "unknown": "kept",
            "created": {"value": "2020-01-01T00:00:00Z"}, "updated": {"value": "2021-01-01T00:00:00Z"}},
        "messages": [message("USER", "One"), message("ASSISTANT", "Two")],
        "assets": [A], "files": ["/a/b.rs"],
    });
    let deleted = old["deleted"].as_i64().unwrap();
    let path = dir.join(format!("{deleted:020}-{id}.json"));
    std::fs::write(path, old.to_string()).unwrap();
}

#[tokio::test]
async fn the_trash_of_an_older_version_is_moved_once() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("trash");
    std::fs::create_dir(&old).unwrap();
    old_file(&old, 1, "First");
    old_file(&old, 2, "Second");
    let kept = std::fs::read_dir(&old).unwrap().next().unwrap().unwrap();
    let (name, bytes) = (kept.file_name(), std::fs::read(kept.path()).unwrap());
    for _ in 0..2 {
        let (attached, local) = serve(dir.path(), true).await;
        assert_eq!(names(&local).await, ["Second", "First"]);
        assert!(!old.exists());
        attached.shutdown().await;
        // As if it had been killed before the file was removed.
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join(&name), &bytes).unwrap();
    }
    let (attached, local) = serve(dir.path(), true).await;
    assert_eq!(names(&local).await, ["Second", "First"]);
    assert_eq!(restore(&local, C).await.0, 200);
    let back = local.get(&format!("/conversation/{C}")).await;
    assert_eq!(back["unknown"], "kept");
    assert_eq!(back["updated"]["value"], "2021-01-01T00:00:00.000000Z");
    let anchor = &back["anchors"]["iterable"][0]["reference"];
    assert_eq!(
        anchor["points"]["iterable"][0]["reference"]["fullpath"],
        "/a/b.rs"
    );
    let messages = local.get(&format!("/conversation/{C}/messages")).await;
    let said = messages["iterable"].as_array().unwrap().iter();
    let said: Vec<_> = said
        .map(|one| one["fragment"]["string"]["raw"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["One", "Two"]);
    attached.shutdown().await;
}

#[cfg(unix)]
#[tokio::test]
async fn unreadable_files_of_the_old_trash_stay() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("trash");
    std::fs::create_dir(&old).unwrap();
    old_file(&old, 1, "First");
    let path = |name: &str| old.join(name);
    let name = |number: u32, ending: &str| {
        format!("{number:020}-c0000000-0000-4000-8000-000000000009.{ending}")
    };
    std::fs::write(path(&name(3, "json")), "{").unwrap();
    let pipe = path(&name(4, "json"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::fs::write(path(&name(5, "tmp")), "half").unwrap();
    std::fs::write(path("note.txt"), "mine").unwrap();
    std::fs::write(path("my.tmp"), "mine").unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let listed = local.get("/pieces-lsp/trash").await;
    assert_eq!(listed["unreadable"], 2);
    assert_eq!(names(&local).await, ["First"]);
    let mut left: Vec<_> = std::fs::read_dir(&old)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            name(3, "json"),
            name(4, "json"),
            "my.tmp".into(),
            "note.txt".into()
        ]
    );
    attached.shutdown().await;
}

/// A copy of a conversation elsewhere, in two parts.
async fn staged(local: &Local, name: &str, whole: bool) -> i64 {
    let conversation = json!({"id": C, "name": name, "assets": {"iterable": [{"id": A}]}});
    let first = json!({"origin": "elsewhere", "objects": [{"conversation": conversation}]});
    let entry = local.post("/pieces-lsp/trash", first).await["entry"]
        .as_i64()
        .unwrap();
    let message = json!({"id": uuid::Uuid::new_v4(), "role": "USER", "conversation": {"id": C}, "fragment": text("One")});
    let rest = json!({"whole": whole, "objects": [{"message": message}]});
    local
        .post(&format!("/pieces-lsp/trash/{entry}/add"), rest)
        .await;
    entry
}

async fn settle(local: &Local, entry: i64, how: &str) -> u16 {
    let path = format!("/pieces-lsp/trash/{entry}/{how}");
    let answer = local.try_send(Method::Post(String::new()), &path).await;
    answer.unwrap().0
}

#[tokio::test]
async fn a_copy_is_listed_when_it_is_whole_and_restorable_when_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let partial = staged(&local, "Partial", false).await;
    let refused = staged(&local, "Refused", true).await;
    let done = staged(&local, "Done", true).await;
    assert_eq!(settle(&local, partial, "commit").await, 410);
    assert_eq!(settle(&local, refused, "drop").await, 204);
    assert_eq!(restore(&local, C).await.0, 410);
    assert_eq!(settle(&local, done, "commit").await, 204);
    let unknown = staged(&local, "Unknown", true).await;
    let states = |items: Vec<Value>| -> Vec<(Value, Value)> {
        let one = |one: &Value| (one["entry"].clone(), one["staged"].clone());
        items.iter().map(one).collect()
    };
    let expected = [(json!(unknown), json!(true)), (json!(done), json!(false))];
    assert_eq!(states(trash(&local).await), expected);
    attached.shutdown().await;

    // The next start removes what was never finished, and nothing else.
    let (attached, local) = serve(dir.path(), true).await;
    assert_eq!(states(trash(&local).await), expected);
    assert_eq!(restore(&local, C).await.1["name"], "Done");
    attached.shutdown().await;
}

#[tokio::test]
async fn an_unfinished_copy_is_gone_before_the_first_request_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let old = staged(&local, "Unfinished", false).await;
    attached.shutdown().await;
    let (attached, local) = serve(dir.path(), true).await;
    assert_eq!(settle(&local, old, "drop").await, 410);
    // A copy that begins right after the start is not taken for an unfinished one.
    let new = staged(&local, "New", true).await;
    assert_eq!(settle(&local, new, "commit").await, 204);
    attached.shutdown().await;
}

#[tokio::test]
async fn a_copy_is_restored_elsewhere_by_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let entry = staged(&local, "Done", true).await;
    settle(&local, entry, "commit").await;
    assert_eq!(settle(&local, entry, "take").await, 204);
    let seed = local.get(&format!("/pieces-lsp/trash/{entry}")).await;
    assert_eq!(seed["name"], "Done");
    assert_eq!(seed["messages"][0]["fragment"], text("One"));
    assert_eq!(seed["assets"], json!({"iterable": [{"id": A}]}));
    assert_eq!(settle(&local, entry, "take").await, 503);
    assert_eq!(settle(&local, entry, "release").await, 204);
    assert_eq!(settle(&local, entry, "take").await, 204);
    let done = format!("/pieces-lsp/trash/{entry}/restored");
    local.post(&done, json!({"conversation": D})).await;
    attached.shutdown().await;
    let (attached, local) = serve(dir.path(), true).await;
    assert_eq!(trash(&local).await, [Value::Null; 0]);
    let ids = local.get("/pieces-lsp/restored").await;
    assert_eq!(ids, json!({"items": {C: D}}));
    attached.shutdown().await;
}

// From here on through the language server.

const QUESTION: &str = "window/showMessageRequest";

/// A language server on a stand-in for Pieces OS, with a data directory that stays.
struct Desk {
    client: Client,
    standin: Arc<Mutex<StandIn>>,
    dir: TempDir,
}

fn on_pieces_os(url: &str, dir: &Path) -> Client {
    let spawn = pieces_os(url).arg("--data-dir").arg(dir);
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    wait_live(&mut client);
    client
}

impl Desk {
    fn start() -> Self {
        Desk::on(StandIn::start())
    }

    fn on(standin: StandIn) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Desk {
            client: on_pieces_os(&standin.url(), &dir.path().join("store")),
            standin: Arc::new(Mutex::new(standin)),
            dir,
        }
    }

    fn standin(&self) -> MutexGuard<'_, StandIn> {
        self.standin.lock().unwrap()
    }

    fn run(&mut self, name: &str, argument: Value) -> Result<Value, RpcError> {
        let command = format!("pieces.conversations.{name}");
        self.client.command(&command, argument)
    }

    /// A conversation with these messages that the server knows; its id.
    fn create(&mut self, name: &str, texts: &[&str]) -> String {
        create(&mut self.client, name, texts)
    }

    fn delete(&mut self, id: &str) -> Result<Value, RpcError> {
        self.run("delete", json!({"conversation": id, "confirm": false}))
    }

    fn trash(&mut self) -> Vec<(String, u64)> {
        in_trash(&mut self.client)
    }

    fn until_gone(&mut self, id: &str) {
        eventually("it is gone", || !ids(&mut self.client).contains(id));
    }
}

fn create(client: &mut Client, name: &str, texts: &[&str]) -> String {
    let message = |raw: &&str| json!({"role": "USER", "fragment": text(raw)});
    let messages: Vec<_> = texts.iter().map(message).collect();
    let seed = json!({"type": "COPILOT", "name": name, "messages": messages});
    let argument = json!({"seededConversation": seed});
    let made = client.command("pieces.conversations.create", argument);
    let id = made.unwrap()["id"].as_str().unwrap().to_owned();
    eventually("its messages", || {
        let listed = client.command("pieces.conversations.list", json!({"limit": 1_000}));
        let listed = listed.unwrap()["items"].as_array().unwrap().clone();
        let item = listed.into_iter().find(|one| one["id"] == id);
        item.is_some_and(|one| one["messages"] == texts.len())
    });
    id
}

/// Names and numbers of messages.
fn in_trash(client: &mut Client) -> Vec<(String, u64)> {
    let listed = client.command("pieces.conversations.trash", Value::Null);
    let listed = listed.unwrap()["items"].as_array().unwrap().clone();
    let told = |one: &Value| {
        (
            one["name"].as_str().unwrap().to_owned(),
            one["messages"].as_u64().unwrap(),
        )
    };
    listed.iter().map(told).collect()
}

fn ids(client: &mut Client) -> BTreeSet<String> {
    let listed = client.command("pieces.conversations.list", json!({"limit": 1_000}));
    let listed = listed.unwrap()["items"].as_array().unwrap().clone();
    let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
    listed.iter().map(id).collect()
}

fn entry(name: &str, messages: u64) -> Vec<(String, u64)> {
    vec![(name.to_owned(), messages)]
}

/// Another client's POST.
fn post(local: &Local, path: &str, body: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = Method::Post(body.to_string());
    let answer = runtime.block_on(local.try_send(body, path));
    assert!(answer.unwrap().0 < 300, "{path}");
}

/// Agrees to every question, after `before`; what was asked.
fn agreeing(
    client: &mut Client,
    mut before: impl FnMut() + Send + 'static,
) -> std::sync::mpsc::Receiver<String> {
    let (asked, questions) = std::sync::mpsc::channel();
    client.answer(QUESTION, move |params| {
        // Not every test wants to know.
        let _ = asked.send(params["message"].as_str().unwrap().to_owned());
        before();
        Some(json!({"title": "Delete"}))
    });
    questions
}

#[test]
fn concurrent_deletes_make_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = window(dir.path());
    let id = create(&mut client, "Precious", &["One"]);
    let local = Local::of(dir.path()).unwrap();
    let path = format!("/conversations/{id}/delete");
    agreeing(&mut client, move || post(&local, &path, &Value::Null));
    let delete = json!({"conversation": id});
    let second = client.command("pieces.conversations.delete", delete);
    refused(second, "not-found");
    assert_eq!(in_trash(&mut client), entry("Precious", 1));
    let argument = json!({"conversation": id});
    let restored = client.command("pieces.conversations.restore", argument);
    let expected = json!({"conversation": id, "name": "Precious"});
    assert_eq!(restored, Ok(expected));
    assert!(ids(&mut client).contains(&id), "listed at once");
}

#[test]
fn messages_that_arrive_while_the_question_is_open_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = window(dir.path());
    let mut desk = Desk::start();
    let local = Local::of(dir.path()).unwrap();
    let url = desk.standin().url();
    for (client, service) in [
        (&mut client, local),
        (&mut desk.client, Local::new(&url, None)),
    ] {
        let id = create(client, "Talk", &["One"]);
        let message =
            json!({"role": "ASSISTANT", "conversation": {"id": id}, "fragment": text("Late")});
        agreeing(client, move || post(&service, "/messages/create", &message));
        let delete = json!({"conversation": id});
        let deleted = client.command("pieces.conversations.delete", delete);
        assert_eq!(deleted, Ok(json!({"deleted": true})));
        assert_eq!(in_trash(client), entry("Talk", 2));
    }
}

#[test]
fn nothing_is_in_the_trash_when_the_service_goes_away() {
    let mut desk = Desk::start();
    let id = desk.create("Precious", &["One"]);
    let standin = Arc::clone(&desk.standin);
    agreeing(&mut desk.client, move || standin.lock().unwrap().refuse());
    refused(desk.run("delete", json!({"conversation": id})), "offline");
    desk.standin().heal();
    wait_live(&mut desk.client);
    assert_eq!(desk.trash(), []);
    assert!(ids(&mut desk.client).contains(&id));
}

#[test]
fn a_copy_is_dropped_if_nothing_was_deleted() {
    let mut desk = Desk::start();
    let id = desk.create("Precious", &["One"]);
    // The offer to switch is not what this is about.
    desk.client.refuse(QUESTION);
    for status in [403, 404, 410, 503] {
        let fault = Fault::Status(status, "No.");
        desk.standin()
            .fault("POST /conversations/{id}/delete", fault);
        let error = desk.delete(&id).unwrap_err();
        assert_eq!(error.data["status"], status, "{error:?}");
        assert_eq!(desk.trash(), [], "{status}");
    }
    desk.standin().heal();
    assert_eq!(desk.delete(&id), Ok(json!({"deleted": true})));
    assert_eq!(desk.trash(), entry("Precious", 1));
}

#[test]
fn a_delete_with_unknown_outcome_is_listed_once_it_is_gone() {
    let mut desk = Desk::start();
    let route = "POST /conversations/{id}/delete";
    let kept = desk.create("Kept", &["One"]);
    desk.standin().fault(route, Fault::Status(500, "Failed."));
    let error = desk.delete(&kept).unwrap_err();
    assert_eq!(error.data["outcomeUnknown"], true);
    assert_eq!(desk.trash(), []);
    let gone = desk.create("Gone", &["One", "Two"]);
    desk.standin().fault(route, Fault::LoseReply);
    let error = desk.delete(&gone).unwrap_err();
    assert_eq!(error.data["outcomeUnknown"], true);
    desk.until_gone(&gone);
    assert_eq!(desk.trash(), entry("Gone", 2));
    // Another client deletes the first one after all: the copy is there.
    desk.standin().delete(&kept);
    desk.until_gone(&kept);
    assert_eq!(desk.trash().len(), 2);
    let restored = desk.run("restore", json!({"conversation": kept})).unwrap();
    assert_eq!(restored["name"], "Kept");
    assert_eq!(desk.trash(), entry("Gone", 2));
}

#[test]
fn a_conversation_without_a_copy_is_not_deleted_without_asking() {
    let off = ["GET /conversation/{id}/messages", "GET /message/{id}"];
    let deletes = |desk: &Desk| desk.standin().requests("POST /conversations/{id}/delete");
    for (six, off) in [(true, vec![]), (false, off.to_vec())] {
        // From the start: a route that disappears later means that the conversation is gone.
        let standin = StandIn::start();
        standin.with(|state| {
            state.six_endpoints_only = six;
            state.switched_off = off.iter().map(ToString::to_string).collect();
        });
        let mut desk = Desk::on(standin);
        let id = desk.create("Precious", &["One"]);
        let error = refused(desk.delete(&id), "refused");
        assert!(error.message.contains("trash"), "{error:?}");
        let argument = json!({"conversation": id});
        let mut answers = vec!["Cancel", "Delete"];
        let (asked, questions) = std::sync::mpsc::channel();
        desk.client.answer(QUESTION, move |params| {
            asked
                .send(params["message"].as_str().unwrap().to_owned())
                .unwrap();
            Some(json!({"title": answers.pop().unwrap()}))
        });
        let answer = desk.run("delete", argument);
        assert_eq!(answer, Ok(json!({"deleted": false})));
        let questions: Vec<_> = questions.try_iter().collect();
        let first = &questions[0];
        assert!(first.contains("“Precious” with 1 message"), "{first}");
        assert!(questions[1].contains("trash"), "{questions:?}");
        assert_eq!(deletes(&desk), 0);
        let argument = json!({"conversation": id, "confirm": false, "force": true});
        assert_eq!(desk.run("delete", argument), Ok(json!({"deleted": true})));
        assert_eq!(desk.trash(), []);
    }
}

#[test]
fn a_store_that_cannot_be_written_refuses_the_delete() {
    let mut desk = Desk::start();
    let id = desk.create("Precious", &["One"]);
    // In the way of the data directory.
    std::fs::write(desk.dir.path().join("store"), "").unwrap();
    let error = refused(desk.delete(&id), "refused");
    assert!(error.message.contains("trash"), "{error:?}");
    assert!(ids(&mut desk.client).contains(&id));
    std::fs::remove_file(desk.dir.path().join("store")).unwrap();
    assert_eq!(desk.delete(&id), Ok(json!({"deleted": true})));
    assert_eq!(desk.trash(), entry("Precious", 1));
}

#[test]
fn a_delete_that_is_cancelled_before_it_leaves_keeps_nothing() {
    let mut desk = Desk::start();
    let id = desk.create("Precious", &["One"]);
    desk.standin()
        .fault("GET /conversation/{id}/messages", Fault::HoldReply);
    let params = json!({"command": "pieces.conversations.delete",
        "arguments": [{"conversation": id, "confirm": false}]});
    let request = desk.client.send_request("workspace/executeCommand", params);
    desk.standin()
        .wait_until("the read", |state| state.held_replies() == 1);
    desk.client.cancel(request);
    let error = desk.client.response(request).unwrap_err();
    assert_eq!(error.code, -32800);
    desk.standin().release_replies();
    assert_eq!(desk.trash(), []);
    assert_eq!(
        desk.standin().requests("POST /conversations/{id}/delete"),
        0
    );
}

#[test]
fn links_to_what_was_restored_on_pieces_os_work_after_a_restart() {
    let mut desk = Desk::start();
    let id = desk.create("Precious", &["One"]);
    desk.delete(&id).unwrap();
    let restored = desk.run("restore", json!({"conversation": id})).unwrap();
    let new = restored["conversation"].as_str().unwrap().to_owned();
    assert_ne!(new, id);
    let url = desk.standin().url();
    desk.client.finish();
    let mut client = on_pieces_os(&url, &desk.dir.path().join("store"));
    client.allow("textDocument/publishDiagnostics");
    let note = "file:///note.md";
    let link = |id: &str| format!("pieces-conversation:/{id}.md");
    let document = json!({"uri": note, "languageId": "markdown", "version": 1, "text": format!("[]({})", link(&id))});
    client.notify("textDocument/didOpen", json!({ "textDocument": document }));
    let at = json!({"line": 0, "character": 9});
    let params = json!({"textDocument": {"uri": note}, "range": {"start": at, "end": at},
        "context": {"diagnostics": [], "only": ["quickfix"]}});
    let mut fixes = Value::Null;
    eventually("the fix", || {
        let request = client.request("textDocument/codeAction", params.clone());
        fixes = request.unwrap();
        fixes[0]["edit"]["changes"][note][0]["newText"] == link(&new)
    });
    // A second restore finds the first.
    let argument = json!({"conversation": id});
    refused(
        client.command("pieces.conversations.restore", argument),
        "not-found",
    );
}

#[test]
fn two_windows_restore_on_pieces_os_once() {
    let mut desk = Desk::start();
    let id = desk.create("Precious", &["One"]);
    desk.delete(&id).unwrap();
    let url = desk.standin().url();
    let mut second = on_pieces_os(&url, &desk.dir.path().join("store"));
    let route = "POST /conversations/create";
    desk.standin().fault(route, Fault::HoldReply);
    let params =
        json!({"command": "pieces.conversations.restore", "arguments": [{"conversation": id}]});
    let first = desk
        .client
        .send_request("workspace/executeCommand", params.clone());
    desk.standin()
        .wait_until("the create", |state| state.held_replies() == 1);
    let other = second.request("workspace/executeCommand", params);
    refused(other, "refused");
    desk.standin().release_replies();
    let restored = desk.client.response(first).unwrap();
    assert_eq!(restored["name"], "Precious");
    // One for the test itself.
    assert_eq!(desk.standin().requests(route), 2);
    assert_eq!(desk.trash(), []);
}

#[test]
fn the_old_trash_is_listed_and_restored_on_pieces_os() {
    let mut desk = Desk::start();
    let store = desk.dir.path().join("store");
    let old = store.join("trash");
    std::fs::create_dir_all(&old).unwrap();
    old_file(&old, 1, "First");
    let broken = format!("{:020}-{D}.json", 5);
    std::fs::write(old.join(broken), "{").unwrap();
    desk.client.allow("window/showMessage");
    for _ in 0..2 {
        assert_eq!(desk.trash(), entry("First", 2));
    }
    let told = desk.client.drain("window/showMessage");
    assert_eq!(told.len(), 1, "{told:?}");
    let restored = desk.run("restore", json!({"conversation": C})).unwrap();
    let id = restored["conversation"].as_str().unwrap().to_owned();
    let messages = desk.standin().with(|state| {
        let all = state.messages.values();
        all.filter(|one| one["conversation"]["id"] == id).count()
    });
    assert_eq!(messages, 2);
}

#[test]
fn leftovers_of_killed_processes_are_removed_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let opened = dir.path().join("opened");
    std::fs::create_dir(&opened).unwrap();
    let ours = [
        dir.path().join("service.json.tmp"),
        dir.path().join(".pieces-lsp-x.tmp"),
        opened.join(format!("{C}.tmp")),
    ];
    let mine = opened.join("note.tmp");
    for path in ours.iter().chain([&mine]) {
        std::fs::write(path, "half").unwrap();
    }
    let _client = window(dir.path());
    for path in &ours {
        eventually("it is removed", || !path.exists());
    }
    assert!(mine.exists());
}
