//! Writes: asked about before, sent once, seen at once, and never lost from sight.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use support::client::RpcError;
use support::standin::Fault;
use support::world::{ABSENT, ALL, Service, WHOLE, World, capabilities, refused};

const QUESTION: &str = "window/showMessageRequest";
const DOCUMENT: &str = "untitled:Untitled-1";

fn on(services: &[Service], test: impl Fn(World)) {
    for service in services {
        test(World::start(*service));
    }
}

/// How the person answers the question before a delete.
#[derive(Clone, Copy)]
enum Person {
    Agrees,
    Cancels,
    /// Closes the question.
    Dismisses,
    /// Says something that was not offered.
    Babbles,
}

fn person(world: &mut World, person: Person) {
    world.client.answer(QUESTION, move |params| {
        let offered = params["actions"].as_array().unwrap();
        let titled = |start: &str| {
            let found = offered
                .iter()
                .find(|one| one["title"].as_str().unwrap().starts_with(start));
            found.cloned()
        };
        Some(match person {
            Person::Agrees => titled("Delete").expect("to agree to"),
            Person::Cancels => titled("Cancel").expect("to refuse with"),
            Person::Dismisses => Value::Null,
            Person::Babbles => json!({"title": "Perhaps"}),
        })
    });
}

#[test]
fn delete_asks_first() {
    on(&ALL, |mut world| {
        let seed = json!({"type": "COPILOT", "name": "Retry loop", "messages": [
            {"role": "USER", "fragment": {"string": {"raw": "a"}}},
            {"role": "ASSISTANT", "fragment": {"string": {"raw": "b"}}}]});
        let created = world
            .run("create", json!({"seededConversation": seed}))
            .unwrap();
        let id = created["id"].as_str().unwrap().to_owned();
        for refusal in [Person::Cancels, Person::Dismisses, Person::Babbles] {
            person(&mut world, refusal);
            // An explicit yes to asking is the default.
            let argument = json!({"conversation": id, "confirm": true});
            assert_eq!(world.run("delete", argument), Ok(json!({"deleted": false})));
            let question = world.client.wait_request(QUESTION, |_| true);
            let message = question["message"].as_str().unwrap();
            assert!(
                message.contains("Retry loop") && message.contains("2 messages"),
                "{message}"
            );
            assert!(world.item(&id).is_some());
        }
        person(&mut world, Person::Agrees);
        assert_eq!(world.run("delete", json!(id)), Ok(json!({"deleted": true})));
        assert_eq!(world.item(&id), None);
    });
}

#[test]
fn an_editor_that_cannot_ask_deletes_nothing() {
    let mut world = World::start(Service::Local);
    let id = world.create_known("one");
    // Refused with an error, as the test client does with what it does not know.
    world.client.allow(QUESTION);
    assert_eq!(
        world.run("delete", json!(id)),
        Ok(json!({"deleted": false}))
    );
    assert!(world.item(&id).is_some());
}

#[test]
fn delete_does_not_ask_if_confirm_delete_is_off() {
    for service in WHOLE {
        let options = json!({"confirmDelete": false});
        let mut world = World::with(service, capabilities(), options);
        let id = world.create_known("one");
        assert_eq!(world.run("delete", json!(id)), Ok(json!({"deleted": true})));
        // The test client fails on a question that nobody expected. `confirm: true` does not bring it back.
        let id = world.create_known("two");
        let argument = json!({"conversation": id, "confirm": true});
        assert_eq!(world.run("delete", argument), Ok(json!({"deleted": true})));
        assert!(world.items().is_empty());
    }
}

#[test]
fn the_question_shows_a_hostile_name_as_plain_text() {
    let mut world = World::start(Service::Full);
    person(&mut world, Person::Dismisses);
    let mut check = |name: &str, shown: &str| {
        let id = world.standin().create(name);
        world.until_item(&id, |item| item.is_some());
        world.run("delete", json!(id)).unwrap();
        let question = world.client.wait_request(QUESTION, |_| true);
        let message = question["message"].as_str().unwrap();
        assert!(message.contains(shown), "{message}");
        assert!(!message.contains(|c: char| c.is_control()), "{message:?}");
        // VS Code makes links, of commands as well, out of this.
        assert!(!message.contains("]("), "{message}");
    };
    check("two\nlines\tand \u{1b}[31mred", "two lines and [31mred");
    check("\u{202e}gnp.exe\u{2066}", "“gnp.exe”");
    check("[harmless](command:workbench.action.quit)", "[harmless]");
    check(
        "[harmless]\u{200b}(command:workbench.action.quit)",
        "[harmless]",
    );
    check(&"long ".repeat(100), "long long");
    check("", "New Conversation");
    check("\u{200b}\u{202e}", "New Conversation");
}

