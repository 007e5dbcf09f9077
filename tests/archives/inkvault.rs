//! InkVault's database: case 19.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::support::local::Local;
use crate::vendor::*;
use crate::{Report, counts, dir, import, look, object, reasons, refused, said, talk};

/// As InkVault makes it.
fn vault(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE raw_records (kind TEXT, id TEXT, raw TEXT NOT NULL, PRIMARY KEY (kind, id));
         CREATE TABLE events (id TEXT, raw TEXT);
         CREATE TABLE failures (kind TEXT, id TEXT, error TEXT);
         CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
         INSERT INTO meta VALUES ('pieces_version', '12.6.2'), ('last_export', '2026-10-05T08:00:00Z');
         INSERT INTO failures VALUES ('message', 'x', 'HTTP 500');",
    )
    .unwrap();
    db
}

fn put(db: &Connection, kind: &str, id: &str, raw: &str) {
    db.execute(
        "INSERT INTO raw_records VALUES (?1, ?2, ?3)",
        params![kind, id, raw],
    )
    .unwrap();
}

fn fill(db: &Connection) {
    let add = |kind: &str, object: Value| {
        put(
            db,
            kind,
            object["id"].as_str().unwrap(),
            &object.to_string(),
        )
    };
    add("conversation", conversation());
    add(
        "message",
        message(FIRST, "USER", 2, "Why does this retry twice?"),
    );
    add(
        "message",
        message(SECOND, "ASSISTANT", 9, "Because of `loop`.\n"),
    );
    let format = json!({
        "id": FORMAT, "asset": {"id": ASSET}, "classification": {"generic": "CODE", "specific": "rs"},
        "fragment": {"string": {"raw": "fn retry() {}\n"}, "metadata": {"ext": "rs"}},
    });
    add(
        "asset",
        json!({
            "id": ASSET, "name": "retry.rs", "original": {"id": FORMAT, "reference": format},
            "created": time(0), "updated": time(1),
        }),
    );
    let point = json!({"id": POINT, "fullpath": PATH, "platform": "MACOS"});
    add(
        "anchor",
        json!({
            "id": ANCHOR, "type": "FILE", "name": "retry.rs", "points": {"iterable": [{"id": POINT, "reference": point}]},
            "conversations": of(&[CONVERSATION]), "created": time(0), "updated": time(1),
        }),
    );
    add(
        "website",
        json!({
            "id": WEBSITE, "name": "Backoff", "url": "https://example.com/backoff", "conversations": of(&[CONVERSATION]),
            "created": time(0), "updated": time(1),
        }),
    );
    add(
        "annotation",
        json!({
            "id": ANNOTATION, "type": "SUMMARY", "text": "How the retry helper works",
            "conversation": {"id": CONVERSATION}, "created": time(0), "updated": time(1),
        }),
    );
    add("person", json!({"id": GONE}));
    add("range", json!({"id": GONE}));
}

