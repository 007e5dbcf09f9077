//! InkVault's `vault.db`: objects as Pieces OS returned them, in SQLite.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::found::{Found, counted};
use super::out::{Out, Pulse, Stop, Yield};
use super::pieces::join::{Join, Taken};
use super::pieces::record::{Bad, MAX_RECORD, Record, Records, Type};
use super::place::{Place, sentence};
use super::tree::Tree;
use super::{IS_A_STORE, Look, Reader};
use crate::private;

/// The first bytes of every SQLite database.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The file in InkVault's directory.
const NAME: &str = "vault.db";
/// Attempts to copy a database that is being written.
const ATTEMPTS: usize = 5;

/// Recognises the database, and a directory that holds it.
///
/// # Errors
/// It is another database, or cannot be read.
pub(super) fn look(place: &mut Place) -> Look {
    let has_vault = place
        .tree()
        .is_some_and(|tree| !tree.is_zip() && has_vault(tree));
    let path = match place.head() {
        Some(head) if head.starts_with(SQLITE) => place.path.clone(),
        None if has_vault => place.path.join(NAME),
        _ => return Ok(None),
    };
    let vault = Vault::open(&path, &place.pulse).map_err(|why| sentence(&path, &why))?;
    Ok(Some(Box::new(vault)))
}

fn has_vault(tree: &mut Tree) -> bool {
    let mut head = [0; 16];
    let file = tree.open(NAME);
    file.is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == *SQLITE
}

struct Vault {
    db: Connection,
    /// Ids of each type, in order.
    ids: Vec<(Type, Vec<Box<str>>)>,
    date: Option<String>,
    version: Option<String>,
    /// Objects that InkVault could not read.
    failures: u64,
    /// A copy that is still there, removed with the vault.
    _copy: Option<tempfile::TempDir>,
}

impl Vault {
    fn open(path: &Path, pulse: &Pulse) -> Result<Self, String> {
        let (db, copy) =
            connect(path, pulse).map_err(|error| format!("cannot be read ({error})"))?;
        let unreadable = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                "is a damaged database; name another copy, such as one in its backups directory"
                    .to_owned()
            }
            _ => format!("cannot be read ({error})"),
        };
        let is_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('raw_records', 'meta')";
        let tables: i64 = db
            .query_row(is_table, [], |row| row.get(0))
            .map_err(unreadable)?;
        let is_ours = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('entity', 'trash_part')";
        let ours: i64 = db
            .query_row(is_ours, [], |row| row.get(0))
            .map_err(unreadable)?;
        if ours == 2 {
            return Err(IS_A_STORE.to_owned());
        }
        if tables < 2 {
            return Err("is not a known database; name InkVault's vault.db".to_owned());
        }
        let mut vault = Self {
            db,
            ids: Vec::new(),
            date: None,
            version: None,
            failures: 0,
            _copy: copy,
        };
        for of in Type::ALL_STORED {
            let ids = vault.ids_of(of).map_err(unreadable)?;
            vault.ids.push((of, ids));
        }
        let last = vault
            .meta("last_export")
            .or_else(|| vault.meta("last_sync"));
        vault.date = last.and_then(|time| Some(time.get(..10)?.to_owned()));
        vault.date = vault
            .date
            .filter(|date| date.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
        vault.version = vault.meta("pieces_version");
        let failures = vault
            .db
            .query_row("SELECT count(*) FROM failures", [], |row| row.get(0));
        vault.failures = failures.map_or(0, i64::unsigned_abs);
        Ok(vault)
    }

    fn ids_of(&self, of: Type) -> rusqlite::Result<Vec<Box<str>>> {
        let sql = "SELECT id FROM raw_records WHERE kind = ?1 AND typeof(id) = 'text' ORDER BY id";
        let mut query = self.db.prepare(sql)?;
        let ids = query.query_map([of.kind().noun()], |row| row.get::<_, String>(0))?;
        ids.map(|id| id.map(String::into_boxed_str)).collect()
    }

    fn meta(&self, key: &str) -> Option<String> {
        let sql = "SELECT value FROM meta WHERE key = ?1 AND length(value) < 100";
        self.db
            .query_row(sql, [key], |row| row.get(0))
            .optional()
            .ok()?
    }

    fn raw(&self, of: Type, id: &str) -> Result<Vec<u8>, String> {
        // Check the length first: a row may have a gigabyte.
        let sql = "SELECT CASE WHEN octet_length(raw) <= ?3 THEN CAST(raw AS BLOB) END \
                   FROM raw_records WHERE kind = ?1 AND id = ?2";
        let mut query = self
            .db
            .prepare_cached(sql)
            .map_err(|error| cannot(&error))?;
        let raw = query.query_row(params![of.kind().noun(), id, MAX_RECORD as i64], |row| {
            row.get(0)
        });
        let raw: Option<Vec<u8>> = raw.map_err(|error| cannot(&error))?;
        raw.ok_or_else(|| format!("it is larger than {} MiB", MAX_RECORD >> 20))
    }
}

