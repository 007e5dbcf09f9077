//! The conversations that are being answered: kept in memory, and added to responses.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use serde_json::{Map, Value, json};

use crate::pieces::OWN;
use crate::service::Failure;

/// The status of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answering {
    /// The id of its message, once that is stored.
    pub(crate) message: Option<String>,
    /// `waiting`, `thinking` or `writing`.
    pub(crate) status: &'static str,
}

/// The answers that are being written, by conversation.
#[derive(Debug, Default)]
pub(crate) struct Live(RwLock<HashMap<String, Answering>>);

impl Live {
    pub(crate) fn set(&self, conversation: &str, answering: Answering) {
        let mut live = self.0.write().unwrap_or_else(PoisonError::into_inner);
        live.insert(conversation.to_owned(), answering);
    }

    pub(crate) fn remove(&self, conversation: &str) {
        let mut live = self.0.write().unwrap_or_else(PoisonError::into_inner);
        live.remove(conversation);
    }

    /// The document of a conversation with its status added; `None` if it is not being answered.
    pub(crate) fn add(&self, conversation: &str, doc: &str) -> Result<Option<String>, Failure> {
        let live = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(answering) = live.get(conversation) else {
            return Ok(None);
        };
        let answering = json!({"message": answering.message, "status": answering.status});
        drop(live);
        let mut doc: Map<String, Value> = serde_json::from_str(doc)?;
        let own = doc.entry(OWN).or_insert_with(|| json!({}));
        if !own.is_object() {
            *own = json!({});
        }
        own["answering"] = answering;
        Ok(Some(serde_json::to_string(&doc)?))
    }
}
