//! The tables, and how an older store becomes a newer one.

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
"];

/// The newest format this program reads and writes.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// The format of an open store; 0 for an empty one.
pub(crate) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the store to [`NEWEST`], all steps or none.
pub(crate) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = usize::try_from(version(&tx)?).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(from) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", NEWEST)?;
    tx.commit()
}
