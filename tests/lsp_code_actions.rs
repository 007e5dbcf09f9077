//! `textDocument/codeAction`: what is offered where, and in which form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::client::eventually;
use support::standin::StandIn;
use support::world::{ABSENT, ALL, Service, WHOLE, World, capabilities};

const DOCUMENT: &str = "untitled:Untitled-1";
const START: &str = "pieces.start";
const OPEN: &str = "pieces.open";
const DELETE: &str = "pieces.delete";

/// How the editor came to ask.
#[derive(Debug, Clone, Copy)]
enum Trigger {
    Automatic,
    Invoked,
    /// It does not say.
    Absent,
}
use Trigger::{Absent, Automatic, Invoked};

fn on(services: &[Service], test: impl Fn(World)) {
    for service in services {
        test(World::start(*service));
    }
}

fn file_uri(path: &Path) -> String {
    url::Url::from_file_path(path).unwrap().into()
}

fn cursor(line: u32, character: u32) -> Value {
    selection(line, character, line, character)
}

fn selection(line: u32, character: u32, to_line: u32, to_character: u32) -> Value {
    json!({"start": {"line": line, "character": character},
        "end": {"line": to_line, "character": to_character}})
}

fn ask(world: &mut World, uri: &str, range: &Value, trigger: Trigger, only: &Value) -> Vec<Value> {
    let mut context = json!({"diagnostics": []});
    match trigger {
        Automatic => context["triggerKind"] = json!(2),
        Invoked => context["triggerKind"] = json!(1),
        Absent => {}
    }
    if !only.is_null() {
        context["only"] = only.clone();
    }
    let params = json!({"textDocument": {"uri": uri}, "range": range, "context": context});
    let answer = world
        .client
        .request("textDocument/codeAction", params)
        .unwrap();
    answer.as_array().expect("a list").clone()
}

/// The actions as (kind, argument of the command), each checked for its form.
fn offered(world: &mut World, uri: &str, range: &Value, trigger: Trigger) -> Vec<(String, Value)> {
    let actions = ask(world, uri, range, trigger, &Value::Null);
    actions.iter().map(kind_and_argument).collect()
}

fn kind_and_argument(action: &Value) -> (String, Value) {
    let fields: Vec<_> = action.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["command", "kind", "title"], "{action}");
    let command = &action["command"];
    assert_eq!(command["title"], action["title"]);
    let [argument] = command["arguments"].as_array().unwrap().as_slice() else {
        panic!("not one argument: {action}");
    };
    let kind = action["kind"].as_str().unwrap();
    let expected: &[&str] = match kind {
        START => &["createFromAsset", "startFromDocument"],
        OPEN => &["open"],
        DELETE => &["delete"],
        _ => panic!("not a kind of ours: {action}"),
    };
    let command = command["command"].as_str().unwrap();
    let command = command.strip_prefix("pieces.conversations.").unwrap();
    assert!(expected.contains(&command), "{action}");
    (kind.to_owned(), argument.clone())
}

fn start(asset: &str) -> (String, Value) {
    (START.to_owned(), json!({"asset": asset}))
}

fn save(uri: &str) -> (String, Value) {
    (START.to_owned(), json!({"uri": uri}))
}

fn open(conversation: &str) -> (String, Value) {
    (OPEN.to_owned(), json!({"conversation": conversation}))
}

fn delete(conversation: &str) -> (String, Value) {
    (DELETE.to_owned(), json!({"conversation": conversation}))
}

fn change(world: &mut World, version: i32, changes: Value) {
    let params =
        json!({"textDocument": {"uri": DOCUMENT, "version": version}, "contentChanges": changes});
    world.client.notify("textDocument/didChange", params);
}

/// What is offered at most is offered in the end: anchors and assets are read a moment after the start.
fn until_offered(world: &mut World, uri: &str, expected: &[(String, Value)]) {
    eventually("the actions", || {
        offered(world, uri, &cursor(0, 0), Invoked) == expected
    });
}

