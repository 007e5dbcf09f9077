//! The short way to read a conversation of a list.
//!
//! It reads JSON the way it nearly always comes and gives up on anything else; the general way then
//! has the say. What it does read is exactly what the general way would have read, which is what the
//! property test below is about, at about three times the speed: the list of an account with years
//! of conversations is hundreds of megabytes, most of them ids.

#[cfg(any(test, fuzzing))]
pub(crate) mod check;

use std::borrow::Cow;

use super::members::{Id, count, is_placed, ordered};
use super::time::{parse_micros, parse_utc};
use super::{Conversation, Ids, Readable};

/// Reads conversations and keeps its buffers from one to the next.
#[derive(Default)]
pub(in crate::pieces) struct FastReader {
    listed: Vec<Id>,
    indices: Vec<(Id, i64)>,
    texts: Vec<Text>,
    places: Vec<(Text, i64)>,
    /// The first, second, … field of a conversation where it was one that nobody needs: often it is
    /// the same in the next, and the same text needs no second look. (`1` for the start of `12` does no
    /// harm: what follows it is refused.)
    skipped: [Vec<u8>; 32],
    applications: Applications,
}

/// The text of an id that cannot be written in two ways, and so is enough to tell ids apart: ASCII
/// without capitals or escapes. As words, which compare without a call.
#[derive(Clone, Copy)]
struct Text {
    words: [u64; 4],
    tail: u32,
}

impl Text {
    #[inline(always)]
    fn new(text: &[u8; 36]) -> Option<Text> {
        let word = |at: usize| Some(u64::from_le_bytes(*text[at..].first_chunk()?));
        let words = [word(0)?, word(8)?, word(16)?, word(24)?];
        let tail = u32::from_le_bytes(*text.last_chunk()?);
        // Space to `?` and the grave accent to DEL have this bit, capitals, the backslash, control
        // characters and all but ASCII do not (or have the highest, too). The tail is filled up with spaces.
        let (mut odd, mut quote) = (0, 0);
        for word in [
            words[0],
            words[1],
            words[2],
            words[3],
            u64::from(tail) | ONES << 5 << 32,
        ] {
            odd |= (word & (ONES * 0xa0)) ^ (ONES * 0x20);
            quote |= has_zero(word ^ (ONES * u64::from(b'"')));
        }
        (odd == 0 && quote == 0).then_some(Text { words, tail })
    }
}

impl PartialEq for Text {
    #[inline(always)]
    fn eq(&self, other: &Text) -> bool {
        let [a, b, c, d] = self.words;
        a == other.words[0] && [b, c, d] == other.words[1..] && self.tail == other.tail
    }
}

/// Most members of a plural wrapper that are told apart by comparing each with each.
const FEW: usize = 64;

/// The few applications that conversations come from, and where each has its name.
#[derive(Default)]
struct Applications {
    known: [(Vec<u8>, std::ops::Range<usize>); 4],
    next: usize,
}

