//! Files below a directory, or in a zip, by their paths with `/`. No link and no `..` is followed out of it, only regular
//! files are opened, and nothing is ever written.

mod dir;
mod zipped;

use std::io::{self, Read};

use dir::Dir;
pub(super) use zipped::Zipped;

/// Where files are.
pub(super) enum Tree {
    Dir(Dir),
    Zip(Zipped),
}

/// The type of an entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    File,
    Folder,
    /// A link, pipe or device, or an encrypted file of a zip.
    Other,
}

impl Tree {
    /// The files below a directory.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn dir(path: &std::path::Path) -> io::Result<Self> {
        Dir::open(path).map(Self::Dir)
    }

    pub(super) fn is_zip(&self) -> bool {
        matches!(self, Self::Zip(_))
    }

    /// Calls `each` for every entry of a folder, in no order. `false` if there is no such folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn each(
        &mut self,
        folder: &str,
        each: &mut dyn FnMut(&str, Entry),
    ) -> io::Result<bool> {
        match self {
            Self::Dir(dir) => dir.each(folder, each),
            Self::Zip(zip) => Ok(zip.each(folder, each)),
        }
    }

    /// The names at the top that are wanted, sorted, at most a thousand. The other entries are not counted: an export
    /// has a file for each picture.
    pub(super) fn names(&mut self, is_wanted: impl Fn(&str, Entry) -> bool) -> Vec<String> {
        const MAX_NAMES: usize = 1_000;
        let mut names = Vec::new();
        let mut add = |name: &str, entry| {
            if names.len() < MAX_NAMES && is_wanted(name, entry) {
                names.push(name.to_owned());
            }
        };
        if self.each("", &mut add).is_err() {
            return Vec::new();
        }
        names.sort_unstable();
        names
    }

    /// Whether there is a folder of that path, not a link to one.
    pub(super) fn has_folder(&mut self, path: &str) -> bool {
        match self {
            Self::Dir(dir) => dir.has_folder(path),
            Self::Zip(zip) => zip.has_folder(path),
        }
    }

    /// Opens a regular file.
    ///
    /// # Errors
    /// Those of the file system; `InvalidInput` for anything but a regular file, with the reason.
    pub(super) fn open(&mut self, path: &str) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Dir(dir) => Ok(Box::new(dir.file(path)?)),
            Self::Zip(zip) => zip.file(path),
        }
    }

    /// Opens a file for random access, which a zip does not have.
    ///
    /// # Errors
    /// Those of [`Tree::open`]; `Unsupported` in a zip.
    pub(super) fn seekable(&mut self, path: &str) -> io::Result<std::fs::File> {
        match self {
            Self::Dir(dir) => dir.file(path),
            Self::Zip(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it cannot be read in a zip; unpack it and name the directory",
            )),
        }
    }

    /// Reads a file whole, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// Those of [`Tree::open`]; `FileTooLarge`.
    pub(super) fn read(&mut self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open(path)?;
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// The length of a file in bytes, unpacked, and its date, `2026-10-09`.
    pub(super) fn about(&mut self, path: &str) -> Option<(u64, Option<String>)> {
        match self {
            Self::Dir(dir) => {
                let meta = dir.file(path).ok()?.metadata().ok()?;
                Some((meta.len(), date(&meta)))
            }
            Self::Zip(zip) => zip.about(path),
        }
    }
}

/// When a file last changed, as a date in UTC.
pub(in crate::transfer) fn date(meta: &std::fs::Metadata) -> Option<String> {
    let time = jiff::Timestamp::try_from(meta.modified().ok()?).ok()?;
    Some(time.strftime("%Y-%m-%d").to_string())
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}
