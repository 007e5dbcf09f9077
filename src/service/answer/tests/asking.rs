//! A question and its answer.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::stage::{Stage, endpoint, within};
use crate::model::{EndpointUrl, Error, New, Request, Stop, TooLong};
use crate::pieces::PlainHttp;
use crate::service::{
    answer::{Asking, Peer, run::Status},
    store::Kind,
};

fn pair(role: &str, text: &str) -> (String, String) {
    (role.to_owned(), text.to_owned())
}

#[tokio::test]
async fn the_question_is_stored_before_the_model_is_asked_and_the_answer_after_it() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let (_, before) = stage.object(Kind::Conversation, &id).await;
    let mut events = stage.events().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    assert_eq!(stage.texts(&id).await, [pair("USER", "Why?")]);
    let (_, at_question) = stage.object(Kind::Conversation, &id).await;
    assert!(at_question > before);
    assert!(
        events.try_recv().unwrap().contains(&id),
        "the event comes before the first word"
    );

    asked.say("Be").await;
    asked.say("cause.").await;
    answer.until_text("Because.").await;
    asked.end().await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(outcome, "Completed");
    assert_eq!(
        stage.texts(&id).await,
        [pair("USER", "Why?"), pair("ASSISTANT", "Because.")]
    );
    assert_eq!(own["stop"], "end");
    assert_eq!(own["model"], "played");
    let messages = stage.messages(&id).await;
    assert!(messages[0].2.is_null(), "{:?}", messages[0].2);
    assert_eq!(messages[1].2["stop"], "end");
    assert!(messages[1].2.get("state").is_none());
    let (_, at_end) = stage.object(Kind::Conversation, &id).await;
    assert!(at_end > at_question);
    assert_eq!(stage.found("because").await, 1);
}

#[tokio::test]
async fn an_answer_grows_in_the_store_without_moving_updated_or_search() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    let (_, at_question) = stage.object(Kind::Conversation, &id).await;
    asked.say("Zebras").await;
    let message = answer.until_stored().await;
    let messages = stage.messages(&id).await;
    assert_eq!(messages[1].1, "Zebras");
    assert_eq!(messages[1].2["state"], "writing");
    assert_eq!(stage.object(Kind::Conversation, &id).await.1, at_question);
    assert_eq!(stage.found("zebras").await, 0);
    let mut events = stage.events().await;
    asked.say(" run").await;
    while stage.texts(&id).await[1].1 != "Zebras run" {
        tokio::task::yield_now().await;
    }
    assert!(events.recv().await.unwrap().contains(&id));
    asked.end().await;
    let (_, own) = answer.ended().await;
    assert_eq!(own["answer"], message);
    assert_eq!(stage.found("zebras").await, 1);
}

#[tokio::test]
async fn a_question_without_a_conversation_starts_one_named_after_its_first_words() {
    let mut stage = Stage::new();
    let id = Uuid::new_v4().to_string();
    let prompt =
        "How does the retry loop decide when it is time to give up on a request? And why?\nMore.";
    let mut answer = stage.ask(&id, prompt);
    stage.asked().await.end().await;
    answer.ended().await;
    let (doc, _) = stage.object(Kind::Conversation, &id).await;
    assert_eq!(
        doc["name"],
        "How does the retry loop decide when it is time to give up on"
    );
    assert_eq!(doc["type"], "COPILOT");
}

#[tokio::test]
async fn history_and_instructions_reach_the_model_and_unanswered_questions_do_not() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    stage.message(&id, "USER", "One?").await;
    stage.message(&id, "ASSISTANT", "Two.").await;
    let mut failed = stage.ask(&id, "Lost?");
    stage.asked().await.fail(Error::model("It is off.")).await;
    let (outcome, own) = failed.ended().await;
    assert_eq!(outcome, "Failed(500)");
    assert_eq!(
        own["error"],
        json!({"kind": "model", "message": "It is off.", "detail": null})
    );
    assert_eq!(stage.messages(&id).await[2].2["state"], "unanswered");
    let mut answer = stage.ask(&id, "Three?");
    let asked = stage.asked().await;
    let texts: Vec<_> = asked
        .request
        .messages
        .iter()
        .map(|message| message.text.clone())
        .collect();
    asked.end().await;
    answer.ended().await;
    assert_eq!(texts, ["Be brief.", "One?", "Two.", "Three?"]);
}

