//! The short way to read a conversation of a list.
//!
//! It reads JSON the way it nearly always comes and gives up on anything else; the general way then
//! has the say. What it does read is exactly what the general way would read (there is a property
//! test for that), at about three times the speed: a snapshot of an account with years of
//! conversations is hundreds of megabytes, most of them ids.

use std::borrow::Cow;

use super::members::{Id, count, ordered};
use super::time::{parse_micros, parse_utc};
use super::{Conversation, Readable};

/// Reads conversations and keeps its buffers from one to the next.
#[derive(Default)]
pub(in crate::pieces) struct FastReader {
    listed: Vec<Id>,
    indices: Vec<(Id, i64)>,
}

impl FastReader {
    /// The conversation that `json` starts with, and how long it is there. `None` says nothing about
    /// `json` but that it has to be read the general way.
    pub(in crate::pieces) fn read<'a>(&mut self, json: &'a [u8]) -> Option<(Readable<Conversation<'a>>, usize)> {
        let mut cursor = Cursor { rest: json };
        let mut id = None;
        let mut read = Conversation {
            id: uuid::Uuid::nil(),
            name: None,
            created: None,
            updated: None,
            favorited: false,
            messages: 0,
            assets: Vec::new(),
            anchors: Vec::new(),
            anchor_paths: Vec::new(),
            application: None,
        };
        cursor.object(|cursor, key| {
            match key {
                b"id" => id = Some(cursor.id()?.uuid()?),
                b"name" => read.name = cursor.text()?,
                b"created" => read.created = cursor.timestamp()?,
                b"updated" => read.updated = cursor.timestamp()?,
                b"favorited" => read.favorited = cursor.flag()?,
                b"application" => read.application = cursor.application()?,
                b"messages" => {
                    self.members(cursor)?;
                    read.messages = count(&self.listed, &mut self.indices);
                }
                b"assets" => {
                    self.members(cursor)?;
                    read.assets = ordered(&self.listed, &self.indices);
                }
                b"anchors" => {
                    self.members(cursor)?;
                    read.anchors = ordered(&self.listed, &self.indices);
                }
                _ => cursor.skip()?,
            }
            Some(())
        })?;
        read.id = id?;
        Some((Readable(Some(read)), json.len() - cursor.rest.len()))
    }

    /// A plural wrapper of bare references.
    fn members(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let FastReader { listed, indices } = self;
        listed.clear();
        indices.clear();
        if cursor.null() {
            return Some(());
        }
        cursor.object(|cursor, key| {
            match key {
                b"iterable" => {
                    listed.clear();
                    cursor.array(|cursor| {
                        let mut id = None;
                        cursor.object(|cursor, key| {
                            match key {
                                b"id" => id = Some(cursor.id()?),
                                // Anchors may come with their paths: that is for the general way.
                                b"points" | b"reference" if !cursor.null() => return None,
                                b"points" | b"reference" => {}
                                _ => cursor.skip()?,
                            }
                            Some(())
                        })?;
                        listed.push(id?);
                        Some(())
                    })
                }
                b"indices" => {
                    indices.clear();
                    cursor.ids_to_positions(indices)
                }
                _ => cursor.skip(),
            }
        })
    }
}

