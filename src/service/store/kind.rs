//! The kinds of stored objects.

/// The kinds of objects. The numbers are on disk: never reuse or renumber them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i64)]
pub enum Kind {
    /// A conversation.
    Conversation = 1,
    /// A message of a conversation, deleted with it.
    Message = 2,
    /// A saved snippet or file.
    Asset = 3,
    /// The content of an asset, deleted with it.
    Format = 4,
    /// A file or directory.
    Anchor = 5,
    /// One path of an anchor, deleted with it.
    Point = 6,
    /// A note on any of the others.
    Annotation = 7,
    /// A web page.
    Website = 8,
    /// A program that connected.
    Application = 9,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Conversation,
        Self::Message,
        Self::Asset,
        Self::Format,
        Self::Anchor,
        Self::Point,
        Self::Annotation,
        Self::Website,
        Self::Application,
    ];

    /// Kinds with routes and a list of their own, which import and export copy. Owners and ends of
    /// associations come first, so that later objects find them.
    pub(crate) const ROUTED: [Self; 6] = [
        Self::Website,
        Self::Asset,
        Self::Anchor,
        Self::Conversation,
        Self::Message,
        Self::Annotation,
    ];

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number)
    }

    /// The name in routes, exports and sentences: `conversation`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Message => "message",
            Self::Asset => "asset",
            Self::Format => "format",
            Self::Anchor => "anchor",
            Self::Point => "anchor point",
            Self::Annotation => "annotation",
            Self::Website => "website",
            Self::Application => "application",
        }
    }

    /// The key of this kind's reference in a `StreamedIdentifier`.
    pub(crate) fn streamed_as(self) -> &'static str {
        match self {
            Self::Message => "conversationMessage",
            Self::Point => "anchorPoint",
            other => other.noun(),
        }
    }

    /// The field that lists objects of this kind in another object: `conversations`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Conversation => "conversations",
            Self::Message => "messages",
            Self::Asset => "assets",
            Self::Format => "formats",
            Self::Anchor => "anchors",
            Self::Point => "points",
            Self::Annotation => "annotations",
            Self::Website => "websites",
            Self::Application => "applications",
        }
    }

    /// Derived fields of responses, which are never stored in the document.
    pub(crate) fn derived(self) -> &'static [&'static str] {
        match self {
            Self::Conversation => &["messages", "annotations", "assets", "anchors", "websites"],
            Self::Message => &["conversation", "annotations"],
            Self::Asset => &[
                "formats",
                "preview",
                "original",
                "anchors",
                "annotations",
                "conversations",
                "websites",
            ],
            Self::Anchor => &[
                "points",
                "assets",
                "annotations",
                "conversations",
                "messages",
            ],
            Self::Point => &["anchor"],
            // Plurals come with imports only.
            Self::Annotation => &[
                "asset",
                "anchor",
                "conversation",
                "messages",
                "assets",
                "anchors",
                "conversations",
            ],
            Self::Website => &["assets", "conversations", "messages"],
            Self::Format => &["asset"],
            Self::Application => &[],
        }
    }
}

/// One end of an association.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    pub(crate) seq: i64,
    pub(crate) id: String,
}
