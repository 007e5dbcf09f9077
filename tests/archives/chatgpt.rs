//! Exports of ChatGPT.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::world::{capabilities, local, wait_live};
use crate::{counts, dir, import, left_out, object, reasons, refused, said, talk, zipped};

const ID: &str = "6789abcd-0000-4000-8000-000000000001";

fn node(id: &str, parent: &str, role: &str, time: f64, content: Value) -> (String, Value) {
    let message = json!({"id": id, "author": {"role": role}, "create_time": time, "content": content, "recipient": "all"});
    (
        id.to_owned(),
        json!({"id": id, "parent": parent, "children": [], "message": message}),
    )
}

fn text(text: &str) -> Value {
    json!({"content_type": "text", "parts": [text]})
}

/// A question, an answer that was made again, and what stands between them.
fn conversation(id: &str) -> Value {
    let thoughts =
        json!({"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "c"}]});
    let call = json!({"content_type": "code", "language": "python", "text": "run()"});
    let code = json!({"content_type": "code", "language": "rust", "text": "let x = \"```\";\n"});
    let image = json!({"content_type": "multimodal_text", "parts": [
        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-abc"}, "What is this?",
    ]});
    let mut nodes = vec![
        (
            "root".to_owned(),
            json!({"id": "root", "parent": null, "message": null}),
        ),
        node("system", "root", "system", 0.0, text("")),
        node("m1", "system", "user", 1_700_000_000.5, image),
        node(
            "other",
            "m1",
            "assistant",
            1_700_000_001.0,
            text("An answer that was made again."),
        ),
        node("think", "m1", "assistant", 1_700_000_002.0, thoughts),
        node("call", "think", "assistant", 1_700_000_003.0, call),
        node(
            "tool",
            "call",
            "tool",
            1_700_000_004.0,
            json!({"content_type": "execution_output", "text": "5"}),
        ),
        node(
            "m2",
            "tool",
            "assistant",
            1_700_000_005.25,
            text("A diagram."),
        ),
        node("m3", "m2", "assistant", 1_700_000_006.0, code),
    ];
    nodes[2].1["message"]["metadata"] = json!({"attachments": [{"id": "file-abc", "name": "photo.png"}, {"id": "f", "name": "notes.pdf"}]});
    nodes[5].1["message"]["recipient"] = "python".into();
    let mapping: serde_json::Map<_, _> = nodes.into_iter().collect();
    json!({"conversation_id": id, "id": id, "title": "A diagram", "create_time": 1_700_000_000.0, "update_time": 1_700_000_009.0,
        "current_node": "m3", "mapping": mapping})
}

const TALK: &[(&str, &str)] = &[
    (
        "USER",
        "[Image: photo.png]\nWhat is this?\n[File: notes.pdf]",
    ),
    ("ASSISTANT", "A diagram."),
    ("ASSISTANT", "````rust\nlet x = \"```\";\n````"),
];

fn export(conversations: &[Value]) -> Vec<u8> {
    Value::from(conversations).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_user_saw_is_imported_from_a_zip_a_directory_and_a_file() {
    let here = dir();
    let json = export(&[conversation(ID)]);
    let zip = here.path().join("export.zip");
    zipped(
        &zip,
        &[
            ("conversations.json", &json),
            ("user.json", b"{}"),
            ("file-abc-photo.png", b"x"),
            ("chat.html", b""),
        ],
    );
    let folder = here.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("conversations.json"), &json).unwrap();
    let nested = here.path().join("nested.zip");
    zipped(
        &nested,
        &[
            ("export/conversations.json", &json),
            ("__MACOSX/export/._conversations.json", b"x"),
        ],
    );
    for from in [
        zip,
        folder.clone(),
        folder.join("conversations.json"),
        nested,
    ] {
        let data = dir();
        let report = import(&from, data.path()).await;
        assert_eq!(report.counts, counts(4, 0, 0, 0), "{report:?}");
        assert!(
            report.source.starts_with("a ChatGPT export of 20"),
            "{}",
            report.source
        );
        assert!(
            report.source.ends_with(", 1 conversation"),
            "{}",
            report.source
        );
        assert_eq!(
            report.remarks(),
            ["Left out: 1 thought, 1 tool call, 1 tool result."]
        );
        assert_eq!(talk(data.path(), ID).await, said(TALK));
        let one = object(data.path(), "conversation", ID).await;
        assert_eq!(one["name"], "A diagram");
        assert_eq!(one["created"]["value"], "2023-11-14T22:13:20.000000Z");
        assert_eq!(one["updated"]["value"], "2023-11-14T22:13:29.000000Z");
        assert_eq!(
            one["application"]["name"], "CHAT_GPT",
            "a name that strict clients know"
        );
        assert_eq!(import(&from, data.path()).await.counts, counts(0, 0, 4, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_with_thousands_of_pictures_is_recognised() {
    let here = dir();
    let json = export(&[conversation(ID)]);
    let pictures: Vec<String> = (0..2_000).map(|at| format!("file-{at}.png")).collect();
    let zip = here.path().join("export.zip");
    let mut files: Vec<(&str, &[u8])> = pictures.iter().map(|name| (&**name, &b"x"[..])).collect();
    files.push(("conversations.json", &json));
    zipped(&zip, &files);
    let folder = here.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    for from in [zip, folder] {
        let report = import(&from, dir().path()).await;
        assert_eq!(report.counts, counts(4, 0, 0, 0), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_and_later_exports_add_what_is_new() {
    let (here, data) = (dir(), dir());
    let other = "6789abcd-0000-4000-8000-000000000002";
    fs::write(
        here.path().join("conversations-000.json"),
        export(&[conversation(ID)]),
    )
    .unwrap();
    fs::write(
        here.path().join("conversations-001.json"),
        export(&[conversation(other), conversation("not a uuid")]),
    )
    .unwrap();
    let report = import(here.path(), data.path()).await;
    // The same messages are in all three: each conversation has its own.
    assert_eq!(report.counts, counts(12, 0, 0, 0), "{report:?}");
    for id in [ID, other] {
        assert_eq!(talk(data.path(), id).await, said(TALK));
    }
    let mut grown = conversation(ID);
    grown["mapping"]["m4"] = node("m4", "m3", "user", 1_700_000_010.0, text("Thanks")).1;
    grown["current_node"] = "m4".into();
    grown["update_time"] = 1_700_000_011.0.into();
    fs::write(here.path().join("conversations-000.json"), export(&[grown])).unwrap();
    assert_eq!(
        import(here.path(), data.path()).await.counts,
        counts(1, 1, 11, 0)
    );
    let talk = talk(data.path(), ID).await;
    assert_eq!(talk[3], ("USER".to_owned(), "Thanks".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_conversations_cost_only_themselves() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("conversations.json");
    let mut untitled = conversation("6789abcd-0000-4000-8000-000000000003");
    untitled["title"] = Value::Null;
    untitled["current_node"] = "nowhere".into();
    let no_id = json!({"title": "x", "mapping": {}});
    let empty = json!({"id": "e", "mapping": {"a": {"parent": "a", "message": null}}});
    let many: String = (0..100_001).map(|n| format!(",\"{n}\":{{}}")).collect();
    let many = format!("{{\"id\":\"n\",\"mapping\":{{\"x\":{{}}{many}}}}}");
    let parts = format!("{{\"id\":\"p\",\"mapping\":[{}0]}}", "0,".repeat(600_001));
    let large = format!("{{\"id\":\"l\",\"mapping\":\"{}\"}}", "x".repeat(25 << 20));
    let whole = [
        &conversation(ID).to_string(),
        "{broken}",
        &untitled.to_string(),
        &no_id.to_string(),
        &empty.to_string(),
        "7",
        &many,
        &parts,
        &large,
    ];
    fs::write(&path, format!("\u{feff}[{}]", whole.join(",\n"))).unwrap();
    let report = import(&path, data.path()).await;
    assert_eq!(report.counts, counts(8, 0, 0, 6), "{report:?}");
    let expected = [
        "it has more than 600000 parts",
        "it has no id",
        "it has no id",
        "it is larger than 24 MiB",
        "it is not JSON, or has more than 100,000 messages",
        "it is not JSON, or has more than 100,000 messages",
    ];
    assert_eq!(reasons(&report), expected);
    assert_eq!(
        report.unreadable[0].what,
        "conversation 2 of conversations.json"
    );
    assert_eq!(left_out(&report, "empty conversation"), 1);
    let untitled = object(
        data.path(),
        "conversation",
        "6789abcd-0000-4000-8000-000000000003",
    )
    .await;
    assert_eq!(untitled["name"], "[Image: photo.png]");

    // Torn in the middle: what is there is imported, and it is said.
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 2]).unwrap();
    let error = refused(&path, dir().path()).await;
    assert!(
        error
            .to_string()
            .contains("conversations.json is incomplete: its end is missing"),
        "{error}"
    );
    assert_eq!(error.so_far.new, 8);
    fs::write(&path, "[]").unwrap();
    let error = refused(&path, data.path()).await;
    assert!(
        error.to_string().contains("without conversations"),
        "{error}"
    );
}

/// The text is still JSON; only the checksum at its end tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupt_zip_is_reported() {
    let here = dir();
    let path = here.path().join("export.zip");
    let text = json!([conversation(ID)]).to_string();
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("conversations.json", stored).unwrap();
    std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
    zip.finish().unwrap();
    import(&path, dir().path()).await;
    let mut bytes = fs::read(&path).unwrap();
    let word = b"What is this?";
    let at = bytes
        .windows(word.len())
        .position(|one| one == word)
        .unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = refused(&path, dir().path()).await.to_string();
    assert!(
        error.contains("conversations.json is incomplete"),
        "{error}"
    );
    assert!(error.contains("Fetch the export again"), "{error}");
}

fn say(data: &Path, from: &Path) -> Value {
    let (mut client, _) = Client::connect(local(data), capabilities(), Value::Null);
    wait_live(&mut client);
    let imported = client
        .command("pieces.import", json!({"from": from}))
        .unwrap();
    assert_eq!(imported["new"], 4, "{imported}");
    let source = imported["source"].as_str().unwrap();
    assert!(source.starts_with("a ChatGPT export"), "{imported}");
    let listed = |client: &mut Client, query: &str| {
        let list = client
            .command("pieces.conversations.list", json!({"query": query}))
            .unwrap();
        list["items"].as_array().unwrap().clone()
    };
    for query in [
        "from:chatgpt",
        "from:CHAT_GPT",
        "diagram from:ChatGPT",
        "from:claude from:chatgpt",
    ] {
        let items = listed(&mut client, query);
        assert_eq!(items.len(), 1, "{query}");
        assert_eq!(items[0]["application"], "ChatGPT");
    }
    for query in ["from:claude", "nothing from:chatgpt"] {
        assert!(listed(&mut client, query).is_empty(), "{query}");
    }
    let item = listed(&mut client, "from:chatgpt")[0].clone();
    client.finish();
    item
}

#[test]
fn editors_import_list_and_find_by_origin() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("conversations.json");
    fs::write(&path, export(&[conversation(ID)])).unwrap();
    assert_eq!(say(data.path(), &path)["name"], "A diagram");
}
