//! The one thread that owns stdin.
//!
//! A dedicated thread beats tokio's blocking pool in latency, and a read that never returns
//! cannot hold up the end of the process.

use super::frames::FrameReader;
use super::message::{End, Inbound};
use std::io::{self, BufRead};
use std::thread;
use tokio::sync::mpsc;

/// Decoded messages that are queued before reading pauses.
const QUEUE: usize = 64;

/// Reads messages from stdin; the last one is [`Inbound::End`].
///
/// # Errors
///
/// The thread could not be started.
pub fn stdin() -> io::Result<mpsc::Receiver<Inbound>> {
    read("stdin", || io::stdin().lock())
}

/// Reads messages from whatever `open` returns, on a thread of its own.
///
/// # Errors
///
/// The thread could not be started.
pub fn read<R: BufRead>(
    thread_name: &str,
    open: impl FnOnce() -> R + Send + 'static,
) -> io::Result<mpsc::Receiver<Inbound>> {
    let (messages, receiver) = mpsc::channel(QUEUE);
    thread::Builder::new()
        .name(thread_name.to_owned())
        .spawn(move || pump(FrameReader::new(open()), &messages))?;
    Ok(receiver)
}

fn pump<R: BufRead>(mut frames: FrameReader<R>, messages: &mpsc::Sender<Inbound>) {
    loop {
        let message = match frames.next_frame() {
            Ok(Some(body)) => Inbound::decode(&body),
            Ok(None) => Inbound::End(End::from(None)),
            Err(error) => Inbound::End(End::from(Some(error))),
        };
        let ended = matches!(message, Inbound::End(_));
        if messages.blocking_send(message).is_err() || ended {
            return;
        }
    }
}
