//! Opens a store file without writing beside it: a mounted backup, or a store that was set aside.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{
    STORE, files,
    open::{self, State},
    schema, writing,
};
use crate::private;
use crate::service::ServiceError;

pub(super) enum Opened {
    /// The file can be read in place.
    AsItIs { id: Uuid, user: Uuid },
    /// Its log has to be applied, or it has to be migrated, repaired or tidied up: that is done on a copy.
    Copy(Scratch),
}

/// A private temporary directory, removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// The path of the store in it.
    pub(super) fn store(&self) -> PathBuf {
        self.0.join(STORE)
    }

    /// Copies a store with its log.
    pub(super) fn of(path: &Path) -> Result<Self, ServiceError> {
        let dir = std::env::temp_dir().join(format!("pieces-lsp-{}", Uuid::new_v4()));
        private::own_dir(&dir)
            .map_err(|error| ServiceError::unusable(&dir)(io::Error::other(error)))?;
        let scratch = Self(dir);
        files::copy(path, &scratch.store()).map_err(ServiceError::unusable(path))?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: it is in the system's temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn open(path: &Path) -> Result<Opened, ServiceError> {
    let size = fs::metadata(path)
        .map_err(ServiceError::unusable(path))?
        .len();
    if size == 0 {
        return Err(ServiceError::Store {
            path: path.into(),
            reason: "it has no content (0 bytes). Use a backup".to_owned(),
            read_only: false,
        });
    }
    if !files::has_log(path)
        && let Some((id, user)) = ids(path)
    {
        return Ok(Opened::AsItIs { id, user });
    }
    Scratch::of(path).map(Opened::Copy)
}

/// The ids of a sound store in our format.
fn ids(path: &Path) -> Option<(Uuid, Uuid)> {
    let db = open::immutable(path).ok()?;
    let sound = open::examine(&db, true).ok()?;
    if sound != State::Sound(schema::NEWEST) || writing::is_any(&db).ok()? {
        return None;
    }
    let id = |key| {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let id: String = db.query_row(sql, [key], |row| row.get(0)).ok()?;
        Uuid::parse_str(&id).ok()
    };
    Some((id("id")?, id("user")?))
}
