//! The one thread that owns stdout, and the handle through which all other code writes.
//!
//! No caller ever waits for the client to read: messages queue up to a cap, and a client that lets
//! the queue grow past it counts as gone.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// Bytes that may wait for the client to read them.
const CAP: usize = 256 * 1024 * 1024;
/// Small messages are batched up to this size, in bytes, into one write.
const BATCH: usize = 64 * 1024;

/// Why nothing can be written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// A write failed: the client closed its end.
    Broken,
    /// The client has stopped reading.
    NotReading,
}

/// Handle to the outgoing stream. Cheap to clone; never blocks on the client.
#[derive(Debug, Clone)]
pub struct Output {
    shared: Arc<Shared>,
    closed: watch::Receiver<Option<Closed>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when there is something to write.
    filled: Condvar,
    /// Signalled when everything has been written, or nothing more can be.
    drained: Condvar,
    closed: watch::Sender<Option<Closed>>,
    cap: usize,
}

#[derive(Debug, Default)]
struct Queue {
    bodies: VecDeque<Vec<u8>>,
    /// Bytes accepted and not yet handed to the operating system.
    bytes: usize,
    closed: bool,
}

impl Output {
    /// Writes to this process's stdout.
    ///
    /// # Errors
    ///
    /// The descriptor could not be duplicated or the thread could not be started.
    pub fn stdout() -> io::Result<Self> {
        // `std::io::Stdout` is line-buffered and would split every frame into two writes.
        #[cfg(unix)]
        let file = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
        #[cfg(windows)]
        let file = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
        Self::start(std::fs::File::from(file))
    }

    /// Writes to `sink`, on a thread of its own.
    ///
    /// # Errors
    ///
    /// The thread could not be started.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        Self::with_cap(sink, CAP)
    }

    fn with_cap(sink: impl Write + Send + 'static, cap: usize) -> io::Result<Self> {
        let (closed, receiver) = watch::channel(None);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            closed,
            cap,
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || writer.write_to(sink))?;
        Ok(Self {
            shared,
            closed: receiver,
        })
    }

    /// Queues one message body; the header is added on the way out. Dropped once closed.
    pub fn send(&self, body: Vec<u8>) {
        let mut queue = self.shared.lock();
        if queue.closed {
            return;
        }
        queue.bytes = queue.bytes.saturating_add(body.len());
        if queue.bytes > self.shared.cap {
            return self.shared.close(queue, Closed::NotReading);
        }
        queue.bodies.push_back(body);
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Resolves when nothing can be written any more, and says why.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.closed.clone();
        let reason = closed.wait_for(Option::is_some).await;
        // The sender lives in `self.shared`, so waiting cannot fail while we are here.
        reason
            .ok()
            .and_then(|reason| *reason)
            .unwrap_or(Closed::Broken)
    }

    /// Blocks until everything queued so far has been written, at most for `within`. Returns
    /// whether it has.
    pub fn flush(&self, within: Duration) -> bool {
        let queue = self.shared.lock();
        let (queue, _) = self
            .shared
            .drained
            .wait_timeout_while(queue, within, |queue| queue.bytes > 0 && !queue.closed)
            .unwrap_or_else(PoisonError::into_inner);
        queue.bytes == 0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, mut queue: MutexGuard<'_, Queue>, reason: Closed) {
        queue.closed = true;
        queue.bodies = VecDeque::new();
        drop(queue);
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            closed.get_or_insert(reason);
            first
        });
        self.filled.notify_all();
        self.drained.notify_all();
    }

    fn write_to(&self, mut sink: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut queue = self.lock();
            while queue.bodies.is_empty() && !queue.closed {
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.closed {
                return;
            }
            batch.clear();
            let mut taken = 0;
            while batch.len() < BATCH
                && let Some(body) = queue.bodies.pop_front()
            {
                taken += body.len();
                frame(&mut batch, &body);
            }
            drop(queue);

            let written = sink.write_all(&batch).and_then(|()| sink.flush());
            if batch.capacity() > 4 * BATCH {
                batch = Vec::new();
            }
            let mut queue = self.lock();
            if written.is_err() {
                return self.close(queue, Closed::Broken);
            }
            queue.bytes = queue.bytes.saturating_sub(taken);
            if queue.bytes == 0 {
                self.drained.notify_all();
            }
        }
    }
}

fn frame(batch: &mut Vec<u8>, body: &[u8]) {
    // Writing to a Vec cannot fail.
    let _ = write!(batch, "Content-Length: {}\r\n\r\n", body.len());
    batch.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::FrameReader;
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(10);

    /// A sink that passes its bytes on, or fails once the receiver is gone.
    struct Pipe(mpsc::SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.0.send(bytes.to_vec()).map_err(gone)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn frames_arrive_whole_and_in_order() {
        let (pipe, bytes) = mpsc::sync_channel(1_000_000);
        let output = Output::start(Pipe(pipe)).unwrap();
        let bodies: Vec<Vec<u8>> = (0..2_000)
            .map(|n| format!("{n}{}", "x".repeat(n)).into_bytes())
            .collect();
        for body in &bodies {
            output.send(body.clone());
        }
        assert!(output.flush(SOON));
        let written: Vec<u8> = bytes.try_iter().flatten().collect();
        let mut frames = FrameReader::new(written.as_slice());
        for body in bodies {
            assert_eq!(frames.next_frame().unwrap(), Some(body));
        }
        assert_eq!(frames.next_frame().unwrap(), None);
    }

    #[tokio::test]
    async fn a_broken_pipe_closes_the_output() {
        let (pipe, bytes) = mpsc::sync_channel(1);
        let output = Output::start(Pipe(pipe)).unwrap();
        drop(bytes);
        output.send(b"{}".to_vec());
        let closed = tokio::time::timeout(SOON, output.closed()).await;
        assert_eq!(closed, Ok(Closed::Broken));
        output.send(b"{}".to_vec());
        assert!(!output.flush(SOON), "nothing was written");
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_up() {
        let (pipe, bytes) = mpsc::sync_channel(0);
        let output = Output::with_cap(Pipe(pipe), 1_000).unwrap();
        for _ in 0..10 {
            output.send(vec![b'x'; 100]);
        }
        assert!(!output.flush(Duration::from_millis(1)), "nobody reads");
        assert_eq!(
            *output.closed.borrow(),
            None,
            "at the cap is still accepted"
        );
        output.send(vec![b'x']);
        let closed = tokio::time::timeout(SOON, output.closed()).await;
        assert_eq!(closed, Ok(Closed::NotReading));
        drop(bytes);
    }
}
