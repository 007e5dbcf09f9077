//! What `fuzz/` runs: one function per target, each for any bytes. What they check lies beside the code, and
//! the property tests there check the same.
//!
//! [`TARGETS`] is also tried on everything that is kept below `fuzz/`, by a test in here.

use std::path::Path;

use crate::{lsp, markdown, pieces, service, transport};

/// A target by its name, with a directory for what it wants to write.
pub type Target = fn(&[u8], &Path);

/// All targets.
pub const TARGETS: [(&str, Target); 7] = [
    ("frames", |input, _| frames(input)),
    ("list", |input, _| list(input)),
    ("objects", |input, _| objects(input)),
    ("stream", |input, _| stream(input)),
    ("references", |input, _| references(input)),
    ("markdown", |input, _| markdown(input)),
    ("service", service),
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

/// Four bytes for where it is cut, one for how much is read ahead, then what an editor sends.
pub fn frames(input: &[u8]) {
    let ([a, b, c, d, ahead], bytes) = options(input);
    let cuts = places([a, b, c, d], bytes);
    transport::check::agrees_with_the_reference(bytes, &cuts, usize::from(ahead) + 1);
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

/// Requests to the local service, one per line.
pub fn service(input: &[u8], dir: &Path) {
    service::check::requests_leave_it_whole(&String::from_utf8_lossy(input), dir);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

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

    /// In memory where there is such a place: a store waits for the disk at every change.
    fn directory() -> tempfile::TempDir {
        let memory = Path::new("/dev/shm");
        match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        }
    }

    fn replay(name: &str) {
        let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
        let corpus = kept("corpus", name);
        assert!(!corpus.is_empty(), "nothing is kept for {name}");
        for file in corpus.iter().chain(&kept("regressions", name)) {
            // A check that fails says why, but not where that came from.
            println!("{}", file.display());
            let dir = directory();
            target(&fs::read(file).unwrap(), dir.path());
        }
    }

    #[test]
    fn kept_frames() {
        replay("frames");
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

    #[test]
    fn kept_requests() {
        replay("service");
    }

    #[test]
    fn every_target_is_run_and_replayed() {
        let targets = TARGETS.map(|(name, _)| name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let manifest = fs::read_to_string(source.join("Cargo.toml")).unwrap();
        let names = manifest.split("[[bin]]\nname = \"").skip(1);
        let names: Vec<_> = names.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names, targets);
        for directory in ["corpus", "regressions"] {
            for entry in fs::read_dir(source.join(directory)).into_iter().flatten() {
                let name = entry.unwrap().file_name();
                assert!(
                    targets.iter().any(|target| name == *target),
                    "{directory}: {name:?}"
                );
            }
        }
    }
}
