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
    pub fn feed(&mut self, mut chunk: &[u8]) -> Result<(), Unreadable> {
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
            let done = self.run(&carry, had)?;
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
            let done = self.run(chunk, usize::MAX)?;
            self.carry.extend_from_slice(&chunk[done..]);
            self.retry_at = self.carry.len() * 2;
        }
        Ok(())
    }

    /// Ends the list: the number of accepted and rejected items.
    pub fn finish(mut self) -> Result<(usize, usize), Unreadable> {
        let carry = std::mem::take(&mut self.carry);
        self.run(&carry, usize::MAX)?;
        match self.state {
            State::End if self.seen => Ok((self.accepted, self.rejected)),
            State::End => Err(NOT_A_LIST),
            _ => Err(CUT_SHORT),
        }
    }

    /// Parses until `enough` bytes are consumed or the rest of the buffer is incomplete.
    fn run(&mut self, buffer: &[u8], enough: usize) -> Result<usize, Unreadable> {
        // Reading a `str` is a fifth faster: serde_json does not check each string again.
        let text = text_of(buffer);
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
mod tests {
    use super::super::wire;
    use super::super::wire::damaged::{any_json, damaged};
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    type Outcome = Result<(Vec<Conversation<'static>>, usize), Unreadable>;

    /// The conversations of a list that arrives in these chunks, and how many could not be read.
    fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut read = Vec::new();
        let mut parser =
            ListParser::new(|conversation: Conversation<'_>| read.push(conversation.into_owned()));
        for chunk in chunks {
            parser.feed(chunk)?;
        }
        let (accepted, rejected) = parser.finish()?;
        assert_eq!(accepted, read.len());
        Ok((read, rejected))
    }

    /// The result does not depend on the chunks, except for which error is found first.
    fn chunks_do_not_matter(json: &[u8], cuts: &[usize]) {
        let mut cuts = cuts.to_vec();
        cuts.extend([0, json.len()]);
        cuts.sort_unstable();
        let whole = parse([json]).ok();
        let pieces = parse(cuts.windows(2).map(|cut| &json[cut[0]..cut[1]]));
        assert_eq!(whole, pieces.ok(), "cut at {cuts:?}");
        assert_eq!(whole, parse(json.chunks(1)).ok(), "byte by byte");
    }

    /// A list is read like its conversations one by one.
    fn is_what_is_in_it(body: &[u8]) {
        let Ok(list) = crate::json::from_slice::<Value>(body) else {
            return;
        };
        let expected = list["iterable"].as_array().map(|items| {
            let read = |item: &Value| wire::conversation(item.to_string().as_bytes()).ok()?;
            let read: Vec<_> = items.iter().filter_map(read).collect();
            let rejected = items.len() - read.len();
            (read, rejected)
        });
        // As it is written here, every key is there once.
        assert_eq!(parse([list.to_string().as_bytes()]).ok(), expected);
    }

    /// An item of a list that is JSON costs at most itself: how many then could not be read.
    fn costs_no_other(item: &[u8]) -> Option<usize> {
        serde_json::from_slice::<IgnoredAny>(item).ok()?;
        let [first, last] = [whole(1), whole(3)].map(|one| one.to_string());
        let list = [
            b"{\"iterable\":[",
            first.as_bytes(),
            b",",
            item,
            b",",
            last.as_bytes(),
            b"]}",
        ]
        .concat();
        let expected = parse([json!({"iterable": [whole(1), whole(3)]})
            .to_string()
            .as_bytes()]);
        let (Ok((read, rejected)), Ok((expected, 0))) = (parse([&list[..]]), expected) else {
            panic!("no list");
        };
        assert_eq!(read.len() + rejected, 3);
        assert_eq!(
            (read.first(), read.last()),
            (expected.first(), expected.last())
        );
        Some(rejected)
    }

    /// The id number `n`.
    fn id(n: u8) -> String {
        uuid::Uuid::from_bytes([n; 16]).to_string()
    }

    /// A conversation with everything.
    fn whole(n: u8) -> Value {
        let other = id(n ^ 0x80);
        json!({
            "id": id(n), "name": format!("Conversation \"{n}\""), "type": "COPILOT", "favorited": true,
            "created": {"value": "2026-11-20T09:14:02.118243Z", "readable": "3 days ago"},
            "updated": {"value": "2026-11-20T09:20:41.900Z"},
            "application": {"id": other, "name": "VS_CODE"},
            "messages": {"iterable": [{"id": other}], "indices": {&other: 0}},
            "assets": {"iterable": [{"id": other}], "indices": {&other: 0}},
            "anchors": {"iterable": [{"id": other, "reference": {"points": {"iterable": [
                {"id": other, "reference": {"fullpath": "/home/u/a.rs"}}]}}}]},
            "score": {"manual": -1, "automatic": 0.5},
        })
    }

    /// `json` with `'` for `"` and `#n` for the id number n: the ids read, and how many were rejected.
    fn check(json: &str, expected: Result<(&[u8], usize), Unreadable>) {
        let mut json = json.replace('\'', "\"");
        for n in 1..=9 {
            json = json.replace(&format!("#{n}"), &id(n));
        }
        let expected = expected
            .map(|(ids, rejected)| (ids.iter().map(|n| id(*n)).collect::<Vec<_>>(), rejected));
        let ids = |outcome: Outcome| {
            outcome.map(|(read, rejected)| {
                (
                    read.iter().map(|c| c.id.to_string()).collect::<Vec<_>>(),
                    rejected,
                )
            })
        };
        assert_eq!(ids(parse([json.as_bytes()])), expected, "whole: {json}");
        assert_eq!(
            ids(parse(json.as_bytes().chunks(1))),
            expected,
            "byte by byte: {json}"
        );
    }

    #[test]
    fn shapes() {
        type Row = (&'static str, Result<(&'static [u8], usize), Unreadable>);
        let table: &[Row] = &[
            ("{'iterable':[]}", Ok((&[], 0))),
            (" \r\n\t{ 'iterable' : [ ] } \n", Ok((&[], 0))),
            ("\u{feff}{'iterable':[{'id':'#1'}]}", Ok((&[1], 0))),
            ("\u{feff}\u{feff}{'iterable':[]}", Err(SYNTAX)),
            ("{'iterable':[{'id':'#1'}]}", Ok((&[1], 0))),
            ("{'iterable':[{'id':'#1'} , {'id':'#2'}]}", Ok((&[1, 2], 0))),
            // Other fields.
            (
                "{'schema':{'a':[1,{'b':'}]\\\\'}],'c':null},'iterable':[{'id':'#1'}],'indices':{'#1':0}}",
                Ok((&[1], 0)),
            ),
            (
                "{'x':-1.5e3,'y':'\\\\\\'','iterable':[{'id':'#1'}],'z':true}",
                Ok((&[1], 0)),
            ),
            (
                "{'score':{},'iterable':[{'id':'#1'}],'iterable':[{'id':'#2'}]}",
                Ok((&[1, 2], 0)),
            ),
            ("{'\\u0069terable':[{'id':'#1'}]}", Ok((&[1], 0))),
            // Malformed items are lost alone.
            (
                "{'iterable':[null,1,-2.5e3,true,'x',[],[[{}]],{},{'id':null},{'id':7},{'id':'x'},{'id':'#1'}]}",
                Ok((&[1], 11)),
            ),
            (
                "{'iterable':[{'id':'#1','name':'\\ud800'},{'id':'#2','name':'\\ud83d\\ude00'}]}",
                Ok((&[1, 2], 0)),
            ),
            (
                "{'iterable':[{'id':'#1','updated':1e999},{'id':'#2','x':1e999}]}",
                Ok((&[1, 2], 0)),
            ),
            (
                "{'iterable':[{'id':'#1','score':{'a':-1.25E+2,'b':[0.5,-0]}},{'id':'#2'}]}",
                Ok((&[1, 2], 0)),
            ),
            // Not a list.
            ("", Err(CUT_SHORT)),
            ("{}", Err(NOT_A_LIST)),
            ("{'iterable':null}", Err(NOT_A_LIST)),
            ("{'iterable':{}}", Err(NOT_A_LIST)),
            ("{'indices':{'#1':0}}", Err(NOT_A_LIST)),
            ("{'x':{'iterable':[]}}", Err(NOT_A_LIST)),
            ("[]", Err(NOT_A_LIST)),
            ("'ok'", Err(NOT_A_LIST)),
            ("null", Err(SYNTAX)),
            ("<!doctype html>", Err(SYNTAX)),
            ("Route not found", Err(SYNTAX)),
            // Malformed JSON.
            ("{'iterable':[{'id':'#1'}", Err(CUT_SHORT)),
            ("{'iterable':[{'id':'#1'}]", Err(CUT_SHORT)),
            ("{'iterable':[{'id':'#1'},", Err(CUT_SHORT)),
            ("{'iterable':[{'id':'#1'", Err(CUT_SHORT)),
            ("{'iterable':[],'indices':{'#1':", Err(CUT_SHORT)),
            ("{'iterable':[1", Err(CUT_SHORT)),
            ("{'iterable':[{'id':'#1'},]}", Err(SYNTAX)),
            ("{'iterable':[,{'id':'#1'}]}", Err(SYNTAX)),
            ("{'iterable':[{'id':'#1'}{'id':'#2'}]}", Err(SYNTAX)),
            ("{'iterable':[{'id':'#1'}}]}", Err(SYNTAX)),
            ("{'iterable':[{'id':#1}]}", Err(SYNTAX)),
            ("{'iterable':[{'id':'#1' 'x':1}]}", Err(SYNTAX)),
            ("{'iterable':[]},", Err(SYNTAX)),
            ("{'iterable':[]}{}", Err(SYNTAX)),
            ("{'iterable'}", Err(SYNTAX)),
            ("{'a':,'iterable':[]}", Err(SYNTAX)),
            ("{,'iterable':[]}", Err(SYNTAX)),
            ("{'iterable':[],}", Err(SYNTAX)),
            ("{'a':],'iterable':[]}", Err(SYNTAX)),
        ];
        for (json, expected) in table {
            check(json, *expected);
        }
    }

    #[test]
    fn a_huge_item_is_read_in_linear_time() {
        // 8 MB in 1 kB chunks: quadratic work would be 32 GB of parsing.
        let text = "x".repeat(8 << 20);
        let json = json!({"iterable": [{"id": id(1), "name": text}, {"id": id(2)}]}).to_string();
        let (read, rejected) = parse(json.as_bytes().chunks(1024)).unwrap();
        assert_eq!((read.len(), rejected), (2, 0));
        assert_eq!(read[0].name.as_deref().map(str::len), Some(8 << 20));
    }

    #[test]
    fn an_endless_item_is_given_up() {
        let mut parser = ListParser::new(|_: Conversation<'_>| {});
        parser.feed(br#"{"iterable":[{"name":""#).unwrap();
        let chunk = vec![b'x'; 1 << 20];
        let fed = (0..100).take_while(|_| parser.feed(&chunk).is_ok()).count();
        assert_eq!(fed, (limits::STREAMED_ITEM >> 20) - 1);
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(
            before in any_json(), items in prop::collection::vec(any_json(), 0..4), after in any_json(),
            damaged in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let items: Vec<_> = items.into_iter().flat_map(|item| [item, whole(1)]).collect();
            // serde_json orders keys: a before iterable before z.
            let mut json = json!({"a": before, "iterable": items, "z": after}).to_string().into_bytes();
            if let Some((at, byte)) = damaged {
                let at = at.index(json.len());
                json[at] = byte;
            }
            let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(json.len())).collect();
            chunks_do_not_matter(&json, &cuts);
            is_what_is_in_it(&json);
            prop_assert!(damaged.is_some() || parse([&json[..]]).is_ok());
        }

        #[test]
        fn one_damaged_item_loses_only_itself(
            damaged in damaged(whole(2)),
        ) {
            let rejected = costs_no_other(damaged.to_string().as_bytes());
            // The id survives unless it was the damaged part.
            prop_assert_eq!(rejected == Some(0), damaged["id"].as_str().is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()));
        }
    }
}
