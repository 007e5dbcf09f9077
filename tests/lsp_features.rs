//! Conversations as editor objects: links, documents, search, rename and the trash.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use support::client::eventually;
use support::world::{ABSENT, ALL, Service, WHOLE, World, capabilities, refused};

const NOTE: &str = "file:///note.md";

/// Capabilities of an editor of today, and these besides.
fn with(more: Value) -> Value {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => from
                .into_iter()
                .for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value)),
            (into, from) => *into = from,
        }
    }
    let mut capabilities = capabilities();
    merge(&mut capabilities, more);
    capabilities
}

fn seeded(world: &mut World, name: &str, messages: &[(&str, &str)]) -> String {
    let message =
        |(role, text): &(&str, &str)| json!({"role": role, "fragment": {"string": {"raw": text}}});
    let messages: Vec<Value> = messages.iter().map(message).collect();
    let seed = json!({"type": "COPILOT", "name": name, "messages": messages});
    let created = world
        .run("create", json!({"seededConversation": seed}))
        .unwrap();
    created["id"].as_str().unwrap().to_owned()
}

/// A request about a position in [`NOTE`].
fn at(world: &mut World, method: &str, line: u32, character: u32) -> Value {
    let params = json!({
        "textDocument": {"uri": NOTE},
        "position": {"line": line, "character": character},
        "context": {"includeDeclaration": true, "triggerKind": 1},
    });
    world
        .client
        .request(&format!("textDocument/{method}"), params)
        .unwrap()
}

fn of(world: &mut World, method: &str, uri: &str) -> Value {
    let params = json!({"textDocument": {"uri": uri}, "range": {
        "start": {"line": 0, "character": 0}, "end": {"line": 99_999, "character": 0}}});
    world
        .client
        .request(&format!("textDocument/{method}"), params)
        .unwrap()
}

fn content(world: &mut World, uri: &str) -> String {
    let answer = world
        .client
        .request("workspace/textDocumentContent", json!({"uri": uri}))
        .unwrap();
    answer["text"].as_str().unwrap().to_owned()
}

fn link(id: &str) -> String {
    format!("pieces-conversation:/{id}.md")
}

#[test]
fn a_conversation_as_a_document() {
    for service in WHOLE {
        let mut world = World::start(service);
        let said = [
            ("USER", "# Why?\n```\nopen"),
            ("ASSISTANT", "<b>Because</b> [x](command:y)"),
        ];
        let id = seeded(&mut world, "Retry *now*", &said);
        let text = content(&mut world, &link(&id));
        let parts: Vec<&str> = text.split("\n## ").collect();
        assert_eq!(parts.len(), 3, "{text}");
        assert!(parts[0].starts_with("# Retry \\*now\\*\n"), "{text}");
        assert!(parts[0].contains("2 messages"), "{text}");
        assert!(
            parts[1].starts_with("You\n*") && parts[1].contains("### Why?"),
            "{text}"
        );
        assert!(parts[1].trim_end().ends_with("open\n```"), "{text}");
        assert!(parts[2].starts_with("Assistant\n*"), "{text}");
        assert!(
            parts[2].contains("\\<b>Because\\</b> \\[x](command:y)"),
            "{text}"
        );

        world.open(&link(&id), &text);
        let symbols = of(&mut world, "documentSymbol", &link(&id));
        let symbols = symbols.as_array().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(symbols.len(), 2);
        let names = ["You: Why?", "Assistant: <b>Because</b> [x](command:y)"];
        for (symbol, name) in symbols.iter().zip(names) {
            let start = symbol["range"]["start"]["line"].as_u64().unwrap() as usize;
            assert_eq!(symbol["name"], name);
            let role = name.split(':').next().unwrap();
            assert_eq!(lines[start], format!("## {role}"));
        }
        let folds = of(&mut world, "foldingRange", &link(&id));
        assert_eq!(folds.as_array().unwrap().len(), 2);
        assert_eq!(folds[0]["startLine"], symbols[0]["range"]["start"]["line"]);
    }
}