impl FastReader {
    /// The conversation that `json` starts with, and how long it is there. `None` says nothing about
    /// `json` but that it has to be read the general way.
    pub(in crate::pieces) fn read<'a>(
        &mut self,
        json: &'a [u8],
    ) -> Option<(Readable<Conversation<'a>>, usize)> {
        let mut cursor = Cursor { rest: json };
        let mut id = None;
        let mut read = Conversation {
            id: uuid::Uuid::nil(),
            name: None,
            created: None,
            updated: None,
            favorited: false,
            messages: 0,
            assets: Ids::new(),
            anchors: Ids::new(),
            anchor_paths: Vec::new(),
            application: None,
        };
        cursor.expect(b'{')?;
        for at in 0.. {
            cursor.peek()?;
            let field = cursor.rest;
            let known = self.skipped.get(at).filter(|known| !known.is_empty());
            if known.is_none_or(|known| cursor.word(known).is_none()) {
                match cursor.key()? {
                    b"id" => id = Some(cursor.id()?.uuid()?),
                    b"name" => read.name = cursor.text()?,
                    b"created" => read.created = cursor.timestamp()?,
                    b"updated" => read.updated = cursor.timestamp()?,
                    b"favorited" => read.favorited = cursor.flag()?,
                    b"application" => read.application = self.applications.read(&mut cursor)?,
                    b"messages" => read.messages = self.count(&mut cursor)?,
                    b"assets" => read.assets = self.ids(&mut cursor)?,
                    b"anchors" => read.anchors = self.ids(&mut cursor)?,
                    _ => {
                        cursor.skip_plural().or_else(|| cursor.skip())?;
                        let field = &field[..field.len() - cursor.rest.len()];
                        if let Some(known) = self.skipped.get_mut(at) {
                            known.clear();
                            if field.len() <= 128 {
                                known.extend_from_slice(field);
                            }
                        }
                    }
                }
            }
            match cursor.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        read.id = id?;
        Some((Readable(Some(read)), json.len() - cursor.rest.len()))
    }

    /// The ids of a plural wrapper of bare references.
    #[inline(always)]
    fn ids(&mut self, cursor: &mut Cursor<'_>) -> Option<Ids> {
        if let Some(id) = cursor.ahead(Cursor::plain_member) {
            return Some(Ids::from_buf([id.uuid()?]));
        }
        self.members(cursor)?;
        Some(ordered(&self.listed, &self.indices))
    }

    /// How many a plural wrapper of bare references has.
    fn count(&mut self, cursor: &mut Cursor<'_>) -> Option<u32> {
        if let Some(count) =
            cursor.ahead(|cursor| cursor.plain_count(&mut self.texts, &mut self.places))
        {
            return Some(count);
        }
        self.members(cursor)?;
        Some(count(&self.listed, &mut self.indices))
    }

    /// A plural wrapper of bare references.
    fn members(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let FastReader {
            listed, indices, ..
        } = self;
        listed.clear();
        indices.clear();
        if cursor.null() {
            return Some(());
        }
        cursor.object(|cursor, key| match key {
            b"iterable" => {
                listed.clear();
                cursor.array(|cursor| {
                    listed.push(cursor.reference()?);
                    Some(())
                })
            }
            b"indices" => {
                indices.clear();
                cursor.ids_to_positions(indices)
            }
            _ => cursor.skip(),
        })
    }
}

