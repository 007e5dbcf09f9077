//! Connections: any local process can connect over TCP, only this user over the Unix socket.
//!
//! The cost of a connection (a descriptor, a buffer) is bounded until its first request has shown the token.

use std::{collections::VecDeque, convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{Request, StatusCode},
    response::IntoResponse as _,
    serve::{Listener as _, ListenerExt as _},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower_service::Service as _;

use super::stream::until;
use crate::service::socket::Socket;

/// Deadline for the first request of a TCP connection to pass the guard.
const AUTH_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum idle time between two requests. Clients that keep connections longer find them closed and
/// reconnect.
const IDLE: Duration = Duration::from_secs(300);
/// Maximum TCP connections that have not shown the token. Some systems allow a process 256 descriptors.
const MAX_UNAUTHENTICATED: usize = 128;
/// How long an unauthenticated connection is safe from eviction: a client that opens hundreds of connections
/// at once needs time to send its requests.
const GRACE: Duration = Duration::from_secs(1);
/// Deadline for the first request of a connection once the service is stopping.
const FIRST_REQUEST: Duration = Duration::from_millis(200);
/// Largest request line and headers, in bytes.
const HEAD: usize = 64 << 10;

/// Whether a request of this connection has passed the guard. Attached to each request.
#[derive(Clone, Default)]
pub(super) struct Authenticated(Arc<watch::Sender<bool>>);

impl Authenticated {
    pub(super) fn set(&self) {
        self.0.send_replace(true);
    }

    async fn wait(&self) {
        let _ = self.0.subscribe().wait_for(|known| *known).await;
    }
}

/// Whether a connection came over the socket that only this user can open. Attached to each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverSocket(pub(super) bool);

/// TCP connections that have not shown the token, oldest first.
struct PendingConnections {
    places: Arc<Semaphore>,
    admitted: VecDeque<(Instant, oneshot::Sender<Infallible>)>,
}

/// Held by a connection until it has shown the token.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Closes when a newer connection evicts this one.
    evicted: oneshot::Receiver<Infallible>,
}

impl PendingConnections {
    fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_UNAUTHENTICATED)),
            admitted: VecDeque::new(),
        }
    }

    /// Waits for a place for a new connection, evicting the oldest one after its [`GRACE`]. Cancel safe.
    async fn enter(&mut self) -> Place {
        let permit = loop {
            self.admitted.retain(|(_, place)| !place.is_closed());
            let free = Arc::clone(&self.places).acquire_owned();
            let safe = self.admitted.front().map(|(since, _)| *since + GRACE);
            let oldest_may_go = async {
                match safe {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Ok(permit) = free => break permit,
                () = oldest_may_go => {
                    self.admitted.pop_front();
                    // The evicted connection closes, or shows the token at this moment: either frees its
                    // place.
                    if let Ok(permit) = Arc::clone(&self.places).acquire_owned().await {
                        break permit;
                    }
                }
            }
        };
        let (admitted, evicted) = oneshot::channel();
        self.admitted.push_back((Instant::now(), admitted));
        Place {
            _permit: permit,
            evicted,
        }
    }
}

