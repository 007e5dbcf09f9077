//! A Pieces service that has its answers ready.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};
use uuid::Uuid;

/// Serves as many conversations of about 2 kB as asked for, from memory, with blocking writes.
///
/// It is as fast as a service can be, so that what is measured is the client. Of everything but conversations there is
/// nothing.
pub struct Service {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    conversations: usize,
    /// In parts, because a million conversations are two gigabytes.
    list: Vec<Vec<u8>>,
    first_frame: String,
    seen: Mutex<Seen>,
    /// What is gone, but for the list.
    deleted: Mutex<HashSet<usize>>,
    streams: Mutex<Vec<WebSocket<TcpStream>>>,
    /// Streams that are open and have nothing to say.
    quiet: Mutex<Vec<WebSocket<TcpStream>>>,
}

/// What clients did.
#[derive(Default)]
pub struct Seen {
    /// When the first connection was made.
    pub connected: Option<Instant>,
    /// When the list was first asked for.
    pub listed: Option<Instant>,
    /// How often the list was asked for.
    pub lists: usize,
    /// How many requests there were, streams included.
    pub requests: usize,
}

impl Service {
    pub fn start(conversations: usize) -> Service {
        Self::with_names(conversations, name)
    }

    /// One whose conversations have these names.
    pub fn with_names(conversations: usize, name: fn(usize) -> String) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            conversations,
            list: list(conversations, name),
            first_frame: first_frame(conversations),
            seen: Mutex::default(),
            deleted: Mutex::default(),
            streams: Mutex::default(),
            quiet: Mutex::default(),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut seen = server.seen.lock().unwrap();
                seen.connected.get_or_insert_with(Instant::now);
                drop(seen);
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

    pub fn conversations(&self) -> usize {
        self.shared.conversations
    }

    /// How long the body of the list is.
    pub fn list_length(&self) -> usize {
        self.shared.list.iter().map(Vec::len).sum()
    }

    /// What clients did since this was last called.
    pub fn seen(&self) -> Seen {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    /// How often the list was asked for since [`seen`](Self::seen) was last called.
    pub fn lists(&self) -> usize {
        self.shared.seen.lock().unwrap().lists
    }

    /// Deletes a conversation, but for the list, and says so.
    pub fn delete(&self, n: usize) {
        self.shared.deleted.lock().unwrap().insert(n);
        self.announce(n, true);
    }

    /// Says that a conversation changed (or went); returns when it began to.
    pub fn announce(&self, n: usize, deleted: bool) -> Instant {
        let frame = json!({"iterable": [item(n, deleted)]}).to_string();
        let mut streams = self.shared.streams.lock().unwrap();
        let began = Instant::now();
        streams.retain_mut(|stream| stream.send(Message::text(frame.clone())).is_ok());
        began
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream) -> Option<()> {
        connection.set_nodelay(true).ok()?;
        let mut start = [0; 128];
        let length = connection.peek(&mut start).ok()?;
        let start = String::from_utf8_lossy(&start[..length]).into_owned();
        let path = start.split(' ').nth(1)?;
        if path.contains("/stream") {
            self.seen.lock().ok()?.requests += 1;
            return self.stream(path, connection);
        }
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let mut connection = &connection;
        loop {
            let (path, body) = read_head(&mut reader)?;
            std::io::copy(&mut reader.by_ref().take(body as u64), &mut std::io::sink()).ok()?;
            let mut seen = self.seen.lock().ok()?;
            seen.requests += 1;
            if path == "/conversations" {
                seen.listed.get_or_insert_with(Instant::now);
                seen.lists += 1;
            }
            drop(seen);
            if path == "/conversations" {
                let length: usize = self.list.iter().map(Vec::len).sum();
                connection
                    .write_all(head("200 OK", length).as_bytes())
                    .ok()?;
                for part in &self.list {
                    connection.write_all(part).ok()?;
                }
                continue;
            }
            let (status, answer) = match self.small(&path) {
                Some(answer) => ("200 OK", answer),
                None => ("404 Not Found", "Route not found".to_owned()),
            };
            let answer = head(status, answer.len()) + &answer;
            connection.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn stream(&self, path: &str, connection: TcpStream) -> Option<()> {
        let from_client = connection.try_clone().ok()?;
        let mut stream = tungstenite::accept(connection).ok()?;
        let (first_frame, streams) = match path {
            "/conversations/stream/identifiers" => (self.first_frame.as_str(), &self.streams),
            _ => (NOTHING, &self.quiet),
        };
        if path.ends_with("/identifiers") {
            stream.send(Message::text(first_frame)).ok()?;
        }
        streams.lock().ok()?.push(stream);
        // Pings have to be answered, or the client thinks that nobody is here.
        let mut pings = WebSocket::from_raw_socket(from_client, Role::Server, None);
        while pings.read().is_ok() {}
        Some(())
    }

    /// The answer to anything but the list.
    fn small(&self, path: &str) -> Option<String> {
        let answer = match path {
            "/.well-known/health" => return Some("ok".to_owned()),
            "/.well-known/version" => return Some("12.3.10".to_owned()),
            "/anchors" | "/assets" => return Some(NOTHING.to_owned()),
            _ => {
                let n = number(path.strip_prefix("/conversation/")?)?;
                if n >= self.conversations || self.deleted.lock().ok()?.contains(&n) {
                    return None;
                }
                // Different each time.
                conversation(n, Uuid::new_v4().to_string())
            }
        };
        Some(answer.to_string())
    }
}

const NOTHING: &str = r#"{"iterable":[]}"#;

/// What the second word of a request or an answer is (a path without its query, or a status), and how long the body is
/// that follows.
pub fn read_head(reader: &mut impl BufRead) -> Option<(String, usize)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let word = line.split(' ').nth(1)?.split('?').next()?.to_owned();
    let mut body = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body = value.parse().ok()?;
            }
            Some(_) => {}
            None => return Some((word, body)),
        }
    }
}

