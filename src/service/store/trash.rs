//! Deleted conversations: a head for each, and its parts, in tables of their own.
//!
//! A conversation of this store moves here in the transaction that deletes it. A copy of another service's
//! conversation is staged here before the delete is sent there.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as Columns, params};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    change::{stored, strip},
    kind::Kind,
    query::{self, Row},
};
use crate::service::Failure;

/// On how many different dates the store has to be in use before an entry expires.
const DATES: i64 = 30;
/// Microseconds.
const DAY: i64 = 86_400_000_000;

/// The state of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(crate) enum State {
    /// Its parts are being copied.
    Copying = 0,
    /// The copy is complete; whether the conversation was deleted is unknown.
    Staged = 1,
    /// The conversation was deleted.
    Deleted = 2,
}

/// An entry as listed.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) entry: i64,
    /// The id of the conversation.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) messages: i64,
    /// Empty for this store, else the service that the conversation was copied from.
    pub(crate) origin: String,
    pub(crate) staged: bool,
    /// Microseconds since 1970.
    pub(crate) deleted: i64,
    /// Whether the store has a conversation with this id.
    pub(crate) exists: bool,
}

/// One object of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// The id of its owner within the entry.
    pub(crate) owner: Option<String>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// As in [`Row::doc`].
    pub(crate) doc: String,
}

impl Part {
    /// A part from its document as it is on the wire.
    pub(crate) fn new(
        kind: Kind,
        id: String,
        owner: Option<String>,
        (created, updated): (i64, i64),
        mut doc: Map<String, Value>,
    ) -> Result<Self, Failure> {
        doc.retain(|_, value| !value.is_null());
        Ok(Self {
            kind,
            id,
            owner,
            created,
            updated,
            doc: stored(kind, &strip(kind, doc))?,
        })
    }

    fn read(row: &Columns<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            kind: query::kind(row, 0)?,
            id: row.get(1)?,
            owner: row.get(2)?,
            created: row.get(3)?,
            updated: row.get(4)?,
            doc: row.get(5)?,
        })
    }
}

/// An association of a part.
#[derive(Debug, Clone)]
pub(crate) struct Tie {
    /// The id of the part.
    pub(crate) part: String,
    pub(crate) kind: Kind,
    /// The id of the other object.
    pub(crate) other: String,
    /// How to create the other object again if it is missing.
    pub(crate) seed: Option<Value>,
}

/// A new entry.
pub(crate) struct NewEntry<'a> {
    /// The id of the conversation.
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) origin: &'a str,
    pub(crate) state: State,
    pub(crate) deleted: i64,
}

/// The objects owned by a conversation, itself included, as `doomed (seq)`.
const DOOMED: &str = "WITH RECURSIVE doomed (seq) AS (
  SELECT ?2 UNION SELECT e.seq FROM doomed d JOIN entity e ON e.owner = d.seq
)";