#[test]
fn cancelling_while_the_question_is_open() {
    on(&ALL, |mut world| {
        let id = world.create_known("one");
        world.client.answer(QUESTION, |_| None);
        let request = world.send("delete", json!(id));
        world.client.wait_request(QUESTION, |_| true);
        world.client.cancel(request);
        let error = refused(world.client.response(request), "cancelled");
        assert_eq!(error.data.get("outcomeUnknown"), None);
        // The answer comes too late. Its id is one of the first few.
        for id in 0..5 {
            let late = json!({"jsonrpc": "2.0", "id": id, "result": {"title": "Delete"}});
            world.client.process().send(&late);
        }
        // Everything that could come of it would come before this.
        world.run("refresh", Value::Null).unwrap();
        assert!(world.item(&id).is_some());
        let left = world.other("GET", "/conversations/identifiers", Value::Null);
        assert_eq!(left["iterable"].as_array().unwrap().len(), 1);
    });
}

type Seen = Box<dyn Fn(&[Value]) -> bool>;

/// One write: its command and argument, the route of its POST, and how it is seen in the items.
struct Write {
    command: &'static str,
    argument: Value,
    route: &'static str,
    /// By the items before and after.
    seen: Seen,
}

/// Every write that this world can do, on a conversation, an asset and a document of its own.
fn writes(world: &mut World) -> Vec<Write> {
    let doomed = world.create_known("doomed");
    let old = world.create_known("old name");
    let asset = world.create_asset("a.rs", "fn a() {}");
    world.open(DOCUMENT, "fn main() {}");
    let renamed = old.clone();
    let deleted = doomed.clone();
    let from_asset = asset.clone();
    let seed = json!({"type": "COPILOT", "name": "created"});
    let mut writes = vec![
        Write {
            command: "create",
            argument: json!({"seededConversation": seed}),
            route: "POST /conversations/create",
            seen: Box::new(|items| items.iter().any(|item| item["name"] == "created")),
        },
        Write {
            command: "createFromAsset",
            argument: json!({"asset": asset}),
            route: "POST /conversations/create/from_asset/{id}",
            seen: Box::new(move |items| {
                items
                    .iter()
                    .any(|item| item["assets"] == json!([from_asset]))
            }),
        },
        Write {
            command: "delete",
            argument: json!({"conversation": doomed, "confirm": false, "force": world.service == Service::Six}),
            route: "POST /conversations/{id}/delete",
            seen: Box::new(move |items| items.iter().all(|item| item["id"] != json!(deleted))),
        },
    ];
    if world.service != Service::Six {
        writes.push(Write {
            command: "rename",
            argument: json!({"conversation": old, "name": "new name"}),
            route: "POST /conversation/update",
            seen: Box::new(move |items| {
                items
                    .iter()
                    .any(|item| item["id"] == json!(renamed) && item["name"] == "new name")
            }),
        });
        writes.push(Write {
            command: "startFromDocument",
            argument: json!({"uri": DOCUMENT}),
            route: "POST /conversations/create/from_asset/{id}",
            seen: Box::new(|items| {
                items
                    .iter()
                    .any(|item| item["name"].as_str().unwrap().contains("Untitled"))
            }),
        });
    }
    writes
}

fn wait_seen(world: &mut World, write: &Write) {
    support::client::eventually(write.command, || (write.seen)(&world.items()));
}

