//! How the server starts, survives and ends, proved on the real process.
//!
//! What needs handlers that panic or wait is proved in `src/lsp/rpc/serve/tests.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::client::Client;
use support::process::{Ended, Process, Spawn};
use support::standin::{Fault, StandIn};

fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn notification(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method})
}

/// A server after the handshake.
fn ready(spawn: Spawn) -> Process {
    initialized(spawn, Value::Null)
}

fn initialized(spawn: Spawn, process_id: Value) -> Process {
    let mut server = spawn.start();
    let params = json!({"processId": process_id, "capabilities": {}});
    server.send(&request(0, "initialize", params));
    assert!(server.next()["result"]["capabilities"].is_object());
    server.send(&notification("initialized"));
    server
}

/// The next answer, past whatever the server tells on its own.
fn answer(server: &mut Process) -> Value {
    loop {
        let message = server.next();
        if message.get("method").is_none() {
            return message;
        }
    }
}

fn assert_alive(server: &mut Process) {
    server.send(&request("alive", "no/such", Value::Null));
    let answer = answer(server);
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!("alive"), &json!(-32601))
    );
}

/// No end of the process leaves a panic behind.
fn assert_ended(mut server: Process, code: i32) -> Ended {
    let ended = server.wait();
    assert_eq!(ended.code, Some(code), "{}", ended.log);
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
    ended
}

/// A process that ends when its stdin is closed.
#[cfg(unix)]
fn bystander() -> std::process::Child {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn exit_ends_the_process_with_stdin_open() {
    for (shutdown, code) in [(true, 0), (false, 1)] {
        let mut server = ready(Spawn::serve());
        if shutdown {
            server.send(&request(1, "shutdown", Value::Null));
            assert_eq!(
                answer(&mut server),
                json!({"jsonrpc": "2.0", "id": 1, "result": null})
            );
        }
        server.send(&notification("exit"));
        assert_ended(server, code);
    }
}

#[test]
fn exit_before_initialize_ends_the_process() {
    let mut server = Spawn::serve().start();
    server.send(&notification("exit"));
    assert_ended(server, 1);
}

#[test]
fn end_of_input_ends_the_process() {
    for (shutdown, code) in [(true, 0), (false, 1)] {
        let mut server = ready(Spawn::serve());
        if shutdown {
            server.send(&request(1, "shutdown", Value::Null));
            answer(&mut server);
        }
        server.close_stdin();
        assert_ended(server, code);
    }
}

#[test]
fn end_of_input_inside_a_message_ends_the_process() {
    for part in [
        "Content-Le",
        "Content-Length: 5\r\n",
        "Content-Length: 5\r\n\r\n{}",
    ] {
        let mut server = ready(Spawn::serve());
        server.write(part.as_bytes());
        server.close_stdin();
        assert_ended(server, 1);
    }
}

#[test]
fn answers_are_written_before_the_process_ends() {
    let mut server = Spawn::serve().start();
    let params = json!({"processId": null, "capabilities": {}});
    server.send(&request(0, "initialize", params));
    server.send(&request(1, "shutdown", Value::Null));
    server.close_stdin();
    let ended = assert_ended(server, 0);
    let mut ids: Vec<_> = ended
        .unread
        .iter()
        .filter_map(|m| m["id"].as_i64())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1], "{:?}", ended.unread);
}

#[cfg(unix)]
#[test]
fn the_death_of_the_client_process_ends_the_server() {
    let mut client = bystander();
    let server = initialized(Spawn::serve(), client.id().into());
    client.kill().unwrap();
    client.wait().unwrap();
    assert_ended(server, 1);
}

#[cfg(unix)]
#[test]
fn the_death_of_the_process_on_the_command_line_ends_the_server() {
    let mut client = bystander();
    let spawn = Spawn::with_arguments(["--stdio", "--clientProcessId", &client.id().to_string()]);
    let server = initialized(spawn, Value::Null);
    client.kill().unwrap();
    client.wait().unwrap();
    assert_ended(server, 1);
}

#[test]
fn an_unusable_client_process_id_is_ignored() {
    for process_id in [json!(i32::MAX), json!(0), json!(-1), Value::Null] {
        let mut server = initialized(Spawn::serve(), process_id);
        assert_alive(&mut server);
    }
}

