//! Server-sent events: bytes in, events out.
//!
//! Accepts all known variants: LF, CRLF and CR, a byte order mark, comments, no space after the colon, lines that are
//! split anywhere, and a last event without a blank line. Fields other than `event`, `data` and `error` are skipped.

use std::mem;

use super::limits;

/// The longest line, and the most data of one event, in bytes.
pub const LINE: usize = limits::LINE;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its `event` field; `error` for the `error:` field of old versions of llama.cpp. Empty if there was none.
    pub name: String,
    /// Its `data` lines, joined by LF. Not decoded: a line may be split within a character, and JSON repairs the rest.
    pub data: Vec<u8>,
}

/// A line, or the data of an event, is longer than [`LINE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Reads events from bytes as they arrive.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    event: Event,
    /// The event has a `data` line; several are joined by LF.
    has_data: bool,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The first line is complete; only that one may begin with a byte order mark.
    begun: bool,
}

impl Reader {
    /// Reads `bytes` and adds the events that they complete.
    ///
    /// # Errors
    /// [`TooLong`]; the reader must not be used afterwards.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            if mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > LINE {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else {
                return Ok(());
            };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(events)?;
        }
        Ok(())
    }

    /// The end of the input: the last event may lack its blank line, or even its line ending.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn finish(mut self, events: &mut Vec<Event>) -> Result<(), TooLong> {
        if !self.line.is_empty() {
            self.end_line(events)?;
        }
        self.end_event(events);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), TooLong> {
        let mut line = mem::take(&mut self.line);
        let begun = mem::replace(&mut self.begun, true);
        let result = self.field(strip_mark(&line, begun), events);
        // Keeps its buffer for the next line.
        line.clear();
        self.line = line;
        result
    }

    fn field(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        if line.is_empty() {
            self.end_event(events);
            return Ok(());
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" | b"error" => {
                if name == b"error" {
                    "error".clone_into(&mut self.event.name);
                }
                if mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                if self.event.data.len() + value.len() > LINE {
                    return Err(TooLong);
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            // Comments have an empty name.
            _ => {}
        }
        Ok(())
    }

    fn end_event(&mut self, events: &mut Vec<Event>) {
        let event = mem::take(&mut self.event);
        if mem::take(&mut self.has_data) {
            events.push(event);
        }
    }
}

fn strip_mark(line: &[u8], begun: bool) -> &[u8] {
    match begun {
        true => line,
        false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Result<Vec<(String, String)>, TooLong> {
        let (mut reader, mut events) = (Reader::default(), Vec::new());
        for part in parts {
            reader.push(part, &mut events)?;
        }
        reader.finish(&mut events)?;
        let text = |event: Event| {
            (
                event.name,
                String::from_utf8_lossy(&event.data).into_owned(),
            )
        };
        Ok(events.into_iter().map(text).collect())
    }

    #[test]
    fn events() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
            ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
            ("data:{\"x\":1}\n\n", &[("", "{\"x\":1}")]),
            ("data:  a\n\n", &[("", " a")]),
            ("data: a\ndata: b\n\n", &[("", "a\nb")]),
            ("data: a\ndata\ndata: b\n\n", &[("", "a\n\nb")]),
            ("\u{feff}data: a\n\n", &[("", "a")]),
            ("data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
            (": ping\n\n: ping\ndata: a\n: ping\n\n", &[("", "a")]),
            ("event: error\ndata: a\n\n", &[("error", "a")]),
            (
                "error: {\"m\":1}\n\ndata: [DONE]\n\n",
                &[("error", "{\"m\":1}"), ("", "[DONE]")],
            ),
            ("id: 1\nretry: 5\nx: y\ndata: a\n\n", &[("", "a")]),
            ("event: x\n\ndata: a\n\n", &[("", "a")]),
            ("data: a", &[("", "a")]),
            ("data: a\n", &[("", "a")]),
            ("data:\n\n", &[("", "")]),
            ("\n\n\n", &[]),
            ("", &[]),
        ];
        for (input, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
                .collect();
            assert_eq!(read(&[input.as_bytes()]), Ok(expected.clone()), "{input:?}");
            // Split anywhere.
            for at in 0..=input.len() {
                let (a, b) = input.as_bytes().split_at(at);
                assert_eq!(read(&[a, b]), Ok(expected.clone()), "{input:?} at {at}");
            }
        }
    }

    #[test]
    fn characters_are_split_anywhere() {
        let bytes = "data: é😀\n\n".as_bytes();
        let parts: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&parts), Ok(vec![(String::new(), "é😀".to_owned())]));
    }

    #[test]
    fn lines_and_events_end_at_the_limit() {
        let longest = [&b"data: "[..], &vec![b'x'; LINE - 6], b"\n\n"].concat();
        assert_eq!(read(&[&longest]).map(|events| events.len()), Ok(1));
        let longer = [&b"data: "[..], &vec![b'x'; LINE - 5]].concat();
        assert_eq!(read(&[&longer]), Err(TooLong));
        let half = [&b"data: "[..], &vec![b'x'; LINE / 2], b"\n"].concat();
        assert_eq!(read(&[&half, &half]), Err(TooLong));
        // Comments may be endless.
        let comment = [&b": "[..], &vec![b'x'; LINE / 2], b"\n"].concat();
        assert_eq!(read(&[&comment, &comment, &comment]), Ok(vec![]));
    }
}
