//! The key in a whole session: an editor asks, the local service stores.

use super::KEY;
use super::script::{Script, ScriptedEndpoint};
use super::support::client::Client;
use super::support::process::Spawn;
use super::support::world::capabilities;
use serde_json::{Value, json};
use std::path::Path;

/// All that is in the files below a directory.
fn contents(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            // Sockets are not read.
            false => all.extend(std::fs::read(path).unwrap_or_default()),
        }
    }
    all
}

#[test]
fn the_key_is_in_nothing_that_a_session_shows_stores_or_logs() {
    let dir = tempfile::tempdir().unwrap();
    let server = ScriptedEndpoint::start();
    let (half, rest) = KEY.split_at(10);
    let quoted = format!("Your key is {KEY}.");
    let failure = json!({"error": {"message": quoted, "type": KEY}});
    let scripts = [
        Script::json(401, &failure),
        Script::json(500, &failure),
        Script::body(200, KEY, format!("<html>{KEY}")),
        Script::stream()
            .word(&quoted)
            .word(half)
            .word(rest)
            .finish("stop")
            .done(),
        Script::stream().word("Words.").data(failure.to_string()),
    ];
    let spawn = Spawn::serve()
        .arg("--backend")
        .arg("local")
        .env("PIECES_LSP_DATA_DIR", dir.path().join("data"))
        .env("PIECES_LSP_MODEL_URL", server.url())
        .env("PIECES_LSP_MODEL_KEY", KEY)
        .env("PIECES_LSP_LOG_LEVEL", "trace")
        .env("PIECES_LSP_LOG_FILE", dir.path().join("log"));
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    let mut shown = String::new();
    for script in scripts {
        server.answer(script);
        let answer = client.command(
            "pieces.conversations.ask",
            json!({"prompt": "Why does it loop?"}),
        );
        shown += &format!("{answer:?}\n");
        if let Some(conversation) = answer
            .ok()
            .and_then(|answer| answer["conversation"].as_str().map(str::to_owned))
        {
            let listed = client.command(
                "pieces.conversations.messages",
                json!({"conversation": conversation}),
            );
            shown += &format!("{listed:?}\n");
        }
    }
    shown += &format!("{:?}\n", client.command("pieces.models", Value::Null));
    shown += &format!("{:?}\n", client.command("pieces.status", Value::Null));
    shown += &client.finish();
    assert!(
        shown.contains("[key]") && shown.contains("Words."),
        "{shown}"
    );
    assert!(!shown.contains(KEY), "{shown}");
    let kept = contents(dir.path());
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains("Why does it loop?"));
    assert!(!kept.contains(KEY));
    assert_eq!(server.questions().len(), 5);
    assert!(server.questions().iter().all(|one| one.key() == Some(KEY)));
}
