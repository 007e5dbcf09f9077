//! Looks at a store without serving, changing or repairing it.

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

/// What was found in a data directory.
#[derive(Debug)]
pub struct Look {
    /// The store's file, whether it is there or not.
    pub path: PathBuf,
    /// Its size without the write-ahead log; `None` if there is none.
    pub bytes: Option<u64>,
    /// Whether it can be read.
    pub store: Readable,
    /// Why nothing could be written to it now.
    pub unwritable: Option<Unwritable>,
    /// Who serves it.
    pub held: Held,
}

/// Whether a store can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// There is none yet.
    Absent,
    /// It can, all of it; it has this format.
    Yes(i64),
    /// It is damaged: the next start keeps what can be read of it.
    Damaged,
    /// It has no bytes at all, which a store never has by itself.
    Empty,
    /// It cannot be opened, or is newer than this program; one sentence says what to do.
    No(String),
}

/// Why nothing can be written to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritable {
    /// `locked`, `full`, `read-only`, `io` or `other`.
    pub cause: &'static str,
    /// What is the matter, to follow "the store".
    pub what: String,
    /// What to do about it, one sentence without its full stop.
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

/// Who serves a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Nobody: the next start will.
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
    /// A process has the lock, but does not answer.
    Silent,
    /// The lock file cannot be opened; the system's reason.
    Unknown(String),
}

/// Looks at the store in `data_dir` and checks all of it. Nothing there is changed, but for a
/// `store.suspect` where a damaged store is so large that the next start would not find the damage.
///
/// # Errors
/// Looking was cut off.
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
