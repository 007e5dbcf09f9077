//! A session in which every text is a canary: none may get where others look.

use crate::support::client::{Client, eventually};
use crate::support::process::Spawn;
use crate::support::standin::{Fault, StandIn};
use crate::support::world::{capabilities, local, pieces_os, wait_live, wait_status};
use crate::trap::{Trap, say};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Part of every secret of these sessions.
const CANARY: &str = "kAnArI";

fn said<'a>(text: &'a str, secrets: &[&str]) -> Vec<&'a str> {
    let lower: Vec<_> = secrets.iter().map(|secret| secret.to_lowercase()).collect();
    let is_told = |line: &&str| {
        let line = line.to_lowercase();
        lower.iter().any(|secret| line.contains(secret))
    };
    text.lines().filter(is_told).collect()
}

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// The files below `dir` that hold a secret, all of them private.
fn private_files(dir: &Path, secrets: &[&str]) -> Vec<String> {
    let mut holding = Vec::new();
    for path in files(dir) {
        let Ok(bytes) = fs::read(&path) else { continue };
        if said(&String::from_utf8_lossy(&bytes), secrets).is_empty() {
            continue;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            // Copies that are only read are read-only.
            assert!(matches!(mode(&path), 0o600 | 0o400), "{}", path.display());
            let parent = path.parent().unwrap();
            assert_eq!(mode(parent), 0o700, "{}", parent.display());
        }
        holding.push(path.strip_prefix(dir).unwrap().display().to_string());
    }
    holding
}

/// What others see of a process: its command line, and the children that it has.
#[cfg(target_os = "linux")]
fn assert_unseen(process: u32, secrets: &[&str]) {
    let of = |what: &str| fs::read(format!("/proc/{process}/{what}")).unwrap();
    for what in ["cmdline", "environ", "comm"] {
        let text = String::from_utf8_lossy(&of(what)).replace('\0', "\n");
        assert!(said(&text, secrets).is_empty(), "{what}: {text}");
    }
    let children = String::from_utf8(of(&format!("task/{process}/children"))).unwrap();
    assert_eq!(children, "");
}

#[cfg(not(target_os = "linux"))]
fn assert_unseen(_: u32, _: &[&str]) {}

/// Everything an editor can do, with a canary in each argument. What fails is part of it.
fn session(client: &mut Client) {
    let canary = |what: &str| format!("{CANARY}-{what}");
    client.answer("window/showDocument", |_| Some(json!({"success": false})));
    for method in [
        "window/showMessage",
        "window/showMessageRequest",
        "textDocument/publishDiagnostics",
        "window/logMessage",
        "workspace/inlayHint/refresh",
        "workspace/codeLens/refresh",
        "workspace/applyEdit",
    ] {
        client.allow(method);
    }
    let said = json!({"role": "USER", "fragment": {"string": {"raw": canary("message")}}});
    let seed = json!({"type": "COPILOT", "name": canary("name"), "messages": [said]});
    let argument = json!({"seededConversation": seed});
    let created = client
        .command("pieces.conversations.create", argument)
        .unwrap();
    let id = created["id"].as_str().unwrap().to_owned();

    let uri = format!("file:///{CANARY}/{CANARY}.md");
    let text = format!(
        "{CANARY} pieces-conversation:/{id}.md {CANARY}\n[{CANARY}](pieces-conversation:/{CANARY}.md)\n"
    );
    let document = json!({"uri": uri, "languageId": "markdown", "version": 1, "text": text});
    client.notify("textDocument/didOpen", json!({"textDocument": document}));
    let place = json!({"line": 0, "character": 30});
    let at = json!({"textDocument": {"uri": uri}, "position": place, "newName": canary("new"),
        "range": {"start": {"line": 0, "character": 0}, "end": place}, "context": {
            "diagnostics": [], "includeDeclaration": true}, "query": canary("query")});
    for method in [
        "hover",
        "definition",
        "references",
        "completion",
        "documentSymbol",
        "documentLink",
        "codeAction",
        "codeLens",
        "inlayHint",
        "prepareRename",
        "rename",
        CANARY,
    ] {
        let _ = client.request(&format!("textDocument/{method}"), at.clone());
    }
    for wrong in [json!({"textDocument": CANARY}), json!([CANARY])] {
        let _ = client.request("textDocument/hover", wrong.clone());
        client.notify("textDocument/didChange", wrong);
    }
    let _ = client.request("workspace/symbol", json!({"query": CANARY}));
    let own = json!({"uri": format!("pieces-conversation:/{id}.md")});
    let content = client.request("workspace/textDocumentContent", own);
    assert!(content.unwrap().to_string().contains(CANARY), "it is told");

    let selection = json!({"uri": uri, "text": CANARY, "name": CANARY, "range": at["range"]});
    for (name, argument) in [
        ("list", json!({"query": CANARY})),
        ("search", json!({"query": CANARY})),
        ("open", json!({"conversation": id})),
        ("startFromDocument", selection),
        (
            "rename",
            json!({"conversation": id, "name": canary("renamed")}),
        ),
        (
            "rename",
            json!({"conversation": canary("id"), "name": [CANARY]}),
        ),
        ("createFromAsset", json!({"asset": canary("asset")})),
        ("create", json!({"seededConversation": CANARY})),
        ("create", json!({"seededConversation": {"type": CANARY}})),
        ("snapshot", Value::Null),
        ("identifiers", Value::Null),
        ("refresh", Value::Null),
        ("delete", json!({"conversation": id, "confirm": false})),
        ("trash", Value::Null),
        ("restore", json!({"conversation": id})),
        (CANARY, json!({CANARY: CANARY})),
    ] {
        let _ = client.command(&format!("pieces.conversations.{name}"), argument);
    }
    for from in [format!("/{CANARY}"), format!("http://{CANARY}@127.0.0.1:1")] {
        let _ = client.command("pieces.import", json!({"from": from}));
    }
    let again = json!({"seededConversation": {"type": "COPILOT", "name": canary("left")}});
    let _ = client.command("pieces.conversations.create", again);
}

