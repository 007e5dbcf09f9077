//! Connections: over TCP anybody on this machine can connect, over the Unix socket only this user.
//!
//! What a connection costs us (a descriptor, a buffer) is bounded until its first request has shown the token.

use std::{collections::VecDeque, convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    http::Request,
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

/// How long a TCP connection may take to get its first request past the guard.
const AUTH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take from one request to the next. Clients that keep connections
/// longer find them closed and open others.
const IDLE: Duration = Duration::from_secs(300);
/// TCP connections that have not shown the token yet. Some systems give a process 256 descriptors.
const MAX_UNAUTHENTICATED: usize = 128;
/// How long each of them is safe from newer ones: a client that opens hundreds of connections at once needs
/// a moment to send its requests.
const GRACE: Duration = Duration::from_secs(1);
/// How long a connection may take to send its first request once the service is to end.
const FIRST_REQUEST: Duration = Duration::from_millis(200);
/// Largest request line and headers.
const HEAD: usize = 64 << 10;

/// Whether a request of this connection has passed the guard. Each request carries it.
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

/// The TCP connections that have not shown the token, oldest first.
struct Strangers {
    places: Arc<Semaphore>,
    admitted: VecDeque<(Instant, oneshot::Sender<Infallible>)>,
}

/// Held by a connection until it has shown the token.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Ends when a newer connection needs the place.
    evicted: oneshot::Receiver<Infallible>,
}

impl Strangers {
    fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_UNAUTHENTICATED)),
            admitted: VecDeque::new(),
        }
    }

    /// A place for a new connection, as soon as there is one: the oldest has to give up its own once its
    /// [`GRACE`] is over. Safe to cancel.
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
                    // It is cut off, or shows the token at this moment: both give up the place.
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

