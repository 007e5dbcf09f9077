//! The frames.

use super::asker::{Stage, question};
use super::support::endpoint::Endpoint;
use pieces_lsp::service::Options;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_the_published_cli_is_stored_announced_answered_and_completed() {
    let stage = Stage::new().await;
    let mut events = stage.stream("/conversations/stream/identifiers").await;
    assert_eq!(events.frame().await, json!({"iterable": []}));
    let mut socket = stage.socket().await;
    socket.ask(None, "Why is\nit so?").await;
    let event = events.frame().await;
    let id = event["iterable"][0]["conversation"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut asked = stage.endpoint.question();
    assert_eq!(asked.messages(), ["user: Why is\nit so?"]);
    assert_eq!(stage.messages(&id).await[0].1, "Why is\nit so?");
    let conversation = stage.local.get(&format!("/conversation/{id}")).await;
    assert_eq!(conversation["name"], "Why is");
    assert_eq!(conversation["pieces_lsp"]["answering"]["status"], "waiting");

    asked.begin().think("Hm.").say("Be").say("cause.");
    asked.end("stop", Some((9, 2)));
    let first = socket.frame().await;
    assert_eq!(
        (&first["status"], &first["request"]),
        (&json!("IN-PROGRESS"), &json!("r"))
    );
    assert_eq!(first["conversation"], id.as_str());
    assert!(first.get("pieces_lsp").is_none());
    let (rest, last) = socket.ended().await;
    let text = super::asker::words(&first) + &rest;
    assert_eq!(text, "Because.");
    assert_eq!(
        (&last["status"], &last["statusCode"]),
        (&json!("COMPLETED"), &json!(200))
    );
    assert!(last.get("question").is_none() && last.get("pieces_lsp").is_none());

    let messages = stage.messages(&id).await;
    assert_eq!(
        (messages[1].0.as_str(), messages[1].1.as_str()),
        ("ASSISTANT", "Because.")
    );
    assert_eq!(
        messages[1].2["usage"],
        json!({"prompt": 9, "completion": 2})
    );
    let conversation = stage.local.get(&format!("/conversation/{id}")).await;
    assert!(conversation.get("pieces_lsp").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_several_conversations_share_a_socket() {
    let stage = Stage::new().await;
    let (a, b) = (stage.conversation().await, stage.conversation().await);
    let mut socket = stage.socket().await;
    socket.ask(Some(&a), "A?").await;
    let mut to_a = stage.endpoint.question();
    socket.ask(Some(&b), "B?").await;
    let mut to_b = stage.endpoint.question();
    socket.ask(Some(&a), "Again?").await;
    let busy = socket.frame().await;
    assert_eq!(
        (&busy["status"], &busy["statusCode"]),
        (&json!("FAILED"), &json!(503))
    );
    assert!(busy["errorMessage"].as_str().unwrap().contains("wait"));
    to_b.begin().say("b");
    let frame = socket.frame().await;
    assert_eq!(
        (&frame["conversation"], super::asker::words(&frame).as_str()),
        (&json!(b), "b")
    );
    to_a.begin().say("a");
    let frame = socket.frame().await;
    assert_eq!(
        (&frame["conversation"], super::asker::words(&frame).as_str()),
        (&json!(a), "a")
    );
    to_a.end("stop", None);
    assert_eq!(socket.frame().await["conversation"], json!(a));
    to_b.end("stop", None);
    assert_eq!(socket.frame().await["conversation"], json!(b));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_socket_can_stop_an_answer_and_the_asking_one_is_told_once() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let mut socket = stage.socket().await;
    let mut other = stage.socket().await;
    for (stop, from_other) in [
        (json!({"conversation": id, "stop": true}), true),
        (json!({"conversation": id, "stop": true}), false),
        (json!({"stop": true}), false),
        (json!({"conversation": id, "reset": true}), false),
    ] {
        socket.ask(Some(&id), "Why?").await;
        let mut asked = stage.endpoint.question();
        asked.begin().say("Half");
        socket.until_text("Half").await;
        if from_other {
            other.send(stop.clone()).await;
            let told = other.frame().await;
            assert_eq!(
                (&told["status"], &told["pieces_lsp"]["stopped"]),
                (&json!("STOPPED"), &json!(true))
            );
        } else {
            socket.send(stop.clone()).await;
        }
        let closed = asked.closed();
        assert!(closed < Duration::from_secs(2), "{closed:?}");
        assert_eq!(socket.frame().await["status"], "STOPPED", "{stop}");
        assert_eq!(stage.answer(&id).await, "Half");
    }
    other.send(json!({"conversation": id, "stop": true})).await;
    assert_eq!(other.frame().await["pieces_lsp"]["stopped"], false);
    // A published client would take a second frame for the end of its next answer.
    socket.send(json!({"conversation": id, "stop": true})).await;
    socket.ask(Some(&id), "Why?").await;
    stage.endpoint.question().answer("So.");
    assert_eq!(socket.ended().await.0, "So.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_client_does_not_end_the_answer() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let mut socket = stage.socket().await;
    socket.ask(Some(&id), "Why?").await;
    let mut asked = stage.endpoint.question();
    asked.begin().say("Be");
    socket.until_text("Be").await;
    drop(socket);
    asked.say("cause.");
    asked.end("stop", None);
    let messages = stage.until_state(&id, &Value::Null).await;
    assert_eq!(messages[1].1, "Because.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_one_sentence_and_leaves_the_question() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let mut socket = stage.socket().await;
    socket.ask(Some(&id), "Why?").await;
    stage.endpoint.question().fail(500, "out of memory");
    let (_, failed) = socket.ended().await;
    assert_eq!(
        (&failed["status"], &failed["statusCode"]),
        (&json!("FAILED"), &json!(500))
    );
    let sentence = failed["errorMessage"].as_str().unwrap();
    assert!(
        sentence.ends_with('.') && sentence.lines().count() == 1,
        "{sentence}"
    );
    assert_eq!(stage.messages(&id).await[0].2["state"], "unanswered");

    // It broke off: what came is kept, and other clients learn that it is not whole.
    socket.ask(Some(&id), "Why?").await;
    let mut asked = stage.endpoint.question();
    asked.begin().say("Half");
    drop(asked);
    let (text, failed) = socket.ended().await;
    assert_eq!(
        (text.as_str(), &failed["status"]),
        ("Half", &json!("FAILED"))
    );
    let messages = stage.messages(&id).await;
    assert_eq!(
        (&messages[2].2["state"], &messages[2].2["stop"]),
        (&json!("interrupted"), &json!("incomplete"))
    );

    for frame in [
        json!({"relevance": {"query": ""}, "question": {"query": ""}}),
        json!({"conversation": id}),
    ] {
        socket.send(frame.clone()).await;
        assert_eq!(socket.frame().await["statusCode"], 400, "{frame}");
    }
    socket
        .send(json!({"relevance": {"query": "q"}, "conversation": id}))
        .await;
    let found = socket.frame().await;
    assert_eq!(
        (&found["status"], &found["relevance"]),
        (&json!("COMPLETED"), &json!({"relevant": {"iterable": []}}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn editor_windows_send_their_endpoint_and_get_all_fields() {
    let stage = Stage::new().await;
    let other = Endpoint::start();
    let id = stage.conversation().await;
    let endpoint = json!({"url": other.url, "source": "environment", "instructions": "Be brief."});
    let mut frame = question("Why?");
    frame["conversation"] = json!(id);
    frame["pieces_lsp"] = json!({"endpoint": endpoint, "stored": "Why? (stored)",
        "named": [{"path": "/a.rs", "size": 1, "sha256": "00"}],
        "texts": [{"kind": "selection", "name": "a.rs", "uri": "file:///a.rs", "range": [1, 1], "text": "fn a() {}"}]});
    // Not honoured where other programs could send it.
    let mut tcp = stage.socket().await;
    tcp.send(frame.clone()).await;
    stage.endpoint.question().answer("From the file.");
    let (text, last) = tcp.ended().await;
    assert_eq!(
        (text.as_str(), &last["pieces_lsp"]["stop"]),
        ("From the file.", &json!("end"))
    );

    let mut own = stage.own_socket().await;
    own.send(frame).await;
    let mut asked = other.question();
    let sent = asked.messages();
    assert_eq!(sent.first().map(String::as_str), Some("system: Be brief."));
    assert!(sent.last().unwrap().contains("fn a() {}") && sent.last().unwrap().ends_with("Why?"));
    let first = own.frame().await;
    assert_eq!(
        (
            &first["pieces_lsp"]["status"],
            super::asker::words(&first).as_str()
        ),
        (&json!("waiting"), "")
    );
    asked.begin().think("Hm.");
    assert_eq!(own.frame().await["pieces_lsp"]["status"], "thinking");
    asked.say("So.");
    let frame = own.frame().await;
    assert_eq!(
        (&frame["pieces_lsp"]["status"], &frame["pieces_lsp"]["at"]),
        (&json!("writing"), &json!(0))
    );
    asked.end("length", None);
    let (_, last) = own.ended().await;
    let told = &last["pieces_lsp"];
    assert_eq!(
        (&told["stop"], &told["context"][1]["kind"]),
        (&json!("length"), &json!("selection")),
        "{told}"
    );
    assert!(told["answer"].is_string() && told["question"].is_string() && told["seconds"].is_f64());
    let messages = stage.messages(&id).await;
    assert_eq!(messages[2].1, "Why? (stored)");
    assert_eq!(messages[2].2["named"][0]["path"], "/a.rs");

    let mut dry = question("Why?");
    dry["conversation"] = json!(id);
    dry["pieces_lsp"] = json!({"dryRun": true});
    own.send(dry).await;
    let (_, plan) = own.ended().await;
    assert_eq!(plan["pieces_lsp"]["model"], "scripted");
    assert_eq!(plan["pieces_lsp"]["remote"], false);
    assert_eq!(stage.messages(&id).await.len(), 4);
    assert_eq!((stage.endpoint.asked(), other.asked()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_without_an_endpoint_asks_no_model() {
    let stage = Stage::new().await;
    let mut frame = question("Why?");
    frame["conversation"] = json!(stage.conversation().await);
    frame["pieces_lsp"] = json!({"endpoint": null});
    let mut own = stage.own_socket().await;
    own.send(frame).await;
    let (_, last) = own.ended().await;
    assert_eq!(last["pieces_lsp"]["error"]["kind"], "no-model");
    assert_eq!(stage.endpoint.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_no_file_is_read_and_the_note_says_so() {
    let stage = Stage::with(|options| Options {
        token: false,
        ..options
    })
    .await;
    let file = stage.dir.path().join("../secret.txt");
    let id = stage.conversation().await;
    let mut frame = question("Why?");
    frame["conversation"] = json!(id);
    frame["relevance"]["paths"] = json!([file]);
    let mut socket = stage.socket().await;
    socket.send(frame).await;
    let asked = stage.endpoint.question();
    assert_eq!(asked.messages(), ["user: Why?"]);
    asked.answer("So.");
    socket.ended().await;
    let own = &stage.messages(&id).await[1].2;
    assert!(
        own["note"]
            .as_str()
            .unwrap()
            .starts_with("No file was read"),
        "{own}"
    );
    assert_eq!(
        (&own["context"][0]["kind"], &own["context"][0]["sent"]),
        (&json!("file"), &json!(0))
    );
}
