//! The list of all conversations, parsed while it arrives.

use bytes::Bytes;
use bytestring::ByteString;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Client, with_transferables};
use crate::pieces::error::Error;
use crate::pieces::limits;
use crate::pieces::list::{ListParser, Unreadable};
use crate::pieces::wire::Conversation;

/// The contents of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Items that were readable.
    pub total: usize,
    /// The number of items that were not: not an object, or without a usable `id`.
    pub rejected: usize,
}

impl Client {
    /// `GET /conversations?transferables=…`, parsed while it arrives: every readable conversation goes to
    /// `add`, on a blocking thread, in the order of the list. With transferables, anchors may include their
    /// paths.
    ///
    /// # Errors
    /// After any error, everything added before is dropped with `acc`.
    pub async fn list<T: Send + 'static>(
        &self,
        transferables: bool,
        acc: T,
        add: fn(&mut T, Conversation<'_>),
    ) -> Result<(T, Listed), Error> {
        let _permit = self.permit().await?;
        let deadline = limits::COLLECTION_TOTAL;
        let reading = async {
            let path = with_transferables("/conversations", Some(transferables));
            let response = self.send_get(&path, limits::COLLECTION_START).await?;
            self.check_head(&response)?;
            let (chunks, received) = mpsc::channel(limits::CHUNKS_IN_FLIGHT);
            let parsing = spawn_blocking(move || parse(received, acc, add));
            self.pass_on(response, chunks).await?;
            match parsing.await {
                Ok(result) => result.map_err(|Unreadable(why)| self.call().protocol(why)),
                Err(stopped) => match stopped.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(self.call().lost()),
                },
            }
        };
        timeout(deadline, reading)
            .await
            .unwrap_or_else(|_| Err(self.call().timeout(deadline)))
    }

    fn check_head(&self, response: &Response) -> Result<(), Error> {
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
            return Err(self.call().protocol("a web page"));
        }
        self.check_length(response.content_length().unwrap_or(0))
    }

    fn check_length(&self, length: u64) -> Result<(), Error> {
        match length > limits::STREAMED_BODY {
            true => Err(self.call().too_large(limits::STREAMED_BODY)),
            false => Ok(()),
        }
    }

    /// Passes the body on to the parser.
    async fn pass_on(
        &self,
        mut response: Response,
        chunks: mpsc::Sender<Chunk>,
    ) -> Result<(), Error> {
        let mut length = 0_u64;
        while let Some(chunk) = self.chunk(&mut response, limits::COLLECTION_IDLE).await? {
            length += chunk.len() as u64;
            self.check_length(length)?;
            // The parser closes the channel once it has seen enough: its result has the reason.
            if chunks.send(Chunk::of(chunk)).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A part of a list. UTF-8 is checked where it is received, because the parser has much more to do.
enum Chunk {
    Text(ByteString),
    /// Not UTF-8 as a whole: it may begin or end within a character.
    Bytes(Bytes),
}

impl Chunk {
    fn of(bytes: Bytes) -> Self {
        ByteString::try_from(bytes.clone()).map_or(Chunk::Bytes(bytes), Chunk::Text)
    }
}

/// Parses the chunks of a list; runs on a blocking thread.
fn parse<T>(
    mut chunks: mpsc::Receiver<Chunk>,
    mut acc: T,
    add: fn(&mut T, Conversation<'_>),
) -> Result<(T, Listed), Unreadable> {
    let mut parser = ListParser::new(|conversation| add(&mut acc, conversation));
    while let Some(chunk) = chunks.blocking_recv() {
        match chunk {
            Chunk::Text(text) => parser.feed_text(&text)?,
            Chunk::Bytes(bytes) => parser.feed(&bytes)?,
        }
    }
    let (total, rejected) = parser.finish()?;
    Ok((acc, Listed { total, rejected }))
}