#[test]
fn a_post_is_sent_once_and_its_outcome_is_learned() {
    for service in [Service::Full, Service::Six] {
        let faults = [
            (Fault::LoseReply, "offline"),
            (Fault::Truncate, "protocol"),
            (Fault::Status(500, "It failed."), "refused"),
            (Fault::Drop, "offline"),
        ];
        for (fault, kind) in faults {
            let mut world = World::start(service);
            // Nothing but our own look tells what became of it.
            let writes = writes(&mut world);
            world.standin().with(|state| state.silent = true);
            for write in writes {
                world.standin().forget_requests();
                world.standin().fault(write.route, fault.clone());
                let outcome = world.run(write.command, write.argument.clone());
                let carried_out = matches!(fault, Fault::LoseReply | Fault::Truncate);
                if matches!(fault, Fault::Truncate) && write.command == "delete" {
                    // Any success will do: there is no answer to cut short.
                    assert_eq!(outcome, Ok(json!({"deleted": true})));
                } else {
                    let error = refused(outcome, kind);
                    assert_eq!(
                        error.data["outcomeUnknown"], true,
                        "{}: {error:?}",
                        write.command
                    );
                }
                if carried_out {
                    wait_seen(&mut world, &write);
                } else {
                    assert!(!(write.seen)(&world.items()), "{}", write.command);
                }
                assert_eq!(
                    world.standin().requests(write.route),
                    1,
                    "{}",
                    write.command
                );
                world.standin_mut().heal();
            }
        }
    }
}

#[test]
fn cancelling_a_post_that_was_sent() {
    for service in [Service::Full, Service::Six] {
        let mut world = World::start(service);
        let writes = writes(&mut world);
        world.standin().with(|state| state.silent = true);
        for write in writes {
            world.standin().forget_requests();
            world.standin().fault(write.route, Fault::HoldReply);
            let request = world.send(write.command, write.argument.clone());
            world
                .standin()
                .wait_until("carried out", |state| state.held_replies() == 1);
            world.client.cancel(request);
            let error = refused(world.client.response(request), "cancelled");
            assert_eq!(error.data["outcomeUnknown"], true, "{}", write.command);
            assert!(
                !(write.seen)(&world.items()),
                "{}: too early",
                write.command
            );
            // It finishes in the background, and only its answer tells.
            world.standin_mut().heal();
            world.standin().release_replies();
            wait_seen(&mut world, &write);
            assert_eq!(
                world.standin().requests(write.route),
                1,
                "{}",
                write.command
            );
        }
    }
}

#[test]
fn cancelling_answers_at_once_while_the_service_hangs() {
    let mut world = World::start(Service::Full);
    let conversation = world.create_known("one");
    let asset = world.create_asset("a.rs", "fn a() {}");
    world.open(DOCUMENT, "fn main() {}");
    let delete = json!({"conversation": conversation, "confirm": false});
    let rename = json!({"conversation": conversation, "name": "x"});
    for (command, argument, route, posted) in [
        ("create", json!({}), "POST /conversations/create", true),
        (
            "createFromAsset",
            json!(asset),
            "POST /conversations/create/from_asset/{id}",
            true,
        ),
        ("delete", delete, "POST /conversations/{id}/delete", true),
        ("rename", rename.clone(), "POST /conversation/update", true),
        // The POST has not left, so it never does.
        ("rename", rename, "GET /conversation/{id}", false),
        (
            "startFromDocument",
            json!({"uri": DOCUMENT}),
            "POST /assets/create",
            true,
        ),
        // Another text: the first one is still being saved.
        (
            "startFromDocument",
            json!({"uri": DOCUMENT, "range": range(0, 0, 0, 2)}),
            "POST /conversations/create/from_asset/{id}",
            true,
        ),
        (
            "identifiers",
            json!({}),
            "GET /conversations/identifiers",
            false,
        ),
        ("snapshot", json!({}), "GET /conversations", false),
        ("refresh", json!({}), "GET /conversations", false),
    ] {
        world.standin().forget_requests();
        world.standin().fault(route, Fault::Hang);
        let request = world.send(command, argument);
        world
            .standin()
            .wait_until("there", |state| state.requests(route) > 0);
        world.client.cancel(request);
        let error = refused(world.client.response(request), "cancelled");
        let expected = if posted { json!(true) } else { Value::Null };
        assert_eq!(error.data["outcomeUnknown"], expected, "{command} {route}");
        // The rest goes on meanwhile.
        assert_eq!(world.items().len(), 1);
        world.standin_mut().heal();
    }
}

#[test]
fn cancelling_an_unknown_request_is_ignored() {
    let mut world = World::start(Service::Local);
    let created = world.run("create", Value::Null).unwrap();
    for id in [json!(1), json!(ABSENT), Value::Null, json!({})] {
        world.client.notify("$/cancelRequest", json!({ "id": id }));
    }
    assert_eq!(world.items()[0]["id"], created["id"]);
}

