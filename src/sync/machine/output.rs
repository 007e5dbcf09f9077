//! What the machine wants done, and what has changed.

use super::Ticket;
use crate::index::Delta;
use uuid::Uuid;

/// The outputs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// GET /conversations.
    List {
        /// Returned with the response.
        ticket: Ticket,
        /// Include anchors with their paths.
        transferables: bool,
    },
    /// GET /conversation/{id}.
    Fetch(Ticket, Uuid),
    /// GET /conversations/identifiers.
    Identify(Ticket),
    /// GET /anchors.
    Anchors(Ticket),
    /// GET /assets/identifiers.
    Assets(Ticket),
}

/// The result of a step.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be sent now.
    pub actions: Vec<Action>,
    /// Changes of the index, in order.
    pub deltas: Vec<Delta>,
    /// Conversations that may have changed in parts that the index does not hold, such as messages.
    pub touched: Touched,
}

/// Conversations read again because they may have changed. The index compares records, and a record can stay
/// the same while a message is edited: caches of messages have to be invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Touched {
    /// Nothing.
    #[default]
    None,
    /// One conversation.
    One(Uuid),
    /// Any conversation: the list was read, after a gap in the stream or where single fetches do not work.
    All,
}