fn head(status: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n")
}

fn item(n: usize, deleted: bool) -> Value {
    let mut item = json!({"conversation": {"id": ids(n, 0)}});
    if deleted {
        item["deleted"] = true.into();
    }
    item
}

/// Every id in one frame, as at the start of a stream.
fn first_frame(conversations: usize) -> String {
    let mut frame = "{\"iterable\":[".to_owned();
    for n in 0..conversations {
        frame.push_str(if n > 0 { "," } else { "" });
        frame.push_str(&item(n, false).to_string());
    }
    frame + "]}"
}

/// A list shaped like the documented one, in parts.
fn list(conversations: usize, name: fn(usize) -> String) -> Vec<Vec<u8>> {
    // A million are half a minute's work for one core.
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let each = conversations.div_ceil(workers);
    let share = |worker: usize| each * worker..(each * (worker + 1)).min(conversations);
    let mut parts = vec![b"{\"iterable\":[".to_vec()];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || items(share(worker), name)))
            .collect();
        parts.extend(workers.into_iter().map(|worker| worker.join().unwrap()));
    });
    let mut end = "],\"indices\":{".to_owned();
    for n in 0..conversations {
        end.push_str(if n > 0 { "," } else { "" });
        end.push_str(&format!("\"{}\":{n}", ids(n, 0)));
    }
    parts.push((end + "}}").into_bytes());
    parts
}

fn items(numbers: Range<usize>, name: fn(usize) -> String) -> Vec<u8> {
    let mut items = Vec::new();
    for n in numbers {
        if n > 0 {
            items.push(b',');
        }
        serde_json::to_writer(&mut items, &conversation(n, name(n))).unwrap();
    }
    items
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

/// A name that shares all of its words with the others.
pub fn alike(n: usize) -> String {
    format!("retry the parser with the cache and the token {n}")
}

fn conversation(n: usize, name: String) -> Value {
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
        "name": name,
        "type": "COPILOT",
        "created": {"value": CREATED, "readable": "3 days ago"},
        "updated": {"value": format!("2026-11-20T09:{:02}:{:02}.900Z", n / 60 % 60, n % 60), "readable": "3 days ago"},
        "favorited": false,
        "demo": false,
        "application": application(n % 3),
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

fn application(n: usize) -> Value {
    json!({
        "id": ids(n, 9), "name": "OPEN_SOURCE", "version": "0.1.0", "platform": "LINUX", "onboarded": false,
        "privacy": "OPEN", "capabilities": "BLENDED", "mechanism": "MANUAL", "automaticUnload": false,
    })
}

/// The id of a conversation (`kind` 0) or of something in it. Looks random and is the same in every run.
pub fn ids(n: usize, kind: usize) -> String {
    let seed = (n as u128 + 1).wrapping_mul(SPREAD);
    Uuid::from_u128(seed.rotate_left(kind as u32).wrapping_add(kind as u128)).to_string()
}

/// Which conversation has this id, without looking through them.
fn number(id: &str) -> Option<usize> {
    let id = Uuid::parse_str(id).ok()?.as_u128();
    usize::try_from(id.wrapping_mul(UNSPREAD).checked_sub(1)?).ok()
}

const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Its inverse: each round doubles the bits that are right, of which an odd number's own are the first three.
const UNSPREAD: u128 = {
    let (mut inverse, mut round) = (SPREAD, 0);
    while round < 6 {
        inverse = inverse.wrapping_mul(2_u128.wrapping_sub(SPREAD.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
};

const CREATED: &str = "2026-11-20T09:14:02.118243Z";
