//! Creates a store, and repairs a damaged one by copying what is readable to a new one.
//!
//! SQLite reports a failing disk like a damaged store. So a store counts as damaged only if a copy of it,
//! read without an error, is damaged.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    files, open,
    open::Fault,
    salvage::{self, Salvaged},
};
use crate::private;
use crate::service::ServiceError;

/// A notice for the user.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) sentence: String,
    /// Where the old store is kept.
    pub(super) kept: Option<PathBuf>,
}

impl Notice {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self {
            sentence,
            kept: None,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        match &self.kept {
            Some(kept) => write!(
                f,
                " The old store is kept as {}; if you have a backup, `pieces-lsp import` it.",
                kept.display()
            ),
            None => Ok(()),
        }
    }
}

/// Creates an empty store if there is none.
pub(super) fn create(path: &Path) -> Result<(), ServiceError> {
    build(path, |_| Ok(()))?;
    files::name_first(path).map_err(ServiceError::unusable(path))
}

/// Replaces an empty file; returns a sentence that says so.
pub(super) fn replace_empty(path: &Path) -> Result<Notice, ServiceError> {
    build(path, |_| Ok(()))?;
    let kept = files::swap(path).map_err(ServiceError::unusable(path))?;
    Ok(Notice {
        sentence: format!(
            "{} had no content (0 bytes), which pieces-lsp never leaves behind; a new one was created.",
            path.display()
        ),
        kept: Some(kept),
    })
}

/// Checks the store and replaces it by its readable part if it is damaged. Returns a sentence for the user;
/// `None` if it is sound.
pub(super) fn mend(path: &Path) -> Result<Option<Notice>, ServiceError> {
    let copy = files::check(path);
    if let Err(error) = files::copy(path, &copy) {
        let _ = files::remove_all(&copy);
        if matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            return Err(ServiceError::Store {
                path: path.into(),
                reason: "it looks damaged, and there is no space for the copy that is needed to check it. Free some space and try again".to_owned(),
                read_only: false,
            });
        }
        tracing::error!(%error, "the store cannot be read in full");
        return Ok(Some(Notice::new(format!(
            "The disk cannot read all of {} ({error}); nothing was changed, and what can be read is shown. Save it with `pieces-lsp export`, then check the disk.",
            path.display()
        ))));
    }
    let mended = match is_sound(&copy) {
        true => Ok(None),
        false => replace(path, &copy).map(Some),
    };
    let _ = files::remove_all(&copy);
    mended
}

/// Whether a database is sound, its full-text index included.
fn is_sound(copy: &Path) -> bool {
    let look = || {
        let db = Connection::open_with_flags(
            copy,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        open::examine(&db, true)?;
        let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok::<_, Fault>(verdict == "ok")
    };
    look().unwrap_or(false)
}

fn replace(path: &Path, copy: &Path) -> Result<Notice, ServiceError> {
    let mut salvaged = Salvaged::default();
    build(path, |db| {
        salvaged = salvage::into(db, copy)?;
        Ok(())
    })?;
    let kept = files::swap(path).map_err(ServiceError::unusable(path))?;
    tracing::warn!(?salvaged, "the store was damaged and has been rebuilt");
    if salvaged.is_whole() {
        let _ = files::remove_all(&kept);
        return Ok(Notice::new(
            "An index of the store of conversations was damaged and has been rebuilt; nothing was lost.",
        ));
    }
    let sentence = match salvaged {
        Salvaged { kept: 0, .. } => {
            "The store of conversations was corrupt, nothing of it could be read, and a new one was created."
                .to_owned()
        }
        // The number of lost objects may be incomplete.
        Salvaged { kept, lost: 0, .. } => format!(
            "The store of conversations was damaged; the {kept} objects that could be read were kept."
        ),
        Salvaged { kept, lost, .. } => format!(
            "The store of conversations was damaged: {lost} of its objects could not be read, the other {kept} were kept."
        ),
    };
    Ok(Notice {
        sentence,
        kept: Some(kept),
    })
}

/// Writes a new store beside `path`, complete and on disk.
fn build(
    path: &Path,
    fill: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
) -> Result<(), ServiceError> {
    let part = files::part(path);
    let unusable = ServiceError::unusable(path);
    let made = files::remove_all(&part).and_then(|()| {
        private::file(&part, fs::File::options().write(true).create_new(true)).map(drop)
    });
    if let Err(error) = made {
        return Err(unusable(error));
    }
    let filled = Connection::open_with_flags(
        &part,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .and_then(|mut db| {
        open::set_up(&mut db)?;
        fill(&mut db)?;
        // The new store must not need its log: it is renamed alone.
        let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        drop(db);
        match busy {
            0 => Ok(()),
            _ => Err(rusqlite::Error::ExecuteReturnedResults),
        }
    });
    filled.map_err(|error| {
        let _ = files::remove_all(&part);
        ServiceError::store(path, &error)
    })?;
    fs::File::open(&part)
        .and_then(|file| file.sync_all())
        .map_err(ServiceError::unusable(path))
}
