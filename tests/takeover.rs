//! Several processes on one store, and what becomes of it when they are killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use pieces_lsp::service::{Role, ServiceError, attach};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::DEADLINE;
use support::client::{Client, eventually};
use support::local::{Local, Method, at, check_integrity, holder, options, serve, wrapper};
use support::process::{Process, Spawn};
use support::standin::{Fault, StandIn};
use support::world::{names, wait_live, wait_status, window};
use tempfile::TempDir;

/// What people wait for at most on a machine with nothing else to do is two seconds.
const TAKEOVER: Duration = Duration::from_secs(10);
/// Longer than an end used to wait for requests, shorter than it does.
const LOOK: Duration = Duration::from_millis(400);

/// `pieces-lsp service` on a store in `dir`, once it serves.
fn service(dir: &Path) -> (Process, Local) {
    let spawn = Spawn::with_arguments(["service", "--data-dir"]).arg(dir);
    let (process, stdout) = spawn.start_unread();
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    let local = Local::of(dir).expect("service.json is there");
    assert_eq!(local.url, url.trim());
    (process, local)
}

/// What one writer knows of one of its conversations.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    /// The name as acknowledged, and the one whose outcome is not known.
    name: String,
    maybe_name: Option<String>,
    /// Texts of messages, in order.
    messages: Vec<String>,
    maybe_message: Option<String>,
    /// Acknowledged, or only sent.
    deleted: Option<bool>,
}

/// A client that writes until its service is gone.
#[derive(Debug, Default)]
struct Writer {
    known: Vec<Known>,
    /// Names of conversations whose creation was not acknowledged.
    maybe: BTreeSet<String>,
    step: usize,
}