/// Copies a conversation that is about to be deleted, with its parts and associations.
pub(super) fn keep(db: &Connection, row: &Row, now: i64) -> Result<(), Failure> {
    let doc = row.object()?;
    let entry = insert(
        db,
        now,
        &NewEntry {
            id: &row.id,
            name: doc.get("name").and_then(Value::as_str).unwrap_or_default(),
            origin: "",
            state: State::Deleted,
            deleted: now,
        },
    )?;
    let parts = format!(
        "INSERT INTO trash_part (entry, kind, id, owner, created, updated, doc) {DOOMED}
         SELECT ?1, e.kind, e.id, o.id, e.created, e.updated, e.doc
         FROM doomed d JOIN entity e ON e.seq = d.seq LEFT JOIN entity o ON o.seq = e.owner
         ORDER BY e.kind, e.seq"
    );
    let links = format!(
        "INSERT INTO trash_link (entry, id, kind, other) {DOOMED}
         SELECT ?1, e.id, o.kind, o.id
         FROM doomed d JOIN entity e ON e.seq = d.seq
         JOIN link l ON l.a = d.seq JOIN entity o ON o.seq = l.b"
    );
    for sql in [parts, links] {
        db.prepare_cached(&sql)?.execute(params![entry, row.seq])?;
    }
    count_messages(db, entry)?;
    for kind in [Kind::Anchor, Kind::Website] {
        let others: Vec<String> = db
            .prepare_cached("SELECT DISTINCT other FROM trash_link WHERE entry = ?1 AND kind = ?2")?
            .query_map(params![entry, kind as i64], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for other in others {
            let Some(row) = query::find(db, kind, &other)? else {
                continue;
            };
            if let Some(seed) = seed(db, &row)? {
                set_seed(db, entry, &other, &seed)?;
            }
        }
    }
    Ok(())
}

/// The seed of an anchor or a website.
fn seed(db: &Connection, row: &Row) -> Result<Option<Value>, Failure> {
    let mut doc = row.object()?;
    match row.kind {
        Kind::Anchor => {
            let points = query::owned_rows(db, Kind::Point, row.seq)?;
            let Some(point) = points.first() else {
                return Ok(None);
            };
            let path = point.object()?.remove("fullpath");
            Ok(path.map(|path| json!({"type": doc.remove("type"), "fullpath": path})))
        }
        Kind::Website => Ok(Some(Value::Object(doc))),
        _ => Ok(None),
    }
}

/// Stores how to create an object again that parts of the entry are associated with.
pub(crate) fn set_seed(
    db: &Connection,
    entry: i64,
    other: &str,
    seed: &Value,
) -> Result<(), Failure> {
    db.prepare_cached("UPDATE trash_link SET seed = ?3 WHERE entry = ?1 AND other = ?2")?
        .execute(params![entry, other, seed.to_string()])?;
    Ok(())
}

/// Adds an entry without parts; returns its number.
pub(crate) fn insert(db: &Connection, now: i64, new: &NewEntry<'_>) -> Result<i64, Failure> {
    let day = note_date(db, now)?;
    db.prepare_cached(
        "INSERT INTO trash (id, name, messages, origin, state, deleted, day)
         VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        new.id,
        new.name,
        new.origin,
        new.state as i64,
        new.deleted,
        day
    ])?;
    Ok(db.last_insert_rowid())
}

pub(crate) fn add_part(db: &Connection, entry: i64, part: &Part) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO trash_part (entry, kind, id, owner, created, updated, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        entry,
        part.kind as i64,
        part.id,
        part.owner,
        part.created,
        part.updated,
        part.doc
    ])?;
    Ok(())
}

pub(crate) fn add_tie(db: &Connection, entry: i64, tie: &Tie) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO trash_link (entry, id, kind, other, seed) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        entry,
        tie.part,
        tie.kind as i64,
        tie.other,
        tie.seed.as_ref().map(Value::to_string)
    ])?;
    Ok(())
}

/// Updates the message count of an entry.
pub(crate) fn count_messages(db: &Connection, entry: i64) -> Result<(), Failure> {
    db.prepare_cached(
        "UPDATE trash SET messages =
           (SELECT count(*) FROM trash_part WHERE entry = ?1 AND kind = ?2)
         WHERE entry = ?1",
    )?
    .execute(params![entry, Kind::Message as i64])?;
    Ok(())
}

/// Changes the state of an entry. `false` if it is not (or no longer) in state `from`.
pub(crate) fn advance(
    db: &Connection,
    entry: i64,
    from: State,
    to: State,
) -> Result<bool, Failure> {
    let moved = db
        .prepare_cached("UPDATE trash SET state = ?3 WHERE entry = ?1 AND state = ?2")?
        .execute(params![entry, from as i64, to as i64])?;
    Ok(moved > 0)
}

/// Deletes an entry. `false` if it does not exist.
pub(crate) fn remove(db: &Connection, entry: i64) -> Result<bool, Failure> {
    let removed = db
        .prepare_cached("DELETE FROM trash WHERE entry = ?1")?
        .execute([entry])?;
    Ok(removed > 0)
}

/// Deletes unfinished copies. Writes only if there are any: the disk may be full.
pub(super) fn remove_unfinished(db: &Connection) -> Result<(), Failure> {
    const COPYING: [i64; 1] = [State::Copying as i64];
    let any = "SELECT EXISTS (SELECT 1 FROM trash WHERE state = ?1)";
    if db.query_row(any, COPYING, |row| row.get(0))? {
        db.execute("DELETE FROM trash WHERE state = ?1", COPYING)?;
    }
    Ok(())
}