#[tokio::test]
async fn a_second_question_in_a_conversation_is_refused_while_others_go_on() {
    let mut stage = Stage::new();
    let (a, b) = (stage.conversation().await, stage.conversation().await);
    let mut first = stage.ask(&a, "A?");
    let to_a = stage.asked().await;
    let refusal = stage.try_ask(&a, "Again?", json!({})).err().unwrap();
    assert_eq!((refusal.kind, refusal.code), ("busy", 503));
    let mut second = stage.ask(&b, "B?");
    let to_b = stage.asked().await;
    to_b.say("b").await;
    to_a.say("a").await;
    to_b.end().await;
    to_a.end().await;
    assert_eq!(
        (first.ended().await.0, second.ended().await.0),
        ("Completed".into(), "Completed".into())
    );
    assert_eq!(
        stage.texts(&a).await,
        [pair("USER", "A?"), pair("ASSISTANT", "a")]
    );
    assert_eq!(
        stage.texts(&b).await,
        [pair("USER", "B?"), pair("ASSISTANT", "b")]
    );
    stage.ask(&a, "Again?");
    stage.asked().await;
}

#[tokio::test]
async fn a_stop_keeps_what_was_written() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    asked.say("Half").await;
    answer.until_text("Half").await;
    assert!(stage.answers.stop(&id).is_some());
    asked.closed().await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(
        (outcome.as_str(), &own["stop"]),
        ("Stopped", &json!("cancelled"))
    );
    let messages = stage.messages(&id).await;
    assert_eq!(messages[1].1, "Half");
    assert_eq!(messages[1].2["state"], "stopped");
    assert_eq!(stage.found("half").await, 1);
    assert!(stage.answers.stop(&id).is_none());
}

#[tokio::test]
async fn a_stop_before_the_first_word_leaves_the_question_to_be_asked_again() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    stage.answers.stop(&id);
    asked.closed().await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(
        (outcome.as_str(), &own["answer"]),
        ("Stopped", &json!(null))
    );
    let question = own["question"].as_str().unwrap().to_owned();
    assert_eq!(stage.messages(&id).await[0].2["state"], "unanswered");

    stage.message(&id, "USER", "Later").await;
    let mut answer = stage
        .try_ask(&id, "", json!({"question": question}))
        .unwrap();
    let asked = stage.asked().await;
    assert!(
        asked
            .request
            .messages
            .last()
            .unwrap()
            .text
            .ends_with("Why?")
    );
    asked.say("So.").await;
    asked.end().await;
    let (_, own) = answer.ended().await;
    assert_eq!(own["question"], question);
    let texts = stage.texts(&id).await;
    assert_eq!(
        texts,
        [
            pair("USER", "Later"),
            pair("USER", "Why?"),
            pair("ASSISTANT", "So.")
        ]
    );
    assert!(stage.messages(&id).await[1].2.is_null());

    let mut again = stage
        .try_ask(&id, "", json!({"question": question}))
        .unwrap();
    assert_eq!(again.ended().await.0, "400 invalid-argument");
    assert!(!stage.was_asked());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_kept_as_incomplete() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    asked.say("Half").await;
    asked
        .end_as(Stop::Incomplete, None, Some("The connection ended."))
        .await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(
        (outcome.as_str(), &own["stop"]),
        ("Incomplete", &json!("incomplete"))
    );
    assert_eq!(own["note"], "The connection ended.");
    assert_eq!(stage.messages(&id).await[1].2["state"], "interrupted");
}

#[tokio::test]
async fn a_conversation_that_was_deleted_is_not_made_again_by_our_windows() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    stage.delete(&id).await;
    let mut answer = stage.ask(&id, "Why?");
    assert_eq!(answer.ended().await.0, "410 not-found");
    assert!(!stage.was_asked());
    // The endpoint of another client than our windows is not used: none was chosen.
    let frame = json!({"question": {"query": "Why?"}, "pieces_lsp": {"endpoint": endpoint("http://127.0.0.1:9")}});
    let mut other = stage
        .send(&Uuid::new_v4().to_string(), frame, Peer::Token)
        .unwrap();
    assert_eq!(other.ended().await.0, "Failed(501)");
    assert!(!stage.was_asked());
}

