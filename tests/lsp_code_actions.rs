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
use support::standin::{Fault, StandIn};
use support::world::{ABSENT, ALL, Service, WHOLE, World, capabilities};

const DOCUMENT: &str = "untitled:Untitled-1";
const START: &str = "pieces.start";
const ASK: &str = "pieces.ask";
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

/// The actions as (kind, argument of the command), each checked for its form. Those for asking, which every
/// document has when invoked, are left out.
fn offered(world: &mut World, uri: &str, range: &Value, trigger: Trigger) -> Vec<(String, Value)> {
    let actions = ask(world, uri, range, trigger, &Value::Null);
    let actions = actions.iter().map(kind_and_argument);
    actions.filter(|(kind, _)| kind != ASK).collect()
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
        ASK => &["talk", "ask"],
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

#[test]
fn the_kinds_and_commands_are_advertised() {
    let spawn = support::world::local(tempfile::tempdir().unwrap().path());
    let (client, result) = support::client::Client::connect(spawn, capabilities(), Value::Null);
    let capabilities = &result["capabilities"];
    let kinds = &capabilities["codeActionProvider"]["codeActionKinds"];
    for kind in [START, ASK, OPEN, DELETE, "pieces.insert"] {
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
            // More than the id of the asset is selected, so a start is about the text.
            &[
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
        (Value::Null, &[START, ASK, OPEN, DELETE][..]),
        (json!([""]), &[START, ASK, OPEN, DELETE]),
        (json!(["pieces"]), &[START, ASK, OPEN, DELETE]),
        (json!(["pieces.start"]), &[START]),
        (json!(["pieces.ask"]), &[ASK]),
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
        let asset_uri = format!("pieces-asset:/{asset}/a.rs");
        let conversation_uri = format!("pieces-conversation:/{conversation}.md");
        let at = cursor(0, 0);
        // Going on comes before starting another.
        let expected = [open(&conversation), start(&asset)];
        assert_eq!(offered(&mut world, &asset_uri, &at, Invoked), expected);
        // It is open already.
        let expected = [delete(&conversation)];
        assert_eq!(
            offered(&mut world, &conversation_uri, &at, Invoked),
            expected
        );
        for uri in [&asset_uri, &conversation_uri] {
            assert_eq!(offered(&mut world, uri, &at, Automatic), []);
        }
    });
}

#[cfg(unix)]
#[test]
fn a_file_with_a_conversation() {
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
        // At once: our own writes are known. Open or not, and through a link.
        for uri in [&uri, &file_uri(&link)] {
            let expected = [open(&conversation), save(uri)];
            assert_eq!(offered(&mut world, uri, &at, Invoked), expected);
        }
        world.open(&uri, "fn a() {}");
        let expected = [open(&conversation), save(&uri)];
        assert_eq!(offered(&mut world, &uri, &at, Invoked), expected);
        assert_eq!(offered(&mut world, &uri, &at, Automatic), []);
        // It is deleted from here only by somebody who asks for that.
        for (only, offers_delete) in [
            (json!(["pieces"]), true),
            (json!(["pieces.delete"]), true),
            (json!([""]), false),
            (json!(["pieces.open", "pieces.start"]), false),
        ] {
            let actions = ask(&mut world, &uri, &at, Invoked, &only);
            let actions: Vec<_> = actions.iter().map(kind_and_argument).collect();
            assert_eq!(
                actions.contains(&delete(&conversation)),
                offers_delete,
                "{only}"
            );
        }
        let only = json!(["pieces.delete"]);
        assert!(ask(&mut world, &uri, &at, Automatic, &only).is_empty());
        // A known asset under the cursor is what a start is about.
        let other = world.create_known_asset("other.rs");
        let text = json!([{ "text": other }]);
        let params = json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": text});
        world.client.notify("textDocument/didChange", params);
        let expected = [start(&other), open(&conversation)];
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

/// A server where so many conversations, numbered from 0, are tied to a file; their ids, newest first.
fn with_conversations_about(file: &Path, count: usize) -> (World, Vec<String>) {
    let path = file.to_str().unwrap();
    let mut ids = Vec::new();
    let mut world = World::prepared(Service::Full, capabilities(), Value::Null, |standin| {
        for number in 0..count {
            let id = standin.create(&format!("conversation {number}"));
            standin.create_anchor(path, &[], &[&id]);
            ids.insert(0, id);
        }
        standin.create("not tied to it");
    });
    eventually("the anchors", || {
        world.list(json!({"uri": file_uri(file)}))["total"] == count
    });
    (world, ids)
}

#[test]
fn several_conversations_about_a_file_are_one_action_and_a_choice() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("a.rs");
    std::fs::write(&file, "").unwrap();
    let uri = file_uri(&file);
    for (count, shown) in [(2, 2), (8, 5)] {
        let (mut world, ids) = with_conversations_about(&file, count);
        let at = cursor(0, 0);
        let choose = (OPEN.to_owned(), json!({ "uri": uri }));
        assert_eq!(
            offered(&mut world, &uri, &at, Invoked),
            [choose, save(&uri)]
        );
        let actions = ask(&mut world, &uri, &at, Invoked, &json!([OPEN]));
        let title = format!("Conversations about this file ({count})…");
        assert_eq!(actions[0]["title"], title);
        // The newest, with their ages; the second is chosen.
        world.client.answer("window/showMessageRequest", |params| {
            Some(params["actions"][1].clone())
        });
        let command = actions[0]["command"].clone();
        let opened = world.client.request("workspace/executeCommand", command);
        assert_eq!(opened, Ok(Value::Null));
        let asked = world
            .client
            .wait_request("window/showMessageRequest", |_| true);
        let choices: Vec<_> = asked["actions"].as_array().unwrap().iter().collect();
        assert_eq!(choices.len(), shown);
        for (at, choice) in choices.iter().enumerate() {
            let title = choice["title"].as_str().unwrap();
            let name = format!("“conversation {}”, ", count - 1 - at);
            assert!(title.starts_with(&name), "{title}");
        }
        let second = format!("pieces-conversation:/{}.md", ids[1]);
        let shown = |params: &Value| params["uri"] == second;
        world.client.wait_request("window/showDocument", shown);
        // None is chosen.
        world
            .client
            .answer("window/showMessageRequest", |_| Some(Value::Null));
        assert_eq!(world.run("open", json!({ "uri": uri })), Ok(Value::Null));
    }
}

#[test]
fn twenty_actions_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("a.rs");
    std::fs::write(&file, "").unwrap();
    let uri = file_uri(&file);
    let (mut world, ids) = with_conversations_about(&file, 30);
    let deletes = ask(&mut world, &uri, &cursor(0, 0), Invoked, &json!([DELETE]));
    let deletes: Vec<_> = deletes.iter().map(kind_and_argument).collect();
    let newest: Vec<_> = ids[..20].iter().map(|id| delete(id)).collect();
    assert_eq!(deletes, newest);
    world.open(DOCUMENT, &ids.join("\n"));
    for trigger in [Automatic, Invoked] {
        let actions = offered(&mut world, DOCUMENT, &selection(0, 0, 40, 0), trigger);
        assert!((10..=20).contains(&actions.len()), "{}", actions.len());
    }
}

