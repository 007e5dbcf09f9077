//! The settings: where they come from, which of them wins, and what they cannot do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::client::Client;
use support::process::Spawn;
use support::standin::{Fault, StandIn};
use support::world::{Service, World, capabilities, local, refused, wait_live, wait_status};

const CONFIGURATION: &str = "workspace/configuration";
const CHANGED: &str = "pieces/didChangeConversations";
const STATUS: &str = "pieces/didChangeStatus";
const MESSAGE: &str = "window/showMessage";

/// `serve` that finds nothing of this machine.
fn serve(dir: &Path) -> Spawn {
    Spawn::serve().arg("--data-dir").arg(dir)
}

/// An editor of the push model: it is not asked for its configuration.
fn pushing() -> Value {
    let mut capabilities = capabilities();
    capabilities["workspace"] = json!({});
    capabilities
}

fn push(client: &mut Client, section: Value) {
    let params = json!({"settings": {"pieces": section}});
    client.notify("workspace/didChangeConfiguration", params);
}

fn at(standin: &StandIn) -> Value {
    json!({"backend": "pieces-os", "url": standin.url()})
}

fn is_at(standin: &StandIn) -> impl Fn(&Value) -> bool + use<> {
    let url = standin.url();
    move |status| status["state"] == "live" && status["url"] == url
}

/// What the editor answers when it is asked; to be changed at any time.
fn pulling(client: &mut Client, section: Value) -> Arc<Mutex<Value>> {
    let section = Arc::new(Mutex::new(section));
    let answered = Arc::clone(&section);
    client.answer(CONFIGURATION, move |params| {
        assert_eq!(params["items"], json!([{"section": "pieces"}]));
        Some(json!([answered.lock().unwrap().clone()]))
    });
    section
}

#[test]
fn sources_of_settings_and_their_precedence() {
    let standins = [StandIn::start(), StandIn::start()];
    let [first, second] = &standins;
    let dir = tempfile::tempdir().unwrap();
    // What comes from where, and the stand-in that it should lead to.
    let check = |spawn: Spawn,
                 options: Value,
                 pulled: Option<Value>,
                 pushed: Option<Value>,
                 to: &StandIn| {
        let mut client = Client::start(spawn);
        let capabilities = match &pulled {
            Some(section) => {
                pulling(&mut client, section.clone());
                capabilities()
            }
            None => pushing(),
        };
        client.initialize(capabilities, options);
        if let Some(section) = pushed {
            push(&mut client, section);
        }
        wait_status(&mut client, is_at(to));
        client.finish();
    };
    let bare = || serve(dir.path());
    let (one, two) = (at(first), at(second));
    check(bare(), one.clone(), None, None, first);
    check(bare(), one.clone(), Some(Value::Null), None, first);
    check(bare(), Value::Null, Some(one.clone()), None, first);
    check(bare(), Value::Null, None, Some(one.clone()), first);
    // The editor's configuration is closer to the person than what a plugin passed at the start.
    check(bare(), one.clone(), Some(two.clone()), None, second);
    check(bare(), one.clone(), None, Some(two.clone()), second);
    // `auto` takes what is there.
    check(bare(), json!({"url": first.url()}), None, None, first);
    check(
        bare(),
        json!({"url": first.url(), "backend": "auto"}),
        None,
        None,
        first,
    );

    let arguments = || {
        bare()
            .arg("--backend")
            .arg("pieces-os")
            .arg("--url")
            .arg(first.url())
    };
    check(arguments(), two.clone(), None, None, first);
    check(arguments(), Value::Null, Some(two.clone()), None, first);
    check(
        arguments(),
        Value::Null,
        None,
        Some(json!({"backend": "local"})),
        first,
    );
    let environment = || {
        bare()
            .env("PIECES_LSP_BACKEND", "pieces-os")
            .env("PIECES_LSP_URL", first.url())
    };
    check(environment(), two.clone(), None, None, first);
    check(
        environment(),
        Value::Null,
        Some(json!({"backend": "local", "url": null})),
        None,
        first,
    );
    let both = arguments().env("PIECES_LSP_URL", second.url());
    check(both, two, None, None, first);
    assert_eq!(second.requests("POST*"), 0);
}

