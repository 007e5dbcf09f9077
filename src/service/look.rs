//! Inspects a store without serving, changing or repairing it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    attach::{answers, blocking, read_info},
    error::ServiceError,
    hold::{is_held, only_files},
    store,
    trouble::Trouble,
};

/// The state of a data directory's store.
#[derive(Debug)]
pub struct Look {
    /// The store's path, whether or not it exists.
    pub path: PathBuf,
    /// Its size in bytes without the write-ahead log; `None` if it does not exist.
    pub bytes: Option<u64>,
    /// Whether it can be read.
    pub store: Readable,
    /// Why it cannot be written now.
    pub unwritable: Option<Unwritable>,
    /// Which process serves it.
    pub held: Held,
}

/// Whether a store can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// It does not exist yet.
    Absent,
    /// It is readable in full; its format.
    Yes(i64),
    /// It is damaged: the next start keeps what is readable.
    Damaged,
    /// It has no bytes, which pieces-lsp never leaves behind.
    Empty,
    /// It cannot be opened, or is newer than this program; a sentence with what to do.
    No(String),
}

/// Why a store cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritable {
    /// `locked`, `full`, `read-only`, `io` or `other`.
    pub cause: &'static str,
    /// The problem, to follow "the store".
    pub what: String,
    /// What to do about it: a sentence without a full stop.
    pub remedy: &'static str,
}

impl From<Trouble> for Unwritable {
    fn from(trouble: Trouble) -> Self {
        let cause = match trouble {
            Trouble::Locked => "locked",
            Trouble::Full => "full",
            Trouble::ReadOnly => "read-only",
            Trouble::Io => "io",
            Trouble::Damaged | Trouble::Other(_) => "other",
        };
        Self {
            cause,
            what: trouble.what().to_owned(),
            remedy: trouble.remedy(),
        }
    }
}

/// Which process serves a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// None: the next start will.
    Free,
    /// This process, at this URL.
    By {
        /// Its process id.
        pid: u32,
        /// Its base URL.
        url: String,
        /// Its version.
        version: String,
    },
    /// A process holds the lock but does not answer.
    Silent,
    /// The lock file cannot be opened; the system's reason.
    Unknown(String),
}

/// Checks the whole store in `data_dir`. Changes nothing, except that it writes `store.suspect` where a
/// damaged store is so large that the next start would not find the damage.
///
/// # Errors
/// The check was cancelled.
pub async fn look(data_dir: &Path) -> Result<Look, ServiceError> {
    let dir = data_dir.to_owned();
    let (path, bytes, store, unwritable, lock, info) = blocking(move || {
        let path = dir.join("store.db");
        let bytes = fs::metadata(&path).ok().map(|meta| meta.len());
        let store = match only_files(&dir) {
            Ok(()) => store::check(&path),
            Err(error) => Readable::No(error.to_string()),
        };
        let unwritable = match store {
            Readable::Yes(_) => store::probe(&path).err().map(Unwritable::from),
            _ => None,
        };
        Ok((
            path,
            bytes,
            store,
            unwritable,
            is_held(&dir),
            read_info(&dir),
        ))
    })
    .await?;
    let held = match (lock, info) {
        (Ok(false), _) => Held::Free,
        (Ok(true), Some(info)) if answers(data_dir, &info).await => Held::By {
            pid: info.pid,
            url: info.url,
            version: info.version,
        },
        (Ok(true), _) => Held::Silent,
        (Err(error), _) => Held::Unknown(error.to_string()),
    };
    Ok(Look {
        path,
        bytes,
        store,
        unwritable,
        held,
    })
}
