//! A model that says what the bench wants, when it wants it.

use super::service::read_head;
use serde_json::json;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// An endpoint with one model. Its questions wait until the bench takes them.
pub struct Endpoint {
    port: u16,
    questions: Mutex<Receiver<Question>>,
}

impl Endpoint {
    pub fn start() -> Arc<Endpoint> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, questions) = channel();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let asked = Question::read(connection);
                    asked.map(|question| sender.send(question))
                });
            }
        });
        Arc::new(Endpoint {
            port,
            questions: Mutex::new(questions),
        })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The next question, once it has arrived.
    pub fn question(&self) -> Question {
        self.questions.lock().unwrap().recv().unwrap()
    }

    /// Asks as the least client does.
    pub fn ask(&self) -> TcpStream {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.set_nodelay(true).unwrap();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2";
        connection
            .write_all(format!("{head}\r\n\r\n{{}}").as_bytes())
            .unwrap();
        connection
    }
}

/// A question that is being answered.
pub struct Question(TcpStream);

impl Question {
    /// Answers what is no question at once.
    fn read(connection: TcpStream) -> Option<Question> {
        connection.set_nodelay(true).ok()?;
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let (path, length) = read_head(&mut reader)?;
        reader.read_exact(&mut vec![0; length]).ok()?;
        let mut question = Question(connection);
        if path == "/v1/chat/completions" {
            question.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
            return Some(question);
        }
        let models =
            json!({"object": "list", "data": [{"id": "scripted", "context_length": 32_768}]});
        let body = models.to_string();
        let length = body.len();
        question.write(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ));
        None
    }

    /// The next words; returns when they began to leave. A client that has gone is no error.
    pub fn say(&mut self, words: &str) -> Instant {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": words}}]});
        let event = format!("data: {chunk}\n\n");
        let began = Instant::now();
        self.write(&event);
        began
    }

    pub fn end(mut self) {
        let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        self.write(&format!("data: {last}\n\ndata: [DONE]\n\n"));
    }

    /// Waits until the client has closed the connection.
    pub fn closed(mut self) -> Instant {
        while self.0.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        Instant::now()
    }

    fn write(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes());
    }
}