#[test]
fn the_kinds_and_commands_are_advertised() {
    let spawn = support::world::local(tempfile::tempdir().unwrap().path());
    let (client, result) = support::client::Client::connect(spawn, capabilities(), Value::Null);
    let capabilities = &result["capabilities"];
    let kinds = &capabilities["codeActionProvider"]["codeActionKinds"];
    for kind in [START, OPEN, DELETE] {
        assert!(kinds.as_array().unwrap().contains(&json!(kind)), "{kinds}");
    }
    let commands = capabilities["executeCommandProvider"]["commands"]
        .as_array()
        .unwrap();
    for name in [
        "createFromAsset",
        "create",
        "delete",
        "identifiers",
        "snapshot",
        "refresh",
        "list",
        "startFromDocument",
        "open",
        "rename",
    ] {
        assert!(
            commands.contains(&json!(format!("pieces.conversations.{name}"))),
            "{name}"
        );
    }
    assert!(commands.contains(&json!("pieces.status")));
    client.finish();
}

#[test]
fn ids_under_the_cursor_and_in_the_selection() {
    on(&ALL, |mut world| {
        let conversation = world.create_known("one");
        let asset = world.create_known_asset("a.rs");
        let of_asset = world.list(json!({"asset": asset}))["items"][0]["id"].clone();
        let of_asset = of_asset.as_str().unwrap().to_owned();
        let text = format!(
            "// 😀 {conversation}.\n[x](pieces-asset:/{asset}/a.rs) {ABSENT}\n\
             pieces-conversation:/{of_asset}.md {conversation}\n"
        );
        world.open(DOCUMENT, &text);
        let mut check = |range: Value, expected: &[(String, Value)]| {
            assert_eq!(
                offered(&mut world, DOCUMENT, &range, Automatic),
                expected,
                "{range}"
            );
            let mut all = expected.to_vec();
            if !all
                .iter()
                .any(|(kind, argument)| kind == START && argument.get("asset").is_some())
            {
                let mut fallback = save(DOCUMENT);
                if range["start"] != range["end"] {
                    fallback.1["range"] = range.clone();
                }
                all.push(fallback);
            }
            for trigger in [Invoked, Absent] {
                assert_eq!(
                    offered(&mut world, DOCUMENT, &range, trigger),
                    all,
                    "{range}"
                );
            }
        };
        let one = [open(&conversation), delete(&conversation)];
        // The emoji counts for two.
        for character in [6, 20, 42] {
            check(cursor(0, character), &one);
        }
        for character in [0, 5, 43] {
            check(cursor(0, character), &[]);
        }
        check(selection(0, 0, 0, 6), &one);
        check(selection(0, 7, 0, 9), &one);
        check(selection(0, 0, 0, 5), &[]);
        for character in [4, 16, 30, 58] {
            check(cursor(1, character), &[start(&asset)]);
        }
        check(cursor(1, 70), &[]);
        let both = [
            open(&of_asset),
            open(&conversation),
            delete(&of_asset),
            delete(&conversation),
        ];
        check(selection(2, 0, 3, 0), &both);
        check(cursor(2, 3), &[open(&of_asset), delete(&of_asset)]);
        check(
            selection(0, 0, 3, 0),
            &[
                start(&asset),
                open(&conversation),
                open(&of_asset),
                delete(&conversation),
                delete(&of_asset),
            ],
        );
        check(cursor(3, 0), &[]);
        check(cursor(99, 99), &[]);
    });
}

#[test]
fn only_is_a_hierarchy() {
    let mut world = World::start(Service::Local);
    let id = world.create_known("one");
    world.open(DOCUMENT, &id);
    for (only, expected) in [
        (Value::Null, &[START, OPEN, DELETE][..]),
        (json!([""]), &[START, OPEN, DELETE]),
        (json!(["pieces"]), &[START, OPEN, DELETE]),
        (json!(["pieces.start"]), &[START]),
        (json!(["pieces.delete", "pieces.open"]), &[OPEN, DELETE]),
        (json!(["quickfix", "pieces.open"]), &[OPEN]),
        (json!(["pieces.open.now"]), &[]),
        (json!(["pieces.op"]), &[]),
        (json!(["piece"]), &[]),
        (json!(["quickfix"]), &[]),
        (json!(["source.organizeImports", "refactor"]), &[]),
    ] {
        let actions = ask(&mut world, DOCUMENT, &cursor(0, 3), Invoked, &only);
        let mut kinds: Vec<_> = actions
            .iter()
            .map(|action| kind_and_argument(action).0)
            .collect();
        let mut expected = expected.to_vec();
        kinds.sort();
        expected.sort_unstable();
        assert_eq!(kinds, expected, "{only}");
    }
}

