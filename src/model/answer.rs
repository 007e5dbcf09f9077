//! An answer as a stream of pieces.

use std::future::Future;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Error;

/// One part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The model is thinking; its thoughts are not part of the answer. May be sent more than once.
    Thinking,
    /// The next words, never empty.
    Text(String),
    /// The end of the answer. Nothing follows.
    End(End),
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why it ended.
    pub stop: Stop,
    /// Tokens as the endpoint counted them.
    pub usage: Option<Usage>,
    /// The model that answered, if the endpoint named it.
    pub model: Option<String>,
    /// One sentence for the user if something was unusual, such as a stream that broke off.
    pub note: Option<String>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The model finished.
    End,
    /// The model reached its length limit.
    Length,
    /// It broke off after its first words; [`End::note`] says how.
    Incomplete,
}

impl Stop {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Stop::End => "end",
            Stop::Length => "length",
            Stop::Incomplete => "incomplete",
        }
    }
}

/// Tokens of a question and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Tokens of the answer.
    pub completion: u32,
}

/// The sending half of an answer.
pub type Sender = mpsc::Sender<Result<Piece, Error>>;

/// Pieces that are buffered for the reader; a full buffer makes the endpoint wait.
const WAITING: usize = 64;

/// An answer that is being written. Dropping it closes the connection, which stops the model.
#[derive(Debug)]
pub struct Answer {
    pieces: mpsc::Receiver<Result<Piece, Error>>,
    /// [`Piece::End`] or an error was returned.
    over: bool,
    writing: AbortHandle,
}

impl Answer {
    /// An answer that a task writes. The task is aborted when the answer is dropped.
    pub fn written_by<F>(write: impl FnOnce(Sender) -> F) -> Answer
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, pieces) = mpsc::channel(WAITING);
        Answer {
            pieces,
            over: false,
            writing: tokio::spawn(write(sender)).abort_handle(),
        }
    }

    /// The next piece. Cancel safe. All deadlines are inside.
    ///
    /// After [`Piece::End`] or an error it returns an incomplete end at once.
    ///
    /// # Errors
    /// A failure before the first word. Later ones are a [`Piece::End`] with [`Stop::Incomplete`].
    pub async fn next(&mut self) -> Result<Piece, Error> {
        let piece = match self.over {
            true => None,
            false => self.pieces.recv().await,
        };
        let piece = piece.unwrap_or_else(|| {
            Ok(Piece::End(End {
                stop: Stop::Incomplete,
                usage: None,
                model: None,
                note: Some("The answer broke off.".to_owned()),
            }))
        });
        self.over |= matches!(piece, Err(_) | Ok(Piece::End(_)));
        piece
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.writing.abort();
    }
}
