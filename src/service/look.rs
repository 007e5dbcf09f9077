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
    /// Who serves it.
    pub held: Held,
}

/// Whether a store can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// There is none yet.
    Absent,
    /// It can; it has this format.
    Yes(i64),
    /// It is damaged: the next start sets it aside and begins a new one.
    Damaged,
    /// It cannot be opened, or is newer than this program; one sentence says what to do.
    No(String),
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

/// Looks at the store in `data_dir`. Makes no file there.
///
/// # Errors
/// Looking was cut off.
pub async fn look(data_dir: &Path) -> Result<Look, ServiceError> {
    let dir = data_dir.to_owned();
    let (path, bytes, store, lock, info) = blocking(move || {
        let path = dir.join("store.db");
        let bytes = fs::metadata(&path).ok().map(|meta| meta.len());
        let store = match only_files(&dir) {
            Ok(()) => store::readable(&path),
            Err(error) => Readable::No(error.to_string()),
        };
        Ok((path, bytes, store, is_held(&dir), read_info(&dir)))
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
        held,
    })
}