/// What a session left behind: the log, and what the editor was told to log.
fn told(client: &mut Client) -> String {
    let logged = client.drain("window/logMessage");
    logged.iter().map(|one| format!("{one}\n")).collect()
}

#[test]
fn no_canary_gets_out_of_a_session() {
    for level in [None, Some("debug")] {
        for in_file in [false, true] {
            for embedded in [false, true] {
                check_session(level, in_file, embedded);
            }
        }
    }
}

/// What `trace` tells of conversations is for their user's eyes; the token is for nobody's.
#[test]
fn the_token_is_not_even_traced() {
    let dir = tempfile::tempdir().unwrap();
    let spawn = local(dir.path()).arg("--log-level").arg("trace");
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    wait_live(&mut client);
    let info = fs::read_to_string(dir.path().join("service.json")).unwrap();
    let info: Value = serde_json::from_str(&info).unwrap();
    session(&mut client);
    let out = told(&mut client) + &client.finish();
    assert!(out.contains("TRACE"), "it was traced");
    let token = info["token"].as_str().unwrap();
    assert_eq!(said(&out, &[token, "bearer"]), Vec::<&str>::new());
}

fn check_session(level: Option<&str>, in_file: bool, embedded: bool) {
    let context = format!("{level:?}, log file: {in_file}, local: {embedded}");
    let dir = tempfile::tempdir().unwrap();
    let (store, log) = (dir.path().join("store"), dir.path().join("log"));
    let standin = StandIn::start();
    standin.create(CANARY);
    let mut spawn = match embedded {
        true => local(&store),
        false => pieces_os(&standin.url()).arg("--data-dir").arg(&store),
    };
    if let Some(level) = level {
        spawn = spawn.arg("--log-level").arg(level);
    }
    if in_file {
        spawn = spawn.arg("--log-file").arg(&log);
    }
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    wait_live(&mut client);
    let info = fs::read_to_string(store.join("service.json")).unwrap_or_default();
    let info: Value = serde_json::from_str(&info).unwrap_or_default();
    let token = info["token"].as_str().unwrap_or(CANARY).to_owned();
    assert_eq!(embedded, token != CANARY, "{context}");
    let secrets = [CANARY, token.as_str()];

    session(&mut client);
    if !embedded {
        standin.fault("*", Fault::Status(500, "kAnArI in a refusal"));
        session_of_failures(&mut client);
        standin.push_text(format!("{{\"{CANARY}\": "));
    }
    let mut out = told(&mut client);
    assert_unseen(client.process().id(), &secrets);
    // While it runs: afterwards service.json is gone.
    let holding = private_files(dir.path(), &secrets);
    let expected = match embedded {
        true => "store.db",
        false => "opened",
    };
    assert!(
        holding.iter().any(|file| file.contains(expected)),
        "{context}: the canaries are where they belong: {holding:?}"
    );
    out += &client.finish();
    match in_file {
        true => out += &fs::read_to_string(&log).unwrap(),
        false => assert!(!log.exists()),
    }
    assert!(
        level.is_none() || !out.is_empty(),
        "{context}: it was logged"
    );
    assert_eq!(said(&out, &secrets), Vec::<&str>::new(), "{context}");
}

/// What is asked of a service that refuses everything.
fn session_of_failures(client: &mut Client) {
    for (name, argument) in [
        (
            "create",
            json!({"seededConversation": {"type": "COPILOT", "name": CANARY}}),
        ),
        ("snapshot", Value::Null),
        ("refresh", Value::Null),
    ] {
        let failed = client.command(&format!("pieces.conversations.{name}"), argument);
        assert!(failed.is_err(), "{name}: {failed:?}");
    }
}

