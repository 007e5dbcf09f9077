//! Wire types: lenient when reading, exact when writing.

#[cfg(test)]
pub(super) mod damaged;
mod streamed;

use std::borrow::Cow;
use std::collections::HashSet;

use serde::de::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::json::lenient::{Flag, FromText, List, Parsed, Text, lenient_object};
use crate::json::plural::{Id, Ids, Indices, Members, Reference, ordered};
use crate::json::{from_slice, time, with_repair};
pub(super) use streamed::{StreamedIdentifier, streamed_identifiers};

/// The fields of a conversation that we read. All others are skipped without allocating.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation<'a> {
    /// `id`.
    pub id: Uuid,
    /// `name`; absent and null are equal.
    pub name: Option<Cow<'a, str>>,
    /// `created.value` in microseconds since the Unix epoch, if readable.
    pub created: Option<i64>,
    /// `updated.value` in microseconds since the Unix epoch, if readable.
    pub updated: Option<i64>,
    /// `favorited`.
    pub favorited: bool,
    /// The number of messages: union of `messages.iterable` and `messages.indices`, minus negative indices.
    pub messages: u32,
    /// `assets`, same rule.
    pub assets: Ids,
    /// `anchors`, same rule.
    pub anchors: Ids,
    /// `(anchor, fullpath)` of anchors that include their points.
    pub anchor_paths: Vec<(Uuid, Cow<'a, str>)>,
    /// `application.label` if it has one, else `application.name`.
    pub application: Option<Cow<'a, str>>,
    /// `pieces_lsp.answering`: a model is answering in it. Only our local service says so.
    pub answering: Option<Answering>,
}

/// A model is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answering {
    /// The message of the answer, once there is one.
    pub message: Option<Uuid>,
    /// Its status.
    pub status: AnswerStatus,
}

/// The status of an answer that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerStatus {
    /// The model has not begun.
    Waiting,
    /// It thinks.
    Thinking,
    /// It writes.
    Writing,
}

impl Conversation<'_> {
    /// The same with owned strings.
    pub fn into_owned(self) -> Conversation<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Conversation {
            id: self.id,
            name: self.name.map(owned),
            created: self.created,
            updated: self.updated,
            favorited: self.favorited,
            messages: self.messages,
            assets: self.assets,
            anchors: self.anchors,
            anchor_paths: self
                .anchor_paths
                .into_iter()
                .map(|(anchor, path)| (anchor, owned(path)))
                .collect(),
            application: self.application.map(owned),
            answering: self.answering,
        }
    }
}

/// The fields of an anchor that we read (`GET /anchors`, `GET /anchor/{id}`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Anchor {
    /// `id`.
    pub id: Uuid,
    /// `points[].reference.fullpath`: native absolute paths, one per machine the file is known on.
    pub paths: Vec<String>,
    /// Assets saved from it.
    pub assets: Vec<Uuid>,
    /// Associated conversations.
    pub conversations: Vec<Uuid>,
    /// `updated.value`, in microseconds since the Unix epoch.
    pub updated: Option<i64>,
}

impl<'de> Deserialize<'de> for Readable<Conversation<'de>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ConversationObject::deserialize(deserializer).map(|object| Readable(object.read()))
    }
}

impl<'de> Deserialize<'de> for Readable<Anchor> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnchorObject::deserialize(deserializer).map(|object| Readable(object.read()))
    }
}

/// An object, or `None` without a usable id. Fails only if the text is not JSON.
#[derive(Debug)]
pub(crate) struct Readable<T>(pub(crate) Option<T>);

lenient_object! {
    struct ConversationObject<'de> {
        "id" => id: Parsed<Id>,
        "name" => name: Text<'de>,
        "created" => created: GroupedTimestamp,
        "updated" => updated: GroupedTimestamp,
        "favorited" => favorited: Flag,
        "messages" => messages: Members,
        "assets" => assets: Members,
        "anchors" => anchors: Anchors<'de>,
        "application" => application: Application<'de>,
        "pieces_lsp" => own: Own<'de>,
    }
}