#[test]
fn an_editor_without_nested_symbols_gets_a_flat_list_of_messages() {
    let (spawn, options) = (support::world::local, Value::Null);
    let dir = tempfile::tempdir().unwrap();
    let (client, initialized) =
        support::client::Client::connect(spawn(dir.path()), json!({}), options);
    assert_eq!(initialized["capabilities"]["renameProvider"], json!(true));
    drop(client);

    let mut world = World::with(Service::Local, json!({}), Value::Null);
    let id = seeded(&mut world, "Retry", &[("USER", "Why?")]);
    let text = content(&mut world, &link(&id));
    world.open(&link(&id), &text);
    let symbols = of(&mut world, "documentSymbol", &link(&id));
    assert_eq!(symbols.as_array().unwrap().len(), 1);
    assert_eq!(symbols[0]["name"], "You: Why?");
    assert_eq!(symbols[0]["location"]["uri"], link(&id));
    assert_eq!(symbols[0].get("selectionRange"), None);
}

#[test]
fn a_document_without_messages_from_the_service() {
    let mut world = World::start(Service::Six);
    let id = seeded(&mut world, "Six", &[("USER", "secret")]);
    let text = content(&mut world, &link(&id));
    assert!(
        text.starts_with("# Six\n") && text.contains("does not provide messages"),
        "{text}"
    );
}

#[test]
fn other_uris_are_an_error() {
    for service in ALL {
        let mut world = World::start(service);
        let mut ask = |uri: &str, kind: &str| {
            let params = json!({ "uri": uri });
            refused(
                world
                    .client
                    .request("workspace/textDocumentContent", params),
                kind,
            );
        };
        ask(&link(ABSENT), "not-found");
        ask("pieces-conversation:/nothing.md", "invalid-argument");
        ask("file:///etc/passwd", "invalid-argument");
    }
}

#[test]
fn an_asset_as_a_document() {
    for service in WHOLE {
        let mut world = World::start(service);
        let asset = world.create_known_asset("retry.rs");
        let text = content(&mut world, &format!("pieces-asset:/{asset}/retry.rs"));
        assert_eq!(text, "fn main() {}");
    }
}

#[test]
fn open_documents_follow_their_conversation() {
    for service in WHOLE {
        let more = json!({"workspace": {"textDocumentContent": {"dynamicRegistration": true}}});
        let mut world = World::with(service, with(more), Value::Null);
        world
            .client
            .answer("workspace/textDocumentContent/refresh", |_| {
                Some(Value::Null)
            });
        world
            .client
            .wait_request("client/registerCapability", |params| {
                let registration = &params["registrations"][0];
                registration["method"] == "workspace/textDocumentContent"
                    && registration["registerOptions"]["schemes"]
                        == json!(["pieces-conversation", "pieces-asset"])
            });
        let id = seeded(&mut world, "Before", &[]);
        let other = seeded(&mut world, "Other", &[]);
        let text = content(&mut world, &link(&id));
        world.open(&link(&id), &text);
        world
            .run("rename", json!({"conversation": other, "name": "Not this"}))
            .unwrap();
        world
            .run("rename", json!({"conversation": id, "name": "After"}))
            .unwrap();
        let refreshed = world
            .client
            .wait_request("workspace/textDocumentContent/refresh", |_| true);
        assert_eq!(refreshed["uri"], link(&id));
        assert!(content(&mut world, &link(&id)).starts_with("# After\n"));
    }
}

/// `updated` and the number of messages stay as they were, so only the stream tells.
#[test]
fn an_edited_message_is_seen_in_the_open_document() {
    const REFRESH: &str = "workspace/textDocumentContent/refresh";
    const CHANGED: &str = "pieces/didChangeConversations";
    let more = json!({"workspace": {"textDocumentContent": {"dynamicRegistration": true}}});
    let live = json!({"liveUpdates": true});
    let mut world = World::with(Service::Full, with(more), live);
    world.client.allow(CHANGED);
    world.client.allow("pieces/didChangeStatus");
    world.client.answer(REFRESH, |_| Some(Value::Null));
    world
        .client
        .wait_request("client/registerCapability", |_| true);
    let id = seeded(&mut world, "Chat", &[("USER", "Before")]);
    // From here on all is told and read, and nothing is pending.
    world.run("refresh", Value::Null).unwrap();
    let revision = world.list(json!({}))["revision"].clone();
    world
        .client
        .wait_notification(CHANGED, |change| change["revision"] == revision);
    let text = content(&mut world, &link(&id));
    assert!(text.contains("Before"), "{text}");
    world.open(&link(&id), &text);
    let edit = |world: &World, text: &str| {
        world.standin().with(|state| {
            state.clock_stopped = true;
            let message = state.messages.values_mut().next().unwrap();
            message["fragment"]["string"]["raw"] = text.into();
        });
    };
    edit(&world, "After");
    world.standin().change(&id, |_| ());
    loop {
        let refreshed = world.client.wait_request(REFRESH, |_| true);
        assert_eq!(refreshed["uri"], link(&id));
        if content(&mut world, &link(&id)).contains("After") {
            break;
        }
    }
    // The item is the same, so there is nothing to tell of it.
    assert_eq!(world.list(json!({}))["revision"], revision);
    assert_eq!(world.client.drain(CHANGED), Vec::<Value>::new());

    // And what nobody tells is seen after a refresh.
    edit(&world, "Untold");
    world.run("refresh", Value::Null).unwrap();
    let text = content(&mut world, &link(&id));
    assert!(text.contains("Untold"), "{text}");
}

