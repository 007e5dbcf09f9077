//! What a person notices: start, changes, searches, code actions, and what it costs to sit there.
//! `cargo bench --bench session`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use support::editor::Editor;
use support::loading::open;
use support::service::{Service, alike, ids, name, read_head};
use support::{BINARY, Timings, process, report, time};
use tokio_tungstenite::tungstenite::{self, Message};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{
    CodeActionParams, CodeActionResponse, InitializeParams, InitializeResult,
};
use tower_lsp::{LanguageServer, LspService, Server};

const CONVERSATIONS: usize = 100_000;
/// As many as a person may have.
const FEWER: usize = 10_000;
/// Longer than the window in which changes are gathered.
const APART: Duration = Duration::from_millis(60);
const EMPTY_SERVER: &str = "--empty-server";

/// The least that tower-lsp can be.
struct Empty;

#[tower_lsp::async_trait]
impl LanguageServer for Empty {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        Ok(InitializeResult::default())
    }

    async fn code_action(&self, _: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        Ok(None)
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

fn main() {
    if std::env::args().any(|argument| argument == EMPTY_SERVER) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (service, socket) = LspService::new(|_| Empty);
        runtime
            .block_on(Server::new(tokio::io::stdin(), tokio::io::stdout(), socket).serve(service));
        return;
    }
    report::title("Start, 60 rounds, median");
    start();
    report::title("At rest");
    rest();
    let service = Service::start(CONVERSATIONS);
    let mut editor = open(&service);
    editor.live();
    report::title(&format!("With {CONVERSATIONS} conversations"));
    changes(&service, &mut editor);
    code_actions(&mut editor);
    searches(&mut editor, CONVERSATIONS, name);
    for (what, name) in [("different", name as fn(usize) -> String), ("alike", alike)] {
        report::title(&format!("Searches in {FEWER} names that are {what}"));
        let service = Service::with_names(FEWER, name);
        let mut editor = open(&service);
        editor.live();
        searches(&mut editor, FEWER, name);
    }
}

fn empty_server() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(EMPTY_SERVER);
    command
}

fn start() {
    let spawn = |mut command: Command| {
        let mut editor = None;
        let took = time(|| {
            let mut started = Editor::start(&mut command);
            started.initialize(Value::Null);
            editor = Some(started);
        });
        drop(editor);
        took
    };
    let (mut ours, mut empty) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        ours.push(spawn(Command::new(BINARY)));
        empty.push(spawn(empty_server()));
    }
    let (ours, empty) = (Timings::new(ours).median(), Timings::new(empty).median());
    report::ratio("spawn to initialize answered", 1.5, ours, empty);
}

fn rest() {
    let service = Service::start(0);
    let editor = open(&service);
    editor.live();
    let mut baseline = Editor::start(&mut empty_server());
    baseline.initialize(Value::Null);
    std::thread::sleep(Duration::from_secs(1));
    let both = [editor.pid(), baseline.pid()];
    let [ours, empty] = both.map(|pid| process::memory(pid, "VmRSS") as f64 / 1024.0);
    report::amount("resident, live and empty", 10.0, "MiB", ours, Some(empty));
    let before = both.map(process::wake_ups);
    std::thread::sleep(Duration::from_secs(15));
    let after = both.map(process::wake_ups);
    let [ours, empty] = [0, 1].map(|at| {
        // A thread that has ended in the meantime did so for good.
        let counts = after[at].iter();
        let woken: u64 = counts
            .map(|(thread, count)| count - before[at].get(thread).copied().unwrap_or(0))
            .sum();
        woken as f64
    });
    let what = "wake-ups in 15 s without a ping";
    report::amount(what, 0.0, "", ours, Some(empty));
}

/// From the first byte of a frame to the notification, the fetch included.
fn changes(service: &Service, editor: &mut Editor) {
    let changed = |editor: &Editor, id: &str| {
        editor
            .wait(|message| {
                message["method"] == "pieces/didChangeConversations"
                    && message["params"]["upserted"][0]["id"] == id
            })
            .0
    };
    let other = Service::start(1);
    let fetched = follow(&other);
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for round in 0..500 {
        let n = round * 7;
        let began = service.announce(n, false);
        ours.push(changed(editor, &ids(n, 0)) - began);
        std::thread::sleep(APART);
        let began = other.announce(0, false);
        least.push(fetched.recv().unwrap() - began);
    }
    let (ours, least) = (Timings::new(ours), Timings::new(least));
    for (budget, percent) in [(1, 50), (5, 99)] {
        report::limit(
            &format!("change to notification, p{percent} (baseline: fetched)"),
            Duration::from_millis(budget),
            ours.percentile(percent),
            Some(least.percentile(percent)),
        );
    }
}