fn cannot(error: &rusqlite::Error) -> String {
    format!("it cannot be read ({error})")
}

impl Records for Vault {
    fn count(&self, of: Type) -> usize {
        let ids = self.ids.iter().find(|(known, _)| *known == of);
        ids.map_or(0, |(_, ids)| ids.len())
    }

    fn read(&mut self, of: Type, number: usize) -> Result<Record, Bad> {
        let ids = self.ids.iter().find(|(known, _)| *known == of);
        let Some(id) = ids.and_then(|(_, ids)| ids.get(number)) else {
            return Err(Bad::new(of.kind().noun(), "it is not there any more"));
        };
        let shown: String = id.chars().filter(|c| !c.is_control()).take(80).collect();
        let place = format!("{} {shown}", of.kind().noun());
        let raw = self.raw(of, id).map_err(|why| Bad::new(&*place, why))?;
        let (record, written) = Record::parse(of, &raw).map_err(|why| Bad::new(&*place, why))?;
        match written == **id {
            true => Ok(record),
            false => Err(Bad::new(
                place,
                "it is stored under the id of another object",
            )),
        }
    }
}

impl Reader for Vault {
    fn found(&self) -> Found {
        let mut found = Found::new("an InkVault database").of(self.date.clone());
        for (of, noun) in [
            (Type::Conversation, "conversation"),
            (Type::Message, "message"),
        ] {
            found = found.with(self.count(of) as u64, noun);
        }
        if let Some(version) = &self.version {
            let version: String = version.chars().filter(char::is_ascii_graphic).collect();
            found
                .notes
                .push(format!("Copied from Pieces OS {version}."));
        }
        if self.failures > 0 {
            let failures = counted(self.failures, "object");
            found.notes.push(format!(
                "InkVault could not read {failures} when it made this file."
            ));
        }
        found
    }

    fn read(&mut self, out: &mut Out) -> Yield {
        match Join::new(self, out).run()? {
            Taken::Conversations => Ok(()),
            Taken::Assets | Taken::Nothing => Err(Stop::because(
                "This database has no conversations; run `inkvault rescue` while Pieces OS runs, and import again.",
            )),
        }
    }
}

/// Opens the database for reading; one that is being written is copied first. The original is never written to,
/// not even its `-shm` file.
fn connect(path: &Path, pulse: &Pulse) -> io::Result<(Connection, Option<tempfile::TempDir>)> {
    let path = path.canonicalize()?;
    private::regular(&path)?;
    let journals = ["-wal", "-journal"].map(|end| beside(&path, end));
    let is_written = journals
        .iter()
        .any(|journal| fs::metadata(journal).is_ok_and(|meta| meta.len() > 0));
    let copy = is_written
        .then(|| copied(&path, &journals, pulse))
        .transpose()?;
    let db = match &copy {
        Some(copy) => Connection::open(copy.path().join(NAME)),
        None => {
            let uri = url::Url::from_file_path(&path).map_err(|()| io::ErrorKind::InvalidInput)?;
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            // No process writes to it, so it needs no lock, and SQLite creates no file beside it.
            Connection::open_with_flags(format!("{uri}?immutable=1"), flags)
        }
    };
    let db = db.map_err(io::Error::other)?;
    // Functions in the schema of an untrusted file must not run.
    let mut set = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;".to_owned();
    if copy.is_some() {
        set += "PRAGMA journal_mode = DELETE;";
    }
    set += "PRAGMA query_only = ON; SELECT count(*) FROM sqlite_schema;";
    db.execute_batch(&set).map_err(io::Error::other)?;
    // An open file needs no name; once unlinked, it is removed with the process, however that ends.
    let copy = copy.filter(|_| cfg!(not(unix)));
    Ok((db, copy))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A private copy of a database and its journals, taken while the database itself did not change. A transaction that
/// was added to its log meanwhile is either complete or ignored.
fn copied(path: &Path, journals: &[PathBuf], pulse: &Pulse) -> io::Result<tempfile::TempDir> {
    let dir = tempfile::Builder::new().prefix("pieces-lsp-").tempdir()?;
    for _ in 0..ATTEMPTS {
        let before = fs::metadata(path)?;
        copy_file(path, &dir.path().join(NAME), pulse)?;
        for (journal, end) in journals.iter().zip(["-wal", "-journal"]) {
            let copy = dir.path().join(format!("{NAME}{end}"));
            match copy_file(journal, &copy, pulse) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let _ = fs::remove_file(copy);
                }
                copied => copied?,
            }
        }
        let after = fs::metadata(path)?;
        if before.len() == after.len() && before.modified()? == after.modified()? {
            return Ok(dir);
        }
    }
    Err(io::Error::other(
        "it is being written; stop InkVault and try again",
    ))
}

fn copy_file(from: &Path, to: &Path, pulse: &Pulse) -> io::Result<()> {
    let mut from = private::file(from, File::options().read(true))?;
    from.rewind()?;
    let mut to = private::file(to, File::options().write(true).create(true).truncate(true))?;
    io::copy(&mut pulse.of(from), &mut to).map(drop)
}
