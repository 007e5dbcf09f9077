//! Parses a list of conversations while it arrives.
//!
//! The body is never held: each item is deserialized from the chunk it came in, and only an item that spans
//! two chunks is copied. Everything around the items is skipped byte by byte.

use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::limits;
use super::wire::{Conversation, Readable};
use crate::json::{repair, without_bom};

/// Why parsing stopped. Never has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub(super) &'static str);

const SYNTAX: Unreadable = Unreadable("not JSON");
const NOT_A_LIST: Unreadable = Unreadable("not a list of conversations");
const CUT_SHORT: Unreadable = Unreadable("cut short");
const TOO_LARGE: Unreadable = Unreadable("one conversation is too large");

/// An incremental parser of `{…, "iterable": [conversation, …], …}`.
pub struct ListParser<F> {
    add: F,
    state: State,
    /// The start of a token or item that continues in the next chunk.
    carry: Vec<u8>,
    /// Length of `carry` at which to parse again; parsing sooner would make a huge item quadratic.
    retry_at: usize,
    seen: bool,
    accepted: usize,
    rejected: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before an optional byte order mark.
    Begin,
    /// Before `{`.
    Start,
    /// Before a key or `}`.
    Key { first: bool },
    /// Before `:`.
    Colon { iterable: bool },
    /// Before a value.
    Value { iterable: bool },
    /// Inside a value that is not needed.
    Skip(Skip),
    /// After a value: before `,` or `}`.
    Next,
    /// Before an item or `]`.
    Item { first: bool },
    /// After an item: before `,` or `]`.
    NextItem,
    /// After `}`.
    End,
}

/// Position within a skipped value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Skip {
    depth: u64,
    string: bool,
    escaped: bool,
}

/// Result of one step.
enum Progress {
    /// This many bytes were consumed.
    Consumed(usize),
    /// The token or item at the start of the buffer is not complete.
    Incomplete,
}

