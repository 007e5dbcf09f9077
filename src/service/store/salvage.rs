//! Copies the readable part of a damaged store into a new one.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Kind, Row, open, query, respace, schema};
use crate::service::{objects, time};

/// Names of unreadable objects whose parts were kept.
const DAMAGED: &str = "Damaged, only parts could be read";

/// How many objects of a damaged store were kept and lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Salvaged {
    pub(super) kept: u64,
    /// Objects known to have existed that could not be read.
    pub(super) lost: u64,
    /// All tables were read to the end.
    tables_whole: bool,
}

impl Salvaged {
    /// Only derived data was damaged.
    pub(super) fn is_whole(self) -> bool {
        self.lost == 0 && self.tables_whole
    }
}

/// Fills the new store `db` from the damaged one at `old`. Fails only if `db` cannot be written.
pub(super) fn into(db: &mut Connection, old: &Path) -> rusqlite::Result<Salvaged> {
    // A separate connection: one that has found damage no longer writes.
    let opened = Connection::open(old).and_then(|old| {
        open::tune(&old)?;
        // SQLite refuses a file that was cut off, unless it is told that this is a repair.
        old.pragma_update(None, "writable_schema", true)?;
        schema::version(&old)?;
        Ok(old)
    });
    let Ok(old) = opened else {
        // Not even its first page is readable.
        return Ok(Salvaged::default());
    };
    let old = &old;
    db.execute_batch("PRAGMA foreign_keys = OFF")?;
    let tx = db.transaction()?;
    // The ids of the store itself.
    tx.execute("DELETE FROM meta", [])?;
    let mut tables_whole = copy_table(&tx, old, "meta")?;
    for key in ["id", "user"] {
        tx.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [key, &Uuid::new_v4().to_string()],
        )?;
    }
    tables_whole &= copy_entities(&tx, old)?;
    let lost = stand_in_for_the_lost(&tx, old)?;
    for table in other_tables(&tx)? {
        tables_whole &= copy_table(&tx, old, &table)?;
    }
    tx.execute_batch(
        "INSERT OR IGNORE INTO link SELECT b_kind, b, a_kind, a FROM link;
         DELETE FROM link WHERE a NOT IN (SELECT seq FROM entity)
                                  OR b NOT IN (SELECT seq FROM entity);",
    )?;
    index(&tx)?;
    let kept = tx.query_row("SELECT count(*) FROM entity", [], |row| {
        row.get::<_, i64>(0)
    })?;
    tx.commit()?;
    db.execute_batch("PRAGMA foreign_keys = ON")?;
    let lost = lost as u64;
    Ok(Salvaged {
        kept: (kept as u64).saturating_sub(lost),
        lost,
        tables_whole,
    })
}

/// Copies the objects one by one; returns whether the whole table was readable.
fn copy_entities(db: &Connection, old: &Connection) -> rusqlite::Result<bool> {
    let mut insert = db.prepare(
        "INSERT OR IGNORE INTO entity (seq, kind, id, owner, key, created, updated, doc)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut take = |values: &[rusqlite::types::Value]| -> rusqlite::Result<()> {
        if is_intact(values) {
            insert.execute(rusqlite::params_from_iter(values))?;
        }
        Ok(())
    };
    let mut whole = true;
    let mut from = i64::MIN;
    let mut written = Ok(());
    loop {
        let mut last = None;
        let read = each(
            old,
            "SELECT seq, kind, id, owner, key, created, updated, doc FROM entity NOT INDEXED
             WHERE seq >= ?1 ORDER BY seq",
            [from],
            |values| {
                if let rusqlite::types::Value::Integer(seq) = values[0] {
                    last = Some(seq);
                }
                written = take(values);
                written.is_ok()
            },
        );
        std::mem::replace(&mut written, Ok(()))?;
        if read.is_ok() {
            break;
        }
        whole = false;
        let after = last.map_or(from, |seq| seq.saturating_add(1));
        match next_readable(old, after) {
            Some(seq) => from = seq,
            None => break,
        }
    }
    if !whole {
        // Readable runs between damaged pages, found by the index.
        for seq in known(old).into_keys() {
            let _ = each(
                old,
                "SELECT seq, kind, id, owner, key, created, updated, doc FROM entity NOT INDEXED
                 WHERE seq = ?1",
                [seq],
                |values| {
                    written = take(values);
                    written.is_ok()
                },
            );
            std::mem::replace(&mut written, Ok(()))?;
        }
    }
    Ok(whole)
}