/// Serves until told to stop, then until every request that has arrived is answered.
pub(in crate::service) async fn run(
    tcp: TcpListener,
    mut socket: Option<Socket>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let mut tcp = tcp.tap_io(without_delay);
    let mut strangers = Strangers::new();
    let mut newcomer = None;
    // Dropped with this future, and its connections with it.
    let mut connections = JoinSet::new();
    let stopping = stopped.clone();
    loop {
        tokio::select! {
            (io, _) = tcp.accept(), if newcomer.is_none() => newcomer = Some(io),
            place = strangers.enter(), if newcomer.is_some() => {
                if let Some(io) = newcomer.take() {
                    connections.spawn(serve(io, router.clone(), Some(place), stopping.clone()));
                }
            }
            io = accept(&mut socket) => {
                connections.spawn(serve(io, router.clone(), None, stopping.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = until(&mut stopped) => break,
        }
    }
    // Whoever connected in time has perhaps sent a request: it is answered rather than cut off.
    for io in socket.into_iter().flat_map(Socket::close) {
        connections.spawn(serve(io, router.clone(), None, stopping.clone()));
    }
    drop(tcp);
    while connections.join_next().await.is_some() {}
}

/// The next connection to the socket; never where there is none.
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

/// Waits for the end of the service, and then for the first request of a connection that was just made: a client
/// that has connected for a POST is about to send it, and could not tell what became of it.
async fn ending(stopped: &mut watch::Receiver<bool>, authenticated: &Authenticated) {
    until(stopped).await;
    let _ = timeout(FIRST_REQUEST, authenticated.wait()).await;
}

/// One connection from its first byte to its last, or until it becomes a stream. `place`: it has to show the
/// token before others need its place.
async fn serve<I>(
    io: I,
    router: Router,
    mut place: Option<Place>,
    mut stopped: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authenticated = Authenticated::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(authenticated.clone());
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
    let mut time_is_up = pin!(sleep(AUTH_TIMEOUT));
    let mut is_open = true;
    loop {
        let is_stranger = place.is_some();
        let evicted = async {
            match &mut place {
                Some(place) => tokio::select! {
                    _ = &mut place.evicted => {}
                    () = &mut time_is_up => {}
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // First, so that nobody is cut off whose request is here already.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to the local service failed");
                }
                return;
            }
            () = authenticated.wait(), if is_stranger => place = None,
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

    /// The other end of a new connection, and what has to live as long as it.
    async fn connect(strangers: &mut Strangers) -> (DuplexStream, watch::Sender<bool>) {
        let (ours, theirs) = duplex(1 << 16);
        let (stop, stopped) = watch::channel(false);
        let guard = middleware::from_fn_with_state(
            Arc::new(Guard::new(4000, Some("secret"))),
            guard::check,
        );
        let router = Router::new().fallback(|| async { "hello" }).layer(guard);
        let place = strangers.enter().await;
        tokio::spawn(serve(ours, router, Some(place), stopped));
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
        ask(connection, TOKEN).await;
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
            let mut strangers = Strangers::new();
            let (mut connection, _stop) = connect(&mut strangers).await;
            connection.write_all(start.as_bytes()).await.unwrap();
            let (text, time) = rest(&mut connection).await;
            assert_eq!(text, "", "{start}");
            assert_eq!(time.as_secs(), AUTH_TIMEOUT.as_secs(), "{start}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_at_a_time_gains_no_time() {
        let mut strangers = Strangers::new();
        let (mut connection, _stop) = connect(&mut strangers).await;
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
    async fn who_is_refused_does_not_stay() {
        let preflight = "origin: http://localhost:1\r\n";
        for (method, headers, code) in [
            ("GET", US, "401"),
            ("GET", "host: evil.example\r\n", "403"),
            ("OPTIONS", &format!("{US}{preflight}"), "204"),
        ] {
            let mut strangers = Strangers::new();
            let (mut connection, _stop) = connect(&mut strangers).await;
            let request = format!("{method} /x HTTP/1.1\r\n{headers}\r\n");
            connection.write_all(request.as_bytes()).await.unwrap();
            let (text, time) = rest(&mut connection).await;
            assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{text}");
            assert_eq!(time, Duration::ZERO, "{method} {headers}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endless_headers_end() {
        let mut strangers = Strangers::new();
        let (mut connection, _stop) = connect(&mut strangers).await;
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

    /// So many connections that ask for nothing.
    async fn crowd(
        strangers: &mut Strangers,
        size: usize,
    ) -> Vec<(DuplexStream, watch::Sender<bool>)> {
        let mut crowd = Vec::new();
        for _ in 0..size {
            crowd.push(connect(strangers).await);
        }
        crowd
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_shown_the_token_stays() {
        let mut strangers = Strangers::new();
        let (mut connection, _stop) = connect(&mut strangers).await;
        greet(&mut connection).await;
        let others = crowd(&mut strangers, MAX_UNAUTHENTICATED + 1).await;
        for _ in 0..3 {
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
            greet(&mut connection).await;
        }
        drop(others);
        let (text, time) = rest(&mut connection).await;
        assert_eq!((text.as_str(), time.as_secs()), ("", IDLE.as_secs()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_stranger_makes_room_after_its_grace() {
        let mut strangers = Strangers::new();
        let (mut oldest, _stop) = connect(&mut strangers).await;
        let mut others = crowd(&mut strangers, MAX_UNAUTHENTICATED - 1).await;
        let second = timeout(Duration::from_secs(1), rest(&mut others[0].0)).await;
        assert!(second.is_err(), "there is room for so many");
        let (mut newest, _stop) = connect(&mut strangers).await;
        assert_eq!(rest(&mut oldest).await.1, Duration::ZERO);
        greet(&mut newest).await;
        greet(&mut others[0].0).await;
    }

    /// As a client does that sends hundreds of requests at once: connections first, then requests.
    #[tokio::test(start_paused = true)]
    async fn connections_with_the_token_are_not_counted_as_strangers() {
        let mut strangers = Strangers::new();
        let mut all = Vec::new();
        for _ in 0..8 {
            let mut some = crowd(&mut strangers, MAX_UNAUTHENTICATED / 2).await;
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

    /// Whose request is there when its place is taken is served all the same.
    #[tokio::test(start_paused = true)]
    async fn nobody_is_cut_off_in_the_rush() {
        let mut strangers = Strangers::new();
        let mut all = Vec::new();
        for _ in 0..5 * MAX_UNAUTHENTICATED {
            let (mut connection, stop) = connect(&mut strangers).await;
            // It fits into the pipe: nobody else runs meanwhile.
            ask(&mut connection, TOKEN).await;
            all.push((connection, stop));
        }
        for (connection, _) in &mut all {
            let mut answer = [0; 15];
            connection.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
        }
    }

    /// A newcomer waits for a place rather than to cut off one that has just come.
    #[tokio::test(start_paused = true)]
    async fn a_new_stranger_is_safe_for_a_moment() {
        let mut strangers = Strangers::new();
        let mut first = crowd(&mut strangers, MAX_UNAUTHENTICATED).await;
        let started = Instant::now();
        let mut late = connect(&mut strangers).await;
        assert_eq!(started.elapsed(), GRACE);
        greet(&mut late.0).await;
        assert_eq!(rest(&mut first[0].0).await.1, Duration::ZERO);
        greet(&mut first[1].0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_who_waits() {
        let mut strangers = Strangers::new();
        let (mut connection, stop) = connect(&mut strangers).await;
        greet(&mut connection).await;
        stop.send_replace(true);
        assert_eq!(rest(&mut connection).await, (String::new(), Duration::ZERO));
    }
    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_on_its_way_at_the_stop_is_answered() {
        let mut strangers = Strangers::new();
        let (mut late, stop) = connect(&mut strangers).await;
        tokio::task::yield_now().await;
        stop.send_replace(true);
        tokio::time::sleep(FIRST_REQUEST / 2).await;
        greet(&mut late).await;
        assert_eq!(rest(&mut late).await, (String::new(), Duration::ZERO));

        let (mut silent, stop) = connect(&mut strangers).await;
        stop.send_replace(true);
        assert_eq!(rest(&mut silent).await, (String::new(), FIRST_REQUEST));
    }
}
