//! The short way to read a conversation of a list.
//!
//! It reads JSON the way it nearly always comes and gives up on anything else; the general way then
//! has the say. What it does read is exactly what the general way would have read, which is what the
//! property test below is about, at about three times the speed: the list of an account with years
//! of conversations is hundreds of megabytes, most of them ids.

#[cfg(any(test, fuzzing))]
pub(crate) mod check;

use std::borrow::Cow;

use super::members::{Id, count, ordered};
use super::time::{parse_micros, parse_utc};
use super::{Conversation, Readable};

/// Reads conversations and keeps its buffers from one to the next.
#[derive(Default)]
pub(in crate::pieces) struct FastReader {
    listed: Vec<Id>,
    indices: Vec<(Id, i64)>,
    /// What the first, second, … field that nobody needs was in the conversation before: often the
    /// same, and the same text needs no second look.
    skipped: [Vec<u8>; 16],
    applications: Applications,
}

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
        let mut skipped = 0;
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
                b"application" => read.application = self.applications.read(cursor)?,
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
                _ => {
                    match self.skipped.get_mut(skipped) {
                        Some(before) => cursor.skip_again(before)?,
                        None => cursor.skip()?,
                    }
                    skipped += 1;
                }
            }
            Some(())
        })?;
        read.id = id?;
        Some((Readable(Some(read)), json.len() - cursor.rest.len()))
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

    /// Skips any value. `before` is one that was skipped earlier, or empty, and becomes this one.
    /// (`1` for the start of `12` does no harm: what follows it is refused.)
    fn skip_again(&mut self, before: &mut Vec<u8>) -> Option<()> {
        self.peek()?;
        if !before.is_empty()
            && let Some(rest) = self.rest.strip_prefix(&before[..])
        {
            self.rest = rest;
            return Some(());
        }
        let value = self.rest;
        self.skip()?;
        let value = &value[..value.len() - self.rest.len()];
        before.clear();
        if value.len() <= 128 {
            before.extend_from_slice(value);
        }
        Some(())
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

/// The high bit of each byte that ends a plain stretch of a string: `"`, `\` or a control character.
/// Bits above the lowest one may be wrong.
#[inline(always)]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
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
            1 => select(&["null", "3", "\"m1\"", "\"0B9F6F0E-7D0B-4D4E-9D5E-2F7F3C1F4A10\"",
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
        prop::collection::vec(part, 0..3)
            .prop_map(|parts| format!("{{{}}}", parts.join(",")))
            .boxed()
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
            json in any_conversation(),
            after in select(&["", "]}", ",{\"id\":\"0b9f6f0e-7d0b-4d4e-9d5e-2f7f3c1f4a10\"}", "         "][..]),
            damage in prop::collection::vec((any::<Index>(), any::<Option<u8>>()), 0..3),
            cut in prop::option::weighted(0.2, any::<Index>()),
        ) {
            let mut json = format!("{json}{after}").into_bytes();
            let mut reader = FastReader::default();
            agrees(&mut reader, &json);
            // What is known from before is read no differently.
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
