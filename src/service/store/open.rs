//! Opens the database file: creates, migrates, repairs or refuses it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use uuid::Uuid;

use super::{
    files,
    kind::Kind,
    mend::{self, Notice},
    schema,
};
use crate::private;
use crate::service::{ServiceError, trouble::Trouble};

/// How long SQLite waits for a lock of another program.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// A store up to this size, in bytes, is checked in full at each start, in well under 100 ms.
const CHECKED_IN_FULL: u64 = 32 << 20;

pub(super) struct Ready {
    pub(super) db: Connection,
    pub(super) id: Uuid,
    pub(super) user: Uuid,
    pub(super) notice: Option<Notice>,
}

/// Opens, creates, migrates or repairs the store at `path`.
///
/// An earlier start may have been killed at any step; this one continues from there.
pub(super) fn open(path: &Path) -> Result<Ready, ServiceError> {
    let finished = files::finish(path).map_err(ServiceError::unusable(path))?;
    let mut notice = match inspect(path) {
        Ok(State::Absent) => {
            mend::create(path)?;
            finished
        }
        Ok(State::Sound(_)) => finished,
        Err(Fault::Newer(found)) => return Err(newer(path, found)),
        Err(Fault::Empty) => Some(mend::replace_empty(path)?),
        Err(Fault::Suspect) => mend::mend(path)?,
        Err(Fault::Other(error)) => return Err(ServiceError::store(path, &error)),
    };
    let ready = match prepare(path) {
        Err(error) if Trouble::of(&error) == Trouble::Damaged && notice.is_none() => {
            notice = mend::mend(path)?;
            prepare(path)
        }
        ready => ready,
    };
    let (db, id, user) = ready.map_err(|error| ServiceError::store(path, &error))?;
    files::forget_suspicion(path);
    Ok(Ready {
        db,
        id,
        user,
        notice,
    })
}

/// A connection for reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    tune(&db)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Whether a closed store has an object of this kind. Blocking.
pub(crate) fn has_any(path: &Path, kind: Kind) -> rusqlite::Result<bool> {
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, access)?;
    let query = "SELECT EXISTS (SELECT 1 FROM entity WHERE kind = ?1)";
    db.query_row(query, [kind as i64], |row| row.get(0))
}

/// The same for a file that no process writes, possibly on a read-only file system. Ignores its log.
pub(super) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let db = Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )?;
    tune(&db)?;
    Ok(db)
}

/// What is at a store's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    /// A sound store; its format.
    Sound(i64),
}

pub(super) enum Fault {
    /// A format that this program does not know.
    Newer(i64),
    /// An empty file. A store never becomes empty by itself.
    Empty,
    /// The content is damaged, or the disk could not read it: SQLite reports both alike.
    Suspect,
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Suspect,
            _ => Self::Other(error),
        }
    }
}

/// Inspects the store. Writes nothing, unless a killed process left an unfinished transaction that SQLite has
/// to roll back first: a store that will be refused must stay unchanged.
pub(super) fn inspect(path: &Path) -> Result<State, Fault> {
    let Some(size) = size(path) else {
        return Ok(State::Absent);
    };
    if size == 0 {
        return Err(Fault::Empty);
    }
    let in_full = is_checked_in_full(path);
    let look = |access| {
        let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        examine(&db, in_full)
    };
    match look(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Err(Fault::Other(error)) if needs_recovery(&error) => {
            look(OpenFlags::SQLITE_OPEN_READ_WRITE)
        }
        looked => looked,
    }
}

/// Whether each start checks the whole store.
pub(super) fn is_checked_in_full(path: &Path) -> bool {
    size(path).is_some_and(|size| size <= CHECKED_IN_FULL) || files::is_suspect(path)
}

/// The size of the file in bytes; `None` if it does not exist.
fn size(path: &Path) -> Option<u64> {
    match fs::metadata(path) {
        Ok(meta) => Some(meta.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // Opening it reports why it cannot be used.
        Err(_) => Some(u64::MAX),
    }
}

/// Whether SQLite has to write before it can read.
pub(super) fn needs_recovery(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        code,
        Some(
            ffi::SQLITE_READONLY_ROLLBACK
                | ffi::SQLITE_READONLY_RECOVERY
                | ffi::SQLITE_READONLY_CANTINIT
                | ffi::SQLITE_READONLY_CANTLOCK
                // Its log would be beside it.
                | ffi::SQLITE_READONLY_DIRECTORY
                | ffi::SQLITE_READONLY
                | ffi::SQLITE_CANTOPEN
        )
    )
}

/// Classifies an open store. `in_full`: checks all pages, otherwise those that every request needs.
pub(super) fn examine(db: &Connection, in_full: bool) -> Result<State, Fault> {
    tune(db)?;
    let version = schema::version(db)?;
    if version > schema::NEWEST {
        return Err(Fault::Newer(version));
    }
    if version > 0 {
        if in_full {
            let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if verdict != "ok" {
                tracing::warn!(%verdict, "the store looks damaged");
                return Err(Fault::Suspect);
            }
        }
        db.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
        db.query_row("SELECT max(seq) FROM entity", [], |_| Ok(()))?;
    }
    Ok(State::Sound(version))
}

pub(super) fn tune(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
}

