//! Live updates: the notifications tell exactly what happens, in order, and not too often.
//! And privacy: nothing that people wrote gets into the logs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use support::client::{Client, eventually};
use support::process::Spawn;
use support::standin::{Fault, StandIn};
use support::world::{ALL, Service, World, capabilities, local, pieces_os, wait_live, window};

const CHANGED: &str = "pieces/didChangeConversations";
const STATUS: &str = "pieces/didChangeStatus";

fn live_updates() -> Value {
    json!({"liveUpdates": true})
}

/// A server with live updates that has told of its start.
fn start(service: Service) -> World {
    let mut world = World::with(service, capabilities(), live_updates());
    world.client.allow(CHANGED);
    world.client.allow(STATUS);
    let live = |status: &Value| status["state"] == "live";
    until_status(&mut world.client, live);
    // There is nothing yet, so there is nothing to tell.
    assert_eq!(world.client.drain(CHANGED), Vec::<Value>::new());
    world
}

/// The next status that is so; what was told before it is past.
fn until_status(client: &mut Client, condition: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = client.wait_notification(STATUS, |_| true);
        if condition(&status) {
            return status;
        }
    }
}

/// A notification has these fields, with nothing in two of them.
fn check_change(change: &Value) -> u64 {
    let mut fields: Vec<_> = change.as_object().unwrap().keys().collect();
    fields.retain(|field| *field != "reset");
    assert_eq!(
        fields,
        ["removed", "revision", "total", "upserted"],
        "{change}"
    );
    assert!(
        ["null", "true"].contains(&change["reset"].to_string().as_str()),
        "{change}"
    );
    let removed = change["removed"].as_array().unwrap();
    let upserted = change["upserted"].as_array().unwrap();
    if change["reset"] == true {
        assert!(removed.is_empty() && upserted.is_empty(), "{change}");
    } else {
        assert!(!removed.is_empty() || !upserted.is_empty(), "{change}");
    }
    assert!(removed.len() + upserted.len() <= 1000);
    for item in upserted {
        assert!(!removed.contains(&item["id"]), "{change}");
        assert_eq!(
            item["uri"],
            format!("pieces-conversation:/{}.md", item["id"].as_str().unwrap())
        );
    }
    change["revision"].as_u64().unwrap()
}

#[test]
fn own_writes_are_notified() {
    for service in ALL {
        let mut world = start(service);
        let created = world.run("create", Value::Null).unwrap();
        let change = world.client.wait_notification(CHANGED, |_| true);
        check_change(&change);
        assert_eq!(change["upserted"], json!([world.items()[0]]));
        assert_eq!(
            (&change["total"], &change["removed"]),
            (&json!(1), &json!([]))
        );
        let force = service == Service::Six;
        let argument = json!({"conversation": created["id"], "confirm": false, "force": force});
        world.run("delete", argument).unwrap();
        let gone = |change: &Value| change["removed"] == json!([created["id"]]);
        let change = world.client.wait_notification(CHANGED, gone);
        check_change(&change);
        assert_eq!(change["total"], 0);
    }
}

#[test]
fn changes_of_others_are_notified() {
    for service in ALL {
        let mut world = start(service);
        let id = world.create("theirs");
        let change = world.client.wait_notification(CHANGED, |_| true);
        check_change(&change);
        assert_eq!(change["upserted"][0]["name"], "theirs");
        assert_eq!(change["upserted"], json!([world.item(&id).unwrap()]));
        world.other("POST", &format!("/conversations/{id}/delete"), Value::Null);
        let change = world
            .client
            .wait_notification(CHANGED, |change| change["total"] == 0);
        assert_eq!(change["removed"], json!([id]));
        assert_eq!(world.items(), Vec::<Value>::new());
    }
}

/// Replays the notifications as a client does that wants to know everything.
#[derive(Default)]
struct Replica {
    items: BTreeMap<String, Value>,
    revision: u64,
    total: u64,
    told: usize,
}

impl Replica {
    fn apply(&mut self, change: &Value, client: &mut Client) {
        let revision = check_change(change);
        assert!(
            revision > self.revision || self.told == 0,
            "{revision} after {}",
            self.revision
        );
        (self.revision, self.told) = (revision, self.told + 1);
        self.total = change["total"].as_u64().unwrap();
        if change["reset"] == true {
            self.read(client);
        }
        for id in change["removed"].as_array().unwrap() {
            self.items.remove(id.as_str().unwrap());
        }
        for item in change["upserted"].as_array().unwrap() {
            self.items
                .insert(item["id"].as_str().unwrap().to_owned(), item.clone());
        }
    }

