//! What the machine is told.

use crate::index::{Anchor, Builder, Conversation};
use uuid::Uuid;

/// The number of a request, or of an input.
pub type Ticket = u64;

/// The inputs of the machine.
#[derive(Debug)]
pub enum Input {
    /// A stream opened.
    Opened,
    /// The stream ended, or could not be opened; no request is in flight any more.
    Closed,
    /// The stream is alive but has no changes.
    Alive,
    /// The stream reported changed and deleted ids; `malformed`: part of the frame was unreadable.
    Frame {
        /// Ids that are new or changed.
        upserts: Vec<Uuid>,
        /// Deleted ids.
        deletes: Vec<Uuid>,
        /// Part of the frame was unreadable: a change may have been missed.
        malformed: bool,
    },
    /// A list arrived, or failed.
    Listed(Ticket, Option<Listing>),
    /// A fetch of one conversation ended.
    Fetched(Ticket, Fetched),
    /// A list of ids arrived, or failed.
    Identified(Ticket, Option<Vec<Uuid>>),
    /// Anchors arrived.
    Anchors(Ticket, Answer<Vec<Anchor>>),
    /// Asset ids arrived.
    Assets(Ticket, Answer<Vec<Uuid>>),
    /// Some anchor changed.
    AnchorsChanged,
    /// Some asset came, changed or went.
    AssetsChanged,
    /// Our own create or update was acknowledged, with this result.
    Wrote(Conversation),
    /// Our own create was acknowledged with an id only.
    WroteId(Uuid),
    /// Our own delete was acknowledged.
    Deleted(Uuid),
    /// We saved an asset.
    WroteAsset(Uuid),
    /// A POST of ours ended with an unknown outcome, or a user asked for a refresh: list again.
    Refresh,
    /// A deadline passed.
    Wake,
}

/// All conversations, and the anchors included in them.
#[derive(Debug, Default)]
pub struct Listing {
    /// The conversations.
    pub conversations: Builder,
    /// Anchors with their paths.
    pub anchors: Vec<Anchor>,
}

/// The result of fetching one conversation.
#[derive(Debug)]
pub enum Fetched {
    /// The conversation, and the anchors included in it.
    Found(Box<Conversation>, Vec<Anchor>),
    /// 410: it does not exist.
    Gone,
    /// 404: it does not exist, or the server has no such route.
    NotFound,
    /// No response; retry.
    Failed,
}

/// The result of a request to an optional route.
#[derive(Debug)]
pub enum Answer<T> {
    /// The objects.
    Here(T),
    /// The server has no such route.
    Missing,
    /// No response; retry.
    Failed,
}
