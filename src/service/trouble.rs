//! Why SQLite cannot read or write the store, in plain words.

use std::{fs, io, io::Write as _, path::Path};

use rusqlite::ErrorCode;

use crate::private;

/// Bytes written to test for space.
const PROBE: usize = 256 << 10;

/// The cause of a failed read or write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another program holds SQLite's lock on the file.
    Locked,
    /// No space is left, or the file may not grow further.
    Full,
    /// The file, its directory or its file system is read-only.
    ReadOnly,
    /// The system reported an I/O error.
    Io,
    /// A page or an index of the store is damaged.
    Damaged,
    /// Anything else, in SQLite's words.
    Other(String),
}

impl Trouble {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy) => Self::Locked,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::SystemIoFailure) => Self::Io,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            // The extended message may quote SQL but never bound values.
            _ => Self::Other(error.to_string()),
        }
    }

    /// The same for the store at `path`. If SQLite does not report why the system refused, writing a file
    /// beside the store may. Blocking.
    pub(crate) fn at(path: &Path, error: &rusqlite::Error) -> Self {
        let unclear = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        );
        match Self::of(error) {
            trouble if unclear => Self::of_writing(path).unwrap_or(trouble),
            trouble => trouble,
        }
    }

    /// Why a file beside the store cannot be written; `None` if it can. Blocking.
    pub(crate) fn of_writing(path: &Path) -> Option<Self> {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let file = path.with_file_name("store.probe");
        let written = private::file(&file, fs::File::options().write(true).create(true)).and_then(
            |mut probe| {
                probe.write_all(&vec![0x50; PROBE])?;
                probe.sync_all()
            },
        );
        let _ = fs::remove_file(&file);
        Some(match written.err()?.kind() {
            StorageFull | QuotaExceeded => Self::Full,
            PermissionDenied | ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Io,
        })
    }

    /// The problem, to follow "the store".
    pub(crate) fn what(&self) -> &str {
        match self {
            Self::Locked => "is locked by another program",
            Self::Full => "cannot grow because the disk is full",
            Self::ReadOnly => "is read-only",
            Self::Io => "cannot be used because the disk reported an I/O error",
            Self::Damaged => "is damaged, or the disk cannot read it",
            Self::Other(_) => "failed",
        }
    }

    /// What to do about it: a sentence without a full stop.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Locked => "Close it and try again",
            Self::Full => "Free some space and try again",
            Self::ReadOnly => "Make it writable, or pass another `--data-dir`",
            Self::Io => "Check the disk and run `pieces-lsp doctor`",
            Self::Damaged => "Run `pieces-lsp doctor`",
            Self::Other(_) => "Run `pieces-lsp doctor` and see its log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn each_code_has_its_cause() {
        for (code, expected) in [
            (ffi::SQLITE_BUSY, Trouble::Locked),
            (ffi::SQLITE_BUSY_SNAPSHOT, Trouble::Locked),
            (ffi::SQLITE_FULL, Trouble::Full),
            (ffi::SQLITE_READONLY_DBMOVED, Trouble::ReadOnly),
            (ffi::SQLITE_IOERR_FSYNC, Trouble::Io),
            (ffi::SQLITE_CORRUPT_VTAB, Trouble::Damaged),
            (ffi::SQLITE_NOTADB, Trouble::Damaged),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Trouble::of(&error), expected, "{code}");
        }
    }
}
