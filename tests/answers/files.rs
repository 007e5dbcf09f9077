//! Files and assets that clients name.

use super::asker::{Stage, question};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Asks with these members of `relevance` besides the query; what reached the model, and our own field of the answer.
async fn ask(stage: &Stage, conversation: &str, members: Value) -> (String, Value) {
    let mut frame = question("Why?");
    frame["conversation"] = conversation.into();
    for (key, value) in members.as_object().unwrap() {
        frame["relevance"][key] = value.clone();
    }
    let mut socket = stage.socket().await;
    socket.send(frame).await;
    let asked = stage.endpoint.question();
    let sent = asked.messages().pop().unwrap();
    asked.answer("So.");
    socket.ended().await;
    let own = stage.messages(conversation).await.pop().unwrap().2;
    (sent, own)
}

/// A file of this user.
fn file(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_file_is_sent_and_listed_in_the_question() {
    let stage = Stage::new().await;
    let work = TempDir::new().unwrap();
    let path = file(&work, "a.rs", "fn named() {}");
    let id = stage.conversation().await;
    let (sent, own) = ask(&stage, &id, json!({"paths": [path]})).await;
    assert!(sent.contains("fn named() {}"), "{sent}");
    assert_eq!(own["context"][0]["sent"], 13);
    let named = &stage.messages(&id).await[0].2["named"][0];
    assert_eq!((&named["path"], &named["size"]), (&json!(path), &json!(13)));
    assert_eq!(named["sha256"].as_str().unwrap().len(), 64);
    // Named once, it goes along until a question names none.
    fs::write(&path, "fn changed() {}").unwrap();
    let (sent, _) = ask(&stage, &id, json!({})).await;
    assert!(sent.contains("fn changed() {}"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_text_files_of_the_user_are_read() {
    let stage = Stage::new().await;
    let work = TempDir::new().unwrap();
    let real = file(&work, "real.txt", "through a link");
    let link = work.path().join("link.txt");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let paths = [
        link,
        work.path().to_owned(),
        file(&work, "binary", b"a\0b"),
        file(&work, "latin1", b"caf\xe9"),
        work.path().join("absent"),
        PathBuf::from("relative"),
        PathBuf::from("/dev/zero"),
        PathBuf::from("/proc/self/environ"),
        stage.dir.path().join("model.json"),
        stage.dir.path().join("service.json"),
    ];
    let id = stage.conversation().await;
    let (sent, own) = ask(&stage, &id, json!({"paths": paths})).await;
    assert!(sent.ends_with("Why?"), "{sent}");
    for text in ["through a link", "caf", "token", "url", "PATH"] {
        assert!(!sent.contains(text), "{sent}");
    }
    let context = own["context"].as_array().unwrap();
    let read = context.iter().filter(|part| part["sent"] != 0);
    assert_eq!(read.count(), 0, "{own}");
    assert!(
        own["note"].as_str().unwrap().starts_with("Not read: "),
        "{own}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_named_twice_is_sent_once() {
    let stage = Stage::new().await;
    let work = TempDir::new().unwrap();
    let path = file(&work, "retry.rs", "fn retry() {}");
    let id = stage.conversation().await;
    let (_, own) = ask(&stage, &id, json!({"paths": [path, path]})).await;
    let files = own["context"].as_array().unwrap().iter();
    let files = files.filter(|part| part["kind"] == "file");
    assert_eq!(files.count(), 1, "{own}");
    assert_eq!(own["note"], Value::Null, "{own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_start_of_a_long_file_is_sent_and_the_note_says_so() {
    let stage = Stage::new().await;
    let models = json!({"data": [{"id": "scripted", "meta": {"n_ctx": 10_000_000}}]});
    stage.endpoint.list_raw(models);
    let work = TempDir::new().unwrap();
    let long = "0123456é".repeat(40_000);
    let paths: Vec<_> = (0..5)
        .map(|at| file(&work, &format!("{at}.txt"), &long))
        .collect();
    let id = stage.conversation().await;
    let (sent, own) = ask(&stage, &id, json!({"paths": paths})).await;
    assert!(sent.len() <= (1 << 20) + 4096, "{}", sent.len());
    let parts = own["context"].as_array().unwrap();
    let sent: Vec<_> = parts
        .iter()
        .map(|part| part["sent"].as_u64().unwrap())
        .collect();
    assert!(
        sent.iter().all(|sent| *sent <= 256 << 10) && sent[0] > 200_000,
        "{own}"
    );
    assert_eq!(sent.last(), Some(&0));
    assert!(
        parts.iter().all(|part| part["bytes"] == long.len()),
        "{own}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tie_sends_no_file_unless_a_client_made_it() {
    let stage = Stage::new().await;
    let work = TempDir::new().unwrap();
    let path = file(&work, "tied.rs", "fn tied() {}");
    let anchor = json!({"type": "FILE", "fullpath": path});
    let made = stage
        .local
        .post("/conversations/create", json!({"anchors": [anchor]}))
        .await;
    let id = made["id"].as_str().unwrap();
    let (sent, _) = ask(&stage, id, json!({})).await;
    assert!(!sent.contains("fn tied"), "{sent}");

    let anchor = stage.local.post("/anchors/create", anchor).await["id"].clone();
    let associate = format!(
        "/conversation/{id}/anchors/associate/{}",
        anchor.as_str().unwrap()
    );
    stage.local.post(&associate, Value::Null).await;
    let (sent, _) = ask(&stage, id, json!({})).await;
    assert!(sent.contains("fn tied"), "{sent}");

    // An anchor of the question itself, in another conversation.
    let other = stage.conversation().await;
    let (sent, _) = ask(
        &stage,
        &other,
        json!({"anchors": {"iterable": [{"id": anchor}]}}),
    )
    .await;
    assert!(sent.contains("fn tied"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_no_files() {
    let stage = Stage::new().await;
    let work = TempDir::new().unwrap();
    let path = file(&work, "secret.txt", "a secret");
    let (c, m) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let at = json!({"value": "2026-01-01T00:00:00Z"});
    let message = json!({"id": m, "created": at, "updated": at, "role": "USER", "conversation": {"id": c},
        "fragment": {"string": {"raw": "Hello"}},
        "pieces_lsp": {"state": "writing", "named": [{"path": path, "size": 8, "sha256": "00"}]}});
    let planted = stage.local.plant(vec![
        json!({"conversation": {"id": c, "created": at, "updated": at, "type": "COPILOT"}}),
        json!({"message": message}),
    ]);
    assert_eq!(planted.await, ["new", "new"]);
    let own = stage.messages(&c.to_string()).await[0].2.clone();
    assert_eq!(own, json!({"state": "interrupted"}));
    let (sent, _) = ask(&stage, &c.to_string(), json!({})).await;
    assert!(!sent.contains("a secret"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asset_of_a_conversation_is_sent() {
    let stage = Stage::new().await;
    let seed = |name: &str, text: &str| {
        json!({"type": "SEEDED_ASSET", "asset": {"metadata": {"name": name},
               "format": {"fragment": {"string": {"raw": text}}}}})
    };
    let asset = stage
        .local
        .post("/assets/create", seed("retry.rs", "fn retry() {}"))
        .await;
    let more = stage
        .local
        .post("/assets/create", seed("more.rs", "fn more() {}"))
        .await;
    let from = format!(
        "/conversations/create/from_asset/{}",
        asset["id"].as_str().unwrap()
    );
    let made = stage.local.post(&from, Value::Null).await;
    let id = made["conversation"]["id"].as_str().unwrap();
    let members = json!({"assets": {"iterable": [{"id": more["id"]}, {"id": asset["id"]}]}, "seeds": {"iterable": [seed("s", "fn seed() {}")]}});
    let (sent, own) = ask(&stage, id, members).await;
    for text in ["fn retry", "fn more", "fn seed"] {
        assert_eq!(sent.matches(text).count(), 1, "{sent}");
    }
    let kinds: Vec<_> = own["context"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["kind"])
        .collect();
    assert_eq!(
        kinds.iter().filter(|kind| **kind == "asset").count(),
        2,
        "{own}"
    );
}