/// The least that following changes takes: reads a frame, fetches what it names, and says when that was there.
fn follow(service: &Service) -> Receiver<Instant> {
    let url = format!(
        "ws://127.0.0.1:{}/conversations/stream/identifiers",
        service.port()
    );
    let (mut stream, _) = tungstenite::connect(url).unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", service.port())).unwrap();
    let mut answers = BufReader::new(connection.try_clone().unwrap());
    // The first frame names everything.
    stream.read().unwrap();
    let (sender, fetched) = channel();
    std::thread::spawn(move || {
        while let Ok(Message::Text(frame)) = stream.read() {
            let frame: Value = serde_json::from_str(&frame).unwrap();
            let id = frame["iterable"][0]["conversation"]["id"].as_str().unwrap();
            let request = format!("GET /conversation/{id} HTTP/1.1\r\n\r\n");
            connection.write_all(request.as_bytes()).unwrap();
            let (_, length) = read_head(&mut answers).unwrap();
            let mut body = vec![0; length];
            answers.read_exact(&mut body).unwrap();
            if sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    fetched
}

fn searches(editor: &mut Editor, count: usize, name: fn(usize) -> String) {
    let names: Vec<String> = (0..count).map(name).collect();
    let queries = [
        "retry",
        "rwj",
        "parser cache",
        "snap 77",
        "deadline the",
        "x",
        "zzz",
        "bkoff tok",
    ];
    let mut measure = |what: &str, ask: &mut dyn FnMut(&mut Editor, &str) -> Value| {
        let mut took = Vec::new();
        for round in 0..400 {
            let query = queries[round % queries.len()];
            let began = Instant::now();
            ask(editor, query);
            took.push(began.elapsed());
        }
        let took = Timings::new(took);
        // What anyone has to do: look at every name.
        let naive = Timings::new((0..20).map(|_| scan(&names, "retry")).collect()).median();
        let ms = Duration::from_millis;
        let median = format!("{what}, p50 (baseline: `contains`)");
        let (p50, p99) = (took.percentile(50), took.percentile(99));
        if count > FEWER {
            report::plain(&median, &report::millis(p50), &report::millis(naive), "");
            report::limit(&format!("{what}, p99"), ms(50), p99, None);
        } else {
            report::limit(&median, ms(2), p50, Some(naive));
            report::limit(&format!("{what}, p99"), ms(5), p99, None);
        }
    };
    measure("list with a query", &mut |editor, query| {
        editor.execute("pieces.conversations.list", json!({"query": query}))
    });
    measure("workspace/symbol", &mut |editor, query| {
        editor.request("workspace/symbol", json!({"query": query}))
    });
}

/// How long looking for a word in all names takes.
fn scan(names: &[String], word: &str) -> Duration {
    time(|| {
        let found = names.iter().filter(|name| name.contains(word)).count();
        assert!(std::hint::black_box(found) > 0);
    })
}

fn code_actions(editor: &mut Editor) {
    let lines: Vec<String> = (0..10_000)
        .map(|n| match n % 100 {
            0 => format!("// see {}", ids(n, 0)),
            _ => format!("let value_{n} = compute({n}); // nothing to see here"),
        })
        .collect();
    let uri = "file:///bench/large.rs";
    let document =
        json!({"uri": uri, "languageId": "rust", "version": 1, "text": lines.join("\n")});
    editor.notify("textDocument/didOpen", json!({"textDocument": document}));
    let mut baseline = Editor::start(&mut empty_server());
    baseline.initialize(Value::Null);
    let ask = |editor: &mut Editor, round: u32, kind: u8| {
        let place = json!({"line": round * 7 % 10_000, "character": 12});
        let params = json!({
            "textDocument": {"uri": uri},
            "range": {"start": place, "end": place},
            "context": {"diagnostics": [], "triggerKind": kind},
        });
        time(|| {
            editor.request("textDocument/codeAction", params);
        })
    };
    let mut measure = |what: &str, kind: u8| {
        let (mut ours, mut empty) = (Vec::new(), Vec::new());
        for round in 0..1_000 {
            ours.push(ask(editor, round, kind));
            empty.push(ask(&mut baseline, round, kind));
        }
        let [ours, empty] = [ours, empty].map(|took| Timings::new(took).percentile(99));
        report::limit(what, Duration::from_millis(1), ours, Some(empty));
    };
    measure("code actions as the cursor moves, 10,000 lines, p99", 2);
    measure("code actions when asked for, 10,000 lines, p99", 1);
}
