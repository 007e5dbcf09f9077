//! Talk files, comments with questions, and code out of answers, as an editor without a plugin of ours uses them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::path::PathBuf;
use support::client::{Client, eventually};
use support::endpoint::Endpoint;
use support::standin::Answer;
use support::world::{Service, World, capabilities, local, refused, wait_live};
use tempfile::TempDir;

const EDIT: &str = "workspace/applyEdit";
const CODE: &str = "fn a() {}\nfn b() {\n    loop {}\n}\nfn c() {}\n";

/// What an editor can do that applies edits.
fn editing() -> Value {
    let mut capabilities = capabilities();
    capabilities["workspace"]["workspaceEdit"] = json!({"documentChanges": true});
    capabilities
}

/// A world whose editor applies edits.
fn world(service: Service, options: Value) -> World {
    let mut world = World::with(service, editing(), options);
    world
        .client
        .answer(EDIT, |_| Some(json!({"applied": true})));
    world
}

/// A document of an editor.
struct Buffer {
    uri: String,
    text: String,
    version: i64,
}

impl Buffer {
    /// Opens a file.
    fn open(client: &mut Client, uri: &Value) -> Self {
        let uri = uri.as_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path(&uri)).unwrap();
        let document = json!({"uri": uri, "languageId": "markdown", "version": 1, "text": text});
        client.notify("textDocument/didOpen", json!({ "textDocument": document }));
        client.barrier();
        Buffer {
            uri,
            text,
            version: 1,
        }
    }

    /// The server has the new text when this returns, so that what a test does elsewhere comes after it.
    fn tell(&mut self, client: &mut Client) {
        self.version += 1;
        let change = json!({"textDocument": {"uri": self.uri, "version": self.version},
            "contentChanges": [{"text": self.text}]});
        client.notify("textDocument/didChange", change);
        client.barrier();
    }

    /// Types at the end of the file.
    fn write(&mut self, client: &mut Client, text: &str) {
        self.text.push_str(text);
        self.tell(client);
    }

    /// Applies the next edit of the server, and tells so.
    fn apply(&mut self, client: &mut Client) {
        let params = client.wait_request(EDIT, |_| true);
        let change = &params["edit"]["documentChanges"][0];
        assert_eq!(change["textDocument"]["uri"], self.uri);
        assert_eq!(change["textDocument"]["version"], self.version);
        let mut edits = change["edits"].as_array().unwrap().clone();
        let at = |text: &str, position: &Value| {
            let line = position["line"].as_u64().unwrap() as usize;
            let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
            // Only ASCII stands before a place that is edited.
            start + position["character"].as_u64().unwrap() as usize
        };
        edits.sort_by_key(|edit| std::cmp::Reverse(at(&self.text, &edit["range"]["start"])));
        for edit in edits {
            let range = &edit["range"];
            let range = at(&self.text, &range["start"])..at(&self.text, &range["end"]);
            self.text
                .replace_range(range, edit["newText"].as_str().unwrap());
        }
        self.tell(client);
    }

    fn close(self, client: &mut Client) {
        let document = json!({ "textDocument": {"uri": self.uri} });
        client.notify("textDocument/didClose", document);
        client.barrier();
    }

    /// What stands above the room for the next question.
    fn picture(&self) -> &str {
        self.text.split("\n## You\n<!-- pieces:").next().unwrap()
    }

    /// What stands below the marker.
    fn prompt(&self) -> &str {
        let (_, below) = self.text.split_once("## You\n<!-- pieces:").unwrap();
        below.split_once('\n').unwrap().1.trim()
    }

    fn line_of(&self, needle: &str) -> usize {
        self.text
            .lines()
            .position(|line| line.contains(needle))
            .unwrap()
    }
}

fn path(uri: &str) -> PathBuf {
    url::Url::parse(uri).unwrap().to_file_path().unwrap()
}

/// The actions of a kind on a line.
fn actions(world: &mut World, uri: &str, line: usize, only: &str) -> Vec<Value> {
    let at = json!({"line": line, "character": 0});
    let params = json!({"textDocument": {"uri": uri}, "range": {"start": at, "end": at},
        "context": {"diagnostics": [], "only": [only], "triggerKind": 1}});
    let found = world.client.request("textDocument/codeAction", params);
    found.unwrap().as_array().unwrap().clone()
}

