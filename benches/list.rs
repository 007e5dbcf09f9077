//! How long 100,000 conversations of about 2 kB take from GET to the last one delivered, beside
//! what receiving the same body and throwing it away takes in the same run.
//!
//! The server is a process of its own that writes a prepared body. `cargo bench --bench list`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pieces_lsp::pieces::{BaseUrl, Client, wire::Conversation};
use serde_json::{Map, Value, json};
use uuid::Uuid;

const CONVERSATIONS: usize = 100_000;
const ROUNDS: usize = 11;
/// What the contract allows for the list alone.
const BUDGET: f64 = 1.3;
const SERVER: &str = "PIECES_BENCH_SERVER";

fn main() {
    if std::env::var_os(SERVER).is_some() {
        return serve();
    }
    let mut server = Command::new(std::env::current_exe().unwrap())
        .env(SERVER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let (port, length): (u16, u64) = (
        lines.next().unwrap().unwrap().parse().unwrap(),
        lines.next().unwrap().unwrap().parse().unwrap(),
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let base = BaseUrl::loopback(port);
    let client = Client::new(base.clone(), None).unwrap();
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{base}/conversations?transferables=false");

    let (mut raw, mut discard, mut list) = (Vec::new(), Vec::new(), Vec::new());
    let mut growth = 0;
    for round in 0..=ROUNDS {
        let timings = [
            time(|| read_and_discard(port, length)),
            time(|| {
                runtime.block_on(async {
                    let mut response = plain.get(&url).send().await.unwrap();
                    let mut received = 0;
                    while let Some(chunk) = response.chunk().await.unwrap() {
                        received += chunk.len() as u64;
                    }
                    assert_eq!(received, length);
                });
            }),
            {
                let before = resident("VmRSS");
                let timing = time(|| {
                    let add = |seen: &mut (usize, u64), conversation: Conversation<'_>| {
                        seen.0 += 1;
                        seen.1 += u64::from(conversation.messages);
                    };
                    // Spawned, as the language server does: `block_on` would pin it to this thread.
                    let client = client.clone();
                    let listing = runtime.spawn(async move { client.list((0, 0), add).await });
                    let (seen, listed) = runtime.block_on(listing).unwrap().unwrap();
                    assert_eq!(
                        (seen, listed.rejected),
                        ((CONVERSATIONS, CONVERSATIONS as u64 * 8), 0)
                    );
                });
                growth = growth.max(resident("VmHWM").saturating_sub(before));
                timing
            },
        ];
        // The first round warms everything up.
        if round > 0 {
            raw.push(timings[0]);
            discard.push(timings[1]);
            list.push(timings[2]);
        }
    }
    drop(server.stdin.take());
    server.wait().unwrap();

    println!(
        "GET /conversations, {CONVERSATIONS} conversations, {} MB, {ROUNDS} rounds",
        length / 1_000_000
    );
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>7}",
        "", "min", "median", "MB/s", "ratio"
    );
    let baseline = median(&mut discard);
    for (name, timings) in [
        ("socket read, thrown away", &mut raw),
        ("HTTP client, thrown away", &mut discard),
        ("list, every conversation delivered", &mut list),
    ] {
        let median = median(timings);
        println!(
            "{name:<34} {:>6.1} ms {:>6.1} ms {:>9.0} {:>7.2}",
            timings[0].as_secs_f64() * 1e3,
            median.as_secs_f64() * 1e3,
            length as f64 / 1e6 / median.as_secs_f64(),
            median.as_secs_f64() / baseline.as_secs_f64(),
        );
    }
    let ratio = median(&mut list).as_secs_f64() / baseline.as_secs_f64();
    let verdict = if ratio <= BUDGET { "within" } else { "OVER" };
    println!(
        "list / thrown away = {ratio:.2}, {verdict} the budget of {BUDGET}; resident memory grew by at most {growth} kB"
    );
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn median(timings: &mut [Duration]) -> Duration {
    timings.sort();
    timings[timings.len() / 2]
}

/// A figure of `/proc/self/status` in kB; 0 where there is none.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .split_whitespace()
                .nth(1)?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// The least anyone can do: HTTP/1.0, no parsing, one buffer.
fn read_and_discard(port: u16, length: u64) {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection
        .write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        .unwrap();
    let (mut buffer, mut received) = (vec![0; 256 << 10], 0);
    while received < length {
        match connection.read(&mut buffer).unwrap() {
            0 => break,
            bytes => received += bytes as u64,
        }
    }
    assert!(received >= length);
}

/// Writes the prepared body to whoever asks, until standard input ends.
fn serve() {
    let body = body();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}\n{}", listener.local_addr().unwrap().port(), body.len());
    std::thread::spawn(move || {
        let body: &'static [u8] = body.leak();
        for connection in listener.incoming() {
            let connection = connection.unwrap();
            std::thread::spawn(move || answer(connection, body));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn answer(mut connection: TcpStream, body: &[u8]) -> Option<()> {
    let mut requests = BufReader::new(connection.try_clone().ok()?).lines();
    loop {
        while !requests.next()?.ok()?.is_empty() {}
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).ok()?;
        connection.write_all(body).ok()?;
    }
}

/// A snapshot shaped like the documented one, with about 2 kB per conversation.
fn body() -> Vec<u8> {
    let mut body = b"{\"iterable\":[".to_vec();
    let mut indices = Map::new();
    for n in 0..CONVERSATIONS {
        if n > 0 {
            body.push(b',');
        }
        let id = id(n, 0);
        indices.insert(id.clone(), n.into());
        serde_json::to_writer(&mut body, &conversation(n, &id)).unwrap();
    }
    body.extend(b"],\"indices\":");
    serde_json::to_writer(&mut body, &indices).unwrap();
    body.push(b'}');
    body
}

fn conversation(n: usize, conversation: &str) -> Value {
    let plural = |kind: usize, count: usize| {
        let ids = (0..count).map(|m| id(n, kind * 100 + m));
        let iterable: Vec<_> = ids.clone().map(|id| json!({"id": id})).collect();
        let indices: Map<_, _> = ids.enumerate().map(|(at, id)| (id, at.into())).collect();
        json!({"iterable": iterable, "indices": indices})
    };
    json!({
        "schema": {"migration": 20, "semantic": "MAJOR_0_MINOR_0_PATCH_1"},
        "id": conversation,
        "name": format!("Retry with jitter and backoff, take {n}"),
        "type": "COPILOT",
        "created": {"value": "2026-11-20T09:14:02.118243Z", "readable": "3 days ago"},
        "updated": {"value": format!("2026-11-20T09:{:02}:{:02}.900Z", n / 60 % 60, n % 60), "readable": "3 days ago"},
        "favorited": false,
        "demo": false,
        "application": {"id": id(n % 3, 9), "name": "OPEN_SOURCE", "version": "0.1.0", "platform": "LINUX",
            "onboarded": false, "privacy": "OPEN", "capabilities": "BLENDED", "mechanism": "MANUAL",
            "automaticUnload": false},
        "messages": plural(1, 8),
        "annotations": plural(2, 2),
        "assets": plural(3, 1),
        "anchors": plural(4, 1),
        "websites": plural(5, 0),
        "model": {"id": id(n % 5, 8)},
        "pipeline": {"conversation": {"contextualized_code_dialog": {}}},
        "score": {"manual": 0, "automatic": n % 17},
    })
}

/// Ids that look random and are the same in every run.
fn id(n: usize, kind: usize) -> String {
    let seed = (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Uuid::from_u128(seed.rotate_left(kind as u32).wrapping_add(kind as u128)).to_string()
}
