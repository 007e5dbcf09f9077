//! Asking from an editor, with a model of one's own that does as the test says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use support::client::{Client, RpcError, eventually};
use support::endpoint::{Endpoint, MODEL, Question};
use support::world::{capabilities, local, wait_live};
use tempfile::TempDir;

/// A store, a model, and the editor windows on them.
struct Desk {
    dir: TempDir,
    endpoint: Endpoint,
}

impl Desk {
    fn new() -> Self {
        Desk {
            dir: tempfile::tempdir().unwrap(),
            endpoint: Endpoint::start(),
        }
    }

    fn store(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    fn window(&self) -> Client {
        self.window_that_can(capabilities())
    }

    fn window_that_can(&self, capabilities: Value) -> Client {
        window(&self.store(), Some(&self.endpoint.url), capabilities)
    }
}

fn window(store: &Path, model: Option<&str>, capabilities: Value) -> Client {
    let spawn = match model {
        Some(url) => local(store).env("PIECES_LSP_MODEL_URL", url),
        None => local(store),
    };
    let (mut client, _) = Client::connect(spawn, capabilities, json!({"liveUpdates": true}));
    for method in [
        "pieces/didChangeConversations",
        "pieces/didChangeStatus",
        "pieces/didAnswer",
        "window/logMessage",
        "window/showMessage",
    ] {
        client.allow(method);
    }
    wait_live(&mut client);
    client
}

/// A window that finds the model on a port, and whose person chooses the button that `choose` makes of its URL.
fn finding(desk: &Desk, choose: fn(&str) -> Value) -> Client {
    let spawn = local(&desk.store()).env("PIECES_LSP_MODEL_PORTS", desk.endpoint.port());
    let options = json!({"liveUpdates": false});
    let (mut client, _) = Client::connect(spawn, capabilities(), options);
    client.allow("window/logMessage");
    let url = desk.endpoint.url.clone();
    client.answer("window/showMessageRequest", move |_| Some(choose(&url)));
    wait_live(&mut client);
    client
}

fn run(client: &mut Client, command: &str, argument: Value) -> Result<Value, RpcError> {
    client.command(&format!("pieces.conversations.{command}"), argument)
}

/// Sends an ask whose progress is shown under the token `w`.
fn ask(client: &mut Client, argument: Value) -> i64 {
    let params = json!({"command": "pieces.conversations.ask", "arguments": [argument], "workDoneToken": "w"});
    client.send_request("workspace/executeCommand", params)
}

fn until_shown(client: &mut Client, message: &str) {
    client.wait_notification("$/progress", |progress| {
        let shown = progress["value"]["message"].as_str().unwrap_or_default();
        shown.starts_with(message)
    });
}

fn messages(client: &mut Client, conversation: &Value) -> Vec<Value> {
    let listed = run(client, "messages", json!({ "conversation": conversation })).unwrap();
    listed["items"].as_array().unwrap().clone()
}

/// Waits for the states of the messages: the result of a stopped question does not wait long for the service.
fn until_states(client: &mut Client, conversation: &Value, expected: &[Value]) {
    eventually("the states of the messages", || {
        let listed = messages(client, conversation);
        let states = listed.iter().map(|one| &one["state"]);
        states.eq(expected)
    });
}

fn answered(client: &mut Client, question: Question, request: i64, text: &str) -> Value {
    question.answer(text);
    client.response(request).unwrap()
}

#[test]
fn a_question_is_answered_and_remembered() {
    let desk = Desk::new();
    let mut client = desk.window();
    let request = ask(&mut client, json!({"prompt": "Why does it loop?"}));
    let mut question = desk.endpoint.question();
    assert_eq!(question.messages(), ["user: Why does it loop?"]);
    question.begin().say("Because ").say("it does.");
    question.end("stop", Some((11, 3)));
    let answer = client.response(request).unwrap();
    assert_eq!(answer["text"], "Because it does.");
    assert_eq!(
        (&answer["stop"], &answer["model"]),
        (&json!("end"), &json!(MODEL))
    );
    assert_eq!(answer["usage"], json!({"prompt": 11, "completion": 3}));
    let listed = messages(&mut client, &answer["conversation"]);
    assert_eq!(listed[0]["id"], answer["question"]);
    assert_eq!(listed[1]["id"], answer["answer"]);
    assert_eq!(listed[1]["text"], "Because it does.");
    assert_eq!(listed[1]["usage"], answer["usage"]);
    // The next question has the history.
    let next = json!({"prompt": "And then?", "conversation": answer["conversation"]});
    let request = ask(&mut client, next);
    let question = desk.endpoint.question();
    assert_eq!(
        question.messages(),
        [
            "user: Why does it loop?",
            "assistant: Because it does.",
            "user: And then?"
        ]
    );
    answered(&mut client, question, request, "It goes on.");
    // The index learns of a message by the stream.
    eventually("the messages in the list", || {
        let item = run(&mut client, "list", json!({})).unwrap()["items"][0].clone();
        assert_eq!(item["name"], "Why does it loop?");
        item["messages"] == 4
    });
}

#[test]
fn the_new_conversation_is_known_before_the_model_says_a_word() {
    let desk = Desk::new();
    let mut client = desk.window();
    let request = ask(&mut client, json!({"prompt": "Why?"}));
    let question = desk.endpoint.question();
    let told = client.wait_notification("pieces/didAnswer", |_| true);
    assert_eq!(
        (&told["status"], &told["here"]),
        (&json!("waiting"), &json!(true))
    );
    // The client may look for its question too early, and is told when it can be found.
    messages(&mut client, &told["conversation"]);
    client.wait_notification("pieces/didAnswer", |again| *again == told);
    let stored = messages(&mut client, &told["conversation"]);
    assert_eq!(stored[0]["text"], "Why?");
    let answer = answered(&mut client, question, request, "Because.");
    assert_eq!(told["conversation"], answer["conversation"]);
    assert!(answer["conversation"].is_string());
}

#[test]
fn texts_are_sent_with_the_question() {
    let desk = Desk::new();
    let mut client = desk.window();
    let file = desk.dir.path().canonicalize().unwrap().join("retry.rs");
    std::fs::write(&file, "fn on_disk() {}\n").unwrap();
    let uri = url::Url::from_file_path(&file).unwrap().to_string();
    let open = json!({"textDocument": {"uri": uri, "languageId": "rust", "version": 1, "text": "fn unsaved() {}\n"}});
    client.notify("textDocument/didOpen", open);
    let request = ask(&mut client, json!({"prompt": "What is it?", "uri": uri}));
    let question = desk.endpoint.question();
    let sent = question.messages().join("\n");
    assert!(
        sent.contains("fn unsaved() {}") && !sent.contains("on_disk"),
        "{sent}"
    );
    let answer = answered(&mut client, question, request, "A function.");
    assert_eq!(answer["context"][0]["kind"], "document");
    assert_eq!(
        messages(&mut client, &answer["conversation"])[0]["text"],
        "What is it?"
    );
    // Closed, and named by an earlier question: what is on disk goes along.
    client.notify(
        "textDocument/didClose",
        json!({"textDocument": {"uri": uri}}),
    );
    let next = json!({"prompt": "And now?", "conversation": answer["conversation"]});
    let request = ask(&mut client, next.clone());
    let question = desk.endpoint.question();
    assert!(question.messages().join("\n").contains("fn on_disk() {}"));
    answered(&mut client, question, request, "Another one.");
    let mut last = next;
    last["files"] = json!([]);
    let request = ask(&mut client, last);
    let question = desk.endpoint.question();
    assert!(!question.messages().join("\n").contains("fn on_disk() {}"));
    answered(&mut client, question, request, "None.");
}

/// What was cut or left out before it reached the service is told by every window, now and later.
#[test]
fn omitted_texts_are_reported_and_stored() {
    let desk = Desk::new();
    let mut client = desk.window();
    let dir = desk.dir.path().canonicalize().unwrap();
    let (long, gone, swapped) = (
        dir.join("long.txt"),
        dir.join("gone.txt"),
        dir.join("swapped.txt"),
    );
    std::fs::write(&long, "0123456789abcde\n".repeat(20_000)).unwrap();
    std::fs::write(&gone, "short").unwrap();
    std::fs::write(&swapped, "public").unwrap();
    let uris: Vec<_> = [&long, &gone, &swapped]
        .map(|path| url::Url::from_file_path(path).unwrap())
        .into();
    let told = |context: &Value| -> Vec<(String, u64, u64)> {
        let files = context.as_array().unwrap().iter();
        let files = files.filter(|one| one["kind"] == "file");
        let number = |one: &Value, field: &str| one[field].as_u64().unwrap();
        let one = |one: &Value| {
            let name = one["name"].as_str().unwrap().to_owned();
            (name, number(one, "bytes"), number(one, "sent"))
        };
        files.map(one).collect()
    };
    let kept = |client: &mut Client, answer: &Value| {
        told(&messages(client, &answer["conversation"]).last().unwrap()["context"])
    };
    let request = ask(&mut client, json!({"prompt": "What?", "files": uris}));
    let question = desk.endpoint.question();
    let answer = answered(&mut client, question, request, "Texts.");
    let cut = told(&answer["context"]);
    let of = |name: &str| cut.iter().find(|one| one.0 == name).unwrap().clone();
    let (_, bytes, sent) = of("long.txt");
    assert!(bytes == 320_000 && sent < bytes, "{cut:?}");
    assert_eq!(kept(&mut client, &answer), cut);

    // A file that is gone, and one that leads to something that nobody named.
    std::fs::remove_file(&gone).unwrap();
    std::fs::write(dir.join("secret.txt"), "secret").unwrap();
    #[cfg(unix)]
    {
        std::fs::remove_file(&swapped).unwrap();
        std::os::unix::fs::symlink(dir.join("secret.txt"), &swapped).unwrap();
    }
    #[cfg(not(unix))]
    std::fs::remove_file(&swapped).unwrap();
    let next = json!({"prompt": "And now?", "conversation": answer["conversation"]});
    let request = ask(&mut client, next);
    let question = desk.endpoint.question();
    assert!(!question.messages().join("\n").contains("secret"));
    let answer = answered(&mut client, question, request, "Less.");
    let told = told(&answer["context"]);
    for left_out in [("gone.txt", 5, 0), ("swapped.txt", 6, 0)] {
        let (name, bytes, sent) = left_out;
        assert!(told.contains(&(name.to_owned(), bytes, sent)), "{told:?}");
    }
    assert_eq!(kept(&mut client, &answer), told);

    // One that comes back goes along again.
    std::fs::write(&gone, "it is back").unwrap();
    let next = json!({"prompt": "And now?", "conversation": answer["conversation"]});
    let request = ask(&mut client, next);
    let question = desk.endpoint.question();
    let sent = question.messages().join("\n");
    assert!(
        sent.contains("it is back") && !sent.contains("secret"),
        "{sent}"
    );
    answered(&mut client, question, request, "More.");
}

/// A link that a person named goes along, now and later.
#[cfg(unix)]
#[test]
fn a_named_link_is_sent_again() {
    let desk = Desk::new();
    let mut client = desk.window();
    let dir = desk.dir.path();
    std::fs::write(dir.join("real.txt"), "behind a link").unwrap();
    let link = dir.join("link.txt");
    std::os::unix::fs::symlink("real.txt", &link).unwrap();
    let uri = url::Url::from_file_path(&link).unwrap();
    let request = ask(&mut client, json!({"prompt": "What?", "files": [uri]}));
    let question = desk.endpoint.question();
    let answer = answered(&mut client, question, request, "A text.");
    let next = json!({"prompt": "And now?", "conversation": answer["conversation"]});
    let request = ask(&mut client, next);
    let question = desk.endpoint.question();
    assert!(question.messages().join("\n").contains("behind a link"));
    answered(&mut client, question, request, "The same.");
}

#[test]
fn what_is_typed_after_the_question_is_not_sent() {
    let desk = Desk::new();
    let mut client = desk.window();
    let first = ask(&mut client, json!({"prompt": "Why?"}));
    let first = answered(&mut client, desk.endpoint.question(), first, "So.");
    let uri = "file:///tmp/typing.rs";
    let document = json!({"uri": uri, "languageId": "rust", "version": 1, "text": ""});
    client.notify("textDocument/didOpen", json!({ "textDocument": document }));
    let change = |client: &mut Client, text: &str| {
        let document = json!({"uri": uri, "version": 2});
        let params = json!({"textDocument": document, "contentChanges": [{ "text": text }]});
        client.notify("textDocument/didChange", params);
    };
    let range = json!({"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}});
    for (round, range) in [(0, Value::Null), (1, range)] {
        let now = format!("one {round}\ntwo {round}\nthree\n");
        change(&mut client, &now);
        let argument = json!({
            "prompt": "And this?", "conversation": first["conversation"], "uri": uri, "range": range,
        });
        let request = ask(&mut client, argument);
        change(&mut client, "later\nlater\nlater\n");
        let question = desk.endpoint.question();
        let sent = question.messages().join("\n");
        assert!(sent.contains(&format!("two {round}")), "{sent}");
        assert!(!sent.contains("later"), "{sent}");
        answered(&mut client, question, request, "So.");
    }
}

#[test]
fn a_branch_copies_what_became_of_its_messages() {
    let desk = Desk::new();
    let mut client = desk.window();
    let request = ask(&mut client, json!({"prompt": "First?"}));
    let mut question = desk.endpoint.question();
    question.begin().say("Half ");
    until_shown(&mut client, "writing");
    client.notify("window/workDoneProgress/cancel", json!({"token": "w"}));
    let stopped = client.response(request).unwrap();
    let conversation = &stopped["conversation"];
    let expected = [Value::Null, json!("stopped")];
    until_states(&mut client, conversation, &expected);
    let request = ask(
        &mut client,
        json!({"prompt": "Second?", "conversation": conversation}),
    );
    desk.endpoint.question().fail(500, "out of order");
    client.response(request).unwrap_err();
    let request = ask(
        &mut client,
        json!({"prompt": "Third?", "conversation": conversation}),
    );
    let third = answered(&mut client, desk.endpoint.question(), request, "Yes.");
    let branch = json!({"prompt": "Or?", "conversation": conversation, "from": third["question"]});
    let request = ask(&mut client, branch);
    let question = desk.endpoint.question();
    // The question without an answer is left out, as it was before.
    assert_eq!(
        question.messages(),
        ["user: First?", "assistant: Half ", "user: Or?"]
    );
    let branch = answered(&mut client, question, request, "Yes.");
    let copies = messages(&mut client, &branch["conversation"]);
    let states: Vec<_> = copies.iter().map(|copy| copy["state"].as_str()).collect();
    let expected = [None, Some("stopped"), Some("unanswered"), None, None];
    assert_eq!(states, expected, "{copies:?}");
}

#[test]
fn a_conversation_tied_to_a_file_sends_nothing_of_it() {
    let desk = Desk::new();
    let mut client = desk.window();
    let file = desk.dir.path().join("secret.txt");
    std::fs::write(&file, "secret").unwrap();
    let seed =
        json!({"type": "COPILOT", "name": "tied", "anchors": [{"type": "FILE", "fullpath": file}]});
    let created = run(&mut client, "create", json!({"seededConversation": seed})).unwrap();
    let request = ask(
        &mut client,
        json!({"prompt": "Why?", "conversation": created["id"]}),
    );
    let question = desk.endpoint.question();
    assert_eq!(question.messages(), ["user: Why?"]);
    answered(&mut client, question, request, "No idea.");
}

/// In which phase an answer is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The endpoint has sent nothing.
    Waiting,
    Thinking,
    Writing,
}

#[test]
fn a_cancel_in_any_phase_is_a_result_and_closes_the_connection() {
    for phase in [Phase::Waiting, Phase::Thinking, Phase::Writing] {
        let desk = Desk::new();
        let mut client = desk.window();
        let request = ask(&mut client, json!({"prompt": "Why?"}));
        let mut question = desk.endpoint.question();
        match phase {
            Phase::Waiting => until_shown(&mut client, "waiting for the model"),
            Phase::Thinking => {
                question.begin().think("Hm.");
                until_shown(&mut client, "thinking");
            }
            Phase::Writing => {
                question.begin().say("Because");
                until_shown(&mut client, "writing");
            }
        }
        let started = Instant::now();
        client.cancel(request);
        let answer = client.response(request).unwrap();
        let took = started.elapsed();
        question.closed();
        let most = client.at_once();
        assert!(took < most, "{phase:?}: {took:?} of {most:?}");
        assert_eq!(answer["stop"], "cancelled", "{phase:?}: {answer}");
        let text = if phase == Phase::Writing {
            "Because"
        } else {
            ""
        };
        assert_eq!(answer["text"], text, "{phase:?}");
        assert_eq!(
            answer["answer"].is_null(),
            text.is_empty(),
            "{phase:?}: {answer}"
        );
        let expected = match text {
            "" => vec![json!("unanswered")],
            _ => vec![Value::Null, json!("stopped")],
        };
        until_states(&mut client, &answer["conversation"], &expected);
    }
}

#[test]
fn another_window_sees_the_answer_grow_and_can_stop_it() {
    let desk = Desk::new();
    let mut asks = desk.window();
    let mut watches = desk.window();
    let request = ask(&mut asks, json!({"prompt": "Why?"}));
    let mut question = desk.endpoint.question();
    let news = watches.wait_notification("pieces/didAnswer", |news| news["status"] == "waiting");
    let conversation = news["conversation"].clone();
    question.begin().say("Because ");
    let news = watches.wait_notification("pieces/didAnswer", |news| news["status"] == "writing");
    let fields = ["delta", "here"].map(|field| news.get(field));
    assert_eq!(fields, [None, None], "{news}");
    let answer = news["answer"].clone();
    let item = run(&mut watches, "list", json!({})).unwrap()["items"][0].clone();
    assert_eq!(
        (&item["id"], &item["answering"]),
        (&conversation, &json!(true))
    );
    eventually("the words in the other window", || {
        let listed = messages(&mut watches, &conversation);
        listed.iter().any(|one| {
            one["text"] == "Because " && one["state"] == "writing" && one["id"] == answer
        })
    });
    let stopped = run(
        &mut watches,
        "stop",
        json!({ "conversation": conversation }),
    );
    assert_eq!(stopped, Ok(json!({"stopped": true})));
    let result = asks.response(request).unwrap();
    assert_eq!(
        (&result["stop"], &result["text"]),
        (&json!("cancelled"), &json!("Because "))
    );
    question.closed();
    let news = watches.wait_notification("pieces/didAnswer", |news| news["status"] == "cancelled");
    assert_eq!(news["answer"], answer);
    let stopped = run(
        &mut watches,
        "stop",
        json!({ "conversation": conversation }),
    );
    assert_eq!(stopped, Ok(json!({"stopped": false})));
    let item = run(&mut watches, "list", json!({})).unwrap()["items"][0].clone();
    assert!(item.get("answering").is_none(), "{item}");
}

#[test]
fn a_second_question_in_a_conversation_is_refused_while_the_first_is_answered() {
    let desk = Desk::new();
    let mut client = desk.window();
    let created = run(&mut client, "create", json!({})).unwrap();
    let argument = json!({"prompt": "Why?", "conversation": created["id"]});
    let request = ask(&mut client, argument.clone());
    let question = desk.endpoint.question();
    let error = run(&mut client, "ask", argument).unwrap_err();
    assert_eq!(error.data["kind"], "busy", "{error:?}");
    // The first one can still be stopped by its conversation.
    let stopped = run(&mut client, "stop", json!({"conversation": created["id"]}));
    assert_eq!(stopped, Ok(json!({"stopped": true})));
    assert_eq!(client.response(request).unwrap()["stop"], "cancelled");
    question.closed();
}

#[test]
fn a_failed_question_is_kept_and_can_be_answered_later() {
    let desk = Desk::new();
    let mut client = desk.window();
    let request = ask(&mut client, json!({"prompt": "Why?"}));
    desk.endpoint.question().fail(500, "out of memory");
    let error = client.response(request).unwrap_err();
    assert_eq!(error.data["kind"], "model", "{error:?}");
    assert_eq!(error.data["detail"], "out of memory");
    let listed = messages(&mut client, &error.data["conversation"]);
    assert_eq!(listed[0]["id"], error.data["question"]);
    assert_eq!(listed[0]["state"], "unanswered");
    let again =
        json!({"question": error.data["question"], "conversation": error.data["conversation"]});
    let request = ask(&mut client, again);
    let question = desk.endpoint.question();
    assert_eq!(question.messages(), ["user: Why?"]);
    let answer = answered(&mut client, question, request, "Because.");
    assert_eq!(answer["question"], error.data["question"]);
    assert_eq!(messages(&mut client, &answer["conversation"]).len(), 2);
}

#[test]
fn a_window_that_closes_while_it_is_answered_does_not_end_the_answer() {
    let desk = Desk::new();
    // The first window serves.
    let mut serves = desk.window();
    let mut asks = desk.window();
    ask(&mut asks, json!({"prompt": "Why?"}));
    let mut question = desk.endpoint.question();
    question.begin().say("Because ");
    until_shown(&mut asks, "writing");
    asks.kill();
    question.say("it does.");
    question.end("stop", None);
    eventually("the whole answer", || {
        let items = run(&mut serves, "list", json!({})).unwrap()["items"].clone();
        let listed = messages(&mut serves, &items[0]["id"]);
        listed
            .last()
            .is_some_and(|one| one["text"] == "Because it does." && one.get("state").is_none())
    });
}

/// A window asks, and the one that serves leaves in the middle of the answer. The desk, the window that asked, and what it
/// got to hear.
fn left_in_the_middle(leave: impl FnOnce(Client)) -> (Desk, Client, Value) {
    let desk = Desk::new();
    let serves = desk.window();
    let mut asks = desk.window();
    let request = ask(&mut asks, json!({"prompt": "Why?"}));
    let mut question = desk.endpoint.question();
    question.begin().say("Because ");
    until_shown(&mut asks, "writing");
    leave(serves);
    let answer = asks.response(request).unwrap();
    assert_eq!(
        (&answer["stop"], &answer["text"]),
        (&json!("incomplete"), &json!("Because "))
    );
    (desk, asks, answer)
}

#[test]
fn an_answer_ends_with_the_service_and_keeps_what_was_written() {
    let (desk, mut asks, answer) = left_in_the_middle(|serves| drop(serves.finish()));
    assert!(answer["note"].as_str().unwrap().ends_with('.'), "{answer}");
    wait_live(&mut asks);
    let listed = messages(&mut asks, &answer["conversation"]);
    assert_eq!(listed[1]["state"], "interrupted", "{listed:?}");
    assert_eq!(desk.endpoint.asked(), 1, "nothing is asked again");
}

#[test]
fn a_killed_service_is_noticed_and_the_question_is_not_repeated() {
    let (desk, _asks, _) = left_in_the_middle(Client::kill);
    assert_eq!(desk.endpoint.asked(), 1);
}

#[test]
fn without_a_model_the_question_is_kept_and_the_error_says_how_to_choose_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = window(dir.path(), None, capabilities());
    let error = run(&mut client, "ask", json!({"prompt": "Why?"})).unwrap_err();
    assert_eq!(error.data["kind"], "no-model", "{error:?}");
    assert!(
        error.message.contains("none was found on this machine"),
        "{error:?}"
    );
    assert!(error.message.contains("pieces-lsp model use"), "{error:?}");
    let listed = messages(&mut client, &error.data["conversation"]);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["state"]),
        (&error.data["question"], &json!("unanswered"))
    );
    let models = client.command("pieces.models", Value::Null).unwrap();
    assert_eq!(models, json!({"source": "none", "items": []}));
}