fn titles(actions: &[Value]) -> Vec<&str> {
    actions
        .iter()
        .map(|one| one["title"].as_str().unwrap())
        .collect()
}

/// Runs an action; the id of the request.
fn run(world: &mut World, action: &Value) -> i64 {
    let command = &action["command"];
    let params = json!({"command": command["command"], "arguments": command["arguments"]});
    world
        .client
        .send_request("workspace/executeCommand", params)
}

/// A file with code, open in the editor.
fn code(world: &mut World) -> String {
    let file = world.dir().join("retry.rs");
    std::fs::write(&file, CODE).unwrap();
    let uri = url::Url::from_file_path(&file).unwrap().to_string();
    world.open(&uri, CODE);
    uri
}

fn lenses(world: &mut World, uri: &str) -> Vec<String> {
    let params = json!({"textDocument": {"uri": uri}});
    let found = world
        .client
        .request("textDocument/codeLens", params)
        .unwrap();
    let title = |lens: &Value| lens["command"]["title"].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(title).collect()
}

#[test]
fn a_question_about_a_selection_is_asked_and_answered_in_a_talk_file() {
    let mut world = world(Service::Full, json!({"answerInDocument": "end"}));
    let uri = code(&mut world);
    let selected =
        json!({"start": {"line": 1, "character": 0}, "end": {"line": 4, "character": 0}});
    let params = json!({"textDocument": {"uri": uri}, "range": selected,
        "context": {"diagnostics": [], "only": ["pieces.ask"]}});
    let offered = world
        .client
        .request("textDocument/codeAction", params)
        .unwrap();
    let offered = offered.as_array().unwrap().clone();
    assert_eq!(titles(&offered), ["Ask about the selection…"]);
    let id = run(&mut world, &offered[0]);
    let talk = world.client.response(id).unwrap()["uri"].clone();
    let shown = world
        .client
        .wait_request("window/showDocument", |shown| shown["uri"] == talk);

    let mut buffer = Buffer::open(&mut world.client, &talk);
    let quoted = format!(
        "```rs {}:2-4\nfn b() {{\n    loop {{}}\n}}\n```",
        path(&uri).display()
    );
    assert_eq!(buffer.prompt(), quoted);
    // The cursor is where the question goes.
    let line = shown["selection"]["start"]["line"].as_u64().unwrap() as usize;
    let start: usize = buffer
        .text
        .split_inclusive('\n')
        .take(line)
        .map(str::len)
        .sum();
    buffer.text.insert_str(start, "Why does it loop?");
    buffer.tell(&mut world.client);

    let offered = actions(&mut world, &buffer.uri, line, "pieces.ask");
    assert_eq!(titles(&offered), ["Send"]);
    assert_eq!(lenses(&mut world, &buffer.uri), ["Send"]);
    let id = run(&mut world, &offered[0]);
    buffer.apply(&mut world.client);
    let answer = world.client.response(id).unwrap();
    assert_eq!(answer["text"], "Because it does.");
    assert_eq!(buffer.prompt(), "");
    let picture = buffer.picture().to_owned();
    let place = format!("[retry.rs, lines 2–4]({uri}#L2):");
    for part in [
        "## You\n*",
        "\n\nWhy does it loop?\n\n",
        &place,
        "## Assistant\n*",
        "Because it does.\n",
    ] {
        assert!(picture.contains(part), "{part} in {picture}");
    }
    let asked = world
        .standin()
        .with(|state| state.asked.last().unwrap().clone());
    let query = asked["relevance"]["query"].as_str().unwrap();
    assert!(
        query.contains("Why does it loop?") && query.contains("    loop {}"),
        "{query}"
    );

    // The next question goes to the same conversation.
    buffer.write(&mut world.client, "And then?\n");
    let again = json!({"uri": buffer.uri});
    let id = world.send("send", again);
    buffer.apply(&mut world.client);
    let next = world.client.response(id).unwrap();
    assert_eq!(next["conversation"], answer["conversation"]);
    assert!(
        buffer.picture().contains("\n\nAnd then?\n"),
        "{}",
        buffer.text
    );

    // Closed, the file on disk is as the conversation is.
    let uri = buffer.uri.clone();
    buffer.close(&mut world.client);
    eventually("the file", || {
        let text = std::fs::read_to_string(path(&uri)).unwrap();
        text.starts_with("# Why does it loop?\n") && text.contains("\n\nAnd then?\n")
    });
}

