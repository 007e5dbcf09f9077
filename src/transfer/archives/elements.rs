//! The elements of a JSON array of any length, one at a time.
//!
//! Finds the end of each element without parsing it, so that a broken or huge element costs only itself.

use std::io::{self, BufRead};

/// Maximum values in one element. A parsed value needs much more memory than its text: `0,` has two bytes.
pub(super) const MAX_PARTS: usize = 600_000;

/// Whether a JSON text has more than [`MAX_PARTS`] values.
pub(super) fn has_too_many_parts(json: &[u8]) -> bool {
    let mut scan = Scan {
        // Commas at the top do not end it.
        depth: 1,
        ..Scan::default()
    };
    let mut rest = json;
    while !rest.is_empty() {
        let (length, ended) = scan.run(rest);
        scan.depth += usize::from(ended.is_some());
        rest = &rest[length + usize::from(ended.is_some())..];
    }
    scan.parts > MAX_PARTS
}

/// Splits an array into its elements.
pub(super) struct Elements<R> {
    reader: R,
    /// Largest element in bytes that is kept.
    max: usize,
    element: Vec<u8>,
    state: State,
    /// Bytes read so far.
    pub(super) position: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    End,
}

/// One element.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// Its text, moved out: it may be large.
    Whole(Vec<u8>),
    /// It was larger than the limit and was skipped.
    TooLong,
    /// It had more than [`MAX_PARTS`] values and was skipped.
    TooManyParts,
    /// The file ends within the array.
    Torn,
    /// The text is not an array.
    NoArray,
}

impl<R: BufRead> Elements<R> {
    pub(super) fn new(reader: R, max: usize) -> Self {
        Self {
            reader,
            max,
            element: Vec::new(),
            state: State::Start,
            position: 0,
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Element>> {
        if self.state == State::Start {
            match self.first()? {
                Some(b'[') => self.state = State::Inside,
                _ => {
                    self.state = State::End;
                    return Ok(Some(Element::NoArray));
                }
            }
        }
        while self.state == State::Inside {
            match self.read_one()? {
                One::Nothing => {}
                One::Whole => {
                    return Ok(Some(Element::Whole(std::mem::take(&mut self.element))));
                }
                One::TooLong => return Ok(Some(Element::TooLong)),
                One::TooManyParts => return Ok(Some(Element::TooManyParts)),
                One::Torn => return Ok(Some(Element::Torn)),
            }
        }
        Ok(None)
    }

    /// Reads what follows the array: only at its end does a zip tell that a file is damaged.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).map(drop)
    }

    /// Reads up to the next comma or the end of the array.
    fn read_one(&mut self) -> io::Result<One> {
        self.element.clear();
        // The buffer of a huge element must not be kept for the next ones.
        self.element.shrink_to(1 << 20);
        let mut scan = Scan::default();
        let mut too_long = false;
        let ended = loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                self.state = State::End;
                return Ok(One::Torn);
            }
            let (length, ended) = scan.run(available);
            too_long |= self.element.len() + length > self.max;
            if too_long {
                self.element.clear();
            } else {
                self.element.extend_from_slice(&available[..length]);
            }
            let used = length + usize::from(ended.is_some());
            self.reader.consume(used);
            self.position += used as u64;
            if let Some(by) = ended {
                break by;
            }
        };
        if ended == b']' {
            self.state = State::End;
        }
        Ok(match self.element.iter().all(u8::is_ascii_whitespace) {
            _ if too_long => One::TooLong,
            _ if scan.parts > MAX_PARTS => One::TooManyParts,
            // `[]`, or a comma too many.
            true => One::Nothing,
            false => One::Whole,
        })
    }

    /// The first byte that is neither white space nor part of a byte order mark.
    fn first(&mut self) -> io::Result<Option<u8>> {
        loop {
            let available = self.reader.fill_buf()?;
            let skipped = |byte: &u8| byte.is_ascii_whitespace() || b"\xef\xbb\xbf".contains(byte);
            let skip = available.iter().take_while(|byte| skipped(byte)).count();
            let byte = available.get(skip).copied();
            let used = skip + usize::from(byte.is_some());
            let at_end = available.is_empty();
            self.reader.consume(used);
            self.position += used as u64;
            if byte.is_some() || at_end {
                return Ok(byte);
            }
        }
    }
}

