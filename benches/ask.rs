//! Asking a model: how soon its first words arrive, a fast and long answer, many at once, and stops.
//! `cargo bench --bench ask` (`-- --seconds N` for the length of the fast answer).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::editor::Editor;
use support::endpoint::Endpoint;
use support::{BINARY, Timings, number, process, report};
use tempfile::TempDir;

/// Longer than words are gathered for after the question was sent.
const THINKING: Duration = Duration::from_millis(60);
const ROUNDS: usize = 300;
const STOPS: usize = 100;
/// Of the fast answer.
const PIECES_A_SECOND: usize = 1_000;
const AT_ONCE: usize = 10;
const REFRESH: &str = "workspace/textDocumentContent/refresh";
const EDIT: &str = "workspace/applyEdit";

fn main() {
    let endpoint = Endpoint::start();
    let dir = tempfile::tempdir().unwrap();
    choose(dir.path(), &endpoint.url());
    let mut window = Window::open(&dir);
    let before = window.memory();
    report::title(&format!("First words of an answer, {ROUNDS} rounds"));
    first_words(&mut window, &endpoint, "at once", Duration::ZERO);
    first_words(&mut window, &endpoint, "after a while", THINKING);
    report::title(&format!("Stops, {STOPS} rounds"));
    stops(&mut window, &endpoint);
    report::title(&format!("{AT_ONCE} conversations at once"));
    at_once(&mut window, &endpoint);
    drop(window);
    let seconds = number("--seconds").unwrap_or(60);
    report::title(&format!(
        "{PIECES_A_SECOND} pieces a second for {seconds} s, with the document and the talk file open"
    ));
    let mut window = Window::open(&dir);
    fast(&mut window, &endpoint, seconds);
    report::title("Memory of the language server with its service");
    // By then it has returned what it freed.
    std::thread::sleep(Duration::from_secs(2));
    let after = window.memory();
    report::plain(
        "resident before and 2 s after",
        &kib(before),
        &kib(after),
        "",
    );
}

/// Chooses the endpoint for a data directory, as a person does.
fn choose(dir: &Path, url: &str) {
    let mut command = Command::new(BINARY);
    command.args(["model", "use", url, "--data-dir"]).arg(dir);
    let chosen = command.env_clear().env("HOME", dir).output().unwrap();
    assert!(chosen.status.success(), "{chosen:?}");
}

/// A window on the local service, which it serves itself.
struct Window {
    editor: Editor,
}

impl Window {
    fn open(dir: &TempDir) -> Window {
        let mut command = Command::new(BINARY);
        command
            .args(["--backend", "local", "--data-dir"])
            .arg(dir.path());
        let mut editor = Editor::start(&mut command);
        let capabilities = json!({
            "workspace": {
                "workspaceEdit": {"documentChanges": true},
                "textDocumentContent": {"dynamicRegistration": true},
            },
        });
        editor.initialize_with(capabilities, json!({"liveUpdates": true}));
        editor.notify("initialized", json!({}));
        editor.live();
        Window { editor }
    }

    /// Resident, in KiB.
    fn memory(&self) -> u64 {
        process::memory(self.editor.pid(), "VmRSS")
    }

    /// Sends a command; its partial results have its id as their token.
    fn send(&mut self, command: &str, argument: Value) -> u64 {
        let token = self.editor.next_id();
        let params = json!({
            "command": format!("pieces.conversations.{command}"),
            "arguments": [argument],
            "partialResultToken": token,
        });
        self.editor.ask("workspace/executeCommand", params)
    }

    /// The next message, after what every editor does with it.
    fn next(&mut self, until: Instant) -> Option<(Instant, Value)> {
        let (at, message) = self.editor.next(until)?;
        if message["method"] == "client/registerCapability" {
            self.editor.respond(&message, Value::Null);
        }
        Some((at, message))
    }

    fn wait(&mut self, fits: impl Fn(&Value) -> bool) -> (Instant, Value) {
        let until = Instant::now() + support::editor::PATIENCE;
        loop {
            let message = self.next(until).unwrap();
            if fits(&message.1) {
                return message;
            }
        }
    }

    fn response(&mut self, id: u64) -> (Instant, Value) {
        let (at, mut answer) = self.wait(|message| is_response(message, id));
        assert!(answer["error"].is_null(), "{answer}");
        (at, answer["result"].take())
    }