lenient_object! {
    /// Our own field.
    struct Own<'de> { "answering" => answering: AnsweringObject<'de>, }
}

lenient_object! {
    struct AnsweringObject<'de> {
        "message" => message: Parsed<Id>,
        "status" => status: Text<'de>,
    }
}

lenient_object! {
    struct GroupedTimestamp { "value" => value: Parsed<Micros>, }
}

lenient_object! {
    struct Application<'de> {
        "name" => name: Text<'de>,
        // Of conversations imported from tools that have no name in the API.
        "label" => label: Text<'de>,
    }
}

lenient_object! {
    struct Anchors<'de> {
        "iterable" => iterable: List<AnchorObject<'de>>,
        "indices" => indices: Indices,
    }
}

lenient_object! {
    /// An anchor, or a reference that may include the anchor.
    struct AnchorObject<'de> {
        "id" => id: Parsed<Id>,
        "reference" => reference: AnchorReference<'de>,
        "points" => points: Points<'de>,
        "assets" => assets: Members,
        "conversations" => conversations: Members,
        "updated" => updated: GroupedTimestamp,
    }
}

lenient_object! {
    struct AnchorReference<'de> { "points" => points: Points<'de>, }
}

lenient_object! {
    struct Points<'de> {
        "iterable" => iterable: List<Point<'de>>,
        "indices" => indices: Indices,
    }
}

lenient_object! {
    /// An anchor point, or a reference that may include the point.
    struct Point<'de> {
        "id" => id: Parsed<Id>,
        "reference" => reference: PointReference<'de>,
        "fullpath" => fullpath: Text<'de>,
    }
}

lenient_object! {
    struct PointReference<'de> { "fullpath" => fullpath: Text<'de>, }
}

/// Microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros(i64);

impl FromText for Micros {
    fn from_text(text: &str) -> Option<Micros> {
        time::parse(text).map(Micros)
    }
}

impl GroupedTimestamp {
    fn micros(&self) -> Option<i64> {
        self.value.0.map(|Micros(micros)| micros)
    }
}

impl<'a> ConversationObject<'a> {
    fn read(self) -> Option<Conversation<'a>> {
        let (anchors, anchor_paths) = self.anchors.read();
        Some(Conversation {
            id: self.id.0?.uuid()?,
            name: self.name.0,
            created: self.created.micros(),
            updated: self.updated.micros(),
            favorited: self.favorited.0,
            messages: self.messages.count(),
            assets: self.assets.inline_ids(),
            anchors,
            anchor_paths,
            application: self.application.label.0.or(self.application.name.0),
            answering: self.own.answering.read(),
        })
    }
}

impl AnsweringObject<'_> {
    fn read(self) -> Option<Answering> {
        let status = match &*self.status.0? {
            "thinking" => AnswerStatus::Thinking,
            "writing" => AnswerStatus::Writing,
            _ => AnswerStatus::Waiting,
        };
        let message = self.message.0.and_then(Id::uuid);
        Some(Answering { message, status })
    }
}

impl<'a> Anchors<'a> {
    fn read(self) -> (Ids, Vec<(Uuid, Cow<'a, str>)>) {
        let mut listed = Vec::new();
        let mut paths = Vec::new();
        for anchor in self.iterable.0.into_iter().flatten() {
            let Some(id) = anchor.id.0 else { continue };
            listed.push(id);
            if let Some(id) = id.uuid() {
                paths.extend(inline_paths(anchor.points, anchor.reference).map(|path| (id, path)));
            }
        }
        let anchors = ordered(&listed, &self.indices.0.unwrap_or_default());
        if !paths.is_empty() {
            let members: HashSet<Uuid> = anchors.iter().copied().collect();
            paths.retain(|(anchor, _)| members.contains(anchor));
        }
        (anchors, paths)
    }
}

impl<'a> AnchorObject<'a> {
    fn read(self) -> Option<Anchor> {
        Some(Anchor {
            id: self.id.0?.uuid()?,
            assets: self.assets.ids(),
            conversations: self.conversations.ids(),
            updated: self.updated.micros(),
            paths: inline_paths(self.points, self.reference)
                .map(Cow::into_owned)
                .collect(),
        })
    }
}

/// The paths of an anchor, given directly or inside a reference to it.
fn inline_paths<'a>(
    points: Points<'a>,
    reference: AnchorReference<'a>,
) -> impl Iterator<Item = Cow<'a, str>> {
    points.into_paths().chain(reference.points.into_paths())
}

