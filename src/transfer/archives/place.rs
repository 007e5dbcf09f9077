//! The file or directory that the user named.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use super::out::Pulse;
use super::tree::{Tree, Zipped, date};
use crate::private;

/// Bytes of a file that decide its type.
const HEAD: u64 = 64 << 10;

/// A path, opened.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) what: What,
    /// Keepalives for work before the first object.
    pub(super) pulse: Pulse,
}

pub(super) enum What {
    /// A directory, or a zip.
    Tree(Tree),
    /// A file, with its first bytes.
    File(File, Vec<u8>),
    /// Moved into its reader.
    Taken,
}

impl Place {
    /// Opens it; `None` if it is left to the reader of our own exports, which also reports errors.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) fn open(path: &Path, pulse: &Pulse) -> Result<Option<Self>, String> {
        let what = if path.is_dir() {
            match Tree::dir(path) {
                Ok(tree) => What::Tree(tree),
                Err(_) => return Ok(None),
            }
        } else {
            let Ok(mut file) = private::regular(path) else {
                return Ok(None);
            };
            let mut head = Vec::new();
            let read = (&mut file).take(HEAD).read_to_end(&mut head);
            if read.is_err() || file.rewind().is_err() {
                return Ok(None);
            }
            if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
                return Err(sentence(
                    path,
                    "is UTF-16 text; save it as UTF-8 and name that",
                ));
            }
            if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
                let zip = Zipped::open(file);
                What::Tree(Tree::Zip(zip.map_err(|why| sentence(path, &why))?))
            } else {
                What::File(file, head)
            }
        };
        Ok(Some(Self {
            path: path.to_owned(),
            what,
            pulse: pulse.clone(),
        }))
    }

    /// The directory or zip.
    pub(super) fn tree(&mut self) -> Option<&mut Tree> {
        match &mut self.what {
            What::Tree(tree) => Some(tree),
            _ => None,
        }
    }

    /// The first bytes of a file.
    pub(super) fn head(&self) -> Option<&[u8]> {
        match &self.what {
            What::File(_, head) => Some(head),
            _ => None,
        }
    }

    /// Moves the content into its reader.
    pub(super) fn take(&mut self) -> What {
        std::mem::replace(&mut self.what, What::Taken)
    }

    /// When a file or zip last changed, as a date.
    pub(super) fn date(&self) -> Option<String> {
        date(&self.path.metadata().ok()?)
    }
}

/// A sentence about the path.
pub(in crate::transfer) fn sentence(path: &Path, why: &str) -> String {
    format!("{} {why}.", path.display())
}
