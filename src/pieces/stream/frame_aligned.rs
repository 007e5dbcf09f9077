//! Reads no more than a header where a large frame may begin, and notes when bytes arrived.
//!
//! tungstenite cuts frames out of the buffer it reads into. When a frame does not fit, it takes a buffer
//! that is longer by the frame, whatever of it was there already; what is left over keeps all of
//! that buffer in memory until it is used up. The first frame names every conversation, and a stream
//! may be silent for days.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::time::Instant;

/// The longest frame header, and less than tungstenite would go on with.
const HEADER: u64 = 14;
/// The shortest answer to a handshake is a byte longer.
const ANSWER: u64 = 128;
/// tungstenite takes a server for hostile that sends longer answers in pieces this small.
const SHORT_ANSWER: u64 = 512;

/// A transport whose reads stop at the start of a frame, so that the frame gets a buffer of its own.
pub(super) struct FrameAlignedReader<S> {
    inner: Take<S>,
    reads: Reads,
    /// When bytes arrived last.
    heard: Instant,
}

/// How much the next read may take.
enum Reads {
    /// An answer to a handshake, of which so much is here: little that comes after it.
    Answer(u64),
    /// No more than a header, once.
    Header,
    /// As much as there is room for.
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

    /// When bytes arrived last: a large frame takes a while, and its sender is alive meanwhile.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// A frame may begin with what is read next.
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

    /// How much each read takes of plenty, with room for plenty.
    async fn sizes(transport: &mut FrameAlignedReader<&[u8]>, reads: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        for _ in 0..reads {
            sizes.push(transport.read(&mut [0; 1000]).await.unwrap());
        }
        sizes
    }

    #[tokio::test]
    async fn little_where_a_frame_may_begin() {
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