    fn first_words(&mut self, id: u64) -> Instant {
        self.wait(|message| delta(message, id).is_some()).0
    }
}

fn is_response(message: &Value, id: u64) -> bool {
    message["method"].is_null() && message["id"] == id
}

/// Words in a partial result of this request.
fn delta(message: &Value, id: u64) -> Option<&str> {
    let params = &message["params"];
    let is_its = message["method"] == "$/progress" && params["token"] == id;
    params["value"]["delta"].as_str().filter(|_| is_its)
}

/// From the model's bytes to the editor's pipe, beside a client that only reads them.
fn first_words(window: &mut Window, endpoint: &Endpoint, when: &str, thinking: Duration) {
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let id = window.send("ask", json!({"prompt": format!("Question {round}")}));
        let mut question = endpoint.question();
        std::thread::sleep(thinking);
        let began = question.say("Because");
        ours.push(window.first_words(id) - began);
        question.end();
        window.response(id);

        let connection = endpoint.ask();
        let mut question = endpoint.question();
        let read = std::thread::spawn(move || {
            let lines = BufReader::new(connection).lines();
            let mut lines = lines.map_while(Result::ok);
            assert!(lines.any(|line| line.contains("Because")));
            Instant::now()
        });
        std::thread::sleep(thinking);
        let began = question.say("Because");
        least.push(read.join().unwrap() - began);
    }
    let (ours, least) = (Timings::new(ours), Timings::new(least));
    let above = Duration::from_millis(5);
    let (p50, p99) = (least.percentile(50), least.percentile(99));
    let what = format!("first words {when}, p50 (baseline: a bare client)");
    report::limit(&what, p50 + above, ours.percentile(50), Some(p50));
    let [ours, p99] = [ours.percentile(99), p99].map(report::millis);
    report::plain(&format!("first words {when}, p99"), &ours, &p99, "");
}

/// From a stop, in each of the ways of this window, to its result and to the end of the connection.
fn stops(window: &mut Window, endpoint: &Endpoint) {
    let (mut results, mut closes) = (Vec::new(), Vec::new());
    for round in 0..STOPS {
        let id = window.send("ask", json!({"prompt": format!("Stop {round}")}));
        let mut question = endpoint.question();
        std::thread::sleep(THINKING);
        question.say("Half");
        let (_, said) = window.wait(|message| {
            message["method"] == "pieces/didAnswer" && message["params"]["delta"] == "Half"
        });
        let closed = std::thread::spawn(move || question.closed());
        let began = Instant::now();
        match round % 2 {
            0 => window.editor.notify("$/cancelRequest", json!({ "id": id })),
            _ => {
                let conversation = &said["params"]["conversation"];
                window.send("stop", json!({ "conversation": conversation }));
            }
        }
        let (at, result) = window.response(id);
        assert_eq!(
            (&result["stop"], &result["text"]),
            (&json!("cancelled"), &json!("Half"))
        );
        results.push(at - began);
        closes.push(closed.join().unwrap() - began);
    }
    for (what, budget, took) in [("result", 200, results), ("connection closed", 100, closes)] {
        let (took, budget) = (Timings::new(took), Duration::from_millis(budget));
        let median = report::millis(took.median());
        report::plain(&format!("stop to {what}, p50"), &median, "", "");
        report::limit(
            &format!("stop to {what}, worst"),
            budget,
            took.percentile(100),
            None,
        );
    }
}

