//! What editors send: odd fields lose nothing, and what comes in goes out as it came.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use support::client::Client;
use support::process::Spawn;
use support::world::{ABSENT, Service, World, capabilities, local, wait_live};

const DIAGNOSTICS: &str = "textDocument/publishDiagnostics";

fn place(line: i64, from: i64, to: i64) -> Value {
    json!({"start": {"line": line, "character": from}, "end": {"line": line, "character": to}})
}

fn diagnostics(world: &mut World, uri: &str, count: usize) -> Value {
    world.client.wait_notification(DIAGNOSTICS, |params| {
        params["uri"] == uri && params["diagnostics"].as_array().unwrap().len() == count
    })
}

#[test]
fn diagnostics_of_other_servers_lose_no_action() {
    let mut world = World::start(Service::Local);
    let id = world.create_known("Hello");
    world.open("file:///home/u/Dockerfile", &format!("# see {id}\n"));
    let mut actions = |diagnostics: Value| {
        let params = json!({"textDocument": {"uri": "file:///home/u/Dockerfile"},
            "range": place(0, 8, 8), "context": {"diagnostics": diagnostics, "triggerKind": 2}});
        let actions = world
            .client
            .request("textDocument/codeAction", params)
            .unwrap();
        let actions = actions.as_array().unwrap().iter();
        actions.map(|one| one["title"].clone()).collect::<Vec<_>>()
    };
    let expected = actions(json!([]));
    assert!(!expected.is_empty());
    let whole = json!({"range": place(0, 0, 9), "message": "m", "source": "other"});
    for (field, odd) in [
        ("codeDescription", json!({"href": ""})),
        ("codeDescription", json!({"href": "docs/rule.html"})),
        (
            "code",
            json!({"value": "E1", "target": "https://example.org"}),
        ),
        ("code", json!(4_294_967_295_u32)),
        ("code", json!(false)),
        ("range", place(0, 0, -1)),
        ("message", json!({"kind": "markdown", "value": "x"})),
        (
            "relatedInformation",
            json!([{"location": {"uri": ""}, "message": "y"}]),
        ),
        ("tags", json!("x")),
    ] {
        let mut one = whole.clone();
        one[field] = odd;
        assert_eq!(actions(json!([one.clone()])), expected, "{one}");
    }
    assert_eq!(actions(json!({})), expected);
}

#[test]
fn documents_are_synchronised_despite_malformed_fields() {
    let mut world = World::start(Service::Local);
    let link = format!("pieces-conversation:/{ABSENT}.md");
    let length = i64::try_from(link.len()).unwrap();
    let uri = "file:///a.txt";
    let document =
        json!({"uri": uri, "languageId": null, "version": null, "text": format!("é {link}\n")});
    world
        .client
        .notify("textDocument/didOpen", json!({"textDocument": document}));
    let published = diagnostics(&mut world, uri, 1);
    assert_eq!(published.get("version"), None, "{published}");
    let change = |world: &mut World, range: Value, text: &str| {
        let changes = json!([{"range": range, "rangeLength": -1, "text": text}]);
        let params = json!({"textDocument": {"uri": uri}, "contentChanges": changes});
        world.client.notify("textDocument/didChange", params);
    };
    change(&mut world, place(0, -5, 2 + length), "");
    diagnostics(&mut world, uri, 0);
    let end = json!({"start": {"line": 0.0, "character": 1.7976931348623157e308},
        "end": {"line": 5_000_000_000_u64, "character": null}});
    change(&mut world, end, &link);
    let published = diagnostics(&mut world, uri, 1);
    assert_eq!(published["diagnostics"][0]["range"], place(0, 0, length));
    change(&mut world, Value::Null, "nothing");
    diagnostics(&mut world, uri, 0);
}

