//! The one writer of the index, and its readers.

use super::conversation::{Conversation, ConversationRef, Key};
use super::cores::parallel_chunks;
use super::snapshot::{Applications, Builder, Draft, Snapshot};
use super::ties::{Anchor, Ties};
use arc_swap::ArcSwap;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// More changes than this in one step are not listed: see [`Delta::reset`].
pub const RESET_ABOVE: usize = 1000;

/// One change of the set.
#[derive(Debug, Clone)]
pub enum Mutation {
    /// The conversation is new or changed.
    Upsert(Conversation),
    /// The conversation was deleted.
    Remove(Uuid),
}

/// The changes of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// The revision after the step.
    pub revision: u64,
    /// The number of conversations after the step.
    pub total: usize,
    /// New or changed conversations.
    pub upserted: Vec<Uuid>,
    /// Deleted conversations.
    pub removed: Vec<Uuid>,
    /// There were more than [`RESET_ABOVE`] changes: the lists are empty, read the snapshot again.
    pub reset: bool,
}

/// The state that readers share.
#[derive(Debug, Default)]
struct Shared {
    snapshot: ArcSwap<Snapshot>,
    /// The key of each conversation.
    places: DashMap<Uuid, i64, RandomState>,
    ties: Ties,
}

/// The writer. There is one, owned by the synchroniser.
#[derive(Debug, Default)]
pub struct Index {
    shared: Arc<Shared>,
    applications: Applications,
}

