//! Properties of any input, from proptest and from what fuzzing found (`fuzz/corpus`, `fuzz/regressions`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod oracles;

use oracles::{events, frames, json, list, markdown};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

type Target = fn(&[u8]);

/// The targets of `fuzz/` by name.
const TARGETS: [(&str, Target); 5] = [
    ("frames", frames::fuzz),
    ("list", list::fuzz),
    ("json", json::fuzz),
    ("markdown", markdown::fuzz),
    ("events", events::fuzz),
];

/// Streams that are mostly frames, sometimes damaged in one byte, sometimes pure noise.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        4 => Just("Content-Length: {}\r\n"),
        1 => Just("content-length:{}\n"),
        1 => Just("Content-Type: t\r\nContent-Length: {}\r\n"),
        1 => Just("Content-Length: {}\r\nContent-Length: {}\r\n"),
    ];
    let frame = (
        header,
        proptest::collection::vec(any::<u8>(), 0..40),
        "\r?\n",
    )
        .prop_map(|(header, body, end)| {
            let mut bytes = header.replace("{}", &body.len().to_string()).into_bytes();
            bytes.extend_from_slice(end.as_bytes());
            bytes.extend_from_slice(&body);
            bytes
        });
    let frames = proptest::collection::vec(frame, 0..6).prop_map(|frames| frames.concat());
    let damage = proptest::option::of((any::<prop::sample::Index>(), any::<u8>()));
    prop_oneof![
        6 => (frames, damage).prop_map(|(mut bytes, damage)| {
            if let Some((at, byte)) = damage && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

/// What Markdown is made of.
const MARKDOWN: &str = "([\\[\\]()!<>#=*`~|&_\\\\: \\n\\t-]|a|\\n\\n|command:|https://x|www\\.a|a@b\\.c|<b>|</b>|<!--|```|~~~|\\]: |\\]\\(|    |> |- |1\\. |\\[ \\] |\\[a\\]|\\[\\^1\\]|`<b>`|\\|-\\|-\\|\\n|&lt;|\\u{200d}|\\$\\$){0,40}";

/// What streams of events are made of.
const EVENTS: &str = "(\u{feff}|data|event|error|id|[:\r\n ]|: |\n\n|\r\n|data: |[a{}\"é😀]){0,40}";

proptest! {
    #[test]
    fn events_agree_with_the_reference_on_every_split(
        text in EVENTS,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        events::agree_with_the_reference(text.as_bytes(), &cuts);
    }

    #[test]
    fn no_message_does_anything(text in MARKDOWN) {
        markdown::a_body_does_nothing(&text);
        markdown::a_transcript_keeps_its_shape(&text, &text);
    }

    #[test]
    fn a_name_is_only_text(name in "[ -~é\\n\u{202e}\u{200d}]{0,60}") {
        markdown::a_name_is_only_text(&name);
    }

    #[test]
    fn frames_agree_with_the_reference_on_every_split(
        bytes in stream(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        buffer in 1usize..64,
    ) {
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        frames::agrees_with_the_reference(&bytes, &cuts, buffer);
    }
}

#[test]
fn an_address_that_many_links_use_does_nothing() {
    let address = "y".repeat(10_000);
    let links = "[a] ".repeat(10_000);
    markdown::a_body_does_nothing(&format!("[a]: https://x.org/{address}\n\n{links}"));
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What is kept below `fuzz/` for a target, by name.
fn kept(target: &str) -> Vec<PathBuf> {
    let dirs = ["corpus", "regressions"].map(|what| fuzz().join(what).join(target));
    let entries = dirs
        .into_iter()
        .flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn kept_inputs_pass() {
    for (name, target) in TARGETS {
        let files = kept(name);
        assert!(!files.is_empty(), "nothing is kept for {name}");
        for file in files {
            // A check that fails says why, but not where that came from.
            println!("{}", file.display());
            target(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_target_is_replayed() {
    let names = TARGETS.map(|(name, _)| name);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let bins = manifest.split("[[bin]]\nname = \"").skip(1);
    let bins: Vec<_> = bins.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(bins, names);
    for directory in ["corpus", "regressions"] {
        for entry in fs::read_dir(fuzz().join(directory)).into_iter().flatten() {
            let name = entry.unwrap().file_name();
            assert!(
                names.iter().any(|target| name == *target),
                "{directory}: {name:?}"
            );
        }
    }
}
