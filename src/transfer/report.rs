//! What a copy did, and how far it is.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use crate::service::Kind;

/// The kind that `{"NOUN": {…}}` names.
pub(super) fn kind_named(noun: &str) -> Option<Kind> {
    Kind::ROUTED.into_iter().find(|kind| kind.noun() == noun)
}

/// How many objects were what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not here before.
    pub new: u64,
    /// Here, and newer in the source.
    pub updated: u64,
    /// Here, and not newer in the source.
    pub unchanged: u64,
    /// In the source, but not to be read or kept.
    pub unreadable: u64,
}

impl Counts {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.new + self.updated + self.unchanged + self.unreadable
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} new, {} updated, {} unchanged, {} unreadable",
            self.new, self.updated, self.unchanged, self.unreadable
        )
    }
}

/// What an import did (or, in a dry run, would do).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// All objects together.
    pub counts: Counts,
    /// The same by kind; kinds of which there were none are absent.
    pub by_kind: BTreeMap<Kind, Counts>,
    /// The first hundred that could not be read or kept.
    pub unreadable: Vec<Unreadable>,
    /// A sentence that a person should see: a corrupt store was set aside, and where it is.
    pub notice: Option<String>,
}

/// One object that could not be read or kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// `message 0b9f…`, or where it stood in the file.
    pub what: String,
    /// Why; no content.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// More than this is only counted.
const LISTED: usize = 100;

impl Report {
    pub(super) fn count(&mut self, kind: Kind, add: impl Fn(&mut Counts)) {
        add(&mut self.counts);
        add(self.by_kind.entry(kind).or_default());
    }

    pub(super) fn unreadable(&mut self, kind: Kind, id: Option<Uuid>, why: impl Into<String>) {
        self.count(kind, |counts| counts.unreadable += 1);
        let what = match id {
            Some(id) => format!("{} {id}", kind.noun()),
            None => format!("one of the {}", kind.plural()),
        };
        self.list(what, why.into());
    }

    /// Something of which not even the kind is known.
    pub(super) fn unreadable_line(&mut self, line: u64, why: &str) {
        self.counts.unreadable += 1;
        self.list(format!("line {line}"), why.to_owned());
    }

    fn list(&mut self, what: String, why: String) {
        if self.unreadable.len() < LISTED {
            self.unreadable.push(Unreadable { what, why });
        }
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being copied: `conversations`, or `MiB`s of a file.
    pub what: &'static str,
    /// So many of them are done.
    pub done: u64,
    /// So many there are, as far as is known.
    pub total: u64,
}
