//! A model of Pieces OS: what is there, and what its answers look like.

use super::script::{FirstFrame, Setting};
use pieces_lsp::index::{Anchor, Conversation};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// One frame, as the client reads it.
#[derive(Debug, Clone)]
pub enum Frame {
    Conversations {
        upserts: Vec<Uuid>,
        deletes: Vec<Uuid>,
        malformed: bool,
    },
    Anchors,
    Assets,
}

impl Frame {
    pub fn upsert(id: Uuid) -> Self {
        Frame::Conversations {
            upserts: vec![id],
            deletes: vec![],
            malformed: false,
        }
    }

    pub fn delete(id: Uuid) -> Self {
        Frame::Conversations {
            upserts: vec![],
            deletes: vec![id],
            malformed: false,
        }
    }
}

#[derive(Debug)]
pub struct Server {
    pub conversations: BTreeMap<Uuid, Conversation>,
    pub anchors: BTreeMap<Uuid, Anchor>,
    pub assets: BTreeSet<Uuid>,
    /// What the messages of each conversation say, as a number that grows with each change.
    pub texts: BTreeMap<Uuid, i64>,
    pub single_fetch: bool,
    clock_stopped: bool,
    first_frame: FirstFrame,
    ticks: i64,
    made: u128,
}

impl Server {
    pub fn new(setting: &Setting) -> Self {
        let mut server = Server {
            conversations: BTreeMap::new(),
            anchors: BTreeMap::new(),
            assets: BTreeSet::new(),
            texts: BTreeMap::new(),
            single_fetch: setting.single_fetch,
            clock_stopped: setting.clock_stopped,
            first_frame: setting.first_frame,
            ticks: 1_000,
            made: 0,
        };
        for _ in 0..setting.conversations {
            server.create();
        }
        server
    }

    /// An id that never was; scattered, so that the order of ids says nothing.
    fn id(&mut self, kind: u128) -> Uuid {
        self.made += 1;
        let scattered = (self.made as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Uuid::from_u128((u128::from(scattered) << 64) | (kind << 56) | self.made)
    }

    fn tick(&mut self) -> i64 {
        self.ticks += 1;
        self.ticks
    }

    pub fn create(&mut self) -> Uuid {
        let id = self.id(1);
        let now = self.tick();
        // Every third is tied to a file, some to the same.
        let mut anchors = vec![];
        if self.made.is_multiple_of(3) {
            let known = self.anchors.keys().next().copied();
            let anchor = match known {
                Some(anchor) if self.made.is_multiple_of(2) => anchor,
                _ => self.id(2),
            };
            let at = self.anchors.entry(anchor).or_insert(Anchor {
                id: anchor,
                paths: vec![format!("/{now}")],
                assets: vec![],
                conversations: vec![],
                updated: 0,
            });
            at.conversations.push(id);
            anchors.push(anchor);
        }
        let one = Conversation {
            id,
            name: format!("{now}"),
            created: now,
            updated: now,
            favorited: false,
            messages: 0,
            assets: vec![],
            anchors,
            application: ["", "A", "B"][self.made as usize % 3].to_owned(),
            answering: None,
        };
        self.conversations.insert(id, one);
        self.texts.insert(id, now);
        id
    }

    /// Changes the one at that place, if there is any.
    pub fn update(&mut self, which: u64) -> Option<Uuid> {
        let id = self.nth(which)?;
        let now = self.tick();
        let stopped = self.clock_stopped;
        let one = self.conversations.get_mut(&id)?;
        one.name = format!("{now}");
        one.messages += 1;
        if !stopped {
            one.updated = now;
        }
        self.texts.insert(id, now);
        Some(id)
    }

    /// Changes the text of the one at that place, and nothing else.
    pub fn edit(&mut self, which: u64) -> Option<Uuid> {
        let id = self.nth(which)?;
        let now = self.tick();
        self.texts.insert(id, now);
        Some(id)
    }

    pub fn delete(&mut self, which: u64) -> Option<Uuid> {
        let id = self.nth(which)?;
        self.conversations.remove(&id);
        self.texts.remove(&id);
        Some(id)
    }

    pub fn move_anchor(&mut self, which: u64) -> bool {
        let now = self.tick();
        let count = self.anchors.len() as u64;
        if count == 0 {
            return false;
        }
        let anchor = self.anchors.values_mut().nth((which % count) as usize);
        if let Some(anchor) = anchor {
            anchor.paths = vec![format!("/moved/{now}")];
        }
        true
    }

    /// Ties a conversation to a file that it was not tied to.
    pub fn tie(&mut self, which: u64) -> Option<Uuid> {
        let id = self.update(which)?;
        let known = self.anchors.keys().copied().nth(which as usize % 5);
        let anchor = match known {
            Some(anchor) if which.is_multiple_of(2) => anchor,
            _ => self.id(2),
        };
        let path = format!("/tied/{}", self.ticks);
        let at = self.anchors.entry(anchor).or_insert_with(|| Anchor {
            id: anchor,
            paths: vec![path],
            assets: vec![],
            conversations: vec![],
            updated: 0,
        });
        let one = self.conversations.get_mut(&id)?;
        if !one.anchors.contains(&anchor) {
            at.conversations.push(id);
            one.anchors.push(anchor);
        }
        Some(id)
    }

    /// Deletes an anchor; the conversations that were tied to it.
    pub fn delete_anchor(&mut self, which: u64) -> Vec<Uuid> {
        let now = self.tick();
        let Some(at) = which.checked_rem(self.anchors.len() as u64) else {
            return vec![];
        };
        let Some(anchor) = self.anchors.keys().copied().nth(at as usize) else {
            return vec![];
        };
        self.anchors.remove(&anchor);
        let mut changed = vec![];
        for one in self.conversations.values_mut() {
            if one.anchors.contains(&anchor) {
                one.anchors.retain(|other| *other != anchor);
                if !self.clock_stopped {
                    one.updated = now;
                }
                changed.push(one.id);
            }
        }
        changed
    }

    pub fn save_asset(&mut self) -> Uuid {
        let id = self.id(3);
        self.assets.insert(id);
        id
    }

    pub fn nth(&self, which: u64) -> Option<Uuid> {
        let count = self.conversations.len() as u64;
        let at = which.checked_rem(count)?;
        self.conversations.keys().nth(at as usize).copied()
    }

    pub fn first_frames(&self) -> Vec<Frame> {
        let ids: Vec<Uuid> = self.conversations.keys().copied().collect();
        let frame = |ids: &[Uuid]| Frame::Conversations {
            upserts: ids.to_vec(),
            deletes: vec![],
            malformed: false,
        };
        match self.first_frame {
            FirstFrame::Whole => vec![frame(&ids)],
            FirstFrame::Split => ids.chunks(7).map(frame).collect(),
            FirstFrame::Missing => vec![],
        }
    }
}
