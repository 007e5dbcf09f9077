//! Stores that a start finds: left by a killed process, of an older format, damaged, emptied, read-only.

use crate::support::local::{Local, Method, check_integrity, serve};
use crate::support::process::Spawn;
use pieces_lsp::service;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Conversations of every store here.
pub const NAMES: [&str; 3] = ["kept 0", "kept 1", "kept 2"];
/// Those that the damaged page leaves alone.
pub const READABLE: [&str; 2] = ["kept 0", "kept 2"];

/// Makes the conversations; a message fills most of a page, so each name is on a page of its own.
async fn fill(local: &Local) {
    for name in NAMES {
        let text = |n: i32| format!("{name}, message {n} zebra ").repeat(110);
        let message = |n| json!({"role": "USER", "fragment": {"string": {"raw": text(n)}}});
        let seed = json!({"name": name, "messages": [message(1), message(2)]});
        local.post("/conversations/create", seed).await;
    }
}

async fn ended(dir: &Path) {
    let (attached, local) = serve(dir, true).await;
    fill(&local).await;
    attached.shutdown().await;
}

/// As a killed process leaves it: the newest writes are in the log.
pub async fn killed(dir: &Path) {
    let running = TempDir::new().unwrap();
    let (attached, local) = serve(running.path(), true).await;
    fill(&local).await;
    for name in ["store.db", "store.db-wal"] {
        fs::copy(running.path().join(name), dir.join(name)).unwrap();
    }
    attached.shutdown().await;
    assert!(fs::metadata(dir.join("store.db-wal")).unwrap().len() > 0);
}

/// What the first release wrote.
pub async fn of_format_1(dir: &Path) {
    let db = Connection::open(dir.join("store.db")).unwrap();
    db.execute_batch(include_str!("format_1.sql")).unwrap();
    for (seq, name) in (1_i64..).zip(NAMES) {
        let id = format!("00000000-0000-4000-8000-00000000000{seq}");
        let doc = json!({"name": name, "type": "COPILOT"}).to_string();
        db.execute(
            "INSERT INTO entity (seq, kind, id, created, updated, doc) VALUES (?1, 1, ?2, 1, 1, ?3)",
            rusqlite::params![seq, id, doc],
        )
        .unwrap();
        db.execute(
            "INSERT INTO search (rowid, text) VALUES (?1, ?2)",
            rusqlite::params![seq, name],
        )
        .unwrap();
    }
}

/// The page that holds the name of `kept 1` is overwritten.
pub async fn with_a_bad_page(dir: &Path) {
    ended(dir).await;
    overwrite_page_with(&dir.join("store.db"), b"\"kept 1\"");
}

/// The pages of all indices of the objects, and of the full-text index, are overwritten.
pub async fn with_a_bad_index(dir: &Path) {
    ended(dir).await;
    for name in ["entity_kind", "entity_key", "link_a", "search_data"] {
        overwrite_root(&dir.join("store.db"), name);
    }
}

fn overwrite_page_with(store: &Path, text: &[u8]) {
    let mut bytes = fs::read(store).unwrap();
    let at = bytes
        .windows(text.len())
        .position(|one| one == text)
        .unwrap();
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(0xA5);
    fs::write(store, bytes).unwrap();
}

fn overwrite_root(store: &Path, name: &str) {
    let db = Connection::open(store).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = db.query_row(sql, [name], |row| row.get(0)).unwrap();
    drop(db);
    let mut bytes = fs::read(store).unwrap();
    let page = usize::try_from(page - 1).unwrap() * 4096;
    bytes[page..page + 4096].fill(0xA5);
    fs::write(store, bytes).unwrap();
}

async fn names(local: &Local) -> Vec<String> {
    let list = local.get("/conversations?transferables=false").await;
    let names = list["iterable"].as_array().unwrap().iter();
    names
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn found(local: &Local, word: &str) -> usize {
    let body = json!({"engines": {"iterable": [{"query": word}]}});
    let answer = local.post("/conversations/search", body).await;
    answer["iterable"].as_array().unwrap().len()
}

fn set_aside(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .contains("corrupt")
        })
        .collect()
}

