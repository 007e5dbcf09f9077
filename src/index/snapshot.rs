//! An immutable, ordered set of conversations, and its builders.
//!
//! The set is a two-level B-tree: a vector of [`Chunk`]s, each at most [`chunk::MAX`] long, ordered newest
//! first. Snapshots share unchanged chunks.

use super::chunk::{self, Chunk, Packer};
use super::conversation::{ConversationRef, Key, clip};
use super::cores::parallel_chunks;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// One consistent state of the index. Cheap to clone through its `Arc`, never changes.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Grows with every change of the set.
    pub(super) revision: u64,
    pub(super) len: usize,
    pub(super) chunks: Vec<Arc<Chunk>>,
    pub(super) applications: Arc<[Box<str>]>,
}

impl Snapshot {
    /// Grows with every change of the set, by one or more.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of conversations.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All conversations, newest `updated` first.
    pub fn iter(&self) -> impl Iterator<Item = ConversationRef<'_>> {
        self.chunks.iter().flat_map(move |chunk| {
            (0..chunk.len()).map(move |at| chunk.get(at, &self.applications))
        })
    }

    /// The conversations tied to one of these assets or anchors, newest first.
    pub fn tied_to<'a>(&'a self, ids: &'a [Uuid]) -> impl Iterator<Item = ConversationRef<'a>> {
        self.chunks
            .iter()
            .filter(|chunk| ids.iter().any(|id| chunk.has_tie(*id)))
            .flat_map(move |chunk| {
                (0..chunk.len()).map(move |at| chunk.get(at, &self.applications))
            })
            .filter(|one| {
                let tied = |id: &Uuid| one.assets.contains(id) || one.anchors.contains(id);
                ids.iter().any(tied)
            })
    }

    pub(super) fn find(&self, key: Key) -> Option<ConversationRef<'_>> {
        find(&self.chunks, key, &self.applications)
    }
}

/// The number of the chunk that has `key` or would take it (may be one past the end).
fn chunk_of(chunks: &[Arc<Chunk>], key: Key) -> usize {
    chunks.partition_point(|chunk| chunk.last() < key)
}

fn find<'a>(
    chunks: &'a [Arc<Chunk>],
    key: Key,
    applications: &'a [Box<str>],
) -> Option<ConversationRef<'a>> {
    let chunk = chunks.get(chunk_of(chunks, key))?;
    let at = chunk.position(key).ok()?;
    Some(chunk.get(at, applications))
}

/// The names of applications, stored once each; number 0 is the unknown application.
#[derive(Debug, Default)]
pub(super) struct Applications {
    numbers: HashMap<Box<str>, u16>,
    names: Vec<Box<str>>,
}

impl Applications {
    /// The number of `name`; 0 if there are too many names.
    pub(super) fn number(&mut self, name: &str) -> u16 {
        // Most conversations come from the same few applications.
        let few = self.names.iter().take(4);
        if let Some(number) = few.map(|known| &**known).position(|known| known == name) {
            return number as u16;
        }
        if self.names.is_empty() {
            self.names.push("".into());
        }
        if name.is_empty() {
            return 0;
        }
        let name = clip(name);
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let Ok(number) = u16::try_from(self.names.len()) else {
            return 0;
        };
        let name: Box<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }
}

/// Collects a whole listing, in any order, and packs it. Later duplicates of an id win.
#[derive(Debug, Default)]
pub struct Builder {
    /// Unordered runs, sealed at a bounded size.
    pages: Vec<Chunk>,
    open: Packer,
    applications: Applications,
}

/// A packed listing, ready to become the index.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) chunks: Vec<Arc<Chunk>>,
    pub(super) len: usize,
    pub(super) applications: Applications,
}

impl Builder {
    const PAGE: usize = 4096;

    /// Adds one conversation.
    pub fn push(&mut self, one: ConversationRef<'_>) {
        let application = self.applications.number(one.application);
        let one = ConversationRef {
            name: clip(one.name),
            ..one
        };
        self.open.push(one, application);
        if self.open.len() >= Self::PAGE {
            self.pages.push(std::mem::take(&mut self.open).finish());
        }
    }

    /// Sorts and packs the added conversations.
    pub(super) fn pack(mut self) -> Packed {
        if self.open.len() > 0 {
            self.pages.push(std::mem::take(&mut self.open).finish());
        }
        let mut order: Vec<(Key, u32, u32)> = Vec::new();
        for (page, chunk) in self.pages.iter().enumerate() {
            order.extend((0..chunk.len()).map(|at| (chunk.key(at), page as u32, at as u32)));
        }
        keep_last_of_each_id(&mut order);
        order.sort_unstable_by_key(|(key, ..)| *key);
        let runs: Vec<_> = order.chunks(chunk::MAX * 3 / 4).collect();
        let packed = parallel_chunks(&runs, order.len(), |_, runs| {
            let pack = |run: &&[_]| Arc::new(copy_run(&self.pages, run));
            runs.iter().map(pack).collect::<Vec<_>>()
        });
        let chunks = packed.into_iter().flatten().collect();
        Packed {
            chunks,
            len: order.len(),
            applications: self.applications,
        }
    }
}

