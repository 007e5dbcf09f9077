//! Document features on hostile texts: 1 MiB beside 256 KiB, and how long another request waits meanwhile.
//! `cargo bench --bench features`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::editor::Editor;
use support::loading::open;
use support::service::{Service, ids};
use support::{Timings, report};

/// Four times the text may take at most so many times as long.
const TIMES: f64 = 6.0;
const SMALL: usize = 256 << 10;
const LARGE: usize = 1 << 20;
const ROUNDS: usize = 3;
const URI: &str = "file:///bench/hostile.md";

/// What is repeated until the text is long enough.
fn texts() -> [(&'static str, String); 6] {
    let id = ids(0, 0);
    let unknown = "00000000-0000-4000-8000-000000000000";
    [
        ("ids of known conversations, a line each", format!("{id}\n")),
        (
            "links to what is gone, a line each",
            format!("pieces-conversation:/{unknown}.md\n"),
        ),
        (
            "names of assets in one line",
            format!("pieces-asset:/{unknown}/"),
        ),
        ("ids in one line, with emoji", format!("😀{id} ")),
        ("nearly ids", "00000000-0000-4000-8000-".to_owned()),
        ("openings of links in one line", "[[pieces:".to_owned()),
    ]
}

/// The features, each with what it needs besides the document.
fn features(end: &Value) -> [(&'static str, Value); 7] {
    let start = json!({"line": 0, "character": 0});
    let whole = json!({"start": start, "end": end});
    let context = json!({"diagnostics": [], "triggerKind": 1});
    [
        ("hover", json!({"position": end})),
        ("definition", json!({"position": end})),
        ("completion", json!({"position": end})),
        ("documentLink", json!({})),
        ("codeLens", json!({})),
        ("inlayHint", json!({"range": whole})),
        ("codeAction", json!({"range": whole, "context": context})),
    ]
}

fn main() {
    let service = Service::start(1_000);
    let mut editor = open(&service);
    editor.live();
    for (what, part) in texts() {
        report::title(&format!("1 MiB of {what} (baseline: 256 KiB of it)"));
        let [small, large] = [SMALL, LARGE].map(|length| {
            let text = part.repeat(length.div_ceil(part.len()));
            measure(&mut editor, &text)
        });
        let waits = large.iter().map(|(_, _, wait)| *wait).max().unwrap();
        for ((feature, took, _), (_, baseline, _)) in large.into_iter().zip(small) {
            report::ratio(feature, TIMES, took, baseline);
        }
        let limit = Duration::from_millis(50);
        report::limit("another request meanwhile, worst", limit, waits, None);
    }
}

/// For each feature: its name, the median of its time, and the worst time of a request sent right after it.
fn measure(editor: &mut Editor, text: &str) -> Vec<(&'static str, Duration, Duration)> {
    let document = json!({"uri": URI, "languageId": "markdown", "version": 1, "text": text});
    editor.notify("textDocument/didOpen", json!({"textDocument": document}));
    let last = text.rsplit('\n').next().unwrap();
    let end = json!({"line": text.matches('\n').count(), "character": last.encode_utf16().count()});
    let measured = features(&end).map(|(feature, mut params)| {
        params["textDocument"] = json!({"uri": URI});
        let (mut took, mut waited) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let asked = editor.ask(&format!("textDocument/{feature}"), params.clone());
            let status = json!({"command": "pieces.status", "arguments": []});
            let other = editor.ask("workspace/executeCommand", status);
            // They may be answered in any order.
            let mut missing = vec![asked, other];
            while !missing.is_empty() {
                let answers =
                    |message: &Value, id: &u64| message["id"] == *id && message["method"].is_null();
                let (at, answer) =
                    editor.wait(|message| missing.iter().any(|id| answers(message, id)));
                assert!(answer["error"].is_null(), "{answer}");
                let times = if answer["id"] == asked {
                    &mut took
                } else {
                    &mut waited
                };
                times.push(at - began);
                missing.retain(|id| answer["id"] != *id);
            }
        }
        let worst = Timings::new(waited).percentile(100);
        (feature, Timings::new(took).median(), worst)
    });
    editor.notify(
        "textDocument/didClose",
        json!({"textDocument": {"uri": URI}}),
    );
    measured.into()
}
