//! Raw sockets: a server that answers with whatever bytes a test likes, and requests that no client
//! library would send.

use crate::support::DEADLINE;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that remembers what it was sent and leaves the answer to the test.
pub struct Trap {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicU64,
    requests: Mutex<Vec<String>>,
}

impl Trap {
    /// Starts it on a free port of 127.0.0.1. `answer` gets the head of each request (and what came with
    /// it) and the connection, which is closed afterwards.
    pub fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).unwrap(), answer)
    }

    pub fn on(
        listener: TcpListener,
        answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let (shared, answer) = (Arc::clone(&state), Arc::new(answer));
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(mut connection) = connection else {
                    continue;
                };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                thread::spawn(move || {
                    let Ok(head) = read_head(&mut connection) else {
                        return;
                    };
                    shared.requests.lock().unwrap().push(head.clone());
                    answer(&head, &mut connection);
                });
            }
        });
        Self { port, state }
    }

    /// One that always says the same.
    pub fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, connection| say(connection, &answer))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts it behind a Unix socket as well, as if it were a service of ours.
    #[cfg(unix)]
    pub fn behind(&self, socket: &std::path::Path) {
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        let port = self.port;
        thread::spawn(move || {
            for connection in listener.incoming() {
                let ours = connection.unwrap();
                let theirs = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (mut to, mut from) = (theirs.try_clone().unwrap(), ours.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
                let (mut to, mut from) = (ours, theirs);
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        });
    }

    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Whether there was a request that starts so.
    pub fn was_asked(&self, start: &str) -> bool {
        self.requests().iter().any(|head| head.starts_with(start))
    }
}

/// A head and whatever came with it.
fn read_head(connection: &mut TcpStream) -> io::Result<String> {
    connection.set_read_timeout(Some(DEADLINE))?;
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match connection.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => head.extend_from_slice(&part[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Writes it; a peer that has gone is no error here.
pub fn say(connection: &mut TcpStream, bytes: impl AsRef<[u8]>) {
    let _ = connection.write_all(bytes.as_ref());
}

/// 200 with this body.
pub fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Waits until the other side ends the connection.
pub fn wait_for_end(connection: &mut TcpStream) -> bool {
    let mut part = [0; 4096];
    loop {
        match connection.read(&mut part) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// Sends bytes as they are to a port of this machine; the whole answer, until the connection ends.
pub fn send(port: u16, bytes: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    connection.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Reset counts as an end: what was answered before is here.
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends `start`, then `more` again and again until the other side ends the connection or `most` bytes
/// have been taken; how many were.
pub fn flood(connection: &mut TcpStream, start: &[u8], more: &[u8], most: u64) -> u64 {
    connection.set_write_timeout(Some(DEADLINE)).unwrap();
    if connection.write_all(start).is_err() {
        return 0;
    }
    let mut sent = start.len() as u64;
    while sent < most {
        match connection.write(more) {
            Ok(length) => sent += length as u64,
            Err(_) => break,
        }
    }
    sent
}
