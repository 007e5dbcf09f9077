//! A server of a model that follows a script, byte by byte, over raw TCP.
//!
//! It has threads of its own: tests may block, async or not. GETs are answered from a table, each POST by the next
//! script. It parses no more than it must, so that scripts can break every rule.

use super::support::DEADLINE;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// What a POST is answered with.
#[derive(Debug, Clone, Default)]
pub struct Script(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    Wait(Gate),
    Hold,
}

impl Script {
    /// Exactly these bytes, the head included, then the end of the connection.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Script {
        Script::default().bytes(bytes)
    }

    /// A response whose body is the rest of the connection; its head alone.
    pub fn head(status: u16, kind: &str) -> Script {
        let kind = match kind {
            "" => String::new(),
            kind => format!("Content-Type: {kind}\r\n"),
        };
        Script::raw(format!(
            "HTTP/1.1 {status} Some Reason\r\n{kind}Connection: close\r\n\r\n"
        ))
    }

    /// A whole response.
    pub fn body(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Script {
        Script::head(status, kind).bytes(body)
    }

    /// A whole JSON response.
    pub fn json(status: u16, body: &Value) -> Script {
        Script::body(status, "application/json", body.to_string())
    }

    /// A stream of events; its head alone.
    pub fn stream() -> Script {
        Script::head(200, "text/event-stream")
    }

    /// A stream with these words, a count of tokens and the mark of the end.
    pub fn words(words: &[&str]) -> Script {
        let script = words
            .iter()
            .fold(Script::stream(), |script, word| script.word(word));
        script.finish("stop").usage(5, 7).done()
    }

    /// More bytes.
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Script {
        self.0.push(Step::Send(bytes.as_ref().to_vec()));
        self
    }

    /// An event with this data.
    pub fn data(self, data: impl AsRef<str>) -> Script {
        self.bytes(format!("data: {}\n\n", data.as_ref()))
    }

    /// An event with a word of the answer.
    pub fn word(self, word: &str) -> Script {
        self.data(json!({"choices": [{"index": 0, "delta": {"content": word}}]}).to_string())
    }

    /// An event with the end of the model.
    pub fn finish(self, reason: &str) -> Script {
        self.data(
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string(),
        )
    }

    /// An event with a count of tokens.
    pub fn usage(self, prompt: u32, completion: u32) -> Script {
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion});
        self.data(json!({"choices": [], "usage": usage}).to_string())
    }

    /// The mark of the end.
    pub fn done(self) -> Script {
        self.data("[DONE]")
    }

    /// Waits until the gate is opened, or the client has gone.
    pub fn wait(mut self, gate: &Gate) -> Script {
        self.0.push(Step::Wait(gate.clone()));
        self
    }

    /// Keeps the connection open until the client closes it.
    pub fn hold(mut self) -> Script {
        self.0.push(Step::Hold);
        self
    }
}

/// Something that a script waits for.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets the script go on.
    pub fn open(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let waiting = self
            .0
            .1
            .wait_timeout_while(lock(&self.0.0), DEADLINE, |open| !*open);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The bearer token.
    pub fn key(&self) -> Option<&str> {
        self.headers.get("authorization")?.strip_prefix("Bearer ")
    }
}

#[derive(Debug, Default)]
struct State {
    pages: BTreeMap<String, Script>,
    scripts: VecDeque<Script>,
    received: Vec<Received>,
    /// Connections that the client closed while the script was not over.
    closed: usize,
}

/// The server. Ends with the test.
#[derive(Debug)]
pub struct ScriptedEndpoint {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl ScriptedEndpoint {
    /// Starts one that lists the model `test-model`.
    pub fn start() -> ScriptedEndpoint {
        ScriptedEndpoint::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn on(listener: TcpListener) -> ScriptedEndpoint {
        let address = listener.local_addr().unwrap();
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || {
                    let _ = serve(stream, &state);
                });
            }
        });
        let endpoint = ScriptedEndpoint { address, state };
        endpoint
            .list(&json!({"object": "list", "data": [{"id": "test-model", "object": "model"}]}));
        endpoint
    }

    /// Its base URL, with `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What `GET /v1/models` answers.
    pub fn list(&self, list: &Value) {
        self.page("/v1/models", Script::json(200, list));
    }

    /// What a GET of this path answers; others are answered with 404.
    pub fn page(&self, path: &str, script: Script) {
        lock(&self.state.0).pages.insert(path.to_owned(), script);
    }

    /// Removes a page.
    pub fn no_page(&self, path: &str) {
        lock(&self.state.0).pages.remove(path);
    }

    /// What the next POST that has no script yet is answered with.
    pub fn answer(&self, script: Script) {
        lock(&self.state.0).scripts.push_back(script);
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.0).received.clone()
    }

    /// The questions so far.
    pub fn questions(&self) -> Vec<Received> {
        let received = self.received().into_iter();
        received.filter(|one| one.method == "POST").collect()
    }

    /// Waits for so many questions.
    pub fn wait_for_questions(&self, count: usize) {
        self.wait(|state| {
            let questions = state.received.iter().filter(|one| one.method == "POST");
            questions.count() >= count
        });
    }

    /// Waits until the client has closed so many connections before their scripts were over.
    pub fn wait_for_closed(&self, count: usize) {
        self.wait(|state| state.closed >= count);
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        let started = Instant::now();
        let mut state = lock(&self.state.0);
        while !until(&state) {
            let left = DEADLINE.checked_sub(started.elapsed());
            let left = left.expect("it does not happen");
            let woken = self.state.1.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A panic elsewhere fails the test anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request, as one connection has only one.
fn serve(mut stream: TcpStream, state: &(Mutex<State>, Condvar)) -> io::Result<()> {
    let request = read_request(&mut stream)?;
    let script = {
        let mut state = lock(&state.0);
        let script = match &*request.method {
            "POST" => state.scripts.pop_front(),
            _ => state.pages.get(&request.path).cloned(),
        };
        state.received.push(request);
        script
    };
    state.1.notify_all();
    let missing = || {
        Script::json(
            404,
            &json!({"error": {"message": "there is no such thing"}}),
        )
    };
    let script = script.unwrap_or_else(missing);
    let gone = run(&mut stream, &script).is_err();
    if gone {
        lock(&state.0).closed += 1;
        state.1.notify_all();
    }
    Ok(())
}

/// Runs a script; an error if the client goes away before its end.
fn run(stream: &mut TcpStream, script: &Script) -> io::Result<()> {
    for step in &script.0 {
        match step {
            Step::Send(bytes) => stream.write_all(bytes)?,
            Step::Wait(gate) => gate.pass(),
            Step::Hold => {
                let mut byte = [0];
                while stream.read(&mut byte)? > 0 {}
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
    }
    Ok(())
}

fn read_request(stream: &mut TcpStream) -> io::Result<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut next = || first.next().unwrap_or_default().to_owned();
    let (method, path) = (next(), next());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length");
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Received {
        method,
        path,
        headers,
        body,
    })
}
