//! Case 20: many records, an import that is killed, and a live account afterwards.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pieces_lsp::pieces::{BaseUrl, PlainHttp};
use pieces_lsp::transfer::{self, Import, Origin};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::local::{Local, check_integrity, wrapper};
use crate::support::process::{Process, Spawn};
use crate::support::standin::StandIn;
use crate::vendor::{Archive, time};
use crate::{Kind, counts, dir, import, look, run, talk};

const CONVERSATIONS: u128 = 2_000;
const MESSAGES: u128 = 25;
const OTHERS: u128 = 200_000;

fn id(kind: u128, number: u128) -> String {
    Uuid::from_u128(kind << 64 | number).to_string()
}

/// As an account of years: many annotations of summaries, and the conversations among them.
fn archive() -> Archive {
    let archive = Archive::new("filtered");
    for n in 0..CONVERSATIONS {
        let own: Vec<_> = (0..MESSAGES).map(|at| id(2, n * MESSAGES + at)).collect();
        archive.put("conversations", &conversation(n, &own));
        for (at, id) in own.iter().enumerate() {
            archive.put("messages", &message(n, at, id));
        }
    }
    // Most of them in groups, which need fewer files.
    let annotation =
        |n| json!({"id": id(3, n), "type": "SUMMARY", "text": "x", "summary": {"id": id(4, n)}});
    for n in 0..2_000 {
        archive.put("annotations", &annotation(n));
    }
    let lines: String = (2_000..OTHERS)
        .map(|n| format!("{}\n", annotation(n)))
        .collect();
    fs::write(
        archive.folder("annotations").join("group-000000.jsonl"),
        lines,
    )
    .unwrap();
    archive
}

fn conversation(n: u128, messages: &[String]) -> Value {
    json!({
        "id": id(1, n), "name": format!("Conversation {n}"), "created": time(0), "updated": time(30),
        "messages": wrapper(messages.iter().map(String::as_str)),
    })
}

fn message(n: u128, at: usize, own: &str) -> Value {
    let role = if at.is_multiple_of(2) {
        "USER"
    } else {
        "ASSISTANT"
    };
    json!({
        "id": own, "conversation": {"id": id(1, n)}, "role": role, "created": time(at as u32), "updated": time(at as u32),
        "fragment": {"string": {"raw": format!("Message {at} of {n}")}},
    })
}

fn start(archive: &Path, data: &Path) -> Process {
    let spawn = Spawn::with_arguments(["import", "--from"]).arg(archive);
    spawn.arg("--data-dir").arg(data).start_unread().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_of_a_large_archive_is_completed_by_the_next() {
    let (archive, data) = (archive(), dir());
    let total = CONVERSATIONS as u64 * (1 + MESSAGES as u64);
    let mut process = start(archive.path(), data.path());
    let begun = Instant::now();
    let store = data.path().join("store.db-wal");
    // In the middle of writing, wherever that is.
    while fs::metadata(&store).map_or(0, |meta| meta.len()) < 1 << 20 {
        assert!(process.is_running(), "it ended before it was killed");
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "nothing is written"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill();
    process.wait();
    let before = look(data.path(), async |local: &Local| {
        local.everything().await.len() as u64
    })
    .await;
    assert!((1..total).contains(&before), "{before}");
    let second = run(archive.path(), data.path());
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    second.stays_small();
    check_integrity(data.path());
    let report = import(archive.path(), data.path()).await;
    assert_eq!(report.counts, counts(0, 0, total, 0));

    // The same account, still running, with one newer message.
    let standin = StandIn::start();
    for n in 0..20 {
        let own: Vec<_> = (0..MESSAGES).map(|at| id(2, n * MESSAGES + at)).collect();
        standin.insert(conversation(n, &own));
        for (at, message) in own.iter().enumerate() {
            let mut object = self::message(n, at, message);
            if (n, at) == (7, 24) {
                object["updated"] = time(59);
                object["fragment"]["string"]["raw"] = "Newer".into();
            }
            standin.with(|state| state.messages.insert(message.clone(), object));
        }
    }
    let live = Import {
        from: Origin::Url(BaseUrl::parse(&standin.url(), PlainHttp::Loopback).unwrap()),
        data_dir: data.path().to_owned(),
        dry_run: false,
    };
    let report = transfer::import(&live, |_| {}).await.unwrap();
    assert_eq!(
        report.by_kind[&Kind::Conversation],
        counts(0, 0, 20, 0),
        "{report:?}"
    );
    assert_eq!(
        report.by_kind[&Kind::Message],
        counts(0, 1, 499, 0),
        "{report:?}"
    );
    assert_eq!(talk(data.path(), &id(1, 7)).await[24].1, "Newer");
}
