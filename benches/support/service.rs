//! A Pieces service that has its answers ready.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};
use uuid::Uuid;

/// Serves as many conversations of about 2 kB as asked for, from memory, with blocking writes.
pub struct Service {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    conversations: usize,
    list: Vec<u8>,
    first_frame: String,
    listed: Mutex<Option<Instant>>,
    /// How often the list was asked for.
    lists: AtomicUsize,
    /// What is gone.
    deleted: Mutex<HashSet<usize>>,
    streams: Mutex<Vec<WebSocket<TcpStream>>>,
}

impl Service {
    pub fn start(conversations: usize) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let items: Vec<_> = (0..conversations).map(|n| item(n, false)).collect();
        let shared = Arc::new(Shared {
            conversations,
            list: list(conversations),
            first_frame: json!({"iterable": items}).to_string(),
            listed: Mutex::default(),
            lists: AtomicUsize::new(0),
            deleted: Mutex::default(),
            streams: Mutex::default(),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&server);
                thread::spawn(move || shared.serve(connection));
            }
        });
        Service { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How long the body of the list is.
    pub fn list_length(&self) -> usize {
        self.shared.list.len()
    }

    /// When the list was first asked for since this was last called.
    pub fn listed(&self) -> Instant {
        self.shared.listed.lock().unwrap().take().unwrap()
    }

    /// How often the list was asked for so far.
    pub fn lists(&self) -> usize {
        self.shared.lists.load(Ordering::Relaxed)
    }

    /// Deletes a conversation, but for the list, and says so.
    pub fn delete(&self, n: usize) {
        self.shared.deleted.lock().unwrap().insert(n);
        self.announce(n, true);
    }

    /// Says that a conversation changed (or went); returns when it began to.
    pub fn announce(&self, n: usize, deleted: bool) -> Instant {
        let frame = json!({"iterable": [item(n, deleted)]}).to_string();
        let began = Instant::now();
        for stream in self.shared.streams.lock().unwrap().iter_mut() {
            let _ = stream.send(Message::text(frame.clone()));
        }
        began
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream) -> Option<()> {
        connection.set_nodelay(true).ok()?;
        let mut start = [0; 64];
        let length = connection.peek(&mut start).ok()?;
        if start[..length].starts_with(b"GET /conversations/stream/identifiers") {
            let mut stream = tungstenite::accept(connection).ok()?;
            stream.send(Message::text(self.first_frame.clone())).ok()?;
            self.streams.lock().ok()?.push(stream);
            return Some(());
        }
        let mut requests = BufReader::new(connection.try_clone().ok()?).lines();
        loop {
            let request = requests.next()?.ok()?;
            while !requests.next()?.ok()?.is_empty() {}
            let path = request.split(' ').nth(1)?;
            let path = path.split('?').next()?;
            let one = path.strip_prefix("/conversation/");
            let answer: &[u8] = match path {
                "/conversations" => {
                    self.listed.lock().ok()?.get_or_insert_with(Instant::now);
                    self.lists.fetch_add(1, Ordering::Relaxed);
                    &self.list
                }
                "/.well-known/health" => b"ok",
                "/.well-known/version" => b"12.3.10",
                _ => match one.and_then(|id| (0..self.conversations).find(|n| ids(*n, 0) == id)) {
                    Some(n) if self.deleted.lock().ok()?.contains(&n) => b"",
                    Some(n) => &{
                        let mut one = conversation(n);
                        // Different each time.
                        one["name"] = Uuid::new_v4().to_string().into();
                        one.to_string().into_bytes()
                    },
                    None => b"",
                },
            };
            let status = if answer.is_empty() {
                "404 Not Found"
            } else {
                "200 OK"
            };
            let mut head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            let mut connection = &connection;
            if answer.len() < 1 << 16 {
                head.push_str(std::str::from_utf8(answer).ok()?);
                connection.write_all(head.as_bytes()).ok()?;
            } else {
                connection.write_all(head.as_bytes()).ok()?;
                connection.write_all(answer).ok()?;
            }
        }
    }
}

fn item(n: usize, deleted: bool) -> Value {
    let mut item = json!({"conversation": {"id": ids(n, 0)}});
    if deleted {
        item["deleted"] = true.into();
    }
    item
}

/// A list shaped like the documented one.
fn list(conversations: usize) -> Vec<u8> {
    let mut body = b"{\"iterable\":[".to_vec();
    let mut indices = Map::new();
    for n in 0..conversations {
        if n > 0 {
            body.push(b',');
        }
        indices.insert(ids(n, 0), n.into());
        serde_json::to_writer(&mut body, &conversation(n)).unwrap();
    }
    body.extend(b"],\"indices\":");
    serde_json::to_writer(&mut body, &indices).unwrap();
    body.push(b'}');
    body
}

/// The words of the names: enough for every name to be another.
const WORDS: [&str; 16] = [
    "retry", "jitter", "backoff", "parser", "socket", "index", "cache", "token", "async", "borrow",
    "macro", "deadline", "stream", "snapshot", "release", "profile",
];

/// The name of a conversation: six words and a number, about 40 characters.
pub fn name(n: usize) -> String {
    let word = |at: u32| WORDS[(n.wrapping_mul(0x9e37_79b9) >> (at * 4)) % WORDS.len()];
    format!(
        "{} the {} with {} and {} {n}",
        word(1),
        word(2),
        word(3),
        word(4)
    )
}

fn conversation(n: usize) -> Value {
    let plural = |kind: usize, count: usize| {
        let members = (0..count).map(|m| ids(n, kind * 100 + m));
        let iterable: Vec<_> = members.clone().map(|id| json!({"id": id})).collect();
        let indices: Map<_, _> = members
            .enumerate()
            .map(|(at, id)| (id, at.into()))
            .collect();
        json!({"iterable": iterable, "indices": indices})
    };
    json!({
        "schema": {"migration": 20, "semantic": "MAJOR_0_MINOR_0_PATCH_1"},
        "id": ids(n, 0),
        "name": name(n),
        "type": "COPILOT",
        "created": {"value": "2026-11-20T09:14:02.118243Z", "readable": "3 days ago"},
        "updated": {"value": format!("2026-11-20T09:{:02}:{:02}.900Z", n / 60 % 60, n % 60), "readable": "3 days ago"},
        "favorited": false,
        "demo": false,
        "application": {"id": ids(n % 3, 9), "name": "OPEN_SOURCE", "version": "0.1.0", "platform": "LINUX",
            "onboarded": false, "privacy": "OPEN", "capabilities": "BLENDED", "mechanism": "MANUAL",
            "automaticUnload": false},
        "messages": plural(1, 8),
        "annotations": plural(2, 2),
        "assets": plural(3, 1),
        "anchors": {"iterable": [{"id": ids(n % 500, 401)}], "indices": {ids(n % 500, 401): 0}},
        "websites": plural(5, 0),
        "model": {"id": ids(n % 5, 8)},
        "pipeline": {"conversation": {"contextualized_code_dialog": {}}},
        "score": {"manual": 0, "automatic": n % 17},
    })
}

/// The id of a conversation (`kind` 0) or of something in it. Looks random and is the same in every run.
pub fn ids(n: usize, kind: usize) -> String {
    let seed = (n as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Uuid::from_u128(seed.rotate_left(kind as u32).wrapping_add(kind as u128)).to_string()
}
