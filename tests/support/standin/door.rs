//! The TCP side: connections pass through a relay that can hold, freeze or cut them.

use super::{Shared, routes};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// What happens to new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    /// Accepted, and then nothing.
    Silent,
    /// Refused: nobody listens.
    Closed,
}

/// One relayed connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub task: AbortHandle,
    pub frozen: bool,
}

/// One port and the relay behind it.
pub(super) struct Entrance {
    pub port: u16,
    pub runtime: Handle,
    shared: Arc<Shared>,
    /// Where the HTTP server is.
    inner: SocketAddr,
    door: Door,
    /// Each signal stops the connections that are open then.
    frozen: watch::Sender<()>,
    accepting: Option<JoinHandle<()>>,
    /// Keeps the port ours while nobody listens there.
    _reserved: TcpSocket,
    _serving: Abort,
}

struct Abort(JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Entrance {
    /// Opens on a free port.
    pub fn open(runtime: Handle, shared: Arc<Shared>) -> Self {
        let (inner, listener) = listen();
        let serving = runtime.spawn(routes::serve(listener, Arc::clone(&shared)));
        let reserved = aside(|| take(0), |socket| socket.local_addr().unwrap().port());
        let mut entrance = Self {
            port: reserved.local_addr().unwrap().port(),
            runtime,
            shared,
            inner,
            door: Door::Closed,
            frozen: watch::channel(()).0,
            accepting: None,
            _reserved: reserved,
            _serving: Abort(serving),
        };
        entrance.accept(Door::Open);
        entrance
    }

    /// Changes what happens to new connections.
    pub fn set(&mut self, door: Door) {
        if door == self.door {
            return;
        }
        self.door = door;
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The port is free only when the task has really gone.
            while !accepting.is_finished() {
                std::thread::yield_now();
            }
        }
        if door != Door::Closed {
            self.accept(door);
        }
    }

    /// Tells the connections that are open now to stop everything.
    pub fn freeze(&self) {
        self.frozen.send_replace(());
    }

    fn accept(&mut self, door: Door) {
        self.door = door;
        let (inner, shared) = (self.inner, Arc::clone(&self.shared));
        let frozen = self.frozen.clone();
        let runtime = self.runtime.enter();
        // Bigger than any number of connections here: none waits for the loop below.
        let listener = take(self.port).listen(1024).unwrap();
        drop(runtime);
        self.accepting = Some(self.runtime.spawn(async move {
            let mut held = Vec::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                match door {
                    Door::Silent => held.push(stream),
                    Door::Open | Door::Closed => relay(stream, inner, &shared, &frozen).await,
                }
            }
        }));
    }
}

/// Connects one client to the HTTP server, and remembers how to cut it.
async fn relay(
    mut outer: TcpStream,
    inner: SocketAddr,
    shared: &Arc<Shared>,
    frozen: &watch::Sender<()>,
) {
    let mut inner = TcpStream::connect(inner).await.unwrap();
    outer.set_nodelay(true).unwrap();
    inner.set_nodelay(true).unwrap();
    // The HTTP server knows the connection by this address.
    let address = inner.local_addr().unwrap();
    let mut frozen = frozen.subscribe();
    let registered = Arc::clone(shared);
    let (go, start) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        // Not before it can be cut.
        let _ = start.await;
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut outer, &mut inner) => {}
            Ok(()) = frozen.changed() => {
                registered.with(|state| {
                    let connection = state.connections.get_mut(&address);
                    connection.into_iter().for_each(|connection| connection.frozen = true);
                });
                // Both ends stay open and nothing moves, until somebody cuts the connection.
                std::future::pending().await
            }
        }
        registered.with(|state| state.connections.remove(&address));
    });
    let connection = Connection {
        task: task.abort_handle(),
        frozen: false,
    };
    shared.with(|state| {
        state.connections.insert(address, connection);
        state.max_connections = state.max_connections.max(state.connections.len());
    });
    let _ = go.send(());
}

/// The ports on which every language server looks for Pieces OS. They are among those that the system gives away.
const SCANNED: std::ops::RangeInclusive<u16> = 39300..=39333;

/// Opens a socket on a free port that is not scanned: a server whose own stand-in is away would find this one.
fn aside<S>(mut open: impl FnMut() -> S, port: impl Fn(&S) -> u16) -> S {
    loop {
        let socket = open();
        if !SCANNED.contains(&port(&socket)) {
            return socket;
        }
    }
}

fn listen() -> (SocketAddr, std::net::TcpListener) {
    let free = || std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let listener = aside(free, |listener| listener.local_addr().unwrap().port());
    listener.set_nonblocking(true).unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// Takes a port (0: a free one) that only this function can take once more. Until somebody listens there,
/// connections are refused, and nobody else is given it.
fn take(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    // Connections of before are still closing.
    socket.set_reuseaddr(true).unwrap();
    #[cfg(unix)]
    socket.set_reuseport(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    socket
}
