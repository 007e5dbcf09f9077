//! Frames of the LSP base protocol: a header block, an empty line, a body of announced length.
//!
//! A body that makes no sense leaves the stream intact and is somebody else's concern
//! ([`super::Inbound::Broken`]). A header that makes no sense means that the position in the
//! stream is lost, so every error here is final.

use std::io::{self, BufRead, Read};

/// Longest header block accepted, in bytes, including its empty line.
pub const MAX_HEADER: usize = 16 * 1024;
/// Longest body accepted, in bytes.
pub const MAX_BODY: u64 = 64 * 1024 * 1024;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Allocated up front for a body at most; beyond that, memory follows the bytes that arrive.
const FIRST_ALLOCATION: u64 = 64 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// No empty line within [`MAX_HEADER`] bytes.
    #[error("the header block is longer than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// A header line that is no `Name: value` in printable ASCII.
    #[error("a header line is not `Name: value` in ASCII")]
    HeaderMalformed,
    /// A header block without `Content-Length`.
    #[error("the header block has no Content-Length")]
    LengthMissing,
    /// `Content-Length` is not a plain decimal number.
    #[error("Content-Length is not a plain decimal number")]
    LengthInvalid,
    /// Two `Content-Length` headers that disagree.
    #[error("two Content-Length headers disagree")]
    LengthAmbiguous,
    /// `Content-Length` above [`MAX_BODY`].
    #[error("Content-Length is above {MAX_BODY} bytes")]
    LengthTooLarge,
    /// The input ended inside a frame.
    #[error("the input ended inside a message")]
    Truncated,
    /// Reading failed.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
}

/// Splits a byte stream into frame bodies.
#[derive(Debug)]
pub struct FrameReader<R> {
    input: R,
    line: Vec<u8>,
}

impl<R: BufRead> FrameReader<R> {
    /// Reads frames from `input`, starting at a header.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
        }
    }

    /// The next body, or `None` when the input ended between two frames.
    ///
    /// # Errors
    ///
    /// Every error is final: the position in the stream is lost and reading on would be guessing.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let Some(length) = self.header()? else {
            return Ok(None);
        };
        let mut body = Vec::with_capacity(length.min(FIRST_ALLOCATION) as usize);
        self.input.by_ref().take(length).read_to_end(&mut body)?;
        if (body.len() as u64) < length {
            return Err(FrameError::Truncated);
        }
        Ok(Some(body))
    }

    /// Reads one header block and returns the announced length. Blank lines and byte order marks before it are
    /// skipped, as part of its [`MAX_HEADER`]: some clients write a line break after a body.
    fn header(&mut self) -> Result<Option<u64>, FrameError> {
        let mut left = MAX_HEADER;
        let mut length = None;
        let mut begun = false;
        loop {
            self.line.clear();
            let read = self
                .input
                .by_ref()
                .take(left as u64)
                .read_until(b'\n', &mut self.line)?;
            let mut line = self.line.as_slice();
            if !begun {
                while let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK) {
                    line = rest;
                }
            }
            if self.line.last() != Some(&b'\n') {
                if read == left {
                    return Err(FrameError::HeaderTooLong);
                }
                let between = !begun && line.trim_ascii().is_empty();
                return between.then_some(None).ok_or(FrameError::Truncated);
            }
            left -= read;
            if !begun && line.trim_ascii().is_empty() {
                continue;
            }
            begun = true;
            let line = line.strip_suffix(b"\n").unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                return length.map(Some).ok_or(FrameError::LengthMissing);
            }
            if let Some(announced) = content_length(line)? {
                if length.is_some_and(|earlier| earlier != announced) {
                    return Err(FrameError::LengthAmbiguous);
                }
                length = Some(announced);
            }
        }
    }
}

