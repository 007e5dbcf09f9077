//! The changes of one write, and the events that announce them.

use std::collections::HashMap;

use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    hub::Event,
    kind::{Kind, Link},
    query::{self, Row},
    respace, trash, writing,
};
use crate::service::{Failure, time};

/// Largest document in bytes. Rewriting a request of 32 MiB can make it longer (`1e15`, U+FFFD for a bad
/// byte), and exports have to be readable line by line.
pub(crate) const MAX_DOC: usize = 64 << 20;
/// Deepest nesting of a document. JSON readers, ours included, take 128 levels, and lists and imports add
/// their own.
const LEVELS: usize = 100;

/// An open write. All its changes become visible, and are announced, together.
pub(crate) struct Change<'a> {
    /// Reads see the changes so far.
    pub(crate) db: &'a Connection,
    pub(crate) now: i64,
    /// Text that search found was deleted or replaced; the writer erases it later.
    pub(super) stale_text: bool,
    events: Vec<Event>,
}

/// A new object.
pub(crate) struct New<'a> {
    pub(crate) kind: Kind,
    /// The owner, with which it is deleted.
    pub(crate) owner: Option<i64>,
    /// The key that it is found by.
    pub(crate) key: Option<&'a str>,
    /// The text that full-text search finds it by.
    pub(crate) text: &'a str,
    /// The document; its `id`, `created` and `updated` are kept (imports have them).
    pub(crate) doc: Map<String, Value>,
}

impl<'a> Change<'a> {
    pub(super) fn new(db: &'a Connection) -> Self {
        Self {
            db,
            now: time::now(),
            stale_text: false,
            events: Vec::new(),
        }
    }

    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// Stores a new object.
    pub(crate) fn insert(&mut self, new: New<'_>) -> Result<Link, Failure> {
        let New {
            kind,
            owner,
            key,
            text,
            mut doc,
        } = new;
        let id = match doc.remove("id") {
            None | Some(Value::Null) => Uuid::new_v4(),
            Some(given) => given
                .as_str()
                .and_then(|id| Uuid::parse_str(id).ok())
                .ok_or_else(|| Failure::invalid("`id` must be a UUID."))?,
        };
        let id = id.to_string();
        let created = time::grouped(doc.get("created")).unwrap_or(self.now);
        let updated = time::grouped(doc.get("updated")).unwrap_or(self.now);
        doc.retain(|_, value| !value.is_null());
        let doc = stored(kind, &strip(kind, doc))?;
        let added = self
            .db
            .prepare_cached(
                "INSERT INTO entity (kind, id, owner, key, created, updated, doc)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![kind as i64, id, owner, key, created, updated, doc])?;
        if added == 0 {
            return Err(Failure::Exists(id));
        }
        let seq = self.db.last_insert_rowid();
        self.add_text(seq, text)?;
        self.events.push(Event::Upsert {
            kind,
            id: id.clone(),
            updated,
        });
        Ok(Link { kind, seq, id })
    }

    /// Replaces the fields that `doc` has; `null` removes a field, absent fields stay.
    pub(crate) fn merge(
        &mut self,
        row: &Row,
        doc: Map<String, Value>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut merged = row.object()?;
        for (key, value) in strip(row.kind, doc) {
            if value.is_null() {
                merged.remove(&key);
            } else {
                merged.insert(key, value);
            }
        }
        let doc = stored(row.kind, &merged)?;
        let key = merged.get("url").and_then(Value::as_str);
        let key = key.filter(|_| row.kind == Kind::Website);
        self.db
            .prepare_cached("UPDATE entity SET doc = ?2, key = coalesce(?3, key) WHERE seq = ?1")?
            .execute(params![row.seq, doc, key])?;
        Ok(merged)
    }

    /// Replaces the whole document, with the times in `doc`. Does not update search.
    pub(crate) fn replace(
        &mut self,
        row: &Row,
        key: Option<&str>,
        mut doc: Map<String, Value>,
    ) -> Result<(), Failure> {
        let created = time::grouped(doc.get("created")).unwrap_or(row.created);
        let updated = time::grouped(doc.get("updated")).unwrap_or(self.now);
        doc.retain(|_, value| !value.is_null());
        let doc = stored(row.kind, &strip(row.kind, doc))?;
        self.db
            .prepare_cached(
                "UPDATE entity SET key = ?2, created = ?3, updated = ?4, doc = ?5 WHERE seq = ?1",
            )?
            .execute(params![row.seq, key, created, updated, doc])?;
        self.events.push(Event::Upsert {
            kind: row.kind,
            id: row.id.clone(),
            updated,
        });
        Ok(())
    }

    /// Moves an object to the end of the insertion order. `text`: its search text.
    pub(crate) fn move_to_end(&mut self, row: &Row, text: &str) -> Result<(), Failure> {
        // References to the old sequence number are updated before the transaction ends.
        self.db.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        let moved: i64 = self
            .db
            .prepare_cached(
                "UPDATE entity SET seq = (SELECT max(seq) + 1 FROM entity) WHERE seq = ?1 RETURNING seq",
            )?
            .query_row([row.seq], |row| row.get(0))?;
        for sql in [
            "UPDATE entity SET owner = ?2 WHERE owner = ?1",
            "UPDATE link SET a = ?2 WHERE a = ?1",
            "UPDATE link SET b = ?2 WHERE b = ?1",
        ] {
            self.db
                .prepare_cached(sql)?
                .execute(params![row.seq, moved])?;
        }
        self.db
            .prepare_cached("DELETE FROM search WHERE rowid = ?1")?
            .execute([row.seq])?;
        self.index_text(moved, text)
    }

    /// Restores an object from the trash unchanged.
    pub(crate) fn put_back(
        &mut self,
        part: &trash::Part,
        owner: Option<i64>,
    ) -> Result<Link, Failure> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO entity (kind, id, owner, created, updated, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
        )?;
        let mut id = part.id.clone();
        let mut put = |id: &str| {
            let values = params![
                part.kind as i64,
                id,
                owner,
                part.created,
                part.updated,
                part.doc
            ];
            insert.execute(values)
        };
        if put(&id)? == 0 {
            // Another object has its id by now.
            if part.kind == Kind::Conversation {
                return Err(Failure::Exists(id));
            }
            id = Uuid::new_v4().to_string();
            put(&id)?;
        }
        let seq = self.db.last_insert_rowid();
        self.events.push(Event::Upsert {
            kind: part.kind,
            id: id.clone(),
            updated: part.updated,
        });
        Ok(Link {
            kind: part.kind,
            seq,
            id,
        })
    }

