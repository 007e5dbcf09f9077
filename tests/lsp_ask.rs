//! Asking from an editor, on Pieces OS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::time::Instant;
use support::standin::Answer;
use support::world::{ABSENT, Service, World, capabilities, refused};

const ASK: &str = "pieces.conversations.ask";

fn world() -> World {
    World::start(Service::Full)
}

/// What was asked over the socket, without the stops.
fn questions(world: &World) -> Vec<Value> {
    let asked = world.standin().with(|state| state.asked.clone());
    asked
        .into_iter()
        .filter(|one| one["stop"] != true)
        .collect()
}

fn messages(world: &mut World, conversation: &Value) -> Vec<Value> {
    let listed = world.run("messages", json!({ "conversation": conversation }));
    listed.unwrap()["items"].as_array().unwrap().clone()
}

/// Sends `ask` with these tokens; the id of the request.
fn send(world: &mut World, argument: Value, tokens: Value) -> i64 {
    let mut params = json!({"command": ASK, "arguments": [argument]});
    for (name, token) in tokens.as_object().unwrap() {
        params[name] = token.clone();
    }
    world
        .client
        .send_request("workspace/executeCommand", params)
}

#[test]
fn a_question_makes_a_conversation_and_is_answered() {
    let mut world = world();
    let answer = world
        .run("ask", json!({"prompt": "Why does it loop?\nReally."}))
        .unwrap();
    assert_eq!(answer["text"], "Because it does.");
    assert_eq!(answer["stop"], "end");
    let conversation = answer["conversation"].as_str().unwrap().to_owned();
    // The index has it.
    let item = world.item(&conversation).unwrap();
    assert_eq!(item["name"], "Why does it loop?");
    let listed = messages(&mut world, &answer["conversation"]);
    let told: Vec<_> = listed
        .iter()
        .map(|one| {
            (
                &one["id"],
                one["role"].as_str().unwrap(),
                one["text"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (&answer["question"], "USER", "Why does it loop?\nReally."),
            (&answer["answer"], "ASSISTANT", "Because it does."),
        ]
    );
    assert_eq!(questions(&world).len(), 1);
    // The next one goes to the same conversation.
    let next = json!({"prompt": "And then?", "conversation": conversation});
    assert_eq!(
        world.run("ask", next).unwrap()["conversation"],
        *conversation
    );
    assert_eq!(messages(&mut world, &json!(conversation)).len(), 4);
    assert_eq!(world.standin().with(|state| state.conversations.len()), 1);
}

#[test]
fn the_selection_is_stored_and_the_document_is_sent() {
    let mut world = world();
    let file = world.dir().join("retry.rs");
    std::fs::write(&file, "old\n").unwrap();
    let uri = url::Url::from_file_path(&file).unwrap().to_string();
    world.open(&uri, "fn a() {}\nfn b() {}\nfn c() {}\n");
    let range = json!({"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}});
    let answer = world
        .run(
            "ask",
            json!({"prompt": "What is b?", "uri": uri, "range": range}),
        )
        .unwrap();
    let stored = format!(
        "What is b?\n\n```rs {}:2-2\nfn b() {{}}\n```",
        file.display()
    );
    assert_eq!(
        messages(&mut world, &answer["conversation"])[0]["text"],
        *stored
    );
    assert_eq!(
        answer["context"],
        json!([{"kind": "selection", "name": "retry.rs", "uri": uri, "bytes": 10, "sent": 10}])
    );
    // The conversation is tied to the file.
    let files = json!([uri]);
    world.until_item(answer["conversation"].as_str().unwrap(), |item| {
        item.is_some_and(|item| item["files"] == files)
    });
    // Without a selection: the text in the editor, not that on disk.
    let again = json!({"prompt": "And all?", "uri": uri});
    let answer = world.run("ask", again).unwrap();
    let query = questions(&world)[1]["relevance"]["query"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        query.contains("fn c() {}") && !query.contains("old"),
        "{query}"
    );
    assert_eq!(answer["context"][0]["kind"], "document");
}

#[test]
fn a_range_in_the_document_of_an_asset_is_a_selection() {
    let mut world = world();
    let text = "fn a() {}\nfn b() {}\nfn c() {}\n";
    let asset = world.create_known_asset("retry.rs");
    let uri = format!("pieces-asset:/{asset}.md");
    world.open(&uri, text);
    let range = json!({"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}});
    let argument = json!({"prompt": "What is b?", "uri": uri, "range": range});
    let answer = world.run("ask", argument).unwrap();
    assert_eq!(answer["context"][0]["kind"], "selection");
    let question = messages(&mut world, &answer["conversation"])[0]["text"].clone();
    let question = question.as_str().unwrap();
    assert!(
        question.contains("fn b() {}") && !question.contains("fn a() {}"),
        "{question}"
    );
    // Without a range it is the asset.
    let argument = json!({"prompt": "And all?", "uri": uri});
    let answer = world.run("ask", argument).unwrap();
    assert_eq!(answer["context"][0]["kind"], "asset");
}

#[test]
fn files_are_sent_again_until_an_empty_list_drops_them() {
    let mut world = world();
    let write = |world: &World, name: &str, text: &str| {
        let path = world.dir().join(name);
        std::fs::write(&path, text).unwrap();
        url::Url::from_file_path(path).unwrap().to_string()
    };
    let (one, two) = (
        write(&world, "one.txt", "first"),
        write(&world, "two.txt", "second"),
    );
    let asked = world
        .run("ask", json!({"prompt": "a", "files": [one]}))
        .unwrap();
    let conversation = &asked["conversation"];
    write(&world, "one.txt", "changed");
    let names = |answer: &Value| -> Vec<String> {
        let context = answer["context"].as_array().unwrap();
        context
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut ask = |fields: Value| {
        let mut argument = json!({"prompt": "b", "conversation": conversation});
        for (name, value) in fields.as_object().unwrap() {
            argument[name] = value.clone();
        }
        let answer = world.run("ask", argument).unwrap();
        let query = questions(&world).last().unwrap()["relevance"]["query"].clone();
        (names(&answer), query.as_str().unwrap().to_owned())
    };
    let (sent, query) = ask(json!({}));
    assert_eq!(sent, ["one.txt"]);
    assert!(query.contains("changed"), "{query}");
    let (sent, _) = ask(json!({"files": [two]}));
    assert_eq!(sent, ["two.txt", "one.txt"]);
    let (sent, query) = ask(json!({"files": []}));
    assert!(sent.is_empty() && query == "b", "{query}");
    assert!(ask(json!({})).0.is_empty());
}

#[test]
fn long_texts_are_cut_and_the_result_says_so() {
    let mut world = world();
    let path = world.dir().join("long.txt");
    std::fs::write(&path, "x".repeat(100_000)).unwrap();
    let uri = url::Url::from_file_path(path).unwrap();
    let answer = world
        .run("ask", json!({"prompt": "a", "files": [uri]}))
        .unwrap();
    assert_eq!(answer["context"][0]["bytes"], 100_000);
    assert_eq!(answer["context"][0]["sent"], 64 << 10);
}

#[test]
fn unreadable_files_are_refused_before_anything_is_sent() {
    let mut world = world();
    let directory = url::Url::from_file_path(world.dir()).unwrap().to_string();
    for (argument, names) in [
        (json!({"prompt": "  "}), "prompt"),
        (json!({}), "prompt"),
        (json!({"prompt": 7}), "prompt"),
        (json!({"prompt": "a", "files": [directory]}), "files"),
        (
            json!({"prompt": "a", "files": ["https://example.org/a"]}),
            "files",
        ),
        (json!({"prompt": "a", "files": "x"}), "files"),
        (json!({"prompt": "a", "uri": "untitled:gone"}), "uri"),
        (
            json!({"prompt": "a", "from": ABSENT, "question": ABSENT}),
            "from",
        ),
    ] {
        let error = refused(world.run("ask", argument.clone()), "invalid-argument");
        assert!(
            error.message.contains(&format!("`{names}`")),
            "{argument}: {error:?}"
        );
    }
    assert!(questions(&world).is_empty());
    assert!(world.items().is_empty());
}

#[test]
fn progress_partial_results_and_notifications_come_before_the_answer() {
    let options = json!({"liveUpdates": true});
    let mut world = World::with(Service::Full, capabilities(), options);
    world.client.allow("pieces/didChangeConversations");
    world.client.allow("pieces/didChangeStatus");
    world.client.allow("pieces/didAnswer");
    let tokens = json!({"workDoneToken": "w", "partialResultToken": 7});
    let request = send(&mut world, json!({"prompt": "Why?"}), tokens);
    let answer = world.client.response(request).unwrap();
    let told = world.client.drain_all();
    let progress = |token: Value| -> Vec<&Value> {
        let of = |message: &&Value| {
            message["method"] == "$/progress" && message["params"]["token"] == token
        };
        told.iter()
            .filter(of)
            .map(|message| &message["params"]["value"])
            .collect()
    };
    let work: Vec<_> = progress(json!("w"))
        .iter()
        .map(|value| (value["kind"].as_str().unwrap(), value["message"].as_str()))
        .collect();
    assert_eq!(work.first().unwrap().0, "begin");
    assert_eq!(*work.last().unwrap(), ("end", None));
    assert!(work.contains(&("report", Some("writing"))), "{work:?}");
    assert_eq!(progress(json!("w"))[0]["cancellable"], true);
    let deltas: String = progress(json!(7))
        .iter()
        .map(|value| value["delta"].as_str().unwrap())
        .collect();
    assert_eq!(deltas, "Because it does.");
    let answers: Vec<_> = told
        .iter()
        .filter(|message| message["method"] == "pieces/didAnswer")
        .map(|message| &message["params"])
        .collect();
    assert_eq!(answers[0]["status"], "waiting");
    assert_eq!(answers.last().unwrap()["status"], "done");
    let mut text = String::new();
    for one in &answers {
        assert_eq!(one["conversation"], answer["conversation"]);
        if let Some(delta) = one["delta"].as_str() {
            assert_eq!(one["at"], text.len());
            text.push_str(delta);
        }
    }
    assert_eq!(text, "Because it does.");
}

#[test]
fn an_editor_that_offers_nothing_gets_its_answer_and_nothing_else() {
    let mut world = World::with(Service::Full, json!({}), Value::Null);
    let request = send(&mut world, json!({"prompt": "Why?"}), json!({}));
    assert_eq!(
        world.client.response(request).unwrap()["text"],
        "Because it does."
    );
    assert_eq!(world.client.drain("$/progress"), Vec::<Value>::new());
}

/// The ways to stop an answer.
#[derive(Clone, Copy, Debug)]
enum By {
    Cancel,
    Progress,
    OwnProgress,
    Stop,
}

#[test]
fn every_way_to_stop_returns_the_text_so_far() {
    for by in [By::Cancel, By::Progress, By::OwnProgress, By::Stop] {
        for words in [vec![], vec!["Because ", "it"]] {
            let mut world = world();
            let text = words.concat();
            world
                .standin()
                .with(|state| state.answer = Answer::Hang(words));
            let tokens = match by {
                By::OwnProgress => json!({"partialResultToken": "p"}),
                _ => json!({"workDoneToken": "w", "partialResultToken": "p"}),
            };
            let conversation = world.create_known("one");
            let argument = json!({"prompt": "Why?", "conversation": conversation});
            let request = send(&mut world, argument, tokens);
            let shown = world.client.wait_notification("$/progress", |progress| {
                let expected = if text.is_empty() {
                    "waiting for the model"
                } else {
                    "writing"
                };
                progress["value"]["message"] == expected
            });
            let started = Instant::now();
            match by {
                By::Cancel => world.client.cancel(request),
                By::Progress | By::OwnProgress => world.client.notify(
                    "window/workDoneProgress/cancel",
                    json!({"token": shown["token"]}),
                ),
                By::Stop => {
                    let stopped = world.run("stop", json!({ "conversation": conversation }));
                    assert_eq!(stopped, Ok(json!({"stopped": true})));
                }
            }
            let answer = world.client.response(request).unwrap();
            let took = started.elapsed();
            let most = world.client.at_once();
            assert!(took < most, "{by:?}: {took:?} of {most:?}");
            assert_eq!(answer["stop"], "cancelled", "{by:?}: {answer}");
            assert_eq!(answer["text"], *text, "{by:?}");
            // Pieces OS says the id of an answer only when it is asked for it, which the result does not wait for.
            assert!(
                answer["answer"].is_null() || !text.is_empty(),
                "{by:?}: {answer}"
            );
            world.standin().wait_until("the stop", |state| {
                state
                    .asked
                    .iter()
                    .any(|one| one["stop"] == true && one["conversation"] == *conversation)
            });
            world
                .standin()
                .wait_until("no socket is left", |state| state.ask_sockets == 0);
        }
    }
}

#[test]
fn stopping_without_an_answer() {
    let mut world = world();
    let conversation = world.create_known("one");
    let stopped = world.run("stop", json!({ "conversation": conversation }));
    assert_eq!(stopped, Ok(json!({"stopped": false})));
}

#[test]
fn failures_say_what_to_do_and_keep_the_question() {
    let mut world = world();
    for (answer, kind) in [
        (
            Answer::Fail(vec![], 500, "UserSubscriptionRequired"),
            "model",
        ),
        (Answer::Fail(vec![], 401, ""), "signed-out"),
        (Answer::Fail(vec![], 500, "Endpoint failed."), "model"),
        (Answer::Words(vec![]), "model"),
        (Answer::Refuse(503, "busy"), "model"),
        (Answer::Close(vec![]), "offline"),
    ] {
        world.standin().with(|state| state.answer = answer.clone());
        let outcome = world.run("ask", json!({"prompt": "Why?"}));
        let error = outcome.expect_err("refused");
        assert_eq!(error.data["kind"], kind, "{answer:?}: {error:?}");
        let listed = messages(&mut world, &error.data["conversation"]);
        let kept = listed
            .iter()
            .find(|one| one["id"] == error.data["question"]);
        assert_eq!(kept.unwrap()["text"], "Why?", "{answer:?}: {listed:?}");
        // Nothing is asked twice.
        assert_eq!(questions(&world).len(), 1);
        world.standin().with(|state| state.asked.clear());
    }
}

#[test]
fn a_prompt_that_was_refused_can_be_asked_again() {
    let mut world = world();
    world
        .standin()
        .with(|state| state.answer = Answer::Refuse(503, "busy"));
    let error = world.run("ask", json!({"prompt": "Why?"})).unwrap_err();
    let question = error.data["question"].clone();
    let listed = messages(&mut world, &error.data["conversation"]);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["state"]),
        (&question, &json!("unanswered"))
    );
    world
        .standin()
        .with(|state| state.answer = Answer::default());
    let answer = world.run("ask", json!({ "question": question })).unwrap();
    assert_eq!(answer["conversation"], error.data["conversation"]);
    let listed = messages(&mut world, &answer["conversation"]);
    let texts: Vec<_> = listed
        .iter()
        .map(|one| one["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["Why?", "Because it does."]);
    let error = refused(
        world.run("ask", json!({"question": answer["question"]})),
        "invalid-argument",
    );
    assert!(error.message.contains("`question`"), "{error:?}");
}

#[test]
fn an_answer_that_breaks_off_is_incomplete() {
    let mut world = world();
    for answer in [
        Answer::Close(vec!["Because"]),
        Answer::Fail(vec!["Because"], 500, "Endpoint failed."),
    ] {
        world.standin().with(|state| state.answer = answer);
        let answer = world.run("ask", json!({"prompt": "Why?"})).unwrap();
        assert_eq!(answer["stop"], "incomplete", "{answer}");
        assert_eq!(answer["text"], "Because");
        assert!(answer["note"].as_str().unwrap().ends_with('.'), "{answer}");
    }
}

#[test]
fn frames_about_other_questions_are_skipped() {
    let mut world = world();
    let piece = |text: &str| json!({"status": "IN-PROGRESS", "question": {"answers": {"iterable": [{"text": text}]}}});
    let mut other = piece("other");
    other["conversation"] = json!(ABSENT);
    let mut older = piece("older");
    older["request"] = json!(ABSENT);
    let frames = vec![
        json!({"status": "INITIALIZED"}),
        other,
        older,
        json!({"conversation": ABSENT, "status": "COMPLETED"}),
        piece("mine"),
        json!({"status": "COMPLETED"}),
    ];
    world
        .standin()
        .with(|state| state.answer = Answer::Frames(frames));
    assert_eq!(
        world.run("ask", json!({"prompt": "Why?"})).unwrap()["text"],
        "mine"
    );
}

#[test]
fn models_are_listed_and_chosen_by_name() {
    let mut world = world();
    let model = |id: &str, name: &str, cloud: bool| json!({"id": id, "name": name, "cloud": cloud, "downloaded": false});
    world.standin().with(|state| {
        state.models = vec![
            model("1", "Gemini Flash", true),
            model("2", "Llama", false),
            model("3", "GPT-4o", true),
        ];
    });
    let listed = world.client.command("pieces.models", Value::Null).unwrap();
    assert_eq!(
        listed,
        json!({"source": "pieces-os", "items": [
            {"id": "1", "name": "Gemini Flash"}, {"id": "3", "name": "GPT-4o"}]})
    );
    let answer = world
        .run("ask", json!({"prompt": "a", "model": "gpt-4o"}))
        .unwrap();
    assert_eq!(answer["model"], "GPT-4o");
    assert_eq!(questions(&world)[0]["relevance"]["model"], "3");
    let error = refused(
        world.run("ask", json!({"prompt": "a", "model": "GPT-5"})),
        "no-model",
    );
    assert!(error.message.contains("GPT-4o"), "{error:?}");
    // The setting is the default of the ask.
    let options = json!({"model": "Gemini Flash"});
    let mut world = World::prepared(Service::Full, capabilities(), options, |standin| {
        standin.with(|state| state.models = vec![model("1", "Gemini Flash", true)]);
    });
    world.run("ask", json!({"prompt": "a"})).unwrap();
    assert_eq!(questions(&world)[0]["relevance"]["model"], "1");
}

#[test]
fn a_branch_has_copies_of_the_earlier_messages() {
    let mut world = world();
    let first = world.run("ask", json!({"prompt": "one"})).unwrap();
    let conversation = first["conversation"].clone();
    let second = world
        .run(
            "ask",
            json!({"prompt": "two", "conversation": conversation}),
        )
        .unwrap();
    let branch =
        json!({"prompt": "other", "from": second["question"], "conversation": conversation});
    let third = world.run("ask", branch).unwrap();
    assert_ne!(third["conversation"], conversation);
    let texts = |listed: Vec<Value>| -> Vec<String> {
        listed
            .iter()
            .map(|one| one["text"].as_str().unwrap().to_owned())
            .collect()
    };
    let told = texts(messages(&mut world, &third["conversation"]));
    assert_eq!(
        told,
        ["one", "Because it does.", "other", "Because it does."]
    );
    assert_eq!(
        messages(&mut world, &conversation).len(),
        4,
        "the old one is as it was"
    );
    // Without `conversation`, the message says which one.
    let answer = world
        .run("ask", json!({"prompt": "more", "from": first["question"]}))
        .unwrap();
    let told = texts(messages(&mut world, &answer["conversation"]));
    assert_eq!(told, ["more", "Because it does."]);
}

#[test]
fn a_dry_run_sends_nothing() {
    let mut world = world();
    let said = world
        .run("ask", json!({"prompt": "Why?", "dryRun": true}))
        .unwrap();
    assert_eq!(said["endpoint"], world.standin().url());
    assert!(said["tokens"].as_u64().unwrap() > 0, "{said}");
    assert!(questions(&world).is_empty() && world.items().is_empty());
}

#[test]
fn two_conversations_are_answered_at_once() {
    let mut world = world();
    world
        .standin()
        .with(|state| state.answer = Answer::Hang(vec!["a"]));
    let ids = [world.create_known("one"), world.create_known("two")];
    let requests = ids.each_ref().map(|id| {
        let tokens = json!({"workDoneToken": id});
        send(
            &mut world,
            json!({"prompt": "Why?", "conversation": id}),
            tokens,
        )
    });
    for id in &ids {
        world.client.wait_notification("$/progress", |progress| {
            progress["token"] == **id && progress["value"]["message"] == "writing"
        });
    }
    for (id, request) in ids.iter().zip(requests) {
        world.run("stop", json!({ "conversation": id })).unwrap();
        let answer = world.client.response(request).unwrap();
        assert_eq!(answer["conversation"], **id);
    }
}

#[test]
fn code_is_inserted_into_the_version_that_the_range_refers_to() {
    let mut can = capabilities();
    can["workspace"]["workspaceEdit"] = json!({"documentChanges": true});
    let mut world = World::with(Service::Full, can, Value::Null);
    let words = vec![
        "Use:\n\n```rs\nfn better() {}\n```\n",
        "or\n\n```\nx\n```\n",
    ];
    world
        .standin()
        .with(|state| state.answer = Answer::Words(words));
    let answer = world.run("ask", json!({"prompt": "Improve it."})).unwrap();
    let listed = messages(&mut world, &answer["conversation"]);
    assert_eq!(
        listed[1]["blocks"],
        json!([{"index": 0, "language": "rs", "text": "fn better() {}\n"},
            {"index": 1, "language": "", "text": "x\n"}])
    );
    let uri = "untitled:Untitled-1";
    world.open(uri, "fn worse() {}\nlet y;\n");
    world
        .client
        .answer("workspace/applyEdit", |_| Some(json!({"applied": true})));
    let line = json!({"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}});
    let argument = |more: Value| {
        let mut argument = json!({"conversation": answer["conversation"], "message": answer["answer"],
            "block": 0, "uri": uri, "range": line});
        for (name, value) in more.as_object().unwrap() {
            argument[name] = value.clone();
        }
        argument
    };
    let applied = world.run("insertCode", argument(json!({"expect": "fn worse() {}\n"})));
    assert_eq!(applied, Ok(json!({"applied": true})));
    let edit =
        world.client.wait_request("workspace/applyEdit", |_| true)["edit"]["documentChanges"][0]
            .clone();
    assert_eq!(edit["textDocument"], json!({"uri": uri, "version": 1}));
    assert_eq!(
        edit["edits"],
        json!([{"range": line, "newText": "fn better() {}\n"}])
    );
    // Within a line, the code comes without its last line break.
    let within = json!({"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 5}});
    world
        .run("insertCode", argument(json!({"block": 1, "range": within})))
        .unwrap();
    let edit =
        world.client.wait_request("workspace/applyEdit", |_| true)["edit"]["documentChanges"][0]
            .clone();
    assert_eq!(edit["edits"][0]["newText"], "x");
    // A selection that was made backwards goes out the right way round.
    let backwards = json!({"start": within["end"], "end": within["start"]});
    world
        .run(
            "insertCode",
            argument(json!({"block": 1, "range": backwards})),
        )
        .unwrap();
    let edit =
        world.client.wait_request("workspace/applyEdit", |_| true)["edit"]["documentChanges"][0]
            .clone();
    assert_eq!(edit["edits"][0]["range"], within);
    // Another text is there: nothing is asked of the editor.
    let applied = world.run("insertCode", argument(json!({"expect": "something else"})));
    assert_eq!(applied, Ok(json!({"applied": false})));
    assert!(world.client.drain("workspace/applyEdit").is_empty());
    for (more, kind) in [
        (json!({"block": 7}), "invalid-argument"),
        (json!({"message": ABSENT}), "not-found"),
        (json!({"range": null}), "invalid-argument"),
    ] {
        refused(world.run("insertCode", argument(more)), kind);
    }
}
