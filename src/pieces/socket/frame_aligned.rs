//! Reads no more than a header where a large frame may begin, and records when bytes arrived.
//!
//! tungstenite cuts frames out of its read buffer. If a frame does not fit, it allocates a buffer longer by
//! the frame, and the remainder keeps all of that buffer in memory until it is consumed. The first frame has
//! every conversation id, and a stream may be silent for days.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::time::Instant;

/// The longest frame header; shorter than the rest of a frame that tungstenite would read.
const HEADER: u64 = 14;
/// The shortest handshake response is one byte longer.
const ANSWER: u64 = 128;
/// tungstenite treats a server as hostile if it sends longer responses in pieces this small.
const SHORT_ANSWER: u64 = 512;

/// A transport whose reads stop at the start of a frame, so that the frame gets a buffer of its own.
pub(super) struct FrameAlignedReader<S> {
    inner: Take<S>,
    reads: Reads,
    /// When bytes last arrived.
    heard: Instant,
}

/// The limit of the next read.
enum Reads {
    /// A handshake response of which this many bytes have arrived: read little beyond it.
    Answer(u64),
    /// At most a header, once.
    Header,
    /// Unlimited.
    Freely,
}

impl<S: AsyncRead> FrameAlignedReader<S> {
    pub(super) fn new(inner: S) -> Self {
        FrameAlignedReader {
            inner: inner.take(0),
            reads: Reads::Answer(0),
            heard: Instant::now(),
        }
    }

    /// When bytes last arrived: a large frame takes a while, and its sender is alive meanwhile.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// The next read may begin a frame.
    pub(super) fn frame(&mut self) {
        self.reads = Reads::Header;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FrameAlignedReader<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let limit = match self.reads {
            Reads::Answer(0 | SHORT_ANSWER..) => ANSWER,
            Reads::Answer(_) | Reads::Header => HEADER,
            Reads::Freely => u64::MAX,
        };
        self.inner.set_limit(limit);
        let had = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - had) as u64;
        if read > 0 {
            self.heard = Instant::now();
        }
        self.reads = match self.reads {
            Reads::Answer(before) => Reads::Answer(before + read),
            Reads::Header | Reads::Freely => Reads::Freely,
        };
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FrameAlignedReader<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.inner.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the reads when there is plenty of data and space.
    async fn sizes(transport: &mut FrameAlignedReader<&[u8]>, reads: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        for _ in 0..reads {
            sizes.push(transport.read(&mut [0; 1000]).await.unwrap());
        }
        sizes
    }

    #[tokio::test]
    async fn reads_stop_where_a_frame_may_begin() {
        let plenty = [7; 10_000];
        let mut transport = FrameAlignedReader::new(&plenty[..]);
        assert_eq!(sizes(&mut transport, 4).await, [128, 14, 14, 14]);
        transport.frame();
        assert_eq!(sizes(&mut transport, 3).await, [14, 1000, 1000]);
        transport.frame();
        assert_eq!(sizes(&mut transport, 2).await, [14, 1000]);
    }

    /// tungstenite counts reads of fewer than 128 bytes.
    #[tokio::test]
    async fn a_long_answer_to_a_handshake_comes_in_few_pieces() {
        let plenty = [7; 10_000];
        let mut transport = FrameAlignedReader::new(&plenty[..]);
        let sizes = sizes(&mut transport, 100).await;
        assert_eq!(sizes.iter().filter(|size| **size < 128).count(), 28);
    }
}