/// Ten answers of a hundred pieces a second each.
fn at_once(window: &mut Window, endpoint: &Arc<Endpoint>) {
    const SECONDS: usize = 10;
    let start = window.memory();
    let (cpu, began) = (process::cpu(window.editor.pid()), Instant::now());
    let ids: Vec<u64> = (0..AT_ONCE)
        .map(|n| window.send("ask", json!({"prompt": format!("At once {n}")})))
        .collect();
    let models: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let mut question = endpoint.question();
            std::thread::spawn(move || {
                let mut said = Vec::new();
                let mut text = String::new();
                let start = Instant::now();
                for piece in 0..SECONDS * 100 {
                    sleep_until(start + Duration::from_millis(10) * piece as u32);
                    let words = format!("{piece} ");
                    text.push_str(&words);
                    said.push((text.len(), question.say(&words)));
                }
                question.end();
                (text, said)
            })
        })
        .collect();
    // When each answer had how many bytes here.
    let mut heard: Vec<Vec<(usize, Instant)>> = vec![Vec::new(); AT_ONCE];
    let mut texts = vec![String::new(); AT_ONCE];
    let mut open = AT_ONCE;
    while open > 0 {
        let until = Instant::now() + support::editor::PATIENCE;
        let (at, message) = window.next(until).unwrap();
        for (one, id) in ids.iter().enumerate() {
            if let Some(words) = delta(&message, *id) {
                texts[one].push_str(words);
                heard[one].push((texts[one].len(), at));
            }
            if is_response(&message, *id) {
                assert_eq!(message["result"]["text"], texts[one], "{message}");
                open -= 1;
            }
        }
    }
    let used = process::cpu(window.editor.pid()) - cpu;
    let took = began.elapsed();
    let mut late = Vec::new();
    for model in models {
        let (text, said) = model.join().unwrap();
        // Answers do not say which question they are for: all are the same.
        let one = texts.iter().position(|heard| *heard == text);
        let heard = &heard[one.unwrap()];
        for (length, began) in said {
            let arrived = heard.iter().find(|(bytes, _)| *bytes >= length).unwrap().1;
            late.push(arrived.saturating_duration_since(began));
        }
    }
    let late = Timings::new(late);
    for percent in [50, 99] {
        let took = report::millis(late.percentile(percent));
        report::plain(
            &format!("a piece to the editor's pipe, p{percent}"),
            &took,
            "",
            "",
        );
    }
    let cores = used.as_secs_f64() / took.as_secs_f64();
    report::plain("processor", &format!("{cores:.2} cores"), "", "");
    report::plain(
        "resident before and after",
        &kib(start),
        &kib(window.memory()),
        "",
    );
}

/// A fast, long answer to a question in a talk file, while its conversation is open, too.
fn fast(window: &mut Window, endpoint: &Arc<Endpoint>, seconds: usize) {
    let mut talk = TalkFile::open(window);
    talk.write(window, "Count.\n");
    let id = window.send("send", json!({ "uri": talk.uri }));
    let mut question = endpoint.question();
    let (_, waiting) = window.wait(|message| message["method"] == "pieces/didAnswer");
    let conversation = waiting["params"]["conversation"].as_str().unwrap();
    let document = format!("pieces-conversation:/{conversation}.md");
    let item = json!({"uri": document, "languageId": "markdown", "version": 1, "text": ""});
    window
        .editor
        .notify("textDocument/didOpen", json!({ "textDocument": item }));
    let pid = window.editor.pid();
    let (cpu, began) = (process::cpu(pid), Instant::now());
    let model = std::thread::spawn(move || {
        let mut text = String::new();
        let start = Instant::now();
        for piece in 0..seconds * PIECES_A_SECOND {
            sleep_until(start + Duration::from_secs(1) * piece as u32 / PIECES_A_SECOND as u32);
            let words = match piece % 100 {
                99 => format!("{piece}.\n\n"),
                _ => format!("{piece} "),
            };
            text.push_str(&words);
            question.say(&words);
        }
        question.end();
        text
    });
    let (mut text, mut refreshes, mut edits) = (String::new(), Vec::new(), Vec::new());
    let mut half: Option<u64> = None;
    let result = loop {
        let until = Instant::now() + support::editor::PATIENCE;
        let (at, message) = window.next(until).unwrap();
        if let Some(words) = delta(&message, id) {
            text.push_str(words);
        } else if message["method"] == REFRESH {
            refreshes.push(at);
            window.editor.respond(&message, Value::Null);
            let params = json!({ "uri": document });
            window.editor.ask("workspace/textDocumentContent", params);
        } else if message["method"] == EDIT {
            edits.push(at);
            talk.apply(window, &message);
        } else if is_response(&message, id) {
            break message;
        }
        if half.is_none() && began.elapsed() > Duration::from_secs(seconds as u64) / 2 {
            half = Some(window.memory());
        }
    };
    let took = began.elapsed();
    let cores = (process::cpu(pid) - cpu).as_secs_f64() / took.as_secs_f64();
    let said = model.join().unwrap();
    assert!(result["error"].is_null(), "{result}");
    let lost = said.len() - text.len();
    report::amount("bytes lost on the way", 0.0, "", lost as f64, None);
    assert!(text == said && result["result"]["text"] == said.as_str());
    report::amount("processor", 0.5, "cores", cores, None);
    let (start, end) = (half.unwrap_or_default(), window.memory());
    let grown = end as f64 - start as f64;
    let remark = format!("answer of {}", kib(said.len() as u64 / 1024));
    report::plain(
        "resident at half and at the end",
        &kib(start),
        &kib(end),
        remark,
    );
    report::amount(
        "grown in the second half",
        10.0,
        "MiB",
        grown / 1024.0,
        None,
    );
    report::amount(
        "document refreshes a second, at most",
        4.0,
        "",
        most_a_second(&refreshes),
        None,
    );
    let apart = edits.windows(2).map(|pair| pair[1] - pair[0]).min();
    let apart = apart.map_or_else(String::new, report::millis);
    let remark = format!("{} edits", edits.len());
    report::plain(
        "between two edits of the talk file, least (2 s)",
        &apart,
        "",
        remark,
    );
    // The end is an edit, too.
    while !talk.text.contains(said.trim_end()) {
        let (_, edit) = window.wait(|message| message["method"] == EDIT);
        talk.apply(window, &edit);
    }
    let ended = began.elapsed() - took;
    report::plain(
        "from the end to the whole answer in the talk file",
        &report::millis(ended),
        "",
        "",
    );
}

