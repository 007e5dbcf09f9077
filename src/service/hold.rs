//! The lock on a data directory: which process may serve it, and whether it is still the directory that was
//! locked.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::sync::watch;

use super::{Failure, ServiceError, store::STORE};
use crate::private::{self, Identity};

/// Locked by the process that serves.
pub(super) const LOCK: &str = "lock";
/// How to reach that process.
pub(super) const INFO: &str = "service.json";

/// The right to serve a data directory. Dropping it removes `service.json`, then releases the locks.
pub(super) struct Holding {
    info: PathBuf,
    written: Arc<OnceLock<Identity>>,
    watch: Watch,
    lock: File,
    /// Keeps the directory locked if the lock file is removed. Not every file system can lock a directory.
    _directory: Option<File>,
}

impl Holding {
    /// Takes the lock on `dir`, unless another process has it.
    ///
    /// # Errors
    /// A file in the directory cannot be used.
    pub(super) fn acquire(dir: &Path) -> Result<Option<Self>, ServiceError> {
        only_files(dir)?;
        let path = dir.join(LOCK);
        let unusable = |error| ServiceError::unusable(&path)(error);
        let lock = private::file(&path, File::options().write(true).create(true));
        let lock = lock.map_err(unusable)?;
        if !try_lock(&lock).map_err(unusable)? {
            return Ok(None);
        }
        let Some(directory) = lock_directory(dir) else {
            return Ok(None);
        };
        let watch = Watch::new(dir);
        let identity = Identity::of(&lock).map_err(unusable)?;
        watch.add(&path, identity);
        // The file may have been replaced between open and lock.
        if watch.check().is_err() {
            return Ok(None);
        }
        let info = dir.join(INFO);
        match fs::remove_file(&info) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ServiceError::unusable(info)(error));
            }
            _ => {}
        }
        Ok(Some(Self {
            info,
            written: Arc::default(),
            watch,
            lock,
            _directory: directory,
        }))
    }

    /// Detects when the directory is no longer the locked one.
    pub(super) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The lock file, which is unique to the data directory.
    #[cfg(unix)]
    pub(super) fn identity(&self) -> io::Result<Identity> {
        Identity::of(&self.lock)
    }

    /// Records that `service.json` was written, so that dropping the hold removes it.
    pub(super) fn announcing(&self) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (path, written) = (self.info.clone(), Arc::clone(&self.written));
        move || {
            let _ = written.set(Identity::at(&path)?);
            Ok(())
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        // If another directory took the place of ours, the file belongs to another process.
        let ours = self.written.get().copied();
        if ours.is_some() && Identity::at(&self.info).ok() == ours {
            // Best effort: readers detect a stale file.
            let _ = fs::remove_file(&self.info);
        }
        let _ = self.lock.unlock();
    }
}

/// SQLite would block forever on a pipe in place of one of its files.
pub(super) fn only_files(dir: &Path) -> Result<(), ServiceError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = dir.join(format!("{STORE}{suffix}"));
        if fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            let why = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(ServiceError::unusable(path)(why));
        }
    }
    Ok(())
}

/// Whether another process has the lock or the directory. Changes nothing.
pub(super) fn is_held(dir: &Path) -> io::Result<bool> {
    let mut options = File::options();
    let lock = match private::file(&dir.join(LOCK), options.read(true).write(true)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(lock_directory(dir).is_none());
        }
        Err(error) => return Err(error),
    };
    // Released at once; a process that tries to serve meanwhile retries.
    Ok(!try_lock(&lock)? || lock_directory(dir).is_none())
}

/// `false` if another process has it.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A lock on the directory itself, where the system has one; `None` if another process has it.
fn lock_directory(dir: &Path) -> Option<Option<File>> {
    let Ok(directory) = File::open(dir) else {
        return Some(None);
    };
    match try_lock(&directory) {
        Ok(true) => Some(Some(directory)),
        Ok(false) => None,
        Err(_) => Some(None),
    }
}

/// Detects when a data directory, or a file it needs, was moved, replaced or deleted.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    dir: PathBuf,
    files: Mutex<Vec<(PathBuf, Identity)>>,
    lost: watch::Sender<bool>,
}

impl Watch {
    /// Watches `dir`; without files, it detects nothing.
    pub(crate) fn new(dir: &Path) -> Self {
        Self(Arc::new(Watched {
            dir: dir.to_owned(),
            files: Mutex::default(),
            lost: watch::Sender::new(false),
        }))
    }

    /// Requires from now on that this path leads to this file.
    pub(crate) fn add(&self, path: &Path, identity: Identity) {
        let mut files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push((path.to_owned(), identity));
    }

    /// The same for the file that exists now, if any.
    pub(crate) fn add_present(&self, path: &Path) {
        if let Ok(identity) = Identity::at(path) {
            self.add(path, identity);
        }
    }

    /// Checks that every file is still in place: a few system calls. A lost directory stays lost.
    ///
    /// # Errors
    /// [`Failure::Displaced`].
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let displaced = |(path, identity): &(PathBuf, Identity)| match Identity::at(path) {
            Ok(found) => found != *identity,
            // Other errors say nothing about the location.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let files = &self.0.files;
        let files = files.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.0.lost.borrow() || files.iter().any(displaced) {
            if !self.0.lost.send_replace(true) {
                tracing::error!(dir = %self.0.dir.display(), "the data directory was displaced");
            }
            return Err(Failure::Displaced(self.reason()));
        }
        Ok(())
    }

    /// What happened, for a person.
    pub(crate) fn reason(&self) -> String {
        format!(
            "The data directory {} was moved, replaced or deleted while it was in use, or its store or lock was; put it back and try again.",
            self.0.dir.display()
        )
    }

    /// Whether [`check`](Self::check) has failed.
    pub(crate) fn is_lost(&self) -> bool {
        *self.0.lost.borrow()
    }

    /// Waits until [`check`](Self::check) fails.
    pub(crate) async fn lost(&self) {
        let _ = self.0.lost.subscribe().wait_for(|lost| *lost).await;
    }
}