#[test]
fn the_documents_of_assets_and_conversations() {
    on(&ALL, |mut world| {
        let asset = world.create_known_asset("a.rs");
        let conversation = world.list(json!({"asset": asset}))["items"][0]["id"].clone();
        let conversation = conversation.as_str().unwrap().to_owned();
        let tied = [open(&conversation), delete(&conversation)];
        let asset_uri = format!("pieces-asset:/{asset}/a.rs");
        let conversation_uri = format!("pieces-conversation:/{conversation}.md");
        let at = cursor(0, 0);
        // Going on comes before starting another.
        let expected = [open(&conversation), start(&asset), delete(&conversation)];
        assert_eq!(offered(&mut world, &asset_uri, &at, Invoked), expected);
        assert_eq!(offered(&mut world, &conversation_uri, &at, Invoked), tied);
        for uri in [&asset_uri, &conversation_uri] {
            assert_eq!(offered(&mut world, uri, &at, Automatic), []);
        }
    });
}

#[cfg(unix)]
#[test]
fn a_file_that_something_was_saved_from() {
    on(&WHOLE, |mut world| {
        let (file, link) = (world.dir().join("ä b.rs"), world.dir().join("link.rs"));
        std::fs::write(&file, "fn a() {}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let uri = file_uri(&file);
        let at = cursor(0, 0);
        assert_eq!(offered(&mut world, &uri, &at, Invoked), [save(&uri)]);
        let answer = world
            .run("startFromDocument", json!({ "uri": uri }))
            .unwrap();
        let conversation = answer["conversation"].as_str().unwrap().to_owned();
        let asset = world.item(&conversation).unwrap()["assets"][0].clone();
        let asset = asset.as_str().unwrap().to_owned();
        // At once: our own writes are known. Open or not, and through a link.
        let expected = [open(&conversation), start(&asset), delete(&conversation)];
        assert_eq!(offered(&mut world, &uri, &at, Invoked), expected);
        assert_eq!(
            offered(&mut world, &file_uri(&link), &at, Invoked),
            expected
        );
        world.open(&uri, "fn a() {}");
        assert_eq!(offered(&mut world, &uri, &at, Invoked), expected);
        assert_eq!(offered(&mut world, &uri, &at, Automatic), []);
        // A known asset under the cursor comes before the one of the file.
        let other = world.create_known_asset("other.rs");
        let text = json!([{ "text": other }]);
        let params = json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": text});
        world.client.notify("textDocument/didChange", params);
        let expected = [start(&other), open(&conversation), delete(&conversation)];
        assert_eq!(offered(&mut world, &uri, &cursor(0, 3), Invoked), expected);
        // Deleted is deleted.
        let gone = json!({"conversation": conversation, "confirm": false});
        world.run("delete", gone).unwrap();
        assert_eq!(
            offered(&mut world, &uri, &cursor(0, 3), Invoked),
            [start(&other)]
        );
    });
}

#[test]
fn several_assets_and_conversations_newest_first_and_five_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("a.rs");
    std::fs::write(&file, "").unwrap();
    let path = file.to_str().unwrap();
    let uri = file_uri(&file);
    let fill = |assets: usize, conversations: usize| {
        move |standin: &StandIn| {
            for number in 0..assets {
                let asset = standin.create_asset(&format!("asset {number}"), "rs", "");
                standin.create_anchor(path, &[&asset], &[]);
            }
            for number in 0..conversations {
                let id = standin.create(&format!("conversation {number}"));
                standin.create_anchor(path, &[], &[&id]);
            }
            standin.create("not tied to it");
        }
    };
    for (assets, conversations) in [(1, 1), (3, 2), (7, 8)] {
        let mut world = World::prepared(
            Service::Full,
            capabilities(),
            Value::Null,
            fill(assets, conversations),
        );
        let newest_first = |objects: &std::collections::BTreeMap<String, Value>, start: &str| {
            let mut named: Vec<(String, String)> = objects
                .iter()
                .filter(|(_, object)| object["name"].as_str().unwrap().starts_with(start))
                .map(|(id, object)| (object["name"].as_str().unwrap().to_owned(), id.clone()))
                .collect();
            named.sort();
            let newest = named.into_iter().rev().map(|(_, id)| id);
            newest.take(5).collect::<Vec<String>>()
        };
        let (assets, conversations) = world.standin().with(|state| {
            (
                newest_first(&state.assets, "asset"),
                newest_first(&state.conversations, "conversation"),
            )
        });
        let mut expected: Vec<_> = conversations.iter().map(|id| open(id)).collect();
        // Behind the first, which goes on with the newest.
        expected.splice(1..1, assets.iter().map(|id| start(id)));
        expected.extend(conversations.iter().map(|id| delete(id)));
        until_offered(&mut world, &uri, &expected);
        // What a command takes without a choice is the newest.
        let answer = world
            .run("startFromDocument", json!({ "uri": uri }))
            .unwrap();
        let item = world
            .item(answer["conversation"].as_str().unwrap())
            .unwrap();
        assert_eq!(item["assets"], json!([assets[0]]));
        // Titles tell several apart.
        let mut titles: Vec<_> = ask(&mut world, &uri, &cursor(0, 0), Invoked, &json!([START]))
            .iter()
            .map(|action| action["title"].clone())
            .collect();
        titles.dedup();
        assert_eq!(titles.len(), assets.len());
    }
}