#[test]
fn references_in_any_text() {
    for service in ALL {
        let markdown = json!({"textDocument": {"hover": {"contentFormat": ["markdown"]}}});
        let mut world = World::with(service, with(markdown), Value::Null);
        let id = seeded(
            &mut world,
            "Retry *now*\u{202e}",
            &[("USER", "First"), ("ASSISTANT", "Last")],
        );
        let uri = link(&id);
        // Line 0: a bare id behind an emoji. Line 1: a link. Line 2: an id of nobody.
        world.open(NOTE, &format!("😀 {id}\n[x]({uri})\n{ABSENT}\n"));

        let hover = at(&mut world, "hover", 0, 5);
        assert_eq!(hover["range"]["start"], json!({"line": 0, "character": 3}));
        let shown = hover["contents"]["value"].as_str().unwrap();
        assert!(shown.starts_with("**Retry \\*now\\***\n"), "{shown}");
        assert!(shown.contains("2 messages"), "{shown}");
        assert!(shown.ends_with(&format!("\n\n[Open]({uri})")), "{shown}");
        if service != Service::Six {
            assert!(
                shown.contains("\n\nYou: First\n\nAssistant: Last\n\n"),
                "{shown}"
            );
        }
        assert_eq!(at(&mut world, "hover", 2, 5), Value::Null);

        let definition = at(&mut world, "definition", 1, 10);
        assert_eq!(definition["uri"], uri);
        assert_eq!(at(&mut world, "definition", 2, 5), Value::Null);
        let references = at(&mut world, "references", 0, 39);
        assert_eq!(references.as_array().unwrap().len(), 2, "{references}");

        let links = of(&mut world, "documentLink", NOTE);
        let links = links.as_array().unwrap();
        assert_eq!(links.len(), 2);
        assert!(
            links
                .iter()
                .all(|one| one["target"] == uri && one["tooltip"] == "Open conversation")
        );

        let hints = of(&mut world, "inlayHint", NOTE);
        let hints = hints.as_array().unwrap();
        assert_eq!(hints.len(), 1, "bare ids only");
        assert_eq!(hints[0]["position"], json!({"line": 0, "character": 39}));
        assert_eq!(hints[0]["label"], "Retry *now*");
    }
}

#[test]
fn links_are_completed_by_name() {
    for service in ALL {
        let mut world = World::start(service);
        let retry = seeded(&mut world, "Retry [with] jitter", &[]);
        seeded(&mut world, "Something else", &[]);
        let text = "pieces-conversation:rj\n[[pieces:jit]]\nother: x\n";
        let document = json!({"uri": NOTE, "languageId": "markdown", "version": 1, "text": text});
        world
            .client
            .notify("textDocument/didOpen", json!({ "textDocument": document }));
        let mut complete = |line, character| {
            let answer = at(&mut world, "completion", line, character);
            match answer["items"].as_array() {
                None => Value::Null,
                Some(items) => {
                    assert_eq!(items.len(), 1);
                    assert_eq!(items[0]["label"], "Retry [with] jitter");
                    let age = items[0]["labelDetails"]["description"].as_str().unwrap();
                    assert!(age == "just now" || age.ends_with(" ago"), "{age}");
                    items[0]["textEdit"].clone()
                }
            }
        };
        let bare = complete(0, 22);
        assert_eq!(bare["newText"], link(&retry));
        assert_eq!(bare["range"]["start"]["character"], 0);
        let wiki = complete(1, 12);
        assert_eq!(
            wiki["newText"],
            format!("[Retry \\[with\\] jitter]({})", link(&retry))
        );
        assert_eq!(
            wiki["range"]["end"]["character"], 14,
            "the brackets go with it"
        );
        assert_eq!(complete(2, 6), Value::Null);
    }
}