    /// Deletes a part of an object (a format, a path); that alone is not a change of the object.
    pub(crate) fn remove_part(&mut self, row: &Row) -> Result<(), Failure> {
        self.stale_text = true;
        for sql in [
            "DELETE FROM search WHERE rowid = ?1",
            "DELETE FROM entity WHERE seq = ?1",
        ] {
            self.db.prepare_cached(sql)?.execute([row.seq])?;
        }
        self.events.push(Event::Delete {
            kind: row.kind,
            id: row.id.clone(),
        });
        Ok(())
    }

    /// Announces a change of an object without advancing its `updated`.
    pub(crate) fn announce(&mut self, row: &Row) {
        self.events.push(Event::Upsert {
            kind: row.kind,
            id: row.id.clone(),
            updated: row.updated,
        });
    }

    /// Replaces the search text of the object.
    pub(crate) fn index_text(&mut self, seq: i64, text: &str) -> Result<(), Failure> {
        self.stale_text = true;
        self.add_text(seq, text)
    }

    fn add_text(&self, seq: i64, text: &str) -> Result<(), Failure> {
        Ok(respace::write(self.db, seq, text)?)
    }

    /// Advances `updated` and announces the change.
    pub(crate) fn touch(&mut self, object: &Link) -> Result<(), Failure> {
        let updated: i64 = self
            .db
            .prepare_cached(
                "UPDATE entity SET updated = max(?2, updated + 1) WHERE seq = ?1 RETURNING updated",
            )?
            .query_row(params![object.seq, self.now], |row| row.get(0))?;
        self.events.push(Event::Upsert {
            kind: object.kind,
            id: object.id.clone(),
            updated,
        });
        Ok(())
    }

    /// Associates two objects, in both directions. `false` if they were associated already.
    pub(crate) fn link(&mut self, a: &Link, b: &Link) -> Result<bool, Failure> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO link (a_kind, a, b_kind, b) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?;
        let added = insert.execute(params![a.kind as i64, a.seq, b.kind as i64, b.seq])?;
        insert.execute(params![b.kind as i64, b.seq, a.kind as i64, a.seq])?;
        Ok(added > 0)
    }

    /// Ends an association. `false` if there was none.
    pub(crate) fn unlink(&mut self, a: &Link, b: &Link) -> Result<bool, Failure> {
        let mut delete = self.db.prepare_cached(
            "DELETE FROM link WHERE a_kind = ?1 AND a = ?2 AND b_kind = ?3 AND b = ?4",
        )?;
        let removed = delete.execute(params![a.kind as i64, a.seq, b.kind as i64, b.seq])?;
        delete.execute(params![b.kind as i64, b.seq, a.kind as i64, a.seq])?;
        Ok(removed > 0)
    }

    /// Deletes an object with all that it owns; its associated objects count as changed. A conversation moves
    /// to the trash.
    pub(crate) fn delete(&mut self, row: &Row) -> Result<(), Failure> {
        self.stale_text = true;
        let doomed = query::with_owned(self.db, row.seq)?;
        if row.kind == Kind::Conversation {
            self.stop_answers(row.seq)?;
            trash::keep(self.db, row, self.now)?;
        }
        let mut touched = HashMap::new();
        for object in &doomed {
            for other in query::neighbours(self.db, object.seq)? {
                touched.insert(other.seq, other);
            }
            self.db
                .prepare_cached("DELETE FROM search WHERE rowid = ?1")?
                .execute([object.seq])?;
        }
        if let Some(owner) = row.owner
            && let Some(owner) = query::by_seq(self.db, owner)?
        {
            touched.insert(owner.seq, owner);
        }
        self.db
            .prepare_cached("DELETE FROM entity WHERE seq = ?1")?
            .execute([row.seq])?;
        for object in doomed {
            touched.remove(&object.seq);
            self.events.push(Event::Delete {
                kind: object.kind,
                id: object.id,
            });
        }
        for object in touched.into_values() {
            self.touch(&object)?;
        }
        Ok(())
    }
}

