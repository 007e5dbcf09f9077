//! The questions of this window that are being answered, with a switch to stop each.

use crate::ask::Stop;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::Arc;
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
    conversation: Option<Uuid>,
    token: Option<ProgressToken>,
}

impl Ask {
    pub fn new(asks: &Arc<Asks>, stop: Stop) -> Self {
        Ask {
            asks: Arc::clone(asks),
            stop,
            conversation: None,
            token: None,
        }
    }

    /// Records the conversation to which the question was sent.
    pub fn sent(&mut self, conversation: Uuid) {
        // If another question is being answered there, this one is about to be refused.
        if let Entry::Vacant(place) = self.asks.conversations.entry(conversation) {
            place.insert(self.stop.clone());
            self.conversation = Some(conversation);
        }
    }

    /// Records the token under which its progress is shown.
    pub fn shown(&mut self, token: ProgressToken) {
        self.asks.tokens.insert(token.clone(), self.stop.clone());
        self.token = Some(token);
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if let Some(conversation) = self.conversation {
            self.asks.conversations.remove(&conversation);
        }
        if let Some(token) = &self.token {
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
        let mut first = Ask::new(&asks, Stop::default());
        first.sent(conversation);
        first.shown(token.clone());
        let mut second = Ask::new(&asks, Stop::default());
        second.sent(conversation);
        assert!(asks.stop(conversation));
        assert!(first.stop.is_stopped() && !second.stop.is_stopped());
        drop(second);
        assert!(asks.stop(conversation), "the first one is still there");
        drop(first);
        assert!(!asks.stop(conversation));

        let mut third = Ask::new(&asks, Stop::default());
        third.shown(token.clone());
        asks.cancel(&ProgressToken::String("7".into()));
        assert!(!third.stop.is_stopped());
        asks.cancel(&token);
        assert!(third.stop.is_stopped());
    }
}
