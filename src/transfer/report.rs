//! Counts and progress of a copy.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use super::archives::counted;
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
    /// What was recognised: `a Pieces archive of 2026-10-09, 312 conversations`.
    pub source: String,
    /// Counts of parts that were left out, such as tool calls, by their nouns in the singular.
    pub left_out: BTreeMap<&'static str, u64>,
    /// Conversations made for messages without one.
    pub recovered: u64,
    /// Sentences about the source.
    pub notes: Vec<String>,
}

impl Report {
    /// Sentences for the user in addition to the counts.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = self.notes.clone();
        match self.recovered {
            0 => {}
            1 => remarks
                .push("Recovered: 1 conversation of which only messages were found.".to_owned()),
            many => remarks.push(format!(
                "Recovered: {many} conversations of which only messages were found."
            )),
        }
        if !self.left_out.is_empty() {
            let counts = self.left_out.iter();
            let counts: Vec<_> = counts.map(|(what, count)| counted(*count, what)).collect();
            remarks.push(format!("Left out: {}.", counts.join(", ")));
        }
        remarks
    }
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

    /// An object that is known by its place in an archive.
    pub(super) fn unreadable_at(&mut self, kind: Kind, place: String, why: String) {
        self.count(kind, |counts| counts.unreadable += 1);
        self.list(place, why);
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

/// A progress report of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What the source was recognised as, before anything else: kind, age and counts.
    Found(String),
    /// How far it is.
    Progress(Progress),
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