/// Our own writes are in the list when they have been answered, every time.
fn reads_its_own_writes(mut world: World, rounds: usize) {
    let asset = world.create_asset("a.rs", "fn a() {}");
    world.open(DOCUMENT, "fn main() {}");
    let whole = world.service != Service::Six;
    for round in 0..rounds {
        let name = format!("round {round}");
        let seed = json!({"type": "COPILOT", "name": name});
        let created = world
            .run("create", json!({"seededConversation": seed}))
            .unwrap();
        let created = created["id"].as_str().unwrap().to_owned();
        assert_eq!(world.item(&created).expect("created")["name"], name);
        let mut mine = vec![created.clone()];
        if whole {
            let name = format!("renamed {round}");
            let argument = json!({"conversation": created, "name": name});
            let item = world.run("rename", argument).unwrap();
            assert_eq!(world.item(&created), Some(item.clone()), "round {round}");
            assert_eq!(item["name"], name);
            let started = world
                .run("startFromDocument", json!({"uri": DOCUMENT}))
                .unwrap();
            mine.push(started["conversation"].as_str().unwrap().to_owned());
        }
        let started = world.run("createFromAsset", json!(asset)).unwrap();
        mine.push(started["conversation"].as_str().unwrap().to_owned());
        for (at, id) in mine.iter().enumerate() {
            assert!(world.item(id).is_some(), "round {round}: {at}");
            let argument = json!({"conversation": id, "confirm": false, "force": !whole});
            world.run("delete", argument).unwrap();
            assert_eq!(world.item(id), None, "round {round}: {at}");
        }
        assert_eq!(world.list(json!({}))["total"], 0, "round {round}");
    }
}

#[test]
fn own_writes_are_read_on_the_local_service() {
    reads_its_own_writes(World::start(Service::Local), 200);
}

#[test]
fn own_writes_are_read_on_pieces_os() {
    for service in [Service::Full, Service::Six] {
        let world = World::start(service);
        world.standin().with(|state| state.frames_twice = true);
        reads_its_own_writes(world, 10);
        // And where the stream never tells.
        let world = World::start(service);
        world.standin().with(|state| state.silent = true);
        reads_its_own_writes(world, 10);
    }
}

// Starting from a document.

fn start(world: &mut World, argument: Value) -> Result<Value, RpcError> {
    world.run("startFromDocument", argument)
}

/// Starts, and returns the one asset that the conversation is about.
fn started_asset(world: &mut World, argument: Value) -> String {
    let answer = start(world, argument).unwrap();
    let id = answer["conversation"].as_str().unwrap();
    let item = world.item(id).expect("listed at once");
    assert_eq!(item["name"], answer["name"]);
    let assets = item["assets"].as_array().unwrap();
    assert_eq!(assets.len(), 1, "{item}");
    assets[0].as_str().unwrap().to_owned()
}

fn text_of(world: &World, asset: &str) -> String {
    let path = format!("/asset/{asset}?transferables=true");
    let asset = world.other("GET", &path, Value::Null);
    let raw = &asset["original"]["reference"]["fragment"]["string"]["raw"];
    raw.as_str()
        .unwrap_or_else(|| panic!("no text in {asset}"))
        .to_owned()
}

fn cursor(line: u32, character: u32) -> Value {
    range(line, character, line, character)
}

fn range(line: u32, character: u32, to_line: u32, to_character: u32) -> Value {
    json!({"start": {"line": line, "character": character},
        "end": {"line": to_line, "character": to_character}})
}

fn file_uri(path: &std::path::Path) -> String {
    url::Url::from_file_path(path).unwrap().into()
}

#[test]
fn starts_from_the_asset_under_the_cursor() {
    on(&ALL, |mut world| {
        let asset = world.create_known_asset("known.rs");
        world.open(
            DOCUMENT,
            &format!("// 😀 {asset}\n// {ABSENT}\nfn main() {{}}\n"),
        );
        // The cursor in it, or exactly the id selected.
        for at in [
            cursor(0, 8),
            cursor(0, 6),
            cursor(0, 42),
            range(0, 6, 0, 42),
            range(0, 5, 1, 0),
        ] {
            let argument = json!({"uri": DOCUMENT, "range": at});
            assert_eq!(started_asset(&mut world, argument), asset);
        }
        // Elsewhere there is nothing known, so the document is saved, where that can be done.
        for at in [cursor(1, 10), cursor(2, 0), range(0, 0, 1, 0)] {
            let argument = json!({"uri": DOCUMENT, "range": at});
            if world.service == Service::Six {
                let error = refused(start(&mut world, argument), "not-found");
                assert!(error.message.contains("save"), "{error:?}");
            } else {
                assert_ne!(started_asset(&mut world, argument), asset);
            }
        }
    });
}