/// Serves until told to stop, then until all requests that have arrived are answered.
pub(in crate::service) async fn run(
    tcp: TcpListener,
    mut socket: Option<Socket>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let mut tcp = tcp.tap_io(without_delay);
    let mut pending = PendingConnections::new();
    let mut accepted = None;
    // Dropped, with its connections, when this future is dropped.
    let mut connections = JoinSet::new();
    let stopping = stopped.clone();
    loop {
        tokio::select! {
            (io, _) = tcp.accept(), if accepted.is_none() => accepted = Some(io),
            place = pending.enter(), if accepted.is_some() => {
                if let Some(io) = accepted.take() {
                    connections.spawn(serve_connection(io, router.clone(), Some(place), stopping.clone()));
                }
            }
            io = accept(&mut socket) => {
                connections.spawn(serve_connection(io, router.clone(), None, stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = until(&mut stopped) => break,
        }
    }
    // Queued connections may have sent a request already: answer it.
    for io in socket.into_iter().flat_map(Socket::close) {
        connections.spawn(serve_connection(io, router.clone(), None, stopping.clone()));
    }
    drop(tcp);
    while connections.join_next().await.is_some() {}
}

/// The next connection to the socket; pending forever if there is no socket.
#[cfg(unix)]
async fn accept(socket: &mut Option<Socket>) -> tokio::net::UnixStream {
    match socket {
        Some(socket) => socket.accept().await,
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn accept(_: &mut Option<Socket>) -> TcpStream {
    std::future::pending().await
}

fn without_delay(io: &mut TcpStream) {
    // Header and body in two packets would otherwise wait for a delayed ACK.
    if let Err(error) = io.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY refused");
    }
}

/// Waits for the service to stop, then for the first request of a new connection: a client that connected for
/// a POST is about to send it, and could not know its outcome.
async fn ending(stopped: &mut watch::Receiver<bool>, authenticated: &Authenticated) {
    until(stopped).await;
    let _ = timeout(FIRST_REQUEST, authenticated.wait()).await;
}

/// The bytes of a request line and headers. hyper bounds what it buffers, and the last read may bring as much
/// again.
fn head_size<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + target;
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + "  HTTP/1.1\r\n\r\n".len() + headers.sum::<usize>()
}

/// Serves one connection until it ends or becomes a stream. `place`: it is not authenticated yet and can be
/// evicted.
async fn serve_connection<I>(
    io: I,
    router: Router,
    mut place: Option<Place>,
    mut stopped: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authenticated = Authenticated::default();
    // A place is for TCP only.
    let over_socket = OverSocket(place.is_none());
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(authenticated.clone());
        request.extensions_mut().insert(over_socket);
        let fits = head_size(&request) <= HEAD;
        let mut router = router.clone();
        async move {
            match fits {
                true => router.call(request).await,
                false => Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()),
            }
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(io), service)
            .with_upgrades()
    );
    let mut deadline = pin!(sleep(AUTH_TIMEOUT));
    let mut is_open = true;
    loop {
        let is_unauthenticated = place.is_some();
        let evicted = async {
            match &mut place {
                Some(place) => tokio::select! {
                    _ = &mut place.evicted => {}
                    () = &mut deadline => {}
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // First, so that a request that has already arrived is served before an eviction.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to the local service failed");
                }
                return;
            }
            () = authenticated.wait(), if is_unauthenticated => place = None,
            () = evicted => {
                tracing::debug!("a connection to the local service was cut off: no valid request");
                return;
            }
            () = ending(&mut stopped, &authenticated), if is_open => {
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
    const TOKEN: &str = "host: localhost:4000\r\nauthorization: Bearer secret\r\n";

    /// The client's end of a new connection, and the sender that keeps it open.
    async fn connect(pending: &mut PendingConnections) -> (DuplexStream, watch::Sender<bool>) {
        let (ours, theirs) = duplex(1 << 16);
        let (stop, stopped) = watch::channel(false);
        let guard = middleware::from_fn_with_state(
            Arc::new(Guard::new(4000, Some("secret"))),
            guard::check,
        );
        let router = Router::new().fallback(|| async { "hello" }).layer(guard);
        let place = pending.enter().await;
        tokio::spawn(serve_connection(ours, router, Some(place), stopped));
        (theirs, stop)
    }

    /// Everything received until the connection ends, and how long that takes.
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

    /// Sends a request with the token and reads the response.
    async fn greet(connection: &mut DuplexStream) {
        ask(connection, TOKEN).await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unauthenticated_connections_are_closed() {
        let headers = "x: y\r\n".repeat(50);
        for start in [
            "",
            "GET /x",
            "GET /x HTTP/1.1\r\n",
            &format!("GET / HTTP/1.1\r\n{headers}"),
        ] {
            let mut pending = PendingConnections::new();
            let (mut connection, _stop) = connect(&mut pending).await;
            connection.write_all(start.as_bytes()).await.unwrap();
            let (text, time) = rest(&mut connection).await;
            assert_eq!(text, "", "{start}");
            assert_eq!(time.as_secs(), AUTH_TIMEOUT.as_secs(), "{start}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_at_a_time_gains_no_time() {
        let mut pending = PendingConnections::new();
        let (mut connection, _stop) = connect(&mut pending).await;
        let started = Instant::now();
        let head = format!("GET / HTTP/1.1\r\n{TOKEN}\r\n");
        for byte in head.as_bytes() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if connection.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        let time = started.elapsed();
        assert!(time <= AUTH_TIMEOUT + Duration::from_secs(1), "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn refused_connections_are_closed() {
        let preflight = "origin: http://localhost:1\r\n";
        for (method, headers, code) in [
            ("GET", US, "401"),
            ("GET", "host: evil.example\r\n", "403"),
            ("OPTIONS", &format!("{US}{preflight}"), "204"),
        ] {
            let mut pending = PendingConnections::new();
            let (mut connection, _stop) = connect(&mut pending).await;
            let request = format!("{method} /x HTTP/1.1\r\n{headers}\r\n");
            connection.write_all(request.as_bytes()).await.unwrap();
            let (text, time) = rest(&mut connection).await;
            assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{text}");
            assert_eq!(time, Duration::ZERO, "{method} {headers}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endless_headers_end() {
        let mut pending = PendingConnections::new();
        let (mut connection, _stop) = connect(&mut pending).await;
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
    async fn heads_end_at_their_limit() {
        for (more, code) in [(0, "200"), (1, "431"), (20 << 10, "431")] {
            let mut pending = PendingConnections::new();
            let (mut connection, _stop) = connect(&mut pending).await;
            let start = format!("GET /x HTTP/1.1\r\n{TOKEN}x: ");
            let filling = "y".repeat(HEAD + more - start.len() - "\r\n\r\n".len());
            let head = format!("{start}{filling}\r\n\r\n");
            // More than the pipe takes at once.
            let (mut answers, mut requests) = tokio::io::split(&mut connection);
            let mut answer = [0; 12];
            let (read, _) = tokio::join!(
                answers.read_exact(&mut answer),
                requests.write_all(head.as_bytes())
            );
            read.unwrap();
            assert_eq!(answer, format!("HTTP/1.1 {code}").as_bytes(), "{more}");
        }
    }

    /// So many connections that ask for nothing.
    async fn crowd(
        pending: &mut PendingConnections,
        size: usize,
    ) -> Vec<(DuplexStream, watch::Sender<bool>)> {
        let mut crowd = Vec::new();
        for _ in 0..size {
            crowd.push(connect(pending).await);
        }
        crowd
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_shown_the_token_stays() {
        let mut pending = PendingConnections::new();
        let (mut connection, _stop) = connect(&mut pending).await;
        greet(&mut connection).await;
        let others = crowd(&mut pending, MAX_UNAUTHENTICATED + 1).await;
        for _ in 0..3 {
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
            greet(&mut connection).await;
        }
        drop(others);
        let (text, time) = rest(&mut connection).await;
        assert_eq!((text.as_str(), time.as_secs()), ("", IDLE.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_pending_connection_is_evicted_after_its_grace() {
        let mut pending = PendingConnections::new();
        let (mut oldest, _stop) = connect(&mut pending).await;
        let mut others = crowd(&mut pending, MAX_UNAUTHENTICATED - 1).await;
        let second = timeout(Duration::from_secs(1), rest(&mut others[0].0)).await;
        assert!(second.is_err(), "there is room for so many");
        let (mut newest, _stop) = connect(&mut pending).await;
        assert_eq!(rest(&mut oldest).await.1, Duration::ZERO);
        greet(&mut newest).await;
        greet(&mut others[0].0).await;
    }

    /// A client that sends hundreds of requests at once: connections first, then requests.
    #[tokio::test(start_paused = true)]
    async fn connections_with_the_token_are_not_counted_as_pending() {
        let mut pending = PendingConnections::new();
        let mut all = Vec::new();
        for _ in 0..8 {
            let mut some = crowd(&mut pending, MAX_UNAUTHENTICATED / 2).await;
            tokio::time::sleep(GRACE * 9 / 10).await;
            for (connection, _) in &mut some {
                greet(connection).await;
            }
            all.extend(some);
        }
        for (connection, _) in &mut all {
            greet(connection).await;
        }
    }

    /// A request that has arrived when its connection is evicted is still served.
    #[tokio::test(start_paused = true)]
    async fn a_burst_of_connections_is_served() {
        let mut pending = PendingConnections::new();
        let mut all = Vec::new();
        for _ in 0..5 * MAX_UNAUTHENTICATED {
            let (mut connection, stop) = connect(&mut pending).await;
            // It fits into the pipe, so no other task runs meanwhile.
            ask(&mut connection, TOKEN).await;
            all.push((connection, stop));
        }
        for (connection, _) in &mut all {
            let mut answer = [0; 15];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        }
    }

    /// A new connection waits for a place rather than evicting one that has just come.
    #[tokio::test(start_paused = true)]
    async fn a_new_pending_connection_is_not_evicted_at_once() {
        let mut pending = PendingConnections::new();
        let mut first = crowd(&mut pending, MAX_UNAUTHENTICATED).await;
        let started = Instant::now();
        let mut late = connect(&mut pending).await;
        assert_eq!(started.elapsed(), GRACE);
        greet(&mut late.0).await;
        assert_eq!(rest(&mut first[0].0).await.1, Duration::ZERO);
        greet(&mut first[1].0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_closes_waiting_connections() {
        let mut pending = PendingConnections::new();
        let (mut connection, stop) = connect(&mut pending).await;
        greet(&mut connection).await;
        stop.send_replace(true);
        assert_eq!(rest(&mut connection).await, (String::new(), Duration::ZERO));
    }
    #[tokio::test(start_paused = true)]
    async fn a_request_in_flight_at_the_stop_is_answered() {
        let mut pending = PendingConnections::new();
        let (mut late, stop) = connect(&mut pending).await;
        tokio::task::yield_now().await;
        stop.send_replace(true);
        tokio::time::sleep(FIRST_REQUEST / 2).await;
        greet(&mut late).await;
        assert_eq!(rest(&mut late).await, (String::new(), Duration::ZERO));

        let (mut silent, stop) = connect(&mut pending).await;
        stop.send_replace(true);
        assert_eq!(rest(&mut silent).await, (String::new(), FIRST_REQUEST));
    }
}