const HEAD: &str = "SELECT entry, id, name, messages, origin, state, deleted,
  EXISTS (SELECT 1 FROM entity e WHERE e.id = trash.id AND e.kind = 1)
  FROM trash";

fn read_head(row: &Columns<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        entry: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        messages: row.get(3)?,
        origin: row.get(4)?,
        staged: row.get::<_, i64>(5)? == State::Staged as i64,
        deleted: row.get(6)?,
        exists: row.get(7)?,
    })
}

/// The entries that have not expired, newest deletion first, without incomplete copies.
pub(crate) fn list(db: &Connection, now: i64) -> Result<Vec<Head>, Failure> {
    let sql = format!("{HEAD} WHERE state <> ?1 AND day > ?2 ORDER BY deleted DESC, entry DESC");
    let mut query = db.prepare_cached(&sql)?;
    let oldest = dates(db, now)? - DATES;
    let heads = query.query_map(params![State::Copying as i64, oldest], read_head)?;
    Ok(heads.collect::<Result<_, _>>()?)
}

/// The newest unexpired entry of a deleted conversation.
pub(crate) fn newest(db: &Connection, id: &str, now: i64) -> Result<Option<Head>, Failure> {
    let sql = format!(
        "{HEAD} WHERE id = ?1 AND state = ?2 AND day > ?3 ORDER BY deleted DESC, entry DESC LIMIT 1"
    );
    let oldest = dates(db, now)? - DATES;
    Ok(db
        .prepare_cached(&sql)?
        .query_row(params![id, State::Deleted as i64, oldest], read_head)
        .optional()?)
}

/// An entry in any state.
pub(crate) fn head(db: &Connection, entry: i64) -> Result<Head, Failure> {
    let found = db
        .prepare_cached(&format!("{HEAD} WHERE entry = ?1"))?
        .query_row([entry], read_head)
        .optional()?;
    found.ok_or_else(|| Failure::Gone {
        kind: "trash entry",
        id: entry.to_string(),
    })
}

/// Whether a copy of this conversation was taken at this time.
pub(crate) fn has(db: &Connection, id: &str, deleted: i64) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM trash WHERE id = ?1 AND deleted = ?2)";
    Ok(db
        .prepare_cached(sql)?
        .query_row(params![id, deleted], |row| row.get(0))?)
}

/// Passes the parts of an entry one by one: the conversation, then its messages in order, then the rest.
pub(crate) fn each_part(
    db: &Connection,
    entry: i64,
    mut to: impl FnMut(Part) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut query = db.prepare_cached(
        "SELECT kind, id, owner, created, updated, doc FROM trash_part
         WHERE entry = ?1 ORDER BY kind, part",
    )?;
    let mut rows = query.query([entry])?;
    while let Some(row) = rows.next()? {
        to(Part::read(row)?)?;
    }
    Ok(())
}