#[test]
fn starts_from_the_document_of_an_asset() {
    on(&ALL, |mut world| {
        let asset = world.create_asset("known.rs", "fn a() {}");
        for uri in [
            format!("pieces-asset:/{asset}/known.rs"),
            format!("pieces-asset:/{asset}"),
        ] {
            assert_eq!(started_asset(&mut world, json!({ "uri": uri })), asset);
        }
    });
}

#[cfg(unix)]
#[test]
fn an_asset_of_the_file_is_reused_while_its_text_is_the_same() {
    on(&[Service::Local, Service::Full], |mut world| {
        let (file, link) = (world.dir().join("a b.rs"), world.dir().join("link.rs"));
        std::fs::write(&file, "fn on_disk() {}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let asset = started_asset(&mut world, json!({"uri": file_uri(&file)}));
        assert_eq!(text_of(&world, &asset), "fn on_disk() {}");
        for path in [&file, &link] {
            assert_eq!(
                started_asset(&mut world, json!({"uri": file_uri(path)})),
                asset
            );
            let selected = json!({"uri": file_uri(path), "range": range(0, 0, 0, 2)});
            let selection = started_asset(&mut world, selected.clone());
            assert_ne!(selection, asset);
            assert_eq!(text_of(&world, &selection), "fn");
            assert_eq!(started_asset(&mut world, selected), selection);
            let tied = world.list(json!({"uri": file_uri(path)}));
            assert!(tied["total"].as_u64().unwrap() >= 3, "{tied}");
        }
        // Edited: the old text is not what is there. Edited back: it is.
        std::fs::write(&file, "fn edited() {}").unwrap();
        let edited = started_asset(&mut world, json!({"uri": file_uri(&file)}));
        assert_eq!(text_of(&world, &edited), "fn edited() {}");
        std::fs::write(&file, "fn on_disk() {}").unwrap();
        assert_eq!(
            started_asset(&mut world, json!({"uri": file_uri(&file)})),
            asset
        );
        // The same text in another file is another asset.
        let copy = world.dir().join("copy.rs");
        std::fs::write(&copy, "fn on_disk() {}").unwrap();
        let copied = started_asset(&mut world, json!({"uri": file_uri(&copy)}));
        assert_ne!(copied, asset);
        // Saved through a link, found through the file.
        let (file, link) = (
            world.dir().join("other.rs"),
            world.dir().join("other link.rs"),
        );
        std::fs::write(&file, "fn other() {}").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let asset = started_asset(&mut world, json!({"uri": file_uri(&link)}));
        assert_eq!(
            started_asset(&mut world, json!({"uri": file_uri(&file)})),
            asset
        );
    });
}

#[test]
fn starts_from_the_selection_or_the_whole_text() {
    let texts = |encodings: Value, selected: Value| {
        for service in [Service::Local, Service::Full] {
            let mut capabilities = capabilities();
            capabilities["general"] = json!({ "positionEncodings": encodings });
            let mut world = World::with(service, capabilities, Value::Null);
            world.open(DOCUMENT, "let a = \"😀é\";\nlet b = 1;\n");
            let mut check = |argument: Value, text: &str| {
                let mut argument = argument;
                argument["uri"] = json!(DOCUMENT);
                let asset = started_asset(&mut world, argument);
                assert_eq!(text_of(&world, &asset), text);
            };
            check(json!({"range": selected}), "😀é\";\nlet");
            let whole = "let a = \"😀é\";\nlet b = 1;\n";
            check(json!({}), whole);
            check(json!({"range": null}), whole);
            check(json!({"range": cursor(1, 4)}), whole);
            check(json!({"range": range(1, 4, 99, 99)}), "b = 1;\n");
        }
    };
    texts(json!(["utf-16"]), range(0, 9, 1, 3));
    texts(json!(["utf-8", "utf-16"]), range(0, 9, 1, 3));
    texts(Value::Null, range(0, 9, 1, 3));
    // The selection ends behind the emoji and the accent.
    let ends = |encodings: Value, end: u32| {
        let mut capabilities = capabilities();
        capabilities["general"] = json!({ "positionEncodings": encodings });
        let mut world = World::with(Service::Local, capabilities, Value::Null);
        world.open(DOCUMENT, "let a = \"😀é\";\n");
        let argument = json!({"uri": DOCUMENT, "range": range(0, 9, 0, end)});
        let asset = started_asset(&mut world, argument);
        assert_eq!(text_of(&world, &asset), "😀é");
    };
    ends(json!(["utf-16"]), 12);
    ends(json!(["utf-8"]), 15);
}

#[test]
fn starts_from_the_text_in_the_editor_rather_than_the_file() {
    on(&[Service::Local, Service::Full], |mut world| {
        let file = world.dir().join("a.rs");
        std::fs::write(&file, "fn on_disk() {}").unwrap();
        let uri = file_uri(&file);
        world.open(&uri, "fn unsaved() {}");
        let change = json!({"textDocument": {"uri": uri, "version": 2},
            "contentChanges": [{"range": range(0, 3, 0, 10), "text": "edited"}]});
        world.client.notify("textDocument/didChange", change);
        let asset = started_asset(&mut world, json!({ "uri": uri }));
        assert_eq!(text_of(&world, &asset), "fn edited() {}");
    });
}

#[test]
fn documents_that_nothing_can_be_started_from() {
    on(&[Service::Local, Service::Full], |mut world| {
        let dir = world.dir();
        std::fs::write(dir.join("empty.rs"), " \n\t").unwrap();
        std::fs::write(dir.join("binary"), [0xff, 0xfe, 0x00]).unwrap();
        world.open(DOCUMENT, "  \n");
        let mut check = |uri: &str, kind: &str| {
            refused(start(&mut world, json!({ "uri": uri })), kind);
        };
        check(DOCUMENT, "invalid-argument");
        check(&file_uri(&dir.join("empty.rs")), "invalid-argument");
        check(&file_uri(&dir.join("absent.rs")), "not-found");
        check(&file_uri(&dir.join("binary")), "not-found");
        check(&file_uri(&dir), "not-found");
        check("untitled:Untitled-9", "not-found");
        check("https://example.org/a.rs", "not-found");
        assert!(world.items().is_empty());
        let assets = world.other("GET", "/assets/identifiers", Value::Null);
        assert_eq!(assets["iterable"], json!([]));
    });
}

#[test]
fn an_asset_without_its_conversation_is_mentioned() {
    let mut world = World::start(Service::Full);
    world.open(DOCUMENT, "fn main() {}");
    let route = "POST /conversations/create/from_asset/{id}";
    world.standin().fault(route, Fault::Status(401, "Nobody."));
    let error = refused(start(&mut world, json!({"uri": DOCUMENT})), "signed-out");
    assert!(error.message.contains("saved"), "{error:?}");
    assert_eq!(world.standin().requests("POST /assets/create"), 1);
}

#[test]
fn two_starts_at_once_save_one_asset() {
    let mut world = World::start(Service::Full);
    let save = "POST /assets/create";
    world.open(DOCUMENT, "fn main() {}");
    let file = world.dir().join("a.rs");
    std::fs::write(&file, "fn main() {}").unwrap();
    for uri in [DOCUMENT.to_owned(), file_uri(&file)] {
        world.standin().forget_requests();
        world.standin().fault(save, Fault::HoldReply);
        let argument = json!({ "uri": uri });
        let starts = [(); 2].map(|()| world.send("startFromDocument", argument.clone()));
        world
            .standin()
            .wait_until("saving", |state| state.held_replies() > 0);
        // Both are under way.
        world.items();
        world.standin_mut().heal();
        world.standin().release_replies();
        let started = starts.map(|request| world.client.response(request).unwrap());
        assert_ne!(started[0]["conversation"], started[1]["conversation"]);
        let assets = started.map(|one| {
            let id = one["conversation"].as_str().unwrap();
            world.item(id).unwrap()["assets"].clone()
        });
        assert_eq!(assets[0], assets[1]);
        assert_eq!(world.standin().requests(save), 1, "{uri}");
    }
}

#[test]
fn a_start_waits_for_the_anchors_instead_of_saving_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().canonicalize().unwrap().join("a.rs");
    std::fs::write(&file, "fn main() {}").unwrap();
    let anchors = "GET /anchors";
    let mut world = World::prepared(Service::Full, capabilities(), Value::Null, |standin| {
        let asset = standin.create_asset("a.rs", "rs", "fn main() {}");
        standin.create_anchor(file.to_str().unwrap(), &[&asset], &[]);
        standin.fault(anchors, Fault::HoldReply);
    });
    let request = world.send("startFromDocument", json!({"uri": file_uri(&file)}));
    world
        .standin()
        .wait_until("asked for the anchors", |state| state.held_replies() > 0);
    assert!(world.items().is_empty());
    world.standin_mut().heal();
    world.standin().release_replies();
    world.client.response(request).unwrap();
    assert_eq!(world.standin().requests("POST /assets/create"), 0);
}