#[test]
fn the_local_service_by_setting() {
    let dir = tempfile::tempdir().unwrap();
    let options = json!({"backend": "local"});
    let (mut client, _) = Client::connect(serve(dir.path()), capabilities(), options);
    assert_eq!(wait_live(&mut client)["backend"], "local");
}

#[test]
fn settings_pushed_at_once_take_effect() {
    // As Neovim does: right behind `initialized`, and it cannot be asked.
    let standin = StandIn::start();
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let mut client = Client::start(serve(dir.path()));
        client.initialize(
            pushing(),
            json!({"backend": "local", "confirmDelete": false}),
        );
        push(&mut client, at(&standin));
        wait_status(&mut client, is_at(&standin));
        // Nor is it forgotten when the start is over.
        let created = client
            .command("pieces.conversations.create", Value::Null)
            .unwrap();
        let delete = json!({"conversation": created["id"]});
        client
            .command("pieces.conversations.delete", delete)
            .unwrap();
        assert_eq!(wait_live(&mut client)["url"], standin.url());
    }
}

#[test]
fn the_last_of_many_changes_wins() {
    let standins: Vec<StandIn> = (0..3).map(|_| StandIn::start()).collect();
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _) = Client::connect(serve(dir.path()), pushing(), at(&standins[0]));
    for round in 0..10 {
        for standin in &standins {
            push(&mut client, at(standin));
        }
        let last = &standins[round % 3];
        push(&mut client, at(last));
        wait_status(&mut client, is_at(last));
        client
            .command("pieces.conversations.refresh", Value::Null)
            .unwrap();
        assert_eq!(wait_live(&mut client)["url"], last.url());
        for (number, standin) in standins.iter().enumerate() {
            standin.wait_websockets(usize::from(number == round % 3));
        }
    }
}

#[test]
fn unusable_answers_to_workspace_configuration_are_ignored() {
    type Answer = Option<fn(&Value) -> Option<Value>>;
    let check = |answer: Answer| {
        let standin = StandIn::start();
        let dir = tempfile::tempdir().unwrap();
        let mut client = Client::start(serve(dir.path()));
        match answer {
            Some(answer) => client.answer(CONFIGURATION, answer),
            None => client.refuse(CONFIGURATION),
        }
        client.initialize(capabilities(), at(&standin));
        wait_status(&mut client, is_at(&standin));
    };
    check(Some(|_| Some(json!([null]))));
    check(Some(|_| Some(json!([{}]))));
    check(Some(|_| Some(json!([]))));
    check(Some(|_| Some(Value::Null)));
    check(Some(|_| Some(json!("what?"))));
    check(Some(|_| None));
    check(None);
}

#[test]
fn invalid_settings_are_reported_once_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::start(local(dir.path()));
    client.allow(MESSAGE);
    let wrong = json!({"colour": "red", "liveUpdates": "yes", "url": 7, "confirmDelete": false});
    let pulled = pulling(&mut client, wrong.clone());
    client.initialize(capabilities(), wrong.clone());
    let mut reports = Vec::new();
    let mut report = |client: &mut Client, name: &str| {
        let quoted = format!("`pieces.{name}`");
        let named = |params: &Value| params["message"].as_str().unwrap().contains(&quoted);
        reports.push(client.wait_notification(MESSAGE, named));
    };
    for name in ["colour", "liveUpdates", "url"] {
        report(&mut client, name);
    }
    for number in 0..3 {
        push(&mut client, wrong.clone());
        *pulled.lock().unwrap() = wrong.clone();
        client.notify(
            "workspace/didChangeConfiguration",
            json!({"settings": null}),
        );
        // The new one shows that the others have been looked at.
        let marker = format!("marker{number}");
        push(&mut client, json!({"colour": 1, marker.clone(): 1}));
        report(&mut client, &marker);
    }
    // A name that could do harm where it is shown.
    push(&mut client, json!({"[x](command:y)\n\u{202e}z": 1}));
    report(&mut client, "[x] (command:y) z");
    assert!(reports.iter().all(|one| one["type"] == 2), "warnings");
    assert_eq!(client.drain(MESSAGE), Vec::<Value>::new());
    // What could be used is in force.
    push(&mut client, wrong);
    wait_live(&mut client);
    let created = client
        .command("pieces.conversations.create", Value::Null)
        .unwrap();
    let delete = json!({"conversation": created["id"]});
    let answer = client.command("pieces.conversations.delete", delete);
    assert_eq!(answer, Ok(json!({"deleted": true})));
    client.finish();
}