    fn read(&mut self, client: &mut Client) {
        let list = client
            .command("pieces.conversations.list", json!({"limit": 1_000_000}))
            .unwrap();
        let items = list["items"].as_array().unwrap().iter();
        self.items = items
            .map(|item| (item["id"].as_str().unwrap().to_owned(), item.clone()))
            .collect();
    }
}

/// The same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % u64::try_from(limit).unwrap()).unwrap()
    }
}

/// One random change by another client, and what the names should be after it.
fn change_something(
    world: &World,
    random: &mut Random,
    names: &mut BTreeMap<String, String>,
    number: usize,
) {
    let picked = match names.len() {
        0 => None,
        count => names.keys().nth(random.below(count)).cloned(),
    };
    match (random.below(10), picked) {
        (0..=3, _) | (_, None) => {
            let name = format!("created {number}");
            names.insert(world.create(&name), name);
        }
        (4..=7, Some(id)) => {
            let name = format!("renamed {number}");
            if world.service == Service::Local {
                let path = format!("/conversation/{id}");
                let mut one = world.other("GET", &path, Value::Null);
                one["name"] = name.clone().into();
                world.other("POST", "/conversation/update", one);
            } else {
                world.standin().rename(&id, &name);
            }
            names.insert(id, name);
        }
        (_, Some(id)) => {
            world.other("POST", &format!("/conversations/{id}/delete"), Value::Null);
            names.remove(&id);
        }
    }
}

#[test]
fn replaying_the_notifications_gives_the_list() {
    for service in ALL {
        let mut world = start(service);
        if service != Service::Local {
            world.standin().with(|state| state.frames_twice = true);
        }
        let (mut replica, mut random) = (Replica::default(), Random(7));
        let mut names = BTreeMap::new();
        for number in 0..300 {
            change_something(&world, &mut random, &mut names, number);
            if number % 50 == 49 && service != Service::Local {
                // And the connection is lost now and then.
                world.standin().sever();
            }
        }
        let named = |items: &BTreeMap<String, Value>| -> BTreeMap<String, String> {
            let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
            items
                .iter()
                .map(|(id, item)| (id.clone(), name(item)))
                .collect()
        };
        while named(&replica.items) != names {
            let change = world.client.wait_notification(CHANGED, |_| true);
            replica.apply(&change, &mut world.client);
        }
        // Nothing but what the list says, in every field.
        wait_live(&mut world.client);
        world.run("refresh", Value::Null).unwrap();
        let mut last = Replica::default();
        eventually("the same in every field", || {
            for change in world.client.drain(CHANGED) {
                replica.apply(&change, &mut world.client);
            }
            last.read(&mut world.client);
            replica.items == last.items
        });
        assert_eq!(replica.total, u64::try_from(names.len()).unwrap());
        assert_eq!(named(&last.items), names);
    }
}

#[test]
fn changes_during_a_lost_connection_are_notified() {
    for service in [Service::Full, Service::Six] {
        let mut world = start(service);
        let stays = world.create_known("stays");
        let goes = world.create_known("goes");
        let renamed = world.create_known("before");
        let mut replica = Replica::default();
        for change in world.client.drain(CHANGED) {
            replica.apply(&change, &mut world.client);
        }
        world.standin_mut().refuse();
        until_status(&mut world.client, |status| status["state"] == "offline");
        world.standin().delete(&goes);
        world.standin().rename(&renamed, "after");
        let new = world.standin().create("new");
        world.standin_mut().heal();
        let expected: HashMap<_, _> =
            [(&stays, "stays"), (&renamed, "after"), (&new, "new")].into();
        while replica.items.len() != 3
            || !expected.iter().all(|(id, name)| {
                replica
                    .items
                    .get(*id)
                    .is_some_and(|item| item["name"] == *name)
            })
        {
            let change = world.client.wait_notification(CHANGED, |_| true);
            replica.apply(&change, &mut world.client);
        }
        assert!(!replica.items.contains_key(&goes));
    }
}

