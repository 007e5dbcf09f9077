//! The store checks of `doctor`. They change nothing.

use std::{fs, io, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::{
    files,
    open::{self, Fault, State},
    view::Scratch,
};
use crate::private;
use crate::service::{Readable, ServiceError, trouble::Trouble};

/// Checks the store at `path` in full.
pub(crate) fn check(path: &Path) -> Readable {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Readable::Absent,
        Err(error) => return Readable::No(ServiceError::unusable(path)(error).to_string()),
        Ok(meta) if meta.is_file() && meta.len() == 0 => return Readable::Empty,
        Ok(_) => {}
    }
    let fault = match examine(path, false) {
        Ok(version) => return Readable::Yes(version),
        Err(Fault::Other(error)) if open::needs_recovery(&error) => match examine(path, true) {
            Ok(version) => return Readable::Yes(version),
            Err(fault) => fault,
        },
        Err(fault) => fault,
    };
    match fault {
        Fault::Newer(found) => Readable::No(open::newer(path, found).to_string()),
        Fault::Other(error) => Readable::No(match private::regular(path) {
            // The system's reason is clearer than SQLite's.
            Err(refused) => ServiceError::unusable(path)(refused).to_string(),
            Ok(_) => ServiceError::store(path, &error).to_string(),
        }),
        Fault::Empty => Readable::Empty,
        Fault::Suspect => check_copy(path),
    }
}

/// Only a copy that was read without errors can distinguish damage from a failing disk.
fn check_copy(path: &Path) -> Readable {
    let scratch = match Scratch::of(path) {
        Ok(scratch) => scratch,
        Err(error) => {
            return Readable::No(format!(
                "the disk cannot read all of {}: {error}. Save what it can read with `pieces-lsp export`",
                path.display()
            ));
        }
    };
    let copy = scratch.store();
    let version = open::inspect(&copy).and_then(|_| {
        let db = Connection::open(&copy)?;
        in_full(&db)
    });
    match version {
        Ok(version) => Readable::Yes(version),
        Err(Fault::Newer(found)) => Readable::No(open::newer(path, found).to_string()),
        Err(Fault::Suspect | Fault::Empty) => {
            if !open::is_checked_in_full(path) {
                files::suspect(path);
            }
            Readable::Damaged
        }
        Err(Fault::Other(error)) => Readable::No(ServiceError::store(path, &error).to_string()),
    }
}

fn examine(path: &Path, immutable: bool) -> Result<i64, Fault> {
    let db = match immutable {
        // That would ignore a log, which has to be applied or rolled back.
        true if files::has_log(path) => {
            return Err(Fault::Suspect);
        }
        true => open::immutable(path)?,
        false => Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?,
    };
    in_full(&db)
}

fn in_full(db: &Connection) -> Result<i64, Fault> {
    let State::Sound(version) = open::examine(db, true)? else {
        return Ok(0);
    };
    let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    match verdict.as_str() {
        "ok" => Ok(version),
        _ => Err(Fault::Suspect),
    }
}

/// Why the store at `path` cannot be written now, if so. The attempt is undone.
pub(crate) fn probe(path: &Path) -> Result<(), Trouble> {
    let tried = || {
        let db = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        open::tune(&db)?;
        db.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
    };
    tried().map_err(|error| Trouble::at(path, &error))?;
    match Trouble::of_writing(path) {
        None => Ok(()),
        Some(trouble) => Err(trouble),
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::tests::{enlarge, overwrite_root, store};
    use super::super::schema;
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_not_blamed_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("directory.db")).unwrap();
        let mut names = vec!["directory.db"];
        #[cfg(unix)]
        let _socket = {
            names.push("socket.db");
            std::os::unix::net::UnixListener::bind(path("socket.db")).unwrap()
        };
        for name in names {
            let Readable::No(reason) = check(&path(name)) else {
                panic!("{name}: {:?}", check(&path(name)));
            };
            let expected = format!("cannot use {}: ", path(name).display());
            assert!(reason.starts_with(&expected), "{reason}");
            assert!(reason.contains("; move it away or "), "{reason}");
        }
    }

    #[test]
    fn damage_that_a_start_would_miss_is_noted_for_the_next_one() {
        for large in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let (path, _) = store(dir.path());
            // No start reads this index.
            overwrite_root(&path, "trash_id");
            if large {
                enlarge(&path);
                assert!(open::open(&path).unwrap().notice.is_none());
            }
            assert_eq!(check(&path), Readable::Damaged);
            assert_eq!(files::is_suspect(&path), large);
            assert!(open::open(&path).unwrap().notice.is_some(), "it is mended");
            assert_eq!(check(&path), Readable::Yes(schema::NEWEST));
            assert!(!files::is_suspect(&path));
        }
    }
}