#[test]
fn settings_that_are_not_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::start(local(dir.path()));
    client.allow(MESSAGE);
    pulling(&mut client, json!("everything"));
    client.initialize(capabilities(), json!([1]));
    wait_live(&mut client);
    for name in ["`initializationOptions`", "`pieces`"] {
        let named = |params: &Value| params["message"].as_str().unwrap().contains(name);
        client.wait_notification(MESSAGE, named);
    }
}

#[test]
fn a_change_without_settings_is_asked_for() {
    let standins = [StandIn::start(), StandIn::start()];
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::start(serve(dir.path()));
    let pulled = pulling(&mut client, at(&standins[0]));
    client.initialize(capabilities(), Value::Null);
    wait_status(&mut client, is_at(&standins[0]));
    for (settings, standin) in [
        (Value::Null, &standins[1]),
        (json!({}), &standins[0]),
        (json!({"other": {"x": 1}}), &standins[1]),
    ] {
        *pulled.lock().unwrap() = at(standin);
        let params = json!({ "settings": settings });
        client.notify("workspace/didChangeConfiguration", params);
        wait_status(&mut client, is_at(standin));
    }
}

#[test]
fn changes_are_registered_for_where_that_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let mut capabilities = capabilities();
    capabilities["workspace"]["didChangeConfiguration"] = json!({"dynamicRegistration": true});
    let (mut client, _) = Client::connect(local(dir.path()), capabilities, Value::Null);
    let registered = client.wait_request("client/registerCapability", |_| true);
    let one = &registered["registrations"][0];
    assert_eq!(one["method"], "workspace/didChangeConfiguration");
    assert_eq!(one["registerOptions"]["section"], "pieces");
}

#[test]
fn confirm_delete_changes_at_run_time() {
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _) = Client::connect(local(dir.path()), pushing(), Value::Null);
    client.answer("window/showMessageRequest", |_| Some(Value::Null));
    wait_live(&mut client);
    for (section, deleted) in [
        (json!({"confirmDelete": true}), false),
        (json!({"confirmDelete": false}), true),
        (json!({"confirmDelete": null}), false),
        (json!({"confirmDelete": false}), true),
        (Value::Null, false),
    ] {
        push(&mut client, section);
        let created = client
            .command("pieces.conversations.create", Value::Null)
            .unwrap();
        let delete = json!({"conversation": created["id"]});
        let answer = client.command("pieces.conversations.delete", delete);
        assert_eq!(answer, Ok(json!({ "deleted": deleted })));
    }
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

