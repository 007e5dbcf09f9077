//! `docs/protocol.md` says what the server does, no more and no less.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::client::Client;
use support::process::Spawn;

const PAGE: &str = include_str!("../docs/protocol.md");

/// The part of the page below a heading of the second level.
fn section(name: &str) -> &'static str {
    let start = PAGE.find(&format!("\n## {name}\n")).expect(name);
    let rest = &PAGE[start + 4..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// What is in code at the start of third-level headings or of table rows.
fn named(part: &str) -> BTreeSet<String> {
    part.lines()
        .filter_map(|line| {
            let line = line
                .strip_prefix("### ")
                .or_else(|| line.strip_prefix("| "))?;
            line.strip_prefix('`')?.split('`').next()
        })
        .map(str::to_owned)
        .collect()
}

fn offline() -> Spawn {
    Spawn::serve()
        .arg("--backend")
        .arg("pieces-os")
        .arg("--url")
        .arg("http://127.0.0.1:9")
}

fn capabilities() -> Value {
    let (_client, result) = Client::connect(offline(), json!({}), Value::Null);
    result["capabilities"].clone()
}

#[test]
fn commands() {
    let offered = &capabilities()["executeCommandProvider"]["commands"];
    let offered: BTreeSet<String> = serde_json::from_value(offered.clone()).unwrap();
    assert_eq!(named(section("Commands")), offered);
}

#[test]
fn features() {
    let capabilities = capabilities();
    let method = |capability: &str| match capability {
        "codeActionProvider" => "textDocument/codeAction",
        "codeLensProvider" => "textDocument/codeLens",
        "completionProvider" => "textDocument/completion",
        "definitionProvider" => "textDocument/definition",
        "documentLinkProvider" => "textDocument/documentLink",
        "documentSymbolProvider" => "textDocument/documentSymbol",
        "foldingRangeProvider" => "textDocument/foldingRange",
        "hoverProvider" => "textDocument/hover",
        "inlayHintProvider" => "textDocument/inlayHint",
        "referencesProvider" => "textDocument/references",
        "renameProvider" => "textDocument/rename",
        "workspaceSymbolProvider" => "workspace/symbol",
        "executeCommandProvider" | "positionEncoding" | "textDocumentSync" => "",
        other => panic!("{other} is not on the page"),
    };
    let offered = capabilities.as_object().unwrap().keys();
    let mut offered: BTreeSet<String> = offered.map(|key| method(key).to_owned()).collect();
    offered.remove("");
    // Pushed, so there is no capability of the server for it.
    offered.insert("textDocument/publishDiagnostics".into());
    assert_eq!(named(section("LSP features")), offered);
}

#[test]
fn settings() {
    // Every setting on the page is known, and its default is right: saying it changes nothing.
    let mut options = serde_json::Map::new();
    for row in section("Settings")
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let cells: Vec<&str> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        options.insert(cells[1].to_owned(), serde_json::from_str(cells[2]).unwrap());
    }
    assert_eq!(options.len(), 10);
    let (mut client, _) = Client::connect(offline(), json!({}), options.into());
    client.command("pieces.status", Value::Null).unwrap();
    drop(client); // fails if a setting was reported
    let (mut client, _) = Client::connect(offline(), json!({}), json!({"nonsense": 1}));
    client.wait_notification("window/showMessage", |message| {
        message["message"]
            .as_str()
            .unwrap()
            .contains("`pieces.nonsense`")
    });
}

#[test]
fn error_kinds() {
    let source = include_str!("../src/pieces/error.rs");
    let kinds = source
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.split('"').next());
    let mut kinds: BTreeSet<String> = kinds.map(str::to_owned).collect();
    kinds.extend(["invalid-argument".to_owned(), "cancelled".to_owned()]);
    assert_eq!(named(section("Errors")), kinds);
}

#[test]
fn content_is_answered_without_a_capability() {
    let (mut client, _) = Client::connect(offline(), json!({}), Value::Null);
    for method in named(section("Requests to the server")) {
        let error = client
            .request(&method, json!({"uri": "file:///a"}))
            .unwrap_err();
        assert_eq!(
            (error.code, &error.data["kind"]),
            (-32602, &json!("invalid-argument"))
        );
    }
}