#[tokio::test]
async fn the_end_of_the_service_keeps_what_was_written() {
    let mut stage = Stage::new();
    let (a, b) = (stage.conversation().await, stage.conversation().await);
    let mut written = stage.ask(&a, "A?");
    let to_a = stage.asked().await;
    let mut waiting = stage.ask(&b, "B?");
    let to_b = stage.asked().await;
    to_a.say("Half").await;
    written.until_text("Half").await;
    stage.answers.end().await;
    to_a.closed().await;
    to_b.closed().await;
    let (outcome, own) = written.ended().await;
    assert_eq!(
        (outcome.as_str(), &own["stop"]),
        ("Incomplete", &json!("incomplete"))
    );
    assert_eq!(waiting.ended().await.1["answer"], json!(null));
    assert_eq!(stage.messages(&a).await[1].2["state"], "interrupted");
    assert_eq!(stage.messages(&b).await[0].2["state"], "unanswered");
}

#[tokio::test]
async fn a_kill_keeps_the_question_and_what_was_stored_of_the_answer() {
    let mut stage = Stage::new();
    let (a, b) = (stage.conversation().await, stage.conversation().await);
    let mut written = stage.ask(&a, "A?");
    let to_a = stage.asked().await;
    let mut waiting = stage.ask(&b, "B?");
    let _to_b = stage.asked().await;
    to_a.say("Half").await;
    written.until_stored().await;
    waiting.until(|progress| progress.question.is_some()).await;
    let stage = stage.kill().await;
    let messages = stage.messages(&a).await;
    assert_eq!(
        (messages[1].1.as_str(), &messages[1].2["state"]),
        ("Half", &json!("interrupted"))
    );
    assert_eq!(messages[1].2["stop"], "incomplete");
    assert_eq!(stage.messages(&b).await[0].2["state"], "unanswered");
    assert_eq!(stage.found("half").await, 1);
}

#[tokio::test]
async fn a_delete_takes_what_was_written_into_the_trash() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    asked.say("Stored").await;
    answer.until_stored().await;
    asked.say(", not stored").await;
    answer.until_text("Stored, not stored").await;
    stage.delete(&id).await;
    asked.closed().await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(
        (outcome.as_str(), &own["answer"]),
        ("Stopped", &json!(null))
    );
    let back = id.clone();
    let restore = move |change: &mut crate::service::store::Change<'_>| {
        crate::service::objects::trash::restore(change, &back)
    };
    stage.store.write(restore).await.unwrap();
    let messages = stage.messages(&id).await;
    assert_eq!(
        (messages[1].1.as_str(), &messages[1].2["state"]),
        ("Stored, not stored", &json!("stopped"))
    );
}

fn too_long(context: Option<u32>) -> Error {
    Error {
        too_long: Some(TooLong { context }),
        ..Error::model("It is too long.")
    }
}

#[tokio::test]
async fn a_refusal_of_the_length_is_followed_by_one_shorter_question() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    for turn in ["USER", "ASSISTANT", "USER", "ASSISTANT"] {
        stage.message(&id, turn, &"words ".repeat(200)).await;
    }
    let mut answer = stage.ask(&id, "Why?");
    let long = stage.asked().await;
    let before = long.request.clone();
    long.fail(too_long(Some(700))).await;
    let short = stage.asked().await;
    let length = |request: &Request| request.messages.iter().map(|m| m.text.len()).sum::<usize>();
    assert!(length(&short.request) < length(&before) && short.request.last && !before.last);
    short.fail(too_long(None)).await;
    assert_eq!(answer.ended().await.0, "Failed(500)");
    assert!(!stage.was_asked());
}

/// The second connection to the model panics, and no other; a refusal of the length leads to it.
async fn faulty() -> (Stage, String) {
    let mut made = 0;
    let stage = Stage::connecting(move || {
        made += 1;
        assert!(made != 2, "a fault, on purpose");
    });
    let id = stage.conversation().await;
    for turn in ["USER", "ASSISTANT"] {
        stage.message(&id, turn, &"words ".repeat(200)).await;
    }
    (stage, id)
}

#[tokio::test]
async fn a_fault_in_a_run_keeps_what_was_written_as_interrupted() {
    let (mut stage, id) = faulty().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    asked.say("Because").await;
    answer.until_stored().await;
    asked.say(" it").await;
    asked.fail(too_long(Some(1))).await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(outcome, "Incomplete");
    assert_eq!(own["stop"], "incomplete");
    assert!(own["note"].as_str().unwrap().contains("bug"), "{own}");
    assert!(
        own["answer"].is_string() && own["question"].is_string(),
        "{own}"
    );
    let messages = stage.messages(&id).await;
    assert_eq!(messages[3].1, "Because it");
    assert_eq!(messages[3].2["state"], "interrupted");
    assert_eq!(stage.found("because").await, 1);
    // The conversation is free.
    let mut next = stage.ask(&id, "And then?");
    stage.asked().await.fail(Error::model("Enough.")).await;
    assert_eq!(next.ended().await.0, "Failed(500)");
}

