//! Server-sent events against a slow reader of the whole input.

use pieces_lsp::model::sse::{Event, Reader};

/// Four bytes for where the input is split, then what a server of a model sends.
pub fn fuzz(input: &[u8]) {
    let (cuts, bytes) = super::options(input);
    agree_with_the_reference(bytes, &super::places(cuts, bytes));
}

/// However the input is split, the events are those of the reference. No input of a test reaches the limits.
pub fn agree_with_the_reference(bytes: &[u8], cuts: &[usize]) {
    let expected = reference(bytes);
    let mut cuts = cuts.to_vec();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let parts = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
    assert_eq!(read(parts), expected, "cut at {cuts:?}");
    assert_eq!(read(bytes.chunks(1)), expected, "byte by byte");
}

fn read<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<Event> {
    let (mut reader, mut events) = (Reader::default(), Vec::new());
    for part in parts {
        reader.push(part, &mut events).unwrap();
    }
    reader.finish(&mut events).unwrap();
    events
}

/// The same rules over the whole input at once, written to be obviously right.
fn reference(bytes: &[u8]) -> Vec<Event> {
    let mut lines = lines(bytes);
    if let Some(first) = lines.first_mut()
        && first.starts_with(b"\xef\xbb\xbf")
    {
        first.drain(..3);
    }
    lines.push(Vec::new());
    let events = lines.split(|line| line.is_empty()).map(event);
    events.flatten().collect()
}

/// Lines end in LF, CR LF or CR; the last may lack its end.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\r', b'\n', ..] => {
                lines.push(Vec::new());
                at += 1;
            }
            [b'\r' | b'\n', ..] => lines.push(Vec::new()),
            rest => lines.last_mut().unwrap().push(rest[0]),
        }
        at += 1;
    }
    lines
}

/// The event of these lines, if it has data.
fn event(lines: &[Vec<u8>]) -> Option<Event> {
    let mut name = String::new();
    let mut data: Vec<&[u8]> = Vec::new();
    for line in lines {
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => data.push(value),
            b"error" => {
                data.push(value);
                name = "error".to_owned();
            }
            b"event" => name = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
    let event = Event {
        name,
        data: data.join(&b'\n'),
    };
    (!data.is_empty()).then_some(event)
}
