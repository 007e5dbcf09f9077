//! Reads of the store. All SQL is fixed; values are bound.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};

use super::{
    hub,
    kind::{Kind, Link},
    tolerant,
};
use crate::service::Failure;

/// One stored object.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) owner: Option<i64>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// A JSON object, compact, without derived fields.
    pub(crate) doc: String,
}

impl Row {
    /// The document, parsed.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, Failure> {
        Ok(serde_json::from_str(&self.doc)?)
    }

    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            kind: kind(row, 0)?,
            seq: row.get(1)?,
            id: row.get(2)?,
            owner: row.get(3)?,
            created: row.get(4)?,
            updated: row.get(5)?,
            doc: row.get(6)?,
        })
    }
}

impl From<&Row> for Link {
    fn from(row: &Row) -> Self {
        Self {
            kind: row.kind,
            seq: row.seq,
            id: row.id.clone(),
        }
    }
}

pub(super) const ROW: &str = "SELECT kind, seq, id, owner, created, updated, doc FROM entity";

pub(super) fn kind(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Kind> {
    let number = row.get(at)?;
    Kind::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(at, number))
}

fn read_link(row: &rusqlite::Row<'_>) -> rusqlite::Result<Link> {
    Ok(Link {
        kind: kind(row, 0)?,
        seq: row.get(1)?,
        id: row.get(2)?,
    })
}

/// The object, if it exists.
pub(crate) fn find(db: &Connection, kind: Kind, id: &str) -> Result<Option<Row>, Failure> {
    let sql = format!("{ROW} WHERE id = ?1 AND kind = ?2");
    Ok(db
        .prepare_cached(&sql)?
        .query_row(params![id, kind as i64], Row::read)
        .optional()?)
}

/// The object, or a 410 if it does not exist.
pub(crate) fn get(db: &Connection, kind: Kind, id: &str) -> Result<Row, Failure> {
    find(db, kind, id)?.ok_or_else(|| Failure::Gone {
        kind: kind.noun(),
        id: id.to_owned(),
    })
}

/// The object with this id, of any kind, without its document, which may be many megabytes.
pub(crate) fn find_head(db: &Connection, id: &str) -> Result<Option<Row>, Failure> {
    let sql = "SELECT kind, seq, id, owner, created, updated, '' FROM entity WHERE id = ?1";
    Ok(db
        .prepare_cached(sql)?
        .query_row([id], Row::read)
        .optional()?)
}

/// The beginnings of the texts by which exporters of Pieces archives replace secrets.
pub(crate) const MARKERS: [&str; 2] = ["[REDACTED:", "[WITHHELD:"];

/// Whether an object, or one of its formats, is a copy in which an exporter replaced something.
pub(crate) fn is_redacted(db: &Connection, seq: i64) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM (
                   SELECT doc FROM entity WHERE seq = ?1
                   UNION ALL SELECT doc FROM entity WHERE owner = ?1 AND kind = ?2)
               WHERE instr(doc, ?3) > 0 OR instr(doc, ?4) > 0)";
    let [redacted, withheld] = MARKERS;
    let known = params![seq, Kind::Format as i64, redacted, withheld];
    Ok(db.prepare_cached(sql)?.query_row(known, |row| row.get(0))?)
}

/// One end of an association, or a 410 if it does not exist.
pub(crate) fn link(db: &Connection, kind: Kind, id: &str) -> Result<Link, Failure> {
    let head = find_head(db, id)?.filter(|row| row.kind == kind);
    head.map(|row| Link::from(&row))
        .ok_or_else(|| Failure::Gone {
            kind: kind.noun(),
            id: id.to_owned(),
        })
}

