//! Other users of the machine who open connections to the local service and do not say who they are.

use crate::support::DEADLINE;
use crate::support::client::{Client, eventually};
use crate::support::local::{Local, Method};
use crate::support::process::{Process, Spawn};
use crate::support::world::{capabilities, local, wait_live};
use crate::trap::say;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held at once by the crowd; more than the service lets in, fewer than any system allows a process.
const CROWD: usize = 200;
/// What a connection has to show the token.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// Let in without having shown the token.
const STRANGERS: usize = 128;

fn service(dir: &Path) -> (Process, Local) {
    let spawn = Spawn::with_arguments(["service", "--data-dir"]).arg(dir);
    let (process, stdout) = spawn.start_unread();
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    (process, Local::of(dir).expect("service.json is there"))
}

fn port(local: &Local) -> u16 {
    local.url.rsplit(':').next().unwrap().parse().unwrap()
}

/// Connections that have sent a part of a header, or nothing.
fn crowd(port: u16) -> Vec<TcpStream> {
    let starts = [
        "",
        "GET /conversations HTTP/1.1\r\n",
        "POST /x HTTP/1.1\r\nx: ",
    ];
    let connect = |number: usize| {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        say(&mut connection, starts[number % starts.len()]);
        connection
    };
    (0..CROWD).map(connect).collect()
}

/// How many of them the other side has not ended.
fn open(crowd: &mut [TcpStream]) -> usize {
    let is_open = |connection: &mut &mut TcpStream| {
        connection.set_nonblocking(true).unwrap();
        let read = connection.read(&mut [0; 64]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    };
    crowd
        .iter_mut()
        .filter_map(|mut one| is_open(&mut one).then_some(()))
        .count()
}

#[cfg(target_os = "linux")]
fn descriptors(process: &Process) -> usize {
    let listed = std::fs::read_dir(format!("/proc/{}/fd", process.id()));
    listed.unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthenticated_connections_shut_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, local) = service(dir.path());
    local.get("/conversations").await;
    #[cfg(target_os = "linux")]
    let before = descriptors(&process);
    let started = Instant::now();
    let mut crowd = crowd(port(&local));
    eventually("no more of them than there is room for", || {
        open(&mut crowd) <= STRANGERS
    });
    let time = started.elapsed();
    assert!(time < INTRODUCTION, "their time was up: {time:?}");
    // The oldest are those that went.
    assert_eq!(open(&mut crowd[..CROWD - STRANGERS]), 0);
    #[cfg(target_os = "linux")]
    assert!(descriptors(&process) <= before + STRANGERS);
    // Both the connection that is kept and a new one are served.
    local.get("/conversations").await;
    let new = Local::of(dir.path()).unwrap();
    let (status, _) = new
        .try_send(Method::Get, "/.well-known/version")
        .await
        .unwrap();
    assert_eq!(status, 200);
    process.kill();
}

#[test]
fn a_session_continues_among_many_connections() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, service) = service(dir.path());
    let (mut client, _) = Client::connect(local(dir.path()), capabilities(), Value::Null);
    let since = wait_live(&mut client)["since"].clone();
    let mut strangers = Vec::new();
    for round in 0..3 {
        strangers = crowd(port(&service));
        let seed = json!({"type": "COPILOT", "name": format!("number {round}")});
        let argument = json!({"seededConversation": seed});
        client
            .command("pieces.conversations.create", argument)
            .unwrap();
        let listed = client
            .command("pieces.conversations.list", json!({}))
            .unwrap();
        assert_eq!(listed["total"], round + 1);
    }
    let status = client.command("pieces.status", Value::Null).unwrap();
    assert_eq!(
        status["since"], since,
        "the stream was never lost: {status}"
    );
    client.finish();
    drop(strangers);
    process.kill();
}

/// What a window asks for at once is one user's work, not a crowd.
#[test]
fn hundreds_of_commands_at_once_are_all_carried_out() {
    const COMMANDS: usize = 500;
    let dir = tempfile::tempdir().unwrap();
    let options = json!({"confirmDelete": false});
    let (mut client, _) = Client::connect(local(dir.path()), capabilities(), options);
    wait_live(&mut client);
    let send = |client: &mut Client, command: &str, argument: Value| {
        let params = json!({"command": command, "arguments": [argument]});
        client.send_request("workspace/executeCommand", params)
    };
    let requests: Vec<_> = (0..COMMANDS)
        .map(|n| {
            let seed = json!({"type": "COPILOT", "name": format!("number {n}")});
            let argument = json!({"seededConversation": seed});
            send(&mut client, "pieces.conversations.create", argument)
        })
        .collect();
    let mut ids = Vec::new();
    for request in requests {
        let created = client.response(request).unwrap();
        ids.push(created["id"].as_str().unwrap().to_owned());
    }
    let total = |client: &mut Client| {
        let listed = client.command("pieces.conversations.list", json!({}));
        listed.unwrap()["total"].as_u64().unwrap() as usize
    };
    assert_eq!(total(&mut client), COMMANDS);
    let requests: Vec<_> = ids
        .iter()
        .map(|id| {
            let argument = json!({"conversation": id});
            send(&mut client, "pieces.conversations.delete", argument)
        })
        .collect();
    for request in requests {
        client.response(request).unwrap();
    }
    assert_eq!(total(&mut client), 0);
    client.finish();
}

/// Other programs with the token may open as many connections as they like before they ask.
#[test]
fn a_crowd_with_the_token_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, local) = service(dir.path());
    let port = port(&local);
    let info = std::fs::read(dir.path().join("service.json")).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    let token = info["token"].as_str().unwrap();
    let request = format!(
        "GET /.well-known/version HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    let mut connections: Vec<_> = (0..2 * CROWD)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    for connection in &mut connections {
        say(connection, &request);
    }
    for connection in &mut connections {
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    process.kill();
}

/// Refused, told why, and sent away: a stranger does not keep a connection by asking.
#[test]
fn refused_clients_are_disconnected() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, local) = service(dir.path());
    let port = port(&local);
    let us = format!("host: 127.0.0.1:{port}\r\n");
    for (method, headers, code) in [
        ("GET", us.clone(), "401"),
        ("GET", format!("host: evil.example:{port}\r\n"), "403"),
        ("POST", format!("{us}content-length: 99999\r\n"), "401"),
        (
            "OPTIONS",
            format!("{us}origin: http://localhost:1\r\n"),
            "204",
        ),
    ] {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!("{method} /conversations HTTP/1.1\r\n{headers}\r\n");
        say(&mut connection, request);
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {code}")), "{answer}");
    }
    process.kill();
}
