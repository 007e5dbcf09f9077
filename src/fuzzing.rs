//! What `fuzz/` runs: one function per target, each for any bytes. What they check lies beside the code, and
//! the property tests there check the same.
//!
//! [`TARGETS`] is also tried on everything that is kept below `fuzz/`, by a test in here.

use crate::markdown;

/// A target by its name.
pub type Target = fn(&[u8]);

/// All targets.
pub const TARGETS: [(&str, Target); 1] = [("markdown", markdown)];

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
    fn kept_markdown() {
        replay("markdown");
    }
}
