//! Counts and progress of a copy.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use crate::service::Kind;

/// The kind that `{"NOUN": {…}}` names.
pub(super) fn kind_named(noun: &str) -> Option<Kind> {
    Kind::ROUTED.into_iter().find(|kind| kind.noun() == noun)
}

/// Objects by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Did not exist here.
    pub new: u64,
    /// Existed here, newer in the source.
    pub updated: u64,
    /// Existed here, not newer in the source.
    pub unchanged: u64,
    /// Could not be read or stored.
    pub unreadable: u64,
}

impl Counts {
    /// The sum.
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

/// The result of an import or dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// All objects.
    pub counts: Counts,
    /// By kind; kinds without objects are absent.
    pub by_kind: BTreeMap<Kind, Counts>,
    /// The first hundred unreadable objects.
    pub unreadable: Vec<Unreadable>,
    /// A sentence for the user: a corrupt store was set aside, and where it is.
    pub notice: Option<String>,
}

/// One object that could not be read or stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// `message 0b9f…`, or its position in the file.
    pub what: String,
    /// The reason, without content.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Further ones are only counted.
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

    /// An object of unknown kind.
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

/// Progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The unit: `conversations`, or `MiB`s of a file.
    pub what: &'static str,
    /// Units done.
    pub done: u64,
    /// Units in total, as far as known.
    pub total: u64,
}