fn list(client: &mut Client) -> Value {
    client
        .command("pieces.conversations.list", json!({}))
        .unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn switching_the_backend_at_run_time() {
    let (first, second) = (StandIn::start(), StandIn::start());
    for name in ["a1", "a2", "a3"] {
        first.create(name);
    }
    second.create("b1");
    let dir = tempfile::tempdir().unwrap();
    let with_updates = |mut section: Value| {
        section["liveUpdates"] = json!(true);
        section
    };
    let mut client = Client::start(serve(dir.path()));
    client.allow(CHANGED);
    client.allow(STATUS);
    client.initialize(pushing(), with_updates(at(&first)));
    let live_at =
        |url: String| move |status: &Value| status["state"] == "live" && status["url"] == url;
    until_status(&mut client, live_at(first.url()));
    let before = list(&mut client);
    assert_eq!(names(&before), ["a3", "a2", "a1"]);
    let mut revision = before["revision"].as_u64().unwrap();
    let mut told = client.drain(CHANGED);

    let targets = [
        (at(&second), vec!["b1"]),
        (json!({"backend": "local"}), vec![]),
        (
            json!({"backend": "pieces-os", "url": "http://192.0.2.1:1"}),
            vec![],
        ),
        (at(&first), vec!["a3", "a2", "a1"]),
        (json!({"backend": "local"}), vec![]),
        (at(&second), vec!["b1"]),
    ];
    for (section, expected) in targets {
        push(&mut client, with_updates(section.clone()));
        let reset = loop {
            told.push(client.wait_notification(CHANGED, |_| true));
            if told.last().unwrap()["reset"] == true {
                break told.last().unwrap();
            }
        };
        assert_eq!(
            (&reset["upserted"], &reset["removed"]),
            (&json!([]), &json!([]))
        );
        let refused = section["url"] == "http://192.0.2.1:1";
        let here = move |status: &Value| {
            let there = section["url"].is_null() || status["url"] == section["url"];
            if refused {
                status["state"] == "offline"
            } else {
                status["state"] == "live" && there && status["backend"] == section["backend"]
            }
        };
        until_status(&mut client, &here);
        let now = list(&mut client);
        assert_eq!(names(&now), expected);
        let now = now["revision"].as_u64().unwrap();
        assert!(now > revision, "{now} after {revision}");
        revision = now;
        told.extend(client.drain(CHANGED));
    }
    // The old ones have been let go of.
    first.wait_websockets(0);
    second.wait_websockets(1);
    first.create("unheard");
    let heard = second.create("heard");
    while told
        .last()
        .is_none_or(|one| one["upserted"][0]["id"] != json!(heard))
    {
        told.push(client.wait_notification(CHANGED, |_| true));
    }
    assert_eq!(names(&list(&mut client)), ["heard", "b1"]);
    told.extend(client.drain(CHANGED));
    let revisions: Vec<u64> = told
        .iter()
        .map(|one| one["revision"].as_u64().unwrap())
        .collect();
    assert!(revisions.is_sorted(), "{revisions:?}");
    assert!(!told.iter().any(|one| one.to_string().contains("unheard")));
}

#[test]
fn switching_releases_the_store_of_the_local_service() {
    let standin = StandIn::start();
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _) =
        Client::connect(serve(dir.path()), pushing(), json!({"backend": "local"}));
    wait_live(&mut client);
    client
        .command("pieces.conversations.create", Value::Null)
        .unwrap();
    push(&mut client, at(&standin));
    wait_status(&mut client, is_at(&standin));
    assert_eq!(list(&mut client)["total"], 0);
    // Another editor serves the store now, and this one uses it later.
    let (mut other, _) = Client::connect(local(dir.path()), pushing(), Value::Null);
    let theirs = wait_live(&mut other)["url"].clone();
    assert_eq!(list(&mut other)["total"], 1);
    push(&mut client, json!({"backend": "local"}));
    wait_status(&mut client, |status| {
        status["state"] == "live" && status["url"] == theirs
    });
    assert_eq!(list(&mut client)["total"], 1);
}

#[test]
fn writes_in_flight_survive_a_switch() {
    let (first, second) = (StandIn::start(), StandIn::start());
    let dir = tempfile::tempdir().unwrap();
    let (mut client, _) = Client::connect(serve(dir.path()), pushing(), at(&first));
    wait_status(&mut client, is_at(&first));
    first.fault("POST /conversations/create", Fault::HoldReply);
    let params = json!({"command": "pieces.conversations.create", "arguments": []});
    let request = client.send_request("workspace/executeCommand", params);
    first.wait_until("carried out", |state| state.held_replies() == 1);
    push(&mut client, at(&second));
    wait_status(&mut client, is_at(&second));
    first.release_replies();
    let created = client.response(request).unwrap();
    assert!(first.with(|state| {
        state
            .conversations
            .contains_key(created["id"].as_str().unwrap())
    }));
    assert_eq!(
        list(&mut client)["total"],
        0,
        "it is not in the other index"
    );
}

