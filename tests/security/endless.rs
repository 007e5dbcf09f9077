//! Peers that never stop: what is read of them ends at the limits, and so does the memory.

use crate::support::client::Client as Editor;
use crate::support::local::serve;
use crate::support::process::Spawn;
use crate::support::world::{capabilities, pieces_os, wait_status};
use crate::trap::{Trap, flood, ok, say, wait_for_end};
use pieces_lsp::pieces::{BaseUrl, Client, Discovery, Error, Kind, PlainHttp};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use uuid::Uuid;

/// What the system and the HTTP library may hold of what nobody reads any more.
const BUFFERED: u64 = 16 << 20;
/// What is sent to a peer that reads everything.
const ENOUGH: u64 = 1 << 30;
const ID: Uuid = Uuid::from_u128(0x0b9f6f0e_7d0b_4d4e_9d5e_2f7f3c1f4a10);

/// What never ends: its beginning, and what follows again and again.
#[derive(Clone)]
struct Endless {
    name: &'static str,
    start: String,
    more: Vec<u8>,
}

fn endless(name: &'static str, start: impl Into<String>, more: impl Into<Vec<u8>>) -> Endless {
    let (start, more) = (start.into(), more.into());
    Endless { name, start, more }
}

/// An answer with this status line and start of a body, in every form that a body has.
fn bodies(status: &str, start: &str) -> [Endless; 3] {
    let head = |header: &str| format!("HTTP/1.1 {status}\r\n{header}\r\n\r\n");
    let blank = vec![b' '; 1 << 16];
    let chunk = [b"10000\r\n", &*blank, b"\r\n"].concat();
    let length = start.len();
    [
        endless(
            "chunked",
            head("transfer-encoding: chunked") + &format!("{length:x}\r\n{start}\r\n"),
            chunk,
        ),
        endless(
            "until the end",
            head("connection: close") + start,
            blank.clone(),
        ),
        endless(
            "of a length that nobody has",
            head("content-length: 9223372036854775807") + start,
            blank,
        ),
    ]
}

/// Heads of answers that never end.
fn heads(status: &str) -> [Endless; 2] {
    let start = format!("HTTP/1.1 {status}\r\n");
    [
        endless(
            "one long header",
            start.clone() + "x: ",
            vec![b'x'; 1 << 16],
        ),
        endless("many headers", start, b"x: y\r\n".repeat(1 << 12)),
    ]
}

/// A peer that answers everything with this, and the most of it that was taken.
fn peer(answer: Endless) -> (Trap, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let most = Arc::clone(&taken);
    let trap = Trap::start(move |_, connection| {
        let sent = flood(connection, answer.start.as_bytes(), &answer.more, ENOUGH);
        most.fetch_max(sent, Ordering::SeqCst);
        // Whoever hangs up gets nothing more, and whoever does not would wait.
        wait_for_end(connection);
    });
    (trap, taken)
}

fn client(url: &str) -> Client {
    Client::new(BaseUrl::parse(url, PlainHttp::Loopback).unwrap(), None).unwrap()
}

/// How a call ended: its kind, status, and whether its outcome is unknown.
type Ended = (Kind, Option<u16>, bool);

fn ended(error: Error) -> Ended {
    (error.kind, error.status, error.outcome_unknown)
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    Health,
    Version,
    Conversation,
    Messages,
    Create,
    Delete,
    List,
    Identifiers,
    Snapshot,
    Stream,
}

async fn ask(ask: Ask, url: &str) -> Result<(), Error> {
    let client = client(url);
    match ask {
        Ask::Health => client.health().await.map(drop),
        Ask::Version => client.version().await.map(drop),
        Ask::Conversation => client.conversation(ID).await.map(drop),
        Ask::Messages => client.transcript(ID).await.map(drop),
        Ask::Create => client.create(&json!({}), None).await.map(drop),
        Ask::Delete => client.delete(ID).await,
        Ask::List => client.list(false, (), |(), _| ()).await.map(drop),
        Ask::Identifiers => client.identifier_ids().await.map(drop),
        Ask::Snapshot => client.snapshot(None).await.map(drop),
        Ask::Stream => client.watch().await.map(drop),
    }
}

