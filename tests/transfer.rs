//! Import and export: everything arrives, as it was, once, whatever goes wrong on the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt as _, stream};
use pieces_lsp::pieces::{BaseUrl, PlainHttp};
use pieces_lsp::transfer::{
    self, Counts, EXPORTED_FILE, Error, Exported, Import, Kind, Origin, Report,
};
use serde_json::{Value, json};
use support::local::{Local, assert_same, at, serve, wrapper};
use support::process::Spawn;
use support::standin::{Fault, StandIn};
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
    Origin::Url(BaseUrl::parse(text, PlainHttp::Loopback).unwrap())
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
        if n % 11 == 1 && n % 7 > 0 {
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
    let dry = import_with(from_file.clone(), b.path(), true)
        .await
        .unwrap();
    assert_eq!(dry.counts, counts(total, 0, 0, 0));
    assert!(
        !b.path().join("store.db").exists(),
        "a dry run writes nothing"
    );
    let report = import(from_file.clone(), b.path()).await;
    assert_eq!(report, dry);
    let (copy, copied) = serve(b.path(), true).await;
    assert_same(&copied.everything().await, &original);
    assert_eq!(
        import(from_file, b.path()).await.counts,
        counts(0, 0, total, 0)
    );

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

/// An account in the stand-in, with one of everything and messages in an order of their own.
struct Account {
    standin: StandIn,
    conversations: Vec<String>,
    messages: Vec<Vec<String>>,
    asset: String,
    anchor: String,
    note: String,
}

const EARLY: &str = "2024-07-17T16:00:00.123Z";
const LATE: &str = "2025-01-01T00:00:00.654321Z";

impl Account {
    /// So many conversations of three messages each.
    fn start(conversations: usize) -> Self {
        let standin = StandIn::start();
        let asset = standin.create_asset("retry.rs", "rs", "fn retry() {}");
        let note = uuid::Uuid::new_v4().to_string();
        let (mut ids, mut messages) = (Vec::new(), Vec::new());
        for n in 0..conversations {
            // In reverse, so that neither ids nor arrival give the order away.
            let own: Vec<_> = (0..3)
                .map(|at| format!("{:08x}-0000-4000-8000-{n:012x}", 9 - at))
                .collect();
            let mut listed = wrapper(own.iter().map(String::as_str));
            listed["iterable"].as_array_mut().unwrap().reverse();
            listed["indices"]["00000000-0000-4000-8000-00000000dead"] = json!(-1);
            let id = standin.insert(json!({
                "name": format!("Conversation {n}"),
                "created": at(EARLY),
                "updated": at(LATE),
                "messages": listed,
                "novel": {"n": n},
            }));
            standin.with(|state| {
                for (place, message) in own.iter().enumerate() {
                    state.messages.insert(
                        message.clone(),
                        json!({
                            "id": message, "role": "USER", "conversation": {"id": id},
                            "created": at(EARLY), "updated": at(EARLY),
                            "fragment": {"string": {"raw": format!("{place} of {n}")}},
                        }),
                    );
                }
            });
            ids.push(id);
            messages.push(own);
        }
        let first = ids[0].clone();
        let anchor = standin.create_anchor("/p/retry.rs", &[&asset], &[&first]);
        standin.with(|state| {
            state.conversations.get_mut(&first).unwrap()["annotations"] = wrapper([note.as_str()]);
            // The other direction is for the import to find out.
            state.assets.get_mut(&asset).unwrap()["conversations"] = wrapper([first.as_str()]);
            state.annotations.insert(note.clone(), json!({
                "id": note, "type": "SUMMARY", "text": "In short", "conversation": {"id": first},
                "created": at(EARLY), "updated": at(EARLY),
            }));
        });
        // Read-only, as Pieces OS is since its end.
        standin.fault("POST *", Fault::Status(403, "Read-only."));
        Self {
            standin,
            conversations: ids,
            messages,
            asset,
            anchor,
            note,
        }
    }

    fn origin(&self) -> Origin {
        url(&self.standin.url())
    }

    /// Everything in it: three messages each, an asset, an anchor, a note.
    fn total(&self) -> u64 {
        4 * self.conversations.len() as u64 + 3
    }

    /// Nothing but GETs, at most two at a time.
    fn was_treated_gently(&self) {
        let log = self.standin.log();
        assert!(
            log.iter().all(|request| request.route.starts_with("GET ")),
            "{log:?}"
        );
        assert!(self.standin.max_in_flight() <= 2);
    }

    /// All of it is in the store of `data_dir`, as it is here.
    async fn arrived(&self, data_dir: &Path) {
        let (attached, local) = serve(data_dir, true).await;
        for (conversation, messages) in self.conversations.iter().zip(&self.messages) {
            let found = local.get(&format!("/conversation/{conversation}")).await;
            let expected = self
                .standin
                .with(|state| state.conversations[conversation].clone());
            for field in ["name", "type", "favorited", "novel", "schema"] {
                assert_eq!(found[field], expected[field], "{field}");
            }
            assert_eq!(found["created"]["value"], "2024-07-17T16:00:00.123000Z");
            assert_eq!(found["updated"]["value"], LATE);
            assert_eq!(
                found["messages"],
                wrapper(messages.iter().map(String::as_str))
            );
            for message in messages {
                let found = local.get(&format!("/message/{message}")).await;
                let expected = self.standin.with(|state| state.messages[message].clone());
                assert_eq!(found["fragment"], expected["fragment"]);
                assert_eq!(found["created"]["value"], "2024-07-17T16:00:00.123000Z");
            }
        }
        let first = local
            .get(&format!("/conversation/{}", self.conversations[0]))
            .await;
        for (field, id) in [
            ("assets", &self.asset),
            ("anchors", &self.anchor),
            ("annotations", &self.note),
        ] {
            assert_eq!(first[field]["indices"], json!({id: 0}), "{field}");
        }
        let asset = local.get(&format!("/asset/{}", self.asset)).await;
        assert_eq!(
            asset["original"]["reference"]["fragment"]["string"]["raw"],
            "fn retry() {}"
        );
        assert_eq!(asset["anchors"]["indices"], json!({&self.anchor: 0}));
        assert_eq!(
            asset["conversations"]["indices"],
            json!({&self.conversations[0]: 0})
        );
        let anchor = local.get(&format!("/anchor/{}", self.anchor)).await;
        assert_eq!(
            anchor["points"]["iterable"][0]["reference"]["fullpath"],
            "/p/retry.rs"
        );
        let note = local.get(&format!("/annotation/{}", self.note)).await;
        assert_eq!(
            (&note["text"], &note["conversation"]["id"]),
            (&json!("In short"), &json!(self.conversations[0]))
        );
        let found = local
            .post(
                "/conversations/search",
                json!({"engines": {"iterable": [{"query": "short"}]}}),
            )
            .await;
        assert_eq!(
            found["iterable"][0]["identifier"],
            self.conversations[0].as_str()
        );
        attached.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_account_arrives_whole_and_only_once() {
    let account = Account::start(30);
    let here = dir();
    let dry = import_with(account.origin(), here.path(), true)
        .await
        .unwrap();
    let report = import(account.origin(), here.path()).await;
    assert_eq!(
        report.counts,
        counts(account.total(), 0, 0, 0),
        "{report:?}"
    );
    assert_eq!(report, dry);
    account.was_treated_gently();
    account.arrived(here.path()).await;

    // A second time there is nothing to fetch.
    account.standin.forget_requests();
    let again = import(account.origin(), here.path()).await;
    assert_eq!(again.counts, counts(0, 0, account.total(), 0));
    for route in [
        "GET /message/{id}",
        "GET /conversation/{id}/messages",
        "GET /asset/{id}",
    ] {
        assert_eq!(account.standin.requests(route), 0, "{route}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_object_wins() {
    let account = Account::start(4);
    let here = dir();
    import(account.origin(), here.path()).await;
    let [renamed_there, renamed_here, grown, quiet] = &account.conversations[..] else {
        panic!("four");
    };
    let (attached, local) = serve(here.path(), true).await;
    // Newer here: kept. Also a message of our own, which stays.
    local
        .post(
            "/conversation/update",
            json!({"id": renamed_here, "name": "Ours"}),
        )
        .await;
    let own = local
        .post("/messages/create", json!({"role": "USER", "fragment": {"string": {"raw": "own"}}, "conversation": {"id": grown}}))
        .await;
    attached.shutdown().await;
    // Newer there: taken.
    let (deep, extra) = (
        account.messages[3][1].clone(),
        "ffffffff-0000-4000-8000-000000000001",
    );
    account.standin.with(|state| {
        let later = at("2026-05-05T05:05:05Z");
        state.conversations.get_mut(renamed_there).unwrap()["name"] = json!("Theirs");
        state.conversations.get_mut(renamed_there).unwrap()["updated"] = later.clone();
        // A message that only now turns up between the others.
        let mut listed = account.messages[2].clone();
        listed.insert(1, extra.to_owned());
        state.conversations.get_mut(grown).unwrap()["messages"] = wrapper(listed.iter().map(String::as_str));
        state.messages.insert(extra.to_owned(), json!({
            "id": extra, "role": "ASSISTANT", "conversation": {"id": grown},
            "created": at(EARLY), "updated": at(EARLY), "fragment": {"string": {"raw": "found again"}},
        }));
        // A message changed without its conversation saying so.
        state.messages.get_mut(&deep).unwrap()["fragment"]["string"]["raw"] = json!("edited");
        state.messages.get_mut(&deep).unwrap()["updated"] = later.clone();
        // And an asset.
        let asset = state.assets.get_mut(&account.asset).unwrap();
        asset["original"]["reference"]["fragment"]["string"]["raw"] = json!("fn again() {}");
        asset["updated"] = later;
    });
    let dry = import_with(account.origin(), here.path(), true)
        .await
        .unwrap();
    let report = import(account.origin(), here.path()).await;
    assert_eq!(
        report.counts,
        counts(1, 3, account.total() - 3, 0),
        "{report:?}"
    );
    assert_eq!(report, dry);

    let (attached, local) = serve(here.path(), true).await;
    let name = async |id: &str| local.get(&format!("/conversation/{id}")).await["name"].clone();
    assert_eq!(name(renamed_there).await, "Theirs");
    assert_eq!(name(renamed_here).await, "Ours");
    assert_eq!(name(quiet).await, "Conversation 3");
    let found = local.get(&format!("/conversation/{grown}/messages")).await;
    let texts: Vec<_> = found["iterable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["fragment"]["string"]["raw"].clone())
        .collect();
    assert_eq!(texts, ["0 of 2", "found again", "1 of 2", "2 of 2", "own"]);
    assert_eq!(found["iterable"][4]["id"], own["id"]);
    let search = local
        .post(
            "/conversations/search",
            json!({"engines": {"iterable": [{"query": "own"}]}}),
        )
        .await;
    assert_eq!(
        search["iterable"][0]["identifier"],
        grown.as_str(),
        "search follows what moved"
    );
    assert_eq!(
        local.get(&format!("/message/{deep}")).await["fragment"]["string"]["raw"],
        "edited"
    );
    let asset = local.get(&format!("/asset/{}", account.asset)).await;
    assert_eq!(
        asset["original"]["reference"]["fragment"]["string"]["raw"],
        "fn again() {}"
    );
    assert_eq!(asset["formats"]["iterable"].as_array().unwrap().len(), 1);
    attached.shutdown().await;
    let again = import(account.origin(), here.path()).await;
    assert_eq!((again.counts.new, again.counts.updated), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_objects_are_counted_and_the_rest_is_kept() {
    let mut account = Account::start(5);
    let here = dir();
    // Neither lists of messages nor the messages themselves; no anchor either.
    account.standin.fault(
        "GET /conversation/{id}/messages",
        Fault::Status(500, "Broken."),
    );
    account
        .standin
        .fault("GET /message/{id}", Fault::Status(500, "Broken."));
    account.standin.fault(
        "GET /anchors",
        Fault::Body("text/html", "<html>".to_owned()),
    );
    account.standin.fault("GET /anchor/{id}", Fault::Drop);
    let report = import(account.origin(), here.path()).await;
    assert_eq!(
        report.counts,
        counts(account.total() - 16, 0, 0, 16),
        "{report:?}"
    );
    assert_eq!(report.unreadable.len(), 16);
    assert_eq!(report.by_kind[&Kind::Message].unreadable, 15);
    assert_eq!(report.by_kind[&Kind::Anchor].unreadable, 1);
    account.was_treated_gently();

    account.standin.heal();
    let report = import(account.origin(), here.path()).await;
    assert_eq!(
        report.counts,
        counts(16, 0, account.total() - 16, 0),
        "{report:?}"
    );
    account.arrived(here.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_responses_lose_only_themselves() {
    let account = Account::start(3);
    let here = dir();
    let dangling = "dddddddd-0000-4000-8000-000000000001";
    account.standin.with(|state| {
        let first = &account.conversations[0];
        // Listed and not there: the conversation is not whole.
        state.conversations.get_mut(first).unwrap()["messages"]["indices"][dangling] = json!(7);
    });
    account.standin.fault(
        "GET /conversations",
        Fault::Edit(|list| {
            let items = list["iterable"].as_array_mut().unwrap();
            items.push(json!({"name": "no id"}));
            items.push(json!(7));
            items.push(json!({"id": "not-a-uuid", "created": {}}));
            // Named without being listed.
            items.remove(0);
        }),
    );
    account.standin.fault("GET /messages", Fault::Truncate);
    let report = import(account.origin(), here.path()).await;
    // Two of the three nameless ones; one is taken for the one that had to be fetched by its id.
    assert_eq!(
        report.counts,
        counts(account.total(), 0, 0, 3),
        "{report:?}"
    );
    let dry = import_with(account.origin(), here.path(), true)
        .await
        .unwrap();
    assert_eq!(dry.counts, counts(0, 0, account.total(), 3), "{dry:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_six_documented_routes_are_needed() {
    let account = Account::start(3);
    let here = dir();
    account
        .standin
        .with(|state| state.six_endpoints_only = true);
    let report = import(account.origin(), here.path()).await;
    assert_eq!(
        report.by_kind[&Kind::Conversation],
        counts(3, 0, 0, 0),
        "{report:?}"
    );
    account
        .standin
        .with(|state| state.six_endpoints_only = false);
    import(account.origin(), here.path()).await;
    account.arrived(here.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_resumes() {
    let mut account = Account::start(40);
    let here = dir();
    let list = "GET /conversation/{id}/messages";
    account
        .standin
        .fault(list, Fault::Delay(std::time::Duration::from_millis(10)));
    let (origin, data_dir) = (account.origin(), here.path().to_owned());
    let running = tokio::spawn(async move { import_with(origin, &data_dir, false).await });
    account
        .standin
        .until("the middle", |state| state.requests(list) >= 20)
        .await;
    account.standin.refuse();
    let error = running.await.unwrap().unwrap_err();
    assert!(error.cause.is_some(), "{error:?}");
    assert!(
        (1..account.total()).contains(&error.so_far.new),
        "{error:?}"
    );
    assert_eq!(error.so_far.unreadable, 0, "{error:?}");

    account.standin.heal();
    account.standin.forget_requests();
    let report = import(account.origin(), here.path()).await;
    assert_eq!(
        report.counts,
        counts(account.total() - error.so_far.new, 0, error.so_far.new, 0),
        "{report:?}"
    );
    assert!(
        account.standin.requests(list) < 40,
        "read again what was there"
    );
    account.was_treated_gently();
    account.arrived(here.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_source_is_named() {
    let account = Account::start(1);
    let here = dir();
    let refused = async |from: Origin| {
        import_with(from, here.path(), false)
            .await
            .unwrap_err()
            .to_string()
    };
    let (attached, _) = serve(here.path(), true).await;
    assert!(refused(url(&attached.url)).await.contains("itself"));
    attached.shutdown().await;
    let (attached, _) = serve(here.path(), false).await;
    let other_name = attached.url.replace("127.0.0.1", "127.0.0.2");
    // Another name for the same service: either it does not answer to that, or it is found out.
    assert!(
        import_with(url(&other_name), here.path(), false)
            .await
            .is_err()
    );
    attached.shutdown().await;
    let there = dir();
    let (attached, _) = serve(there.path(), true).await;
    assert!(
        refused(url(&attached.url))
            .await
            .contains("pieces-lsp export")
    );
    attached.shutdown().await;
    account
        .standin
        .with(|state| state.health = "migrating".to_owned());
    assert!(
        refused(account.origin())
            .await
            .contains("try again in a minute")
    );
    account
        .standin
        .with(|state| state.health = "ok:x".to_owned());
    account.standin.fault("*", Fault::Status(401, "No user."));
    assert!(refused(account.origin()).await.contains("sign in"));
    account.standin.fault("*", Fault::Status(593, "Update."));
    assert!(refused(account.origin()).await.contains("update it"));
    let empty = dir();
    std::fs::write(empty.path().join("empty.jsonl"), "").unwrap();
    for (path, why) in [
        (Path::new("/nowhere/at/all.jsonl"), "does not exist"),
        (Path::new("Cargo.toml"), "is nothing that can be imported"),
        (empty.path(), "is a directory without"),
        (&empty.path().join("empty.jsonl"), "is empty"),
        #[cfg(unix)]
        (Path::new("/dev/null"), "not a regular file"),
    ] {
        let error = refused(Origin::File(path.into())).await;
        assert!(error.contains(EXPORTED_FILE), "{error}");
        assert!(error.contains(why), "{error}");
    }
    // Nobody listens on a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let error = refused(url(&address)).await;
    assert!(
        error.contains("not running at") && error.contains("`from`"),
        "{error}"
    );
    let home = etcetera::home_dir().unwrap();
    for (text, allow_remote, expected) in [
        (None, false, Ok(Origin::PiecesOs)),
        (
            Some("http://127.0.0.1:39300/"),
            false,
            Ok(url("http://127.0.0.1:39300")),
        ),
        (Some("http://example.org"), false, Err(())),
        (Some("https://127.0.0.1"), true, Err(())),
        (Some("ftp://127.0.0.1"), true, Err(())),
        (Some("out"), false, Ok(Origin::File("out".into()))),
        (
            Some("127.0.0.1:39300"),
            false,
            Ok(url("http://127.0.0.1:39300")),
        ),
        (
            Some("localhost:39300/"),
            false,
            Ok(url("http://localhost:39300")),
        ),
        (Some("example.org:80"), false, Err(())),
        (Some("a/b:80"), false, Ok(Origin::File("a/b:80".into()))),
        (Some("~/out"), false, Ok(Origin::File(home.join("out")))),
        (Some("~out"), false, Ok(Origin::File("~out".into()))),
        (Some(" "), false, Err(())),
        (Some("C:\\x"), false, Ok(Origin::File("C:\\x".into()))),
        (
            Some("file:///tmp/a%20b"),
            false,
            Ok(Origin::File("/tmp/a b".into())),
        ),
    ] {
        let found = Origin::parse(text, PlainHttp::from_allow_remote(allow_remote)).map_err(|_| ());
        assert_eq!(found, expected, "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_export_is_imported_as_far_as_readable() {
    let (a, out) = (dir(), dir());
    let (attached, source) = serve(a.path(), true).await;
    fill(&source, 40).await;
    export(a.path(), &out.path().join("x")).await.unwrap();
    attached.shutdown().await;
    let whole = std::fs::read_to_string(out.path().join("x").join(EXPORTED_FILE)).unwrap();
    let lines: Vec<_> = whole.lines().collect();
    let total = lines.len() as u64 - 2;
    let check = async |lines: &[&str], expected: Result<Counts, (&str, Counts)>| {
        let here = dir();
        let file = here.path().join("some.jsonl");
        std::fs::write(&file, lines.join("\n")).unwrap();
        let found = import_with(Origin::File(file), &here.path().join("data"), false).await;
        match (found, expected) {
            (Ok(report), Ok(counts)) => assert_eq!(report.counts, counts, "{report:?}"),
            (Err(error), Err((part, counts))) => {
                assert!(error.message.contains(part), "{error}");
                assert_eq!(error.so_far, counts);
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    };
    check(&lines, Ok(counts(total, 0, 0, 0))).await;
    check(
        &lines[..lines.len() - 1],
        Err(("is incomplete", counts(total, 0, 0, 0))),
    )
    .await;
    let mut gap = lines.clone();
    gap.remove(lines.len() - 2);
    check(&gap, Err(("is incomplete", counts(total - 1, 0, 0, 0)))).await;
    let mut odd = lines.clone();
    let last = lines.len() - 2;
    odd[last] = "{\"annotation\":";
    check(&odd, Ok(counts(total - 1, 0, 0, 1))).await;
    odd[last] = "{\"spell\":{\"id\":\"00000000-0000-4000-8000-000000000001\"}}";
    check(&odd, Ok(counts(total - 1, 0, 0, 1))).await;
    odd[last] = "{\"message\":{\"id\":\"00000000-0000-4000-8000-000000000001\",\"conversation\":{\"id\":\"00000000-0000-4000-8000-000000000002\"}}}";
    check(&odd, Ok(counts(total - 1, 0, 0, 1))).await;
    check(
        &["{\"export\":{\"format\":99}}"],
        Err(("newer pieces-lsp", counts(0, 0, 0, 0))),
    )
    .await;
    check(&[], Err(("is empty", counts(0, 0, 0, 0)))).await;
    let nothing = "is nothing that can be imported";
    check(&lines[1..], Err((nothing, counts(0, 0, 0, 0)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn associations_survive_the_borders_of_requests() {
    let (a, b, out) = (dir(), dir(), dir());
    let (attached, source) = serve(a.path(), true).await;
    let id = |object: &Value| object["id"].as_str().unwrap().to_owned();
    let mut anchors = Vec::new();
    // More than fit in one request.
    for n in 0..501 {
        let seed = json!({"type": "FILE", "fullpath": format!("/p/{n}.rs")});
        anchors.push(id(&source.post("/anchors/create", seed).await));
    }
    let (first, last) = (&anchors[0], &anchors[500]);
    let note = json!({"type": "DESCRIPTION", "text": "About two files", "anchor": first});
    let note = id(&source.post("/annotations/create", note).await);
    source
        .post(
            &format!("/anchor/{last}/annotations/associate/{note}"),
            json!({}),
        )
        .await;
    export(a.path(), &out.path().join("x")).await.unwrap();
    attached.shutdown().await;
    let file = out.path().join("x").join(EXPORTED_FILE);
    import(Origin::File(file), b.path()).await;
    let (attached, copy) = serve(b.path(), true).await;
    for anchor in [first, last] {
        let anchor = copy.get(&format!("/anchor/{anchor}")).await;
        assert_eq!(anchor["annotations"]["iterable"][0]["id"], note, "{anchor}");
    }
    attached.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_never_overwrites_and_is_never_incomplete() {
    let (a, out) = (dir(), dir());
    let (attached, source) = serve(a.path(), true).await;
    source
        .post("/conversations/create", json!({"name": "One"}))
        .await;
    let target = out.path().join("deep/er");
    export(a.path(), &target).await.unwrap();
    let listing = |dir: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(listing(&target), ["One.md", EXPORTED_FILE]);
    assert_eq!(listing(target.parent().unwrap()), ["er"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&target), 0o700);
        assert_eq!(mode(&target.join("One.md")), 0o600);
        assert_eq!(mode(&target.join(EXPORTED_FILE)), 0o600);
    }
    let again = export(a.path(), &target).await.unwrap_err();
    assert!(again.message.contains("not empty"), "{again}");
    std::fs::write(out.path().join("file"), "x").unwrap();
    assert!(export(a.path(), &out.path().join("file")).await.is_err());
    assert!(
        export(a.path(), &out.path().join("file/below"))
            .await
            .is_err()
    );
    std::fs::create_dir(out.path().join("empty")).unwrap();
    export(a.path(), &out.path().join("empty")).await.unwrap();
    assert_eq!(listing(&out.path().join("empty")).len(), 2);
    attached.shutdown().await;

    // A store that is not there is an empty export, and stays not there.
    let nothing = dir();
    let none = export(&nothing.path().join("none"), &out.path().join("none"))
        .await
        .unwrap();
    assert_eq!((none.conversations, none.objects), (0, 0));
    assert!(!nothing.path().join("none").exists());
    assert_eq!(listing(out.path()), ["deep", "empty", "file", "none"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_a_snapshot_of_a_busy_store() {
    let (a, out) = (dir(), dir());
    let (attached, source) = serve(a.path(), true).await;
    fill(&source, 200).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let writer = async {
        let mut made = 0_u64;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            // Each pair is written at once; a moment has both or none.
            let tag = format!("pair {made}");
            let message = json!({"role": "USER", "fragment": {"string": {"raw": tag}}});
            source
                .post(
                    "/conversations/create",
                    json!({"name": tag, "messages": [message, message]}),
                )
                .await;
            made += 1;
        }
        made
    };
    let exports = async {
        for n in 0..5 {
            export(a.path(), &out.path().join(n.to_string()))
                .await
                .unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (made, ()) = tokio::join!(writer, exports);
    assert!(made > 0);
    for n in 0..5 {
        let text =
            std::fs::read_to_string(out.path().join(n.to_string()).join(EXPORTED_FILE)).unwrap();
        let mut owed = BTreeMap::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if let Some(conversation) = line.get("conversation") {
                let ids = conversation["messages"]["indices"]
                    .as_object()
                    .unwrap()
                    .len();
                let tag = conversation["name"].as_str().unwrap_or_default();
                assert!(!tag.starts_with("pair") || ids == 2, "{conversation}");
                owed.insert(conversation["id"].as_str().unwrap().to_owned(), ids);
            } else if let Some(message) = line.get("message") {
                *owed
                    .get_mut(message["conversation"]["id"].as_str().unwrap())
                    .unwrap() -= 1;
            }
        }
        assert!(owed.values().all(|owed| *owed == 0), "{owed:?}");
    }
    attached.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_come_back_and_are_written_once() {
    let (a, out, b) = (dir(), dir(), dir());
    let (attached, source) = serve(a.path(), true).await;
    // As JSON it is twice as long; the service takes bodies of 32 MiB.
    let text = "\"".repeat(6 << 20);
    let asset = json!({"type": "SEEDED_ASSET", "asset": {"metadata": {"name": "f"}, "format": {"fragment": {"string": {"raw": text}}}}});
    source.post("/assets/create", asset).await;
    fill(&source, 40).await;
    let expected = source.everything().await;
    let target = out.path().join("x");
    export(a.path(), &target).await.unwrap();
    let file = std::fs::metadata(target.join(EXPORTED_FILE)).unwrap().len();
    assert!(file < 13 << 20, "{file}");
    attached.shutdown().await;
    let report = import(Origin::File(target), b.path()).await;
    assert_eq!(report.counts.unreadable, 0, "{report:?}");
    let (attached, local) = serve(b.path(), true).await;
    assert_same(&local.everything().await, &expected);
    attached.shutdown().await;
}

/// Headings, with the text they show, and code blocks of a Markdown text, outside of quotations.
fn outline(markdown: &str) -> (Vec<(u8, String)>, Vec<String>) {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
    let (mut headings, mut code) = (Vec::new(), Vec::new());
    let mut inside: Option<(Option<u8>, String)> = None;
    for event in Parser::new_ext(markdown, Options::empty()) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                inside = Some((Some(level as u8), String::new()))
            }
            Event::Start(Tag::CodeBlock(_)) => inside = Some((None, String::new())),
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, collected)) = &mut inside {
                    collected.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock) => match inside.take() {
                Some((Some(level), text)) => headings.push((level, text)),
                Some((None, text)) => code.push(text),
                None => {}
            },
            _ => {}
        }
    }
    (headings, code)
}

/// The front matter as any YAML reader sees its double-quoted strings, and the rest.
fn front_matter(markdown: &str) -> (BTreeMap<String, Vec<String>>, &str) {
    let (front, rest) = markdown
        .strip_prefix("---\n")
        .unwrap()
        .split_once("\n---\n")
        .unwrap();
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut key = String::new();
    let unquote = |text: &str| {
        let quoted = &text[..=text.rfind('"').unwrap()];
        // \UXXXXXXXX is the only escape that JSON does not have.
        let mut json = String::new();
        let mut rest = quoted;
        while let Some((before, after)) = rest.split_once("\\U") {
            json.push_str(before);
            let c = char::from_u32(u32::from_str_radix(&after[..8], 16).unwrap()).unwrap();
            json.push_str(&format!("\\u{:04x}", u32::from(c)));
            rest = &after[8..];
        }
        json.push_str(rest);
        serde_json::from_str::<String>(&json).unwrap_or_else(|error| panic!("{quoted}: {error}"))
    };
    for line in front.lines() {
        if let Some(item) = line.strip_prefix("  - ") {
            let item = item.split(" # ").next().unwrap();
            fields.get_mut(&key).unwrap().push(unquote(item));
        } else {
            let (name, value) = line.split_once(':').unwrap();
            key = name.to_owned();
            let value = value.trim();
            let values = if value.is_empty() || value == "[]" {
                Vec::new()
            } else {
                vec![unquote(value)]
            };
            assert!(fields.insert(key.clone(), values).is_none(), "{key} twice");
        }
    }
    (fields, rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_texts_stay_in_their_message() {
    let (a, out) = (dir(), dir());
    let (attached, source) = serve(a.path(), true).await;
    let hostile = [
        "---\nid: forged\n---",
        "```rust\nfn open() {",
        "~~~~\n```\nnever closed",
        "    ```\n\tindented, which is no fence",
        "- a list\n  ```\n  in it",
        "> quoted\n> ```\n> in it",
        "> quoted\n```\nafter it",
        "1. one\n\n   ````\n   deep",
        "<!-- a comment",
        "<script>alert(1)",
        "<![CDATA[ and more",
        "<?php echo",
        "<div>\n\n*text*",
        "<pre>\n\n## not a heading",
        "title\n===",
        "[a]: http://example.org/\n[b]:",
        "# Not a section\n\n## You",
        "nul \0, bell \u{7}, escape \u{1b}[2J, delete \u{7f}, next line \u{85}",
        "windows\r\nmac\rlines",
        "`unclosed",
        "\\",
        "",
        "\n\n   \n",
        "<!--\n```\n-->\n~~~",
        "```\n<!--\n```\n<!-- ```",
    ];
    let names = [
        "../../../etc/passwd",
        "..",
        "CON",
        "aux.txt",
        "name: [yaml] \"quoted\" 'single' #comment",
        "line\nbreak\r\nand\ttab",
        "\u{202e}reversed\u{200b}",
        "*bold* _it_ `code` <b> [a] (b) ## #",
        "trailing dot.",
        "C#",
        "snake_case_name and 2*3",
        "same",
        "SAME",
        "nul\0byte \u{1b}[31m \u{2028} \u{feff}",
        "\u{1F600} emoji",
        "a/b\\c:d*e?f\"g<h>i|j",
        "   ",
        "- item",
        "--- ",
        "{a: b}",
    ];
    let long = "long ".repeat(100);
    let mut expected = BTreeMap::new();
    for name in names.into_iter().chain([long.as_str()]) {
        let messages: Vec<_> = hostile
            .iter()
            .map(|text| json!({"role": "USER", "fragment": {"string": {"raw": text}}}))
            .collect();
        let made = source
            .post("/conversations/create", json!({"name": name, "messages": messages, "anchors": [{"type": "FILE", "fullpath": "C:\\a \"b\"\n- c.rs"}]}))
            .await;
        expected.insert(made["id"].as_str().unwrap().to_owned(), name);
    }
    let target = out.path().join("x");
    export(a.path(), &target).await.unwrap();
    attached.shutdown().await;

    let mut seen = Vec::new();
    for entry in std::fs::read_dir(&target).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if file == EXPORTED_FILE {
            continue;
        }
        assert!(file.len() < 255 && file.ends_with(".md"), "{file}");
        assert!(
            !file.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|'])
                && !file.contains(char::is_control),
            "{file:?}"
        );
        seen.push(file.to_lowercase());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.chars()
                .all(|c| c == '\n' || c == '\t' || !c.is_control()),
            "{file}"
        );
        let (front, body) = front_matter(&text);
        let name = expected[&front["id"][0]];
        let shown = if name.trim().is_empty() {
            "New Conversation"
        } else {
            name
        };
        assert_eq!(front["name"], [shown]);
        assert_eq!(front["files"], ["C:\\a \"b\"\n- c.rs"]);
        assert_eq!(front["assets"], [""; 0]);
        assert!(front["created"][0].ends_with('Z') && front["updated"].len() == 1);

        // Exactly one section for each message, whatever is in the others.
        let (headings, _) = outline(body);
        let visible = |text: &str| {
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let seen = |c: &char| !c.is_control() && !"\u{202e}\u{200b}\u{feff}".contains(*c);
            let seen: String = words.chars().filter(seen).collect();
            seen.trim_end().to_owned()
        };
        let start = |text: &str| text.chars().take(150).collect::<String>();
        assert_eq!(headings[0].0, 1, "{file}");
        assert_eq!(start(&headings[0].1), start(&visible(shown)), "{file}");
        let is_section = |(level, text): &&(u8, String)| *level == 2 && text == "You";
        assert_eq!(
            headings.iter().filter(is_section).count(),
            hostile.len(),
            "{headings:?}"
        );
        for text in [
            "```rust\nfn open() {\n```\n\n## You",
            "- a list\n  ```\n  in it\n\n## You",
            "windows\nmac\nlines\n",
        ] {
            assert!(body.contains(text), "{text} is not as it was written");
        }
        let (_, code) = outline(body);
        assert!(code.contains(&"fn open() {\n".to_owned()), "{code:?}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(
        seen.len(),
        expected.len(),
        "one file each, even where case does not count"
    );
}

/// The real program; its exit code, stdout and stderr.
fn run(arguments: &[&str], data_dir: &Path) -> (Option<i32>, String, String) {
    use std::io::Read as _;
    let spawn = Spawn::with_arguments(arguments)
        .arg("--data-dir")
        .arg(data_dir);
    let (mut process, mut stdout) = spawn.start_unread();
    let mut out = String::new();
    stdout.read_to_string(&mut out).unwrap();
    let ended = process.wait();
    (ended.code, out, ended.log)
}

#[test]
fn the_commands_print_their_results() {
    let (here, out) = (dir(), dir());
    let account = Account::start(3);
    let source = account.standin.url();
    let (code, stdout, stderr) = run(&["import", "--from", &source, "--dry-run"], here.path());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("15 new, 0 updated, 0 unchanged, 0 unreadable (nothing was written)"),
        "{stdout}"
    );
    account
        .standin
        .fault_times("GET /asset/{id}", Fault::Status(500, "Broken."), 2);
    let (code, stdout, stderr) = run(&["import", "--from", &source], here.path());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("14 new, 0 updated, 0 unchanged, 1 unreadable"),
        "{stdout}"
    );
    assert!(
        stderr.contains(&format!("asset {}", account.asset)),
        "{stderr}"
    );
    let (code, stdout, stderr) = run(&["import", "--url", &source], here.path());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("1 new, 0 updated, 14 unchanged, 0 unreadable"),
        "{stdout}"
    );

    let target = out.path().join("out").to_str().unwrap().to_owned();
    let (code, stdout, stderr) = run(&["export", &target], here.path());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("3 conversations"), "{stdout}");
    let (code, _, stderr) = run(&["export", &target], here.path());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("not empty"), "{stderr}");
    let elsewhere = dir();
    let (code, stdout, stderr) = run(&["import", "--from", &target], elsewhere.path());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("15 new"), "{stdout}");
    let (code, _, stderr) = run(&["import", "--from", "http://192.0.2.1:1"], here.path());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--allow-remote"), "{stderr}");
    // No Pieces OS runs where the tests do, or it is not ours to read: an address that is closed.
    let (code, _, stderr) = run(&["import", "--from", "http://127.0.0.1:9"], here.path());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("not running"), "{stderr}");
}

/// One way for a conversation to come in: what becomes of its name, and of `updated` in microseconds.
type Read = (String, i64);

/// `{"id": …}` with these fields, as bytes that may be no JSON Rust can hold.
fn raw_conversation(name: &[u8], updated: &str) -> Vec<u8> {
    let times = format!(
        "\"created\":{{\"value\":\"1990-01-01T00:00:00Z\"}},\"updated\":{{\"value\":\"{updated}\"}}"
    );
    [
        b"{\"id\":\"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10\",\"type\":\"COPILOT\",\"score\":{\"manual\":1e999},\"name\":\"",
        name,
        b"\",",
        times.as_bytes(),
        b"}",
    ]
    .concat()
}

fn enclosed(before: &str, one: &[u8], after: &str) -> Vec<u8> {
    [
        "\u{feff}".as_bytes(),
        before.as_bytes(),
        one,
        after.as_bytes(),
    ]
    .concat()
}

/// A service that knows one conversation and says it in these bytes.
async fn raw_service(one: Vec<u8>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split([' ', '?']).nth(1).unwrap();
            let (status, body) = match path {
                "/conversations" => ("200 OK", enclosed("{\"iterable\":[", &one, "]}")),
                _ if path.starts_with("/conversation/") && path.matches('/').count() == 2 => {
                    ("200 OK", enclosed("", &one, ""))
                }
                _ => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(&body).await.unwrap();
        }
    });
    url
}

async fn stored(local: &Local) -> Read {
    let conversation = local
        .get("/conversation/0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10")
        .await;
    let updated = conversation["updated"]["value"].as_str().unwrap();
    (
        conversation["name"].as_str().unwrap().to_owned(),
        pieces_lsp::json::time::parse(updated).unwrap(),
    )
}

async fn every_way_in(one: &[u8]) -> Vec<(&'static str, Read)> {
    let mut read = Vec::new();
    for (way, path, body) in [
        ("a seed", "/conversations/create", enclosed("", one, "")),
        (
            "the import route",
            "/pieces-lsp/import",
            enclosed("{\"objects\":[{\"conversation\":", one, "}]}"),
        ),
    ] {
        let here = dir();
        let (attached, local) = serve(here.path(), false).await;
        let request = reqwest::Client::new().post(format!("{}{path}", attached.url));
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{way}");
        read.push((way, stored(&local).await));
        attached.shutdown().await;
    }
    let (here, file) = (dir(), dir());
    let file = file.path().join("backup.jsonl");
    let lines = enclosed(
        "{\"export\":{\"format\":1}}\r\n{\"conversation\":",
        one,
        "}\r\n{\"end\":{\"objects\":1}}\r\n",
    );
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, lines).unwrap();
    let service = raw_service(one.to_vec()).await;
    for (way, from) in [("a backup", Origin::File(file)), ("a copy", url(&service))] {
        let here = here.path().join(way);
        import(from, &here).await;
        let (attached, local) = serve(&here, true).await;
        read.push((way, stored(&local).await));
        attached.shutdown().await;
    }
    let base = BaseUrl::parse(&service, PlainHttp::Loopback).unwrap();
    let client = pieces_lsp::pieces::Client::new(base, None).unwrap();
    let (listed, _) = client
        .list(false, Vec::new(), |all, one| all.push(one.into_owned()))
        .await
        .unwrap();
    let single = client.conversation(listed[0].id).await.unwrap();
    for (way, one) in [("the list", &listed[0]), ("one object", &single)] {
        let name = one.name.as_deref().unwrap().to_owned();
        read.push((way, (name, one.updated.unwrap())));
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_input_is_read_alike_on_every_input_path() {
    let july = 1_721_232_000_000_000;
    for (name, updated, expected) in [
        (&b"plain"[..], "2024-07-17T16:00:00Z", ("plain", july)),
        (
            b"half \\ud83d",
            "2024-07-17T16:00:00",
            ("half \u{fffd}", july),
        ),
        (
            b"\\ude00\\ud83d\\ude00",
            "2024-07-17T18:00:00+02:00",
            ("\u{fffd}\u{1f600}", july),
        ),
        (
            b"cut \xf0\x9f",
            "2024-07-17T16:00:00.1234567890Z",
            ("cut \u{fffd}", july + 123_456),
        ),
        (
            b"\\\\ud83d",
            "2024-07-17 16:00:00.12345678901234567890",
            ("\\ud83d", july + 123_456),
        ),
        (
            b"\xef\xbb\xbfx",
            "9999-12-31T23:59:59.999999Z",
            ("\u{feff}x", 253_402_300_799_999_999),
        ),
    ] {
        let one = raw_conversation(name, updated);
        for (way, (name, at)) in every_way_in(&one).await {
            assert_eq!((name.as_str(), at), expected, "by {way}: {updated}");
        }
    }
}