/// Packs these conversations of those pages into one chunk.
fn copy_run(pages: &[Chunk], run: &[(Key, u32, u32)]) -> Chunk {
    let copies = run
        .iter()
        .map(|(_, page, at)| (&pages[*page as usize], *at as usize));
    let mut packer = Packer::for_copies(copies.clone());
    for (chunk, at) in copies {
        packer.copy(chunk, at);
    }
    packer.finish()
}

/// Keeps only the last entry of each id. Servers rarely repeat ids, so this checks before it works.
fn keep_last_of_each_id(order: &mut Vec<(Key, u32, u32)>) {
    let mut halves: Vec<u64> = order
        .iter()
        .map(|(key, ..)| key.id.as_u64_pair().1)
        .collect();
    halves.sort_unstable();
    if halves.windows(2).all(|pair| pair[0] != pair[1]) {
        return;
    }
    let mut seen = HashSet::new();
    let mut kept: Vec<_> = order
        .drain(..)
        .rev()
        .filter(|(key, ..)| seen.insert(key.id))
        .collect();
    kept.reverse();
    *order = kept;
}

/// The chunks of the next snapshot, while they are being changed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) chunks: Vec<Arc<Chunk>>,
    pub(super) len: usize,
}

impl Draft {
    /// The conversation at `key`; `applications` are all names numbered so far.
    pub(super) fn find<'a>(
        &'a self,
        key: Key,
        applications: &'a Applications,
    ) -> Option<ConversationRef<'a>> {
        find(&self.chunks, key, applications.names())
    }

    /// Removes the conversation at `key`, if present.
    pub(super) fn remove(&mut self, key: Key) {
        let number = chunk_of(&self.chunks, key);
        let Some(chunk) = self.chunks.get(number).cloned() else {
            return;
        };
        let Ok(at) = chunk.position(key) else { return };
        self.len -= 1;
        let rest = (0..chunk.len()).filter(|other| *other != at);
        let rest: Vec<_> = rest.map(|other| Piece::Old(&chunk, other)).collect();
        self.chunks.splice(number..=number, pack(&rest));
        self.merge_small(number);
    }

    /// Inserts a conversation whose key is not in the set.
    pub(super) fn insert(&mut self, one: ConversationRef<'_>, application: u16) {
        self.len += 1;
        let new = Piece::New(one, application);
        // A key past the end goes into the last chunk.
        let number = chunk_of(&self.chunks, one.key()).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get(number).cloned() else {
            self.chunks.extend(pack(&[new]));
            return;
        };
        let at = chunk.position(one.key()).unwrap_or_else(|at| at);
        let mut run: Vec<_> = (0..chunk.len())
            .map(|old| Piece::Old(&chunk, old))
            .collect();
        run.insert(at, new);
        self.chunks.splice(number..=number, pack(&run));
    }

    /// Merges a small chunk with its neighbour, so that many removals leave few chunks.
    fn merge_small(&mut self, number: usize) {
        let number = number.min(self.chunks.len().saturating_sub(2));
        let [Some(left), Some(right)] = [self.chunks.get(number), self.chunks.get(number + 1)]
        else {
            return;
        };
        if left.len() + right.len() > chunk::MAX / 2 {
            return;
        }
        let halves = [left, right].map(Arc::clone);
        let run: Vec<_> = halves
            .iter()
            .flat_map(|half| (0..half.len()).map(|at| Piece::Old(half, at)))
            .collect();
        self.chunks.splice(number..=number + 1, pack(&run));
    }
}

/// One conversation for a new chunk.
enum Piece<'a> {
    Old(&'a Chunk, usize),
    New(ConversationRef<'a>, u16),
}

/// Packs an ordered run into one chunk, into two halves if it is too long, or into none if it is empty.
fn pack(run: &[Piece<'_>]) -> Vec<Arc<Chunk>> {
    let size = if run.len() > chunk::MAX {
        run.len().div_ceil(2)
    } else {
        chunk::MAX
    };
    run.chunks(size)
        .map(|part| {
            let mut packer = Packer::default();
            for piece in part {
                match piece {
                    Piece::Old(chunk, at) => packer.copy(chunk, *at),
                    Piece::New(one, application) => packer.push(*one, *application),
                }
            }
            Arc::new(packer.finish())
        })
        .collect()
}