impl<'a> Points<'a> {
    /// The paths of all points that are not marked as removed.
    fn into_paths(self) -> impl Iterator<Item = Cow<'a, str>> {
        let indices = self.indices.0.unwrap_or_default().into_iter();
        let removed: HashSet<Id> = indices
            .filter(|(_, at)| *at < 0)
            .map(|(id, _)| id)
            .collect();
        self.iterable
            .0
            .into_iter()
            .flatten()
            .filter_map(move |point| {
                if point.id.0.is_some_and(|id| removed.contains(&id)) {
                    return None;
                }
                point
                    .reference
                    .fullpath
                    .0
                    .or(point.fullpath.0)
                    .filter(|path| !path.is_empty())
            })
    }
}

lenient_object! {
    /// A plural wrapper of anchors.
    struct AnchorList { "iterable" => iterable: List<Readable<Anchor>>, }
}

/// `GET /anchors`: every readable anchor; `None` if it is not a list.
pub(super) fn anchors(json: &[u8]) -> Result<Option<Vec<Anchor>>, serde_json::Error> {
    let list: AnchorList = from_slice(json)?;
    Ok(list.iterable.0.map(|anchors| {
        anchors
            .into_iter()
            .filter_map(|Readable(anchor)| anchor)
            .collect()
    }))
}

/// A list of identifiers; `None` without an `iterable`.
pub(super) fn identifiers(json: &[u8]) -> Result<Option<Vec<Uuid>>, serde_json::Error> {
    let members: Members = from_slice(json)?;
    Ok(members.iterable.0.is_some().then(|| members.ids()))
}

/// A list of identifiers that may have only `indices` (`FlattenedAssets`); `None` without either.
pub(super) fn flattened_identifiers(json: &[u8]) -> Result<Option<Vec<Uuid>>, serde_json::Error> {
    let members: Members = from_slice(json)?;
    let is_list = members.iterable.0.is_some() || members.indices.0.is_some();
    Ok(is_list.then(|| members.ids()))
}

lenient_object! {
    struct CreateFromAssetOutput { "conversation" => conversation: Reference, }
}

/// The conversation in the response of `create/from_asset`.
pub(super) fn created_from_asset(json: &[u8]) -> Result<Option<Uuid>, serde_json::Error> {
    let output: CreateFromAssetOutput = from_slice(json)?;
    Ok(output.conversation.id.0.and_then(Id::uuid))
}

/// The id of any object.
pub(super) fn object_id(json: &[u8]) -> Result<Option<Uuid>, serde_json::Error> {
    let object: Reference = from_slice(json)?;
    Ok(object.id.0.and_then(Id::uuid))
}

/// One conversation.
pub(super) fn conversation(
    json: &[u8],
) -> Result<Option<Conversation<'static>>, serde_json::Error> {
    with_repair(json, |json| {
        let Readable(conversation) = serde_json::from_slice::<Readable<Conversation<'_>>>(json)?;
        Ok(conversation.map(Conversation::into_owned))
    })
}

/// One anchor; the client reads them all at once.
#[cfg(test)]
pub(super) fn anchor(json: &[u8]) -> Result<Option<Anchor>, serde_json::Error> {
    from_slice::<Readable<Anchor>>(json).map(|Readable(anchor)| anchor)
}

#[cfg(test)]
mod tests;