/// A reader's handle: cheap to clone, never blocks the writer.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Index {
    /// An empty index that starts at `revision`.
    pub fn after(revision: u64) -> Self {
        let index = Index::default();
        let empty = Snapshot {
            revision,
            ..Snapshot::default()
        };
        index.shared.snapshot.store(Arc::new(empty));
        index
    }

    /// A handle for readers.
    pub fn reader(&self) -> Reader {
        Reader {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Applies changes in order, in one step. `None` if nothing changed.
    pub fn apply(&mut self, mutations: impl IntoIterator<Item = Mutation>) -> Option<Delta> {
        let old = self.shared.snapshot.load_full();
        let mut draft = Draft {
            chunks: old.chunks.clone(),
            len: old.len,
        };
        let mut upserted = HashSet::new();
        let mut removed = HashSet::new();
        // Conversations added in this step: if it also removes them, the removal is not reported.
        let mut new = HashSet::new();
        // `places` is updated at once, so that later mutations of the same step see the earlier ones; a
        // reader in between searches the snapshot (`Reader::get`).
        for mutation in mutations {
            let id = match &mutation {
                Mutation::Upsert(one) => one.id,
                Mutation::Remove(id) => *id,
            };
            let place = self.place(id);
            match mutation {
                Mutation::Upsert(one) => {
                    let known = place.and_then(|key| draft.find(key, &self.applications));
                    let same = known == Some(one.as_ref());
                    if same {
                        continue;
                    }
                    if let Some(key) = place {
                        draft.remove(key);
                    }
                    let application = self.applications.number(&one.application);
                    draft.insert(one.as_ref(), application);
                    self.shared.places.insert(id, one.updated);
                    if !removed.remove(&id) && place.is_none() {
                        new.insert(id);
                    }
                    upserted.insert(id);
                }
                Mutation::Remove(_) => {
                    let Some(key) = place else { continue };
                    draft.remove(key);
                    self.shared.places.remove(&id);
                    upserted.remove(&id);
                    if !new.remove(&id) {
                        removed.insert(id);
                    }
                }
            }
        }
        if upserted.is_empty() && removed.is_empty() {
            return None;
        }
        let names = if self.applications.names().len() == old.applications.len() {
            Arc::clone(&old.applications)
        } else {
            self.applications.names().into()
        };
        let upserted = upserted.into_iter().collect();
        let removed = removed.into_iter().collect();
        Some(self.publish(&old, draft, names, upserted, removed))
    }

    /// Replaces the whole set by a listing, except for the conversations in `keep`, which stay as they are
    /// (or stay deleted): something newer than the listing is known of them. `None` if nothing changed.
    pub fn replace(&mut self, listing: Builder, keep: &HashSet<Uuid>) -> Option<Delta> {
        let old = self.shared.snapshot.load_full();
        let packed = listing.pack();
        let mut applications = packed.applications;
        let mut draft = Draft {
            chunks: packed.chunks,
            len: packed.len,
        };
        if !keep.is_empty() {
            let listed = Snapshot {
                chunks: draft.chunks.clone(),
                ..Snapshot::default()
            };
            for one in listed.iter().filter(|one| keep.contains(&one.id)) {
                draft.remove(one.key());
            }
            for id in keep {
                if let Some(one) = self.place(*id).and_then(|key| old.find(key)) {
                    let application = applications.number(one.application);
                    draft.insert(one, application);
                }
            }
        }
        let names = applications.names().into();
        let next = Snapshot {
            chunks: draft.chunks.clone(),
            applications: Arc::clone(&names),
            ..Snapshot::default()
        };
        let (gone, come) = differences(&old, &next);
        if gone.is_empty() && come.is_empty() {
            return None;
        }
        // Not before this is certain to be published: readers still use the old numbers.
        self.applications = applications;
        let mut removed: Vec<Uuid> = gone.into_iter().map(|key| key.id).collect();
        if !removed.is_empty() {
            let come: HashSet<Uuid> = come.iter().map(|key| key.id).collect();
            removed.retain(|id| !come.contains(id));
        }
        for id in &removed {
            self.shared.places.remove(id);
        }
        parallel_chunks(&come, come.len(), |_, come| {
            for key in come {
                self.shared.places.insert(key.id, key.updated);
            }
        });
        let upserted = come.into_iter().map(|key| key.id).collect();
        Some(self.publish(&old, draft, names, upserted, removed))
    }

    /// The number of conversations.
    pub fn len(&self) -> usize {
        self.shared.snapshot.load().len
    }

    /// Whether the index is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids in the index that are not in `ids`, and those of `ids` that are not in the index.
    pub fn compare(&self, ids: &HashSet<Uuid>) -> (Vec<Uuid>, Vec<Uuid>) {
        let snapshot = self.shared.snapshot.load();
        let extra = snapshot
            .iter()
            .map(|one| one.id)
            .filter(|id| !ids.contains(id))
            .collect();
        let missing = ids
            .iter()
            .copied()
            .filter(|id| !self.shared.places.contains_key(id))
            .collect();
        (extra, missing)
    }

    /// Replaces all anchors. A conversation whose files change by that counts as changed.
    pub fn replace_anchors(&mut self, anchors: Vec<Anchor>) -> Option<Delta> {
        let moved = self.shared.ties.replace_anchors(anchors);
        self.retie(&moved)
    }

    /// Adds anchors that were included in conversations. Known anchors stay: the service's own answer for an
    /// anchor takes precedence.
    pub fn add_anchors(&mut self, anchors: Vec<Anchor>) -> Option<Delta> {
        let ties = &self.shared.ties;
        let new = |anchor: &Anchor| ties.anchor(anchor.id).is_none();
        let (new, _): (Vec<_>, Vec<_>) = anchors.into_iter().partition(new);
        let moved = new.iter().map(|anchor| anchor.id).collect();
        for anchor in new {
            ties.put_anchor(anchor);
        }
        self.retie(&moved)
    }

    /// Publishes the conversations tied to these anchors as changed.
    fn retie(&self, anchors: &HashSet<Uuid>) -> Option<Delta> {
        if anchors.is_empty() {
            return None;
        }
        let old = self.shared.snapshot.load_full();
        let tied: Vec<Uuid> = old
            .iter()
            .filter(|one| one.anchors.iter().any(|anchor| anchors.contains(anchor)))
            .map(|one| one.id)
            .collect();
        if tied.is_empty() {
            return None;
        }
        let draft = Draft {
            chunks: old.chunks.clone(),
            len: old.len,
        };
        let names = Arc::clone(&old.applications);
        Some(self.publish(&old, draft, names, tied, Vec::new()))
    }

    /// Adds one asset.
    pub fn put_asset(&mut self, id: Uuid) {
        self.shared.ties.put_asset(id);
    }

    /// Replaces all assets.
    pub fn replace_assets(&mut self, assets: Vec<Uuid>) {
        self.shared.ties.replace_assets(assets);
    }

    fn place(&self, id: Uuid) -> Option<Key> {
        let updated = *self.shared.places.get(&id)?;
        Some(Key { updated, id })
    }

    fn publish(
        &self,
        old: &Snapshot,
        draft: Draft,
        applications: Arc<[Box<str>]>,
        upserted: Vec<Uuid>,
        removed: Vec<Uuid>,
    ) -> Delta {
        let next = Snapshot {
            revision: old.revision + 1,
            len: draft.len,
            chunks: draft.chunks,
            applications,
        };
        let reset = upserted.len() + removed.len() > RESET_ABOVE;
        let delta = Delta {
            revision: next.revision,
            total: next.len,
            upserted: if reset { vec![] } else { upserted },
            removed: if reset { vec![] } else { removed },
            reset,
        };
        self.shared.snapshot.store(Arc::new(next));
        delta
    }
}

/// The keys only in `old`, and the keys of new or different conversations in `next`. Both are ordered, so one
/// pass over the two finds them.
fn differences(old: &Snapshot, next: &Snapshot) -> (Vec<Key>, Vec<Key>) {
    if old.is_empty() {
        let come = next.chunks.iter();
        let come = come.flat_map(|chunk| (0..chunk.len()).map(|at| chunk.key(at)));
        return (vec![], come.collect());
    }
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let mut olds = old.iter().peekable();
    let mut nexts = next.iter().peekable();
    loop {
        let order = match (olds.peek(), nexts.peek()) {
            (None, None) => return (gone, come),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.key().cmp(&other.key()),
        };
        match order {
            Ordering::Less => gone.extend(olds.next().map(|one| one.key())),
            Ordering::Greater => come.extend(nexts.next().map(|one| one.key())),
            Ordering::Equal => {
                if let (Some(one), Some(other)) = (olds.next(), nexts.next())
                    && one != other
                {
                    come.push(other.key());
                }
            }
        }
    }
}

impl Reader {
    /// The current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Whether the conversation exists.
    pub fn contains(&self, id: Uuid) -> bool {
        self.shared.places.contains_key(&id)
    }

    /// One conversation, copied out.
    pub fn get(&self, id: Uuid) -> Option<Conversation> {
        let updated = *self.shared.places.get(&id)?;
        let snapshot = self.snapshot();
        // The writer updates places before it publishes the snapshot: in between, only the snapshot has the
        // conversation's old place.
        let moved = || snapshot.iter().find(|one| one.id == id);
        let one = snapshot.find(Key { updated, id }).or_else(moved)?;
        Some(one.to_owned())
    }

    /// Anchors and assets.
    pub fn ties(&self) -> &Ties {
        &self.shared.ties
    }

    /// Whether the asset is known: listed by the service, saved by us, or tied to a conversation.
    pub fn knows_asset(&self, id: Uuid) -> bool {
        let tied = |one: ConversationRef<'_>| one.assets.contains(&id);
        self.ties().knows_asset(id) || self.snapshot().tied_to(&[id]).any(tied)
    }
}