/// The first few objects of a kind with this `key`: reading all of them for each new object would be
/// quadratic.
pub(crate) fn find_by_key(db: &Connection, kind: Kind, key: &str) -> Result<Vec<Row>, Failure> {
    let sql = format!("{ROW} WHERE kind = ?1 AND key = ?2 ORDER BY seq LIMIT 16");
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(params![kind as i64, key], Row::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Up to `limit` objects of a kind after `after`, in insertion order. Unreadable ones are omitted or
/// replaced.
pub(crate) fn list(
    db: &Connection,
    kind: Kind,
    after: i64,
    limit: usize,
) -> Result<Vec<Row>, Failure> {
    let read = || {
        let sql = format!("{ROW} WHERE kind = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = db.prepare_cached(&sql)?;
        let rows = query.query_map(params![kind as i64, after, limit], Row::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    tolerant::or(db, read(), || tolerant::list(db, kind, after, limit))
}

/// Objects of a kind owned by `first..=last`, as (owner, object), in order of owner and insertion.
pub(crate) fn owned(
    db: &Connection,
    kind: Kind,
    first: i64,
    last: i64,
) -> Result<Vec<(i64, String)>, Failure> {
    // Otherwise SQLite prefers equality on `kind` and reads all messages.
    let mut query = db.prepare_cached(
        "SELECT owner, id FROM entity INDEXED BY entity_owner WHERE owner BETWEEN ?1 AND ?2 AND kind = ?3 ORDER BY owner, seq",
    )?;
    let rows = query.query_map(params![first, last, kind as i64], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    tolerant::up_to_damage(db, rows)
}

/// The objects of a kind that one object owns, in insertion order.
pub(crate) fn owned_rows(db: &Connection, kind: Kind, owner: i64) -> Result<Vec<Row>, Failure> {
    let read = || {
        let sql = format!("{ROW} WHERE owner = ?1 AND kind = ?2 ORDER BY seq");
        let mut query = db.prepare_cached(&sql)?;
        let rows = query.query_map(params![owner, kind as i64], Row::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    tolerant::or(db, read(), || tolerant::owned_rows(db, kind, owner))
}

/// The associations of the objects `first..=last` of a kind, as (object, other).
pub(crate) fn linked(
    db: &Connection,
    kind: Kind,
    first: i64,
    last: i64,
) -> Result<Vec<(i64, Link)>, Failure> {
    let mut query = db.prepare_cached(
        "SELECT l.a, l.b_kind, l.b, e.id FROM link l JOIN entity e ON e.seq = l.b
         WHERE l.a_kind = ?3 AND l.a BETWEEN ?1 AND ?2 ORDER BY l.a, l.b_kind, l.b",
    )?;
    let rows = query.query_map(params![first, last, kind as i64], |row| {
        Ok((
            row.get(0)?,
            Link {
                kind: self::kind(row, 1)?,
                seq: row.get(2)?,
                id: row.get(3)?,
            },
        ))
    })?;
    tolerant::up_to_damage(db, rows)
}

/// The objects associated with one object, of any kind.
pub(crate) fn neighbours(db: &Connection, seq: i64) -> Result<Vec<Link>, Failure> {
    let mut query = db.prepare_cached(
        "SELECT e.kind, e.seq, e.id FROM link l JOIN entity e ON e.seq = l.b
         WHERE l.a = ?1 ORDER BY e.kind, e.seq",
    )?;
    let rows = query.query_map([seq], read_link)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The object with this sequence number.
pub(crate) fn by_seq(db: &Connection, seq: i64) -> Result<Option<Link>, Failure> {
    Ok(db
        .prepare_cached("SELECT kind, seq, id FROM entity WHERE seq = ?1")?
        .query_row([seq], read_link)
        .optional()?)
}

/// The object itself and everything deleted with it.
pub(super) fn with_owned(db: &Connection, seq: i64) -> Result<Vec<Link>, Failure> {
    let mut query = db.prepare_cached(
        "WITH RECURSIVE doomed (seq) AS (
           SELECT ?1 UNION SELECT e.seq FROM doomed d JOIN entity e ON e.owner = d.seq
         )
         SELECT e.kind, e.seq, e.id FROM doomed d JOIN entity e ON e.seq = d.seq ORDER BY e.seq DESC",
    )?;
    let rows = query.query_map([seq], read_link)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The number of objects of a kind, from the index.
pub(crate) fn count(db: &Connection, kind: Kind) -> Result<u64, Failure> {
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM entity INDEXED BY entity_kind WHERE kind = ?1")?
        .query_row([kind as i64], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Ids and `updated` of all objects of a kind, in insertion order.
pub(crate) fn identifiers(db: &Connection, kind: Kind) -> Result<Vec<(String, i64)>, Failure> {
    let mut all = Vec::new();
    each_identifier(db, kind, |id, updated| all.push((id.to_owned(), updated)))?;
    Ok(all)
}

fn each_identifier(
    db: &Connection,
    kind: Kind,
    mut each: impl FnMut(&str, i64),
) -> Result<(), Failure> {
    let mut query =
        db.prepare_cached("SELECT id, updated, seq FROM entity WHERE kind = ?1 ORDER BY seq")?;
    let mut rows = query.query([kind as i64])?;
    let mut last = i64::MIN;
    loop {
        match rows.next() {
            Ok(None) => return Ok(()),
            Ok(Some(row)) => {
                each(row.get_ref(0)?.as_str().unwrap_or_default(), row.get(1)?);
                last = row.get(2)?;
            }
            Err(error) => {
                let rest = || {
                    for row in tolerant::list(db, kind, last, usize::MAX)? {
                        each(&row.id, row.updated);
                    }
                    Ok(())
                };
                return tolerant::or(db, Err(error.into()), rest);
            }
        }
    }
}

/// All live objects of a kind as one stream frame, in insertion order.
pub(super) fn first_frame(db: &Connection, kind: Kind) -> Result<String, Failure> {
    let mut out = String::from("{\"iterable\":[");
    each_identifier(db, kind, |id, updated| {
        if !out.ends_with('[') {
            out.push(',');
        }
        hub::write_item(&mut out, kind, id, updated);
    })?;
    out.push_str("]}");
    Ok(out)
}

/// Up to `limit` objects whose text matches an FTS5 query, best first.
pub(crate) fn search(db: &Connection, query: &str, limit: usize) -> Result<Vec<Found>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT e.kind, e.seq, e.id, e.owner FROM search s JOIN entity e ON e.seq = s.rowid
         WHERE search MATCH ?1 ORDER BY s.rank, e.updated DESC LIMIT ?2",
    )?;
    let found = statement.query_map(params![query, limit], |row| {
        Ok(Found {
            link: read_link(row)?,
            owner: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A search hit.
pub(crate) struct Found {
    pub(crate) link: Link,
    pub(crate) owner: Option<i64>,
}