#[test]
fn titles_say_what_a_start_is_about() {
    on(&ALL, |mut world| {
        let asset = world.create_known_asset("known.rs");
        let file = world.dir().join("retry.rs");
        let uri = file_uri(&file);
        world.open(&uri, &format!("one\ntwo\nthree\n{asset}\n"));
        let asset_uri = format!("pieces-asset:/{asset}/saved.rs");
        let mut check = |uri: &str, at: Value, about: &str| {
            let actions = ask(&mut world, uri, &at, Invoked, &json!([START]));
            let titles: Vec<_> = actions.iter().map(|action| &action["title"]).collect();
            assert_eq!(
                titles,
                [&json!(format!("Start a conversation about {about}"))]
            );
        };
        check(&uri, cursor(0, 0), "retry.rs");
        check(&uri, selection(0, 0, 1, 3), "these 2 lines");
        check(&uri, selection(0, 0, 3, 0), "these 3 lines");
        check(&uri, selection(1, 0, 1, 3), "this line");
        check(&uri, selection(1, 0, 2, 0), "this line");
        check(&uri, selection(2, 1, 2, 4), "“hre”");
        check(&asset_uri, cursor(0, 0), "saved.rs");
        let known = match world.service {
            Service::Six => "this snippet",
            _ => "known.rs",
        };
        let mut check = |at: Value| {
            let actions = ask(&mut world, &uri, &at, Automatic, &json!([START]));
            let title = format!("Start a conversation about {known}");
            assert_eq!(actions[0]["title"], title);
        };
        check(cursor(3, 5));
        check(selection(3, 0, 3, 36));
    });
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
        assert_eq!(actions.len(), 4);
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
        let actions = ask(
            &mut world,
            DOCUMENT,
            &cursor(0, 0),
            Invoked,
            &json!([START]),
        );
        let command = actions[0]["command"].clone();
        let started = world
            .client
            .request("workspace/executeCommand", command)
            .unwrap();
        let id = started["conversation"].as_str().unwrap().to_owned();
        let uri = format!("pieces-conversation:/{id}.md");
        let item = world.item(&id).unwrap();
        let asset_uri = format!("pieces-asset:/{}", item["assets"][0].as_str().unwrap());
        let mut act = |kind: &str, uri: &str| {
            let actions = ask(&mut world, uri, &cursor(0, 0), Invoked, &json!([kind]));
            let command = actions[0]["command"].clone();
            let answer = world
                .client
                .request("workspace/executeCommand", command)
                .unwrap();
            (answer, world.items().len())
        };
        assert_eq!(act(OPEN, &asset_uri), (Value::Null, 1));
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
fn no_data_yet_is_not_an_error() {
    let mut standin = StandIn::start();
    standin.accept_silently();
    let spawn = support::world::pieces_os(&standin.url());
    let (mut client, _) = support::client::Client::connect(spawn, capabilities(), Value::Null);
    let params = json!({"textDocument": {"uri": DOCUMENT}, "range": cursor(0, 0), "context": {"diagnostics": []}});
    let answer = client.request("textDocument/codeAction", params).unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 2, "start and ask");
    client.finish();
}