#[test]
fn a_model_that_is_found_is_used_once_the_person_agrees() {
    let desk = Desk::new();
    let mut client = finding(&desk, |url| json!({"title": format!("Use {url}")}));
    let request = ask(&mut client, json!({"prompt": "Why?"}));
    let shown = client.wait_request("window/showMessageRequest", |_| true);
    let url = &desk.endpoint.url;
    assert!(shown["message"].as_str().unwrap().contains(url), "{shown}");
    let buttons = json!([{"title": format!("Use {url}")}, {"title": "Not now"}]);
    assert_eq!(shown["actions"], buttons);
    let answer = answered(&mut client, desk.endpoint.question(), request, "Because.");
    assert_eq!(answer["text"], "Because.");
    // It is the person's choice from now on.
    let models = client.command("pieces.models", Value::Null).unwrap();
    assert_eq!(
        (&models["source"], &models["endpoint"]),
        (&json!("file"), &json!(url))
    );
    let request = ask(&mut client, json!({"prompt": "And then?"}));
    answered(&mut client, desk.endpoint.question(), request, "So.");
    assert!(client.drain("window/showMessageRequest").is_empty());
}

#[test]
fn a_person_who_wants_no_model_is_asked_once() {
    for choose in [|_: &str| json!({"title": "Not now"}), |_: &str| Value::Null] {
        let desk = Desk::new();
        let mut client = finding(&desk, choose);
        for prompt in ["Why?", "And then?"] {
            let error = run(&mut client, "ask", json!({ "prompt": prompt })).unwrap_err();
            assert_eq!(error.data["kind"], "no-model", "{error:?}");
            let command = format!("pieces-lsp model use {}", desk.endpoint.url);
            assert!(error.message.contains(&command), "{error:?}");
            let kept = messages(&mut client, &error.data["conversation"]);
            assert_eq!((&kept[0]["text"], kept.len()), (&json!(prompt), 1));
        }
        assert_eq!(client.drain("window/showMessageRequest").len(), 1);
        assert_eq!(desk.endpoint.asked(), 0);
        let models = client.command("pieces.models", Value::Null).unwrap();
        assert_eq!(models["source"], "none");
    }
}