/// Whether a row is an object in our format.
fn is_intact(values: &[rusqlite::types::Value]) -> bool {
    use rusqlite::types::Value::{Integer, Text};
    match values {
        [_, Integer(kind), Text(id), _, _, _, _, Text(doc)] => {
            Kind::from_number(*kind).is_some()
                && Uuid::parse_str(id).is_ok()
                && serde_json::from_str::<Map<String, Value>>(doc).is_ok()
        }
        _ => false,
    }
}

/// The first sequence number from `from` on that is readable again, past damaged pages.
fn next_readable(old: &Connection, from: i64) -> Option<i64> {
    let probe = |at: i64| {
        old.prepare_cached(
            "SELECT seq FROM entity NOT INDEXED WHERE seq >= ?1 ORDER BY seq LIMIT 1",
        )?
        .query_row([at], |row| row.get::<_, i64>(0))
        .optional()
    };
    match probe(from) {
        // The row is found, but its text is unreadable.
        Ok(Some(bad)) => return next_after(bad, probe),
        Ok(None) => return None,
        Err(_) => {}
    }
    next_after(from, probe)
}

/// The same if the row or the page at `bad` is unreadable.
fn next_after(bad: i64, probe: impl Fn(i64) -> rusqlite::Result<Option<i64>>) -> Option<i64> {
    let mut step = 1_i64;
    let (mut low, mut high) = (bad, bad.checked_add(1)?);
    // Doubles the step until a page is readable.
    while probe(high).is_err() {
        low = high;
        step = step.checked_mul(2)?;
        high = high.checked_add(step)?;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match probe(middle) {
            Ok(_) => high = middle,
            Err(_) => low = middle,
        }
    }
    probe(high).ok().flatten()
}

/// What the index has of each object: kind, id and owner, by sequence number.
fn known(old: &Connection) -> BTreeMap<i64, (i64, String, Option<i64>)> {
    let mut known = BTreeMap::new();
    for order in ["ASC", "DESC"] {
        let sql = format!(
            "SELECT seq, kind, id, owner FROM entity INDEXED BY entity_owner
             ORDER BY owner {order}, kind {order}, seq {order}"
        );
        let read = each(old, &sql, [], |values| {
            use rusqlite::types::Value::{Integer, Null, Text};
            let owner = match values[3] {
                Integer(owner) => Some(owner),
                Null => None,
                _ => return true,
            };
            if let [Integer(seq), Integer(kind), Text(id), _] = values {
                known.entry(*seq).or_insert((*kind, id.clone(), owner));
            }
            true
        });
        if read.is_ok() {
            break;
        }
    }
    known
}

/// Puts a placeholder for each lost object that owns others or that users look for; returns how many objects
/// are lost.
fn stand_in_for_the_lost(db: &Connection, old: &Connection) -> rusqlite::Result<usize> {
    let mut there = HashSet::new();
    let mut rows = db.prepare("SELECT seq FROM entity")?;
    for seq in rows.query_map([], |row| row.get::<_, i64>(0))? {
        there.insert(seq?);
    }
    let known = known(old);
    let mut lost = 0;
    for (seq, (kind, id, _)) in &known {
        if !there.contains(seq) {
            lost += 1;
            stand_in(db, *seq, *kind, id)?;
        }
    }
    // Owners of which only parts are known.
    let parts = [
        (Kind::Message, Kind::Conversation),
        (Kind::Format, Kind::Asset),
        (Kind::Point, Kind::Anchor),
    ];
    for (part, owner) in parts {
        let mut orphans = db.prepare(
            "SELECT DISTINCT owner FROM entity WHERE kind = ?1 AND owner NOT IN (SELECT seq FROM entity)",
        )?;
        let seqs = orphans
            .query_map([part as i64], |row| row.get::<_, i64>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for seq in seqs {
            lost += 1;
            stand_in(db, seq, owner as i64, &Uuid::new_v4().to_string())?;
        }
    }
    db.execute(
        "UPDATE entity SET owner = NULL WHERE owner NOT IN (SELECT seq FROM entity)",
        [],
    )?;
    Ok(lost)
}

fn stand_in(db: &Connection, seq: i64, kind: i64, id: &str) -> rusqlite::Result<()> {
    let Some(doc) = Kind::from_number(kind).and_then(stand_in_doc) else {
        return Ok(());
    };
    db.execute(
        "INSERT OR IGNORE INTO entity (seq, kind, id, created, updated, doc) VALUES (?1, ?2, ?3,
           coalesce((SELECT min(created) FROM entity WHERE owner = ?1), ?4),
           coalesce((SELECT max(updated) FROM entity WHERE owner = ?1), ?4), ?5)",
        params![seq, kind, id, time::now(), doc],
    )?;
    Ok(())
}