/// What is still to be read. Every method gives up with `None` on what it does not expect.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The next byte that is not blank, which stays there.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.rest {
                [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] => self.rest = rest,
                [byte, ..] => return Some(*byte),
                [] => return None,
            }
        }
    }

    /// The next byte that is not blank.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.rest = &self.rest[1..];
        Some(byte)
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.word(b"null").is_some()
    }

    #[inline(always)]
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            return self.expect(b'}');
        }
        loop {
            let key = self.key()?;
            field(self, key)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline(always)]
    fn array(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            return self.expect(b']');
        }
        loop {
            item(self)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A key and its colon. One with escapes may be one we look for in disguise.
    #[inline(always)]
    fn key(&mut self) -> Option<&'a [u8]> {
        let (key, escaped) = self.string()?;
        if escaped {
            return None;
        }
        self.expect(b':')?;
        Some(key)
    }

    /// The inside of a string, and whether there are escapes in it.
    #[inline(always)]
    fn string(&mut self) -> Option<(&'a [u8], bool)> {
        self.expect(b'"')?;
        let (text, mut at, mut escaped) = (self.rest, 0, false);
        loop {
            // Within eight bytes of the end it cannot be the whole conversation.
            let word = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
            let special = special(word);
            if special == 0 {
                at += 8;
                continue;
            }
            at += special.trailing_zeros() as usize / 8;
            match text[at] {
                b'"' => {
                    self.rest = &text[at + 1..];
                    return Some((&text[..at], escaped));
                }
                b'\\' => {
                    escaped = true;
                    at += match text.get(at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' if text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                        _ => return None,
                    };
                }
                _ => return None,
            }
        }
    }

    /// A string or null.
    fn text(&mut self) -> Option<Option<Cow<'a, str>>> {
        if self.null() {
            return Some(None);
        }
        self.peek()?;
        let quoted = self.rest;
        let (text, escaped) = self.string()?;
        Some(Some(if escaped {
            Cow::Owned(serde_json::from_slice(&quoted[..text.len() + 2]).ok()?)
        } else {
            Cow::Borrowed(std::str::from_utf8(text).ok()?)
        }))
    }

    fn flag(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.word(b"true").map(|()| true),
            b'f' => self.word(b"false").map(|()| false),
            _ => self.null().then_some(false),
        }
    }

    /// `{"value": …}` in microseconds.
    fn timestamp(&mut self) -> Option<Option<i64>> {
        let mut micros = None;
        if !self.null() {
            self.object(|cursor, key| {
                if key != b"value" {
                    return cursor.skip();
                }
                if cursor.null() {
                    micros = None;
                    return Some(());
                }
                let (text, escaped) = cursor.string()?;
                if escaped {
                    return None;
                }
                micros = parse_utc(text).or_else(|| parse_micros(std::str::from_utf8(text).ok()?));
                Some(())
            })?;
        }
        Some(micros)
    }

    /// `{"name": …}`.
    fn application(&mut self) -> Option<Option<Cow<'a, str>>> {
        let mut name = None;
        if !self.null() {
            self.object(|cursor, key| match key {
                b"name" => {
                    name = cursor.text()?;
                    Some(())
                }
                _ => cursor.skip(),
            })?;
        }
        Some(name)
    }

    /// A UUID in its usual form.
    #[inline(always)]
    fn id(&mut self) -> Option<Id> {
        self.expect(b'"')?;
        let (text, rest) = self.rest.split_first_chunk()?;
        let id = Id::from_canonical(text)?;
        self.rest = rest;
        self.expect(b'"')?;
        Some(id)
    }

    #[inline(always)]
    fn ids_to_positions(&mut self, indices: &mut Vec<(Id, i64)>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            return self.expect(b'}');
        }
        loop {
            let id = self.id()?;
            self.expect(b':')?;
            indices.push((id, self.integer()?));
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A number without fraction or exponent that surely fits.
    #[inline(always)]
    fn integer(&mut self) -> Option<i64> {
        let negative = self.peek()? == b'-';
        let digits = if negative { &self.rest[1..] } else { self.rest };
        let mut number = 0;
        let mut length = 0;
        while let Some(digit @ b'0'..=b'9') = digits.get(length) {
            number = number * 10 + i64::from(digit - b'0');
            length += 1;
            if length > 17 {
                return None;
            }
        }
        let leading_zero = length > 1 && digits[0] == b'0';
        if length == 0 || leading_zero || matches!(digits.get(length)?, b'.' | b'e' | b'E') {
            return None;
        }
        self.rest = &digits[length..];
        Some(if negative { -number } else { number })
    }

    /// Skips any value, checking that it is one.
    fn skip(&mut self) -> Option<()> {
        // One bit per level: is it an object?
        let (mut objects, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                bracket @ (b'{' | b'[') => {
                    let object = bracket == b'{';
                    self.rest = &self.rest[1..];
                    if self.peek()? == bracket + 2 {
                        self.rest = &self.rest[1..];
                    } else {
                        (objects, depth) = (objects << 1 | u64::from(object), depth + 1);
                        if depth > 60 {
                            return None;
                        }
                        if object {
                            self.any_key()?;
                        }
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // A value is over, and maybe what it is in.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let object = objects & 1 == 1;
                match self.next()? {
                    b',' => {
                        if object {
                            self.any_key()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                (objects, depth) = (objects >> 1, depth - 1);
            }
        }
    }

    #[inline(always)]
    fn any_key(&mut self) -> Option<()> {
        self.string()?;
        self.expect(b':')
    }

    fn number(&mut self) -> Option<()> {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut rest = self.rest.strip_prefix(b"-").unwrap_or(self.rest);
        let whole = digits(rest);
        if whole == 0 || whole > 1 && rest[0] == b'0' {
            return None;
        }
        rest = &rest[whole..];
        if let [b'.', fraction @ ..] = rest {
            let length = digits(fraction);
            if length == 0 {
                return None;
            }
            rest = &fraction[length..];
        }
        if let [b'e' | b'E', exponent @ ..] = rest {
            let exponent = if let [b'+' | b'-', exponent @ ..] = exponent { exponent } else { exponent };
            let length = digits(exponent);
            if length == 0 {
                return None;
            }
            rest = &exponent[length..];
        }
        self.rest = rest;
        Some(())
    }
}

/// The high bit of each byte that ends a plain stretch of a string: `"`, `\` or a control character.
/// Bits above the lowest one may be wrong.
#[inline(always)]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}