#[test]
fn a_url_that_is_not_on_this_machine_is_refused() {
    let standin = StandIn::start();
    let dir = tempfile::tempdir().unwrap();
    // Not loopback by the book, and yet where the stand-in can be reached.
    let elsewhere = format!("http://0.0.0.0:{}", standin.port());
    let check = |spawn: Spawn, options: Value, says: &str| {
        let mut client = Client::start(spawn);
        client.allow(MESSAGE);
        client.initialize(pushing(), options);
        let status = wait_status(&mut client, |status| status["state"] == "offline");
        let error = status["error"].as_str().unwrap();
        assert!(error.contains(says) && !error.contains("secret"), "{error}");
        for command in ["create", "snapshot", "refresh", "identifiers"] {
            let command = format!("pieces.conversations.{command}");
            let error = refused(client.command(&command, Value::Null), "offline");
            assert!(error.message.contains(says), "{error:?}");
        }
        assert_eq!(list(&mut client)["total"], 0);
    };
    let url = |url: &str| json!({"backend": "pieces-os", "url": url});
    let bare = || serve(dir.path());
    for backend in ["pieces-os", "auto"] {
        check(
            bare(),
            json!({"backend": backend, "url": elsewhere}),
            "--allow-remote",
        );
    }
    check(bare(), url("http://192.0.2.1:39300"), "--allow-remote");
    check(bare(), url("http://example.org"), "--allow-remote");
    check(bare(), url("https://127.0.0.1:39300"), "https");
    check(bare(), url("http://me:secret@127.0.0.1:39300"), "password");
    check(bare(), url("nonsense"), "http://");
    check(
        bare().arg("--url").arg(&elsewhere),
        Value::Null,
        "--allow-remote",
    );
    check(
        bare().env("PIECES_LSP_URL", &elsewhere),
        Value::Null,
        "--allow-remote",
    );
    // No setting lifts that.
    let mut options = url(&elsewhere);
    for name in ["allowRemote", "allow_remote", "allow-remote"] {
        options[name] = json!(true);
    }
    check(bare(), options, "--allow-remote");
    assert_eq!(standin.requests("*"), 0, "nothing was sent there");

    for spawn in [
        bare().arg("--allow-remote"),
        bare().env("PIECES_LSP_ALLOW_REMOTE", "true"),
    ] {
        let mut client = Client::start(spawn);
        client.initialize(pushing(), url(&elsewhere));
        assert_eq!(wait_live(&mut client)["url"], elsewhere);
    }
}

#[test]
fn an_unknown_backend() {
    let dir = tempfile::tempdir().unwrap();
    let spawn = serve(dir.path()).arg("--backend").arg("cloud");
    let (mut client, _) = Client::connect(spawn, pushing(), Value::Null);
    let status = wait_status(&mut client, |status| status["state"] == "offline");
    assert!(
        status["error"].as_str().unwrap().contains("`local`"),
        "{status}"
    );
    refused(
        client.command("pieces.conversations.create", Value::Null),
        "offline",
    );
}

#[test]
fn live_updates_can_be_switched() {
    let mut world = World::with(Service::Full, pushing(), Value::Null);
    world.client.allow(CHANGED);
    world.client.allow(STATUS);
    world.create_known("before");
    world.standin().sever();
    world.standin().wait_websockets(1);
    wait_live(&mut world.client);
    for method in [CHANGED, STATUS] {
        assert_eq!(world.client.drain(method), Vec::<Value>::new());
    }
    push(&mut world.client, json!({"liveUpdates": true}));
    let reset = world.client.wait_notification(CHANGED, |_| true);
    assert_eq!(
        (&reset["reset"], &reset["total"]),
        (&json!(true), &json!(1))
    );
    let id = world.create("during");
    world
        .client
        .wait_notification(CHANGED, |params| params["upserted"][0]["id"] == json!(id));

    push(&mut world.client, json!({"liveUpdates": false}));
    world.create_known("after");
    world.create_known("later");
    world.client.drain(STATUS);
    assert_eq!(world.client.drain(CHANGED), Vec::<Value>::new());
}

#[test]
fn initialize_does_not_wait_for_a_service() {
    let mut standin = StandIn::start();
    standin.accept_silently();
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::start(serve(dir.path()));
    client.answer(CONFIGURATION, |_| None);
    client.initialize(capabilities(), at(&standin));
    let status = client.command("pieces.status", Value::Null).unwrap();
    assert_eq!(status["state"], "connecting");
    assert_eq!(status["conversations"], 0);
    assert_eq!(
        list(&mut client),
        json!({"total": 0, "revision": 0, "items": []})
    );
}