/// Where it would be code, a name is inserted without what could end a comment or a text.
#[test]
fn names_in_code_cannot_end_a_comment_or_string() {
    let mut world = World::start(Service::Local);
    let id = seeded(&mut world, "a */ #[evil] \"\"\" --> b", &[]);
    world.open(NOTE, "/* [[pieces:evil]] */");
    let answer = at(&mut world, "completion", 0, 16);
    assert_eq!(
        answer["items"][0]["textEdit"]["newText"],
        format!("[a / # evil ””” -- b]({})", link(&id))
    );
}

#[test]
fn symbols_are_conversations_by_name() {
    for service in ALL {
        let mut world = World::start(service);
        for name in ["Alpha", "Retry with jitter", "Beta"] {
            seeded(&mut world, name, &[]);
        }
        let mut search = |query: &str| -> Vec<String> {
            let found = world
                .client
                .request("workspace/symbol", json!({ "query": query }))
                .unwrap();
            let names = found.as_array().unwrap().iter();
            names
                .map(|one| one["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(search("rwj"), ["Retry with jitter"]);
        assert_eq!(search("nothing like it"), [""; 0]);
        assert_eq!(search("").len(), 3);
        for number in 0..4 {
            seeded(&mut world, &format!("Retry {number}"), &[]);
        }
        let mut search = |query: &str| -> Vec<Value> {
            let query = json!({ "query": query });
            let found = world.client.request("workspace/symbol", query).unwrap();
            found.as_array().unwrap().clone()
        };
        assert_eq!(search("").len(), 5, "they stand among others");
        assert_eq!(search("pieces ").len(), 7);
        assert_eq!(search("pieces").len(), 7, "Helix trims the query");
        let found = search("Pieces retry");
        assert_eq!(found.len(), 5);
        assert_eq!(found[0]["kind"], 1, "a file");
        let container = found[0]["containerName"].as_str().unwrap();
        assert!(container.starts_with("Pieces · "), "{container}");
        seeded(&mut world, "Pieces of eight", &[]);
        let query = json!({ "query": "pieces" });
        let named = world.client.request("workspace/symbol", query).unwrap();
        assert_eq!(named.as_array().unwrap().len(), 1, "{named}");
    }
}

#[test]
fn completion_offers_scattered_letters_only_if_nothing_else_matches() {
    let mut world = World::start(Service::Local);
    for name in ["Webpack polyfill", "Exponential backoff"] {
        seeded(&mut world, name, &[]);
    }
    let mut offered = |query: &str| -> Vec<String> {
        world.open(NOTE, &format!("[[pieces:{query}"));
        let answer = at(&mut world, "completion", 0, 9 + query.len() as u32);
        let items = answer["items"].as_array().unwrap().iter();
        let labels = items.map(|one| one["label"].as_str().unwrap().to_owned());
        let labels = labels.collect();
        let closed = json!({"textDocument": {"uri": NOTE}});
        world.client.notify("textDocument/didClose", closed);
        labels
    };
    assert_eq!(offered("back"), ["Exponential backoff"]);
    assert_eq!(offered("wbpck"), ["Webpack polyfill"]);
}

#[test]
fn where_the_editor_opens_only_files_symbols_and_definitions_lead_to_copies() {
    for service in WHOLE {
        let mut world = World::of_editor("helix", service, capabilities(), Value::Null, |_| ());
        for number in 0..25 {
            seeded(&mut world, &format!("Retry {number}"), &[]);
        }
        let id = seeded(&mut world, "With jitter", &[("USER", "Hello")]);
        let query = json!({ "query": "jitter" });
        let found = world.client.request("workspace/symbol", query).unwrap();
        let copy = &found[0]["location"]["uri"];
        let path = url::Url::parse(copy.as_str().unwrap()).unwrap();
        let read = || std::fs::read_to_string(path.to_file_path().unwrap()).unwrap();
        assert_eq!(read(), content(&mut world, &link(&id)));

        world.open(NOTE, &format!("see {}", link(&id)));
        let definition = at(&mut world, "definition", 0, 10);
        assert_eq!(&definition["uri"], copy);

        let query = json!({ "query": "pieces retry" });
        let found = world.client.request("workspace/symbol", query).unwrap();
        assert_eq!(found.as_array().unwrap().len(), 20, "each is a file");
        for one in found.as_array().unwrap() {
            let uri = one["location"]["uri"].as_str().unwrap();
            let path = url::Url::parse(uri).unwrap().to_file_path().unwrap();
            assert!(path.is_file(), "{uri}");
        }
    }
}

#[test]
fn links_to_deleted_conversations() {
    for service in ALL {
        let mut world = World::start(service);
        world.client.allow("textDocument/publishDiagnostics");
        let kept = seeded(&mut world, "Retry helper", &[]);
        let gone = seeded(&mut world, "Retry help", &[]);
        world.open(
            NOTE,
            &format!("[retry]({}) {}\n{ABSENT}", link(&gone), link(&kept)),
        );
        world
            .run(
                "delete",
                json!({"conversation": gone, "confirm": false, "force": service == Service::Six}),
            )
            .unwrap();
        let published =
            world
                .client
                .wait_notification("textDocument/publishDiagnostics", |params| {
                    params["diagnostics"]
                        .as_array()
                        .is_some_and(|all| !all.is_empty())
                });
        let diagnostics = published["diagnostics"].as_array().unwrap();
        assert_eq!(diagnostics.len(), 1, "{published}");
        assert_eq!(
            (&diagnostics[0]["code"], &published["version"]),
            (&json!("gone"), &json!(1))
        );

        let range = &diagnostics[0]["range"];
        let params = json!({"textDocument": {"uri": NOTE}, "range": range,
            "context": {"diagnostics": diagnostics, "only": ["quickfix"]}});
        let fixes = world
            .client
            .request("textDocument/codeAction", params)
            .unwrap();
        let fixes = fixes.as_array().unwrap();
        let titles: Vec<&str> = fixes
            .iter()
            .map(|fix| fix["title"].as_str().unwrap())
            .collect();
        assert_eq!(
            titles,
            ["Point the link to “Retry helper”", "Remove the link"]
        );
        let edit = |fix: &Value| fix["edit"]["changes"][NOTE][0]["newText"].clone();
        assert_eq!(
            (edit(&fixes[0]), edit(&fixes[1])),
            (json!(link(&kept)), json!("retry"))
        );
        assert_eq!(fixes[0]["diagnostics"][0]["range"], *range);

        // Mended by hand: the diagnostic goes.
        let change =
            json!({"textDocument": {"uri": NOTE, "version": 2}, "contentChanges": [{"text": "x"}]});
        world.client.notify("textDocument/didChange", change);
        world
            .client
            .wait_notification("textDocument/publishDiagnostics", |params| {
                params["diagnostics"] == json!([]) && params["version"] == 2
            });
    }
}

#[test]
fn answers_about_texts_full_of_links_are_short() {
    let mut world = World::start(Service::Local);
    world.client.allow("textDocument/publishDiagnostics");
    let gone = |number: usize| {
        format!("[retry](pieces-conversation:/{number:08}-0000-4000-8000-000000000000.md)\n")
    };
    let text: String = (0..1_500).map(gone).collect();
    world.open(NOTE, &text);
    let published = world
        .client
        .wait_notification("textDocument/publishDiagnostics", |params| {
            params["diagnostics"] != json!([])
        });
    assert_eq!(published["diagnostics"].as_array().unwrap().len(), 1_000);

    let range =
        json!({"start": {"line": 0, "character": 0}, "end": {"line": 1_500, "character": 0}});
    let params = json!({"textDocument": {"uri": NOTE}, "range": range,
        "context": {"diagnostics": [], "only": ["quickfix"]}});
    let fixes = world.client.request("textDocument/codeAction", params);
    let titles: Vec<Value> = fixes
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|fix| fix["title"].clone())
        .collect();
    assert_eq!(titles, ["Remove the link"; 5]);

    let known = seeded(&mut world, "Retry", &[]);
    let change = json!({"textDocument": {"uri": NOTE, "version": 2},
        "contentChanges": [{"text": format!("{known} ").repeat(10_001)}]});
    world.client.notify("textDocument/didChange", change);
    let text = json!({"uri": NOTE});
    let start = json!({"line": 0, "character": 0});
    let everything = json!({"start": start, "end": {"line": 1, "character": 0}});
    for (method, params) in [
        ("textDocument/documentLink", json!({"textDocument": text})),
        (
            "textDocument/inlayHint",
            json!({"textDocument": text, "range": everything}),
        ),
        (
            "textDocument/references",
            json!({"textDocument": text, "position": start,
            "context": {"includeDeclaration": true}}),
        ),
    ] {
        let places = world.client.request(method, params).unwrap();
        assert_eq!(places.as_array().unwrap().len(), 10_000, "{method}");
    }
}

#[test]
fn features_can_be_switched_off() {
    let options = json!({"codeLens": false, "inlayHints": false, "diagnostics": false});
    let mut world = World::with(Service::Local, capabilities(), options);
    let file = world.dir().join("a.rs");
    std::fs::write(&file, "fn a() {}").unwrap();
    let uri = url::Url::from_file_path(&file).unwrap().to_string();
    let started = world
        .run("startFromDocument", json!({ "uri": uri }))
        .unwrap();
    let id = started["conversation"].as_str().unwrap().to_owned();
    world.open(NOTE, &format!("{id} {}", link(ABSENT)));
    assert_eq!(of(&mut world, "inlayHint", NOTE), Value::Null);
    assert_eq!(of(&mut world, "codeLens", &uri), json!([]));
    // A diagnostic would be a surprise at the end of the session.
    world
        .run("delete", json!({"conversation": id, "confirm": false}))
        .unwrap();
}

#[test]
fn lenses_on_files_with_conversations() {
    for service in WHOLE {
        let mut world = World::start(service);
        let file = world.dir().join("retry.rs");
        std::fs::write(&file, "fn retry() {}").unwrap();
        let uri = url::Url::from_file_path(&file).unwrap().to_string();
        assert_eq!(of(&mut world, "codeLens", &uri), json!([]));
        let started = world
            .run("startFromDocument", json!({ "uri": uri }))
            .unwrap();
        eventually("the lenses", || {
            of(&mut world, "codeLens", &uri).as_array().unwrap().len() == 2
        });
        let lenses = of(&mut world, "codeLens", &uri);
        assert_eq!(
            lenses[0]["command"]["arguments"][0]["conversation"],
            started["conversation"]
        );
        assert_eq!(
            lenses[1]["command"]["command"],
            "pieces.conversations.startFromDocument"
        );
        let other = url::Url::from_file_path(world.dir().join("other.rs")).unwrap();
        assert_eq!(of(&mut world, "codeLens", other.as_str()), json!([]));
        // With a second one it is asked which.
        world
            .run("startFromDocument", json!({ "uri": uri }))
            .unwrap();
        eventually("the choice", || {
            let lenses = of(&mut world, "codeLens", &uri);
            lenses[0]["command"]["arguments"][0] == json!({ "uri": uri })
                && lenses[0]["command"]["title"] == "2 conversations…"
        });
    }
}

#[test]
fn views_are_refreshed_when_conversations_change() {
    let more = json!({"workspace": {"codeLens": {"refreshSupport": true}, "inlayHint": {"refreshSupport": true}}});
    let mut world = World::with(Service::Full, with(more), Value::Null);
    for method in ["workspace/codeLens/refresh", "workspace/inlayHint/refresh"] {
        world.client.answer(method, |_| Some(Value::Null));
        world.create("New");
        world.client.wait_request(method, |_| true);
    }
}

#[test]
fn rename_on_a_reference_and_on_a_title() {
    for service in WHOLE {
        let mut world = World::start(service);
        let id = seeded(&mut world, "Before", &[]);
        world.open(NOTE, &format!("see {id}\n{ABSENT}"));
        let prepared = at(&mut world, "prepareRename", 0, 10);
        assert_eq!(prepared["placeholder"], "Before");
        assert_eq!(prepared["range"]["start"]["character"], 4);
        assert_eq!(at(&mut world, "prepareRename", 1, 10), Value::Null);
        let params = json!({"textDocument": {"uri": NOTE}, "position": {"line": 0, "character": 10}, "newName": "After"});
        world.client.request("textDocument/rename", params).unwrap();
        assert_eq!(world.item(&id).unwrap()["name"], "After");

        let text = content(&mut world, &link(&id));
        world.open(&link(&id), &text);
        let place =
            json!({"textDocument": {"uri": link(&id)}, "position": {"line": 0, "character": 4}});
        let prepared = world
            .client
            .request("textDocument/prepareRename", place.clone())
            .unwrap();
        assert_eq!(prepared["placeholder"], "After");
        let mut params = place;
        params["newName"] = json!("Last");
        world
            .client
            .request("textDocument/rename", params.clone())
            .unwrap();
        assert_eq!(world.item(&id).unwrap()["name"], "Last");
        params["newName"] = json!(" \n ");
        refused(
            world.client.request("textDocument/rename", params),
            "invalid-argument",
        );
    }
}

/// What a search found: name, message, role, what is marked in the excerpt, and whether it stands on that line.
fn found(world: &mut World, argument: Value) -> Vec<(String, bool, Value, String, String)> {
    let answer = world.run("search", argument).unwrap();
    let items = answer["items"].as_array().unwrap().clone();
    let mut all = Vec::new();
    for item in items {
        let excerpt: Vec<u16> = item["excerpt"].as_str().unwrap().encode_utf16().collect();
        let at = |n: usize| usize::try_from(item["match"][n].as_u64().unwrap()).unwrap();
        let matched = String::from_utf16(&excerpt[at(0)..at(1)]).unwrap();
        let uri = item["conversation"]["uri"].clone();
        let document = world
            .client
            .request("workspace/textDocumentContent", json!({"uri": uri}))
            .unwrap();
        let line = usize::try_from(item["line"].as_u64().unwrap()).unwrap();
        let line = document["text"]
            .as_str()
            .unwrap()
            .lines()
            .nth(line)
            .unwrap();
        all.push((
            item["conversation"]["name"].as_str().unwrap().to_owned(),
            item["message"].is_string(),
            item["role"].clone(),
            matched,
            line.to_owned(),
        ));
    }
    all
}

#[test]
fn full_text_search() {
    let mut world = World::start(Service::Local);
    let id = seeded(
        &mut world,
        "Plain",
        &[
            ("USER", "nothing"),
            ("ASSISTANT", "😀 use **exponential** backoff\n\n    here"),
        ],
    );
    seeded(&mut world, "Other", &[("USER", "nothing")]);
    let answer = world.run("search", json!({"query": "Backoff"})).unwrap();
    let item = &answer["items"][0];
    assert_eq!(answer["total"], 1);
    assert_eq!(item["conversation"]["id"], id);
    assert_eq!(item["excerpt"], "😀 use exponential backoff here");
    assert_eq!(item["match"], json!([19, 26]));
    assert!(item["time"].as_str().unwrap().ends_with('Z'), "{item}");
    let places = found(&mut world, json!({"query": "backoff"}));
    let (name, is_message, role, matched, line) = &places[0];
    assert_eq!(
        (name.as_str(), *is_message, role),
        ("Plain", true, &json!("ASSISTANT"))
    );
    assert_eq!(matched, "backoff");
    assert!(line.starts_with("## Assistant"), "{line}");
    // A name.
    let places = found(&mut world, json!({"query": "oth"}));
    let (name, is_message, role, matched, line) = &places[0];
    assert_eq!(
        (name.as_str(), *is_message, role),
        ("Other", false, &Value::Null)
    );
    assert_eq!((matched.as_str(), line.as_str()), ("Oth", "# Other"));
    // Pages.
    let argument = json!({"query": "nothing", "limit": 1, "offset": 1});
    let page = world.run("search", argument).unwrap();
    assert_eq!(
        (
            page["total"].as_u64(),
            page["items"].as_array().unwrap().len()
        ),
        (Some(2), 1)
    );
    assert_eq!(
        world.run("search", json!({"query": "absent"})).unwrap(),
        json!({"total": 0, "items": []})
    );
    for wrong in [json!({"query": " "}), json!({"query": "x", "offset": -1})] {
        refused(world.run("search", wrong), "invalid-argument");
    }
    let mut world = World::start(Service::Six);
    refused(world.run("search", json!({"query": "x"})), "not-found");
}

#[test]
fn search_finds_words_of_scripts_without_spaces() {
    let mut world = World::start(Service::Local);
    seeded(
        &mut world,
        "Notes",
        &[
            ("USER", "今天讨论了部署方案，结论是先灰度发布"),
            ("USER", "サンドボックス修正テストを実行"),
            ("USER", "วันนี้คุยเรื่องการปรับใช้"),
            ("USER", "배포를 재시도합니다"),
            ("USER", "ភាសាខ្មែរនិងកម្មវិធី"),
            ("USER", "ဆော့ဖ်ဝဲကိုစမ်းသပ်သည်"),
            ("USER", "ພາສາລາວແລະໂປຣແກຣມ"),
        ],
    );
    for typed in [
        "今天",
        "部署",
        "部署方案",
        "灰度",
        "发布",
        "修正",
        "テスト",
        "実行",
        "การปรับ",
        "เรื่อง",
        "배포",
        "시도",
        "កម្មវិធី",
        "ខ្មែរ",
        "စမ်းသပ်",
        "ໂປຣແກຣມ",
        "ລາວ",
    ] {
        let places = found(&mut world, json!({"query": typed}));
        let matched: Vec<&str> = places.iter().map(|place| place.3.as_str()).collect();
        assert_eq!(matched, [typed]);
    }
    for absent in ["署部", "部方", "ปรบ", "배를"] {
        assert_eq!(found(&mut world, json!({"query": absent})), []);
    }
}

#[test]
fn deleted_conversations_can_be_restored() {
    for service in WHOLE {
        let mut world = World::start(service);
        world.client.allow("textDocument/publishDiagnostics");
        let file = world.dir().join("retry.rs");
        std::fs::write(&file, "fn retry() {}").unwrap();
        let uri = url::Url::from_file_path(&file).unwrap().to_string();
        let anchor = json!([{"type": "FILE", "fullpath": file}]);
        let seed = json!({"type": "COPILOT", "name": "Keep me", "favorited": true, "anchors": anchor, "messages": [
            {"role": "USER", "fragment": {"string": {"raw": "One"}}},
            {"role": "ASSISTANT", "fragment": {"string": {"raw": "Two"}}}]});
        let created = world
            .run("create", json!({"seededConversation": seed}))
            .unwrap();
        let id = created["id"].as_str().unwrap().to_owned();
        let before = content(&mut world, &link(&id));
        eventually("its file", || {
            world.item(&id).unwrap()["files"] == json!([uri])
        });
        world
            .run("delete", json!({"conversation": id, "confirm": false}))
            .unwrap();

        let trash = world.run("trash", Value::Null).unwrap();
        let items = trash["items"].as_array().unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            (
                &items[0]["conversation"],
                &items[0]["name"],
                &items[0]["messages"]
            ),
            (&json!(id), &json!("Keep me"), &json!(2))
        );
        let restored = world.run("restore", json!({ "conversation": id })).unwrap();
        let new = restored["conversation"].as_str().unwrap().to_owned();
        assert_eq!(new == id, service == Service::Local);
        assert_eq!(restored["name"], "Keep me");
        let item = world.item(&new).expect("listed at once");
        assert_eq!(
            (&item["favorited"], &item["messages"]),
            (&json!(true), &json!(2))
        );
        eventually("its file", || {
            world.item(&new).unwrap()["files"] == json!([uri])
        });
        let said = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| matches!(*line, "One" | "Two"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(said(&content(&mut world, &link(&new))), said(&before));
        assert_eq!(
            world.run("trash", Value::Null).unwrap(),
            json!({"items": []})
        );
        let again = world.run("restore", json!({ "conversation": id }));
        if service == Service::Local {
            assert_eq!(again, Ok(restored), "it is there");
            continue;
        }
        refused(again, "not-found");

        // A link to the old id can be pointed to the new one.
        world.open(NOTE, &format!("[it]({})", link(&id)));
        let params = json!({"textDocument": {"uri": NOTE}, "range": {
            "start": {"line": 0, "character": 10}, "end": {"line": 0, "character": 10}},
            "context": {"diagnostics": [], "only": ["quickfix"]}});
        let fixes = world
            .client
            .request("textDocument/codeAction", params)
            .unwrap();
        assert_eq!(fixes[0]["edit"]["changes"][NOTE][0]["newText"], link(&new));
    }
}

#[test]
fn editors_that_only_show_files_get_a_file() {
    for service in WHOLE {
        let mut world = World::with(service, capabilities(), Value::Null);
        let id = seeded(&mut world, "As a file", &[("USER", "Hello")]);
        world.client.answer("window/showDocument", |params| {
            let file = params["uri"].as_str().unwrap().starts_with("file:");
            Some(json!({"success": file}))
        });
        assert_eq!(world.run("open", json!(id)), Ok(Value::Null));
        let shown = world
            .client
            .wait_request("window/showDocument", |params| params["uri"] != link(&id));
        let path = url::Url::parse(shown["uri"].as_str().unwrap())
            .unwrap()
            .to_file_path()
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            content(&mut world, &link(&id))
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &std::path::Path| {
                std::fs::metadata(path).unwrap().permissions().mode() & 0o777
            };
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o400, 0o700));
            // It is replaced all the same.
            assert_eq!(world.run("open", json!(id)), Ok(Value::Null));
        }
    }
}