/// A document in its stored form.
pub(super) fn stored(kind: Kind, doc: &Map<String, Value>) -> Result<String, Failure> {
    if is_too_deep(kind, doc) {
        let noun = kind.noun();
        return Err(Failure::invalid(format!(
            "The {noun} is nested more than {LEVELS} levels deep."
        )));
    }
    let doc = serde_json::to_string(doc)?;
    if doc.len() > MAX_DOC {
        let noun = kind.noun();
        return Err(Failure::invalid(format!(
            "The {noun} is larger than {} MiB.",
            MAX_DOC >> 20
        )));
    }
    Ok(doc)
}

/// The length of a document's stored form, in bytes.
pub(crate) fn stored_size(kind: Kind, doc: &Map<String, Value>) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    for (key, value) in doc {
        if !kind.derived().contains(&key.as_str()) {
            // Counting cannot fail.
            let _ = serde_json::to_writer(&mut count, value);
            count.0 += key.len() + 4;
        }
    }
    count.0
}

/// Whether a document's stored form is nested too deeply.
pub(crate) fn is_too_deep(kind: Kind, doc: &Map<String, Value>) -> bool {
    let kept = |key: &str| !kind.derived().contains(&key);
    doc.iter()
        .any(|(key, value)| kept(key) && is_deeper(value, LEVELS - 1))
}

/// Whether arrays and objects are nested deeper than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let deeper = |value| is_deeper(value, levels.saturating_sub(1));
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(deeper),
        Value::Object(fields) => levels == 0 || fields.values().any(deeper),
        _ => false,
    }
}

/// The document without fields that are stored in columns or derived.
pub(super) fn strip(kind: Kind, mut doc: Map<String, Value>) -> Map<String, Value> {
    for key in ["id", "created", "updated"].iter().chain(kind.derived()) {
        doc.remove(*key);
    }
    writing::disclaim(kind, &mut doc);
    doc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::store::schema;
    use serde_json::json;

    #[test]
    fn documents_of_any_origin_are_limited() {
        let doc = |length: usize| {
            let doc = json!({"name": "x".repeat(length)});
            doc.as_object().unwrap().clone()
        };
        let most = MAX_DOC - "{\"name\":\"\"}".len();
        assert!(stored(Kind::Conversation, &doc(most)).is_ok());
        assert!(matches!(
            stored(Kind::Conversation, &doc(most + 1)),
            Err(Failure::Invalid(_))
        ));
        let doc = json!({"a": [1e15, "\u{1}"], "messages": [1, 2, 3], "b": null});
        let doc = doc.as_object().unwrap();
        let exact = json!({"a": [1e15, "\u{1}"], "b": null}).to_string().len();
        assert_eq!(stored_size(Kind::Conversation, doc), exact - 1);
    }

    #[test]
    fn documents_with_more_than_a_hundred_levels_are_too_deep() {
        type Wrap = fn(Value) -> Value;
        let lists: Wrap = |inner| json!([inner]);
        let objects: Wrap = |inner| json!({ "inner": inner });
        for (wrap, innermost) in [(lists, json!([])), (objects, json!({}))] {
            for levels in [2, 99, 100, 101, 150] {
                // Without the document itself and the innermost value.
                let value = (2..levels).fold(innermost.clone(), |inner, _| wrap(inner));
                let doc = Map::from_iter([("flat".into(), json!(1)), ("deep".into(), value)]);
                let deep = is_too_deep(Kind::Conversation, &doc);
                assert_eq!(deep, levels > LEVELS, "{levels}");
            }
        }
    }

    #[test]
    fn a_link_is_made_and_removed_once_in_both_directions() {
        let mut db = Connection::open_in_memory().unwrap();
        schema::migrate(&mut db).unwrap();
        let mut change = Change::new(&db);
        let [a, b] = [Kind::Conversation, Kind::Asset].map(|kind| {
            let new = New {
                kind,
                owner: None,
                key: None,
                text: "",
                doc: Map::new(),
            };
            change.insert(new).unwrap()
        });
        assert!(change.link(&a, &b).unwrap());
        assert!(!change.link(&a, &b).unwrap());
        assert!(!change.link(&b, &a).unwrap());
        assert!(change.unlink(&b, &a).unwrap());
        assert!(!change.unlink(&a, &b).unwrap());
    }
}