async fn arrived(report: &Report, data: &Path) {
    assert_eq!(report.counts, counts(7, 0, 0, 0), "{report:?}");
    let talked = talk(data, CONVERSATION).await;
    assert_eq!(
        talked,
        said(&[
            ("USER", "Why does this retry twice?"),
            ("ASSISTANT", "Because of `loop`.\n")
        ])
    );
    let asset = object(data, "asset", ASSET).await;
    assert_eq!(
        asset["original"]["reference"]["fragment"]["string"]["raw"],
        "fn retry() {}\n"
    );
    let anchor = object(data, "anchor", ANCHOR).await;
    assert_eq!(
        anchor["points"]["iterable"][0]["reference"]["fullpath"],
        PATH
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_imported_completely_and_not_changed() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("vault.db");
    let db = vault(&path);
    fill(&db);
    db.close().unwrap();
    let before = crate::contents(here.path());
    for from in [&*path, here.path()] {
        let data = dir();
        let report = import(from, data.path()).await;
        assert_eq!(
            report.source,
            "an InkVault database of 2026-10-05, 1 conversation, 2 messages"
        );
        assert_eq!(
            report.notes,
            [
                "Copied from Pieces OS 12.6.2.",
                "InkVault could not read 1 object when it made this file."
            ]
        );
        arrived(&report, data.path()).await;
        assert_eq!(import(from, data.path()).await.counts, counts(0, 0, 7, 0));
    }
    assert_eq!(
        crate::contents(here.path()),
        before,
        "the database was touched"
    );
    // A copy of the same account made by the vendor's exporter adds nothing.
    import(&path, data.path()).await;
    assert_eq!(
        import(Archive::filled().path(), data.path()).await.counts,
        counts(0, 0, 7, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_read_while_it_is_written() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("vault.db");
    let db = vault(&path);
    fill(&db);
    // In the log only, and one more that is not committed.
    db.execute_batch("PRAGMA wal_autocheckpoint = 0; BEGIN")
        .unwrap();
    put(&db, "message", GONE, "{}");
    assert!(
        fs::metadata(here.path().join("vault.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    let before = crate::contents(here.path());
    let copies = || {
        let all = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        all.filter(|one| one.path().join("vault.db").exists())
            .count()
    };
    let copied = copies();
    let report = import(&path, data.path()).await;
    assert_eq!(copies(), copied, "the copy is still there");
    arrived(&report, data.path()).await;
    assert_eq!(
        crate::contents(here.path()),
        before,
        "the database was touched"
    );
    db.execute_batch("COMMIT").unwrap();
    let report = import(&path, data.path()).await;
    assert_eq!(
        (report.counts, reasons(&report)),
        (counts(0, 0, 7, 1), vec!["it has no usable id".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_cost_only_themselves() {
    let (here, data) = (dir(), dir());
    let path = here.path().join("vault.db");
    let db = vault(&path);
    fill(&db);
    put(&db, "message", "broken", "{\"id\": ");
    put(
        &db,
        "message",
        "other",
        &message(GONE, "USER", 3, "x").to_string(),
    );
    put(&db, "conversation", "null", "null");
    db.execute(
        "INSERT INTO raw_records VALUES ('message', 'huge', CAST(zeroblob(100 << 20) AS TEXT)), ('message', 'blob', x'00ff')",
        [],
    )
    .unwrap();
    db.close().unwrap();
    let report = import(&path, data.path()).await;
    assert_eq!(report.counts, counts(7, 0, 0, 5), "{report:?}");
    let expected = [
        "it is larger than 10 MiB",
        "it is not JSON",
        "it is not UTF-8",
        "it is not a JSON object",
        "it is stored under the id of another object",
    ];
    assert_eq!(reasons(&report), expected);
    assert!(
        report
            .unreadable
            .iter()
            .any(|one| one.what == "message broken"),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_databases_are_refused() {
    let (here, data) = (dir(), dir());
    let other = here.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE x (y)")
        .unwrap();
    let error = refused(&other, data.path()).await;
    assert!(
        error.to_string().contains("is not a known database"),
        "{error}"
    );
    // A view could do anything with what it is asked.
    let view = here.path().join("view.db");
    let db = Connection::open(&view).unwrap();
    db.execute_batch("CREATE TABLE meta (key, value); CREATE VIEW raw_records AS SELECT 'message' kind, 'x' id, 'y' raw").unwrap();
    drop(db);
    let error = refused(&view, data.path()).await;
    assert!(
        error.to_string().contains("not a known database"),
        "{error}"
    );
    let torn = here.path().join("torn.db");
    let db = vault(&torn);
    fill(&db);
    db.close().unwrap();
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() / 3]).unwrap();
    let error = refused(&torn, data.path()).await;
    assert!(error.to_string().contains("torn.db"), "{error}");
    let empty = here.path().join("empty.db");
    vault(&empty).close().unwrap();
    let error = refused(&empty, data.path()).await;
    assert!(
        error.to_string().contains("has no conversations"),
        "{error}"
    );
    let stored = look(data.path(), async |local: &Local| local.everything().await).await;
    assert!(stored.is_empty());
}
