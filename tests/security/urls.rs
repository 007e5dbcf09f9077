//! A URL from anywhere but the command line's `--allow-remote` leads to this machine or nowhere.

use crate::support::client::Client;
use crate::support::process::Spawn;
use crate::support::world::{capabilities, wait_status};
use crate::trap::{Trap, ok};
use pieces_lsp::pieces::{BaseUrl, PlainHttp};
use serde_json::{Value, json};
use std::net::TcpListener;

/// `PORT` stands for one where somebody listens on all interfaces.
const REFUSED: [&str; 47] = [
    // Not where they seem to go.
    "http://127.0.0.1@evil.example:PORT",
    "http://127.0.0.1:PORT@evil.example",
    "http://evil.example@127.0.0.1:PORT",
    "http://user:secret@127.0.0.1:PORT",
    "http://@127.0.0.1:PORT",
    "http://127.0.0.1.evil.example:PORT",
    "http://localhost.evil.example:PORT",
    "http://evil.example#@127.0.0.1:PORT",
    "http://evil.example?@127.0.0.1:PORT",
    "http://evil.example\\@127.0.0.1:PORT",
    "http://127.0.0.1\\.evil.example:PORT",
    "http:\\\\127.0.0.1:PORT",
    "http:/\\127.0.0.1:PORT",
    "http://127.0.0.1\t.evil.example:PORT",
    "http://127.0.0.1\n.evil.example:PORT",
    "http://127.0.0.1\r\nHost: evil.example:PORT",
    "http://127.0.0.1%00.evil.example:PORT",
    "http://127.0.0.1%2eevil.example:PORT",
    "http://127.0.0.1%40evil.example:PORT",
    "http://127.0.0.1\u{200b}.evil.example:PORT",
    "http://evil.example\u{ff0f}@127.0.0.1:PORT",
    "http://l\u{43e}calhost:PORT",
    // This machine, but not by its loopback address.
    "http://0.0.0.0:PORT",
    "http://0:PORT",
    "http://[::]:PORT",
    "http://[::ffff:127.0.0.1]:PORT",
    "http://[::ffff:7f00:1]:PORT",
    "http://[::127.0.0.1]:PORT",
    "http://localhost.:PORT",
    "http://localhost\u{3002}:PORT",
    "http://evil.localhost:PORT",
    "http://[fe80::1%25lo]:PORT",
    // Other machines in other spellings.
    "http://3232235777:PORT",
    "http://0300.0250.1.1:PORT",
    "http://0xc0a80101:PORT",
    "http://169.254.169.254:PORT",
    "http://2852039166:PORT",
    // Not plain http, not a base.
    "https://127.0.0.1:PORT",
    "ws://127.0.0.1:PORT",
    "ftp://127.0.0.1:PORT",
    "file:///etc/passwd",
    "javascript:fetch('http://127.0.0.1:PORT')",
    "//127.0.0.1:PORT",
    "http://127.0.0.1:PORT/?to=http://evil.example",
    "http://127.0.0.1:PORT/#fragment",
    "http://127.0.0.1:0",
    "http://127.0.0.1:65536",
];

/// Odd, and nothing but a loopback address all the same.
const LOOPBACK: [(&str, &str); 12] = [
    ("http://127.0.0.1:7", "http://127.0.0.1:7"),
    ("http://127.255.255.254:7", "http://127.255.255.254:7"),
    ("http://127.1:7", "http://127.0.0.1:7"),
    ("http://2130706433:7", "http://127.0.0.1:7"),
    ("http://0x7f.1:7", "http://127.0.0.1:7"),
    ("http://0177.0.0.01:7", "http://127.0.0.1:7"),
    ("http://127.0.0.1.:7", "http://127.0.0.1:7"),
    (
        "http://127\u{3002}0\u{ff0e}0\u{ff61}1:7",
        "http://127.0.0.1:7",
    ),
    (
        "http://\u{2460}\u{2461}\u{2466}.0.0.1:7",
        "http://127.0.0.1:7",
    ),
    ("http://[0::1]:7", "http://[::1]:7"),
    ("http://127.0.0.1:00007", "http://127.0.0.1:7"),
    ("http://127.0.0.1:7/../a/./b/", "http://127.0.0.1:7/a/b"),
];

#[test]
fn tricky_urls_are_loopback_or_refused() {
    for url in REFUSED {
        let url = url.replace("PORT", "39300");
        let parsed = BaseUrl::parse(&url, PlainHttp::Loopback);
        let sentence = parsed.expect_err(&url).to_string();
        assert!(!sentence.contains(char::is_control), "{sentence:?}");
        assert!(!sentence.contains("secret"), "{sentence}");
        assert!(sentence.ends_with('.'), "{sentence}");
    }
    for (url, expected) in LOOPBACK {
        let base = BaseUrl::parse(url, PlainHttp::Loopback).map_err(|refusal| refusal.to_string());
        assert_eq!(base.as_ref().map(BaseUrl::as_str), Ok(expected), "{url:?}");
    }
}

/// The settings of an editor, as a cloned repository may bring them.
#[test]
fn settings_cannot_send_anything_elsewhere() {
    let everywhere = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let trap = Trap::on(everywhere, |_, connection| {
        crate::trap::say(connection, ok("ok:1"));
    });
    let dir = tempfile::tempdir().unwrap();
    let spawn = Spawn::serve().arg("--data-dir").arg(dir.path());
    let lifted = |url: &str| {
        json!({"backend": "pieces-os", "url": url, "allowRemote": true, "allow-remote": true,
            "dataDir": "/tmp", "logFile": "/tmp/x", "proxy": "http://evil.example"})
    };
    let mut client = Client::start(spawn);
    client.allow("window/showMessage");
    let mut pushing = capabilities();
    pushing["workspace"]["configuration"] = json!(false);
    client.initialize(pushing, lifted("http://evil.example"));
    wait_status(&mut client, |status| status["state"] == "offline");
    for url in REFUSED {
        let url = url.replace("PORT", &trap.port.to_string());
        let settings = json!({"settings": {"pieces": lifted(&url)}});
        client.notify("workspace/didChangeConfiguration", settings);
        let status = client.command("pieces.status", json!({})).unwrap();
        assert_eq!(status["state"], "offline", "{url:?}: {status}");
        let error = client
            .command("pieces.conversations.create", json!({}))
            .unwrap_err();
        assert_eq!(error.data["kind"], "offline", "{url:?}: {error:?}");
        assert!(!error.message.contains("secret"), "{error:?}");
    }
    assert_eq!(trap.connections(), 0);
    client.finish();
    let kept = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(kept, 0, "nothing was written");
}

/// What a repository opened in VS Code can set: nothing that says what runs, where data goes or is kept.
#[test]
fn a_repository_cannot_set_what_the_extension_runs() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = std::fs::read(root.join("editors/vscode/package.json")).unwrap();
    let package: Value = serde_json::from_slice(&package).unwrap();
    let settings = package["contributes"]["configuration"]["properties"].as_object();
    let scopes = settings.unwrap().iter();
    let free: Vec<&str> = scopes
        .filter(|(_, setting)| {
            !["machine", "application"].contains(&setting["scope"].as_str().unwrap_or_default())
        })
        .map(|(name, _)| name.as_str())
        .collect();
    let harmless = [
        "piecesLsp.codeLens",
        "piecesLsp.inlayHints",
        "piecesLsp.diagnostics",
    ];
    assert!(free.iter().all(|name| harmless.contains(name)), "{free:?}");
}
