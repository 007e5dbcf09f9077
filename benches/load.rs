//! How long 100,000 conversations of about 2 kB take from GET to live in the real binary, beside
//! what receiving the same body and throwing it away takes, and how much memory that takes.
//! `cargo bench --bench load [-- --conversations N]`; a million need 3 GB of memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use support::loading::{Receiver, load};
use support::service::Service;
use support::{Timings, number, report, time};

/// By default.
const CONVERSATIONS: usize = 100_000;
const ROUNDS: usize = 15;

fn main() {
    let conversations = number("--conversations").unwrap_or(CONVERSATIONS);
    let service = Service::start(conversations);
    let nothing = Service::start(0);
    let receiver = Receiver::new();
    let (mut socket, mut discard, mut live) = (Vec::new(), Vec::new(), Vec::new());
    let (mut empty, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        socket.push(time(|| receive_from_socket(&service)));
        discard.push(receiver.receive(&service));
        empty.push(load(&nothing).loaded);
        let loaded = load(&service);
        live.push(loaded.took);
        memory.push((loaded.loaded, loaded.peak));
    }
    empty.sort_unstable();
    memory.sort_unstable();
    let empty = empty[ROUNDS / 2];
    let (loaded, _) = memory[ROUNDS / 2];
    let peak = memory.iter().map(|(loaded, peak)| peak - loaded).max();

    report::title(&format!(
        "{conversations} conversations, {} MB, {ROUNDS} rounds, median",
        service.list_length() / 1_000_000
    ));
    report::ratio(
        "GET to live / received and thrown away",
        4.0,
        Timings::new(live).median(),
        Timings::new(discard).median(),
    );
    report::plain(
        "the same from a bare socket",
        &report::millis(Timings::new(socket).median()),
        "",
        "",
    );
    let each = (loaded.saturating_sub(empty) * 1024) as f64 / conversations as f64;
    report::amount(
        "resident memory per conversation",
        200.0,
        "bytes",
        each,
        None,
    );
    report::amount(
        "peak while loading, above that, worst round",
        64.0,
        "MB",
        peak.unwrap() as f64 / 1e3,
        None,
    );
    for (what, resident) in [("empty", empty), ("loaded", loaded)] {
        report::plain(
            &format!("resident, live and {what}"),
            &format!("{:.1} MB", resident as f64 / 1e3),
            "",
            "",
        );
    }
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
