//! Lists of a store with a damaged page: only unreadable rows are lost.
//!
//! The next start repairs the store. Until then its indices say which objects exist, and rows are read one by
//! one.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    files,
    kind::Kind,
    query::{ROW, Row},
    salvage,
};
use crate::service::Failure;

/// The result, or that of `otherwise` if a page is damaged.
pub(super) fn or<T>(
    db: &Connection,
    read: Result<T, Failure>,
    otherwise: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    match read {
        Err(failure) if failure.is_damage() => {
            note(db);
            otherwise()
        }
        read => read,
    }
}

/// The rows before the first unreadable one.
pub(super) fn up_to_damage<T>(
    db: &Connection,
    rows: impl Iterator<Item = rusqlite::Result<T>>,
) -> Result<Vec<T>, Failure> {
    let mut read = Vec::new();
    for row in rows {
        match row.map_err(Failure::from) {
            Ok(row) => read.push(row),
            Err(failure) if failure.is_damage() => {
                note(db);
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(read)
}

/// Makes the next start check the store in full, unless it is read-only.
fn note(db: &Connection) {
    if let Some(path) = db.path()
        && db.is_readonly("main").is_ok_and(|readonly| !readonly)
    {
        files::suspect(Path::new(path));
    }
}

/// Up to `limit` objects of a kind after `after`.
pub(super) fn list(
    db: &Connection,
    kind: Kind,
    mut after: i64,
    limit: usize,
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    while rows.len() < limit {
        let room = i64::try_from(limit - rows.len()).unwrap_or(i64::MAX);
        let mut query = db.prepare_cached(
            "SELECT seq FROM entity INDEXED BY entity_kind WHERE kind = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
        )?;
        let seqs = query.query_map(params![kind as i64, after, room], |row| row.get(0))?;
        let seqs = up_to_damage(db, seqs)?;
        let Some(last) = seqs.last() else { break };
        after = *last;
        rows.extend(readable(db, kind, &seqs));
    }
    Ok(rows)
}

/// The objects of a kind that one object owns.
pub(super) fn owned_rows(db: &Connection, kind: Kind, owner: i64) -> Result<Vec<Row>, Failure> {
    let mut query = db.prepare_cached(
        "SELECT seq FROM entity INDEXED BY entity_owner WHERE owner = ?1 AND kind = ?2 ORDER BY seq",
    )?;
    let seqs = query.query_map(params![owner, kind as i64], |row| row.get(0))?;
    let seqs = up_to_damage(db, seqs)?;
    Ok(readable(db, kind, &seqs))
}

fn readable(db: &Connection, kind: Kind, seqs: &[i64]) -> Vec<Row> {
    let mut lost = 0_u64;
    let mut rows = Vec::with_capacity(seqs.len());
    for &seq in seqs {
        let sql = format!("{ROW} NOT INDEXED WHERE seq = ?1");
        let row = db
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_row([seq], Row::read));
        match row {
            Ok(row) => rows.push(row),
            Err(_) => {
                lost += 1;
                rows.extend(stand_in(db, kind, seq));
            }
        }
    }
    if lost > 0 {
        tracing::error!(lost, kind = kind.noun(), "objects cannot be read");
    }
    rows
}

/// A placeholder for an unreadable object: it can still be deleted by its id.
fn stand_in(db: &Connection, kind: Kind, seq: i64) -> Option<Row> {
    let doc = salvage::stand_in_doc(kind)?;
    let id = db
        .prepare_cached(
            "SELECT id FROM entity INDEXED BY entity_owner WHERE owner IS NULL AND kind = ?1 AND seq = ?2",
        )
        .and_then(|mut query| query.query_row(params![kind as i64, seq], |row| row.get(0)).optional());
    Some(Row {
        kind,
        seq,
        id: id.ok().flatten()?,
        owner: None,
        created: 0,
        updated: 0,
        doc,
    })
}
