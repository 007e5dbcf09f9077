//! Opens the database file: fresh, as it is, migrated, set aside, or refused.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::{kind::Kind, schema};
use crate::private;
use crate::service::{Readable, ServiceError, time};

/// A store up to this size is checked in full at each start; that takes well under 100 ms.
const CHECKED_IN_FULL: u64 = 32 << 20;

pub(super) struct Ready {
    pub(super) db: Connection,
    pub(super) id: Uuid,
    pub(super) user: Uuid,
    pub(super) notice: Option<String>,
}

/// Opens, creates or migrates the store at `path`.
pub(super) fn open(path: &Path) -> Result<Ready, ServiceError> {
    let notice = match inspect(path) {
        Ok(_) => None,
        Err(Fault::Newer(found)) => return Err(newer(path, found)),
        Err(Fault::Corrupt) => Some(set_aside(path)?),
        Err(Fault::Other(error)) => return Err(refused(path, &error)),
    };
    let (db, id, user) = prepare(path).map_err(|error| refused(path, &error))?;
    Ok(Ready {
        db,
        id,
        user,
        notice,
    })
}

/// Whether the store at `path` can be read. Writes nothing.
pub(crate) fn readable(path: &Path) -> Readable {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Readable::Absent,
        Err(error) => return Readable::No(ServiceError::unusable(path)(error).to_string()),
        Ok(_) => {}
    }
    match inspect(path) {
        Ok(format) => Readable::Yes(format),
        Err(Fault::Newer(found)) => Readable::No(newer(path, found).to_string()),
        Err(Fault::Corrupt) => Readable::Damaged,
        Err(Fault::Other(error)) => Readable::No(refused(path, &error).to_string()),
    }
}

/// A read-only connection for answering requests.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    tune(&db)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Whether a store that need not be open has an object of this kind. Blocking.
pub(crate) fn has_any(path: &Path, kind: Kind) -> rusqlite::Result<bool> {
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, access)?;
    let query = "SELECT EXISTS (SELECT 1 FROM entity WHERE kind = ?1)";
    db.query_row(query, [kind as i64], |row| row.get(0))
}

enum Fault {
    Newer(i64),
    Corrupt,
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            _ => Self::Other(error),
        }
    }
}

/// The format of the store, 0 where there is none. Looks without writing: a store that will be
/// refused must stay as it is.
fn inspect(path: &Path) -> Result<i64, Fault> {
    let size = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        // Opening it says why it cannot be used.
        Err(_) => CHECKED_IN_FULL + 1,
    };
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    tune(&db)?;
    let version = schema::version(&db)?;
    if version > schema::NEWEST {
        return Err(Fault::Newer(version));
    }
    if version == 0 {
        return Ok(0);
    }
    if size <= CHECKED_IN_FULL {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Fault::Corrupt);
        }
    }
    // The pages that every request needs.
    db.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    db.query_row("SELECT max(seq) FROM entity", [], |_| Ok(()))?;
    Ok(version)
}

fn tune(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
}

fn prepare(path: &Path) -> rusqlite::Result<(Connection, Uuid, Uuid)> {
    private_file(path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    tune(&db)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = FAST;",
    )?;
    schema::migrate(&mut db)?;
    let id = identity(&db, "id")?;
    let user = identity(&db, "user")?;
    Ok((db, id, user))
}

/// An id that is made once and then stays.
fn identity(db: &Connection, key: &str) -> rusqlite::Result<Uuid> {
    db.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        [key, &Uuid::new_v4().to_string()],
    )?;
    let id: String = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
        row.get(0)
    })?;
    Uuid::parse_str(&id).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Takes away from others what they may do with the files of a store, such as one that was copied back
/// from a backup.
#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::metadata(&name) {
            Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(&name, fs::Permissions::from_mode(0o600))?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // A new file can be found after a loss of power only if its directory was written, too.
    match path.parent() {
        Some(dir) => fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// SQLite gives its side files the permissions of the main one, so that is made first.
fn private_file(path: &Path) -> io::Result<()> {
    private::file(path, fs::File::options().write(true).create(true))?;
    #[cfg(unix)]
    make_private(path)?;
    Ok(())
}

/// Renames the store and its side files; returns the sentence that says where they are.
fn set_aside(path: &Path) -> Result<String, ServiceError> {
    let stamp = time::iso(time::now()).replace([':', '.'], "-");
    let renamed = |suffix: &str| -> (PathBuf, PathBuf) {
        let with = |base: &Path| {
            let mut name = base.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        (
            with(path),
            with(&path.with_file_name(format!("store.corrupt-{stamp}.db"))),
        )
    };
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = renamed(suffix);
        match fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ServiceError::unusable(from)(error)),
        }
    }
    let (_, kept) = renamed("");
    Ok(format!(
        "The store of conversations was corrupt and a new one was started; the old one is kept as {}.",
        kept.display()
    ))
}

fn newer(path: &Path, found: i64) -> ServiceError {
    ServiceError::Newer {
        path: path.into(),
        found,
        known: schema::NEWEST,
    }
}

fn refused(path: &Path, error: &rusqlite::Error) -> ServiceError {
    ServiceError::Store {
        path: path.into(),
        reason: error.to_string(),
    }
}
