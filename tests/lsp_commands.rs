//! `workspace/executeCommand`: arguments, results and errors, on every service.
//!
//! What happens to writes that are cancelled or lost is in `lsp_writes.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::client::RpcError;
use support::standin::Fault;
use support::world::{ABSENT, ALL, Service, WHOLE, World, capabilities, refused};
use uuid::Uuid;

/// Runs a test on each of these services.
fn on(services: &[Service], test: impl Fn(World)) {
    for service in services {
        test(World::start(*service));
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

fn id_in(answer: &Value, field: &str) -> String {
    let id = answer[field].as_str().expect("an id");
    Uuid::parse_str(id).expect("a UUID");
    id.to_owned()
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items").iter();
    items.map(|item| id_in(item, "id")).collect()
}

/// A ConversationItem has these fields and no others, all of them usable.
fn check_item(item: &Value) {
    let expected = [
        "id",
        "name",
        "created",
        "updated",
        "favorited",
        "messages",
        "assets",
        "files",
        "application",
        "uri",
    ];
    assert_eq!(keys(item), BTreeSet::from(expected), "{item}");
    let id = id_in(item, "id");
    assert!(!item["name"].as_str().unwrap().trim().is_empty(), "{item}");
    assert_eq!(item["uri"], format!("pieces-conversation:/{id}.md"));
    for time in ["created", "updated"] {
        let time = item[time].as_str().unwrap();
        assert!(time.ends_with('Z'), "{item}");
        time.parse::<jiff::Timestamp>().unwrap();
    }
    assert!(
        item["favorited"].is_boolean() && item["messages"].is_u64(),
        "{item}"
    );
    assert!(item["application"].is_string(), "{item}");
    for list in ["assets", "files"] {
        let list = item[list].as_array().unwrap();
        assert!(list.iter().all(Value::is_string), "{item}");
    }
}

#[test]
fn create_answers_with_the_conversation() {
    on(&ALL, |mut world| {
        let empty = world.run("create", Value::Null).unwrap();
        let item = world.item(&id_in(&empty, "id")).expect("listed at once");
        check_item(&item);
        assert_eq!(
            (&item["name"], &item["messages"]),
            (&json!("New Conversation"), &json!(0))
        );
        assert_eq!(empty["type"], "COPILOT");

        let seed = json!({"type": "COPILOT", "name": "Seeded", "messages": [
            {"role": "USER", "fragment": {"string": {"raw": "Hello"}}}]});
        let argument = json!({"seededConversation": seed, "transferables": false, "futile": [1]});
        let seeded = world.run("create", argument).unwrap();
        let item = world.item(&id_in(&seeded, "id")).expect("listed at once");
        check_item(&item);
        assert_eq!(
            (&item["name"], &item["messages"]),
            (&json!("Seeded"), &json!(1))
        );
        // As answered: far more than an item has.
        assert!(seeded["messages"]["iterable"].is_array(), "{seeded}");
    });
}

#[test]
fn create_from_asset_answers_once_the_index_holds_it() {
    on(&ALL, |mut world| {
        let asset = world.create_asset("retry.rs", "fn retry() {}");
        let mut seen = BTreeSet::new();
        // An object and a bare id; twice from one asset makes two conversations.
        for argument in [
            json!({"asset": asset, "futile": 1}),
            json!(asset),
            json!({"asset": asset}),
        ] {
            let answer = world.run("createFromAsset", argument).unwrap();
            assert_eq!(keys(&answer), BTreeSet::from(["conversation", "name"]));
            let id = id_in(&answer, "conversation");
            let item = world.item(&id).expect("listed at once");
            check_item(&item);
            assert_eq!(item["assets"], json!([asset]));
            assert_eq!(item["name"], answer["name"]);
            assert!(seen.insert(id));
        }
        let tied = world.list(json!({"asset": asset}));
        assert_eq!(ids(&tied).into_iter().collect::<BTreeSet<_>>(), seen);
    });
}

#[test]
fn delete_removes_it_from_the_list() {
    on(&ALL, |mut world| {
        let first = world.create_known("first");
        let second = world.create_known("second");
        // Six endpoints are too few to keep a copy.
        let force = world.service == Service::Six;
        let argument =
            json!({"conversation": first, "confirm": false, "force": force, "futile": null});
        let answer = world.run("delete", argument).unwrap();
        assert_eq!(answer, json!({"deleted": true}));
        assert_eq!(world.item(&first), None);
        assert!(world.item(&second).is_some());
        // Gone is gone, for the service as well.
        let left = world.run("identifiers", Value::Null).unwrap();
        let left = left["iterable"].as_array().unwrap();
        assert_eq!(
            left.iter().map(|one| &one["id"]).collect::<Vec<_>>(),
            [&json!(second)]
        );
    });
}

#[test]
fn identifiers_and_snapshot_are_passed_through() {
    on(&ALL, |mut world| {
        let id = world.create_known("one");
        for argument in [
            Value::Null,
            json!({"transferables": true, "futile": 1}),
            json!({}),
        ] {
            let answer = world.run("snapshot", argument).unwrap();
            let one = &answer["iterable"][0];
            assert_eq!(
                (&one["id"], &one["name"]),
                (&json!(id), &json!("one")),
                "{answer}"
            );
            // Nothing that an index would keep.
            assert!(one["annotations"].is_object() && one["created"]["value"].is_string());
            let answer = world.run("identifiers", json!({"futile": 1})).unwrap();
            assert_eq!(answer["iterable"][0]["id"], json!(id));
        }
        let direct = world.other("GET", "/conversations/identifiers", Value::Null);
        assert_eq!(world.run("identifiers", Value::Null), Ok(direct));
    });
}

#[test]
fn snapshot_passes_transferables_on() {
    let mut world = World::start(Service::Full);
    for (argument, target) in [
        (json!({}), "/conversations"),
        (
            json!({"transferables": true}),
            "/conversations?transferables=true",
        ),
        (
            json!({"transferables": false}),
            "/conversations?transferables=false",
        ),
    ] {
        world.standin().forget_requests();
        world.run("snapshot", argument).unwrap();
        let log = world.standin().log();
        let targets = log.iter().filter(|one| one.route == "GET /conversations");
        assert_eq!(
            targets.map(|one| one.target.as_str()).collect::<Vec<_>>(),
            [target]
        );
    }
}

#[test]
fn refresh_finds_what_was_not_announced() {
    for service in [Service::Full, Service::Six] {
        let mut world = World::start(service);
        let stays = world.create_known("stays");
        let goes = world.create_known("goes");
        world.standin().with(|state| state.silent = true);
        let new = world.create("new");
        world.standin().delete(&goes);
        world.standin().rename(&stays, "renamed");
        assert_eq!(world.run("refresh", json!({})), Ok(json!({"total": 2})));
        let items = world.items();
        let names: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
        assert_eq!(names, ["renamed", "new"]);
        assert_eq!(items[1]["id"], json!(new));
    }
    // On the embedded service there is nothing that is not announced.
    let mut world = World::start(Service::Local);
    world.create_known("one");
    assert_eq!(world.run("refresh", Value::Null), Ok(json!({"total": 1})));
}

#[test]
fn list_pages_and_filters() {
    on(&ALL, |mut world| {
        assert_eq!(
            world.list(json!({})),
            json!({"total": 0, "revision": 0, "items": []})
        );
        let asset = world.create_asset("retry.rs", "fn retry() {}");
        let created: Vec<String> = (0..120)
            .map(|number| {
                let name = format!("About {}", if number % 2 == 0 { "cats" } else { "dogs" });
                let seed = json!({"type": "COPILOT", "name": name});
                let one = world
                    .run("create", json!({"seededConversation": seed}))
                    .unwrap();
                id_in(&one, "id")
            })
            .collect();
        let from_asset = world.run("createFromAsset", json!(asset)).unwrap();
        let from_asset = id_in(&from_asset, "conversation");

        let all = world.list(json!({"limit": 5_000_000_000_u64}));
        assert_eq!(keys(&all), BTreeSet::from(["total", "revision", "items"]));
        assert_eq!(all["total"], 121);
        assert!(
            all["revision"].as_u64().unwrap() >= 121,
            "{}",
            all["revision"]
        );
        let items = all["items"].as_array().unwrap();
        items.iter().for_each(check_item);
        let mut expected: Vec<&String> = created.iter().chain([&from_asset]).collect();
        expected.reverse();
        // Newest `updated` first; the service may give several the same.
        let time = |item: &Value| {
            item["updated"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        assert!(items.is_sorted_by(|a, b| time(a) >= time(b)));
        assert_eq!(ids(&all).len(), 121);
        assert_eq!(
            ids(&all).iter().collect::<BTreeSet<_>>(),
            expected.into_iter().collect()
        );

        let mut check = |argument: Value, total: usize, expected: &[String]| {
            let page = world.list(argument.clone());
            assert_eq!(page["total"], total, "{argument}");
            assert_eq!(ids(&page), expected, "{argument}");
            assert_eq!(page["revision"], all["revision"], "{argument}");
        };
        let whole = ids(&all);
        check(json!({}), 121, &whole[..100]);
        check(json!({"futile": "x", "limit": null}), 121, &whole[..100]);
        check(json!({"limit": 7}), 121, &whole[..7]);
        check(json!({"limit": 0}), 121, &[]);
        check(json!({"limit": 7, "offset": 100}), 121, &whole[100..107]);
        check(json!({"offset": 120}), 121, &whole[120..]);
        check(json!({"offset": 121}), 121, &[]);
        check(json!({"offset": u64::MAX, "limit": u64::MAX}), 121, &[]);
        check(json!({"query": "  "}), 121, &whole[..100]);
        check(json!({"query": "no such thing at all"}), 0, &[]);
        check(
            json!({"asset": asset}),
            1,
            std::slice::from_ref(&from_asset),
        );
        check(json!({"asset": ABSENT}), 0, &[]);
        check(json!({"asset": asset, "query": "cats"}), 0, &[]);
        let uri = |uri: String| json!({ "uri": uri });
        check(
            uri(format!("pieces-asset:/{asset}/retry.rs")),
            1,
            std::slice::from_ref(&from_asset),
        );
        check(
            uri(format!("pieces-conversation:/{from_asset}.md")),
            1,
            std::slice::from_ref(&from_asset),
        );
        check(uri("file:///no/such/file".into()), 0, &[]);
        check(uri("untitled:Untitled-1".into()), 0, &[]);

        let cats = world.list(json!({"query": "cats", "limit": 200}));
        assert_eq!(cats["total"], 60);
        assert!(
            cats["items"]
                .as_array()
                .unwrap()
                .iter()
                .all(|item| item["name"] == "About cats")
        );
        let page = world.list(json!({"query": "cats", "limit": 10, "offset": 55}));
        assert_eq!(
            (page["total"].clone(), ids(&page)),
            (json!(60), ids(&cats)[55..].to_vec())
        );
    });
}

#[test]
fn a_query_finds_the_best_match_first() {
    on(&ALL, |mut world| {
        let exact = world.create_known("retry loop");
        let scattered = world.create_known("rarely everything tries yonder");
        world.create_known("something else");
        let found = world.list(json!({"query": "retry"}));
        let found = ids(&found);
        assert_eq!(found.first(), Some(&exact), "{found:?}");
        assert!(found.len() == 1 || found[1] == scattered, "{found:?}");
    });
}

#[test]
fn open_shows_the_document() {
    on(&ALL, |mut world| {
        let id = world.create_known("one");
        world
            .client
            .answer("window/showDocument", |_| Some(json!({"success": true})));
        for argument in [json!({"conversation": id}), json!(id)] {
            assert_eq!(world.run("open", argument), Ok(Value::Null));
            let shown = world.client.wait_request("window/showDocument", |_| true);
            assert_eq!(shown["uri"], format!("pieces-conversation:/{id}.md"));
            assert_ne!(shown["external"], true);
        }
        world
            .client
            .answer("window/showDocument", |_| Some(json!({"success": false})));
        refused(world.run("open", json!(id)), "refused");
        refused(world.run("open", json!(ABSENT)), "not-found");
    });
}

#[test]
fn a_command_that_shows_something_does_not_wait_for_an_editor_that_waits_for_it() {
    let mut world = World::start(Service::Local);
    let id = world.create_known("one");
    // It would answer when it has the response.
    world.client.answer("window/showDocument", |_| None);
    let started = Instant::now();
    let requests = [
        world.send("open", json!(id)),
        world.send("talk", json!({"conversation": id})),
    ];
    let [opened, talk] = requests.map(|request| world.client.response(request).unwrap());
    // Emacs gives a request up after this time.
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(opened, Value::Null);
    let mut shown = || world.client.wait_request("window/showDocument", |_| true);
    let shown = [shown()["uri"].clone(), shown()["uri"].clone()];
    assert!(shown.contains(&talk["uri"]), "{shown:?}");
    assert!(
        shown.contains(&json!(format!("pieces-conversation:/{id}.md"))),
        "{shown:?}"
    );
}

#[test]
fn open_without_support_says_so() {
    let mut capabilities = capabilities();
    capabilities["window"] = json!({});
    let mut world = World::with(Service::Local, capabilities, Value::Null);
    let id = world.create_known("one");
    // The test client refuses what it does not expect, and would fail on the request.
    refused(world.run("open", json!(id)), "refused");
}

#[test]
fn open_when_the_editor_answers_with_an_error() {
    let mut world = World::start(Service::Local);
    let id = world.create_known("one");
    world.client.refuse("window/showDocument");
    refused(world.run("open", json!(id)), "refused");
}

#[test]
fn rename_answers_with_the_item() {
    on(&WHOLE, |mut world| {
        let id = world.create_known("before");
        let argument = json!({"conversation": id, "name": "  after 🎉  ", "futile": {}});
        let item = world.run("rename", argument).unwrap();
        check_item(&item);
        assert_eq!(item["name"], "after 🎉");
        assert_eq!(world.item(&id), Some(item));
        let there = world.other("GET", &format!("/conversation/{id}"), Value::Null);
        assert_eq!(there["name"], "after 🎉");
        refused(
            world.run("rename", json!({"conversation": ABSENT, "name": "x"})),
            "not-found",
        );
        let long = "é".repeat(1000);
        let item = world
            .run("rename", json!({"conversation": id, "name": long}))
            .unwrap();
        assert_eq!(item["name"], long);
        for nothing in ["", " \u{3000}", "\u{200b}\u{200d}", "\u{2800}"] {
            let argument = json!({"conversation": id, "name": nothing});
            refused(world.run("rename", argument), "invalid-argument");
        }
    });
}

#[test]
fn rename_needs_more_than_the_six_endpoints() {
    let mut world = World::start(Service::Six);
    let id = world.create_known("before");
    refused(
        world.run("rename", json!({"conversation": id, "name": "after"})),
        "not-found",
    );
    assert_eq!(
        world.standin().requests("POST*"),
        1,
        "only the one that created it"
    );
    assert_eq!(world.item(&id).unwrap()["name"], "before");
}

#[test]
fn messages_need_more_than_the_six_endpoints() {
    let mut world = World::start(Service::Six);
    let id = world.create_known("one");
    let error = refused(world.run("messages", json!(id)), "not-found");
    assert!(
        error.message.contains("does not provide messages"),
        "{error:?}"
    );
    let error = refused(world.run("messages", json!(ABSENT)), "not-found");
    assert!(!error.message.contains("does not provide"), "{error:?}");
}

#[test]
fn rename_keeps_unknown_fields() {
    let mut world = World::start(Service::Full);
    let fields = json!({"name": "before", "future": {"deep": [1, 2.5, null, "ß"]}, "demo": true,
        "big": 123_456_789_012_345_678_i64, "pipeline": {"x": {}}});
    let id = world.standin().insert(fields.clone());
    world.until_item(&id, |item| item.is_some());
    let before = world
        .standin()
        .with(|state| state.conversations[&id].clone());
    world
        .run("rename", json!({"conversation": id, "name": "after"}))
        .unwrap();
    let mut after = world
        .standin()
        .with(|state| state.conversations[&id].clone());
    assert_eq!(after["name"], "after");
    after["name"] = before["name"].clone();
    after["updated"] = before["updated"].clone();
    assert_eq!(after, before);
}

#[test]
fn rename_does_not_overwrite_another_rename() {
    let mut world = World::start(Service::Full);
    let id = world.create_known("before");
    world.standin().with(|state| state.silent = true);
    world.standin().rename(&id, "theirs");
    refused(
        world.run("rename", json!({"conversation": id, "name": "ours"})),
        "refused",
    );
    assert_eq!(world.standin().requests("POST /conversation/update"), 0);
    // It was looked at again, so that the next attempt works.
    world.until_item(&id, |item| {
        item.is_some_and(|item| item["name"] == "theirs")
    });
    let item = world
        .run("rename", json!({"conversation": id, "name": "ours"}))
        .unwrap();
    assert_eq!(item["name"], "ours");
}

#[test]
fn status_names_the_backend() {
    on(&ALL, |mut world| {
        world.create_known("one");
        let status = support::world::wait_status(&mut world.client, |status| {
            !status["version"].is_null() || world.service == Service::Six
        });
        let expected = [
            "state",
            "backend",
            "url",
            "version",
            "conversations",
            "since",
        ];
        assert_eq!(keys(&status), BTreeSet::from(expected));
        let backend = match world.service {
            Service::Local => "local",
            Service::Full | Service::Six => "pieces-os",
        };
        assert_eq!(
            (
                &status["state"],
                &status["backend"],
                &status["conversations"]
            ),
            (&json!("live"), &json!(backend), &json!(1))
        );
        assert!(
            status["url"]
                .as_str()
                .unwrap()
                .starts_with("http://127.0.0.1:"),
            "{status}"
        );
        status["since"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
    });
}

#[test]
fn wrong_arguments_name_the_field() {
    on(&ALL, |mut world| {
        let id = world.create_known("one");
        let mut check = |command: &str, argument: Value, field: &str| {
            let error = refused(world.run(command, argument.clone()), "invalid-argument");
            let named = error.message.contains(&format!("`{field}`"));
            assert!(named, "{command} {argument}: {error:?}");
        };
        for wrong in [
            json!({}),
            json!({"conversation": 7}),
            json!({"conversation": "x"}),
            json!({"conversation": [ABSENT]}),
            json!("not an id"),
            json!(""),
            Value::Null,
        ] {
            check("open", wrong.clone(), "conversation");
            check("delete", wrong.clone(), "conversation");
            check("rename", wrong, "conversation");
        }
        for wrong in [json!(7), json!("no uri"), json!([1])] {
            check("open", json!({"conversation": id, "uri": wrong}), "uri");
        }
        for wrong in [
            json!({}),
            json!({"asset": null}),
            json!({"asset": {}}),
            json!("x"),
            Value::Null,
        ] {
            check("createFromAsset", wrong, "asset");
        }
        check(
            "delete",
            json!({"conversation": id, "confirm": "no"}),
            "confirm",
        );
        for name in [
            Value::Null,
            json!(7),
            json!(""),
            json!(" \t "),
            json!("two\nlines"),
            json!("bell\u{7}"),
            json!("x".repeat(1001)),
        ] {
            check("rename", json!({"conversation": id, "name": name}), "name");
        }
        check("rename", json!(id), "name");
        check(
            "create",
            json!({"seededConversation": "x"}),
            "seededConversation",
        );
        check(
            "create",
            json!({"seededConversation": [1]}),
            "seededConversation",
        );
        check("create", json!({"transferables": 1}), "transferables");
        check("snapshot", json!({"transferables": "yes"}), "transferables");
        for number in [json!(-1), json!("5"), json!(1.5), json!(true), json!([])] {
            check("list", json!({ "limit": number }), "limit");
            check("list", json!({ "offset": number }), "offset");
        }
        check("list", json!({"query": 1}), "query");
        check("list", json!({"asset": "x"}), "asset");
        check("list", json!({"asset": 1}), "asset");
        check("list", json!({"uri": "no uri"}), "uri");
        check("list", json!({"uri": 1}), "uri");
        check("startFromDocument", Value::Null, "uri");
        check("startFromDocument", json!({"uri": 5}), "uri");
        check(
            "startFromDocument",
            json!({"uri": "file:///x", "range": "all"}),
            "range",
        );
        check(
            "startFromDocument",
            json!({"uri": "file:///x", "range": {"start": 1}}),
            "range",
        );
        // Nothing was sent for any of them.
        if world.service != Service::Local {
            assert_eq!(
                world.standin().requests("POST*"),
                1,
                "only the one that created it"
            );
        }
        assert_eq!(world.items().len(), 1);
    });
}

#[test]
fn wrong_calls() {
    let mut world = World::start(Service::Local);
    let mut call = |command: &str, arguments: Value| {
        let params = json!({"command": command, "arguments": arguments});
        let outcome = world.client.request("workspace/executeCommand", params);
        refused(outcome, "invalid-argument")
    };
    call("pieces.conversations.explode", json!([]));
    call("", json!([]));
    call("pieces.conversations.list", json!([{}, {}]));
    call("pieces.conversations.delete", json!([ABSENT, false]));
    for argument in [json!(7), json!(true), json!([[]])] {
        call("pieces.conversations.list", json!([argument]));
    }
    for from in ["", " ", "http://example.com", "file://host/x"] {
        let error = call("pieces.import", json!([{ "from": from }]));
        assert!(error.message.starts_with("`from` is "), "{error:?}");
        assert!(!error.message.contains("pieces.url"), "{error:?}");
    }
    // No one id is meant, so a string says nothing.
    for command in [
        "pieces.conversations.list",
        "pieces.conversations.create",
        "pieces.conversations.ask",
        "pieces.import",
        "pieces.status",
    ] {
        let error = call(command, json!([ABSENT]));
        assert!(error.message.contains(command), "{error:?}");
    }
    assert_eq!(world.items(), Vec::<Value>::new());
}

#[test]
fn a_bare_id_is_the_conversation_to_talk_in() {
    let mut world = World::start(Service::Local);
    world
        .client
        .answer("window/showDocument", |_| Some(json!({"success": true})));
    let id = world.create_known("one");
    let object = world.run("talk", json!({ "conversation": id })).unwrap();
    assert_eq!(world.run("talk", json!(id)).unwrap(), object);
    refused(world.run("talk", json!(ABSENT)), "not-found");
    refused(world.run("talk", json!("one")), "invalid-argument");
}

/// The routes that each command needs, with an argument that gets it there.
fn commands(
    conversation: &str,
    asset: &str,
    file: &str,
) -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (
            "createFromAsset",
            json!({"asset": asset}),
            "POST /conversations/create/from_asset/{id}",
        ),
        ("create", json!({}), "POST /conversations/create"),
        (
            "delete",
            json!({"conversation": conversation, "confirm": false}),
            "POST /conversations/{id}/delete",
        ),
        ("identifiers", json!({}), "GET /conversations/identifiers"),
        ("snapshot", json!({}), "GET /conversations"),
        ("refresh", json!({}), "GET /conversations"),
        (
            "rename",
            json!({"conversation": conversation, "name": "x"}),
            "POST /conversation/update",
        ),
        (
            "rename",
            json!({"conversation": conversation, "name": "x"}),
            "GET /conversation/{id}",
        ),
        (
            "startFromDocument",
            json!({"uri": file}),
            "POST /assets/create",
        ),
    ]
}

#[test]
fn failures_of_the_service() {
    let mut world = World::start(Service::Full);
    // Some failures come with an offer to the person.
    world.client.allow("window/showMessageRequest");
    let conversation = world.create_known("one");
    let asset = world.create_asset("a.rs", "fn a() {}");
    let uri = "untitled:Untitled-1";
    world.open(uri, "fn main() {}");
    let long: &'static str = "é".repeat(5000).leak();
    for (command, argument, route) in commands(&conversation, &asset, uri) {
        let post = route.starts_with("POST");
        let mut check = |fault: Fault, kind: &str, unknown: bool| -> RpcError {
            world.standin().fault(route, fault.clone());
            let error = refused(world.run(command, argument.clone()), kind);
            world.standin_mut().heal();
            let expected = if post && unknown {
                json!(true)
            } else {
                Value::Null
            };
            assert_eq!(
                error.data["outcomeUnknown"], expected,
                "{command} {fault:?}: {error:?}"
            );
            error
        };
        for (status, kind, unknown) in [
            (401, "signed-out", false),
            (593, "update-required", false),
            (404, "not-found", false),
            (410, "not-found", false),
            (400, "refused", false),
            (403, "refused", false),
            (503, "busy", false),
            (500, "refused", true),
            (302, "refused", false),
        ] {
            let error = check(Fault::Status(status, "The reason why."), kind, unknown);
            assert_eq!(error.data["status"], status, "{command}: {error:?}");
            assert_eq!(error.data["detail"], "The reason why.", "{command}");
        }
        let error = check(Fault::Status(500, long), "refused", true);
        let detail = error.data["detail"].as_str().unwrap();
        assert!(
            detail.len() > 1000 && long.starts_with(detail),
            "{command}: {}",
            detail.len()
        );
        if command != "delete" {
            // The answer to a delete does not matter.
            check(Fault::Body("text/html", "<html>".into()), "protocol", true);
        }
        check(Fault::Drop, "offline", true);
    }
}

#[test]
fn a_search_that_fails_changed_nothing() {
    let mut world = World::start(Service::Full);
    for (fault, kind) in [
        (Fault::Drop, "offline"),
        (Fault::LoseReply, "offline"),
        (Fault::Status(500, ""), "refused"),
        (Fault::Body("text/html", "<html>".into()), "protocol"),
    ] {
        let asked = format!("{fault:?}");
        world.standin().fault("POST /conversations/search", fault);
        let error = refused(world.run("search", json!({"query": "word"})), kind);
        assert_eq!(error.data["outcomeUnknown"], Value::Null, "{asked}");
        assert!(!error.message.contains("carried out"), "{asked}: {error:?}");
        world.standin_mut().heal();
    }
}

#[test]
fn no_service_responds() {
    for service in [Service::Full, Service::Six] {
        let mut world = World::start(service);
        let conversation = world.create_known("one");
        let uri = "untitled:Untitled-1";
        world.open(uri, "fn main() {}");
        world.standin_mut().refuse();
        let offline = |status: &Value| status["state"] == "offline";
        let status = support::world::wait_status(&mut world.client, offline);
        assert!(!status["error"].as_str().unwrap().is_empty(), "{status}");
        for (command, argument, _) in commands(&conversation, ABSENT, uri) {
            let error = refused(world.run(command, argument), "offline");
            assert_eq!(error.data.get("outcomeUnknown"), None, "{error:?}");
        }
        // What is in the index is still there.
        assert_eq!(world.items().len(), 1);
        world.standin_mut().heal();
        // Who asks does not sit out the pause between two attempts.
        world.run("create", Value::Null).unwrap();
    }
}

#[test]
fn a_service_that_does_not_answer_in_time() {
    let mut world = World::start(Service::Full);
    let id = world.create_known("one");
    world.standin().fault("GET /conversation/{id}", Fault::Hang);
    let error = refused(
        world.run("rename", json!({"conversation": id, "name": "x"})),
        "timeout",
    );
    assert_eq!(
        error.data.get("outcomeUnknown"),
        None,
        "nothing was written: {error:?}"
    );
}

#[test]
fn unknown_ids() {
    on(&ALL, |mut world| {
        let error = world.run("delete", json!({"conversation": ABSENT, "confirm": false}));
        let error = error.unwrap_err();
        assert!(
            ["not-found", "refused"].contains(&error.data["kind"].as_str().unwrap()),
            "{error:?}"
        );
        let error = world.run("createFromAsset", json!(ABSENT)).unwrap_err();
        assert!(
            ["not-found", "refused"].contains(&error.data["kind"].as_str().unwrap()),
            "{error:?}"
        );
        assert_eq!(world.items().len(), 0);
    });
}

#[test]
fn a_write_that_finds_nothing_removes_it_from_the_list() {
    let mut world = World::start(Service::Full);
    let id = world.create_known("one");
    world.standin().with(|state| state.silent = true);
    world.standin().delete(&id);
    world.standin().fault(
        "POST /conversations/{id}/delete",
        Fault::Status(410, "Gone."),
    );
    refused(
        world.run("delete", json!({"conversation": id, "confirm": false})),
        "not-found",
    );
    world.until_item(&id, |item| item.is_none());
}

#[test]
fn progress_is_shown_for_long_work() {
    let mut world = World::start(Service::Full);
    let asset = world.create_asset("a.rs", "fn a() {}");
    let route = "POST /conversations/create/from_asset/{id}";
    world.standin().fault(route, Fault::HoldReply);
    let request = world.send("createFromAsset", json!(asset));
    let created = world
        .client
        .wait_request("window/workDoneProgress/create", |_| true);
    let token = created["token"].clone();
    let of_kind = |kind: &'static str| {
        let token = token.clone();
        move |params: &Value| params["token"] == token && params["value"]["kind"] == kind
    };
    world
        .client
        .wait_notification("$/progress", of_kind("begin"));
    world.standin().release_replies();
    world.client.response(request).unwrap();
    world.client.wait_notification("$/progress", of_kind("end"));

    // With a token of the client no other is made, and it begins at once.
    let params = json!({"command": "pieces.conversations.refresh", "arguments": [], "workDoneToken": "mine"});
    world
        .client
        .request("workspace/executeCommand", params)
        .unwrap();
    let mine = |kind: &'static str| {
        move |params: &Value| params["token"] == "mine" && params["value"]["kind"] == kind
    };
    world.client.wait_notification("$/progress", mine("begin"));
    world.client.wait_notification("$/progress", mine("end"));
}