/// The value of one header line if it is `Content-Length`; other headers are checked for their
/// form and otherwise ignored (`Content-Type` is the only other one in use, and always UTF-8).
fn content_length(line: &[u8]) -> Result<Option<u64>, FrameError> {
    let text = str::from_utf8(line).map_err(|_| FrameError::HeaderMalformed)?;
    let (name, value) = text.split_once(':').ok_or(FrameError::HeaderMalformed)?;
    let printable = |c: char| matches!(c, ' '..='~' | '\t');
    // Header names are what HTTP calls tokens.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) || !value.chars().all(printable) {
        return Err(FrameError::HeaderMalformed);
    }
    if !name.eq_ignore_ascii_case("content-length") {
        return Ok(None);
    }
    let digits = value.trim_matches([' ', '\t']);
    // `u64::from_str` alone would take "+5".
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FrameError::LengthInvalid);
    }
    match digits.parse() {
        Ok(length) if length <= MAX_BODY => Ok(Some(length)),
        _ => Err(FrameError::LengthTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies up to the end, and the error that ended them.
    fn check(input: &[u8], bodies: &[&str], error: Option<&str>) {
        let mut frames = FrameReader::new(input);
        let mut read = Vec::new();
        let failed = loop {
            match frames.next_frame() {
                Ok(Some(body)) => read.push(String::from_utf8_lossy(&body).into_owned()),
                Ok(None) => break None,
                Err(error) => break Some(format!("{error:?}")),
            }
        };
        let shown = String::from_utf8_lossy(&input[..input.len().min(80)]);
        assert_eq!(read, bodies, "{shown}");
        assert_eq!(failed.as_deref(), error, "{shown}");
    }

    #[test]
    fn frames_that_are_accepted() {
        check(b"", &[], None);
        check(b"Content-Length: 2\r\n\r\n{}", &["{}"], None);
        check(
            b"content-LENGTH:2\n\n{}Content-Length: 0\r\n\n",
            &["{}", ""],
            None,
        );
        check(
            b"Content-Length: \t0002 \r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n[]",
            &["[]"],
            None,
        );
        check(
            b"X-Other:\r\nContent-Length: 1\r\nContent-Length: 01\r\n\r\n1",
            &["1"],
            None,
        );
    }

    #[test]
    fn blank_lines_and_byte_order_marks_between_frames_are_skipped() {
        for between in [
            "\n",
            "\r\n",
            "\r\n\n \t\r\n",
            "\u{feff}",
            "\u{feff}\r\n\u{feff}\u{feff}",
        ] {
            let frame = "Content-Length: 2\r\n\r\n{}";
            let input = format!("{between}{frame}{between}{frame}{between}");
            check(input.as_bytes(), &["{}", "{}"], None);
        }
        check("\n".repeat(MAX_HEADER - 1).as_bytes(), &[], None);
        let endless = "\n".repeat(3 * MAX_HEADER);
        check(endless.as_bytes(), &[], Some("HeaderTooLong"));
    }

    #[test]
    fn headers_that_are_refused() {
        let refused: &[(&[u8], &str)] = &[
            (b"Content-Length: -1\r\n\r\n", "LengthInvalid"),
            (b"Content-Length: +5\r\n\r\n12345", "LengthInvalid"),
            (b"Content-Length: 5.0\r\n\r\n12345", "LengthInvalid"),
            (b"Content-Length: 0x5\r\n\r\n12345", "LengthInvalid"),
            (b"Content-Length: 5, 5\r\n\r\n12345", "LengthInvalid"),
            (b"Content-Length:\r\n\r\n", "LengthInvalid"),
            (b"Content-Length: 20000000000\r\n\r\n", "LengthTooLarge"),
            (
                b"Content-Length: 9000000000000000000\r\n\r\n",
                "LengthTooLarge",
            ),
            (
                b"Content-Length: 99999999999999999999999999\r\n\r\n",
                "LengthTooLarge",
            ),
            (b"Content-Length: 67108865\r\n\r\n", "LengthTooLarge"),
            (
                b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
                "LengthAmbiguous",
            ),
            (b"Content-Type: x\r\n\r\n{}", "LengthMissing"),
            (b"\xef\xbbContent-Length: 2\r\n\r\n{}", "HeaderMalformed"),
            (
                b"X: y\n\xef\xbb\xbfContent-Length: 2\r\n\r\n{}",
                "HeaderMalformed",
            ),
            (b"{\"jsonrpc\":\"2.0\"}\n\n", "HeaderMalformed"),
            (b"Content-Length 5\r\n\r\n", "HeaderMalformed"),
            (b"Content-Length : 5\r\n\r\n", "HeaderMalformed"),
            (b": 5\r\n\r\n", "HeaderMalformed"),
            (b"Content-Length: 5\r\r\n\r\n", "HeaderMalformed"),
            ("Content-Length: ٥\r\n\r\n".as_bytes(), "HeaderMalformed"),
            (b"Content-Length: \xff\r\n\r\n", "HeaderMalformed"),
            (b"Content-Length: 5\r\n", "Truncated"),
            (b"Content-Le", "Truncated"),
            (b"Content-Length: 5\r\n\r\n{}", "Truncated"),
        ];
        for (input, error) in refused {
            check(input, &[], Some(error));
        }
    }

    #[test]
    fn good_frames_before_a_bad_header_are_delivered() {
        check(
            b"Content-Length: 2\r\n\r\n{}nonsense\n",
            &["{}"],
            Some("HeaderMalformed"),
        );
    }

    #[test]
    fn header_block_is_bounded() {
        check(&vec![b'a'; MAX_HEADER * 2], &[], Some("HeaderTooLong"));
        let endless: Vec<u8> = b"X: y\r\n"
            .iter()
            .copied()
            .cycle()
            .take(MAX_HEADER * 2)
            .collect();
        check(&endless, &[], Some("HeaderTooLong"));
        let end = b"Content-Length: 1\r\n\r\n";
        let pad = |by: usize| {
            let mut header = b"X: ".to_vec();
            header.resize(MAX_HEADER - end.len() - 2 + by, b'y');
            header.extend_from_slice(b"\r\n");
            header.extend_from_slice(end);
            header.push(b'1');
            header
        };
        check(&pad(0), &["1"], None);
        check(&pad(1), &[], Some("HeaderTooLong"));
    }

    #[test]
    fn an_announced_length_allocates_nothing_by_itself() {
        let announced = format!("Content-Length: {MAX_BODY}\r\n\r\n{{");
        let mut frames = FrameReader::new(announced.as_bytes());
        let Some(length) = frames.header().unwrap() else {
            panic!("a header was there");
        };
        assert_eq!(length, MAX_BODY);
        check(announced.as_bytes(), &[], Some("Truncated"));
    }
}
