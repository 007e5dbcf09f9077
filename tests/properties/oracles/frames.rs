//! Framing against a slow reader of the whole input.

use pieces_lsp::transport::{Fault, FrameError, FrameReader, Inbound, MAX_BODY, MAX_HEADER};
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

/// Hands out the given chunks one `read` at a time, so that every split is exercised.
struct Chunks(VecDeque<Vec<u8>>);

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(mut chunk) = self.0.pop_front() else {
            return Ok(0);
        };
        let taken = chunk.len().min(buf.len());
        buf[..taken].copy_from_slice(&chunk[..taken]);
        if taken < chunk.len() {
            self.0.push_front(chunk.split_off(taken));
        }
        Ok(taken)
    }
}

/// All bodies up to the end, and the name of the final error if there was one.
fn read_all(input: impl BufRead) -> (Vec<Vec<u8>>, Option<String>) {
    let mut frames = FrameReader::new(input);
    let mut bodies = Vec::new();
    loop {
        match frames.next_frame() {
            Ok(Some(body)) => bodies.push(body),
            Ok(None) => return (bodies, None),
            Err(error) => return (bodies, Some(name(&error))),
        }
    }
}

fn name(error: &FrameError) -> String {
    let debug = format!("{error:?}");
    debug.split('(').next().unwrap_or_default().to_owned()
}

/// The same rules over the whole input at once, written to be obviously right.
fn reference(mut input: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
    let mut bodies = Vec::new();
    while let Some(frame) = without_blank_lines(input) {
        input = frame;
        match reference_frame(input) {
            Ok((body, rest)) => {
                bodies.push(body);
                input = rest;
            }
            Err(error) => return (bodies, Some(error.to_owned())),
        }
    }
    (bodies, None)
}

/// What is left after blank lines and byte order marks; `None` if it is nothing.
fn without_blank_lines(mut input: &[u8]) -> Option<&[u8]> {
    loop {
        let line = input.split_inclusive(|&b| b == b'\n').next()?;
        let blank = without_marks(line).trim_ascii().is_empty();
        if !blank || line.len() > MAX_HEADER {
            return Some(input);
        }
        if line.last() != Some(&b'\n') {
            return (line.len() == MAX_HEADER).then_some(input);
        }
        input = &input[line.len()..];
    }
}

fn without_marks(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_prefix("\u{feff}".as_bytes()) {
        line = rest;
    }
    line
}

fn reference_frame(input: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut at = 0;
    let mut lengths: Vec<u128> = Vec::new();
    loop {
        let end = input[at..]
            .iter()
            .position(|&b| b == b'\n')
            .map(|n| at + n + 1);
        let Some(end) = end.filter(|&end| end <= MAX_HEADER) else {
            let long = input.len() >= MAX_HEADER;
            return Err(if long { "HeaderTooLong" } else { "Truncated" });
        };
        let mut line = input[at..end - 1].to_vec();
        if at == 0 {
            line = without_marks(&line).to_vec();
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        at = end;
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            return Err("HeaderMalformed");
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty()
            || name
                .iter()
                .any(|b| !(33..127).contains(b) || b"\"(),/:;<=>?@[\\]{}".contains(b))
            || value.iter().any(|b| !(32..127).contains(b) && *b != 9)
        {
            return Err("HeaderMalformed");
        }
        if !name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        let value = String::from_utf8_lossy(value);
        let value = value.trim();
        if value.is_empty() || value.chars().any(|c| !c.is_ascii_digit()) {
            return Err("LengthInvalid");
        }
        let value = value.parse().unwrap_or(u128::MAX);
        if value > u128::from(MAX_BODY) {
            return Err("LengthTooLarge");
        }
        if lengths.iter().any(|&earlier| earlier != value) {
            return Err("LengthAmbiguous");
        }
        lengths.push(value);
    }
    let length = *lengths.first().ok_or("LengthMissing")? as usize;
    if input.len() - at < length {
        return Err("Truncated");
    }
    Ok((input[at..at + length].to_vec(), &input[at + length..]))
}

/// Four bytes for where the input is split, one for how much is read ahead, then what an editor sends.
pub fn fuzz(input: &[u8]) {
    let ([a, b, c, d, ahead], bytes) = super::options(input);
    let cuts = super::places([a, b, c, d], bytes);
    agrees_with_the_reference(bytes, &cuts, usize::from(ahead) + 1);
}

/// However the input is split, and however much is read ahead, the frames are those of the reference.
pub fn agrees_with_the_reference(bytes: &[u8], cuts: &[usize], buffer: usize) {
    let mut cuts = cuts.to_vec();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    // An empty chunk would read as the end of the input.
    let chunks = cuts
        .windows(2)
        .filter(|pair| pair[0] < pair[1])
        .map(|pair| bytes[pair[0]..pair[1]].to_vec())
        .collect();
    let read = read_all(BufReader::with_capacity(buffer, Chunks(chunks)));
    assert_eq!(read, reference(bytes));
    read.0.iter().for_each(|body| is_sorted(body));
}

/// What a body is taken for is what is in it.
fn is_sorted(body: &[u8]) {
    let value = serde_json::from_slice::<Value>(body);
    let field = |name: &str| value.as_ref().ok().and_then(|value| value.get(name));
    let given = |name: &str| field(name).filter(|value| !value.is_null());
    let message = field("jsonrpc").is_some_and(|version| version == "2.0");
    match Inbound::decode(body) {
        Inbound::Broken { length, fault, .. } => {
            assert_eq!(length, body.len());
            assert!(value.is_err() || fault == Fault::Envelope);
        }
        // One with half a surrogate pair is no JSON to others.
        _ if value.is_err() => {}
        Inbound::Request { id, method, params } => {
            assert_eq!(serde_json::to_value(&id).ok().as_ref(), field("id"));
            assert!(message && field("method").is_some_and(|name| *name == method));
            assert_eq!(params.as_ref(), given("params"));
        }
        Inbound::Notification { method, params } => {
            assert!(message && field("id").is_none());
            assert!(field("method").is_some_and(|name| *name == method));
            assert_eq!(params.as_ref(), given("params"));
        }
        Inbound::Response { id, outcome } => {
            assert_eq!(serde_json::to_value(&id).ok().as_ref(), field("id"));
            assert!(message && field("method").is_none());
            match outcome {
                Ok(result) => assert_eq!(Some(&result), field("result")),
                Err(error) => assert_eq!(Some(&error), given("error")),
            }
        }
        Inbound::End(_) => unreachable!("a body is no end"),
    }
}
