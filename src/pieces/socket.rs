//! A WebSocket to the service: connecting, pings, and how it ends.

mod frame_aligned;

use std::future::poll_fn;
use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::error::Error;
use super::limits;
use super::loopback::BaseUrl;
use super::outcome::Call;
use frame_aligned::FrameAlignedReader;

/// TCP, or the Unix socket of the local service.
pub(super) type Connection = Box<dyn Wire>;

pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

async fn connect(
    base: &BaseUrl,
    socket: Option<&Path>,
    call: Call<'_>,
) -> Result<Connection, Error> {
    #[cfg(unix)]
    if let Some(socket) = socket {
        let connection = tokio::net::UnixStream::connect(socket).await;
        return Ok(Box::new(connection.map_err(|_| call.offline())?));
    }
    #[cfg(not(unix))]
    let _ = socket;
    let (host, port) = base.host_and_port().ok_or_else(|| call.offline())?;
    let connection = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|_| call.offline())?;
    // A ping must not wait for the acknowledgement of the previous one.
    connection.set_nodelay(true).map_err(|_| call.lost())?;
    Ok(Box::new(connection))
}

/// What a WebSocket is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// The route.
    pub(super) path: &'static str,
    /// Silence before a ping.
    pub(super) idle: Duration,
    /// Bytes that may wait to be sent.
    pub(super) unsent: usize,
}

/// What arrived.
#[derive(Debug)]
pub(super) enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message, which no route of the API sends.
    Binary,
    /// Nothing for a while, and the service answered our ping.
    Alive,
}

impl Socket<Connection> {
    /// Connects and upgrades. Sends no `Origin`: we are not a web page.
    pub(super) async fn open(
        base: &BaseUrl,
        socket: Option<&Path>,
        token: Option<HeaderValue>,
        purpose: Purpose,
    ) -> Result<Self, Error> {
        let call = Call {
            base,
            local: token.is_some(),
            post: false,
        };
        let opening = async {
            let connection = connect(base, socket, call).await?;
            Socket::upgrade(connection, base, token, purpose).await
        };
        let deadline = limits::HANDSHAKE;
        timeout(deadline, opening)
            .await
            .unwrap_or_else(|_| Err(call.timeout(deadline)))
    }
}

