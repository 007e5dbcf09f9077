//! Exports of Claude.ai.

use std::fs;

use serde_json::{Value, json};

use crate::{counts, dir, import, left_out, object, reasons, said, talk, zipped};

const ID: &str = "6789abcd-0000-4000-8000-00000000000a";

fn message(id: &str, sender: &str, second: u32, content: Value) -> Value {
    json!({"uuid": format!("6789abcd-0000-4000-8000-0000000000{id}"), "sender": sender, "content": content,
        "created_at": format!("2026-03-01T10:00:{second:02}.5Z"), "text": "", "attachments": [], "files": []})
}

fn conversation() -> Value {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let mut first = message("b1", "human", 1, text("What does this say?"));
    first["attachments"] = json!([{"file_name": "notes.md", "extracted_content": "# Notes\n"}, {"file_name": "empty.txt", "extracted_content": ""}]);
    first["files"] = json!([{"file_name": "photo.png"}]);
    let blocks = json!([
        {"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "name": "x"}, {"type": "tool_result"},
        {"type": "text", "text": "It says"}, {"type": "text", "text": "“Notes”."},
    ]);
    let mut old = message("b3", "human", 3, json!([]));
    old["text"] = "Thanks".into();
    json!({"uuid": ID, "name": "Notes", "created_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:01:00Z",
        "account": {"uuid": "x"}, "chat_messages": [first, message("b2", "assistant", 2, blocks), old]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_arrive_with_their_attachments() {
    let here = dir();
    let json = json!([conversation()]).to_string().into_bytes();
    let zip = here.path().join("data-2026-03-02.zip");
    zipped(
        &zip,
        &[
            ("conversations.json", &json),
            ("users.json", b"[]"),
            ("projects.json", b"[]"),
        ],
    );
    let file = here.path().join("conversations.json");
    fs::write(&file, &json).unwrap();
    for from in [&zip, &file, here.path()] {
        let data = dir();
        let report = import(from, data.path()).await;
        assert_eq!(report.counts, counts(5, 0, 0, 0), "{report:?}");
        assert!(
            report.source.starts_with("a Claude.ai export of 20"),
            "{}",
            report.source
        );
        assert_eq!(
            report.remarks(),
            ["Left out: 1 thought, 1 tool call, 1 tool result."]
        );
        let expected = [
            ("USER", "What does this say?\n[File: photo.png]"),
            ("ASSISTANT", "It says\n“Notes”."),
            ("USER", "Thanks"),
        ];
        assert_eq!(talk(data.path(), ID).await, said(&expected));
        let one = object(data.path(), "conversation", ID).await;
        assert_eq!(
            (&one["name"], &one["application"]["label"]),
            (&json!("Notes"), &json!("Claude.ai"))
        );
        let asset = one["assets"]["iterable"][0]["id"].as_str().unwrap();
        let asset = object(data.path(), "asset", asset).await;
        assert_eq!(asset["name"], "notes.md");
        assert_eq!(
            asset["original"]["reference"]["fragment"]["string"]["raw"],
            "# Notes\n"
        );
        assert_eq!(import(from, data.path()).await.counts, counts(0, 0, 5, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_conversations_cost_only_themselves() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("conversations.json");
    let mut unnamed = conversation();
    unnamed["uuid"] = "not a uuid".into();
    unnamed["name"] = "".into();
    let empty = json!({"uuid": "e", "chat_messages": []});
    let odd = json!({"uuid": "o", "chat_messages": [{"sender": "robot", "text": "x"}, 5, null]});
    let all = json!([conversation(), unnamed, empty, odd, {"chat_messages": []}, "x"]);
    fs::write(&path, all.to_string()).unwrap();
    let report = import(&path, data.path()).await;
    // The attachment belongs to a message that both have.
    assert_eq!(report.counts, counts(9, 0, 0, 2), "{report:?}");
    assert_eq!(reasons(&report), ["it has no id", "it has no id"]);
    assert_eq!(left_out(&report, "empty conversation"), 2);
    assert_eq!(left_out(&report, "message of an unknown sender"), 3);
}
