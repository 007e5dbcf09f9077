//! Properties of any input, from proptest and from what fuzzing found (`fuzz/corpus`, `fuzz/regressions`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod oracles;

use oracles::{frames, json, list};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

type Target = fn(&[u8]);

/// The targets of `fuzz/` by name.
const TARGETS: [(&str, Target); 3] = [
    ("frames", frames::fuzz),
    ("list", list::fuzz),
    ("json", json::fuzz),
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

proptest! {
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
