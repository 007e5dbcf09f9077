//! Files that other clients attach by their anchors.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;
use serde_json::Value;

use crate::service::{
    Failure,
    store::{self, Kind},
};

/// Maximum conversations whose anchors are remembered.
const CONVERSATIONS: usize = 10_000;

/// Anchors that clients associated with a conversation themselves, which attaches their files. A tie by us, by an import
/// or by a restore does not. Kept for this run only; published clients associate again after each answer.
#[derive(Debug, Default)]
pub(super) struct Associated(Mutex<HashMap<String, BTreeSet<String>>>);

impl Associated {
    /// Records that a client associated or disassociated an anchor.
    pub(super) fn note(&self, conversation: &str, anchor: &str, is_associated: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_associated {
            if all.len() >= CONVERSATIONS && !all.contains_key(conversation) {
                all.clear();
            }
            let anchors = all.entry(conversation.to_owned()).or_default();
            anchors.insert(anchor.to_owned());
        } else if let Some(anchors) = all.get_mut(conversation) {
            anchors.remove(anchor);
        }
    }

    fn of(&self, conversation: &str) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(conversation)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// The anchors that a question in this conversation refers to: its own, then those that clients associated.
pub(super) fn referred(
    own: Vec<String>,
    associated: &Associated,
    conversation: &str,
) -> Vec<String> {
    let associated = associated.of(conversation).into_iter();
    let mut seen = BTreeSet::new();
    let all = own.into_iter().chain(associated);
    all.filter(|anchor| seen.insert(anchor.clone())).collect()
}

/// The paths of anchors, and those that earlier questions of the conversation named.
pub(super) fn paths(
    db: &Connection,
    anchors: &[String],
    conversation: &str,
) -> Result<Vec<String>, Failure> {
    let mut paths = Vec::new();
    if let Some(conversation) = store::find_head(db, conversation)? {
        for row in store::owned_rows(db, Kind::Message, conversation.seq)? {
            let doc = row.object()?;
            let named = doc
                .get(crate::pieces::OWN)
                .and_then(|own| own.get("named")?.as_array());
            if named.is_some_and(Vec::is_empty) {
                // An empty list of files drops those of earlier questions.
                paths.clear();
            }
            let named = named
                .into_iter()
                .flatten()
                .filter_map(|file| file.get("path")?.as_str());
            paths.extend(named.map(str::to_owned));
        }
    }
    for id in anchors {
        let Some(anchor) = store::find(db, Kind::Anchor, id)? else {
            continue;
        };
        for point in store::owned_rows(db, Kind::Point, anchor.seq)? {
            let path = point.object()?.remove("fullpath");
            paths.extend(path.as_ref().and_then(Value::as_str).map(str::to_owned));
        }
    }
    Ok(paths)
}