#[test]
fn names_say_what_was_selected() {
    on(&[Service::Local, Service::Full], |mut world| {
        let file = world.dir().join("retry.rs");
        std::fs::write(&file, "one\ntwo\nthree\nfour\n").unwrap();
        let uri = file_uri(&file);
        let mut check = |at: Value, name: &str| {
            let started = start(&mut world, json!({"uri": uri, "range": at})).unwrap();
            assert_eq!(started["name"], name);
        };
        check(Value::Null, "retry.rs");
        check(cursor(1, 1), "retry.rs");
        check(range(1, 0, 2, 5), "retry.rs, lines 2–3");
        check(range(1, 0, 3, 0), "retry.rs, lines 2–3");
        check(range(2, 0, 2, 5), "retry.rs, line 3");
    });
}

#[test]
fn the_editors_language_decides() {
    let mut world = World::start(Service::Local);
    for (uri, language, expected) in [
        ("untitled:Untitled-1", "rust", "rs"),
        (
            "vscode-notebook-cell:/home/me/n.ipynb#W0sZmlsZQ%3D%3D",
            "python",
            "py",
        ),
        ("file:///home/u/Makefile", "makefile", "hljs-makefile"),
        ("file:///home/u/.bashrc", "shellscript", "sh"),
        ("file:///home/u/a.rs", "plaintext", "rs"),
        ("untitled:Untitled-2", "plaintext", "txt"),
    ] {
        let document = json!({"uri": uri, "languageId": language, "version": 1, "text": "a"});
        world
            .client
            .notify("textDocument/didOpen", json!({ "textDocument": document }));
        let asset = started_asset(&mut world, json!({ "uri": uri }));
        let asset = world.other("GET", &format!("/asset/{asset}"), Value::Null);
        let classification = &asset["original"]["reference"]["classification"];
        assert_eq!(classification["specific"], expected, "{uri}");
    }
}

