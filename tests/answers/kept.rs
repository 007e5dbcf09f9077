//! What is kept of an answer, whatever happens to it.

use super::asker::{Socket, Stage, choose, messages};
use super::support::{
    endpoint::{Endpoint, Question},
    local::{Local, check_integrity, options},
    process::{Process, Spawn},
};
use pieces_lsp::service::attach;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// An answer of which some words are stored.
async fn half_written(stage: &Stage, id: &str) -> (Socket, Question) {
    let mut socket = stage.socket().await;
    socket.ask(Some(id), "Why?").await;
    let mut asked = stage.endpoint.question();
    asked.begin().say("Half");
    stage.until_state(id, &json!("writing")).await;
    (socket, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_shows_that_it_is_being_answered() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let (mut socket, mut asked) = half_written(&stage, &id).await;
    let path = format!("/conversation/{id}");
    let conversation = stage.local.get(&path).await;
    let answering = conversation["pieces_lsp"]["answering"].clone();
    assert_eq!(answering["status"], "writing");
    let message = answering["message"].as_str().unwrap();
    assert_eq!(conversation["messages"]["indices"][message], 1);
    let listed = stage.local.get("/conversations").await;
    assert_eq!(listed["iterable"][0]["pieces_lsp"]["answering"], answering);
    // A client that writes back what it read does not make that permanent, nor does it end the answer.
    stage.local.post("/conversation/update", conversation).await;
    let mut stale = stage.local.get(&format!("/message/{message}")).await;
    asked.say(" of it.");
    asked.end("stop", None);
    socket.ended().await;
    stage
        .local
        .post("/message/update", std::mem::take(&mut stale))
        .await;
    assert!(stage.messages(&id).await[1].2.get("state").is_none());
    assert!(stage.local.get(&path).await.get("pieces_lsp").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_ends_the_answer_and_keeps_its_words_in_the_trash() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let (mut socket, mut asked) = half_written(&stage, &id).await;
    asked.say(", and more");
    socket.until_text("Half, and more").await;
    stage
        .local
        .post(&format!("/conversations/{id}/delete"), Value::Null)
        .await;
    asked.closed();
    assert_eq!(socket.ended().await.1["status"], "STOPPED");
    stage
        .local
        .post(&format!("/pieces-lsp/restore/{id}"), Value::Null)
        .await;
    let messages = stage.messages(&id).await;
    assert_eq!(
        (messages[1].1.as_str(), &messages[1].2["state"]),
        ("Half, and more", &json!("stopped"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_message_is_deleted_ends() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let (mut socket, mut asked) = half_written(&stage, &id).await;
    let conversation = stage.local.get(&format!("/conversation/{id}")).await;
    let message = conversation["pieces_lsp"]["answering"]["message"]
        .as_str()
        .unwrap();
    stage
        .local
        .post(&format!("/messages/{message}/delete"), Value::Null)
        .await;
    asked.say(" of it.");
    asked.closed();
    assert_eq!(socket.ended().await.1["status"], "STOPPED");
    assert_eq!(stage.messages(&id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_does_not_touch_an_answer_that_is_being_written() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let (mut socket, mut asked) = half_written(&stage, &id).await;
    let export = stage.local.text("/pieces-lsp/export").await;
    let mut objects: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    objects.retain(|object| object.get("message").is_some());
    for object in &mut objects {
        object["message"]["updated"] = json!({"value": "2100-01-01T00:00:00Z"});
        object["message"]["fragment"]["string"]["raw"] = "Imported".into();
    }
    let outcomes = stage.local.plant(objects).await;
    assert_eq!(outcomes, ["updated", "unchanged"]);
    asked.say(" of it.");
    asked.end("stop", None);
    socket.ended().await;
    let texts: Vec<_> = stage
        .messages(&id)
        .await
        .into_iter()
        .map(|(_, text, _)| text)
        .collect();
    assert_eq!(texts, ["Imported", "Half of it."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_the_service_stores_all_words_and_tells_the_client() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let (mut socket, mut asked) = half_written(&stage, &id).await;
    asked.say(", and more");
    socket.until_text("Half, and more").await;
    let Stage { dir, attached, .. } = stage;
    let (ended, ()) = tokio::join!(socket.ended(), attached.shutdown());
    assert_eq!(ended.1["status"], "FAILED");
    asked.closed();
    let attached = attach(&options(dir.path(), true)).await.unwrap();
    let local = Local::new(&attached.url, attached.token.clone());
    let messages = messages(&local, &id).await;
    assert_eq!(
        (messages[1].1.as_str(), &messages[1].2["state"]),
        ("Half, and more", &json!("interrupted"))
    );
}

/// `pieces-lsp service` on the store in `dir`, once it serves.
fn service(dir: &Path) -> (Process, Local) {
    let spawn = Spawn::with_arguments(["service", "--data-dir"]).arg(dir);
    let (process, stdout) = spawn.start_unread();
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    (process, Local::of(dir).expect("service.json is there"))
}

/// A question in a conversation of its own, which the model has got.
async fn ask(local: &Local, endpoint: &Endpoint) -> (String, Socket, Question) {
    let made = local
        .post("/conversations/create", json!({"name": "C"}))
        .await;
    let id = made["id"].as_str().unwrap().to_owned();
    let mut socket = Socket::connect(local, "/qgpt/stream").await;
    socket.ask(Some(&id), "Why?").await;
    (id, socket, endpoint.question())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_keeps_every_question_and_what_was_stored_of_the_answers() {
    let dir = TempDir::new().unwrap();
    let endpoint = Endpoint::start();
    choose(dir.path(), &endpoint.url, false);
    for round in 0..6_u64 {
        let (mut process, local) = service(dir.path());
        let (id, mut socket, mut asked) = ask(&local, &endpoint).await;
        // Killed before, during and after the first words.
        let mut stored = String::new();
        if round > 0 {
            asked.begin();
            for word in 0..round * 8 {
                asked.say(&format!("{word} "));
            }
            socket.until_words(round * 8).await;
        }
        if round > 2 {
            while stored.is_empty() {
                let messages = messages(&local, &id).await;
                stored = messages
                    .get(1)
                    .map(|(_, text, _)| text.clone())
                    .unwrap_or_default();
            }
        }
        process.kill();
        process.wait();
        let (mut process, local) = service(dir.path());
        let messages = messages(&local, &id).await;
        assert_eq!(messages[0].1, "Why?");
        match messages.get(1) {
            Some((_, text, own)) => {
                assert!(text.starts_with(&stored), "{text:?} lost {stored:?}");
                assert_eq!(own["state"], "interrupted");
            }
            None => {
                assert!(stored.is_empty(), "{stored:?} was stored");
                assert_eq!(messages[0].2["state"], "unanswered");
            }
        }
        process.kill();
        process.wait();
        check_integrity(dir.path());
    }
}

/// Kills that a run of the tests can afford; `ANSWER_KILLS=50` for as many as docs/performance.md has.
const KILLS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_time_loses_no_word_that_was_seen_to_be_stored() {
    let rounds = std::env::var("ANSWER_KILLS").map_or(KILLS, |rounds| rounds.parse().unwrap());
    let dir = TempDir::new().unwrap();
    let endpoint = Endpoint::start();
    choose(dir.path(), &endpoint.url, false);
    let mut lost = Vec::new();
    for round in 0..rounds {
        let (mut process, local) = service(dir.path());
        let (id, _socket, mut asked) = ask(&local, &endpoint).await;
        asked.begin();
        let goes_on = Arc::new(AtomicBool::new(true));
        let model = std::thread::spawn({
            let goes_on = goes_on.clone();
            move || {
                let mut said = String::new();
                while goes_on.load(Ordering::Relaxed) {
                    let word = format!("{} ", said.len());
                    asked.say(&word);
                    said.push_str(&word);
                    // A thousand words a second.
                    std::thread::sleep(Duration::from_millis(1));
                }
                said
            }
        });
        // Killed after a random number of looks at what is stored.
        let looks = (round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 400;
        let mut stored = String::new();
        for _ in 0..looks {
            let messages = messages(&local, &id).await;
            if let Some((_, text, own)) = messages.get(1) {
                assert_eq!(own["state"], "writing");
                stored.clone_from(text);
            }
        }
        process.kill();
        process.wait();
        goes_on.store(false, Ordering::Relaxed);
        let said = model.join().unwrap();
        let (mut process, local) = service(dir.path());
        let messages = messages(&local, &id).await;
        assert_eq!(messages[0].1, "Why?");
        let kept = match messages.get(1) {
            Some((_, text, own)) => {
                assert_eq!(own["state"], "interrupted");
                text.as_str()
            }
            None => {
                assert_eq!(messages[0].2["state"], "unanswered");
                ""
            }
        };
        assert!(kept.starts_with(&stored), "{kept:?} lost {stored:?}");
        assert!(said.starts_with(kept), "{kept:?} was never said");
        lost.push((said.len() - kept.len(), said.len()));
        process.kill();
        process.wait();
        check_integrity(dir.path());
    }
    let said: usize = lost.iter().map(|(_, said)| said).sum();
    let most = lost.iter().map(|(lost, _)| lost).max();
    let all: usize = lost.iter().map(|(lost, _)| lost).sum();
    eprintln!(
        "{rounds} kills: of {said} bytes said {all} were not stored, at most {most:?} of one answer"
    );
}
