//! One conversation, owned and borrowed.

use crate::markdown;
use uuid::Uuid;

/// Longest name, of a conversation or an application, in bytes. Longer ones are cut at a character boundary.
const MAX_NAME: usize = 16 * 1024;

/// One conversation, as input of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: Uuid,
    /// Its name from the server; may be empty.
    pub name: String,
    /// When it was created, in microseconds since the Unix epoch.
    pub created: i64,
    /// When it last changed, in microseconds since the Unix epoch.
    pub updated: i64,
    /// Pinned by the user.
    pub favorited: bool,
    /// The number of its messages.
    pub messages: u32,
    /// The assets it is tied to.
    pub assets: Vec<Uuid>,
    /// The anchors it is tied to (files and directories).
    pub anchors: Vec<Uuid>,
    /// The application that created it; empty if unknown.
    pub application: String,
    /// A model is answering in it.
    pub answering: Option<Answering>,
}

/// A model is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answering {
    /// The message of the answer, once there is one.
    pub message: Option<Uuid>,
    /// What the model does.
    pub status: AnswerStatus,
}

/// What a model does that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerStatus {
    /// It has not begun.
    Waiting,
    /// It thinks.
    Thinking,
    /// It writes.
    Writing,
}

impl AnswerStatus {
    /// The name in `pieces/didAnswer`.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerStatus::Waiting => "waiting",
            AnswerStatus::Thinking => "thinking",
            AnswerStatus::Writing => "writing",
        }
    }
}

impl Conversation {
    /// The same, borrowed.
    pub fn as_ref(&self) -> ConversationRef<'_> {
        ConversationRef {
            id: self.id,
            name: clip(&self.name),
            created: self.created,
            updated: self.updated,
            favorited: self.favorited,
            messages: self.messages,
            assets: &self.assets,
            anchors: &self.anchors,
            application: clip(&self.application),
            answering: self.answering,
        }
    }
}

/// One conversation, borrowed from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationRef<'a> {
    /// Its id.
    pub id: Uuid,
    /// Its name from the server; may be empty. See [`ConversationRef::title`].
    pub name: &'a str,
    /// When it was created, in microseconds since the Unix epoch.
    pub created: i64,
    /// When it last changed, in microseconds since the Unix epoch.
    pub updated: i64,
    /// Pinned by the user.
    pub favorited: bool,
    /// The number of its messages.
    pub messages: u32,
    /// The assets it is tied to.
    pub assets: &'a [Uuid],
    /// The anchors it is tied to.
    pub anchors: &'a [Uuid],
    /// The application that created it; empty if unknown.
    pub application: &'a str,
    /// A model is answering in it.
    pub answering: Option<Answering>,
}

impl<'a> ConversationRef<'a> {
    /// The displayed name: never empty.
    pub fn title(&self) -> &'a str {
        markdown::visible(self.name)
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Conversation {
        Conversation {
            id: self.id,
            name: self.name.to_owned(),
            created: self.created,
            updated: self.updated,
            favorited: self.favorited,
            messages: self.messages,
            assets: self.assets.to_vec(),
            anchors: self.anchors.to_vec(),
            application: self.application.to_owned(),
            answering: self.answering,
        }
    }

    /// Its position in the order of the index: newest first, ids break ties.
    pub(super) fn key(&self) -> Key {
        Key {
            updated: self.updated,
            id: self.id,
        }
    }
}

/// The key of a conversation in the order: newest `updated` first, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) updated: i64,
    pub(super) id: Uuid,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other
            .updated
            .cmp(&self.updated)
            // Compares the bytes in one comparison.
            .then_with(|| self.id.as_u128().cmp(&other.id.as_u128()))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// At most [`MAX_NAME`] bytes of `name`.
pub(super) fn clip(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