#[test]
fn a_broken_body_gets_an_error_response() {
    let canary = "canary-5f1d";
    let mut server = ready(Spawn::serve());
    let bodies = [
        (format!("{{\"{canary}\": "), -32700, Value::Null),
        (String::new(), -32700, Value::Null),
        (format!("\"{canary}\""), -32600, Value::Null),
        (format!("[{{\"{canary}\":1}}]"), -32600, Value::Null),
        (format!("{{\"id\":3,\"{canary}\":1}}"), -32600, json!(3)),
    ];
    for (body, code, id) in bodies {
        server.write_body(&body);
        let answer = answer(&mut server);
        assert_eq!(answer["error"]["code"], code, "{body}: {answer}");
        assert_eq!(answer.get("id"), Some(&id), "{body}: {answer}");
        assert!(!answer.to_string().contains(canary), "{answer}");
    }
    server.write_body([0xff, 0xfe]);
    assert_eq!(answer(&mut server)["error"]["code"], -32700);
    assert_alive(&mut server);
    server.send(&notification("exit"));
    let ended = assert_ended(server, 1);
    assert!(!ended.log.contains(canary), "{}", ended.log);
}

#[test]
fn a_broken_header_ends_the_process() {
    let headers = [
        "Content-Type: application/json\r\n\r\n{}",
        "Content-Length: -1\r\n\r\n{}",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length: two\r\n\r\n{}",
        "Content-Length: 20000000000\r\n\r\n{}",
        "Content-Length: 9000000000000000000\r\n\r\n{}",
        "Content-Length: 99999999999999999999999\r\n\r\n{}",
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "\r\n\r\n{}\r\n",
        "no header at all\r\n\r\n",
        "Content-Length: ２\r\n\r\n{}",
        &"x".repeat(100_000),
    ];
    for header in headers {
        let mut server = ready(Spawn::serve());
        server.write(header.as_bytes());
        // stdin stays open: the process has to end by itself.
        let ended = assert_ended(server, 1);
        assert_eq!(ended.unread, [] as [Value; 0], "{header:.40}");
        assert!(ended.log.contains("The input is not LSP"), "{}", ended.log);
    }
}

