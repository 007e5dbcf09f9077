//! How long 100,000 conversations of about 2 kB take from GET to live in the real binary, beside
//! what receiving the same body and throwing it away takes, and how much memory that takes.
//! `cargo bench --bench load`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;
use support::editor::Editor;
use support::service::Service;
use support::{BINARY, Timings, process, report, time};

const CONVERSATIONS: usize = 100_000;
const ROUNDS: usize = 15;

/// Resident memory in kB.
struct Memory {
    /// Before anything is loaded.
    empty: u64,
    /// Once everything is.
    loaded: u64,
    /// In between.
    peak: u64,
}

fn main() {
    let service = Service::start(CONVERSATIONS);
    let empty = Service::start(0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/conversations", service.url());

    let (mut socket, mut discard, mut live) = (Vec::new(), Vec::new(), Vec::new());
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        socket.push(time(|| receive_from_socket(&service)));
        service.listed();
        // Spawned, as the language server does: `block_on` would pin it to this thread.
        let (client, url) = (client.clone(), url.clone());
        discard.push(time(|| {
            let receiving = runtime.spawn(async move {
                let mut received = 0;
                let mut response = client.get(&url).send().await.unwrap();
                while let Some(chunk) = response.chunk().await.unwrap() {
                    received += chunk.len();
                }
                received
            });
            assert_eq!(runtime.block_on(receiving).unwrap(), service.list_length());
        }));
        service.listed();
        let (took, used) = load(&empty, &service);
        live.push(took);
        memory.push(used);
    }
    memory.sort_by_key(|used| used.loaded);
    let typical = &memory[ROUNDS / 2];
    let peak = memory
        .iter()
        .map(|used| used.peak - used.loaded)
        .max()
        .unwrap();

    report::title(&format!(
        "{CONVERSATIONS} conversations, {} MB, {ROUNDS} rounds, median",
        service.list_length() / 1_000_000
    ));
    let discard = Timings::new(discard).median();
    report::ratio(
        "GET to live / received and thrown away",
        1.5,
        Timings::new(live).median(),
        discard,
    );
    report::plain(
        "the same from a bare socket",
        &report::millis(Timings::new(socket).median()),
        "",
        "",
    );
    let each = (typical.loaded.saturating_sub(typical.empty) * 1024) as f64 / CONVERSATIONS as f64;
    report::amount(
        "resident memory per conversation",
        200.0,
        "bytes",
        each,
        None,
    );
    report::amount(
        "peak while loading, above that",
        64.0,
        "MB",
        peak as f64 / 1e3,
        None,
    );
    report::plain(
        "resident, live and empty",
        &format!("{:.1} MB", typical.empty as f64 / 1e3),
        "",
        "",
    );
    report::plain(
        "resident, live and loaded",
        &format!("{:.1} MB", typical.loaded as f64 / 1e3),
        "",
        "",
    );
}

/// A server that loads everything anew, and what one without conversations needs.
fn load(empty: &Service, service: &Service) -> (Duration, Memory) {
    let open = |service: &Service| {
        let mut command = Command::new(BINARY);
        command.args(["--backend", "pieces-os", "--url", &service.url()]);
        Editor::open(&mut command, json!({"liveUpdates": true}))
    };
    let editor = open(empty);
    editor.live();
    let empty = process::memory(editor.pid(), "VmRSS");
    drop(editor);

    let mut editor = open(service);
    let took = editor.live() - service.listed();
    // What is freed after the load may be given back a moment later.
    std::thread::sleep(Duration::from_millis(300));
    let page = editor.execute("pieces.conversations.list", json!({"limit": 1}));
    assert_eq!(page["total"], CONVERSATIONS);
    let memory = Memory {
        empty,
        loaded: process::memory(editor.pid(), "VmRSS"),
        peak: process::memory(editor.pid(), "VmHWM"),
    };
    (took, memory)
}

/// The least anyone can do: no HTTP, no parsing, one buffer.
fn receive_from_socket(service: &Service) {
    let mut connection = TcpStream::connect(("127.0.0.1", service.port())).unwrap();
    connection
        .write_all(b"GET /conversations HTTP/1.1\r\n\r\n")
        .unwrap();
    let (mut buffer, mut received) = (vec![0; 256 << 10], 0);
    while received < service.list_length() {
        match connection.read(&mut buffer).unwrap() {
            0 => break,
            bytes => received += bytes,
        }
    }
}
