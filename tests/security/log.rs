//! Where the log goes: whoever should read it, or should not, stops nothing.

use crate::support::client::Client;
use crate::support::world::{capabilities, local, wait_live};
use serde_json::Value;
use std::io::Read;

/// Each logs some kilobytes.
const ROUNDS: usize = 100;
/// What a pipe holds at least on the systems we know.
const PIPE: usize = 60_000;

/// A session that logs more than a pipe holds; it goes on and ends as always.
fn talkative_session(stderr: std::io::PipeWriter, level: &str) {
    let dir = tempfile::tempdir().unwrap();
    let spawn = local(dir.path()).env("PIECES_LSP_LOG_LEVEL", level);
    let (mut client, _) = Client::connect(spawn.stderr(stderr), capabilities(), Value::Null);
    wait_live(&mut client);
    for _ in 0..ROUNDS {
        client
            .command("pieces.conversations.create", Value::Null)
            .unwrap();
    }
    let created = client.command("pieces.conversations.create", Value::Null);
    assert!(created.unwrap()["id"].is_string());
    client.finish();
}

#[test]
fn an_unread_stderr_blocks_nothing() {
    let (mut unread, stderr) = std::io::pipe().unwrap();
    talkative_session(stderr, "trace");
    let mut log = Vec::new();
    unread.read_to_end(&mut log).unwrap();
    assert!(log.len() > PIPE, "the pipe was never full: {}", log.len());
}

#[test]
fn a_closed_stderr_ends_nothing() {
    for level in ["warn", "trace"] {
        let (reader, stderr) = std::io::pipe().unwrap();
        drop(reader);
        talkative_session(stderr, level);
    }
}