/// Asks a peer that answers so; how that ended, and how much it could send.
async fn check(what: Ask, answer: Endless, expected: Ended, limit: u64) {
    let name = answer.name;
    let (trap, taken) = peer(answer);
    let error = ask(what, &trap.url()).await.expect_err(name);
    if let Some(detail) = &error.detail {
        assert!(detail.len() <= 1024, "{what:?}, {name}");
    }
    assert_eq!(ended(error), expected, "{what:?}, {name}");
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken <= limit + BUFFERED, "{what:?}, {name}: {taken} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_end_at_their_limits() {
    let object = format!("{{\"id\": \"{ID}\", \"name\": \"");
    for (what, start, limit) in [
        (Ask::Health, "ok:", 1024),
        (Ask::Version, "12.3.1", 1024),
        (Ask::Conversation, &*object, 16 << 20),
        (Ask::Messages, &object, 16 << 20),
    ] {
        for answer in bodies("200 OK", start) {
            check(what, answer, (Kind::Protocol, None, false), limit).await;
        }
    }
    let [item, ..] = bodies("200 OK", "{\"iterable\": [{\"name\": \"");
    check(Ask::List, item, (Kind::Protocol, None, false), 64 << 20).await;
    for answer in bodies("200 OK", &object) {
        let unknown = (Kind::Protocol, None, true);
        check(Ask::Create, answer, unknown, 16 << 20).await;
    }
    // These may be long, but not so long.
    for what in [Ask::Identifiers, Ask::Snapshot, Ask::List] {
        let [.., announced] = bodies("200 OK", "{\"iterable\": [");
        check(what, announced, (Kind::Protocol, None, false), 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_start_of_a_refusal_is_read() {
    for (status, kind, code) in [
        ("404 Not Found", Kind::NotFound, 404),
        ("418 Teapot", Kind::Refused, 418),
        ("302 Found", Kind::Refused, 302),
    ] {
        for what in [
            Ask::Health,
            Ask::List,
            Ask::Create,
            Ask::Delete,
            Ask::Stream,
        ] {
            for answer in bodies(status, "no") {
                check(what, answer, (kind, Some(code), false), 0).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_end_at_their_limits() {
    for what in [Ask::Health, Ask::List, Ask::Stream] {
        for answer in heads("200 OK")
            .into_iter()
            .chain(heads("101 Switching Protocols"))
        {
            check(what, answer, (Kind::Protocol, None, false), 0).await;
        }
    }
    for answer in heads("200 OK") {
        check(Ask::Create, answer, (Kind::Protocol, None, true), 0).await;
    }
}

/// What comes after the announced end belongs to no answer and is not read.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_after_the_end_of_an_answer() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok:12";
    let (trap, taken) = peer(endless("too much", head, vec![b'x'; 1 << 16]));
    let client = client(&trap.url());
    for _ in 0..3 {
        assert_eq!(client.health().await.unwrap(), "ok:12");
    }
    drop(client);
    assert!(taken.load(Ordering::SeqCst) <= BUFFERED);
}

/// Interim answers without end cost a probe its time and no more.
#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_end_with_the_time() {
    let hint = format!(
        "HTTP/1.1 103 Early Hints\r\nx: {}\r\n\r\n",
        "y".repeat(4096)
    );
    let interim = hint.as_bytes().repeat(16);
    let (trap, _) = peer(endless("interim answers", "", interim));
    let discovery = Discovery {
        port_files: Vec::new(),
        ports: vec![vec![trap.port]],
    };
    let error = discovery.find().await.unwrap_err();
    assert_eq!(error.kind, Kind::Offline);
    assert!(trap.connections() > 0);
}

/// The answer to an upgrade, if this is one.
fn upgraded(head: &str) -> Option<String> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then(|| value.trim())
    })?;
    let accept = derive_accept_key(key.as_bytes());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    ))
}