/// Status lines, headers, bodies and health of a service that is nothing but canaries, and a URL with a
/// password in the settings.
#[test]
fn no_canary_of_a_service_gets_into_the_log() {
    let trap = Trap::start(|_, connection| {
        say(
            connection,
            format!(
                "HTTP/1.1 500 {CANARY}\r\nserver: {CANARY}\r\nset-cookie: {CANARY}\r\nlocation: http://{CANARY}/\r\nx-{CANARY}: {CANARY}\r\ncontent-length: 6\r\nconnection: close\r\n\r\n{CANARY}"
            ),
        );
    });
    let secret = format!("http://user:{CANARY}@127.0.0.1:{}", trap.port);
    for (url, asked) in [(trap.url(), true), (secret, false)] {
        let spawn = pieces_os("").env("PIECES_LSP_LOG_LEVEL", "debug");
        let options = json!({"url": url});
        let spawn = match asked {
            true => pieces_os(&url).env("PIECES_LSP_LOG_LEVEL", "debug"),
            false => spawn,
        };
        let (mut client, _) = Client::connect(spawn, capabilities(), options);
        client.refuse("window/showMessageRequest");
        client.allow("window/showMessage");
        wait_status(&mut client, |status| status["state"] == "offline");
        session_of_failures(&mut client);
        if asked {
            eventually("it was asked", || trap.connections() > 2);
        }
        let out = told(&mut client) + &client.finish();
        assert_eq!(said(&out, &[CANARY]), Vec::<&str>::new());
    }
}

/// Messages that are none.
#[test]
fn no_canary_of_a_broken_message_gets_into_the_log() {
    let mut process = Spawn::serve().arg("--log-level").arg("debug").start();
    for body in [
        format!("{{\"{CANARY}\": {CANARY}"),
        json!({"jsonrpc": "2.0", "id": CANARY, "method": {CANARY: 1}}).to_string(),
        json!({"jsonrpc": "2.0", "method": CANARY, "params": CANARY}).to_string(),
    ] {
        process.write_body(body);
        assert!(process.next()["error"].is_object());
    }
    process.write(format!("{CANARY}: {CANARY}\r\n\r\n").as_bytes());
    let ended = process.wait();
    assert!(!ended.log.is_empty());
    assert_eq!(said(&ended.log, &[CANARY]), Vec::<&str>::new());
}

/// The commands: what they leave, and what they say.
#[test]
fn no_canary_gets_out_of_a_command() {
    let standin = StandIn::start();
    standin.create(CANARY);
    let dir = tempfile::tempdir().unwrap();
    let (store, backup) = (dir.path().join("store"), dir.path().join("backup"));
    let url = standin.url();
    let paths = backup.display().to_string();
    for arguments in [
        &["import", "--from", &url][..],
        &["export", &paths],
        &["import", "--from", &paths],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let spawn = Spawn::with_arguments(arguments)
            .env("PIECES_LSP_BACKEND", "local")
            .env("PIECES_LSP_LOG_LEVEL", "debug")
            .env("PIECES_LSP_DATA_DIR", &store);
        let finished = spawn.run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let out = finished.stdout + &finished.stderr;
        assert_eq!(said(&out, &[CANARY]), Vec::<&str>::new(), "{arguments:?}");
    }
    let holding = private_files(dir.path(), &[CANARY]);
    for place in ["store/store.db", "backup/conversations.jsonl"] {
        assert!(holding.iter().any(|file| file == place), "{holding:?}");
    }
}

/// A panic with a canary in its message, in a process of its own, and one that is killed.
#[test]
fn no_canary_gets_out_of_a_crash() {
    const ROLE: &str = "PIECES_LSP_TEST_PANICS";
    if std::env::var_os(ROLE).is_some() {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .init();
        pieces_lsp::lsp::log_panics();
        panic!("{CANARY}");
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "canaries::no_canary_gets_out_of_a_crash",
            "--nocapture",
        ])
        .env(ROLE, "1")
        .output()
        .unwrap();
    assert!(!child.status.success());
    let out = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(out.contains("please report this line"), "{out}");
    assert_eq!(said(&out, &[CANARY]), Vec::<&str>::new());

    let dir = tempfile::tempdir().unwrap();
    let (mut client, _) = Client::connect(local(dir.path()), capabilities(), Value::Null);
    wait_live(&mut client);
    session(&mut client);
    client.process().kill();
    let log = client.process().wait().log;
    client.kill();
    assert_eq!(said(&log, &[CANARY]), Vec::<&str>::new());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(dir.path(), private).unwrap();
    }
    assert!(!private_files(dir.path(), &[CANARY]).is_empty());
}
