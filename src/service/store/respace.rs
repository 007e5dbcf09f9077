//! Writes the entries of the full-text index again that a store of format 2 or older has for texts in scripts
//! without spaces: there, a run of letters was one word.
//!
//! It goes on in the background, step by step, and from where it was after a kill. Until it is done such texts
//! are not found by all of their words.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    kind::Kind,
    query::{ROW, Row},
    tidy,
};
use crate::{
    service::{Failure, objects},
    words,
};

/// Objects of one step, whose writes wait for it.
const OBJECTS: usize = 200;
/// Bytes of one step; the last object may have more.
const BYTES: usize = 1 << 20;

/// Writes the index entry of an object.
pub(super) fn write(db: &Connection, seq: i64, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO search (rowid, text) VALUES (?1, ?2)")?
        .execute(params![seq, words::spaced(text)])?;
    Ok(())
}

/// Kinds that full-text search finds.
pub(super) fn is_searched(kind: Kind) -> bool {
    !matches!(kind, Kind::Format | Kind::Point | Kind::Application)
}

/// Looks at some more objects; returns whether any are left.
pub(super) fn step(db: &Connection) -> Result<bool, Failure> {
    let Some(after) = progress(db)? else {
        return Ok(false);
    };
    let step = db.unchecked_transaction()?;
    let mut last = None;
    {
        let sql = format!("{ROW} WHERE seq > ?1 ORDER BY seq LIMIT {OBJECTS}");
        let mut query = step.prepare_cached(&sql)?;
        let mut rows = query.query([after])?;
        let (mut bytes, mut changed) = (0, false);
        while bytes < BYTES
            && let Some(row) = rows.next()?
        {
            let row = Row::read(row)?;
            let text = text(&step, &row)?;
            bytes += row.doc.len() + text.len();
            if words::has_unspaced(&text) {
                write(&step, row.seq, &text)?;
                changed = true;
            }
            last = Some(row.seq);
        }
        if changed {
            tidy::remember(&step)?;
        }
    }
    match last {
        Some(last) => step
            .prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'respace'")?
            .execute([last.to_string()])?,
        None => forget(&step)?,
    };
    step.commit()?;
    Ok(last.is_some())
}

/// Notes that no entry is of an old format.
pub(super) fn forget(db: &Connection) -> rusqlite::Result<usize> {
    db.execute("DELETE FROM meta WHERE key = 'respace'", [])
}

/// The last object that was looked at; `None` when all were.
fn progress(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut query = db.prepare_cached("SELECT value FROM meta WHERE key = 'respace'")?;
    let value: Option<String> = query.query_row([], |row| row.get(0)).optional()?;
    Ok(value.map(|value| value.parse().unwrap_or(i64::MIN)))
}

/// The text of an object if it may have to be written again.
fn text(db: &Connection, row: &Row) -> Result<String, Failure> {
    // The text of an asset is in another object.
    let elsewhere = row.kind == Kind::Asset;
    if !is_searched(row.kind) || !elsewhere && !words::has_unspaced(&row.doc) {
        return Ok(String::new());
    }
    objects::text(db, row, &row.object()?)
}

#[cfg(test)]
mod tests {
    use super::super::{query, schema};
    use super::*;

    fn found(db: &Connection, typed: &str) -> usize {
        let query = words::query(typed).unwrap();
        query::search(db, &query, 10_000).unwrap().len()
    }

    #[test]
    fn entries_of_older_stores_are_written_again_and_no_step_is_done_twice() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        let text = "今天讨论了部署方案";
        for number in 0..450 {
            let doc = format!(r#"{{"fragment":{{"string":{{"raw":"{text}"}}}},"role":"USER"}}"#);
            db.execute(
                "INSERT INTO entity (kind, id, created, updated, doc) VALUES (?1, ?2, 1, 1, ?3)",
                params![Kind::Message as i64, number.to_string(), doc],
            )
            .unwrap();
            let seq = db.last_insert_rowid();
            // As format 2 wrote it.
            db.execute(
                "INSERT INTO search (rowid, text) VALUES (?1, ?2)",
                params![seq, text],
            )
            .unwrap();
        }
        assert_eq!(found(&db, "部署"), 0);
        assert!(step(&db).unwrap());
        assert_eq!(
            (found(&db, "部署"), progress(&db).unwrap()),
            (200, Some(200))
        );
        while step(&db).unwrap() {}
        assert_eq!((found(&db, "部署"), progress(&db).unwrap()), (450, None));
        assert_eq!(found(&db, "部方"), 0);
        // A merge would erase the old words.
        let stale: i64 = db
            .query_row(
                "SELECT count(*) FROM meta WHERE key = 'stale_text'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(stale, 1);
    }
}
