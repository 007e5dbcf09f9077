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
mod tests;
