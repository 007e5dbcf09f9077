//! The channel from a reader, which blocks, to the sink, which does not.

use std::collections::BTreeMap;
use std::io::{self, Read};

use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::Found;
use crate::service::Kind;
use crate::transfer::report::Progress;

/// Why a reader stops early.
pub(super) enum Stop {
    /// The import was cancelled, or failed elsewhere.
    NobodyListens,
    /// A sentence for the user.
    Because(String),
}

pub(super) type Yield<T = ()> = Result<T, Stop>;

impl Stop {
    pub(super) fn because(sentence: impl Into<String>) -> Self {
        Self::Because(sentence.into())
    }
}

/// A message of a reader.
pub(super) enum Item {
    Found(Found),
    Object(Kind, Value),
    /// A conversation made for messages whose own is missing. A stored one is never replaced by it.
    Recovered(Value),
    Unreadable(Kind, String, String),
    LeftOut(BTreeMap<&'static str, u64>),
    Note(String),
    Progress(Progress),
    /// A keepalive.
    Pulse,
    /// The reader is done; the sentence says why it stopped early.
    Done(Option<String>),
    /// No reader recognises the source.
    Unknown,
}

/// Sends keepalives for a reader that has nothing else to send.
#[derive(Clone)]
pub(super) struct Pulse(Sender<Item>);

impl Pulse {
    /// # Errors
    /// The receiver is gone.
    pub(super) fn beat(&self) -> io::Result<()> {
        match self.0.try_send(Item::Pulse) {
            // A queued item is a keepalive too.
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(io::Error::other("the import was cancelled")),
        }
    }

    /// Wraps a reader so that it sends keepalives while it is read.
    pub(super) fn of<R>(&self, reader: R) -> Beating<R> {
        Beating {
            pulse: self.clone(),
            reader,
            since: 0,
        }
    }
}

/// See [`Pulse::of`].
pub(super) struct Beating<R> {
    pulse: Pulse,
    reader: R,
    /// Bytes since the last keepalive.
    since: usize,
}

/// Bytes between two keepalives.
const BEAT: usize = 8 << 20;

impl<R: Read> Read for Beating<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.since += length;
        if self.since >= BEAT {
            self.since = 0;
            self.pulse.beat()?;
        }
        Ok(length)
    }
}

/// The sending half of a reader. Every method waits for space in the queue, and fails if the receiver is gone.
pub(super) struct Out {
    items: Sender<Item>,
    left_out: BTreeMap<&'static str, u64>,
}

impl Out {
    pub(super) fn new(items: Sender<Item>) -> Self {
        Self {
            items,
            left_out: BTreeMap::new(),
        }
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse(self.items.clone())
    }

    pub(super) fn send(&self, item: Item) -> Yield {
        self.items
            .blocking_send(item)
            .map_err(|_| Stop::NobodyListens)
    }

    /// An object in wire format.
    pub(super) fn put(&self, kind: Kind, object: Value) -> Yield {
        self.send(Item::Object(kind, object))
    }

    /// Reports an unreadable object; `place` names the file or id. Neither may have content.
    pub(super) fn unreadable(&self, kind: Kind, place: impl Into<String>, why: &str) -> Yield {
        self.send(Item::Unreadable(kind, place.into(), why.to_owned()))
    }

    /// Counts parts that an import leaves out; `what` in the singular.
    pub(super) fn left_out(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.left_out.entry(what).or_default() += count;
        }
    }

    /// A sentence for the report.
    pub(super) fn note(&self, sentence: impl Into<String>) -> Yield {
        self.send(Item::Note(sentence.into()))
    }

    pub(super) fn progress(&self, what: &'static str, done: u64, total: u64) -> Yield {
        self.send(Item::Progress(Progress { what, done, total }))
    }

    /// Sends the remaining counts and the end.
    pub(super) fn finish(mut self, outcome: Yield) {
        let why = match outcome {
            Ok(()) => None,
            Err(Stop::Because(sentence)) => Some(sentence),
            Err(Stop::NobodyListens) => return,
        };
        let left_out = std::mem::take(&mut self.left_out);
        // If the receiver is gone, the outcome does not matter.
        let _ = self.send(Item::LeftOut(left_out));
        let _ = self.send(Item::Done(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[test]
    fn reading_beats_until_nobody_listens() {
        let (send, mut items) = mpsc::channel(1);
        let out = Out::new(send);
        let mut reader = out.pulse().of(io::repeat(b'x').take(40 << 20));
        let mut block = vec![0; 3 << 20];
        let beats = |items: &mut mpsc::Receiver<Item>| {
            let beat = items.try_recv();
            matches!(beat, Ok(Item::Pulse))
        };
        reader.read_exact(&mut block).unwrap();
        assert!(!beats(&mut items), "so little says nothing");
        reader.read_exact(&mut block).unwrap();
        reader.read_exact(&mut block).unwrap();
        assert!(beats(&mut items));
        // A full queue needs no keepalive.
        for _ in 0..6 {
            reader.read_exact(&mut block).unwrap();
        }
        assert!(beats(&mut items) && !beats(&mut items));
        drop(items);
        let read = io::copy(&mut reader, &mut io::sink());
        assert!(read.is_err(), "the import was cancelled");
    }
}