#[test]
fn an_item_names_the_files_it_is_tied_to() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("ä b.rs");
    let path = file.to_str().unwrap().to_owned();
    let mut world = World::prepared(Service::Full, capabilities(), Value::Null, |standin| {
        let id = standin.create("tied");
        standin.create_anchor(&path, &[], &[&id]);
        standin.create("not tied");
    });
    eventually("the anchors", || {
        world.items()[1]["files"] == json!([file_uri(&file)])
    });
    assert_eq!(world.items()[0]["files"], json!([]));
    let tied = world.list(json!({"uri": file_uri(&file)}));
    assert_eq!(
        (&tied["total"], &tied["items"][0]["name"]),
        (&json!(1), &json!("tied"))
    );
}

#[test]
fn a_document_that_is_not_open() {
    on(&ALL, |mut world| {
        let expected = [save(DOCUMENT)];
        assert_eq!(
            offered(&mut world, DOCUMENT, &cursor(0, 0), Invoked),
            expected
        );
        assert_eq!(
            offered(&mut world, DOCUMENT, &selection(0, 0, 9, 9), Automatic),
            []
        );
        let id = world.create_known("one");
        world.open(DOCUMENT, &id);
        assert_eq!(
            offered(&mut world, DOCUMENT, &cursor(0, 0), Automatic).len(),
            2
        );
        let close = json!({"textDocument": {"uri": DOCUMENT}});
        world.client.notify("textDocument/didClose", close);
        assert_eq!(offered(&mut world, DOCUMENT, &cursor(0, 0), Automatic), []);
    });
}

#[test]
fn edits_make_and_break_ids() {
    on(&ALL, |mut world| {
        let id = world.create_known("one");
        world.open(DOCUMENT, "");
        let both = [open(&id), delete(&id)];
        let mut version = 1;
        let mut check = |changes: Value, at: Value, expected: &[(String, Value)]| {
            version += 1;
            change(&mut world, version, changes);
            assert_eq!(offered(&mut world, DOCUMENT, &at, Automatic), expected);
        };
        let edit = |range: Value, text: &str| json!([{"range": range, "text": text}]);
        check(
            edit(cursor(0, 0), &format!("see {id}")),
            cursor(0, 10),
            &both,
        );
        // Split in two by a line break, joined again.
        check(edit(cursor(0, 20), "\r\n"), cursor(0, 10), &[]);
        check(json!([]), cursor(1, 3), &[]);
        check(edit(selection(0, 20, 1, 0), ""), cursor(0, 10), &both);
        // A letter too many, in front and behind and within.
        for column in [4, 12, 40] {
            check(edit(cursor(0, column), "a"), cursor(0, 10), &[]);
            check(
                edit(selection(0, column, 0, column + 1), ""),
                cursor(0, 10),
                &both,
            );
        }
        // Several changes in one message, each on top of the one before.
        let several = json!([
            {"range": cursor(0, 0), "text": "😀\n"},
            {"range": selection(1, 0, 1, 4), "text": ""},
        ]);
        check(several, cursor(1, 0), &both);
        check(json!([]), cursor(0, 1), &[]);
        check(json!([{"text": "all new"}]), cursor(0, 1), &[]);
        // An emoji in front of it moves it by two.
        check(
            json!([{"text": format!("😀{}", id.to_uppercase())}]),
            cursor(0, 2),
            &both,
        );
        check(json!([]), cursor(0, 0), &[]);
        check(json!([]), cursor(0, 38), &both);
        check(json!([]), cursor(0, 39), &both);
    });
}