/// The placeholder of an unreadable object; `None` for kinds that users do not look for.
pub(super) fn stand_in_doc(kind: Kind) -> Option<String> {
    let doc = match kind {
        Kind::Conversation => serde_json::json!({"name": DAMAGED, "type": "COPILOT"}),
        Kind::Asset => serde_json::json!({
            "name": DAMAGED, "mechanism": "MANUAL", "creator": Uuid::nil().to_string(),
        }),
        Kind::Anchor => serde_json::json!({"name": DAMAGED, "type": "FILE"}),
        _ => return None,
    };
    Some(doc.to_string())
}

/// The tables of the new store that are neither copied nor derived elsewhere.
fn other_tables(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = db.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('meta', 'entity')
         AND name NOT LIKE 'search%' AND name NOT LIKE 'sqlite_%'",
    )?;
    let names = query.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Copies a table from its start and, if that fails, from its end and along its indices; returns whether one
/// of these passes was complete.
fn copy_table(db: &Connection, old: &Connection, table: &str) -> rusqlite::Result<bool> {
    let mut columns = common_columns(db, old, table)?;
    if columns.is_empty() {
        // An older format has no such table.
        return Ok(true);
    }
    let key = primary_key(db, table)?;
    if key == ["rowid"] {
        // Distinguishes rows that are read twice from equal ones.
        columns.insert(0, "rowid".to_owned());
    }
    let list = columns.join(", ");
    let slots = vec!["?"; columns.len()].join(", ");
    let mut insert = db.prepare(&format!(
        "INSERT OR IGNORE INTO \"{table}\" ({list}) VALUES ({slots})"
    ))?;
    for pass in passes(db, table, &key)? {
        let sql = format!("SELECT {list} FROM \"{table}\" {pass}");
        let mut written = Ok(());
        let read = each(old, &sql, [], |values| {
            written = insert
                .execute(rusqlite::params_from_iter(values))
                .map(drop)
                .or_else(|error| match error.sqlite_error_code() {
                    // A value that the table refuses is damage, too.
                    Some(rusqlite::ErrorCode::ConstraintViolation) => Ok(()),
                    _ => Err(error),
                });
            written.is_ok()
        });
        written?;
        if read.is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The columns of a new table that the old one has, quoted.
fn common_columns(db: &Connection, old: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let names = |db: &Connection| -> rusqlite::Result<Vec<String>> {
        let mut query = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let names = query.query_map([table], |row| row.get(0))?;
        names.collect()
    };
    let known = names(old).unwrap_or_default();
    let common = names(db)?.into_iter().filter(|name| known.contains(name));
    Ok(common.map(|name| format!("\"{name}\"")).collect())
}

/// The orders in which a table can be read: by its key and by each index, from the start, then from the end.
fn passes(db: &Connection, table: &str, key: &[String]) -> rusqlite::Result<Vec<String>> {
    let indices = db
        .prepare("SELECT name FROM pragma_index_list(?1) WHERE origin = 'c' AND partial = 0")?
        .query_map([table], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut passes = Vec::new();
    for order in ["ASC", "DESC"] {
        passes.push(order_by(key, order));
        for index in &indices {
            let in_order = order_by(&index_columns(db, index)?, order);
            passes.push(format!("INDEXED BY \"{index}\" {in_order}"));
        }
    }
    Ok(passes)
}

fn order_by(columns: &[String], order: &str) -> String {
    let columns = columns.iter().map(|column| format!("{column} {order}"));
    format!("ORDER BY {}", columns.collect::<Vec<_>>().join(", "))
}

fn primary_key(db: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let key = db
        .prepare("SELECT '\"' || name || '\"' FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(if key.is_empty() {
        vec!["rowid".to_owned()]
    } else {
        key
    })
}

fn index_columns(db: &Connection, index: &str) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT '\"' || name || '\"' FROM pragma_index_info(?1) WHERE name IS NOT NULL ORDER BY seqno")?
        .query_map([index], |row| row.get(0))?
        .collect()
}

/// Passes the values of each row to `take` until it returns `false` or reading fails.
fn each(
    old: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut take: impl FnMut(&[rusqlite::types::Value]) -> bool,
) -> rusqlite::Result<()> {
    let mut query = old.prepare(sql)?;
    let columns = query.column_count();
    let mut rows = query.query(parameters)?;
    let mut values = Vec::with_capacity(columns);
    while let Some(row) = rows.next()? {
        values.clear();
        for at in 0..columns {
            // Text that is not valid UTF-8 is damage and loses its row.
            let value = row.get(at);
            values.push(value.unwrap_or(rusqlite::types::Value::Null));
        }
        if !take(&values) {
            break;
        }
    }
    Ok(())
}

/// Rebuilds the full-text index.
fn index(db: &Connection) -> rusqlite::Result<()> {
    for kind in Kind::ALL
        .into_iter()
        .filter(|kind| respace::is_searched(*kind))
    {
        let mut after = i64::MIN;
        loop {
            let rows = query::list(db, kind, after, 500).unwrap_or_default();
            let Some(last) = rows.last() else { break };
            after = last.seq;
            for row in &rows {
                respace::write(db, row.seq, &text_of(db, row))?;
            }
        }
    }
    respace::forget(db)?;
    Ok(())
}

fn text_of(db: &Connection, row: &Row) -> String {
    row.object()
        .and_then(|doc| objects::text(db, row, &doc))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, ops::Range};

    /// What follows row `bad` of a store of `rows` rows with one damaged range, and after how many reads.
    fn after(bad: i64, damaged: Range<i64>, rows: i64) -> (Option<i64>, usize) {
        let reads = Cell::new(0);
        let next = next_after(bad, |from| {
            reads.set(reads.get() + 1);
            match damaged.contains(&from) {
                true => Err(rusqlite::Error::InvalidQuery),
                false => Ok((from < rows).then_some(from)),
            }
        });
        (next, reads.get())
    }

    #[test]
    fn reading_continues_right_after_a_damaged_range() {
        for length in [1, 2, 3, 4, 5, 63, 64, 65, 1000] {
            for bad in [1, 40] {
                let damaged = bad..bad + length;
                let (next, _) = after(bad, damaged.clone(), 5000);
                assert_eq!(next, Some(damaged.end), "{damaged:?}");
            }
        }
        assert_eq!(after(40, 40..5000, 5000).0, None);
    }

    #[test]
    fn a_large_damaged_range_takes_few_reads() {
        let (next, reads) = after(1, 1..1 << 40, i64::MAX);
        assert_eq!(next, Some(1 << 40));
        assert!(reads < 100, "{reads}");
        let (next, reads) = after(1, 1..i64::MAX, i64::MAX);
        assert_eq!(next, None);
        assert!(reads < 100, "{reads}");
        assert_eq!(after(i64::MAX, 0..1, i64::MAX).0, None);
    }

    #[test]
    fn only_objects_in_our_format_are_intact() {
        use rusqlite::types::Value::{self, Integer, Null, Text};
        let id = "7f6d6a1c-8f0e-4a55-9c51-5d3c4a1f0b7e";
        let row = |kind: Value, id: &str, doc: &str| {
            let (id, doc) = (Text(id.into()), Text(doc.into()));
            let [seq, owner, created, updated] = [Integer(7), Null, Integer(1), Integer(2)];
            is_intact(&[seq, kind, id, owner, Null, created, updated, doc])
        };
        let message = Kind::Message as i64;
        assert!(row(Integer(message), id, "{}"));
        for (kind, id, doc) in [
            (Integer(99), id, "{}"),
            (Null, id, "{}"),
            (Integer(message), "no id", "{}"),
            (Integer(message), id, "[]"),
            (Integer(message), id, r#"{"name": "cut o"#),
        ] {
            assert!(!row(kind, id, doc), "{id} {doc}");
        }
    }
}