#[tokio::test]
async fn a_fault_before_the_first_word_leaves_the_question_unanswered() {
    let (mut stage, id) = faulty().await;
    let mut answer = stage.ask(&id, "Why?");
    stage.asked().await.fail(too_long(Some(1))).await;
    let (outcome, own) = answer.ended().await;
    assert_eq!(outcome, "Failed(500)");
    assert!(own["answer"].is_null(), "{own}");
    let error = own["error"]["message"].as_str().unwrap();
    assert!(error.contains("bug"), "{own}");
    let messages = stage.messages(&id).await;
    assert_eq!(
        (messages.len(), &messages[2].2["state"]),
        (3, &json!("unanswered"))
    );
}

#[tokio::test]
async fn a_prompt_that_was_silently_cut_is_reported() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    stage.message(&id, "USER", &"words ".repeat(1000)).await;
    stage.message(&id, "ASSISTANT", "So.").await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    asked.say("Because.").await;
    asked.end_as(Stop::End, Some(12), None).await;
    let (_, own) = answer.ended().await;
    let note = own["note"].as_str().unwrap();
    assert!(
        note.contains("cut the question") && note.contains("12 of about"),
        "{note}"
    );
    assert_eq!(stage.messages(&id).await[3].2["note"], note);
}

#[tokio::test]
async fn thinking_is_a_status_that_is_announced_and_not_stored() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    let mut events = stage.events().await;
    asked.think().await;
    answer
        .until(|progress| progress.status == Status::Thinking)
        .await;
    assert!(within(events.recv()).await.unwrap().contains(&id));
    let live = stage.store.live().add(&id, "{}").unwrap().unwrap();
    let live: serde_json::Value = serde_json::from_str(&live).unwrap();
    assert_eq!(
        live,
        json!({"pieces_lsp": {"answering": {"message": null, "status": "thinking"}}})
    );
    assert_eq!(stage.messages(&id).await.len(), 1);
    asked.say("So.").await;
    asked.end().await;
    answer.ended().await;
    assert_eq!(stage.store.live().add(&id, "{}").unwrap(), None);
}

#[tokio::test]
async fn an_answer_without_a_client_ends_after_thirty_minutes() {
    let mut stage = Stage::new();
    let id = stage.conversation().await;
    let mut answer = stage.ask(&id, "Why?");
    let asked = stage.asked().await;
    asked.say("Half").await;
    answer.until_stored().await;
    drop(answer);
    // The run notices that.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(29 * 60)).await;
    assert!(!asked.is_closed());
    tokio::time::advance(Duration::from_secs(2 * 60)).await;
    tokio::time::resume();
    asked.closed().await;
    stage.answers.end().await;
    assert_eq!(stage.messages(&id).await[1].2["state"], "interrupted");
}

#[tokio::test]
async fn without_a_token_a_remote_endpoint_is_asked_only_if_that_was_allowed() {
    for (peer, remote, asks) in [
        (Peer::Open, false, false),
        (Peer::Open, true, true),
        (Peer::Token, false, true),
    ] {
        let dir = tempfile::TempDir::new().unwrap();
        let new = New {
            model: Some("played".to_owned()),
            ..New::plain(
                EndpointUrl::parse("https://models.example/v1", PlainHttp::Loopback).unwrap(),
            )
        };
        crate::model::save(dir.path(), &new).unwrap();
        let asking = Asking {
            remote,
            plain_http: PlainHttp::Loopback,
        };
        let mut stage = Stage::at(dir, asking);
        let frame = json!({"question": {"query": "Why?"}});
        let id = Uuid::new_v4().to_string();
        let mut answer = stage.send(&id, frame, peer).unwrap();
        if asks {
            stage.asked().await.end().await;
            answer.ended().await;
        } else {
            let (outcome, own) = answer.ended().await;
            assert_eq!(
                (outcome.as_str(), &own["error"]["kind"]),
                ("Failed(501)", &json!("no-model"))
            );
            assert!(
                own["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("--ask-remote")
            );
            assert_eq!(stage.messages(&id).await[0].2["state"], "unanswered");
        }
        assert!(!stage.was_asked());
    }
}