/// The store as it is, byte for byte, with all that lies beside it.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

/// `pieces-lsp export` of a directory or of a store file: exit code, names, what was said.
fn export(from: &Path) -> (Option<i32>, Vec<String>, String) {
    let out = TempDir::new().unwrap();
    let target = out.path().join("export");
    let ran = Spawn::with_arguments(["export", "--log-level", "off"])
        .arg(&target)
        .arg("--data-dir")
        .arg(from)
        .run();
    let lines = fs::read_to_string(target.join("conversations.jsonl")).unwrap_or_default();
    let names = lines
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            Some(line.get("conversation")?["name"].as_str()?.to_owned())
        })
        .collect();
    (ran.code, names, ran.stdout + &ran.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_costs_only_what_is_on_it() {
    let dir = TempDir::new().unwrap();
    with_a_bad_page(dir.path()).await;
    let (attached, local) = serve(dir.path(), true).await;
    let notice = attached.notice.clone().unwrap();
    let kept = set_aside(dir.path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(notice.contains(kept[0].to_str().unwrap()), "{notice}");
    assert!(notice.contains("could not be read"), "{notice}");
    let listed = names(&local).await;
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert_eq!([&*listed[0], &*listed[2]], READABLE);
    // The conversation whose name is lost keeps its messages from other pages.
    assert!(listed[1].contains("Damaged"), "{listed:?}");
    let list = local.get("/conversations").await;
    let messages = list["iterable"][1]["messages"]["iterable"]
        .as_array()
        .unwrap();
    assert!(!messages.is_empty());
    assert_eq!(found(&local, "zebra").await, 3);
    attached.shutdown().await;
    check_integrity(dir.path());
    // The damaged one can still be exported.
    let (code, exported, said) = export(&kept[0]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(exported, listed);
    assert!(said.contains("could not be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_damaged_page_is_kept_without_any_index() {
    let dir = TempDir::new().unwrap();
    with_a_bad_page(dir.path()).await;
    for index in [
        "entity_kind",
        "entity_owner",
        "entity_key",
        "sqlite_autoindex_entity_1",
    ] {
        overwrite_root(&dir.path().join("store.db"), index);
    }
    let (attached, local) = serve(dir.path(), true).await;
    let listed = names(&local).await;
    for name in READABLE {
        assert!(listed.contains(&name.to_owned()), "{listed:?}");
    }
    attached.shutdown().await;
    check_integrity(dir.path());
}

/// A copy that broke off, a disk that lost its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_cut_off_keeps_its_beginning() {
    let dir = TempDir::new().unwrap();
    ended(dir.path()).await;
    let store = dir.path().join("store.db");
    let bytes = fs::read(&store).unwrap();
    let last = b"\"kept 2\"";
    let at = bytes
        .windows(last.len())
        .position(|one| one == last)
        .unwrap();
    fs::write(&store, &bytes[..at / 4096 * 4096]).unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let notice = attached.notice.clone().unwrap();
    assert!(!notice.contains("nothing of it"), "{notice}");
    let listed = names(&local).await;
    assert!(listed.contains(&NAMES[0].to_owned()), "{listed:?}");
    attached.shutdown().await;
    check_integrity(dir.path());
    // The one that was set aside can still be exported.
    let (code, exported, said) = export(&set_aside(dir.path())[0]);
    assert_eq!((code, exported), (Some(0), listed), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_indices_are_rebuilt_and_nothing_is_lost() {
    let whole = TempDir::new().unwrap();
    ended(whole.path()).await;
    for name in [
        "entity_kind",
        "entity_owner",
        "entity_key",
        "link_a",
        "sqlite_autoindex_entity_1",
        "search_data",
        "search_idx",
        "search_docsize",
    ] {
        let dir = TempDir::new().unwrap();
        fs::copy(whole.path().join("store.db"), dir.path().join("store.db")).unwrap();
        let before = id_of(dir.path());
        overwrite_root(&dir.path().join("store.db"), name);
        let (attached, local) = serve(dir.path(), true).await;
        let notice = attached.notice.clone().unwrap();
        assert!(notice.contains("nothing was lost"), "{name}: {notice}");
        assert_eq!(names(&local).await, NAMES, "{name}");
        assert_eq!(found(&local, "zebra").await, 3, "{name}");
        attached.shutdown().await;
        assert_eq!(set_aside(dir.path()), [""; 0].map(PathBuf::from), "{name}");
        assert_eq!(id_of(dir.path()), before, "{name}");
        check_integrity(dir.path());
    }
}

fn id_of(dir: &Path) -> String {
    let db = Connection::open(dir.join("store.db")).unwrap();
    let sql = "SELECT value FROM meta WHERE key = 'id'";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Only the pages that every request needs are checked at the start of a large store.
#[tokio::test(flavor = "multi_thread")]
async fn damage_found_while_serving_breaks_off_no_list_and_is_mended_at_the_next_start() {
    let dir = TempDir::new().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    fill(&local).await;
    for n in 0..17 {
        let asset = json!({"type": "SEEDED_ASSET", "asset": {
            "metadata": {"name": format!("asset {n}")},
            "format": {"fragment": {"string": {"raw": "x ".repeat(1 << 20)}}},
        }});
        local.post("/assets/create", asset).await;
    }
    attached.shutdown().await;
    let store = dir.path().join("store.db");
    assert!(fs::metadata(&store).unwrap().len() > 33 << 20);
    overwrite_page_with(&store, b"\"kept 1\"");

    let (attached, local) = serve(dir.path(), true).await;
    let listed = names(&local).await;
    assert_eq!((attached.notice.clone(), listed.len()), (None, 3));
    let new = json!({"name": "new"}).to_string();
    let (status, _) = local
        .try_send(Method::Post(new), "/conversations/create")
        .await
        .unwrap();
    assert_eq!(status, 200);
    let (code, exported, said) = export(dir.path());
    assert_eq!((code, exported.len()), (Some(0), 4), "{said}");
    assert!(said.contains("could not be read"), "{said}");
    attached.shutdown().await;

    let (attached, local) = serve(dir.path(), true).await;
    let notice = attached.notice.clone().unwrap();
    assert!(notice.contains("damaged"), "{notice}");
    assert_eq!(names(&local).await.len(), 4);
    attached.shutdown().await;
    check_integrity(dir.path());
    assert_eq!(set_aside(dir.path()).len(), 1);
}

#[tokio::test]
async fn an_emptied_store_is_not_silently_a_new_one() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("store.db"), "").unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let notice = attached.notice.clone().unwrap();
    assert!(notice.contains("0 bytes"), "{notice}");
    assert!(names(&local).await.is_empty());
    attached.shutdown().await;
    assert_eq!(serve(dir.path(), true).await.0.notice, None);
}

/// SQLite deletes a log that has no store.
#[tokio::test]
async fn the_log_of_a_store_that_is_gone_is_kept() {
    let dir = TempDir::new().unwrap();
    killed(dir.path()).await;
    fs::remove_file(dir.path().join("store.db")).unwrap();
    let log = fs::read(dir.path().join("store.db-wal")).unwrap();
    let (attached, _) = serve(dir.path(), true).await;
    let notice = attached.notice.clone().unwrap();
    let kept = set_aside(dir.path());
    assert!(notice.contains(kept[0].to_str().unwrap()), "{notice}");
    assert_eq!(fs::read(&kept[0]).unwrap(), log);
    attached.shutdown().await;
}

/// A mounted backup, with and without a log that has to be applied.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_read_and_exported_without_touching_it() {
    let with_log = TempDir::new().unwrap();
    killed(with_log.path()).await;
    let without = TempDir::new().unwrap();
    ended(without.path()).await;
    fs::remove_file(without.path().join("lock")).unwrap();
    for dir in [with_log, without] {
        let before = snapshot(dir.path());
        let store = dir.path().join("store.db");
        let attached = service::view(&store).await.unwrap();
        let local = Local::new(&attached.url, attached.token.clone());
        assert_eq!(names(&local).await, NAMES);
        let new = json!({"name": "new"}).to_string();
        let (status, text) = local
            .try_send(Method::Post(new), "/conversations/create")
            .await
            .unwrap();
        assert_eq!(status, 500, "{text}");
        assert!(text.contains("read-only; nothing was changed"), "{text}");
        attached.shutdown().await;
        let (code, exported, said) = export(&store);
        assert_eq!(
            (code, &*exported),
            (Some(0), &NAMES.map(str::to_owned)[..]),
            "{said}"
        );
        assert_eq!(snapshot(dir.path()), before);
    }
}

/// Its files can be written, but none can be created beside them, as after `chmod u-w` of the directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_a_directory_that_cannot_be_written_is_read() {
    let with_log = TempDir::new().unwrap();
    killed(with_log.path()).await;
    let without = TempDir::new().unwrap();
    ended(without.path()).await;
    for dir in [with_log, without] {
        let permit = |mode| fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        permit(0o500);
        let out = TempDir::new().unwrap();
        let exported = unprivileged(&["export"])
            .arg(out.path().join("export"))
            .arg("--data-dir")
            .arg(dir.path())
            .output()
            .unwrap();
        let looked = unprivileged(&["doctor", "--json", "--backend", "local", "--data-dir"])
            .arg(dir.path())
            .output()
            .unwrap();
        permit(0o700);
        assert_eq!(exported.status.code(), Some(0), "{exported:?}");
        let said = String::from_utf8(exported.stderr).unwrap();
        assert!(said.contains("can be read, but not changed"), "{said}");
        let report: Value = serde_json::from_slice(&looked.stdout).unwrap();
        let store = &report["checks"]["store"];
        assert_eq!(
            (&store["state"], &store["unwritable"]),
            (&json!("readable"), &json!("read-only")),
            "{report}"
        );
    }
}

/// `pieces-lsp` as a user who is bound by permissions, also where the administrator runs the tests.
fn unprivileged(arguments: &[&str]) -> Command {
    let binary = env!("CARGO_BIN_EXE_pieces-lsp");
    let mut command = Command::new(binary);
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", binary]);
    }
    command.args(arguments).env("PIECES_LSP_MODEL_PORTS", "");
    command
}

/// What is deleted or replaced leaves the files, the full-text index and the log included. Conversations
/// go to the trash first, which is in the store.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_texts_leave_the_files() {
    let dir = TempDir::new().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let text = |word: &str| json!({"string": {"raw": format!("{word} ").repeat(50)}});
    let message = |word: &str| json!({"role": "USER", "fragment": text(word)});
    let seed =
        json!({"name": "pterodactylus", "messages": [message("quetzalcoatlus"), message("stays")]});
    let made = local.post("/conversations/create", seed).await;
    let doomed = &made["messages"]["iterable"][0]["id"];
    let asset = json!({"type": "SEEDED_ASSET", "asset": {
        "metadata": {"name": "dimorphodon"}, "format": {"fragment": text("dimorphodon")},
    }});
    let asset = local.post("/assets/create", asset).await;
    local
        .post(
            "/conversation/update",
            json!({"id": made["id"], "name": "stays"}),
        )
        .await;
    let delete = |kind: &str, id: &Value| format!("/{kind}/{}/delete", id.as_str().unwrap());
    local.post(&delete("messages", doomed), Value::Null).await;
    local
        .post(&delete("assets", &asset["id"]), Value::Null)
        .await;
    attached.shutdown().await;
    for (path, bytes) in snapshot(dir.path()) {
        for word in ["quetzalc", "pterodac", "dimorpho"] {
            let there = bytes.windows(word.len()).any(|one| one == word.as_bytes());
            assert!(!there, "{word} is in {}", path.display());
        }
    }
    let (attached, local) = serve(dir.path(), true).await;
    assert_eq!(
        (names(&local).await.len(), found(&local, "stays").await),
        (1, 1)
    );
    attached.shutdown().await;
}
