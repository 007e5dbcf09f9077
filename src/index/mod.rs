//! The known conversations: a compact, ordered, searchable set.
//!
//! No I/O, no async, no wire or LSP types. One writer ([`Index`]) changes the set; any number of [`Reader`]s
//! take cheap [`Snapshot`]s. A snapshot never changes, so a reader sees one consistent state.
//!
//! Architecture invariant: everything here is synchronous, cannot fail, and never blocks except on the short
//! shard locks inside `DashMap`, whose guards do not leave this module.

mod chunk;
mod conversation;
mod cores;
mod letters;
mod search;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod ties;

pub use crate::markdown::UNNAMED;
pub use conversation::{AnswerStatus, Answering, Conversation, ConversationRef};
pub use search::Match;
pub use snapshot::{Builder, Snapshot};
pub use store::{Delta, Index, Mutation, RESET_ABOVE, Reader};
pub use ties::{Anchor, Ties, path_key};