#[test]
fn an_empty_table_of_lua_is_an_empty_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::start(local(dir.path()));
    client.answer("workspace/configuration", |_| Some(json!([[]])));
    client.initialize(capabilities(), json!([]));
    wait_live(&mut client);
    let listed = client
        .command("pieces.conversations.list", json!([]))
        .unwrap();
    assert_eq!(listed["total"], 0);
    let seed = json!({"seededConversation": []});
    client.command("pieces.conversations.create", seed).unwrap();
    let params = json!({"command": "pieces.conversations.list", "arguments": null});
    let listed = client.request("workspace/executeCommand", params).unwrap();
    assert_eq!(listed["total"], 1);
    // Fails if there was a message about settings.
    client.finish();
}

#[test]
fn every_error_has_a_kind_and_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = Client::start(local(dir.path()));
    let secret = "canary-77";
    let early = client.request("textDocument/hover", json!({})).unwrap_err();
    assert_eq!((early.code, &early.data["kind"]), (-32002, &json!("busy")));
    client.initialize(json!({}), Value::Null);
    for (method, params, code, kind) in [
        ("no/such", json!({}), -32601, "not-found"),
        ("$/no/such", json!({}), -32601, "not-found"),
        (
            "textDocument/hover",
            json!({"textDocument": {"uri": "file:///a"}}),
            -32602,
            "invalid-argument",
        ),
        (
            "textDocument/hover",
            json!([secret]),
            -32602,
            "invalid-argument",
        ),
        (
            "textDocument/hover",
            json!({"textDocument": secret, "position": secret}),
            -32602,
            "invalid-argument",
        ),
        (
            "workspace/executeCommand",
            json!({"command": 7}),
            -32602,
            "invalid-argument",
        ),
        (
            "workspace/executeCommand",
            json!({"command": "x", "arguments": [1]}),
            -32602,
            "invalid-argument",
        ),
        ("initialize", json!({}), -32600, "invalid-argument"),
    ] {
        let error = client.request(method, params.clone()).unwrap_err();
        assert_eq!(
            (error.code, &error.data["kind"]),
            (code, &json!(kind)),
            "{method} {params}"
        );
        assert!(
            error.message.ends_with('.') && !error.message.contains(secret),
            "{}",
            error.message
        );
    }
    client.finish();
}

#[test]
fn uris_are_returned_as_the_editor_wrote_them() {
    let mut world = World::start(Service::Local);
    let text = format!("[x](pieces-conversation:/{ABSENT}.md)\n");
    for uri in [
        "file:///C:/Users/b c/ä.md",
        "file:///c%3A/x.md",
        "FILE:///tmp/../x.md",
        "untitled:Untitled-1",
        "/home/u/notes.md",
        "notes.md",
    ] {
        world.open(uri, &text);
        diagnostics(&mut world, uri, 1);
        let params = json!({"textDocument": {"uri": uri}, "range": place(0, 6, 6),
            "context": {"diagnostics": [], "only": ["quickfix"]}});
        let fixes = world
            .client
            .request("textDocument/codeAction", params)
            .unwrap();
        let changes = fixes[0]["edit"]["changes"].as_object().unwrap();
        assert_eq!(changes.keys().collect::<Vec<_>>(), [uri]);
        let document = json!({"textDocument": {"uri": uri}});
        world.client.notify("textDocument/didClose", document);
        diagnostics(&mut world, uri, 0);
    }
}

#[test]
fn the_status_names_the_backend_that_was_asked_for() {
    for (backend, url) in [("pieces-os", "http://127.0.0.1:9"), ("local", "")] {
        let dir = tempfile::tempdir().unwrap();
        let spawn = Spawn::serve()
            .arg("--backend")
            .arg(backend)
            .arg("--data-dir")
            .arg(dir.path());
        let spawn = if url.is_empty() {
            spawn
        } else {
            spawn.arg("--url").arg(url)
        };
        let (mut client, _) = Client::connect(spawn, json!({}), Value::Null);
        let status = client.command("pieces.status", Value::Null).unwrap();
        assert_eq!(status["backend"], backend, "{status}");
    }
}