impl<F: FnMut(Conversation<'_>)> ListParser<F> {
    /// Every readable conversation goes to `add`.
    pub fn new(add: F) -> Self {
        ListParser {
            add,
            state: State::Begin,
            carry: Vec::new(),
            retry_at: 0,
            seen: false,
            accepted: 0,
            rejected: 0,
        }
    }

    /// The next bytes of the body.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Unreadable> {
        self.feed_any(chunk, None)
    }

    /// Like [`feed`](Self::feed), without checking UTF-8 again.
    pub fn feed_text(&mut self, chunk: &str) -> Result<(), Unreadable> {
        self.feed_any(chunk.as_bytes(), Some(chunk))
    }

    /// `text`: the chunk, if it is known to be UTF-8.
    fn feed_any(&mut self, mut chunk: &[u8], text: Option<&str>) -> Result<(), Unreadable> {
        let whole = chunk.len();
        while !self.carry.is_empty() && !chunk.is_empty() {
            // Complete the partial token, then continue in the chunk.
            let had = self.carry.len();
            let take = chunk.len().min(had.max(4096));
            self.carry.extend_from_slice(&chunk[..take]);
            if self.carry.len() > limits::STREAMED_ITEM {
                return Err(TOO_LARGE);
            }
            if self.carry.len() < self.retry_at {
                chunk = &chunk[take..];
                continue;
            }
            let mut carry = std::mem::take(&mut self.carry);
            let done = self.run(&carry, text_of(&carry), had)?;
            if done >= had {
                chunk = &chunk[done - had..];
                carry.clear();
            } else {
                chunk = &chunk[take..];
                carry.drain(..done);
                self.retry_at = carry.len() * 2;
            }
            self.carry = carry;
        }
        if !chunk.is_empty() {
            let text = text.and_then(|text| text.get(whole - chunk.len()..));
            let text = text.or_else(|| text_of(chunk));
            let done = self.run(chunk, text, usize::MAX)?;
            self.carry.extend_from_slice(&chunk[done..]);
            self.retry_at = self.carry.len() * 2;
        }
        Ok(())
    }

    /// Ends the list: the number of accepted and rejected items.
    pub fn finish(mut self) -> Result<(usize, usize), Unreadable> {
        let carry = std::mem::take(&mut self.carry);
        self.run(&carry, text_of(&carry), usize::MAX)?;
        match self.state {
            State::End if self.seen => Ok((self.accepted, self.rejected)),
            State::End => Err(NOT_A_LIST),
            _ => Err(CUT_SHORT),
        }
    }

    /// Parses until `enough` bytes are consumed or the rest of the buffer is incomplete. Reading `text` is a fifth faster
    /// than reading bytes: serde_json does not check each string again.
    fn run(
        &mut self,
        buffer: &[u8],
        text: Option<&str>,
        enough: usize,
    ) -> Result<usize, Unreadable> {
        let mut at = 0;
        while at < enough {
            if !matches!(self.state, State::Skip(_) | State::Begin) {
                at += buffer[at..]
                    .iter()
                    .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
                    .count();
            }
            if at == buffer.len() {
                break;
            }
            let text = text.and_then(|text| text.get(at..));
            match self.step(&buffer[at..], text)? {
                Progress::Consumed(bytes) => at += bytes,
                Progress::Incomplete => break,
            }
        }
        Ok(at)
    }

    /// One token, item or skipped span at the start of `rest`, which is neither empty nor blank. `text`: the same,
    /// if it is UTF-8.
    fn step(&mut self, rest: &[u8], text: Option<&str>) -> Result<Progress, Unreadable> {
        match (self.state, rest[0]) {
            (State::Begin, 0xef) if rest.len() < 3 => return Ok(Progress::Incomplete),
            (State::Begin, _) => {
                self.state = State::Start;
                return Ok(Progress::Consumed(rest.len() - without_bom(rest).len()));
            }
            (State::Start, b'{') => self.state = State::Key { first: true },
            (State::Start, b'[' | b'"') => return Err(NOT_A_LIST),
            (State::Key { first: true } | State::Next, b'}') => self.state = State::End,
            (State::Key { .. }, b'"') => return self.key(rest),
            (State::Colon { iterable }, b':') => self.state = State::Value { iterable },
            (State::Value { iterable: true }, b'[') => {
                self.seen = true;
                self.state = State::Item { first: true };
            }
            (State::Value { .. }, b',' | b':' | b'}' | b']') => return Err(SYNTAX),
            (State::Value { .. }, _) => {
                self.state = State::Skip(Skip {
                    depth: 0,
                    string: false,
                    escaped: false,
                });
                return Ok(Progress::Consumed(0));
            }
            (State::Skip(skip), _) => return self.skip(skip, rest),
            (State::Next, b',') => self.state = State::Key { first: false },
            (State::Item { first: true } | State::NextItem, b']') => self.state = State::Next,
            (State::NextItem, b',') => self.state = State::Item { first: false },
            (State::Item { .. }, _) => return self.item(rest, text),
            _ => return Err(SYNTAX),
        }
        Ok(Progress::Consumed(1))
    }

    fn key(&mut self, rest: &[u8]) -> Result<Progress, Unreadable> {
        let mut keys = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match keys.next() {
            Some(Ok(_)) => {
                let end = keys.byte_offset();
                // A key may have escapes.
                let iterable = serde_json::from_slice::<String>(&rest[..end])
                    .is_ok_and(|key| key == "iterable");
                self.state = State::Colon { iterable };
                Ok(Progress::Consumed(end))
            }
            Some(Err(error)) if error.classify() != Category::Eof => Err(SYNTAX),
            _ => Ok(Progress::Incomplete),
        }
    }

    fn item(&mut self, rest: &[u8], text: Option<&str>) -> Result<Progress, Unreadable> {
        let (item, end) = match text {
            Some(text) => first(serde_json::Deserializer::from_str(text)),
            None => first(serde_json::Deserializer::from_slice(rest)),
        };
        match item {
            Some(Ok(item)) => {
                // `12` at the end of the buffer may be the start of `123`.
                if end == rest.len() && rest[0] != b'{' && rest[0] != b'[' && rest[0] != b'"' {
                    return Ok(Progress::Incomplete);
                }
                self.take(Some(item));
                Ok(Progress::Consumed(end))
            }
            Some(Err(error)) if error.classify() != Category::Eof => self.odd_item(rest),
            _ => Ok(Progress::Incomplete),
        }
    }

    /// An item that serde rejected: JSON in need of repair, or not JSON.
    fn odd_item(&mut self, rest: &[u8]) -> Result<Progress, Unreadable> {
        let mut items = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match items.next() {
            Some(Ok(_)) => {
                let end = items.byte_offset();
                let repaired = repair(&rest[..end]);
                self.take(
                    repaired
                        .as_deref()
                        .and_then(|item| serde_json::from_slice(item).ok()),
                );
                Ok(Progress::Consumed(end))
            }
            // serde_json does not report "end of input" for a skipped number that is cut here.
            Some(Err(error))
                if error.classify() != Category::Eof
                    && !matches!(rest.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E')) =>
            {
                Err(SYNTAX)
            }
            _ => Ok(Progress::Incomplete),
        }
    }

    fn take(&mut self, item: Option<Readable<Conversation<'_>>>) {
        self.state = State::NextItem;
        match item {
            Some(Readable(Some(conversation))) => {
                self.accepted += 1;
                (self.add)(conversation);
            }
            _ => self.rejected += 1,
        }
    }

    /// Skips everything that has arrived: `indices` can be as long as the list and is not needed.
    fn skip(&mut self, mut skip: Skip, rest: &[u8]) -> Result<Progress, Unreadable> {
        for (at, &byte) in rest.iter().enumerate() {
            match byte {
                _ if skip.escaped => skip.escaped = false,
                b'\\' if skip.string => skip.escaped = true,
                b'"' => skip.string = !skip.string,
                _ if skip.string => {}
                b'{' | b'[' => skip.depth += 1,
                b'}' | b']' if skip.depth > 0 => skip.depth -= 1,
                b',' | b'}' if skip.depth == 0 => {
                    self.state = State::Next;
                    return Ok(Progress::Consumed(at));
                }
                b']' => return Err(SYNTAX),
                _ => {}
            }
        }
        self.state = State::Skip(skip);
        Ok(Progress::Consumed(rest.len()))
    }
}

/// The first value, and where it ends.
fn first<'de, R: serde_json::de::Read<'de>>(
    reader: serde_json::Deserializer<R>,
) -> (
    Option<serde_json::Result<Readable<Conversation<'de>>>>,
    usize,
) {
    let mut items = reader.into_iter();
    let item = items.next();
    (item, items.byte_offset())
}

/// A buffer as text, without a character that continues in the next chunk. `None` if it is not UTF-8.
fn text_of(buffer: &[u8]) -> Option<&str> {
    match std::str::from_utf8(buffer) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&buffer[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
