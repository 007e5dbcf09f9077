//! Connections: strangers get little time and little room, who has shown the token stays.
//!
//! Any user of this machine can connect. What a connection costs us (a descriptor, a buffer) is
//! therefore bounded until its first request has passed the guard.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::Request,
    serve::{Listener, ListenerExt as _},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use tower_service::Service as _;

use super::stream::until;

/// How long a connection may take to get its first request past the guard.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long a connection may take from one request to the next. Clients that keep connections
/// longer find them closed and open others.
const IDLE: Duration = Duration::from_secs(300);
/// Connections that are not known yet; the oldest makes room. Some systems give a process 256 descriptors.
const STRANGERS: usize = 128;
/// Largest request line and headers.
const HEAD: usize = 64 << 10;

/// Whether a connection's first request has passed the guard. Each request carries it.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<AtomicBool>);

impl Known {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The newest connections, known or not: whoever is still a stranger when it leaves here is cut off.
#[derive(Default)]
struct Lobby(VecDeque<oneshot::Sender<Infallible>>);

impl Lobby {
    /// A place for a new connection; the receiver ends when others need it.
    fn enter(&mut self) -> oneshot::Receiver<Infallible> {
        if self.0.len() >= STRANGERS {
            self.0.pop_front();
        }
        let (place, pushed_out) = oneshot::channel();
        self.0.push_back(place);
        pushed_out
    }
}

/// Serves until told to stop, then until all connections have ended.
pub(in crate::service) async fn run(
    listener: TcpListener,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let mut listener = listener.tap_io(|io| {
        // Header and body in two packets would otherwise wait for a delayed ACK.
        if let Err(error) = io.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
    });
    let mut lobby = Lobby::default();
    // Dropped with this future, and its connections with it.
    let mut connections = JoinSet::new();
    let stopping = stopped.clone();
    loop {
        tokio::select! {
            (io, _) = listener.accept() => {
                connections.spawn(converse(io, router.clone(), lobby.enter(), stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = until(&mut stopped) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection from its first byte to its last, or until it becomes a stream.
async fn converse<I>(
    io: I,
    router: Router,
    pushed_out: oneshot::Receiver<Infallible>,
    mut stopped: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let known = Known::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(known.clone());
        router.clone().call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
    );
    let mut welcome_ends = pin!(timeout(INTRODUCTION, pushed_out));
    let (mut is_guest, mut is_open) = (true, true);
    loop {
        tokio::select! {
            // First, so that nobody is cut off whose request is here already.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to the local service failed");
                }
                return;
            }
            _ = &mut welcome_ends, if is_guest => {
                if !known.get() {
                    tracing::debug!("a connection to the local service was cut off: no valid request");
                    return;
                }
                is_guest = false;
            }
            () = until(&mut stopped), if is_open => {
                connection.as_mut().graceful_shutdown();
                is_open = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::guard::{self, Guard};
    use super::*;
    use axum::middleware;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::Instant,
    };

    const US: &str = "host: localhost:4000\r\n";
    const KNOWN: &str = "host: localhost:4000\r\nauthorization: Bearer secret\r\n";

    /// The other end of a new connection, and what has to live as long as it.
    fn connect(lobby: &mut Lobby) -> (DuplexStream, watch::Sender<bool>) {
        let (ours, theirs) = duplex(1 << 16);
        let (stop, stopped) = watch::channel(false);
        let guard = middleware::from_fn_with_state(
            Arc::new(Guard::new(4000, Some("secret"))),
            guard::check,
        );
        let router = Router::new().fallback(|| async { "hello" }).layer(guard);
        tokio::spawn(converse(ours, router, lobby.enter(), stopped));
        (theirs, stop)
    }

    /// What comes until the connection ends, and how long that takes.
    async fn rest(connection: &mut DuplexStream) -> (String, Duration) {
        let started = Instant::now();
        let mut text = Vec::new();
        let _ = connection.read_to_end(&mut text).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        (text, started.elapsed())
    }

    async fn ask(connection: &mut DuplexStream, headers: &str) {
        let request = format!("GET /x HTTP/1.1\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
    }

    /// Asks with the token and reads the answer.
    async fn greet(connection: &mut DuplexStream) {
        ask(connection, KNOWN).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_are_cut_off() {
        let headers = "x: y\r\n".repeat(50);
        for start in [
            "",
            "GET /x",
            "GET /x HTTP/1.1\r\n",
            &format!("GET / HTTP/1.1\r\n{headers}"),
        ] {
            let mut lobby = Lobby::default();
            let (mut connection, _stop) = connect(&mut lobby);
            connection.write_all(start.as_bytes()).await.unwrap();
            let (text, time) = rest(&mut connection).await;
            assert_eq!(text, "", "{start}");
            assert_eq!(time.as_secs(), INTRODUCTION.as_secs(), "{start}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_at_a_time_gains_no_time() {
        let mut lobby = Lobby::default();
        let (mut connection, _stop) = connect(&mut lobby);
        let started = Instant::now();
        let head = format!("GET / HTTP/1.1\r\n{KNOWN}\r\n");
        for byte in head.as_bytes() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if connection.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        let time = started.elapsed();
        assert!(time <= INTRODUCTION + Duration::from_secs(1), "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_does_not_stay() {
        let preflight = "origin: http://localhost:1\r\n";
        for (method, headers, code) in [
            ("GET", US, "401"),
            ("GET", "host: evil.example\r\n", "403"),
            ("OPTIONS", &format!("{US}{preflight}"), "204"),
        ] {
            let mut lobby = Lobby::default();
            let (mut connection, _stop) = connect(&mut lobby);
            let request = format!("{method} /x HTTP/1.1\r\n{headers}\r\n");
            connection.write_all(request.as_bytes()).await.unwrap();
            let (text, time) = rest(&mut connection).await;
            assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{text}");
            assert_eq!(time, Duration::ZERO, "{method} {headers}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endless_headers_end() {
        let mut lobby = Lobby::default();
        let (mut connection, _stop) = connect(&mut lobby);
        connection
            .write_all(b"GET / HTTP/1.1\r\nx: ")
            .await
            .unwrap();
        let mut taken = 0;
        while connection.write_all(&[b'x'; 1024]).await.is_ok() {
            taken += 1024;
        }
        // What lies in the pipe counts.
        assert!(taken <= HEAD + (1 << 16), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_stays() {
        let mut lobby = Lobby::default();
        let (mut connection, _stop) = connect(&mut lobby);
        greet(&mut connection).await;
        let others: Vec<_> = (0..=STRANGERS).map(|_| connect(&mut lobby)).collect();
        for _ in 0..3 {
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
            greet(&mut connection).await;
        }
        drop(others);
        let (text, time) = rest(&mut connection).await;
        assert_eq!((text.as_str(), time.as_secs()), ("", IDLE.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_stranger_makes_room() {
        let mut lobby = Lobby::default();
        let (mut oldest, _stop) = connect(&mut lobby);
        let mut others: Vec<_> = (1..STRANGERS).map(|_| connect(&mut lobby)).collect();
        let second = timeout(Duration::from_secs(1), rest(&mut others[0].0)).await;
        assert!(second.is_err(), "there is room for so many");
        let (mut newest, _stop) = connect(&mut lobby);
        assert_eq!(rest(&mut oldest).await.1, Duration::ZERO);
        greet(&mut newest).await;
        greet(&mut others[0].0).await;
    }

    /// Whose request is there when its place is taken is served all the same.
    #[tokio::test(start_paused = true)]
    async fn nobody_is_cut_off_in_the_rush() {
        let mut lobby = Lobby::default();
        let mut all = Vec::new();
        for _ in 0..5 * STRANGERS {
            let (mut connection, stop) = connect(&mut lobby);
            // It fits into the pipe: nobody else runs meanwhile.
            ask(&mut connection, KNOWN).await;
            all.push((connection, stop));
        }
        for (connection, _) in &mut all {
            let mut answer = [0; 15];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_who_waits() {
        let mut lobby = Lobby::default();
        let (mut connection, stop) = connect(&mut lobby);
        greet(&mut connection).await;
        stop.send_replace(true);
        assert_eq!(rest(&mut connection).await, (String::new(), Duration::ZERO));
    }
}
