//! What `fuzz/` runs: one function per target, each for any bytes. What they check lies beside the code, and
//! the property tests there check the same.
//!
//! [`TARGETS`] is also tried on everything that is kept below `fuzz/`, by a test in here.

use crate::{lsp, markdown, pieces};

/// A target by its name.
pub type Target = fn(&[u8]);

/// All targets.
pub const TARGETS: [(&str, Target); 5] = [
    ("list", list),
    ("objects", objects),
    ("stream", stream),
    ("references", references),
    ("markdown", markdown),
];

/// Splits off the first bytes of the input, which say how to go about the rest; they are 0 where
/// there are none.
fn options<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    let mut options = [0; N];
    let (first, rest) = input.split_at(input.len().min(N));
    options[..first.len()].copy_from_slice(first);
    (options, rest)
}

/// Places in `text`, each by a byte: the further the greater.
fn places(bytes: [u8; 4], text: &[u8]) -> Vec<usize> {
    let place = |byte: u8| usize::from(byte) * text.len() / 255;
    bytes.into_iter().map(place).collect()
}

/// Four bytes for where it is cut, then the body of a list of conversations.
pub fn list(input: &[u8]) {
    use pieces::check::list;
    let (cuts, body) = options(input);
    list::chunks_do_not_matter(body, &places(cuts, body));
    list::is_what_is_in_it(body);
}

/// The body of any other answer, or one object.
pub fn objects(body: &[u8]) {
    use pieces::check::{list, transcript, wire};
    wire::all_agree_on_what_is_json(body);
    wire::objects_are_what_is_in_them(body);
    wire::an_odd_anchor_costs_no_other(body);
    wire::an_odd_reference_costs_no_other(body);
    list::costs_no_other(body);
    transcript::messages_are_what_is_in_them(body);
}

/// A frame of the identifier stream, or one item of it.
pub fn stream(frame: &[u8]) {
    use pieces::check::wire;
    wire::all_agree_on_what_is_json(frame);
    wire::frames_are_what_is_in_them(frame);
    wire::an_odd_item_costs_no_other(frame);
}

/// One byte for the encoding and two for each end of a range, then a document.
pub fn references(input: &[u8]) {
    use lsp::check;
    let ([encoding, numbers @ ..], text) = options::<5>(input);
    let [line, column, to_line, to_column] = numbers.map(|number| match number {
        u8::MAX => u32::MAX,
        number => number.into(),
    });
    let text = String::from_utf8_lossy(text);
    check::agrees_with_the_reference(&text);
    check::cursors_touch(
        &text,
        encoding % 2 == 1,
        (line, column),
        (to_line, to_column),
    );
}

/// Somebody's text: a name, a message, both.
pub fn markdown(input: &[u8]) {
    use markdown::check;
    let text = String::from_utf8_lossy(input);
    check::a_name_is_only_text(&text);
    check::a_body_does_nothing(&text);
    check::a_transcript_keeps_its_shape(&text, &text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// The files in a directory below `fuzz/`, by name; none if there is no such directory.
    fn kept(what: &str, target: &str) -> Vec<PathBuf> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(what)
            .join(target);
        let entries = fs::read_dir(dir).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn replay(name: &str) {
        let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
        let corpus = kept("corpus", name);
        assert!(!corpus.is_empty(), "nothing is kept for {name}");
        for file in corpus.iter().chain(&kept("regressions", name)) {
            // A check that fails says why, but not where that came from.
            println!("{}", file.display());
            target(&fs::read(file).unwrap());
        }
    }

    #[test]
    fn kept_lists() {
        replay("list");
    }

    #[test]
    fn kept_objects() {
        replay("objects");
    }

    #[test]
    fn kept_stream_frames() {
        replay("stream");
    }

    #[test]
    fn kept_references() {
        replay("references");
    }

    #[test]
    fn kept_markdown() {
        replay("markdown");
    }
}