#[test]
fn models_and_a_dry_run() {
    let desk = Desk::new();
    desk.endpoint.list(&["small", "large"]);
    let mut client = desk.window();
    let models = client.command("pieces.models", Value::Null).unwrap();
    assert_eq!(
        (&models["source"], &models["endpoint"]),
        (&json!("environment"), &json!(desk.endpoint.url))
    );
    let names: Vec<_> = models["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(names, ["small", "large"]);
    let said = run(
        &mut client,
        "ask",
        json!({"prompt": "Why?", "model": "small", "dryRun": true}),
    )
    .unwrap();
    assert_eq!(
        (&said["endpoint"], &said["model"], &said["remote"]),
        (&json!(desk.endpoint.url), &json!("small"), &json!(false))
    );
    assert_eq!(desk.endpoint.asked(), 0);
    assert_eq!(run(&mut client, "list", json!({})).unwrap()["total"], 0);
    let error = run(
        &mut client,
        "ask",
        json!({"prompt": "Why?", "model": "smal"}),
    )
    .unwrap_err();
    assert_eq!(error.data["kind"], "no-model");
    assert!(error.message.contains("small"), "{error:?}");
}

#[test]
fn open_documents_follow_the_answer_at_most_four_times_a_second() {
    let desk = Desk::new();
    let mut can = capabilities();
    can["workspace"]["textDocumentContent"] = json!({});
    let mut client = desk.window_that_can(can);
    client.answer("workspace/textDocumentContent/refresh", |_| {
        Some(Value::Null)
    });
    let created = run(&mut client, "create", json!({})).unwrap();
    let uri = format!(
        "pieces-conversation:/{}.md",
        created["id"].as_str().unwrap()
    );
    let open =
        json!({"textDocument": {"uri": uri, "languageId": "markdown", "version": 1, "text": ""}});
    client.notify("textDocument/didOpen", open);
    let request = ask(
        &mut client,
        json!({"prompt": "Why?", "conversation": created["id"]}),
    );
    let mut question = desk.endpoint.question();
    question.begin();
    let started = Instant::now();
    for _ in 0..200 {
        question.say("word ");
        std::thread::sleep(Duration::from_millis(5));
    }
    question.end("stop", None);
    let answer = client.response(request).unwrap();
    let refreshes = client.drain("workspace/textDocumentContent/refresh").len();
    let most = 4.0 * started.elapsed().as_secs_f64() + 3.0;
    assert!(
        refreshes >= 2 && refreshes as f64 <= most,
        "{refreshes} of {most}"
    );
    let text = client
        .request("workspace/textDocumentContent", json!({ "uri": uri }))
        .unwrap();
    assert!(
        text["text"]
            .as_str()
            .unwrap()
            .contains(answer["text"].as_str().unwrap().trim_end())
    );
}
