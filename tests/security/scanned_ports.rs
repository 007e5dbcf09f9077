//! Other programs on the ports where Pieces OS is looked for.

use crate::support::client::Client;
use crate::support::process::Spawn;
use crate::support::standin::StandIn;
use crate::support::world::{capabilities, wait_live, wait_status};
use crate::trap::{Trap, flood, ok, say, wait_for_end};
use serde_json::{Value, json};
use std::path::Path;

const NAME: &str = "a name for the true service only";

/// Points one of the port files to a port.
fn point(home: &Path, root: &str, port: u16) {
    let file = home
        .join(root)
        .join("com.pieces.os/production/Config/.port.txt");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, port.to_string()).unwrap();
}

/// A server that finds both by their port files, and works.
#[cfg(target_os = "linux")]
fn passed_over(stranger: Trap, what: &str) {
    let standin = StandIn::start();
    let spawn = Spawn::serve();
    point(spawn.home(), "Documents", stranger.port);
    point(spawn.home(), ".local/share", standin.port());
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    let status = wait_live(&mut client);
    assert_eq!(status["url"], standin.url(), "{what}");
    assert_eq!(status["backend"], "pieces-os", "{what}");
    let seed = json!({"seededConversation": {"type": "COPILOT", "name": NAME}});
    client.command("pieces.conversations.create", seed).unwrap();
    client.finish();
    only_asked_for_health(&stranger, what);
}

fn only_asked_for_health(stranger: &Trap, what: &str) {
    for head in stranger.requests() {
        assert!(
            head.starts_with("GET /.well-known/health HTTP/1.1\r\n"),
            "{what}: {head}"
        );
        let lower = head.to_lowercase();
        for leak in ["authorization", "cookie", "application", "origin", NAME] {
            assert!(!lower.contains(leak), "{what}: {head}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn other_programs_learn_nothing_and_are_skipped() {
    let elsewhere = Trap::saying(ok("ok:elsewhere"));
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nlocation: {}/.well-known/health\r\ncontent-length: 4\r\n\r\nok:1",
        elsewhere.url()
    );
    let token = "HTTP/1.1 401 Who\r\nwww-authenticate: Bearer\r\ncontent-length: 4\r\n\r\nok:1";
    for (what, answer) in [
        ("garbage", "\0\u{1}\u{2}garbage\n\n".to_owned()),
        ("another protocol", "SSH-2.0-OpenSSH_9.9\r\n".to_owned()),
        ("a web page", ok("<!doctype html><title>ok:1</title>")),
        ("a redirect", moved),
        ("asks for a token", token.to_owned()),
        ("nothing", String::new()),
    ] {
        passed_over(Trap::saying(answer), what);
    }
    let silent = |_: &str, connection: &mut std::net::TcpStream| {
        wait_for_end(connection);
    };
    passed_over(Trap::start(silent), "accepts and never answers");
    let endless = |_: &str, connection: &mut std::net::TcpStream| {
        let start = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nok:";
        let sent = flood(connection, start, &[b'x'; 65_536], 1 << 30);
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    };
    passed_over(Trap::start(endless), "never ends");
    let dripping = |_: &str, connection: &mut std::net::TcpStream| {
        say(connection, "HTTP/1.1 200 OK\r\n");
        while std::io::Write::write_all(connection, b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    passed_over(Trap::start(dripping), "drips");
    assert_eq!(elsewhere.connections(), 0);
}

/// Linux tells whose process it is, and lets root give a socket away: nothing but the health route is asked.
#[cfg(target_os = "linux")]
#[test]
fn a_process_of_another_user_is_not_taken_for_pieces_os() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let given_away = std::os::unix::fs::fchown(&listener, Some(65_534), None).is_ok();
    let impostor = Trap::on(listener, |_, connection| say(connection, ok("ok:impostor")));
    let spawn = Spawn::serve();
    point(spawn.home(), "Documents", impostor.port);
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    if !given_away {
        // Only root can: then it is one of this user, and is used.
        wait_status(&mut client, |status| status["backend"] == "pieces-os");
        return;
    }
    let status = wait_live(&mut client);
    assert_eq!(status["backend"], "local");
    let seed = json!({"seededConversation": {"type": "COPILOT", "name": NAME}});
    client.command("pieces.conversations.create", seed).unwrap();
    client.finish();
    only_asked_for_health(&impostor, "a process of another user");
}

/// Where two claim to be Pieces OS, neither gets anything: whose conversations these are is not guessed.
#[cfg(target_os = "linux")]
#[test]
fn if_two_processes_claim_to_be_pieces_os_neither_is_used() {
    let impostor = Trap::saying(ok("ok:impostor"));
    let standin = StandIn::start();
    let spawn = Spawn::serve().arg("--backend").arg("pieces-os");
    point(spawn.home(), "Documents", impostor.port);
    point(spawn.home(), ".local/share", standin.port());
    let (mut client, _) = Client::connect(spawn, capabilities(), Value::Null);
    let status = wait_status(&mut client, |status| status["state"] == "offline");
    let error = status["error"].as_str().unwrap();
    assert!(
        error.contains(&impostor.url()) && error.contains("pieces.url"),
        "{error}"
    );
    client
        .command("pieces.conversations.create", Value::Null)
        .unwrap_err();
    client.finish();
    only_asked_for_health(&impostor, "an impostor");
    let asked = standin.log();
    assert!(
        asked
            .iter()
            .all(|request| request.target == "/.well-known/health")
    );
}