enum One {
    Whole,
    TooLong,
    TooManyParts,
    Torn,
    Nothing,
}

/// The state of scanning an element.
#[derive(Default)]
struct Scan {
    depth: usize,
    string: bool,
    escape: bool,
    /// Upper bound of the values so far.
    parts: usize,
}

impl Scan {
    /// How many of these bytes belong to the element, and the byte that ended it, `,` or `]`.
    fn run(&mut self, bytes: &[u8]) -> (usize, Option<u8>) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.escape {
                self.escape = false;
            } else if self.string {
                let rest = &bytes[at..];
                let Some(next) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
                    return (bytes.len(), None);
                };
                at += next;
                self.escape = bytes[at] == b'\\';
                self.string = self.escape;
            } else {
                match byte {
                    b'"' => self.string = true,
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.parts += 1;
                    }
                    b',' | b']' if self.depth == 0 => return (at, Some(byte)),
                    b',' => self.parts += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            at += 1;
        }
        (bytes.len(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn split(text: &[u8], max: usize, buffer: usize) -> Vec<String> {
        let mut elements = Elements::new(BufReader::with_capacity(buffer, text), max);
        let mut found = Vec::new();
        while let Some(element) = elements.next().unwrap() {
            found.push(match element {
                Element::Whole(text) => String::from_utf8_lossy(&text).trim().to_owned(),
                other => format!("{other:?}"),
            });
        }
        found
    }

    #[test]
    fn a_bad_element_costs_only_itself() {
        let long = format!("\"{}\"", "x".repeat(100));
        let whole =
            format!("\u{feff} [1, {{\"a\":[2,\"],\\\"\\\\\"]}}, {long}, {{]}}, \"é\" ]rest");
        let expected = ["1", "{\"a\":[2,\"],\\\"\\\\\"]}", "TooLong", "{]}", "\"é\""];
        for buffer in [1, 2, 7, 4096] {
            assert_eq!(split(whole.as_bytes(), 60, buffer), expected, "{buffer}");
        }
        for (text, expected) in [
            ("", &["NoArray"][..]),
            ("{}", &["NoArray"]),
            ("[]", &[]),
            (" [ ] ", &[]),
            ("[1,]", &["1"]),
            ("[,,1]", &["1"]),
            ("[1", &["Torn"]),
            ("[1,\"x", &["1", "Torn"]),
            ("[", &["Torn"]),
        ] {
            assert_eq!(split(text.as_bytes(), 60, 8), expected, "{text}");
        }
    }

    #[test]
    fn nesting_and_commas_are_linear() {
        // Quadratic work, or recursion, would not survive this.
        split(format!("[{}", "[".repeat(4 << 20)).as_bytes(), 60, 4096);
        split(format!("[{}1]", ",".repeat(100_000)).as_bytes(), 60, 4096);
    }

    #[test]
    fn values_are_counted_outside_of_strings() {
        let many = "0,".repeat(MAX_PARTS);
        assert!(has_too_many_parts(format!("[{many}0]").as_bytes()));
        assert!(!has_too_many_parts("]]".repeat(5).as_bytes()));
        assert!(!has_too_many_parts(format!("[\"{many}\"]").as_bytes()));
        assert_eq!(
            split(format!("[[{many}0],1]").as_bytes(), 8 << 20, 4096),
            ["TooManyParts", "1"]
        );
    }

    proptest! {
        #[test]
        fn what_was_joined_is_split(texts in proptest::collection::vec("\\PC{0,12}", 0..8), buffer in 1_usize..9) {
            let parts: Vec<_> = texts.iter().map(|text| serde_json::json!({"k": [text, 1]}).to_string()).collect();
            let whole = format!("[{}]", parts.join(","));
            prop_assert_eq!(split(whole.as_bytes(), 1000, buffer), parts);
        }
    }
}