/// The head of a frame.
fn frame(first: u8, length: u64) -> Vec<u8> {
    [&[first, 127][..], &length.to_be_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_the_stream_end_at_their_limit() {
    const LIMIT: u64 = 256 << 20;
    const PART: usize = 1 << 20;
    let part = |first| [frame(first, PART as u64), vec![b' '; PART]].concat();
    for (name, start, more, limit) in [
        ("2^63 bytes", frame(0x81, i64::MAX as u64), part(0), 0),
        ("2^64 bytes", frame(0x81, u64::MAX), part(0), 0),
        (
            "one byte more than there may be",
            frame(0x81, LIMIT + 1),
            part(0),
            0,
        ),
        (
            "a part of 2^63 bytes",
            frame(0x01, i64::MAX as u64),
            part(0),
            0,
        ),
        (
            "a ping of 2^63 bytes",
            frame(0x89, i64::MAX as u64),
            part(0),
            0,
        ),
        (
            "a frame of no kind",
            frame(0x83, i64::MAX as u64),
            part(0),
            0,
        ),
        ("parts without end", part(0x01), part(0x00), LIMIT),
    ] {
        let taken = Arc::new(AtomicU64::new(0));
        let most = Arc::clone(&taken);
        let trap = Trap::start(move |head, connection| {
            say(connection, upgraded(head).unwrap());
            let sent = flood(connection, &start, &more, ENOUGH);
            most.fetch_max(sent, Ordering::SeqCst);
        });
        let mut stream = client(&trap.url()).watch().await.unwrap();
        let error = stream.next().await.unwrap_err();
        assert_eq!(error.kind, Kind::Protocol, "{name}: {error}");
        drop(stream);
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken <= limit + BUFFERED, "{name}: {taken} bytes");
    }
}

const STREAM: &str = "GET /conversations/stream/identifiers ";

/// A Pieces OS that is well but for what `wrong` says to requests that start with `route`.
/// On a stream that is the text of a message.
fn almost_well(route: &'static str, wrong: Endless) -> Trap {
    Trap::start(move |head, connection| {
        if head.starts_with(route) {
            if let Some(upgraded) = upgraded(head) {
                say(connection, upgraded);
                say(connection, frame(0x81, i64::MAX as u64));
            }
            flood(connection, wrong.start.as_bytes(), &wrong.more, ENOUGH);
        } else if let Some(upgraded) = upgraded(head) {
            say(connection, upgraded);
            wait_for_end(connection);
        } else if head.starts_with("GET /.well-known/health ") {
            say(connection, ok("ok:1"));
        } else if head.starts_with("GET /.well-known/version ") {
            say(connection, ok("12.3.1"));
        } else {
            say(connection, ok("{\"iterable\": []}"));
        }
    })
}

/// The same through the whole language server: it goes on, says what is wrong, and stays small.
#[test]
fn the_language_server_survives_endless_answers() {
    let [health, ..] = bodies("200 OK", "ok:");
    let [refusal, ..] = bodies("500 No", "no");
    let [item, _, announced] = bodies("200 OK", "{\"iterable\": [{\"name\": \"");
    let [header, _] = heads("200 OK");
    let message = endless("a message", "", vec![b' '; 1 << 16]);
    for (route, wrong, expected, most) in [
        ("GET /.well-known/health ", health.clone(), None, 64),
        ("GET /.well-known/health ", header.clone(), None, 64),
        ("GET /.well-known/version ", health, None, 64),
        (
            "GET /conversations?",
            item,
            Some("one conversation is too large"),
            160,
        ),
        (
            "GET /conversations?",
            announced,
            Some("more than 4096 MiB"),
            64,
        ),
        ("GET /conversations?", refusal, Some("HTTP 500"), 64),
        ("GET /conversations?", header, Some("not HTTP"), 64),
        (STREAM, message, Some("more than 256 MiB"), 64),
    ] {
        let name = format!("{route}: {}", wrong.name);
        let trap = almost_well(route, wrong);
        let (mut editor, _) = Editor::connect(pieces_os(&trap.url()), capabilities(), Value::Null);
        editor.allow("window/showMessage");
        let status = wait_status(&mut editor, |status| match expected {
            None => status["state"] == "live",
            Some(_) => status["error"].is_string(),
        });
        let error = status["error"].as_str().unwrap_or_default();
        assert!(
            error.contains(expected.unwrap_or_default()),
            "{name}: {status}"
        );
        #[cfg(target_os = "linux")]
        {
            let peak = editor.process().peak_memory_kib() >> 10;
            assert!(peak < most, "{name}: {peak} MiB");
        }
        editor.finish();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_service_reads_no_more_than_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (attached, local) = serve(dir.path(), true).await;
    let port: u16 = attached.url.rsplit(':').next().unwrap().parse().unwrap();
    let token = attached.token.clone().unwrap();
    let flooded = tokio::task::spawn_blocking(move || {
        let us = format!("host: 127.0.0.1:{port}\r\n");
        let known = format!("{us}authorization: Bearer {token}\r\n");
        let post = "POST /conversations/create HTTP/1.1\r\n";
        let chunk = [b"10000\r\n", &[b' '; 1 << 16][..], b"\r\n"].concat();
        let upgrade = "GET /conversations/stream/identifiers HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        // The masked frame of a client.
        let huge = [&[0x81, 0xff][..], &i64::MAX.to_be_bytes(), &[0; 4]].concat();
        for (name, head, more, limit) in [
            (
                "a body in chunks",
                format!("{post}{known}transfer-encoding: chunked\r\n\r\n"),
                chunk.clone(),
                32 << 20,
            ),
            (
                "a body of a stranger",
                format!("{post}{us}transfer-encoding: chunked\r\n\r\n"),
                chunk,
                0,
            ),
            (
                "a long body of a stranger",
                format!("{post}{us}content-length: 99999999999\r\n\r\n"),
                vec![b' '; 1 << 16],
                0,
            ),
            (
                "a header",
                format!("{post}{known}x: "),
                vec![b'x'; 1 << 16],
                0,
            ),
            (
                "headers",
                format!("{post}{known}"),
                b"x: y\r\n".repeat(1 << 12),
                0,
            ),
            (
                "a message of a stream",
                format!("{upgrade}{known}\r\n"),
                huge,
                0,
            ),
        ] {
            let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let sent = flood(&mut connection, head.as_bytes(), &more, ENOUGH);
            assert!(sent <= limit + BUFFERED, "{name}: {sent} bytes");
        }
        // A length that is too large is enough.
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!("{post}{known}content-length: 9223372036854775807\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    });
    flooded.await.unwrap();
    assert_eq!(local.get("/conversations").await["iterable"], json!([]));
    attached.shutdown().await;
}

/// An editor, or what is taken for one, that never comes to a message.
#[test]
fn endless_input_ends_the_process() {
    let line = |text: &[u8]| text.repeat(1 << 12);
    for (name, more) in [
        ("one line", line(b"xxxxxxxx")),
        ("a header line", line(b"X-Header: y ")),
        ("header lines", line(b"X: y\r\n")),
        ("the same length", line(b"Content-Length: 2\r\n")),
        ("empty lines", line(b"\r\n")),
        ("no text", vec![0; 1 << 16]),
    ] {
        let mut process = Spawn::serve().start();
        let mut stdin = process.take_stdin();
        let mut taken = 0;
        while taken < ENOUGH {
            match stdin.write(&more) {
                Ok(length) => taken += length as u64,
                Err(_) => break,
            }
        }
        assert_eq!(process.wait().code, Some(1), "{name}");
        // A pipe holds 64 KiB, and a header 16.
        assert!(taken < 1 << 20, "{name}: {taken} bytes");
    }
}
