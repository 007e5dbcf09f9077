//! Import and export: everything arrives, as it was, once, whatever goes wrong on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use futures_util::{StreamExt as _, stream};
use pieces_lsp::pieces::BaseUrl;
use pieces_lsp::transfer::{
    self, Counts, EXPORTED_FILE, Error, Exported, Import, Kind, Origin, Report,
};
use serde_json::{Value, json};
use support::local::{Local, assert_same, serve};
use tempfile::TempDir;

fn dir() -> TempDir {
    TempDir::new().unwrap()
}

async fn import_with(from: Origin, data_dir: &Path, dry_run: bool) -> Result<Report, Error> {
    let import = Import {
        from,
        data_dir: data_dir.to_owned(),
        dry_run,
    };
    transfer::import(&import, |_| {}).await
}

async fn import(from: Origin, data_dir: &Path) -> Report {
    import_with(from, data_dir, false).await.unwrap()
}

async fn export(data_dir: &Path, target: &Path) -> Result<Exported, Error> {
    transfer::export(data_dir, target, |_| {}).await
}

fn url(text: &str) -> Origin {
    Origin::Url(BaseUrl::parse(text, false).unwrap())
}

fn counts(new: u64, updated: u64, unchanged: u64, unreadable: u64) -> Counts {
    Counts {
        new,
        updated,
        unchanged,
        unreadable,
    }
}

/// Words that look different in every place they come to.
fn text(n: usize) -> String {
    let samples = [
        "How does retry work?",
        "Über die Grenze — ein Versuch",
        "```rust\nfn main() {}\n```",
        "日本語\n\n- one\n- two",
        "nul \0 and \u{1b}[31m",
        "",
        "emoji 👩‍👩‍👧 and \"quotes\" \\ backslash",
        "---\nid: 5\n---",
    ];
    format!("{} {n}", samples[n % samples.len()])
}

/// Fills a store through the API, as clients do, with everything that can be tied to anything.
async fn fill(local: &Local, conversations: usize) {
    let assets: Vec<_> = stream::iter((0..conversations / 4).map(|n| {
        let seed = json!({"type": "SEEDED_ASSET", "asset": {
            "novel": {"kept": n},
            "metadata": {
                "name": format!("file {n}.rs"),
                "anchors": [{"type": "FILE", "fullpath": format!("/project/src/file {}.rs", n / 2)}],
                "annotations": [{"type": "DESCRIPTION", "text": text(n)}],
                "websites": [{"url": format!("https://example.org/{}", n % 7), "name": "Example"}],
            },
            "format": {"fragment": {"string": {"raw": text(n)}, "metadata": {"ext": "rs"}}},
        }});
        async move {
            let asset = local.post("/assets/create", seed).await;
            asset["id"].as_str().unwrap().to_owned()
        }
    }))
    .buffer_unordered(32)
    .collect()
    .await;
    let assets = &assets;
    stream::iter((0..conversations).map(|n| async move {
        let messages: Vec<_> = (0..n % 7)
            .map(|at| {
                let role = if at % 2 == 0 { "USER" } else { "ASSISTANT" };
                json!({"role": role, "fragment": {"string": {"raw": text(n + at)}}, "novel": [at]})
            })
            .collect();
        let mut seed = json!({
            "type": "COPILOT", "favorited": n % 3 == 0, "novel": {"deep": [n, {"er": null}]},
            "messages": messages,
            "assets": {"iterable": [{"id": assets[n % assets.len()]}]},
        });
        if n % 5 > 0 {
            seed["name"] = json!(text(n));
        }
        if n % 2 == 0 {
            seed["anchors"] = json!([{"type": "FILE", "fullpath": format!("/project/src/file {}.rs", n / 8)}]);
        }
        if n % 9 == 0 {
            seed["annotations"] = json!([{"type": "SUMMARY", "text": text(n)}]);
        }
        let made = local.post("/conversations/create", seed).await;
        if n % 11 == 1 {
            let message = made["messages"]["iterable"][0]["id"].clone();
            let note = json!({"type": "COMMENT", "text": "on a message", "messages": {"iterable": [{"id": message}]}});
            local.post("/annotations/create", note).await;
        }
    }))
    .buffer_unordered(32)
    .collect::<Vec<()>>()
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_objects_come_back_as_they_were() {
    let (a, b, c, out) = (dir(), dir(), dir(), dir());
    let (attached, source) = serve(a.path(), false).await;
    fill(&source, 2_000).await;
    let original = source.everything().await;
    let total = original.len() as u64;
    assert!(total > 9_000, "{total}");

    // Out to files and into another store.
    let first = out.path().join("first");
    let exported = export(a.path(), &first).await.unwrap();
    assert_eq!((exported.conversations, exported.objects), (2_000, total));
    let from_file = Origin::File(first.clone());
    let dry = import_with(from_file.clone(), b.path(), true).await.unwrap();
    assert_eq!(dry.counts, counts(total, 0, 0, 0));
    assert!(!b.path().join("store.db").exists(), "a dry run writes nothing");
    let report = import(from_file.clone(), b.path()).await;
    assert_eq!(report, dry);
    let (copy, copied) = serve(b.path(), true).await;
    assert_same(&copied.everything().await, &original);
    assert_eq!(import(from_file, b.path()).await.counts, counts(0, 0, total, 0));

    // Out of the copy: the same text, byte for byte.
    let second = out.path().join("second");
    export(b.path(), &second).await.unwrap();
    let read = |dir: &Path| std::fs::read(dir.join(EXPORTED_FILE)).unwrap();
    assert!(read(&first) == read(&second), "the exports differ");
    copy.shutdown().await;

    // From service to service.
    let report = import(url(&attached.url), c.path()).await;
    assert_eq!(report.counts, counts(total, 0, 0, 0), "{report:?}");
    assert_eq!(report.by_kind[&Kind::Conversation].new, 2_000);
    let (copy, copied) = serve(c.path(), true).await;
    assert_same(&copied.everything().await, &original);
    let again = import(url(&attached.url), c.path()).await;
    assert_eq!(again.counts, counts(0, 0, total, 0));
    copy.shutdown().await;
    attached.shutdown().await;
}

// Silences the compiler until the rest of the file uses them.
#[allow(dead_code)]
type Unused = (BTreeMap<(), ()>, PathBuf, Mutex<()>, Value);