/// The associations of an entry's parts.
pub(crate) fn ties(db: &Connection, entry: i64) -> Result<Vec<Tie>, Failure> {
    let mut query =
        db.prepare_cached("SELECT id, kind, other, seed FROM trash_link WHERE entry = ?1")?;
    let rows = query.query_map([entry], |row| {
        Ok(Tie {
            part: row.get(0)?,
            kind: query::kind(row, 1)?,
            other: row.get(2)?,
            seed: row
                .get::<_, Option<String>>(3)?
                .and_then(|seed| serde_json::from_str(&seed).ok()),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Another entry that has a part with this id.
pub(crate) fn entry_with(db: &Connection, part: &str) -> Result<Option<i64>, Failure> {
    let sql = "SELECT entry FROM trash_part WHERE id = ?1 ORDER BY entry DESC LIMIT 1";
    Ok(db
        .prepare_cached(sql)?
        .query_row([part], |row| row.get(0))
        .optional()?)
}

/// Records the date and deletes what expires by it. Returns the number of dates.
pub(crate) fn note_date(db: &Connection, now: i64) -> Result<i64, Failure> {
    let new = db
        .prepare_cached("INSERT INTO day (date) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([now.div_euclid(DAY)])?;
    let dates = dates(db, now)?;
    if new > 0 {
        db.prepare_cached("DELETE FROM trash WHERE day <= ?1")?
            .execute([dates - DATES])?;
    }
    Ok(dates)
}

/// The number of different dates on which the store was in use, including that of `now`.
fn dates(db: &Connection, now: i64) -> Result<i64, Failure> {
    let sql = "SELECT count(*) + NOT EXISTS (SELECT 1 FROM day WHERE date = ?1) FROM day";
    Ok(db
        .prepare_cached(sql)?
        .query_row([now.div_euclid(DAY)], |row| row.get(0))?)
}

/// Restored conversations of other services: old and new id.
pub(crate) fn restored(db: &Connection) -> Result<Vec<(String, String)>, Failure> {
    let mut query = db.prepare_cached("SELECT old, new FROM restored")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The same for the store in this directory, without attaching to its service; empty if it is unreadable.
/// Blocking.
pub fn restored_ids(data_dir: &Path) -> Vec<(Uuid, Uuid)> {
    let path = data_dir.join(super::STORE);
    // Opening a pipe would block until its other end opens.
    let is_file = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
    let read = || -> Result<_, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags)?;
        db.busy_timeout(Duration::from_secs(1))?;
        restored(&db)
    };
    let found = match is_file {
        // An older store has no such table.
        true => read().unwrap_or_default(),
        false => Vec::new(),
    };
    let pair = |(old, new): (String, String)| {
        Some((Uuid::parse_str(&old).ok()?, Uuid::parse_str(&new).ok()?))
    };
    found.into_iter().filter_map(pair).collect()
}

/// Records the id under which a conversation was restored elsewhere, and deletes all copies of the old one.
pub(crate) fn set_restored(db: &Connection, old: &str, new: &str) -> Result<(), Failure> {
    // References to the old id follow to the new one.
    for sql in [
        "UPDATE restored SET new = ?2 WHERE new = ?1",
        "INSERT OR REPLACE INTO restored (old, new) VALUES (?1, ?2)",
    ] {
        db.prepare_cached(sql)?.execute([old, new])?;
    }
    db.prepare_cached("DELETE FROM trash WHERE id = ?1")?
        .execute([old])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::schema, *};

    fn store() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        schema::migrate(&mut db).unwrap();
        db
    }

    fn add(db: &Connection, id: &str, now: i64) -> i64 {
        let new = NewEntry {
            id,
            name: id,
            origin: "",
            state: State::Deleted,
            deleted: now,
        };
        insert(db, now, &new).unwrap()
    }

    fn listed(db: &Connection, now: i64) -> Vec<String> {
        let heads = list(db, now).unwrap();
        heads.into_iter().map(|head| head.id).collect()
    }

    #[test]
    fn an_entry_expires_after_thirty_dates_of_use() {
        let db = store();
        add(&db, "a", 0);
        for day in 1..30 {
            note_date(&db, day * 3 * DAY).unwrap();
            assert_eq!(listed(&db, day * 3 * DAY), ["a"], "{day}");
        }
        let last = 90 * DAY;
        let newest = |now| newest(&db, "a", now).unwrap().map(|head| head.id);
        // Also if nothing was written on that date.
        assert_eq!(listed(&db, last), [""; 0]);
        assert_eq!(newest(last), None);
        assert_eq!(listed(&db, 87 * DAY), ["a"]);
        assert_eq!(newest(87 * DAY), Some("a".to_owned()));
        note_date(&db, last).unwrap();
        let parts: i64 = db
            .query_row("SELECT count(*) FROM trash", [], |row| row.get(0))
            .unwrap();
        assert_eq!(parts, 0);
    }

    #[test]
    fn a_jump_of_the_clock_counts_as_one_date() {
        let db = store();
        add(&db, "a", 0);
        for _ in 0..100 {
            add(&db, "b", 60 * DAY);
            note_date(&db, 5).unwrap();
        }
        assert!(listed(&db, 5).contains(&"a".to_owned()));
    }

    #[test]
    fn links_to_old_ids_follow_every_restore() {
        let db = store();
        add(&db, "a", 0);
        set_restored(&db, "a", "b").unwrap();
        set_restored(&db, "b", "c").unwrap();
        let mut found = restored(&db).unwrap();
        found.sort();
        let pair = |old: &str, new: &str| (old.to_owned(), new.to_owned());
        assert_eq!(found, [pair("a", "c"), pair("b", "c")]);
        assert_eq!(listed(&db, 0), [""; 0]);
    }
}