#[test]
fn the_name_of_an_asset_is_asked_for_once_at_a_time() {
    let mut world = World::start(Service::Full);
    let asset = world.create_known_asset("known.rs");
    let uri = "file:///notes.txt";
    world.open(uri, &format!("{asset}\n"));
    let before = world.standin().requests("GET /asset/{id}");
    world
        .standin()
        .fault_times("GET /asset/{id}", Fault::HoldReply, 1);
    let check = |world: &mut World, about: &str| {
        let actions = ask(world, uri, &cursor(0, 5), Automatic, &json!([START]));
        let title = format!("Start a conversation about {about}");
        assert_eq!(actions[0]["title"], title);
    };
    check(&mut world, "this snippet");
    check(&mut world, "this snippet");
    world.standin().release_replies();
    eventually("the name", || {
        let actions = ask(&mut world, uri, &cursor(0, 5), Automatic, &json!([START]));
        actions[0]["title"] == "Start a conversation about known.rs"
    });
    assert_eq!(world.standin().requests("GET /asset/{id}"), before + 1);
}

#[test]
fn a_selected_word_is_a_cursor_in_eglot() {
    let titles = |name: &str, end: u32| -> Vec<String> {
        let mut world = World::of_editor(name, Service::Local, capabilities(), Value::Null, |_| ());
        let uri = "file:///retry.rs";
        world.open(uri, "fn retry() {}\n");
        let params = json!({"textDocument": {"uri": uri},
            "range": {"start": {"line": 0, "character": 3}, "end": {"line": 0, "character": end}},
            "context": {"diagnostics": [], "only": ["pieces.start"], "triggerKind": 1}});
        let found = world.client.request("textDocument/codeAction", params);
        let found = found.unwrap();
        let titles = found.as_array().unwrap().iter();
        titles
            .map(|one| one["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let whole = ["Start a conversation about retry.rs"];
    assert_eq!(titles("Eglot", 8), whole);
    let some = ["Start a conversation about “retry() {”"];
    assert_eq!(titles("Eglot", 12), some);
    let word = ["Start a conversation about “retry”"];
    assert_eq!(titles("test", 8), word);
}
