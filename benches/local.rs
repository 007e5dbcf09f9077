//! The local service beside raw SQLite doing the same: acknowledged writes, and full-text search over a
//! million messages. `cargo bench --bench local` (`-- --messages N` for another size).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use futures_util::{StreamExt, stream};
use pieces_lsp::service::{Asking, Options, attach};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;
use support::service::name;
use support::{Timings, number, report, time};

const WRITES: usize = 2_000;
/// Messages of a conversation.
const EACH: usize = 100;
const QUERIES: [&str; 4] = ["quorum", "jitter quorum", "parser cache", "nowhere"];

#[tokio::main]
async fn main() {
    let messages = number("--messages").unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        data_dir: dir.path().join("store"),
        port: 0,
        token: true,
        asking: Asking::default(),
    };
    let attached = attach(&options).await.unwrap();
    let api = Api {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        url: attached.url.clone(),
        token: attached.token.clone().unwrap(),
    };
    report::title(&format!(
        "{WRITES} acknowledged writes, each flushed to the disk"
    ));
    writes(&api, dir.path()).await;
    report::title(&format!(
        "Full-text search over {messages} messages, median of 20"
    ));
    search(&api, dir.path(), messages).await;
    attached.shutdown().await;
}

struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        let response = request.json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap()
    }
}

/// What a raw store does for durability is what ours does.
fn raw(path: &std::path::Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    db.pragma_update(None, "synchronous", "full").unwrap();
    db
}

async fn writes(api: &Api, dir: &std::path::Path) {
    let db = raw(&dir.join("raw.db"));
    db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        .unwrap();
    let sqlite = time(|| {
        for n in 0..WRITES {
            let body = json!({"type": "COPILOT", "name": name(n)}).to_string();
            db.execute("INSERT INTO t (body) VALUES (?1)", [body])
                .unwrap();
        }
    });
    let rate = |took: Duration| WRITES as f64 / took.as_secs_f64();
    for at_once in [1, 16] {
        let began = std::time::Instant::now();
        stream::iter(0..WRITES)
            .for_each_concurrent(at_once, async |n| {
                let seed = json!({"type": "COPILOT", "name": name(n)});
                api.post("/conversations/create", &seed).await;
            })
            .await;
        let measured = format!("{:.0} /s", rate(began.elapsed()));
        let what = format!("conversations created, {at_once} at once (baseline: raw)");
        report::plain(&what, &measured, &format!("{:.0} /s", rate(sqlite)), "");
    }
}

/// One message; every 997th has a rare word.
fn message(n: usize) -> String {
    let rare = if n.is_multiple_of(997) { " quorum" } else { "" };
    format!("{} because {}{rare}.", name(n), name(n / 3))
}

async fn search(api: &Api, dir: &std::path::Path, messages: usize) {
    let db = raw(&dir.join("search.db"));
    db.execute_batch(
        "CREATE VIRTUAL TABLE search USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2'); BEGIN",
    )
    .unwrap();
    for n in 0..messages {
        db.execute("INSERT INTO search (text) VALUES (?1)", [message(n)])
            .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    stream::iter(0..messages / EACH)
        .for_each_concurrent(4, async |conversation| {
            let said = (0..EACH).map(|n| {
                let raw = message(conversation * EACH + n);
                json!({"role": "USER", "fragment": {"string": {"raw": raw}}})
            });
            let said: Vec<Value> = said.collect();
            let seed = json!({"type": "COPILOT", "name": name(conversation), "messages": said});
            api.post("/conversations/create?transferables=false", &seed)
                .await;
        })
        .await;
    for query in QUERIES {
        let raw = (0..20).map(|_| {
            time(|| {
                let matching: Vec<String> = query
                    .split(' ')
                    .map(|word| format!("\"{word}\"*"))
                    .collect();
                let mut statement = db
                    .prepare_cached(
                        "SELECT rowid FROM search WHERE search MATCH ?1 ORDER BY rank LIMIT 100",
                    )
                    .unwrap();
                let rows = statement.query_map([matching.join(" ")], |row| row.get::<_, i64>(0));
                std::hint::black_box(rows.unwrap().count());
            })
        });
        let raw = Timings::new(raw.collect()).median();
        let mut ours = Vec::new();
        for _ in 0..20 {
            let input = json!({"engines": {"iterable": [{"query": query}]}});
            let began = std::time::Instant::now();
            api.post("/conversations/search?transferables=false", &input)
                .await;
            ours.push(began.elapsed());
        }
        let ours = report::millis(Timings::new(ours).median());
        report::plain(
            &format!("`{query}` (baseline: raw FTS5)"),
            &ours,
            &report::millis(raw),
            "",
        );
    }
}