impl Writer {
    async fn run(&mut self, local: &Local, tag: &str, acknowledged: &AtomicUsize) {
        loop {
            self.step += 1;
            if self.write(local, tag).await.is_none() {
                return;
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One write; `None` when it was not acknowledged.
    async fn write(&mut self, local: &Local, tag: &str) -> Option<()> {
        let step = self.step;
        let post = async |path: &str, body: Value| {
            let (status, text) = local.try_send(Method::Post(body.to_string()), path).await?;
            assert!(status < 300, "{path}: {status} {text}");
            Some(serde_json::from_str(&text).unwrap_or(Value::Null))
        };
        let message = |text: &str| json!({"role": "USER", "fragment": {"string": {"raw": text}}});
        let name = format!("{tag} {step}");
        let alive: Vec<usize> = (0..self.known.len())
            .filter(|at| self.known[*at].deleted.is_none())
            .collect();
        let chosen = alive.get(step * 7 % alive.len().max(1)).copied();
        match (step % 8, chosen) {
            (1 | 2, Some(at)) => {
                let one = &mut self.known[at];
                one.maybe_message = Some(name.clone());
                let mut seed = message(&name);
                seed["conversation"] = json!({"id": one.id});
                post("/messages/create", seed).await?;
                one.maybe_message = None;
                one.messages.push(name);
            }
            (3, Some(at)) => {
                let one = &mut self.known[at];
                one.maybe_name = Some(name.clone());
                post("/conversation/update", json!({"id": one.id, "name": name})).await?;
                one.maybe_name = None;
                one.name = name;
            }
            (4, Some(at)) if step.is_multiple_of(3) => {
                let one = &mut self.known[at];
                one.deleted = Some(false);
                post(&format!("/conversations/{}/delete", one.id), Value::Null).await?;
                one.deleted = Some(true);
            }
            _ => {
                let texts = [format!("{name} a"), format!("{name} b")];
                self.maybe.insert(name.clone());
                let seed =
                    json!({"name": name, "messages": [message(&texts[0]), message(&texts[1])]});
                let made = post("/conversations/create", seed).await?;
                self.maybe.remove(&name);
                self.known.push(Known {
                    id: made["id"].as_str().unwrap().to_owned(),
                    name,
                    maybe_name: None,
                    messages: texts.into(),
                    maybe_message: None,
                    deleted: None,
                });
            }
        }
        Some(())
    }

    /// Compares what is known to what is there, and settles what was not known.
    fn check(&mut self, conversations: &HashMap<String, Value>, texts: &HashMap<String, String>) {
        self.known.retain_mut(|one| {
            let Some(found) = conversations.get(&one.id) else {
                assert!(one.deleted.is_some(), "{one:?} was lost");
                return false;
            };
            assert_ne!(one.deleted, Some(true), "{one:?} came back");
            one.deleted = None;
            let name = found["name"].as_str().unwrap().to_owned();
            assert!(
                name == one.name || Some(&name) == one.maybe_name.as_ref(),
                "{one:?}: {name}"
            );
            (one.name, one.maybe_name) = (name, None);
            let mut messages: Vec<_> = found["messages"]["iterable"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| texts[message["id"].as_str().unwrap()].clone())
                .collect();
            if messages.len() == one.messages.len() + 1 {
                assert_eq!(messages.last(), one.maybe_message.as_ref(), "{one:?}");
                one.messages.extend(messages.last().cloned());
            }
            assert_eq!(messages, one.messages, "{one:?}");
            messages.clear();
            one.maybe_message = None;
            true
        });
        // What was not acknowledged may be there, but whole and once.
        for (id, found) in conversations {
            let name = found["name"].as_str().unwrap();
            if self.maybe.remove(name) {
                assert_eq!(
                    found["messages"]["iterable"].as_array().unwrap().len(),
                    2,
                    "{found}"
                );
                self.known.push(Known {
                    id: id.clone(),
                    name: name.to_owned(),
                    maybe_name: None,
                    messages: vec![format!("{name} a"), format!("{name} b")],
                    maybe_message: None,
                    deleted: None,
                });
            }
        }
        self.maybe.clear();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_acknowledged_writes_survive_many_kills() {
    const ROUNDS: usize = 20;
    const WRITES: usize = 150;
    let dir = TempDir::new().unwrap();
    let mut writers: Vec<Writer> = (0..4).map(|_| Writer::default()).collect();
    let acknowledged = AtomicUsize::new(0);
    for round in 0..=ROUNDS {
        let (mut process, local) = service(dir.path());
        let list = local.get("/conversations").await;
        let conversations = list["iterable"].as_array().unwrap();
        let by_id: HashMap<_, _> = conversations
            .iter()
            .map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone()))
            .collect();
        let names: BTreeSet<_> = by_id.values().map(|one| one["name"].to_string()).collect();
        assert_eq!(names.len(), conversations.len(), "something is there twice");
        let list = local.get("/messages").await;
        let messages = list["iterable"].as_array().unwrap();
        let texts: HashMap<_, _> = messages
            .iter()
            .map(|one| {
                let text = &one["fragment"]["string"]["raw"];
                (
                    one["id"].as_str().unwrap().to_owned(),
                    text.as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let distinct: BTreeSet<_> = texts.values().collect();
        assert_eq!(
            distinct.len(),
            messages.len(),
            "some message is there twice"
        );
        for writer in &mut writers {
            writer.check(&by_id, &texts);
        }
        let owned: usize = writers.iter().map(|writer| writer.known.len()).sum();
        assert_eq!(owned, by_id.len(), "something is there that nobody wrote");
        if round == ROUNDS {
            break;
        }
        let enough = WRITES * (round + 1);
        let tags: Vec<_> = (0..writers.len())
            .map(|n| format!("w{n} r{round}"))
            .collect();
        let writing = writers
            .iter_mut()
            .zip(&tags)
            .map(|(writer, tag)| writer.run(&local, tag, &acknowledged));
        let killing = async {
            let started = Instant::now();
            while acknowledged.load(Ordering::Relaxed) < enough {
                assert!(started.elapsed() < 3 * DEADLINE, "too slow");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            process.kill();
        };
        tokio::join!(futures_util::future::join_all(writing), killing);
        process.wait();
    }
    assert!(acknowledged.into_inner() >= ROUNDS * WRITES);
    check_integrity(dir.path());
}

#[test]
fn when_the_serving_window_is_killed_another_takes_over() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let mut windows: Vec<Client> = (0..3).map(|_| window(dir)).collect();
    let mut acknowledged = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    let mut slowest = Duration::ZERO;
    for round in 0..4 {
        let create = |client: &mut Client, name: &str| {
            let seed = json!({"seededConversation": {"type": "COPILOT", "name": name}});
            client.command("pieces.conversations.create", seed)
        };
        for n in 0..30 {
            let name = format!("{round} before {n}");
            create(&mut windows[n % 3], &name).unwrap();
            acknowledged.insert(name);
        }
        let serving = holder(dir).unwrap();
        let at = windows
            .iter_mut()
            .position(|window| window.process().id() == serving);
        let at = at.expect("one of the windows serves");
        // Writes are on their way when it dies.
        let sent: Vec<_> = (0..3)
            .filter(|window| *window != at)
            .map(|n| {
                let name = format!("{round} meanwhile {n}");
                let seed = json!({"seededConversation": {"type": "COPILOT", "name": name}});
                let argument =
                    json!({"command": "pieces.conversations.create", "arguments": [seed]});
                (
                    n,
                    windows[n].send_request("workspace/executeCommand", argument),
                    name,
                )
            })
            .collect();
        let killed = Instant::now();
        windows[at].process().kill();
        for (n, request, name) in sent {
            match windows[n].response(request) {
                Ok(_) => acknowledged.insert(name),
                // Also where it was never sent: then it is just not there.
                Err(_) => unknown.insert(name),
            };
        }
        eventually("another one serves", || {
            assert!(killed.elapsed() < TAKEOVER, "nobody takes over");
            holder(dir).is_some_and(|pid| pid != serving)
        });
        windows.remove(at).kill();
        for window in &mut windows {
            wait_live(window);
        }
        slowest = slowest.max(killed.elapsed());
        assert!(
            killed.elapsed() < TAKEOVER,
            "live again after {:?}",
            killed.elapsed()
        );
        let serving = holder(dir).unwrap();
        assert!(
            windows
                .iter_mut()
                .any(|window| window.process().id() == serving)
        );

        // What one of them writes now reaches the other by its stream.
        for (writer, reader) in [(0, 1), (1, 0)] {
            let name = format!("{round} after {writer}");
            let made = create(&mut windows[writer], &name).unwrap();
            acknowledged.insert(name);
            windows[reader].wait_notification("pieces/didChangeConversations", |change| {
                let upserted = change["upserted"].as_array().unwrap();
                upserted.iter().any(|item| item["id"] == made["id"])
            });
        }
        // Nothing lost, nothing doubled, and the same in every window.
        for window in &mut windows {
            let names = names(window);
            for (name, count) in &names {
                assert_eq!(*count, 1, "{name}");
                assert!(
                    acknowledged.contains(name) || unknown.contains(name),
                    "{name}"
                );
            }
            let lost: Vec<_> = acknowledged
                .iter()
                .filter(|name| !names.contains_key(*name))
                .collect();
            assert!(lost.is_empty(), "{lost:?}");
        }
        windows.push(window(dir));
    }
    eprintln!("slowest takeover: {slowest:?}");
    windows.into_iter().for_each(Client::kill);
    eventually("they have ended", || {
        let lock = fs::File::options()
            .write(true)
            .open(dir.join("lock"))
            .unwrap();
        lock.try_lock().is_ok()
    });
    check_integrity(dir);
}

#[test]
fn an_import_beside_a_window_reaches_it_and_survives_being_killed() {
    const MANY: usize = 60;
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let standin = StandIn::start();
    let expected: BTreeMap<_, _> = (0..MANY)
        .map(|n| (format!("Conversation {n}"), 1))
        .collect();
    for name in expected.keys() {
        let id = standin.create(name);
        let message = uuid::Uuid::new_v4().to_string();
        standin.with(|state| {
            state.conversations.get_mut(&id).unwrap()["messages"] = wrapper([message.as_str()]);
            let said = json!({
                "id": message, "role": "USER", "conversation": {"id": id},
                "created": at("2026-01-01T00:00:00Z"), "updated": at("2026-01-01T00:00:00Z"),
                "fragment": {"string": {"raw": name}},
            });
            state.messages.insert(message, said);
        });
    }
    let mut window = window(dir);
    let import = || {
        let url = standin.url();
        let spawn = Spawn::with_arguments(["import", "--from", url.as_str(), "--data-dir"]);
        spawn.arg(dir).start_unread().0
    };
    let list = "GET /conversation/{id}/messages";
    standin.fault(list, Fault::Delay(Duration::from_millis(20)));
    let mut first = import();
    standin.wait_until("the middle", |state| state.requests(list) >= MANY / 2);
    first.kill();
    first.wait();
    let ended = import().wait();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    let mut found = BTreeMap::new();
    eventually("the window has them all", || {
        found = names(&mut window);
        found.len() == MANY
    });
    assert_eq!(found, expected);
    window.finish();
    check_integrity(dir);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_dead_process_never_block_a_start() {
    // Something else listens where the dead one did.
    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = stranger.local_addr().unwrap().port();
    let info = |url: String| {
        json!({"url": url, "token": "t", "pid": 1, "version": "0", "store": "00000000-0000-4000-8000-000000000000"}).to_string()
    };
    for left in [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "\0\0\0\0".to_owned(),
        info("http://127.0.0.1:1".to_owned()),
        info("http://192.0.2.1:80".to_owned()),
        info("nonsense".to_owned()),
        info(format!("http://127.0.0.1:{port}")),
        "x".repeat(1 << 20),
    ] {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("lock"), "4242").unwrap();
        fs::write(dir.path().join("service.json"), &left).unwrap();
        fs::write(dir.path().join("service.json.tmp"), "half").unwrap();
        let started = Instant::now();
        let (process, local) = service(dir.path());
        assert!(started.elapsed() < TAKEOVER, "{left:.40}");
        assert_eq!(holder(dir.path()), Some(process.id()));
        assert_eq!(local.get("/conversations").await["iterable"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_users_do_not_reach_each_other() {
    let (mine, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let data = |dir: &TempDir| dir.path().join("data");
    let (_first, me) = service(&data(&mine));
    let (_second, them) = service(&data(&theirs));
    me.post("/conversations/create", json!({"name": "Mine"}))
        .await;
    assert_ne!(me.url, them.url);
    assert_eq!(them.get("/conversations").await["iterable"], json!([]));
    let token = |dir: &TempDir| {
        let info = fs::read(data(dir).join("service.json")).unwrap();
        let info: Value = serde_json::from_slice(&info).unwrap();
        info["token"].as_str().unwrap().to_owned()
    };
    assert_ne!(token(&mine), token(&theirs));
    // Knowing where it is is not enough, nor is a token for another one.
    for token in [None, Some(token(&theirs)), Some(String::new())] {
        let stranger = Local::new(&me.url, token);
        for (request, path) in [
            (Method::Get, "/conversations"),
            (Method::Get, "/pieces-lsp/export"),
            (Method::Get, "/.well-known/health"),
            (Method::Post("{}".to_owned()), "/conversations/create"),
            (
                Method::Post("{\"objects\":[]}".to_owned()),
                "/pieces-lsp/import",
            ),
        ] {
            assert_eq!(
                stranger.try_send(request, path).await.unwrap().0,
                401,
                "{path}"
            );
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data(&mine)), 0o700);
        for entry in fs::read_dir(data(&mine)).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        as_another_user(&data(&mine));
    }
}

#[test]
fn content_is_never_logged() {
    let dir = TempDir::new().unwrap();
    let arguments = ["service", "--log-level", "debug", "--data-dir"];
    let spawn = Spawn::with_arguments(arguments).arg(dir.path());
    let (mut process, stdout) = spawn.start_unread();
    BufReader::new(stdout)
        .read_line(&mut String::new())
        .unwrap();
    let local = Local::of(dir.path()).unwrap();
    let secret = "s3cr3t";
    let said = json!({"role": "USER", "fragment": {"string": {"raw": secret}}});
    let requests = [
        (
            "/conversations/create",
            json!({"name": secret, "messages": [said]}),
        ),
        ("/conversations/create", json!({"name": [secret]})),
        ("/conversations/create", json!([secret])),
        (
            "/conversations/search",
            json!({"engines": {"iterable": [{"query": secret}]}}),
        ),
        (
            "/messages/create",
            json!({"fragment": secret, "conversation": {"id": secret}}),
        ),
        (
            "/pieces-lsp/import",
            json!({"objects": [{secret: {"id": secret}}, secret]}),
        ),
        (
            "/anchors/create",
            json!({"type": "FILE", "fullpath": format!("/{secret}")}),
        ),
    ];
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for (path, body) in requests {
            let sent = local.try_send(Method::Post(body.to_string()), path).await;
            let (status, text) = sent.unwrap();
            assert!(status != 500, "{path}: {text}");
            assert!(status < 300 || !text.contains(secret), "{path}: {text}");
        }
        let broken = Method::Post(format!("{{\"name\": \"{secret}"));
        let (status, text) = local
            .try_send(broken, "/conversations/create")
            .await
            .unwrap();
        assert!(status == 400 && !text.contains(secret), "{text}");
    });
    process.kill();
    let log = process.wait().log;
    assert!(!log.contains(secret), "{log}");
}

/// Does something to a data directory, perhaps by moving it to the second path.
#[cfg(unix)]
type Displace = fn(&Path, &Path);

/// What can become of a data directory while it is served.
#[cfg(unix)]
const DISPLACED: [(&str, Displace); 6] = [
    ("moved", |dir, aside| fs::rename(dir, aside).unwrap()),
    ("deleted", |dir, _| fs::remove_dir_all(dir).unwrap()),
    ("replaced", |dir, aside| {
        fs::rename(dir, aside).unwrap();
        fs::create_dir(dir).unwrap();
    }),
    ("its lock removed", |dir, _| {
        fs::remove_file(dir.join("lock")).unwrap()
    }),
    ("its store removed", |dir, _| {
        fs::remove_file(dir.join("store.db")).unwrap()
    }),
    ("its log removed", |dir, _| {
        fs::remove_file(dir.join("store.db-wal")).unwrap()
    }),
];

/// No write is acknowledged, the reason is told, and the process ends by itself.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_to_a_data_directory_that_was_displaced() {
    for (what, displace) in DISPLACED {
        let outer = TempDir::new().unwrap();
        let (dir, aside) = (outer.path().join("data"), outer.path().join("aside"));
        let (mut process, local) = service(&dir);
        local
            .post("/conversations/create", json!({"name": "Kept"}))
            .await;
        displace(&dir, &aside);
        for n in 0..20 {
            let seed = Method::Post(json!({"name": format!("{n}")}).to_string());
            // It may be gone by then.
            if let Some((status, text)) = local.try_send(seed, "/conversations/create").await {
                assert_eq!(status, 503, "{what}: {text}");
                assert!(text.contains(dir.to_str().unwrap()), "{what}: {text}");
            }
        }
        let ended = process.wait();
        assert_eq!(ended.code, Some(1), "{what}: {}", ended.log);
        assert!(
            ended.log.contains("was moved, replaced or deleted"),
            "{}",
            ended.log
        );
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_notice_that_a_data_directory_was_displaced() {
    for (what, displace) in DISPLACED {
        let outer = TempDir::new().unwrap();
        let (dir, aside) = (outer.path().join("data"), outer.path().join("aside"));
        let (attached, local) = serve(&dir, true).await;
        displace(&dir, &aside);
        for path in ["/conversations", "/.well-known/health"] {
            let answer = local.try_send(Method::Get, path).await;
            assert!(
                answer.is_none_or(|(status, _)| status == 503),
                "{what} {path}"
            );
        }
        let reason = tokio::time::timeout(DEADLINE, attached.over()).await;
        assert!(reason.unwrap().contains(dir.to_str().unwrap()), "{what}");
        assert!(attached.is_over().await);
        attached.shutdown().await;
    }
}

/// A window that asks for nothing pings the stream that it holds, now and then.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_notices_that_a_data_directory_was_displaced() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
    let outer = TempDir::new().unwrap();
    let (dir, aside) = (outer.path().join("data"), outer.path().join("aside"));
    let (attached, _) = serve(&dir, false).await;
    let url = attached.url.replace("http", "ws") + "/conversations/stream/identifiers";
    let request = url.into_client_request().unwrap();
    let host = attached.url.trim_start_matches("http://");
    let tcp = tokio::net::TcpStream::connect(host).await.unwrap();
    let (mut stream, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.is_text(), "{first:?}");
    fs::rename(&dir, &aside).unwrap();
    stream.send(Message::Ping("?".into())).await.unwrap();
    tokio::time::timeout(DEADLINE, attached.over())
        .await
        .unwrap();
    attached.shutdown().await;
}

/// The one that lost its directory withdraws nothing that belongs to the one that is there now.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_directory_was_replaced_leaves_its_successor_alone() {
    let outer = TempDir::new().unwrap();
    let (dir, aside) = (outer.path().join("data"), outer.path().join("aside"));
    let (first, _) = serve(&dir, true).await;
    fs::rename(&dir, &aside).unwrap();
    let (second, local) = serve(&dir, true).await;
    assert_eq!(
        second.role,
        Role::Serving,
        "another directory, another store"
    );
    let announced = fs::read(dir.join("service.json")).unwrap();
    first.shutdown().await;
    assert_eq!(fs::read(dir.join("service.json")).unwrap(), announced);
    local
        .post("/conversations/create", json!({"name": "Kept"}))
        .await;
    let client = second.client().unwrap();
    assert_eq!(client.identifier_ids().await.unwrap().len(), 1);
    // What the first one had is whole, and can be served from where it is.
    let (moved, local) = serve(&aside, true).await;
    assert_eq!(local.get("/conversations").await["iterable"], json!([]));
    moved.shutdown().await;
    second.shutdown().await;
}

/// The directory itself stays locked.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_lock_file_admits_no_second_process() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let (first, _) = serve(dir, true).await;
    fs::remove_file(dir.join("lock")).unwrap();
    let announced = fs::read(dir.join("service.json")).unwrap();
    // It asks the first one, which notices then, but still has the store open.
    let refused = attach(&options(dir, true)).await.unwrap_err();
    assert!(matches!(refused, ServiceError::Holder { .. }), "{refused}");
    assert_eq!(fs::read(dir.join("service.json")).unwrap(), announced);
    assert!(first.is_over().await);
    first.shutdown().await;
    let (second, _) = serve(dir, true).await;
    assert_eq!(second.role, Role::Serving);
    second.shutdown().await;
    check_integrity(dir);
}

/// It gives the store back and takes the lock again, or waits for the directory to come back.
#[cfg(unix)]
#[test]
fn a_window_recovers_from_a_displaced_data_directory() {
    let outer = TempDir::new().unwrap();
    let (dir, aside) = (outer.path().join("data"), outer.path().join("aside"));
    let mut windows = [window(&dir), window(&dir)];
    let create = |client: &mut Client, name: &str| {
        let seed = json!({"seededConversation": {"type": "COPILOT", "name": name}});
        client.command("pieces.conversations.create", seed)
    };
    create(&mut windows[0], "kept").unwrap();
    fs::remove_file(dir.join("lock")).unwrap();
    let mut kept = vec!["kept"];
    match create(&mut windows[1], "once more") {
        Err(refused) => assert_ne!(refused.data["outcomeUnknown"], true, "{refused:?}"),
        // Something else had noticed first, and the store was open again.
        Ok(_) => kept.push("once more"),
    }
    for window in &mut windows {
        wait_live(window);
    }
    fs::rename(&dir, &aside).unwrap();
    for window in &mut windows {
        create(window, "refused").unwrap_err();
        let status = wait_status(window, |status| {
            let error = status["error"].as_str().unwrap_or_default();
            status["state"] == "offline" && error.contains("moved or deleted")
        });
        assert!(
            !dir.exists(),
            "no empty store is begun in its place: {status}"
        );
    }
    fs::rename(&aside, &dir).unwrap();
    for window in &mut windows {
        wait_live(window);
        assert_eq!(names(window).into_keys().collect::<Vec<_>>(), kept);
    }
    windows.into_iter().for_each(|window| drop(window.finish()));
    check_integrity(&dir);
}

/// Another program keeps the database busy while the process that serves is told to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_normal_shutdown_finishes_requests_in_flight() {
    const WRITES: usize = 8;
    let dir = TempDir::new().unwrap();
    let (serving, _) = serve(dir.path(), true).await;
    let (window, _) = serve(dir.path(), true).await;
    let client = window.client().unwrap();
    let busy = rusqlite::Connection::open(dir.path().join("store.db")).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writes: Vec<_> = (0..WRITES)
        .map(|n| {
            let (client, seed) = (client.clone(), json!({"name": format!("{n}")}));
            tokio::spawn(async move { client.create(&seed, None).await })
        })
        .collect();
    // Each has a connection of its own, and none of them is answered before the database is free.
    let arrived = || {
        let sockets = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        let path = dir.path().join("socket");
        sockets.matches(path.to_str().unwrap()).count() > WRITES
    };
    let deadline = Instant::now()
        + if cfg!(target_os = "linux") {
            DEADLINE
        } else {
            LOOK
        };
    while !arrived() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ending = tokio::spawn(serving.shutdown());
    tokio::time::sleep(LOOK).await;
    assert!(!ending.is_finished());
    busy.execute_batch("ROLLBACK").unwrap();
    ending.await.unwrap();
    for write in writes {
        write.await.unwrap().unwrap();
    }
    let (again, local) = serve(dir.path(), true).await;
    let list = local.get("/conversations").await;
    assert_eq!(list["iterable"].as_array().unwrap().len(), WRITES);
    again.shutdown().await;
}

/// Another user of this machine reads nothing, where the test may become one.
#[cfg(unix)]
fn as_another_user(data: &Path) {
    use std::os::unix::process::CommandExt as _;
    let read = |uid: u32, path: &Path| {
        std::process::Command::new("cat")
            .arg(path)
            .uid(uid)
            .gid(uid)
            .output()
    };
    for name in ["service.json", "store.db", "lock"] {
        // Only root may start a process as somebody else.
        let Ok(output) = read(65_534, &data.join(name)) else {
            return;
        };
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{name} can be read"
        );
    }
}