#[test]
fn the_answer_is_written_by_paragraphs_and_can_be_stopped() {
    let mut world = world(Service::Full, Value::Null);
    let words = vec!["One.\n\nTwo.\n\n", "Th"];
    world
        .standin()
        .with(|state| state.answer = Answer::Hang(words));
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    buffer.write(&mut world.client, "Count.\n");
    let id = world.send("send", json!({"uri": talk}));
    buffer.apply(&mut world.client);
    assert_eq!(buffer.prompt(), "");
    if !buffer.text.contains("Two.") {
        buffer.apply(&mut world.client);
    }
    assert!(
        buffer.text.contains("One.\n\nTwo.\n\n## You\n"),
        "{}",
        buffer.text
    );
    assert!(!buffer.text.contains("Th\n"), "{}", buffer.text);
    // A person goes on typing meanwhile.
    buffer.write(&mut world.client, "Next");
    let mut offered = Vec::new();
    eventually("the stop", || {
        offered = actions(&mut world, &buffer.uri, 0, "pieces.ask");
        titles(&offered) == ["Stop the answer"]
    });
    assert_eq!(lenses(&mut world, &buffer.uri), ["Stop the answer"]);
    refused(world.run("send", json!({"uri": talk})), "busy");
    let stop = run(&mut world, &offered[0]);
    assert_eq!(
        world.client.response(stop).unwrap(),
        json!({"stopped": true})
    );
    let answer = world.client.response(id).unwrap();
    assert_eq!(answer["stop"], "cancelled");
    buffer.apply(&mut world.client);
    assert!(buffer.text.contains("Two.\n\nTh\n"), "{}", buffer.text);
    assert_eq!(buffer.prompt(), "Next");
    eventually("the lens", || lenses(&mut world, &buffer.uri) == ["Send"]);
}

#[test]
fn a_question_that_fails_stays_in_the_file() {
    let mut world = world(Service::Full, Value::Null);
    world
        .standin()
        .with(|state| state.answer = Answer::Refuse(503, "busy"));
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    refused(world.run("send", json!({"uri": talk})), "refused");
    buffer.write(&mut world.client, "Why?\n");
    let outcome = world.run("send", json!({"uri": talk}));
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(buffer.prompt(), "Why?");
    // The marker is gone, or there twice.
    buffer.text = buffer.text.replace("<!-- pieces:", "<!-- pieces ");
    buffer.tell(&mut world.client);
    refused(world.run("send", json!({"uri": talk})), "refused");
}