#[test]
fn streams_of_anchors_that_end_alone_are_opened_again() {
    let mut world = World::prepared(Service::Full, capabilities(), Value::Null, |standin| {
        standin.with(|state| state.tie_streams = true);
    });
    let id = world.create_known("tied");
    let anchor = world.standin().create_anchor("/before.rs", &[], &[&id]);
    world.standin().change(&id, |_| ());
    let files = |item: Option<&Value>| item.map(|item| item["files"][0].clone());
    world.until_item(&id, |item| files(item) == Some("file:///before.rs".into()));
    let standin = world.standin();
    standin.wait_until("both streams", |state| state.tie_websockets() == 2);
    standin.end_tie_streams();
    // Nobody hears of this: it is read when they are open again.
    standin.move_anchor(&anchor, "/after.rs");
    world.until_item(&id, |item| files(item) == Some("file:///after.rs".into()));
    let standin = world.standin();
    standin.wait_until("both again", |state| state.tie_websockets() == 2);
    assert_eq!(standin.with(|state| state.websockets_opened()), 1);
}

#[test]
fn changes_that_follow_each_other_go_out_together() {
    let mut world = start(Service::Full);
    let (mut told, mut changes) = (0_u32, 0);
    let started = Instant::now();
    let mut last = String::new();
    while changes < 400 || told < 4 {
        last = world.standin().create(&format!("many {changes}"));
        changes += 1;
        told += u32::try_from(world.client.drain(CHANGED).len()).unwrap();
    }
    world.until_item(&last, |item| item.is_some());
    told += u32::try_from(world.client.drain(CHANGED).len()).unwrap();
    let elapsed = started.elapsed();
    assert!(
        (told - 1) * Duration::from_millis(50) <= elapsed,
        "{told} notifications in {elapsed:?}"
    );
    assert!(told < changes, "{told} notifications for {changes} changes");
}

#[test]
fn more_than_a_thousand_changes_are_a_reset() {
    for service in [Service::Full, Service::Six] {
        for (count, reset) in [(1000, false), (1001, true)] {
            let mut world = start(service);
            world
                .standin()
                .fill((0..count).map(|number| format!("many {number}")));
            // Read as a whole, with the next connection.
            world.standin().sever();
            let change = world.client.wait_notification(CHANGED, |_| true);
            check_change(&change);
            assert_eq!(change["reset"] == true, reset, "{count}");
            assert_eq!(change["total"], count);
            let upserted = change["upserted"].as_array().unwrap().len();
            assert_eq!(upserted, if reset { 0 } else { count });
            let list = world.list(json!({"limit": 2000}));
            assert_eq!(list["items"].as_array().unwrap().len(), count);
            assert_eq!(list["revision"], change["revision"]);
        }
    }
}

#[test]
fn no_change_is_no_notification() {
    for service in ALL {
        let mut world = start(service);
        world.create_known("one");
        world.run("refresh", Value::Null).unwrap();
        let before = world.list(json!({}))["revision"].clone();
        // That of the new conversation, which may come later than the answers.
        let known = |change: &Value| change["revision"] == before;
        world.client.wait_notification(CHANGED, known);
        for _ in 0..3 {
            world.run("refresh", Value::Null).unwrap();
        }
        assert_eq!(world.list(json!({}))["revision"], before);
        assert_eq!(world.client.drain(CHANGED), Vec::<Value>::new());
    }
}

