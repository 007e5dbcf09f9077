//! Why the local service cannot start: one sentence each, with what to do.

use std::{io, path::PathBuf};

use super::trouble::Trouble;

/// The local service could not be started or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// No home directory, so no place for the data directory.
    #[error("cannot tell where your home directory is; set HOME or pass --data-dir")]
    NoHome,
    /// HTTP cannot express times before 1970, and hyper panics over its `Date` header then.
    #[error("the clock of this machine is before 1970; set it, and try again")]
    Clock,
    /// The data directory, or a file in it, cannot be used.
    #[error("cannot use {}: {source}; {} or pass another --data-dir", path.display(), remedy(source))]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The data directory belongs to another user, who could read and replace its files.
    #[error("{} belongs to another user; pass a --data-dir that is yours", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// Other users can write to the data directory, so they could replace its files.
    #[error(
        "other users can write to {}, so nothing private is kept there; pass a --data-dir that does not exist yet, such as {}, or remove that permission",
        path.display(), path.join("pieces-lsp").display()
    )]
    Shared {
        /// The directory.
        path: PathBuf,
    },
    /// The port is taken.
    #[error(
        "port {port} on 127.0.0.1 cannot be used ({source}); choose another with --port, or 0 for any"
    )]
    Port {
        /// The requested port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// The store was written by a newer version of this program and was not changed.
    #[error(
        "{} was written by a newer pieces-lsp (format {found}, this one reads up to {known}); update pieces-lsp or pass another --data-dir",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// The format of the store.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The store exists, is not known to be corrupt, and cannot be opened.
    #[error("cannot open {}: {reason}", path.display())]
    Store {
        /// The store.
        path: PathBuf,
        /// The problem, and what to do about it.
        reason: String,
        /// No file can be created in its directory, so it may be opened for reading.
        read_only: bool,
    },
    /// Another process holds the store but does not answer.
    #[error(
        "another pieces-lsp holds {} but does not answer; end it ({holder}) and try again",
        path.display()
    )]
    Holder {
        /// The data directory.
        path: PathBuf,
        /// `process N`, or a description if the id is unknown.
        holder: String,
    },
    /// The HTTP client for asking the holder failed, or a task was cancelled.
    #[error("the local service could not start: {0}; run `pieces-lsp doctor`")]
    Internal(String),
}

impl ServiceError {
    pub(crate) fn unusable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Unusable { path, source }
    }

    /// A store that SQLite cannot open.
    pub(crate) fn store(path: impl Into<PathBuf>, error: &rusqlite::Error) -> Self {
        let path = path.into();
        let trouble = Trouble::at(&path, error);
        let reason = match &trouble {
            Trouble::Other(reason) => format!(
                "{reason}; check its permissions and the free space, or pass another --data-dir"
            ),
            trouble => format!("the store {}. {}.", trouble.what(), trouble.remedy()),
        };
        // After any failure to open a store for writing, even a passing one, SQLite opens it for reading.
        let read_only =
            trouble == Trouble::ReadOnly && Trouble::of_writing(&path) == Some(Trouble::ReadOnly);
        if !read_only {
            tracing::error!(%error, ?trouble, path = %path.display(), "the store cannot be opened");
        }
        Self::Store {
            path,
            reason,
            read_only,
        }
    }

    /// Whether the store may be readable but not writable.
    pub(crate) fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self {
            Self::Unusable { source, .. } => {
                matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
            }
            Self::Store { read_only, .. } => *read_only,
            _ => false,
        }
    }
}

/// What to do about a file that cannot be used.
fn remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind::{InvalidInput, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => "free some space",
        // It is no regular file.
        InvalidInput => "move it away",
        _ => "check its permissions",
    }
}
