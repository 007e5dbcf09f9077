//! Plural wrappers with their objects.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::json;

/// A list, as far as it was readable.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) objects: Vec<(Uuid, Box<RawValue>)>,
    /// Ids without their objects.
    pub(super) named: Vec<Uuid>,
    /// Objects without a usable id.
    pub(super) nameless: usize,
}

impl Listed {
    pub(super) fn len(&self) -> usize {
        self.objects.len() + self.named.len()
    }

    /// Adds ids that are not in the list yet.
    pub(super) fn add_named(&mut self, ids: impl IntoIterator<Item = Uuid>) {
        let mut known: HashSet<_> = self.objects.iter().map(|(id, _)| *id).collect();
        known.extend(&self.named);
        self.named
            .extend(ids.into_iter().filter(|id| known.insert(*id)));
    }
}

/// Reads `{iterable, indices}`; `None` for anything else.
pub(super) fn listed(body: &[u8]) -> Option<Listed> {
    #[derive(Deserialize)]
    struct Collection {
        iterable: Option<Vec<Box<RawValue>>>,
        indices: Option<HashMap<String, Value>>,
    }
    /// A field that distinguishes an object from a bare reference to it.
    #[derive(Deserialize)]
    struct Item {
        id: Value,
        created: Option<IgnoredAny>,
        updated: Option<IgnoredAny>,
    }
    let Collection { iterable, indices } = json::from_slice(body).ok()?;
    if iterable.is_none() && indices.is_none() {
        return None;
    }
    let uuid = |text: &str| Uuid::parse_str(text).ok();
    let indices: HashMap<Uuid, bool> = indices
        .unwrap_or_default()
        .iter()
        .filter_map(|(id, at)| Some((uuid(id)?, at.as_i64().is_none_or(|at| at >= 0))))
        .collect();
    let mut listed = Listed::default();
    let mut bare = Vec::new();
    for raw in iterable.unwrap_or_default() {
        let item = json::from_slice::<Item>(raw.get().as_bytes()).ok();
        let id = item.as_ref().and_then(|item| uuid(item.id.as_str()?));
        match (id, item) {
            // It was removed and only its id is left.
            (Some(id), _) if indices.get(&id) == Some(&false) => {}
            (Some(id), Some(item)) if item.created.is_none() && item.updated.is_none() => {
                bare.push(id);
            }
            (Some(id), _) => listed.objects.push((id, raw)),
            (None, _) => listed.nameless += 1,
        }
    }
    listed.add_named(bare);
    listed.add_named(
        indices
            .into_iter()
            .filter_map(|(id, live)| live.then_some(id)),
    );
    Some(listed)
}