#[test]
fn a_new_conversation_is_shown_unless_the_client_shows_it() {
    let mut world = World::start(Service::Local);
    world.open(DOCUMENT, "fn main() {}");
    let asset = world.create_asset("a.rs", "fn a() {}");
    let shown = "window/showDocument";
    for (command, argument) in [
        ("startFromDocument", json!({"uri": DOCUMENT})),
        ("createFromAsset", json!({"asset": asset})),
    ] {
        let started = world.run(command, argument.clone()).unwrap();
        let uri = format!(
            "pieces-conversation:/{}.md",
            started["conversation"].as_str().unwrap()
        );
        world
            .client
            .wait_request(shown, |params| params["uri"] == uri);
        let mut silent = argument;
        silent["show"] = json!(false);
        world.run(command, silent).unwrap();
    }
    assert!(world.client.drain(shown).is_empty());
    // Where the editor does not show it, a message says what was started.
    world.client.refuse(shown);
    world.client.allow("window/showMessage");
    start(&mut world, json!({"uri": DOCUMENT})).unwrap();
    let told = |params: &Value| params["message"].as_str().unwrap().contains("Untitled-1");
    world.client.wait_notification("window/showMessage", told);
}

#[test]
fn several_writes_at_once() {
    let mut world = World::start(Service::Local);
    let answered = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&answered);
    world.client.answer(QUESTION, move |params| {
        *counted.lock().unwrap() += 1;
        Some(params["actions"][0].clone())
    });
    let created: Vec<i64> = (0..20).map(|_| world.send("create", json!({}))).collect();
    let created = created
        .into_iter()
        .map(|request| world.client.response(request).unwrap());
    let created: Vec<String> = created
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(world.items().len(), 20);
    let deleted: Vec<i64> = created
        .iter()
        .map(|id| world.send("delete", json!(id)))
        .collect();
    for request in deleted {
        assert_eq!(world.client.response(request), Ok(json!({"deleted": true})));
    }
    assert!(world.items().is_empty());
    assert_eq!(*answered.lock().unwrap(), 20);
}