#[test]
fn a_draft_is_restored() {
    let mut world = world(Service::Local, Value::Null);
    let uri = code(&mut world);
    let talk = world.run("talk", json!({"uri": uri})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    assert!(
        buffer.text.starts_with("# A question about retry.rs\n"),
        "{}",
        buffer.text
    );
    let on_disk = buffer.text.clone();
    buffer.write(&mut world.client, "Why do");
    let stored = path(talk.as_str().unwrap()).with_extension("json");
    eventually("the draft", || {
        std::fs::read_to_string(&stored).unwrap().contains("Why do")
    });
    // The editor dies without having saved anything.
    let data_dir = stored.parent().unwrap().parent().unwrap();
    let spawn = support::process::Spawn::serve()
        .arg("--backend")
        .arg("local")
        .arg("--data-dir")
        .arg(data_dir);
    let (mut client, _) = support::client::Client::connect(spawn, json!({}), Value::Null);
    std::mem::swap(&mut world.client, &mut client);
    client.kill();
    let client = &mut world.client;
    client.answer(EDIT, |_| Some(json!({"applied": true})));
    let document = json!({"uri": talk, "languageId": "markdown", "version": 1, "text": on_disk});
    client.notify("textDocument/didOpen", json!({ "textDocument": document }));
    let edit = client.wait_request(EDIT, |_| true);
    let edits = edit["edit"]["changes"][talk.as_str().unwrap()].clone();
    assert_eq!(edits[0]["newText"], "Why do\n");
}

#[test]
fn a_draft_is_stored_again_and_again_while_it_is_typed() {
    let mut world = world(Service::Local, Value::Null);
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    let about = path(talk.as_str().unwrap()).with_extension("json");
    for (typed, draft) in [
        ("Why", "Why"),
        (" does", "Why does"),
        (" it?", "Why does it?"),
    ] {
        buffer.write(&mut world.client, typed);
        eventually("the draft", || {
            let about: Value = serde_json::from_slice(&std::fs::read(&about).unwrap()).unwrap();
            about["draft"] == draft
        });
    }
}

/// Asks in a talk file; returns what Pieces OS was asked.
fn asked(world: &mut World, buffer: &mut Buffer, question: &str) -> String {
    buffer.write(&mut world.client, &format!("{question}\n"));
    let id = world.send("send", json!({"uri": buffer.uri}));
    buffer.apply(&mut world.client);
    world.client.response(id).unwrap();
    let asked = world.standin().with(|state| state.asked.last().cloned());
    let query = &asked.unwrap()["relevance"]["query"];
    query.as_str().unwrap().to_owned()
}

#[test]
fn the_document_of_a_talk_is_sent_unless_lines_of_it_were_selected() {
    let mut world = world(Service::Full, json!({"answerInDocument": "end"}));
    let uri = code(&mut world);
    let open = |world: &mut World, argument: Value| {
        let talk = world.run("talk", argument).unwrap()["uri"].clone();
        Buffer::open(&mut world.client, &talk)
    };
    let mut buffer = open(&mut world, json!({ "uri": uri }));
    let query = asked(&mut world, &mut buffer, "What is this?");
    assert!(query.contains("fn a() {}"), "{query}");

    let lines = json!({"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}});
    let mut buffer = open(&mut world, json!({"uri": uri, "range": lines}));
    // The user deletes the quoted lines.
    let quoted = buffer.prompt().to_owned();
    assert!(quoted.contains("fn b() {"), "{quoted}");
    buffer.text = buffer.text.replace(&quoted, "");
    let query = asked(&mut world, &mut buffer, "Why?");
    assert!(!query.contains("fn a() {}"), "{query}");
}

#[test]
fn only_files_in_our_directory_are_talk_files() {
    let mut world = world(Service::Full, Value::Null);
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let text = std::fs::read_to_string(path(talk.as_str().unwrap())).unwrap();
    let name = path(talk.as_str().unwrap()).file_name().unwrap().to_owned();
    let copy = world.dir().join(name);
    std::fs::write(&copy, format!("{text}Why?\n")).unwrap();
    let uri = url::Url::from_file_path(&copy).unwrap().to_string();
    world.open(&uri, &format!("{text}Why?\n"));
    refused(world.run("send", json!({"uri": uri})), "invalid-argument");
    assert_eq!(lenses(&mut world, &uri), [""; 0]);
    let offered = actions(&mut world, &uri, 0, "pieces.ask");
    assert_eq!(titles(&offered), ["Ask about this file…"]);
    // By another path it is the same file.
    #[cfg(unix)]
    {
        let link = world.dir().join("link.md");
        std::os::unix::fs::symlink(path(talk.as_str().unwrap()), &link).unwrap();
        let uri = url::Url::from_file_path(&link).unwrap().to_string();
        world.open(&uri, &text);
        assert_eq!(lenses(&mut world, &uri), ["Send"]);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path(talk.as_str().unwrap()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_question_in_a_comment_is_asked_with_the_lines_around_it() {
    let mut world = world(Service::Full, Value::Null);
    let file = world.dir().join("retry.rs");
    let text = format!("{CODE}// pieces: why does b loop?\n");
    std::fs::write(&file, &text).unwrap();
    let uri = url::Url::from_file_path(&file).unwrap().to_string();
    world.open(&uri, &text);
    let offered = actions(&mut world, &uri, 5, "pieces.ask");
    let expected = ["Ask Pieces: “why does b loop?”", "Ask about this file…"];
    assert_eq!(titles(&offered), expected);
    assert_eq!(
        titles(&actions(&mut world, &uri, 1, "pieces.ask")),
        expected[1..]
    );
    // Nothing is offered, and nothing done, that nobody asked for.
    let at = json!({"line": 5, "character": 4});
    let params = json!({"textDocument": {"uri": uri}, "range": {"start": at, "end": at},
        "context": {"diagnostics": [], "triggerKind": 2}});
    let offered_by_itself = world.client.request("textDocument/codeAction", params);
    assert_eq!(offered_by_itself.unwrap(), json!([]));
    let id = run(&mut world, &offered[0]);
    let answer = world.client.response(id).unwrap();
    let conversation = answer["conversation"].as_str().unwrap();
    let asked = world
        .standin()
        .with(|state| state.asked.last().unwrap().clone());
    let query = asked["relevance"]["query"].as_str().unwrap();
    assert!(
        query.starts_with("why does b loop?") && query.contains("    loop {}"),
        "{query}"
    );
    let document = format!("pieces-conversation:/{conversation}.md");
    world
        .client
        .wait_request("window/showDocument", |shown| shown["uri"] == document);
}

#[test]
fn code_of_an_answer_replaces_the_lines_that_were_asked_about() {
    let mut world = world(Service::Full, Value::Null);
    let uri = code(&mut world);
    world.standin().with(|state| {
        state.answer = Answer::Words(vec!["So:\n\n```rs\nfn b() {}\n```\n\nOr not.\n"]);
    });
    let range = json!({"start": {"line": 1, "character": 0}, "end": {"line": 4, "character": 0}});
    let ask = json!({"prompt": "Shorter?", "uri": uri, "range": range});
    let answer = world.run("ask", ask).unwrap();
    let conversation = answer["conversation"].as_str().unwrap().to_owned();
    let document = format!("pieces-conversation:/{conversation}.md");
    let params = json!({ "uri": document });
    let text = world
        .client
        .request("workspace/textDocumentContent", params)
        .unwrap();
    let text = text["text"].as_str().unwrap().to_owned();
    world.open(&document, &text);
    let line = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap();

    let offered = actions(&mut world, &document, line("fn b() {}"), "pieces.insert");
    assert_eq!(titles(&offered), ["Replace lines 2–4 of retry.rs"]);
    let argument = &offered[0]["command"]["arguments"][0];
    assert_eq!(argument["expect"], "fn b() {\n    loop {}\n}");
    assert_eq!(argument["message"], answer["answer"]);
    assert_eq!(argument["block"], 0);
    let end = json!({"line": 3, "character": 1});
    assert_eq!(
        argument["range"],
        json!({"start": {"line": 1, "character": 0}, "end": end})
    );
    for elsewhere in ["Or not.", "Shorter?", "    loop {}"] {
        let offered = actions(&mut world, &document, line(elsewhere), "pieces.insert");
        assert_eq!(titles(&offered), [""; 0], "{elsewhere}");
    }
    let offered = actions(&mut world, &document, line("Or not."), "pieces.ask");
    assert_eq!(
        titles(&offered),
        ["Continue this conversation…", "Ask again from here"]
    );
    let again = &offered[1]["command"]["arguments"][0];
    assert_eq!(again["from"], answer["question"]);

    // The lines have changed.
    let change = json!({"textDocument": {"uri": uri, "version": 2},
        "contentChanges": [{"text": CODE.replace("loop", "while true")}]});
    world.client.notify("textDocument/didChange", change);
    let offered = actions(&mut world, &document, line("fn b() {}"), "pieces.insert");
    assert_eq!(titles(&offered), [""; 0]);
}

#[test]
fn a_talk_file_continues_its_conversation_and_is_removed_with_it() {
    let mut world = world(Service::Full, Value::Null);
    let answer = world.run("ask", json!({"prompt": "Why?"})).unwrap();
    let conversation = answer["conversation"].clone();
    let talk = world
        .run("talk", json!({ "conversation": conversation }))
        .unwrap();
    let again = world
        .run("talk", json!({ "conversation": conversation }))
        .unwrap();
    assert_eq!(talk, again, "one file for a conversation");
    let buffer = Buffer::open(&mut world.client, &talk["uri"]);
    assert!(buffer.text.starts_with("# Why?\n"), "{}", buffer.text);
    let line = buffer.line_of("Because it does.");
    let offered = actions(&mut world, &buffer.uri, line, "pieces");
    assert_eq!(
        titles(&offered),
        ["Ask again from here", "Delete conversation “Why?”"]
    );
    let file = path(&buffer.uri);
    buffer.close(&mut world.client);
    world
        .run(
            "delete",
            json!({"conversation": conversation, "confirm": false}),
        )
        .unwrap();
    eventually("the file to go", || !file.exists());
    refused(
        world.run("talk", json!({ "conversation": conversation })),
        "not-found",
    );
}

#[test]
fn an_editor_that_blocks_on_a_command_is_not_kept_waiting() {
    let of = |name: &str| {
        let mut world = World::of_editor(name, Service::Full, capabilities(), Value::Null, |_| ());
        let uri = code(&mut world);
        let asks = "// pieces: why does b loop?\n";
        let change = json!({"textDocument": {"uri": uri, "version": 2},
            "contentChanges": [{"text": format!("{asks}{CODE}")}]});
        world.client.notify("textDocument/didChange", change);
        let offered = actions(&mut world, &uri, 0, "pieces.ask");
        assert_eq!(titles(&offered)[0], "Ask Pieces: “why does b loop?”");
        (world, offered[0].clone())
    };
    for name in ["Eglot", "emacs"] {
        let (mut world, action) = of(name);
        world
            .standin()
            .with(|state| state.answer = Answer::Refuse(402, "the card is full"));
        let id = run(&mut world, &action);
        assert_eq!(world.client.response(id), Ok(Value::Null));
        // What the request can no longer say is shown.
        let shown = world
            .client
            .wait_notification("window/showMessage", |_| true);
        assert_eq!(shown["type"], 1, "{shown}");
        let message = shown["message"].as_str().unwrap();
        assert!(
            message.starts_with("Pieces OS could not answer"),
            "{message}"
        );
    }
    let (_, action) = of("test");
    assert_eq!(action["command"]["arguments"][0]["wait"], Value::Null);
}

#[test]
fn an_editor_that_hides_the_errors_of_commands_is_told_by_a_message() {
    let mut world = World::of_editor("helix", Service::Local, capabilities(), Value::Null, |_| ());
    let uri = code(&mut world);
    let error = world.run("send", json!({"uri": uri})).unwrap_err();
    let shown = world
        .client
        .wait_notification("window/showMessage", |_| true);
    assert_eq!(
        (&shown["type"], &shown["message"]),
        (&json!(1), &json!(error.message))
    );
}

#[test]
fn a_talk_file_offers_nothing_but_to_send() {
    let mut world = world(Service::Local, Value::Null);
    let uri = code(&mut world);
    let talk = world.run("talk", json!({"uri": uri})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    let uri = buffer.uri.clone();
    assert_eq!(actions(&mut world, &uri, 0, "pieces"), [Value::Null; 0]);
    buffer.write(&mut world.client, "Why?\n");
    let offered = actions(&mut world, &uri, 0, "pieces");
    assert_eq!(titles(&offered), ["Send"]);
}

/// A window on a store with a model of one's own; its editor applies edits.
fn window(store: &TempDir, endpoint: &Endpoint) -> Client {
    let spawn = local(&store.path().join("store")).env("PIECES_LSP_MODEL_URL", &endpoint.url);
    let (mut client, _) = Client::connect(spawn, editing(), Value::Null);
    client.answer("window/showDocument", |_| Some(json!({"success": true})));
    client.answer(EDIT, |_| Some(json!({"applied": true})));
    wait_live(&mut client);
    client
}

#[test]
fn a_talk_file_shows_answers_to_what_was_asked_elsewhere_too() {
    let (dir, endpoint) = (tempfile::tempdir().unwrap(), Endpoint::start());
    let (mut first, mut second) = (window(&dir, &endpoint), window(&dir, &endpoint));
    let command = |name: &str, argument: Value| json!({"command": format!("pieces.conversations.{name}"), "arguments": [argument]});
    let send = |client: &mut Client, name: &str, argument: Value| {
        client.send_request("workspace/executeCommand", command(name, argument))
    };
    let id = send(&mut first, "talk", json!({}));
    let uri = first.response(id).unwrap()["uri"].clone();
    let mut here = Buffer::open(&mut first, &uri);
    let mut there = Buffer::open(&mut second, &uri);
    // Both know it as a talk file before there is a draft that they would put back.
    for client in [&mut first, &mut second] {
        let document = json!({ "textDocument": {"uri": uri} });
        client.request("textDocument/codeLens", document).unwrap();
    }
    there.write(&mut second, "A draft");

    // In the talk file of the other window.
    here.write(&mut first, "Why?\n");
    let id = send(&mut first, "send", json!({ "uri": uri }));
    here.apply(&mut first);
    endpoint.question().answer("Because it does.");
    while !here.text.contains("Because it does.") {
        here.apply(&mut first);
    }
    let conversation = first.response(id).unwrap()["conversation"].clone();
    there.apply(&mut second);
    assert!(
        there.picture().contains("\n\nWhy?\n\n## Assistant\n"),
        "{}",
        there.text
    );
    assert!(
        there
            .picture()
            .ends_with("\n\nBecause it does.\n\n*scripted*\n"),
        "{}",
        there.text
    );
    assert_eq!(there.prompt(), "A draft");

    // By a command; both files show the answer, once.
    let argument = json!({"conversation": conversation, "prompt": "And then?"});
    let id = send(&mut second, "ask", argument);
    endpoint.question().answer("So.");
    second.response(id).unwrap();
    here.apply(&mut first);
    there.apply(&mut second);
    for buffer in [&here, &there] {
        assert!(
            buffer.picture().contains("\n\nAnd then?\n\n## Assistant\n"),
            "{}",
            buffer.text
        );
        assert_eq!(
            buffer.text.matches("\n\nSo.\n").count(),
            1,
            "{}",
            buffer.text
        );
        assert_eq!(
            buffer.text.matches("Because it does.").count(),
            1,
            "{}",
            buffer.text
        );
    }

    // The question that was typed in both files does not stay in one.
    here.write(&mut first, "A draft");
    let id = send(&mut second, "send", json!({ "uri": uri }));
    there.apply(&mut second);
    endpoint.question().answer("At last.");
    while !there.text.contains("At last.") {
        there.apply(&mut second);
    }
    second.response(id).unwrap();
    here.apply(&mut first);
    assert_eq!((here.prompt(), there.prompt()), ("", ""));
    assert_eq!(here.text.matches("At last.").count(), 1, "{}", here.text);
    first.finish();
    second.finish();
}

/// The file as the next editor opens it.
fn on_disk(uri: &Value) -> Buffer {
    let uri = uri.as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path(&uri)).unwrap();
    Buffer {
        uri,
        text,
        version: 1,
    }
}

#[test]
fn a_talk_file_that_no_window_has_open_is_written_on_disk() {
    let mut world = world(Service::Full, Value::Null);
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let mut written = on_disk(&talk);
    written.text.push_str("Why?\n");
    std::fs::write(path(&written.uri), &written.text).unwrap();
    let answer = world.run("send", json!({ "uri": talk })).unwrap();
    assert_eq!(answer["text"], "Because it does.");
    eventually("the answer in the file", || {
        let file = on_disk(&talk);
        file.picture().contains("\n\nBecause it does.\n") && file.prompt().is_empty()
    });
}

#[test]
fn a_question_that_the_editor_did_not_move_is_no_draft() {
    let mut world = World::with(Service::Full, editing(), Value::Null);
    let client = &mut world.client;
    client.answer(EDIT, |_| Some(json!({"applied": false})));
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    buffer.write(&mut world.client, "Why?\n");
    world.run("send", json!({ "uri": talk })).unwrap();
    world
        .client
        .wait_notification("window/showMessage", |said| {
            let said = said["message"].as_str().unwrap();
            said.contains("the editor refused the edits")
        });
    buffer.close(&mut world.client);
    eventually("the answer in the file", || {
        let file = on_disk(&talk);
        file.picture().contains("\n\nBecause it does.\n") && file.prompt().is_empty()
    });
}

#[test]
fn what_is_typed_where_the_marker_was_deleted_is_not_lost() {
    let mut world = world(Service::Full, Value::Null);
    let talk = world.run("talk", json!({})).unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut world.client, &talk);
    let lines = buffer.text.split_inclusive('\n');
    buffer.text = lines.filter(|line| !line.starts_with("<!--")).collect();
    buffer.write(&mut world.client, "Why?\n");
    refused(world.run("send", json!({ "uri": talk })), "refused");
    buffer.close(&mut world.client);
    eventually("the question in the file", || {
        let file = on_disk(&talk);
        file.text.contains("<!-- pieces:") && file.prompt() == "Why?"
    });
}

/// Waits until the server has seen its edit, by which the question is no draft any more.
fn until_landed(buffer: &Buffer) {
    let about = path(&buffer.uri).with_extension("json");
    eventually("the question is no draft", || {
        let about: Value = serde_json::from_slice(&std::fs::read(&about).unwrap()).unwrap();
        about["draft"] == ""
    });
}

#[test]
fn a_talk_file_that_was_closed_meanwhile_shows_the_answer_when_it_is_open_again() {
    let (dir, endpoint) = (tempfile::tempdir().unwrap(), Endpoint::start());
    let mut client = window(&dir, &endpoint);
    let talk = client.command("pieces.conversations.talk", json!({}));
    let talk = talk.unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut client, &talk);
    buffer.write(&mut client, "Why?\n");
    let params = json!({"command": "pieces.conversations.send", "arguments": [{ "uri": talk }]});
    let id = client.send_request("workspace/executeCommand", params);
    // The edit that moves the question; an editor that shows none for seconds gets no more.
    buffer.apply(&mut client);
    let mut question = endpoint.question();
    question.begin().say("One.\n\n");
    while !buffer.text.contains("One.") {
        buffer.apply(&mut client);
    }
    until_landed(&buffer);
    buffer.close(&mut client);
    let mut buffer = Buffer::open(&mut client, &talk);
    assert!(!buffer.text.contains("One."), "{}", buffer.text);
    question.say("Two.");
    question.end("stop", None);
    client.response(id).unwrap();
    buffer.apply(&mut client);
    let picture = buffer.picture();
    assert!(picture.contains("\n\nOne.\n\nTwo.\n"), "{picture}");
    assert_eq!(picture.matches("\n\nWhy?\n").count(), 1, "{picture}");
}

#[test]
fn an_answer_that_was_undone_is_not_written_again() {
    let (dir, endpoint) = (tempfile::tempdir().unwrap(), Endpoint::start());
    let mut client = window(&dir, &endpoint);
    let talk = client.command("pieces.conversations.talk", json!({}));
    let talk = talk.unwrap()["uri"].clone();
    let mut buffer = Buffer::open(&mut client, &talk);
    buffer.write(&mut client, "Why?\n");
    let before = buffer.text.clone();
    let send = json!({"command": "pieces.conversations.send", "arguments": [{ "uri": talk }]});
    let id = client.send_request("workspace/executeCommand", send.clone());
    // The edit that moves the question; an editor that shows none for seconds gets no more.
    buffer.apply(&mut client);
    let mut question = endpoint.question();
    question.begin().say("One.\n\n");
    while !buffer.text.contains("One.") {
        buffer.apply(&mut client);
    }
    until_landed(&buffer);
    buffer.text = before;
    buffer.tell(&mut client);
    question.say("Two.");
    question.end("stop", None);
    client.response(id).unwrap();
    client.wait_notification("window/showMessage", |said| {
        said["message"]
            .as_str()
            .unwrap()
            .contains("the file was edited there")
    });
    // The next one is written as ever.
    let id = client.send_request("workspace/executeCommand", send);
    buffer.apply(&mut client);
    endpoint.question().answer("Three.");
    while !buffer.text.contains("Three.") {
        buffer.apply(&mut client);
    }
    client.response(id).unwrap();
    assert!(!buffer.text.contains("Two."), "{}", buffer.text);
    client.finish();
}
