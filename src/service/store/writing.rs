//! Messages of a question that is being answered, and the field of our own that says how far an answer got.
//!
//! The `key` of such a message says so, too: [`WRITING`] for an answer from its first words to its end, [`ASKED`]
//! for a question until then. That makes those of a killed process easy to find. Only the service that writes an
//! answer stores the state `writing`: documents of any other origin lose it in [`disclaim`].

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::{
    change::{Change, stored},
    kind::Kind,
    query::{self, ROW, Row},
};
use crate::pieces::OWN;
use crate::service::Failure;

/// The key of an answer that is being written, and its state.
pub(crate) const WRITING: &str = "writing";
/// The key of a question that waits for its answer.
pub(crate) const ASKED: &str = "asked";
/// The state of an answer that ended early, but not because a person stopped it.
pub(crate) const INTERRUPTED: &str = "interrupted";
/// The state of an answer that a person stopped.
pub(crate) const STOPPED: &str = "stopped";
/// The state of a question without an answer.
pub(crate) const UNANSWERED: &str = "unanswered";

/// Why answers end before they are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Early {
    /// A person stopped them.
    Stopped,
    /// Their process ended.
    Interrupted,
}

impl Early {
    /// The state of the answer, and its `stop`.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Stopped => (STOPPED, "cancelled"),
            Self::Interrupted => (INTERRUPTED, "incomplete"),
        }
    }
}

/// The state in a message's document.
pub(crate) fn state(doc: &Map<String, Value>) -> Option<&str> {
    doc.get(OWN)?.get("state")?.as_str()
}

/// Sets or removes the state in a message's document.
pub(crate) fn set_state(doc: &mut Map<String, Value>, state: Option<&str>) {
    match state {
        Some(state) => {
            let own = doc.entry(OWN).or_insert_with(|| json!({}));
            if !own.is_object() {
                *own = json!({});
            }
            own["state"] = state.into();
        }
        None => {
            if let Some(Value::Object(own)) = doc.get_mut(OWN) {
                own.remove("state");
                if own.is_empty() {
                    doc.remove(OWN);
                }
            }
        }
    }
}

/// Removes what no document may say by itself: that a message is being written, and what is computed.
pub(super) fn disclaim(kind: Kind, doc: &mut Map<String, Value>) {
    match kind {
        Kind::Message if state(doc) == Some(WRITING) => set_state(doc, Some(INTERRUPTED)),
        Kind::Conversation => {
            if let Some(Value::Object(own)) = doc.get_mut(OWN) {
                own.remove("answering");
                if own.is_empty() {
                    doc.remove(OWN);
                }
            }
        }
        _ => {}
    }
}

/// The message, if it has this key: [`WRITING`] or [`ASKED`].
pub(crate) fn find(db: &Connection, id: &str, key: &str) -> Result<Option<Row>, Failure> {
    let sql = format!("{ROW} WHERE id = ?1 AND kind = ?2 AND key = ?3");
    let values = params![id, Kind::Message as i64, key];
    let row = db.prepare_cached(&sql)?.query_row(values, Row::read);
    Ok(row.optional()?)
}

/// Whether the message is being written.
pub(crate) fn is_writing(db: &Connection, seq: i64) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entity WHERE seq = ?1 AND kind = ?2 AND key = ?3)";
    let values = params![seq, Kind::Message as i64, WRITING];
    Ok(db
        .prepare_cached(sql)?
        .query_row(values, |row| row.get(0))?)
}

/// Whether an answer was being written, or waited for, when the process that served the store ended.
pub(super) fn is_any(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entity WHERE kind = ?1 AND key IN (?2, ?3))";
    let values = params![Kind::Message as i64, WRITING, ASKED];
    db.query_row(sql, values, |row| row.get(0))
}

/// Marks the answers of an ended process as interrupted, and its questions without words as unanswered. Writes
/// only if there are any: the disk may be full.
pub(super) fn interrupt_all(db: &Connection) -> Result<(), Failure> {
    if !is_any(db)? {
        return Ok(());
    }
    let transaction = db.unchecked_transaction()?;
    let mut change = Change::new(&transaction);
    for row in unsettled(&transaction, None)? {
        change.end_early(&row, Early::Interrupted)?;
    }
    drop(change);
    transaction.commit()?;
    Ok(())
}

/// The messages of questions that are being answered, of all conversations or of one.
fn unsettled(db: &Connection, conversation: Option<i64>) -> Result<Vec<Row>, Failure> {
    let sql = format!(
        "{ROW} INDEXED BY entity_key WHERE kind = ?1 AND key IN (?2, ?3) AND key IS NOT NULL
         AND (?4 IS NULL OR owner = ?4) ORDER BY seq"
    );
    let mut query = db.prepare_cached(&sql)?;
    let values = params![Kind::Message as i64, WRITING, ASKED, conversation];
    let rows = query.query_map(values, Row::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Change<'_> {
    /// Replaces a message's document, with its key, and announces it. Neither `updated` nor search change.
    pub(crate) fn write_message(
        &mut self,
        row: &Row,
        doc: &Map<String, Value>,
        key: Option<&str>,
    ) -> Result<(), Failure> {
        let doc = stored(Kind::Message, doc)?;
        self.db
            .prepare_cached("UPDATE entity SET doc = ?2, key = ?3 WHERE seq = ?1")?
            .execute(params![row.seq, doc, key])?;
        self.announce(row);
        Ok(())
    }

    /// Ends what is being written in a conversation that is about to be deleted.
    pub(super) fn stop_answers(&mut self, conversation: i64) -> Result<(), Failure> {
        for row in unsettled(self.db, Some(conversation))? {
            self.end_early(&row, Early::Stopped)?;
        }
        Ok(())
    }

    /// Ends one answer with what is stored of it, or gives a question up.
    fn end_early(&mut self, row: &Row, why: Early) -> Result<(), Failure> {
        let mut doc = row.object()?;
        let (state, stop) = why.names();
        if doc.get("role").and_then(Value::as_str) == Some("USER") {
            set_state(&mut doc, Some(UNANSWERED));
        } else {
            set_state(&mut doc, Some(state));
            doc[OWN]["stop"] = stop.into();
        }
        self.write_message(row, &doc, None)?;
        let text = doc
            .get("fragment")
            .and_then(|f| f.get("string")?.get("raw")?.as_str());
        self.index_text(row.seq, text.unwrap_or_default())?;
        self.touch(&row.into())?;
        if let Some(owner) = row.owner
            && let Some(owner) = query::by_seq(self.db, owner)?
        {
            self.touch(&owner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_set_and_removed_beside_other_fields() {
        for (before, set, removed) in [
            (json!({}), json!({OWN: {"state": "s"}}), json!({})),
            (
                json!({OWN: {"model": "m", "state": "old"}, "role": "USER"}),
                json!({OWN: {"model": "m", "state": "s"}, "role": "USER"}),
                json!({OWN: {"model": "m"}, "role": "USER"}),
            ),
            // Documents of other programs have anything there.
            (
                json!({OWN: "text"}),
                json!({OWN: {"state": "s"}}),
                json!({}),
            ),
        ] {
            let mut doc = before.as_object().unwrap().clone();
            set_state(&mut doc, Some("s"));
            assert_eq!(Value::Object(doc.clone()), set);
            assert_eq!(state(&doc), Some("s"));
            set_state(&mut doc, None);
            assert_eq!(Value::Object(doc), removed);
        }
    }
}
