//! A packed run of neighbouring conversations: fixed-size records, one string of names and one list of ties.
//! About 64 bytes a conversation plus its name and ties, and three allocations a run.

use super::conversation::{AnswerStatus, Answering, ConversationRef, Key};
use super::letters::Letters;
use std::ops::Range;
use uuid::Uuid;

/// Maximum conversations in one chunk. A change copies one chunk (some 30 kB), a snapshot one pointer each.
pub(super) const MAX: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Record {
    id: Uuid,
    updated: i64,
    created: i64,
    letters: u64,
    /// Ends of this record's parts; each starts at the previous record's end.
    name_end: u32,
    ties_end: u32,
    /// How many of the ties are assets; then come the anchors, and the message of an answer if there is one.
    assets: u32,
    messages: u32,
    application: u16,
    favorited: bool,
    /// See [`Letters`].
    decomposed: bool,
    answering: Mark,
}

/// Whether a model is answering, in one byte.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Not,
    /// The answer has no message yet.
    Without(AnswerStatus),
    /// The last tie is the message of the answer.
    With(AnswerStatus),
}

impl Mark {
    fn of(answering: Option<Answering>) -> Self {
        match answering {
            None => Mark::Not,
            Some(answering) if answering.message.is_none() => Mark::Without(answering.status),
            Some(answering) => Mark::With(answering.status),
        }
    }

    /// Takes the message of the answer off the ties.
    fn read(self, ties: &[Uuid]) -> (&[Uuid], Option<Answering>) {
        let answering = |message, status| Some(Answering { message, status });
        match (self, ties.split_last()) {
            (Mark::With(status), Some((message, ties))) => {
                (ties, answering(Some(*message), status))
            }
            (Mark::With(status) | Mark::Without(status), _) => (ties, answering(None, status)),
            (Mark::Not, _) => (ties, None),
        }
    }
}

/// An immutable run of conversations in index order. Never empty.
#[derive(Debug)]
pub(super) struct Chunk {
    records: Box<[Record]>,
    names: Box<str>,
    ties: Box<[Uuid]>,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn last(&self) -> Key {
        self.key(self.len() - 1)
    }

    pub(super) fn key(&self, at: usize) -> Key {
        let record = &self.records[at];
        Key {
            updated: record.updated,
            id: record.id,
        }
    }

    pub(super) fn letters(&self, at: usize) -> Letters {
        let record = &self.records[at];
        Letters {
            set: record.letters,
            decomposed: record.decomposed,
        }
    }

    pub(super) fn name(&self, at: usize) -> &str {
        &self.names[self.name_range(at)]
    }

    fn name_range(&self, at: usize) -> Range<usize> {
        let before = at.checked_sub(1).map(|before| &self.records[before]);
        let start = before.map_or(0, |before| before.name_end);
        start as usize..self.records[at].name_end as usize
    }

    fn ties_range(&self, at: usize) -> Range<usize> {
        let before = at.checked_sub(1).map(|before| &self.records[before]);
        let start = before.map_or(0, |before| before.ties_end);
        start as usize..self.records[at].ties_end as usize
    }

    pub(super) fn get<'a>(
        &'a self,
        at: usize,
        applications: &'a [Box<str>],
    ) -> ConversationRef<'a> {
        let record = &self.records[at];
        let ties = &self.ties[self.ties_range(at)];
        let (ties, answering) = record.answering.read(ties);
        let (assets, anchors) = ties.split_at(record.assets as usize);
        ConversationRef {
            id: record.id,
            name: self.name(at),
            created: record.created,
            updated: record.updated,
            favorited: record.favorited,
            messages: record.messages,
            assets,
            anchors,
            application: applications
                .get(record.application as usize)
                .map_or("", |name| name),
            answering,
        }
    }

    /// Whether any conversation here is tied to `id`, as asset or anchor.
    pub(super) fn has_tie(&self, id: Uuid) -> bool {
        self.ties.contains(&id)
    }

    /// The position of `key`, or where to insert it.
    pub(super) fn position(&self, key: Key) -> Result<usize, usize> {
        self.records.binary_search_by(|record| {
            Key {
                updated: record.updated,
                id: record.id,
            }
            .cmp(&key)
        })
    }
}

/// Packs conversations, in the caller's order, into records and arenas.
#[derive(Debug, Default)]
pub(super) struct Packer {
    records: Vec<Record>,
    names: String,
    ties: Vec<Uuid>,
}

impl Packer {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// A packer with room for exactly these conversations: growing would leave holes in the heap that outlive
    /// the load of a large account.
    pub(super) fn for_copies<'a>(copies: impl Iterator<Item = (&'a Chunk, usize)>) -> Packer {
        let (mut count, mut names, mut ties) = (0, 0, 0);
        for (chunk, at) in copies {
            count += 1;
            names += chunk.name_range(at).len();
            ties += chunk.ties_range(at).len();
        }
        Packer {
            records: Vec::with_capacity(count),
            names: String::with_capacity(names),
            ties: Vec::with_capacity(ties),
        }
    }

    /// Adds a conversation of another chunk, with that chunk's application numbers.
    pub(super) fn copy(&mut self, chunk: &Chunk, at: usize) {
        let application = chunk.records[at].application;
        self.add(chunk.get(at, &[]), application, chunk.letters(at));
    }

    /// Adds a conversation with the number of its application.
    pub(super) fn push(&mut self, one: ConversationRef<'_>, application: u16) {
        self.add(one, application, Letters::of(one.name));
    }

    fn add(&mut self, one: ConversationRef<'_>, application: u16, letters: Letters) {
        // Ends are 32 bits wide: callers seal a packer after a few thousand clipped names.
        self.names.push_str(one.name);
        self.ties.extend_from_slice(one.assets);
        self.ties.extend_from_slice(one.anchors);
        self.ties.extend(one.answering.and_then(|it| it.message));
        self.records.push(Record {
            id: one.id,
            updated: one.updated,
            created: one.created,
            letters: letters.set,
            name_end: self.names.len() as u32,
            ties_end: self.ties.len() as u32,
            assets: one.assets.len() as u32,
            messages: one.messages,
            application,
            favorited: one.favorited,
            decomposed: letters.decomposed,
            answering: Mark::of(one.answering),
        });
    }

    pub(super) fn finish(self) -> Chunk {
        Chunk {
            records: self.records.into_boxed_slice(),
            names: self.names.into_boxed_str(),
            ties: self.ties.into_boxed_slice(),
        }
    }
}
