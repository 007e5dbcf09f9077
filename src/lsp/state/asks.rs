//! The questions of this window that are being answered, with a switch to stop each.

use crate::ask::Stop;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::{Arc, OnceLock};
use tower_lsp::lsp_types::ProgressToken;
use uuid::Uuid;

/// Finds the switch of a question by its conversation, or by the token under which its progress is shown.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    conversations: DashMap<Uuid, Stop>,
    tokens: DashMap<ProgressToken, Stop>,
}

impl Asks {
    /// Whether this window asked in this conversation and is being answered.
    pub fn asked_here(&self, conversation: Uuid) -> bool {
        self.conversations.contains_key(&conversation)
    }

    /// Stops the answer in this conversation, if this window asked for it.
    pub fn stop(&self, conversation: Uuid) -> bool {
        let asked = self.conversations.get(&conversation);
        asked.map(|stop| stop.stop()).is_some()
    }

    /// Stops the answer whose progress is shown under this token.
    pub fn cancel(&self, token: &ProgressToken) {
        if let Some(stop) = self.tokens.get(token) {
            stop.stop();
        }
    }
}

/// One question, registered until it is dropped.
pub(crate) struct Ask {
    asks: Arc<Asks>,
    pub stop: Stop,
    conversation: OnceLock<Uuid>,
    token: OnceLock<ProgressToken>,
}

impl Ask {
    pub fn new(asks: &Arc<Asks>, stop: Stop) -> Self {
        Ask {
            asks: Arc::clone(asks),
            stop,
            conversation: OnceLock::new(),
            token: OnceLock::new(),
        }
    }

    /// Records the conversation to which the question is sent.
    pub fn sends(&self, conversation: Uuid) {
        // If another question is being answered there, this one is about to be refused.
        if let Entry::Vacant(place) = self.asks.conversations.entry(conversation)
            && self.conversation.set(conversation).is_ok()
        {
            place.insert(self.stop.clone());
        }
    }

    /// Records the token under which its progress is shown.
    pub fn shown(&self, token: ProgressToken) {
        if self.token.set(token.clone()).is_ok() {
            self.asks.tokens.insert(token, self.stop.clone());
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if let Some(conversation) = self.conversation.get() {
            self.asks.conversations.remove(conversation);
        }
        if let Some(token) = self.token.get() {
            self.asks.tokens.remove(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_found_while_it_is_answered() {
        let asks = Arc::new(Asks::default());
        let (conversation, token) = (Uuid::from_u128(1), ProgressToken::Number(7));
        let first = Ask::new(&asks, Stop::default());
        first.sends(conversation);
        first.shown(token.clone());
        let second = Ask::new(&asks, Stop::default());
        second.sends(conversation);
        assert!(asks.stop(conversation));
        assert!(first.stop.is_stopped() && !second.stop.is_stopped());
        drop(second);
        assert!(asks.stop(conversation), "the first one is still there");
        drop(first);
        assert!(!asks.stop(conversation));

        let third = Ask::new(&asks, Stop::default());
        third.shown(token.clone());
        asks.cancel(&ProgressToken::String("7".into()));
        assert!(!third.stop.is_stopped());
        asks.cancel(&token);
        assert!(third.stop.is_stopped());
    }
}