/// A WebSocket over any transport. Dropping it closes it.
pub(super) struct Socket<S> {
    base: BaseUrl,
    local: bool,
    socket: WebSocketStream<FrameAlignedReader<S>>,
    /// The text read last, kept until the next buffer: see [`frame_aligned`].
    pub(super) last: Option<Utf8Bytes>,
    /// Silence before a ping.
    idle: Duration,
    /// When the last message was returned.
    heard: Instant,
    /// When we pinged, if nothing has arrived since.
    pinged: Option<Instant>,
    /// A ping is in the write buffer.
    unflushed: bool,
    ended: Option<Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) async fn upgrade(
        connection: S,
        base: &BaseUrl,
        token: Option<HeaderValue>,
        purpose: Purpose,
    ) -> Result<Socket<S>, Error> {
        let call = Call {
            base,
            local: token.is_some(),
            post: false,
        };
        let url = base.websocket(purpose.path);
        let mut request = url
            .into_client_request()
            .map_err(|error| refused(call, error))?;
        let local = token.is_some();
        request
            .headers_mut()
            .extend(token.map(|token| (AUTHORIZATION, token)));
        // The default reserves 128 KiB for reading, for a stream that is mostly silent.
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(purpose.unsent)
            .max_message_size(Some(limits::STREAM_MESSAGE))
            .max_frame_size(Some(limits::STREAM_MESSAGE));
        let (socket, _) =
            client_async_with_config(request, FrameAlignedReader::new(connection), Some(config))
                .await
                .map_err(|error| refused(call, error))?;
        Ok(Socket {
            base: base.clone(),
            local,
            socket,
            last: None,
            idle: purpose.idle,
            heard: Instant::now(),
            pinged: None,
            unflushed: false,
            ended: None,
        })
    }

    /// The next message. Pings the service after a period of silence. Cancel safe.
    ///
    /// # Errors
    /// The socket ended: closed, reset, no answer to a ping, or a message that is too large. It stays ended.
    pub(super) async fn next(&mut self) -> Result<Received, Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let outcome = self.read().await;
        if let Err(error) = &outcome {
            self.ended = Some(error.clone());
        }
        outcome
    }

    /// Every await here is cancel safe: a message is returned in the poll that completes it, and a ping is
    /// recorded in the poll that buffers it.
    async fn read(&mut self) -> Result<Received, Error> {
        loop {
            let deadline = self.deadline();
            if self.unflushed {
                match timeout_at(deadline, self.socket.flush()).await {
                    Ok(Ok(())) => self.unflushed = false,
                    Ok(Err(error)) => return Err(self.broken(error)),
                    Err(_) if self.deadline() > deadline => continue,
                    Err(_) => return Err(self.silent()),
                }
            }
            self.socket.get_mut().frame();
            let message = poll_fn(|cx| {
                let message = self.socket.poll_next_unpin(cx);
                self.last = None;
                message
            });
            match timeout_at(deadline, message).await {
                Ok(Some(Ok(message))) => {
                    self.heard = Instant::now();
                    let pinged = self.pinged.take().is_some();
                    match message {
                        Message::Text(text) => {
                            self.last = Some(text.clone());
                            return Ok(Received::Text(text));
                        }
                        Message::Binary(_) => return Ok(Received::Binary),
                        Message::Close(_) => return Err(self.call().lost()),
                        Message::Pong(_) if pinged => return Ok(Received::Alive),
                        // The library answers pings.
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                Ok(Some(Err(error))) => return Err(self.broken(error)),
                Ok(None) => return Err(self.call().lost()),
                // Bytes arrived, but not a whole message yet.
                Err(_) if self.deadline() > deadline => {}
                Err(_) if self.pinged.is_some() => return Err(self.silent()),
                Err(_) => {
                    let ping = self.socket.feed(Message::Ping(bytes::Bytes::new()));
                    match timeout(limits::STREAM_PONG, ping).await {
                        Ok(Ok(())) => {
                            self.pinged = Some(Instant::now());
                            self.unflushed = true;
                        }
                        Ok(Err(error)) => return Err(self.broken(error)),
                        Err(_) => return Err(self.silent()),
                    }
                }
            }
        }
    }

    /// Sends a text message within `deadline`. If this fails or is cancelled, part of it may have been sent.
    ///
    /// # Errors
    /// The socket ended, or the service does not read.
    pub(super) async fn send(&mut self, text: String, deadline: Duration) -> Result<(), Error> {
        match timeout(deadline, self.socket.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broken(error)),
            Err(_) => Err(self.call().timeout(deadline)),
        }
    }

    /// When the silence is too long: for a ping, or after a ping for a timeout.
    fn deadline(&self) -> Instant {
        let heard = self.heard.max(self.socket.get_ref().heard());
        match self.pinged {
            None => heard + self.idle,
            Some(at) => at.max(heard) + limits::STREAM_PONG,
        }
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call {
            base: &self.base,
            local: self.local,
            post: false,
        }
    }

    /// Half-open: the connection exists, but its peer is gone.
    fn silent(&self) -> Error {
        self.call()
            .silent(limits::STREAM_IDLE + limits::STREAM_PONG)
    }

    fn broken(&self, error: tungstenite::Error) -> Error {
        match error {
            tungstenite::Error::Capacity(_) => self.call().too_large(limits::STREAM_MESSAGE as u64),
            tungstenite::Error::Utf8(_) => self.call().protocol("not text"),
            tungstenite::Error::Protocol(error) if !is_reset(&error) => {
                self.call().protocol("not a WebSocket stream")
            }
            _ => self.call().lost(),
        }
    }
}

/// The peer ended the connection without closing the stream.
fn is_reset(error: &tungstenite::error::ProtocolError) -> bool {
    use tungstenite::error::ProtocolError;
    matches!(
        error,
        ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete
    )
}

/// A failed upgrade; an error response means the same as for any other request.
fn refused(call: Call<'_>, error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Http(answer) => match StatusCode::from_u16(answer.status().as_u16()) {
            Ok(status) if !status.is_success() => {
                call.status(status, answer.body().as_deref().unwrap_or_default())
            }
            _ => call.protocol("no WebSocket"),
        },
        tungstenite::Error::Protocol(error) if is_reset(&error) => call.lost(),
        tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed => call.lost(),
        _ => call.protocol("no WebSocket"),
    }
}
