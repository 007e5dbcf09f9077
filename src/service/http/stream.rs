//! Identifier streams: all live ids in the first frame, then one frame per committed change.

use std::time::Duration;

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::Response,
};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    time::timeout,
};

use super::App;
use crate::service::{Failure, store::Kind};

/// Largest message from a client, which has nothing to send here.
const INCOMING: usize = 64 << 10;
/// Bytes of the read buffer that each connection allocates when it opens. Clients send little.
pub(super) const READ_BUFFER: usize = 4 << 10;
/// Deadline for sending one frame; a first frame may be large.
const SEND: Duration = Duration::from_secs(30);

/// Accepts a stream with small incoming messages only.
pub(super) fn limited(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(INCOMING)
        .max_frame_size(INCOMING)
}

/// The identifier stream of a kind.
pub(super) async fn identifiers(
    app: App,
    kind: Kind,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    Ok(limited(upgrade).on_upgrade(move |socket| follow(app, kind, socket)))
}

async fn follow(app: App, kind: Kind, mut socket: WebSocket) {
    let subscribed = app.store.subscribe(kind).await;
    let Ok((first, mut events)) = subscribed else {
        return close(socket, close_code::ERROR, "the store failed").await;
    };
    if !send(&mut socket, Message::Text(first)).await {
        return;
    }
    let mut stopped = app.stopped.clone();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(frame) => {
                    if !send(&mut socket, Message::Text(frame)).await {
                        return;
                    }
                }
                // The first frame of the next stream has everything missed.
                Err(RecvError::Lagged(_)) => {
                    return close(socket, close_code::AGAIN, "too slow; connect again").await;
                }
                Err(RecvError::Closed) => return,
            },
            // Reading answers pings and detects the end.
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // For example a ping, which is all that an idle client sends.
                Some(Ok(_)) => {
                    if app.store.check_place().await.is_err() {
                        return close(socket, close_code::AWAY, "the store is gone").await;
                    }
                }
            },
            () = until(&mut stopped) => {
                return close(socket, close_code::AWAY, "the service is stopping").await;
            }
        }
    }
}

/// A stream that sends at most one frame at the start and then stays open.
pub(super) async fn constant(
    State(app): State<App>,
    greeting: Option<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    limited(upgrade).on_upgrade(move |mut socket| async move {
        if let Some(greeting) = greeting
            && !send(&mut socket, Message::Text(greeting.into())).await
        {
            return;
        }
        let mut stopped = app.stopped.clone();
        loop {
            tokio::select! {
                said = socket.recv() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                () = until(&mut stopped) => {
                    return close(socket, close_code::AWAY, "the service is stopping").await;
                }
            }
        }
    })
}

/// Waits for the service to stop; a dropped sender means the same.
pub(super) async fn until(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// `false` if the client is gone or does not read.
pub(super) async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(SEND, socket.send(message)).await, Ok(Ok(())))
}

/// Closes a stream because the service is stopping.
pub(super) async fn close_stopping(socket: WebSocket) {
    close(socket, close_code::AWAY, "the service is stopping").await;
}

async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    let farewell = socket.send(Message::Close(Some(frame)));
    // The client sees the connection end in any case.
    let _ = timeout(Duration::from_millis(100), farewell).await;
}
