//! A scripted model endpoint: raw TCP that speaks the OpenAI chat API as the test says, byte by byte.
//!
//! Threads of its own and a blocking interface, so that any test can use it; an async test that also serves the
//! local service needs a runtime with several threads.

use super::DEADLINE;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The one model that is listed unless the test says otherwise.
pub const MODEL: &str = "scripted";

/// A listening endpoint. It ends with the test process.
pub struct Endpoint {
    /// The base URL, `http://127.0.0.1:PORT/v1`.
    pub url: String,
    shared: Arc<Shared>,
    questions: Mutex<Receiver<Question>>,
}

struct Shared {
    /// The body of `GET /v1/models`.
    models: Mutex<Value>,
    /// What answers at once; without it each question waits for the test.
    script: Mutex<Option<Vec<String>>>,
    listed: AtomicUsize,
    asked: AtomicUsize,
}

impl Endpoint {
    /// An endpoint with the model [`MODEL`], whose questions wait for [`question`](Self::question).
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            models: Mutex::new(Value::Null),
            script: Mutex::default(),
            listed: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        });
        let (sender, receiver) = mpsc::channel();
        let endpoint = Self {
            url,
            shared: shared.clone(),
            questions: Mutex::new(receiver),
        };
        endpoint.list(&[MODEL]);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, sender) = (shared.clone(), sender.clone());
                std::thread::spawn(move || serve(stream, &shared, &sender));
            }
        });
        endpoint
    }

    /// An endpoint that answers each question with these pieces at once.
    pub fn answering(pieces: &[&str]) -> Self {
        let endpoint = Self::start();
        endpoint.answer_with(pieces);
        endpoint
    }

    /// The port that it listens on.
    pub fn port(&self) -> &str {
        let (_, port) = self.url.trim_end_matches("/v1").rsplit_once(':').unwrap();
        port
    }

    /// From now on, answers each question with these pieces at once.
    pub fn answer_with(&self, pieces: &[&str]) {
        let pieces = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        *lock(&self.shared.script) = Some(pieces);
    }

    /// From now on, lists these models.
    pub fn list(&self, names: &[&str]) {
        let models: Vec<_> = names.iter().map(|name| json!({"id": name})).collect();
        self.list_raw(json!({"object": "list", "data": models}));
    }

    /// From now on, answers `GET /v1/models` with this.
    pub fn list_raw(&self, body: Value) {
        *lock(&self.shared.models) = body;
    }

    /// How many times the models were listed.
    pub fn listed(&self) -> usize {
        self.shared.listed.load(Ordering::SeqCst)
    }

    /// How many questions have arrived.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// The next question, once it has arrived.
    pub fn question(&self) -> Question {
        self.question_within(DEADLINE).expect("no question came")
    }

    /// The next question, if it arrives in this time.
    pub fn question_within(&self, time: Duration) -> Option<Question> {
        match lock(&self.questions).recv_timeout(time) {
            Ok(question) => Some(question),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the endpoint has ended"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One question, answered as the test says. Dropping it breaks the connection off.
pub struct Question {
    /// The request, parsed.
    pub body: Value,
    /// The request line and headers.
    pub head: String,
    stream: TcpStream,
}

impl Question {
    /// The texts of the messages, each after its role: `user: Hello`.
    pub fn messages(&self) -> Vec<String> {
        let messages = self.body["messages"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        messages
            .map(|message| format!("{}: {}", text(&message["role"]), text(&message["content"])))
            .collect()
    }

    /// The headers of a stream.
    pub fn begin(&mut self) -> &mut Self {
        self.raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    }

    /// One piece of the answer.
    pub fn say(&mut self, text: &str) -> &mut Self {
        self.chunk(json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
    }

    /// One piece of thought.
    pub fn think(&mut self, text: &str) -> &mut Self {
        self.chunk(json!({"choices": [{"index": 0, "delta": {"reasoning_content": text}}]}))
    }

    /// One event with this JSON.
    pub fn chunk(&mut self, chunk: Value) -> &mut Self {
        self.raw(&format!("data: {chunk}\n\n"))
    }

    /// The end of the answer, with the count of tokens if it is given (prompt, answer).
    pub fn end(mut self, finish: &str, usage: Option<(u32, u32)>) {
        self.chunk(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}));
        if let Some((prompt, completion)) = usage {
            let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion,
                               "total_tokens": prompt + completion});
            self.chunk(json!({"choices": [], "usage": usage}));
        }
        self.raw("data: [DONE]\n\n");
    }

    /// A whole answer in one piece.
    pub fn answer(mut self, text: &str) {
        self.begin().say(text);
        self.end("stop", None);
    }

    /// An error in place of an answer.
    pub fn fail(mut self, status: u16, sentence: &str) {
        let body = json!({"error": {"message": sentence}});
        self.raw(&response(status, &body.to_string()));
    }

    /// Bytes as they are. A client that has gone is no error here.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        let _ = self.stream.write_all(text.as_bytes());
        self
    }

    /// Waits until the client has closed the connection; how long that took.
    pub fn closed(mut self) -> Duration {
        let started = Instant::now();
        self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
        match self.stream.read(&mut [0; 64]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("the client did not close the connection: {other:?}"),
        }
        started.elapsed()
    }
}

fn response(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn serve(stream: TcpStream, shared: &Shared, questions: &Sender<Question>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut question = Question {
        body: serde_json::from_slice(&body).unwrap_or_default(),
        head,
        stream,
    };
    if question.head.starts_with("GET /v1/models ") {
        shared.listed.fetch_add(1, Ordering::SeqCst);
        let models = lock(&shared.models).to_string();
        question.raw(&response(200, &models));
    } else if question.head.starts_with("POST /v1/chat/completions ") {
        shared.asked.fetch_add(1, Ordering::SeqCst);
        let script = lock(&shared.script).clone();
        match script {
            None => drop(questions.send(question)),
            Some(pieces) => {
                question.begin();
                for piece in &pieces {
                    question.say(piece);
                }
                question.end("stop", None);
            }
        }
    } else {
        question.raw(&response(404, "{}"));
    }
}