fn prepare(path: &Path) -> rusqlite::Result<(Connection, Uuid, Uuid)> {
    make_private(path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let (id, user) = set_up(&mut db)?;
    Ok((db, id, user))
}

/// Migrates an open database to the newest format, with a store id and a user id. Writes nothing if it is up
/// to date.
pub(super) fn set_up(db: &mut Connection) -> rusqlite::Result<(Uuid, Uuid)> {
    tune(db)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON;",
    )?;
    if schema::version(db)? < schema::NEWEST {
        schema::migrate(db)?;
    }
    Ok((identity(db, "id")?, identity(db, "user")?))
}

/// An id that is created once and then kept.
fn identity(db: &Connection, key: &str) -> rusqlite::Result<Uuid> {
    let find = || {
        let mut query = db.prepare("SELECT value FROM meta WHERE key = ?1")?;
        let mut rows = query.query([key])?;
        rows.next()?.map(|row| row.get::<_, String>(0)).transpose()
    };
    let id = match find()? {
        Some(id) => id,
        None => {
            let id = Uuid::new_v4().to_string();
            db.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [key, &id])?;
            id
        }
    };
    Uuid::parse_str(&id).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Removes other users' permissions from the files of a store, for example one copied back from a backup.
/// SQLite gives its side files the permissions of the main one.
fn make_private(path: &Path) -> io::Result<()> {
    // Refuses a link.
    private::file(path, fs::File::options().read(true).write(true))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in [
            path.to_owned(),
            files::side(path, "-wal"),
            files::side(path, "-shm"),
        ] {
            match fs::metadata(&name) {
                Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
                    fs::set_permissions(&name, fs::Permissions::from_mode(0o600))?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

pub(super) fn newer(path: &Path, found: i64) -> ServiceError {
    ServiceError::Newer {
        path: PathBuf::from(path),
        found,
        known: schema::NEWEST,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::check::check;
    use super::*;
    use crate::service::Readable;

    /// A store with one conversation; returns its path and its id.
    pub(in crate::service::store) fn store(dir: &Path) -> (PathBuf, Uuid) {
        let path = dir.join("store.db");
        let ready = open(&path).unwrap();
        let object = "INSERT INTO entity (kind, id, created, updated, doc)
                      VALUES (1, '00000000-0000-4000-8000-000000000001', 1, 1, '{\"name\":\"kept\"}')";
        ready.db.execute_batch(object).unwrap();
        (path, ready.id)
    }

    fn conversations(ready: &Ready) -> i64 {
        let query = "SELECT count(*) FROM entity WHERE kind = 1";
        ready.db.query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Copies the store as a process leaves it that is killed in a transaction without WAL.
    fn killed_in_a_transaction(from: &Path, to: &Path) {
        let db = Connection::open(from).unwrap();
        // The cache is too small for the text, so a part of the transaction is in the file.
        let unfinished = "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN;
             DELETE FROM entity; INSERT INTO meta VALUES ('unfinished', hex(zeroblob(100000)));";
        db.execute_batch(unfinished).unwrap();
        for suffix in ["", "-journal"] {
            fs::copy(files::side(from, suffix), files::side(to, suffix)).unwrap();
        }
        assert!(files::has_log(to));
        // A page that the log restores was only half written.
        overwrite_root(to, "entity");
    }

    /// Overwrites the first page of a table or an index.
    pub(in crate::service::store) fn overwrite_root(path: &Path, name: &str) {
        let db = immutable(path).unwrap();
        let query = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        let page: i64 = db.query_row(query, [name], |row| row.get(0)).unwrap();
        let mut bytes = fs::read(path).unwrap();
        let start = usize::try_from(page - 1).unwrap() * 4096;
        bytes[start..start + 4096].fill(0xA5);
        fs::write(path, bytes).unwrap();
    }

    /// Makes the file too large to be checked in full at a start.
    pub(in crate::service::store) fn enlarge(path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(CHECKED_IN_FULL + 1).unwrap();
    }

    #[test]
    fn an_unfinished_transaction_is_rolled_back_by_a_start_only() {
        let (running, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, id) = store(running.path());
        let path = dir.path().join("store.db");
        killed_in_a_transaction(&from, &path);

        let bytes = fs::read(&path).unwrap();
        assert_eq!(check(&path), Readable::Yes(schema::NEWEST));
        assert!(fs::read(&path).unwrap() == bytes, "a check changes nothing");

        let ready = open(&path).unwrap();
        assert!(ready.notice.is_none());
        assert_eq!((ready.id, conversations(&ready)), (id, 1));
    }

    #[test]
    fn damage_that_the_checks_of_a_start_miss_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = store(dir.path());
        let mut bytes = fs::read(&path).unwrap();
        // The header of the record with the store's id: its size, and the types of a name and a UUID.
        let header = b"\x03\x11\x55id";
        let at = bytes.windows(header.len()).position(|one| one == header);
        bytes[at.unwrap()] = 0x7f;
        fs::write(&path, bytes).unwrap();
        enlarge(&path);
        assert!(matches!(inspect(&path), Ok(State::Sound(_))));

        let ready = open(&path).unwrap();
        let notice = ready.notice.as_ref().expect("the user is told");
        assert!(notice.kept.as_ref().is_none_or(|kept| kept.exists()));
        assert_eq!(conversations(&ready), 1);
        drop(ready);
        assert!(open(&path).unwrap().notice.is_none());
    }

    /// Otherwise a start would create a store in its place.
    #[cfg(unix)]
    #[test]
    fn a_store_that_cannot_be_looked_at_does_not_count_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(matches!(inspect(&path), Err(Fault::Other(_))));
        assert!(matches!(check(&path), Readable::No(_)));
        assert!(open(&path).is_err());
        assert!(fs::read_link(&path).is_ok(), "nothing was changed");
    }
}
