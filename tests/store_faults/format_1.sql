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
PRAGMA journal_mode = WAL;
PRAGMA user_version = 1;