impl Applications {
    /// The name in an application object, without reading one of the known ones again.
    fn read<'a>(&mut self, cursor: &mut Cursor<'a>) -> Option<Option<Cow<'a, str>>> {
        cursor.peek()?;
        let object = cursor.rest;
        for (known, name) in &self.known {
            if !known.is_empty() && object.starts_with(known) {
                cursor.rest = &object[known.len()..];
                let name = std::str::from_utf8(&object[name.clone()]).ok()?;
                return Some(Some(Cow::Borrowed(name)));
            }
        }
        let name = cursor.application()?;
        let object = &object[..object.len() - cursor.rest.len()];
        if let Some(Cow::Borrowed(text)) = &name
            && object.len() <= 1024
        {
            let start = text.as_ptr() as usize - object.as_ptr() as usize;
            self.known[self.next] = (object.to_vec(), start..start + text.len());
            self.next = (self.next + 1) % self.known.len();
        }
        Some(name)
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
                [byte, ..] if *byte > b' ' => return Some(*byte),
                [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] => self.rest = rest,
                _ => return None,
            }
        }
    }

    /// The next byte that is not blank.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        self.peek()?;
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
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

    /// What `read` makes of what comes next. If it gives up, nothing was read.
    #[inline(always)]
    fn ahead<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let rest = self.rest;
        let read = read(self);
        if read.is_none() {
            self.rest = rest;
        }
        read
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
        let text = self.rest;
        let (mut rest, mut escaped) = (text, false);
        loop {
            // The last few bytes of a chunk are for the general way.
            let (word, next) = rest.split_first_chunk()?;
            let word = u64::from_le_bytes(*word);
            let special = special(word);
            if special == 0 {
                rest = next;
                continue;
            }
            let at = special.trailing_zeros() as usize / 8;
            match (word >> (at * 8)) as u8 {
                b'"' => {
                    self.rest = &rest[at + 1..];
                    return Some((&text[..text.len() - rest.len() + at], escaped));
                }
                b'\\' => {
                    escaped = true;
                    rest = match &rest[at + 1..] {
                        [
                            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                            rest @ ..,
                        ] => rest,
                        [b'u', rest @ ..] => {
                            let (digits, rest) = rest.split_first_chunk::<4>()?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(rest)?
                        }
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

    /// `{"value": …}` the way it nearly always comes.
    #[inline(always)]
    fn plain_timestamp(&mut self) -> Option<i64> {
        self.word(b"{")?;
        if self.word(b"\"readable\":").is_some() {
            self.string()?;
            self.word(b",")?;
        }
        self.word(b"\"value\":")?;
        let (text, _) = self.string()?;
        let micros = parse_utc(text)?;
        if self.word(b",\"readable\":").is_some() {
            self.string()?;
        }
        self.word(b"}")?;
        Some(micros)
    }

    /// `{"value": …}` in microseconds.
    fn timestamp(&mut self) -> Option<Option<i64>> {
        if let Some(micros) = self.ahead(Cursor::plain_timestamp) {
            return Some(Some(micros));
        }
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

    /// An object of which only the id matters, mostly there is nothing else in it.
    #[inline(always)]
    fn reference(&mut self) -> Option<Id> {
        self.peek()?;
        match self.short_reference() {
            Some(id) => Some(id),
            None => self.long_reference(),
        }
    }

    /// `{"id":"…"}` and nothing more.
    #[inline(always)]
    fn short_reference(&mut self) -> Option<Id> {
        let (window, rest) = self.rest.split_first_chunk::<45>()?;
        if window[..7] != *b"{\"id\":\"" || window[43..] != *b"\"}" {
            return None;
        }
        let id = Id::from_canonical(window[7..].first_chunk()?)?;
        self.rest = rest;
        Some(id)
    }

    /// The one member of a plural wrapper that is written the way it nearly always is.
    #[inline(always)]
    fn plain_member(&mut self) -> Option<Id> {
        let (listed, placed) = if self.word(b"{\"iterable\":[{\"id\":\"").is_some() {
            let listed = self.id_text()?;
            self.word(b"\"}],\"indices\":{\"")?;
            let placed = self.id_text()?;
            self.word(b"\":0}}")?;
            (listed, placed)
        } else {
            self.word(b"{\"indices\":{\"")?;
            let placed = self.id_text()?;
            self.word(b"\":0},\"iterable\":[{\"id\":\"")?;
            let listed = self.id_text()?;
            self.word(b"\"}]}")?;
            (listed, placed)
        };
        (Text::new(listed)? == Text::new(placed)?).then_some(())?;
        Id::from_canonical(listed)
    }

    #[inline(always)]
    fn id_text(&mut self) -> Option<&'a [u8; 36]> {
        let (text, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(text)
    }

    /// How many members a plural wrapper has that is written the way it nearly always is.
    #[inline(always)]
    fn plain_count(&mut self, texts: &mut Vec<Text>, places: &mut Vec<(Text, i64)>) -> Option<u32> {
        texts.clear();
        places.clear();
        self.plain_plural(|text| texts.push(text), |text, at| places.push((text, at)))?;
        let placed = |(text, at): &(Text, i64)| is_placed(texts, text, *at);
        (places.iter().all(placed) && all_differ(texts)).then_some(texts.len() as u32)
    }

    /// A plural wrapper without blanks of plain references and of places for them, each once at most.
    #[inline(always)]
    fn plain_plural(
        &mut self,
        mut listed: impl FnMut(Text),
        mut placed: impl FnMut(Text, i64),
    ) -> Option<()> {
        self.word(b"{")?;
        let (mut references, mut places) = (false, false);
        loop {
            if !references && self.word(b"\"iterable\":[").is_some() {
                references = true;
                self.plain_references(&mut listed)?;
            } else if !places && self.word(b"\"indices\":{").is_some() {
                places = true;
                self.plain_places(&mut placed)?;
            } else {
                return None;
            }
            match self.byte()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline(always)]
    fn plain_references(&mut self, listed: &mut impl FnMut(Text)) -> Option<()> {
        if self.word(b"]").is_some() {
            return Some(());
        }
        loop {
            let (window, rest) = self.rest.split_first_chunk::<46>()?;
            if window[..7] != *b"{\"id\":\"" || window[43..45] != *b"\"}" {
                return None;
            }
            self.rest = rest;
            listed(Text::new(window[7..].first_chunk()?)?);
            match window[45] {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline(always)]
    fn plain_places(&mut self, placed: &mut impl FnMut(Text, i64)) -> Option<()> {
        if self.word(b"}").is_some() {
            return Some(());
        }
        loop {
            let (window, rest) = self.rest.split_first_chunk::<39>()?;
            if window[0] != b'"' || window[37..] != *b"\":" {
                return None;
            }
            self.rest = rest;
            placed(Text::new(window[1..].first_chunk()?)?, self.integer()?);
            match self.byte()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// The next byte, whatever it is.
    #[inline(always)]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn long_reference(&mut self) -> Option<Id> {
        let mut id = None;
        self.object(|cursor, key| {
            match key {
                b"id" => id = Some(cursor.id()?),
                // More than a reference: that is for the general way.
                b"points" | b"reference" | b"assets" | b"conversations" => {
                    cursor.null().then_some(())?;
                }
                _ => cursor.skip()?,
            }
            Some(())
        })?;
        id
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
            let id = match self.rest.split_first_chunk::<39>() {
                Some((window, rest)) if window[0] == b'"' && window[37..] == *b"\":" => {
                    self.rest = rest;
                    Id::from_canonical(window[1..].first_chunk()?)?
                }
                _ => {
                    let id = self.id()?;
                    self.expect(b':')?;
                    id
                }
            };
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
        if let [digit @ b'0'..=b'9', b',' | b'}', ..] = self.rest {
            self.rest = &self.rest[1..];
            return Some(i64::from(digit - b'0'));
        }
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

    /// Skips a plural wrapper, if it comes the usual way.
    fn skip_plural(&mut self) -> Option<()> {
        self.ahead(|cursor| cursor.plain_plural(|_| (), |_, _| ()))
    }

    /// Skips any value, checking that it is one.
    fn skip(&mut self) -> Option<()> {
        // One bit per level: is it an object?
        let (mut objects, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' if self.short_reference().is_some() => {}
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
            let exponent = if let [b'+' | b'-', exponent @ ..] = exponent {
                exponent
            } else {
                exponent
            };
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

/// Whether no two are the same; a few are compared each with each.
#[inline(always)]
fn all_differ(texts: &[Text]) -> bool {
    let repeated = |(at, text): (usize, &Text)| texts[..at].contains(text);
    texts.len() <= FEW && !texts.iter().enumerate().any(repeated)
}

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The high bit of each byte that is zero, if there is one. Bits above the lowest one may be wrong.
#[inline(always)]
fn has_zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// The high bit of each byte that ends a plain stretch of a string: `"`, `\` or a control character.
/// Bits above the lowest one may be wrong.
#[inline(always)]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let ends =
        quote.wrapping_sub(ONES) | backslash.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20);
    // Bytes from 0x80 on are no such thing; the ones compared with are below, so one test is enough.
    ends & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::check::agrees;
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    /// A line: whether it is read at all, and JSON with `'` for `"` and `#` for an id.
    #[test]
    fn what_is_read_and_what_is_left() {
        let table = [
            (true, "{'id':'#'}"),
            (true, " { 'id' : '#' , 'name' : 'Retry' } "),
            (true, "{'id':'#','id':'#','name':'a','name':null}"),
            (true, "{'id':'#','name':'\\u00e9\\n\\ud83d\\ude00'}"),
            (
                true,
                "{'id':'#','created':{'value':'2026-11-20T09:14:02Z','value':null}}",
            ),
            (
                true,
                "{'id':'#','created':{'value':'2026-11-20T09:14:02+01:00'},'updated':{'value':'never'}}",
            ),
            (
                true,
                "{'id':'#','messages':{'iterable':[{'id':'#'}],'indices':{'#':-1}}}",
            ),
            (
                true,
                "{'id':'#','messages':{'indices':{'#':0,'#':-1}},'messages':null}",
            ),
            (
                true,
                "{'id':'#','assets':{'indices':{'#':3},'iterable':[]}}",
            ),
            (
                true,
                "{'id':'#','assets':{'indices':{'#':0},'iterable':[{'id':'#'}]},'messages':{'indices':{'#':0},'iterable':[{'id':'#'}]}}",
            ),
            (
                true,
                "{'id':'#','assets':{'iterable':[{'id':'#'}],'indices':{'#':0}},'messages':{'iterable':[{'id':'#'},{'id':'#'}],'indices':{'#':1}}}",
            ),
            (
                true,
                "{'id':'#','anchors':{'iterable':[{'id':'#','reference':null,'x':[1e999]}]}}",
            ),
            (
                true,
                "{'id':'#','x':[{},[],{'a':[[-0.5e+3,0,1E9],true,false,null]},'\\ud800']}",
            ),
            (false, "{'id':'#'"),
            (false, "{'id':null}"),
            (false, "{'id':'m1'}"),
            (false, "{'name':'no id'}"),
            (false, "{'\\u0069d':'#'}"),
            (false, "{'id':'#','name':7}"),
            (false, "{'id':'#','name':'\\ud800'}"),
            (false, "{'id':'#','messages':{'indices':{'#':0.0}}}"),
            (false, "{'id':'#','messages':{'indices':{'m1':0}}}"),
            (
                false,
                "{'id':'#','messages':{'indices':{'#':123456789012345678}}}",
            ),
            (
                false,
                "{'id':'#','anchors':{'iterable':[{'id':'#','points':{}}]}}",
            ),
            (
                false,
                "{'id':'#','anchors':{'iterable':[{'id':'#','assets':{'indices':{'x':1e999}}}]}}",
            ),
            (false, "{'id':'#','messages':{'indices':{'#':01}}}"),
            (false, "{'id':'#','messages':{'indices':{'#':-}}}"),
            (false, "{'id':'#','x':01}"),
            (false, "{'id':'#','x':1.}"),
            (false, "{'id':'#','x':[1,]}"),
            (false, "{'id':'#','x':{'a':1,}}"),
            (false, "{'id':'#','x':{'a'}}"),
            (false, "{'id':'#','x':'\\q'}"),
            (false, "{'id':'#','x':'\t'}"),
            (false, "{'id':'#',}"),
            (false, "[]"),
            (false, "null"),
            (false, ""),
        ];
        for (read, json) in table {
            let mut json = json.replace('\'', "\"").replace('#', ID);
            // What follows a conversation in a list.
            json.push_str("         ");
            assert_eq!(
                agrees(&mut FastReader::default(), json.as_bytes()),
                read,
                "{json}"
            );
        }
    }

    #[test]
    fn nesting() {
        for depth in [1, 59, 60, 61, 62, 200, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let json = format!("{{\"x\":{nested},\"id\":\"{ID}\"}}");
                let read = agrees(&mut FastReader::default(), json.as_bytes());
                assert_eq!(read, depth <= 60, "{depth} {open}");
            }
        }
    }

    const ID: &str = "0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10";

    fn concat(parts: impl IntoIterator<Item = String>) -> String {
        parts.into_iter().collect()
    }

    fn space() -> impl Strategy<Value = &'static str> {
        prop_oneof![9 => Just(""), 1 => select(&[" ", "\n\t", "\r  "][..])]
    }

    fn any_id() -> impl Strategy<Value = String> {
        prop_oneof![
            20 => (0_u128..9).prop_map(|n| format!("\"{}\"", uuid::Uuid::from_u128(n << 60 | n))),
            3 => select(&["\"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10\"", "\"0B9F6F0E-7D0B-4D4E-9D5E-2F7F3C1F4A10\""][..])
                .prop_map(str::to_owned),
            1 => select(&["null", "3", "\"m1\"",
                "\"0b9f6f0e7d0b4d4e9d5e2f7f3c1f4a10\"", "\"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a1g\"", "\"\""][..])
                .prop_map(str::to_owned),
        ]
    }

    /// The text of any string.
    fn any_string() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[ -~]{0,12}".prop_map(|text| text.replace(['"', '\\'], "")),
            "\\PC{0,4}".prop_map(|text| text.replace(['"', '\\'], "")),
            select(
                &[
                    "\\n",
                    "\\\"",
                    "\\\\",
                    "\\/",
                    "\\u00e9",
                    "\\ud83d\\ude00",
                    "\\ud83d",
                    "\\q",
                    "\\u12g4"
                ][..]
            )
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(part, 0..3).prop_map(|parts| format!("\"{}\"", parts.concat()))
    }

    fn any_number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i8>().prop_map(|n| n.to_string()),
            select(
                &[
                    "0",
                    "-0",
                    "00",
                    "-1",
                    "1.5",
                    "1.",
                    ".5",
                    "1e3",
                    "-1E-3",
                    "1e",
                    "1e999",
                    "+1",
                    "-",
                    "12345678901234567",
                    "9223372036854775807",
                    "99999999999999999999"
                ][..]
            )
            .prop_map(str::to_owned),
        ]
    }

    /// Members with keys of any kind between the braces, some of them twice.
    fn object(
        key: impl Strategy<Value = String>,
        value: impl Strategy<Value = String>,
        most: usize,
    ) -> impl Strategy<Value = String> {
        let member = (space(), key, space(), value, space())
            .prop_map(|(a, key, b, value, c)| format!("{a}{key}{b}:{value}{c}"));
        prop::collection::vec(member, 0..most)
            .prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    fn array(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        prop::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(" ,")))
    }

    /// The text of any value.
    fn any_value() -> impl Strategy<Value = String> {
        let word = select(&["null", "true", "false", "nul", "{}", "[]", "[,]", "{\"a\"}"][..]);
        let leaf = prop_oneof![
            word.prop_map(str::to_owned),
            any_number(),
            any_string(),
            any_id()
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![array(inner.clone()), object(any_string(), inner, 3)]
        })
    }

    fn key(names: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop_oneof![
            9 => select(names).prop_map(|name| format!("\"{name}\"")),
            1 => any_string(),
        ]
    }

    /// Mostly what belongs there.
    fn mostly(usual: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
        prop_oneof![30 => usual, 1 => Just("null".to_owned()), 1 => any_value()].boxed()
    }

    fn member(name: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<String> {
        value
            .prop_map(move |value| format!("\"{name}\":{value}"))
            .boxed()
    }

    fn plural() -> BoxedStrategy<String> {
        let also = (key(&["x", "reference", "points", "assets"]), any_value());
        let reference = (any_id(), prop::option::weighted(0.1, also)).prop_map(|(id, also)| {
            let also = also.map(|(key, value)| format!(",{key}:{value}"));
            format!("{{\"id\":{id}{}}}", also.unwrap_or_default())
        });
        let position = mostly(select(&["0", "1", "2", "-1"][..]).prop_map(str::to_owned));
        let part = prop_oneof![
            member("iterable", mostly(array(reference))),
            member("indices", mostly(object(any_id(), position, 4))),
        ];
        let any =
            prop::collection::vec(part, 0..3).prop_map(|parts| format!("{{{}}}", parts.join(",")));
        prop_oneof![any, tidy_plural()].boxed()
    }

    /// As servers write it, in either order; some ids come twice, and one may be another.
    fn tidy_plural() -> impl Strategy<Value = String> {
        let ids = prop::collection::vec(any_id(), 0..5);
        let other = prop::option::of(any_id());
        (ids, other, any::<bool>(), -1_i64..20).prop_map(|(ids, other, places_first, odd)| {
            let listed: Vec<_> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
            let placed = ids.iter().enumerate().map(|(at, id)| {
                let at = if at == 4 { odd } else { at as i64 };
                let id = other.as_ref().filter(|_| at == 0).unwrap_or(id);
                format!("{id}:{at}")
            });
            let placed: Vec<_> = placed.collect();
            let mut parts = [
                format!("\"iterable\":[{}]", listed.join(",")),
                format!("\"indices\":{{{}}}", placed.join(",")),
            ];
            if places_first {
                parts.reverse();
            }
            format!("{{{}}}", parts.join(","))
        })
    }

    /// The text of something like a conversation.
    fn any_conversation() -> impl Strategy<Value = String> {
        let stamp = prop_oneof![
            select(
                &[
                    "\"2026-11-20T09:14:02.118243Z\"",
                    "\"2026-11-20T09:14:02+01:00\"",
                    "\" 2026-11-20T09:14:02Z\"",
                    "\"2026-02-30T00:00:00Z\"",
                    "\"\\u0032026-11-20T09:14:02Z\""
                ][..]
            )
            .prop_map(str::to_owned),
            any_string(),
        ];
        let stamp = mostly(object(key(&["value", "readable"]), mostly(stamp), 3)).boxed();
        let application = object(key(&["name", "id"]), mostly(any_string()), 3);
        let flag = select(&["true", "false"][..]).prop_map(str::to_owned);
        let field = prop_oneof![
            member("id", mostly(any_id())),
            member("name", mostly(any_string())),
            member("created", stamp.clone()),
            member("updated", stamp),
            member("favorited", mostly(flag)),
            member("application", mostly(application)),
            member("messages", mostly(plural())),
            member("assets", mostly(plural())),
            member("anchors", mostly(plural())),
            (key(&["schema", "score"]), any_value())
                .prop_map(|(key, value)| format!("{key}:{value}")),
        ];
        prop::collection::vec(field, 0..8).prop_map(|fields| {
            concat([
                format!("{{\"id\":\"{ID}\""),
                fields.iter().map(|f| format!(",{f}")).collect(),
                "}".into(),
            ])
        })
    }

    proptest! {
        // More than usual, but what `PROPTEST_CASES` says if that is more.
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

        #[test]
        fn both_ways_read_the_same(
            before in any_conversation(),
            json in any_conversation(),
            after in select(&["", "]}", ",{\"id\":\"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10\"}", "         "][..]),
            damage in prop::collection::vec((any::<Index>(), any::<Option<u8>>()), 0..3),
            cut in prop::option::weighted(0.2, any::<Index>()),
        ) {
            let mut json = format!("{json}{after}").into_bytes();
            let mut reader = FastReader::default();
            agrees(&mut reader, &format!("{before}         ").into_bytes());
            // What is known from before is read no differently.
            agrees(&mut reader, &json);
            agrees(&mut reader, &json);
            for (at, byte) in damage {
                let at = at.index(json.len());
                match byte {
                    Some(byte) => json[at] = byte,
                    None => drop(json.remove(at)),
                }
            }
            if let Some(cut) = cut {
                json.truncate(cut.index(json.len()));
            }
            agrees(&mut reader, &json);
        }
    }
}