#[test]
fn line_breaks_and_byte_order_marks_between_messages_are_skipped() {
    let mut server = ready(Spawn::serve());
    for junk in ["\r\n", "\n\n", "\u{feff}"] {
        server.write(junk.as_bytes());
        assert_alive(&mut server);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_announced_length_takes_no_memory() {
    let mut server = ready(Spawn::serve());
    let before = server.peak_memory_kib();
    server.write(format!("Content-Length: {}\r\n\r\n", 64 << 20).as_bytes());
    // Far more than a pipe holds: when it is written, the server has read the header.
    server.write(&vec![b' '; 1 << 20]);
    assert!(server.is_running());
    let after = server.peak_memory_kib();
    assert!(
        after < before + 32 * 1024,
        "{before} KiB before, {after} KiB after"
    );
}

#[test]
fn a_message_may_come_byte_by_byte() {
    let mut server = ready(Spawn::serve());
    let body = request("slow", "no/such", json!({"text": "é😀"})).to_string();
    let frame = format!(
        "content-length:{}\nContent-Type: x; charset=utf8\n\n{body}",
        body.len()
    );
    for byte in frame.as_bytes() {
        server.write(&[*byte]);
    }
    assert_eq!(answer(&mut server)["id"], "slow");
}

#[test]
fn a_closed_output_ends_the_process_quietly() {
    let (mut server, stdout) = Spawn::serve().start_unread();
    drop(stdout);
    server.send(&request(0, "initialize", json!({"capabilities": {}})));
    assert_ended(server, 1);
}

#[test]
fn a_client_that_does_not_read_can_still_end_the_process() {
    let (mut server, mut stdout) = Spawn::serve().start_unread();
    server.send(&request(0, "initialize", json!({"capabilities": {}})));
    // Far more answers than a pipe holds.
    for id in 0..20_000 {
        server.send(&request(id, "no/such", Value::Null));
    }
    server.send(&notification("exit"));
    assert_ended(server, 1);
    // What was written ends somewhere, but it is frames up to there.
    let mut written = Vec::new();
    stdout.read_to_end(&mut written).unwrap();
    assert!(written.starts_with(b"Content-Length: "));
}

#[test]
fn requests_before_initialize_are_refused() {
    let mut server = Spawn::serve().start();
    for method in ["textDocument/hover", "no/such", "shutdown"] {
        server.send(&request(1, method, json!({})));
        assert_eq!(answer(&mut server)["error"]["code"], -32002, "{method}");
    }
    server.send(&notification("textDocument/didOpen"));
    server.send(&request(2, "initialize", json!({"capabilities": {}})));
    assert!(answer(&mut server)["result"].is_object());
    server.send(&request(3, "initialize", json!({"capabilities": {}})));
    assert_eq!(answer(&mut server)["error"]["code"], -32600);
    assert_alive(&mut server);
}

#[test]
fn unknown_dollar_messages_are_ignored() {
    let mut server = ready(Spawn::serve());
    for method in ["$/setTrace", "$/no/such", "$/cancelRequest", "$/logTrace"] {
        server.send(&notification(method));
        let params = json!({"id": {}, "value": "verbose"});
        server.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }
    server.send(&request(1, "$/no/such", Value::Null));
    assert_eq!(answer(&mut server)["error"]["code"], -32601);
    assert_alive(&mut server);
}

#[test]
fn unexpected_responses_are_ignored() {
    let mut server = ready(Spawn::serve());
    for id in [
        json!(0),
        json!(1),
        json!(-1),
        json!("x"),
        json!(1.5),
        Value::Null,
    ] {
        server.send(&json!({"jsonrpc": "2.0", "id": id, "result": null}));
        server.send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": 1, "message": ""}}));
    }
    assert_alive(&mut server);
}

#[test]
fn request_ids_are_returned_unchanged() {
    let mut server = ready(Spawn::serve());
    for id in [
        json!(u64::MAX),
        json!(-5),
        json!(0),
        json!(""),
        json!("é\n"),
        json!(0.5),
    ] {
        server.send(&request(id.clone(), "no/such", Value::Null));
        assert_eq!(answer(&mut server)["id"], id);
    }
}

#[test]
fn a_parent_that_writes_from_another_thread_is_served() {
    let mut server = ready(Spawn::serve());
    let mut stdin = server.take_stdin();
    let writer = std::thread::spawn(move || {
        for id in 0..5_000 {
            let body = request(id, "no/such", Value::Null).to_string();
            write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        stdin
    });
    for id in 0..5_000 {
        assert_eq!(answer(&mut server)["id"], id);
    }
    drop(writer.join().unwrap());
    assert_ended(server, 1);
}

#[test]
fn stdout_carries_frames_only_whatever_is_logged() {
    let spawn = Spawn::serve()
        .env("PIECES_LSP_LOG_LEVEL", "trace")
        .env("RUST_LOG", "trace");
    let (mut client, _) = Client::connect(spawn, json!({}), Value::Null);
    client.process().write_body("not json");
    // Its answer has no id, and the client would refuse it.
    let answer = client.process().next();
    assert_eq!(answer["error"]["code"], -32700);
    client.finish();
}

#[test]
fn a_write_in_progress_is_finished_before_the_end() {
    // By `exit`, and by the end of input. A service that does not answer delays the end a moment only.
    for (fault, exit, created) in [
        (Fault::Delay(Duration::from_millis(300)), true, 1),
        (Fault::Delay(Duration::from_millis(300)), false, 1),
        (Fault::Hang, true, 0),
    ] {
        let service = StandIn::start();
        service.fault("POST /conversations/create", fault);
        let mut server = ready(Spawn::serve().arg("--url").arg(service.url()));
        let create = json!({"command": "pieces.conversations.create", "arguments": []});
        server.send(&request(1, "workspace/executeCommand", create));
        service.wait_until("the POST", |state| {
            state.requests("POST /conversations/create") == 1
        });
        if exit {
            server.send(&notification("exit"));
        } else {
            server.close_stdin();
        }
        assert_ended(server, 1);
        assert_eq!(service.with(|state| state.conversations.len()), created);
    }
}

#[test]
fn the_test_client_fails_on_unexpected_messages() {
    let session = || {
        let (mut client, _) = Client::connect(Spawn::serve(), json!({}), Value::Null);
        client.process().write_body("not json");
    };
    assert!(std::panic::catch_unwind(session).is_err());
}