fn states(client: &mut Client) -> Vec<String> {
    let told = client.drain(STATUS);
    told.iter()
        .map(|status| status["state"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_change_of_state_is_notified() {
    let mut standin = StandIn::start();
    standin.create("one");
    let (mut client, _) =
        Client::connect(pieces_os(&standin.url()), capabilities(), live_updates());
    client.allow(CHANGED);
    client.allow(STATUS);
    let live = |status: &Value| status["state"] == "live";
    let status = until_status(&mut client, live);
    assert_eq!(
        (&status["backend"], &status["url"]),
        (&json!("pieces-os"), &json!(standin.url()))
    );
    assert_eq!(status.get("error"), None);
    assert_eq!(status["conversations"], 1);
    states(&mut client);
    for _ in 0..3 {
        standin.refuse();
        let status = until_status(&mut client, |status| status["state"] == "offline");
        assert!(status["error"].as_str().unwrap().ends_with('.'), "{status}");
        standin.heal();
        until_status(&mut client, |status| status["state"] == "syncing");
        let status = until_status(&mut client, live);
        assert_eq!(status.get("error"), None, "{status}");
        // The notification and the command say the same.
        let asked = client.command("pieces.status", Value::Null).unwrap();
        assert_eq!(asked["since"], status["since"]);
    }
}

#[test]
fn a_service_that_comes_back_elsewhere_is_found() {
    let mut standin = StandIn::start();
    standin.create("one");
    let spawn = Spawn::serve().arg("--backend").arg("pieces-os");
    let file = ".local/share/com.pieces.os/production/Config/.port.txt";
    let file = if cfg!(target_os = "macos") {
        spawn
            .home()
            .join("Library/com.pieces.os/production/Config/.port.txt")
    } else {
        spawn.home().join(file)
    };
    standin.publish_port(&file);
    let (mut client, _) = Client::connect(spawn, capabilities(), live_updates());
    client.allow(CHANGED);
    client.allow(STATUS);
    for _ in 0..2 {
        let url = standin.url();
        let here = |status: &Value| status["state"] == "live" && status["url"] == url;
        until_status(&mut client, here);
        standin.restart_elsewhere();
        until_status(&mut client, |status| status["state"] == "offline");
        // Whoever asks does not sit out the pause.
        client
            .command("pieces.conversations.refresh", Value::Null)
            .ok();
    }
    let url = standin.url();
    until_status(&mut client, |status| {
        status["state"] == "live" && status["url"] == url
    });
}

#[test]
fn signed_out_is_notified() {
    let mut standin = StandIn::start();
    standin.fault("*", Fault::Status(401, "Nobody is signed in."));
    let (mut client, _) =
        Client::connect(pieces_os(&standin.url()), capabilities(), live_updates());
    client.allow(CHANGED);
    client.allow(STATUS);
    let status = until_status(&mut client, |status| status["state"] == "offline");
    assert!(
        status["error"].as_str().unwrap().contains("sign"),
        "{status}"
    );
    standin.heal();
    client
        .command("pieces.conversations.create", Value::Null)
        .unwrap();
    until_status(&mut client, |status| status["state"] == "live");
}

// Privacy.

const CANARY: &str = "Kanarienvogel";

#[test]
fn content_is_not_logged() {
    for service in ALL {
        let dir = tempfile::tempdir().unwrap();
        let mut standin = StandIn::start();
        standin.with(|state| state.six_endpoints_only = service == Service::Six);
        let spawn = match service {
            Service::Local => support::world::local(&dir.path().join("store")),
            _ => pieces_os(&standin.url()),
        };
        let spawn = spawn.env("PIECES_LSP_LOG_LEVEL", "debug");
        let (mut client, _) = Client::connect(spawn, capabilities(), live_updates());
        for method in [CHANGED, STATUS, "window/showMessage", "window/logMessage"] {
            client.allow(method);
        }
        client.answer("window/showDocument", |_| {
            Some(json!({"success": true, "x": CANARY}))
        });
        client.answer("window/showMessageRequest", |params| {
            Some(params["actions"][0].clone())
        });
        wait_live(&mut client);
        let text = format!("fn {CANARY}() {{}} // {CANARY}\n");
        let file = dir.path().join(format!("{CANARY}.rs"));
        std::fs::write(&file, &text).unwrap();
        let uri = url::Url::from_file_path(&file).unwrap();
        let document = json!({"uri": uri, "languageId": CANARY, "version": 1, "text": text});
        client.notify("textDocument/didOpen", json!({ "textDocument": document }));
        let change = json!({"textDocument": {"uri": uri, "version": 2},
            "contentChanges": [{"text": text.repeat(2)}]});
        client.notify("textDocument/didChange", change);

        let run = |client: &mut Client, name: &str, argument: Value| {
            client.command(&format!("pieces.conversations.{name}"), argument)
        };
        let seed = json!({"type": "COPILOT", "name": CANARY, "messages": [
            {"role": "USER", "fragment": {"string": {"raw": CANARY}}}]});
        let seed = json!({"seededConversation": seed});
        let created = run(&mut client, "create", seed.clone()).unwrap();
        let id = created["id"].clone();
        let rename = json!({"conversation": id, "name": format!("{CANARY} 2")});
        let renamed = run(&mut client, "rename", rename.clone());
        assert_eq!(renamed.is_ok(), service != Service::Six, "{renamed:?}");
        let started = run(&mut client, "startFromDocument", json!({ "uri": uri }));
        assert_eq!(started.is_ok(), service != Service::Six, "{started:?}");
        run(
            &mut client,
            "list",
            json!({"query": CANARY, "uri": uri, "futile": CANARY}),
        )
        .unwrap();
        for name in ["identifiers", "snapshot", "refresh"] {
            run(&mut client, name, Value::Null).unwrap();
        }
        run(&mut client, "open", json!({ "conversation": id })).unwrap();
        let context = json!({"diagnostics": [], "only": [CANARY, "pieces"]});
        let range =
            json!({"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}});
        let params = json!({"textDocument": {"uri": uri}, "range": range, "context": context});
        client.request("textDocument/codeAction", params).unwrap();
        // Everything that is wrong.
        for (name, argument) in [
            ("list", json!({"query": [CANARY]})),
            ("open", json!(CANARY)),
            ("delete", json!({"conversation": CANARY})),
            (
                "startFromDocument",
                json!({"uri": format!("untitled:{CANARY}")}),
            ),
            (CANARY, json!({})),
        ] {
            run(&mut client, name, argument).unwrap_err();
        }
        let params = json!({"command": 7, "arguments": CANARY});
        client
            .request("workspace/executeCommand", params)
            .unwrap_err();
        let late = json!({"jsonrpc": "2.0", "id": CANARY, "result": CANARY});
        client.process().send(&late);
        let section = json!({"liveUpdates": true, "backend": CANARY, CANARY: CANARY});
        let params = json!({"settings": {"pieces": section}});
        client.notify("workspace/didChangeConfiguration", params);
        if service != Service::Local {
            standin.create(&format!("{CANARY} of others"));
            standin.push_text(format!("{{\"iterable\": [\"{CANARY}\"]}}"));
            standin.push_text(CANARY);
            standin.fault("*", Fault::Status(500, CANARY));
            run(&mut client, "create", seed.clone()).unwrap_err();
            run(&mut client, "refresh", Value::Null).unwrap_err();
            standin.fault(
                "*",
                Fault::Body("application/json", format!("\"{CANARY}\"")),
            );
            run(&mut client, "create", seed).unwrap_err();
            run(&mut client, "refresh", Value::Null).unwrap_err();
            standin.heal();
            standin.sever();
            wait_live(&mut client);
        }
        run(&mut client, "delete", json!({ "conversation": id })).unwrap();
        client.notify(
            "textDocument/didClose",
            json!({"textDocument": {"uri": uri}}),
        );
        let told = client.drain("window/logMessage");
        assert!(!json!(told).to_string().contains(CANARY), "{told:?}");
        let log = client.finish();
        let leaks: Vec<&str> = log.lines().filter(|line| line.contains(CANARY)).collect();
        assert!(leaks.is_empty(), "{service:?}: {leaks:#?}");
        assert!(log.contains("DEBUG"), "nothing was logged at all");
    }
}

#[test]
fn broken_messages_are_not_logged() {
    let mut server = Spawn::serve().env("PIECES_LSP_LOG_LEVEL", "debug").start();
    let wrong = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CANARY});
    for body in [
        format!("{{\"{CANARY}\": "),
        format!("[\"{CANARY}\"]"),
        wrong.to_string(),
    ] {
        server.write_body(body);
        assert!(!server.next()["error"].is_null());
    }
    server.close_stdin();
    let ended = server.wait();
    assert!(!ended.log.contains(CANARY), "{}", ended.log);
    assert!(
        ended.log.contains("a message that is not JSON-RPC"),
        "{}",
        ended.log
    );
}

#[test]
fn the_user_is_told_that_a_damaged_store_was_set_aside() {
    let standin = StandIn::start();
    let dir = tempfile::tempdir().unwrap();
    drop(window(dir.path()));
    // The store is opened for its conversations, or only for its trash.
    for url in [None, Some(standin.url())] {
        let junk = "no database, but more than nothing\n".repeat(200);
        std::fs::write(dir.path().join("store.db"), junk).unwrap();
        let spawn = match &url {
            None => local(dir.path()),
            Some(url) => pieces_os(url).arg("--data-dir").arg(dir.path()),
        };
        let (mut client, _) = Client::connect(spawn, capabilities(), json!({}));
        client.allow("window/logMessage");
        wait_live(&mut client);
        if url.is_some() {
            client
                .command("pieces.conversations.trash", Value::Null)
                .unwrap();
        }
        let message = client.wait_notification("window/showMessage", |_| true);
        assert_eq!(message["type"], 2, "{message}");
        let text = message["message"].as_str().unwrap();
        let kept = dir.path().join("store.corrupt-");
        assert!(text.contains(&*kept.to_string_lossy()), "{text}");
    }
}
