//! The identifier stream: which conversations changed.

use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use uuid::Uuid;

use super::error::Error;
use super::limits;
use super::loopback::BaseUrl;
use super::outcome::Call;
use super::wire::{StreamedIdentifier, streamed_identifiers};

/// What happened to one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It exists, and may be new or changed.
    Upsert {
        /// Which one.
        id: Uuid,
        /// When it changed, in microseconds since the Unix epoch, if the service said so.
        updated: Option<i64>,
    },
    /// It is gone.
    Delete {
        /// Which one.
        id: Uuid,
    },
}

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// In the order they were sent.
    Changes {
        /// The changes that could be understood.
        changes: Vec<Change>,
        /// Some of the frame could not be understood. Items about other kinds of objects do not count.
        malformed: bool,
    },
}

/// An open `/conversations/stream/identifiers`. Dropping it closes it.
pub struct IdentifierStream(Socket<TcpStream>);

impl IdentifierStream {
    /// Connects and upgrades. No `Origin` is sent: we are no web page.
    pub(super) async fn open(
        base: &BaseUrl,
        token: Option<HeaderValue>,
    ) -> Result<IdentifierStream, Error> {
        let call = Call {
            base,
            local: token.is_some(),
            post: false,
        };
        let opening = async {
            let (host, port) = base.host_and_port().ok_or_else(|| call.offline())?;
            let connection = TcpStream::connect((host.as_str(), port))
                .await
                .map_err(|_| call.offline())?;
            // A ping must not wait for the acknowledgement of the one before.
            connection.set_nodelay(true).map_err(|_| call.lost())?;
            Socket::upgrade(connection, base, token).await
        };
        let deadline = limits::HANDSHAKE;
        timeout(deadline, opening)
            .await
            .unwrap_or_else(|_| Err(call.timeout(deadline)))
            .map(IdentifierStream)
    }

    /// The next frame. Pings the service when it has been silent for a while. Safe to cancel.
    ///
    /// # Errors
    /// The stream ended: closed, reset, no answer to a ping, or too large a frame. It stays ended.
    pub async fn next(&mut self) -> Result<Frame, Error> {
        self.0.next().await
    }
}

/// The stream over any transport.
struct Socket<S> {
    base: BaseUrl,
    local: bool,
    socket: WebSocketStream<S>,
    /// When the peer was last heard.
    heard: Instant,
    /// When we pinged, if nothing was heard since.
    pinged: Option<Instant>,
    /// A ping is in the write buffer.
    unflushed: bool,
    ended: Option<Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn upgrade(
        connection: S,
        base: &BaseUrl,
        token: Option<HeaderValue>,
    ) -> Result<Socket<S>, Error> {
        let call = Call {
            base,
            local: token.is_some(),
            post: false,
        };
        let url = base.websocket("/conversations/stream/identifiers");
        let mut request = url
            .into_client_request()
            .map_err(|error| refused(call, error))?;
        let local = token.is_some();
        request
            .headers_mut()
            .extend(token.map(|token| (AUTHORIZATION, token)));
        // The default reserves 128 KiB for reading, for a stream that is silent most of the time.
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(64 << 10)
            .max_message_size(Some(limits::STREAM_MESSAGE))
            .max_frame_size(Some(limits::STREAM_MESSAGE));
        let (socket, _) = client_async_with_config(request, connection, Some(config))
            .await
            .map_err(|error| refused(call, error))?;
        Ok(Socket {
            base: base.clone(),
            local,
            socket,
            heard: Instant::now(),
            pinged: None,
            unflushed: false,
            ended: None,
        })
    }

    async fn next(&mut self) -> Result<Frame, Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let outcome = self.read().await;
        if let Err(error) = &outcome {
            self.ended = Some(error.clone());
        }
        outcome
    }

    /// Every await in here can be dropped without losing anything: a message is handed out in the
    /// poll that completes it, and a ping is noted in the poll that buffers it.
    async fn read(&mut self) -> Result<Frame, Error> {
        loop {
            let deadline = match self.pinged {
                None => self.heard + limits::STREAM_IDLE,
                Some(at) => at + limits::STREAM_PONG,
            };
            if self.unflushed {
                match timeout_at(deadline, self.socket.flush()).await {
                    Ok(Ok(())) => self.unflushed = false,
                    Ok(Err(error)) => return Err(self.broken(error)),
                    Err(_) => return Err(self.silent()),
                }
            }
            match timeout_at(deadline, self.socket.next()).await {
                Ok(Some(Ok(message))) => {
                    self.heard = Instant::now();
                    self.pinged = None;
                    match message {
                        Message::Text(text) => return Ok(frame(text.as_bytes())),
                        Message::Binary(_) => {
                            return Ok(Frame::Changes {
                                changes: Vec::new(),
                                malformed: true,
                            });
                        }
                        Message::Close(_) => return Err(self.call().lost()),
                        // The library answers pings.
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                Ok(Some(Err(error))) => return Err(self.broken(error)),
                Ok(None) => return Err(self.call().lost()),
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

    fn call(&self) -> Call<'_> {
        Call {
            base: &self.base,
            local: self.local,
            post: false,
        }
    }

    /// Half-open: the connection is there, and nobody at its other end.
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

/// The peer went away without closing the stream.
fn is_reset(error: &tungstenite::error::ProtocolError) -> bool {
    use tungstenite::error::ProtocolError;
    matches!(
        error,
        ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete
    )
}

/// A failed upgrade; a refusing answer means the same as for any other request.
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

fn frame(json: &[u8]) -> Frame {
    let Some(items) = streamed_identifiers(json) else {
        return Frame::Changes {
            changes: Vec::new(),
            malformed: true,
        };
    };
    let mut malformed = false;
    let changes = items.into_iter().filter_map(|item| match item {
        StreamedIdentifier::Upsert { id, updated } => Some(Change::Upsert { id, updated }),
        StreamedIdentifier::Delete { id } => Some(Change::Delete { id }),
        StreamedIdentifier::Foreign => None,
        StreamedIdentifier::Malformed => {
            malformed = true;
            None
        }
    });
    Frame::Changes {
        changes: changes.collect(),
        malformed,
    }
}
