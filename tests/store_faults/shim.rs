//! Runs sessions of the real binary with a fault in them.

use crate::support::local::{Local, Method};
use crate::support::process::{Process, Spawn};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Kill,
    /// This call alone fails.
    Once(i32),
    /// This call and all that follow fail.
    From(i32),
}

/// Which calls are counted.
#[derive(Debug, Clone, Copy)]
pub enum Calls {
    Change,
    Read,
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store_faults/shim.c");
        let made = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&path)
            .args([source, "-ldl"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        (dir, path)
    });
    path
}

/// A write and what came of it.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// Nothing was changed, and the sentence why.
    Refused(String),
    Unknown,
}

/// What a session did and what its client knows.
#[derive(Debug)]
pub struct Session {
    /// The URL was announced.
    pub served: bool,
    /// There was such a call.
    pub fired: bool,
    /// It came to the end of what it had to do without being killed.
    pub ended: bool,
    /// Its name, its creation, and whether it was deleted.
    pub writes: Vec<(String, Outcome, Option<Outcome>)>,
    pub log: String,
}

/// Starts the service, makes some conversations, deletes every second of them, and asks it to end.
pub async fn session(dir: &Path, tag: &str, calls: Calls, fault: Fault, at: usize) -> Session {
    let (mode, errno) = match fault {
        Fault::Kill => ("kill", 0),
        Fault::Once(errno) => ("once", errno),
        Fault::From(errno) => ("from", errno),
    };
    let outside = tempfile::tempdir().unwrap();
    let fired = outside.path().join("fired");
    let spawn = Spawn::with_arguments(["service", "--log-level", "error", "--data-dir"])
        .arg(dir)
        .env("LD_PRELOAD", library())
        .env("FAULT_DIR", dir)
        .env("FAULT_MODE", mode)
        .env("FAULT_ERRNO", errno.to_string())
        .env("FAULT_FIRED", &fired)
        .env("FAULT_AT", at.to_string())
        .env(
            "FAULT_CALLS",
            match calls {
                Calls::Change => "change",
                Calls::Read => "read",
            },
        );
    let (mut process, stdout) = spawn.start_unread();
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    let mut session = Session {
        served: !url.is_empty(),
        fired: false,
        ended: false,
        writes: Vec::new(),
        log: String::new(),
    };
    if session.served
        && let Some(local) = Local::of(dir)
    {
        write(&local, tag, &mut session).await;
    }
    terminate(&process);
    let ended = process.wait();
    session.ended = ended.code == Some(0);
    session.fired = fired.exists();
    session.log = ended.log;
    session
}

async fn write(local: &Local, tag: &str, session: &mut Session) {
    for n in 0..3 {
        let name = format!("{tag} {n}");
        let text = format!("A text of {name}. ").repeat(400);
        let seed = json!({"name": name, "messages": [{"role": "USER", "fragment": {"string": {"raw": text}}}]});
        let (made, body) = post(local, "/conversations/create", &seed.to_string()).await;
        let mut deleted = None;
        if n % 2 == 1
            && let Some(id) = body["id"].as_str()
        {
            deleted = Some(
                post(local, &format!("/conversations/{id}/delete"), "")
                    .await
                    .0,
            );
        }
        session.writes.push((name, made, deleted));
    }
}

async fn post(local: &Local, path: &str, body: &str) -> (Outcome, Value) {
    match local.try_send(Method::Post(body.to_owned()), path).await {
        Some((status, text)) if status < 300 => (
            Outcome::Done,
            serde_json::from_str(&text).unwrap_or_default(),
        ),
        Some((504, _)) | None => (Outcome::Unknown, Value::Null),
        Some((_, text)) => (Outcome::Refused(text), Value::Null),
    }
}

fn terminate(process: &Process) {
    let id = i32::try_from(process.id()).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
}