#[test]
fn clients_that_only_know_commands_get_commands() {
    let mut capabilities = capabilities();
    capabilities["textDocument"] = json!({});
    for service in ALL {
        let mut world = World::with(service, capabilities.clone(), Value::Null);
        let id = world.create_known("one");
        world.open(DOCUMENT, &id);
        let actions = ask(&mut world, DOCUMENT, &cursor(0, 0), Invoked, &Value::Null);
        assert_eq!(actions.len(), 3);
        for action in actions {
            let fields: Vec<_> = action.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["arguments", "command", "title"], "{action}");
            assert!(action["command"].is_string(), "{action}");
        }
    }
}

#[test]
fn every_action_does_what_it_says() {
    on(&WHOLE, |mut world| {
        world
            .client
            .answer("window/showDocument", |_| Some(json!({"success": true})));
        world.client.answer("window/showMessageRequest", |params| {
            Some(params["actions"][0].clone())
        });
        world.open(DOCUMENT, "fn main() {}");
        let mut act = |kind: &str, uri: &str| {
            let actions = ask(&mut world, uri, &cursor(0, 0), Invoked, &json!([kind]));
            let command = actions[0]["command"].clone();
            let answer = world
                .client
                .request("workspace/executeCommand", command)
                .unwrap();
            (answer, world.items().len())
        };
        let (started, count) = act(START, DOCUMENT);
        assert_eq!(count, 1);
        let uri = format!(
            "pieces-conversation:/{}.md",
            started["conversation"].as_str().unwrap()
        );
        assert_eq!(act(OPEN, &uri), (Value::Null, 1));
        assert_eq!(act(DELETE, &uri), (json!({"deleted": true}), 0));
    });
}

#[test]
fn titles_of_hostile_names_are_plain_lines() {
    let mut world = World::start(Service::Full);
    world.open(DOCUMENT, "");
    let mut version = 1;
    let mut check = |name: &str, shown: &str| {
        let id = world.standin().create(name);
        world.until_item(&id, |item| item.is_some());
        version += 1;
        change(&mut world, version, json!([{ "text": id }]));
        let actions = ask(&mut world, DOCUMENT, &cursor(0, 0), Automatic, &Value::Null);
        assert_eq!(actions.len(), 2);
        for action in actions {
            let title = action["title"].as_str().unwrap();
            assert!(
                title.ends_with(&format!("conversation “{shown}”")),
                "{title}"
            );
        }
    };
    check("plain name", "plain name");
    check(
        "two\nlines\r\nand\u{2028}more\tof it",
        "two lines and more of it",
    );
    check("\u{1b}[31mred\u{7}\u{0}", "[31mred");
    check("\u{202e}cod.exe\u{2069}\u{200b}", "cod.exe");
    check("**bold** `code` <b>x</b>", "**bold** `code` <b>x</b>");
    check("[x](command:y)", "[x] (command:y)");
    check("", "New Conversation");
    check(" \u{200b} ", "New Conversation");
    check(&"x".repeat(500), &format!("{}…", "x".repeat(60)));
    check(&"🎉".repeat(61), &format!("{}…", "🎉".repeat(60)));
}

#[test]
fn nothing_known_yet_is_no_failure() {
    let mut standin = StandIn::start();
    standin.accept_silently();
    let spawn = support::world::pieces_os(&standin.url());
    let (mut client, _) = support::client::Client::connect(spawn, capabilities(), Value::Null);
    let params = json!({"textDocument": {"uri": DOCUMENT}, "range": cursor(0, 0), "context": {"diagnostics": []}});
    let answer = client.request("textDocument/codeAction", params).unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 1);
    client.finish();
}
