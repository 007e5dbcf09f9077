//! Wire types: lenient on what they read, exact on what they write.

use std::borrow::Cow;
use uuid::Uuid;

/// What we read of one conversation. Everything else in the object is skipped without allocating.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation<'a> {
    /// `id`.
    pub id: Uuid,
    /// `name`; absent and null are the same.
    pub name: Option<Cow<'a, str>>,
    /// `created.value` in microseconds since the Unix epoch, if readable.
    pub created: Option<i64>,
    /// `updated.value` in microseconds since the Unix epoch, if readable.
    pub updated: Option<i64>,
    /// `favorited`.
    pub favorited: bool,
    /// How many messages: union of `messages.iterable` and `messages.indices`, minus negative indices.
    pub messages: u32,
    /// `assets`, same rule.
    pub assets: Vec<Uuid>,
    /// `anchors`, same rule.
    pub anchors: Vec<Uuid>,
    /// `(anchor, fullpath)` for anchors that came with their points inline.
    pub anchor_paths: Vec<(Uuid, Cow<'a, str>)>,
    /// `application.name`.
    pub application: Option<Cow<'a, str>>,
}

/// What we read of one anchor (`GET /anchors`, `GET /anchor/{id}`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Anchor {
    /// `id`.
    pub id: Uuid,
    /// `points[].reference.fullpath`: native absolute paths, one per machine the file is known on.
    pub paths: Vec<String>,
    /// Assets saved from it.
    pub assets: Vec<Uuid>,
    /// Conversations tied to it.
    pub conversations: Vec<Uuid>,
}
