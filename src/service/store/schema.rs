//! The tables, and migrations from older formats.

use rusqlite::{Connection, TransactionBehavior};

/// One step per format. A released step is never edited: later changes are new steps.
const MIGRATIONS: &[&str] = &["
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every object, of whatever kind. `doc` is its JSON as last written, unknown fields included, less
-- what columns, `owner` and `link` say.
CREATE TABLE entity (
  seq     INTEGER PRIMARY KEY,
  kind    INTEGER NOT NULL,
  id      TEXT    NOT NULL UNIQUE,
  owner   INTEGER REFERENCES entity (seq) ON DELETE CASCADE, -- dies with it
  key     TEXT,                                              -- what it is found by: path, URL
  created INTEGER NOT NULL,                                  -- microseconds since 1970
  updated INTEGER NOT NULL,
  doc     TEXT    NOT NULL
) STRICT;
CREATE INDEX entity_kind  ON entity (kind, seq);
CREATE INDEX entity_owner ON entity (owner, kind, seq, id);
CREATE INDEX entity_key   ON entity (kind, key) WHERE key IS NOT NULL;

-- Associations, each stored in both directions.
CREATE TABLE link (
  a_kind INTEGER NOT NULL,
  a      INTEGER NOT NULL REFERENCES entity (seq) ON DELETE CASCADE,
  b_kind INTEGER NOT NULL,
  b      INTEGER NOT NULL REFERENCES entity (seq) ON DELETE CASCADE,
  PRIMARY KEY (a_kind, a, b_kind, b)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_a ON link (a);
CREATE INDEX link_b ON link (b);

-- Names and texts; rowid is entity.seq.
CREATE VIRTUAL TABLE search USING fts5 (
  text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
", "
-- Deleted conversations, one line each. What they are made of is in the two tables below, so that a
-- list reads no texts.
CREATE TABLE trash (
  entry    INTEGER PRIMARY KEY AUTOINCREMENT,
  id       TEXT    NOT NULL,  -- of the conversation
  name     TEXT    NOT NULL,
  messages INTEGER NOT NULL,
  origin   TEXT    NOT NULL,  -- empty: deleted here; else the service that it is a copy of
  state    INTEGER NOT NULL,  -- 0 being copied, 1 copied, 2 deleted
  deleted  INTEGER NOT NULL,  -- microseconds since 1970
  day      INTEGER NOT NULL   -- how many dates the store had seen by then
) STRICT;
CREATE INDEX trash_id ON trash (id);

-- The objects of an entry, each as in `entity`.
CREATE TABLE trash_part (
  part    INTEGER PRIMARY KEY,
  entry   INTEGER NOT NULL REFERENCES trash (entry) ON DELETE CASCADE,
  kind    INTEGER NOT NULL,
  id      TEXT    NOT NULL,
  owner   TEXT,               -- id of the part it dies with
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  doc     TEXT    NOT NULL
) STRICT;
CREATE INDEX trash_part_entry ON trash_part (entry, kind, part);
CREATE INDEX trash_part_id    ON trash_part (id);

-- What the parts were associated with.
CREATE TABLE trash_link (
  entry INTEGER NOT NULL REFERENCES trash (entry) ON DELETE CASCADE,
  id    TEXT    NOT NULL,     -- of the part
  kind  INTEGER NOT NULL,     -- of the other object
  other TEXT    NOT NULL,     -- its id
  seed  TEXT                  -- makes the other object again where it is gone
) STRICT;
CREATE INDEX trash_link_entry ON trash_link (entry, other);

-- The dates (days since 1970, UTC) on which the store was in use. Entries of the trash expire by their
-- number, so that a clock that is wrong for once costs nothing.
CREATE TABLE day (date INTEGER PRIMARY KEY) STRICT;

-- Conversations of another service that were restored there under a new id.
CREATE TABLE restored (
  old TEXT PRIMARY KEY,
  new TEXT NOT NULL
) STRICT, WITHOUT ROWID;
", "
-- Texts in scripts without spaces are indexed letter by letter. The value is the last object whose entry
-- was looked at; `respace.rs` does the rest.
INSERT INTO meta (key, value) VALUES ('respace', '0');
"];

/// The newest format this program reads and writes.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// The format of an open store; 0 for an empty one.
pub(crate) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Migrates the store to [`NEWEST`], all steps or none.
pub(crate) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = usize::try_from(version(&tx)?).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(from) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", NEWEST)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_brought_to_the_newest_format_once() {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(version(&db).unwrap(), 0);
        migrate(&mut db).unwrap();
        assert_eq!(version(&db).unwrap(), NEWEST);
        db.execute("INSERT INTO meta VALUES ('kept', 'x')", [])
            .unwrap();
        // A step that runs twice would fail on existing tables.
        migrate(&mut db).unwrap();
        let kept: String = db
            .query_row("SELECT value FROM meta WHERE key = 'kept'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!((version(&db).unwrap(), kept.as_str()), (NEWEST, "x"));
    }

    #[test]
    fn a_store_of_the_first_format_keeps_what_is_in_it() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(MIGRATIONS[0]).unwrap();
        db.execute_batch(
            "INSERT INTO entity (kind, id, created, updated, doc) VALUES (1, 'c', 1, 2, '{}');
             PRAGMA user_version = 1;",
        )
        .unwrap();
        migrate(&mut db).unwrap();
        let kept: (String, i64) = db
            .query_row("SELECT id, updated FROM entity", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(kept, ("c".to_owned(), 2));
        let trash: i64 = db
            .query_row("SELECT count(*) FROM trash", [], |row| row.get(0))
            .unwrap();
        assert_eq!((version(&db).unwrap(), trash), (NEWEST, 0));
    }

    #[test]
    fn a_step_that_fails_leaves_the_store_as_it_was() {
        let mut db = Connection::open_in_memory().unwrap();
        // Makes the first step fail.
        db.execute_batch("CREATE TABLE link (x)").unwrap();
        migrate(&mut db).unwrap_err();
        assert_eq!(version(&db).unwrap(), 0);
        let tables: i64 = db
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1);
    }
}