/// A talk file in an editor that applies edits.
struct TalkFile {
    uri: Value,
    text: String,
    version: i64,
}

impl TalkFile {
    fn open(window: &mut Window) -> TalkFile {
        let id = window.send("talk", json!({}));
        let uri = window.response(id).1["uri"].take();
        let path = uri
            .as_str()
            .unwrap()
            .trim_start_matches("file://")
            .to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let item = json!({"uri": uri, "languageId": "markdown", "version": 1, "text": text});
        window
            .editor
            .notify("textDocument/didOpen", json!({ "textDocument": item }));
        TalkFile {
            uri,
            text,
            version: 1,
        }
    }

    fn write(&mut self, window: &mut Window, more: &str) {
        let changes = vec![self.change(self.text.len()..self.text.len(), more)];
        self.tell(window, changes);
    }

    /// Changes the text; the change as it is told.
    fn change(&mut self, range: std::ops::Range<usize>, text: &str) -> Value {
        let place = |at: usize| {
            let before = &self.text[..at];
            let line = before.matches('\n').count();
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            json!({"line": line, "character": at - start})
        };
        let told =
            json!({"range": {"start": place(range.start), "end": place(range.end)}, "text": text});
        self.text.replace_range(range, text);
        told
    }

    fn apply(&mut self, window: &mut Window, request: &Value) {
        let mut edits = request["params"]["edit"]["documentChanges"][0]["edits"]
            .as_array()
            .unwrap()
            .clone();
        edits.reverse();
        let mut changes = Vec::new();
        for edit in edits {
            let [start, end] = ["start", "end"].map(|which| {
                let place = &edit["range"][which];
                let line = place["line"].as_u64().unwrap() as usize;
                let lines = self.text.split_inclusive('\n').take(line);
                let start: usize = lines.map(str::len).sum();
                // All of it is ASCII but for the markers, where no edit begins.
                start + place["character"].as_u64().unwrap() as usize
            });
            changes.push(self.change(start..end, edit["newText"].as_str().unwrap()));
        }
        self.tell(window, changes);
        window.editor.respond(request, json!({"applied": true}));
    }

    fn tell(&mut self, window: &mut Window, changes: Vec<Value>) {
        self.version += 1;
        let document = json!({"uri": self.uri, "version": self.version});
        let params = json!({"textDocument": document, "contentChanges": changes});
        window.editor.notify("textDocument/didChange", params);
    }
}

/// The most within any second.
fn most_a_second(times: &[Instant]) -> f64 {
    let within = |at: &Instant| {
        let until = *at + Duration::from_secs(1);
        times
            .iter()
            .filter(|one| (*at..until).contains(*one))
            .count()
    };
    times.iter().map(within).max().unwrap_or(0) as f64
}

fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn kib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
