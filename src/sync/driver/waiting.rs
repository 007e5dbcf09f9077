//! Callers that wait for the index.

use crate::pieces::Error;
use crate::sync::machine::{Machine, Ticket};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Waiters for changes of the index.
#[derive(Default)]
pub(super) struct Waiting {
    /// For a write known only by its id.
    ids: Vec<(Uuid, oneshot::Sender<()>)>,
    /// For anchors read after that input.
    anchors: Vec<(Ticket, oneshot::Sender<()>)>,
    /// For a list and ids read after that input.
    refreshes: Vec<(Ticket, oneshot::Sender<Result<usize, Error>>)>,
}

impl Waiting {
    pub fn for_id(&mut self, id: Uuid, done: oneshot::Sender<()>) {
        self.ids.push((id, done));
    }

    pub fn for_anchors(&mut self, since: Ticket, done: oneshot::Sender<()>) {
        self.anchors.push((since, done));
    }

    pub fn for_refresh(&mut self, since: Ticket, done: oneshot::Sender<Result<usize, Error>>) {
        self.refreshes.push((since, done));
    }

    /// Wakes the waiters whose condition is met.
    pub fn look(&mut self, machine: &Machine) {
        let index = machine.index();
        let reader = index.reader();
        let found = |id| reader.contains(id) || !machine.is_looking_for(id);
        for (_, done) in self.ids.extract_if(.., |(id, _)| found(*id)) {
            let _ = done.send(());
        }
        let anchored = |since| machine.anchored_since(since);
        for (_, done) in self.anchors.extract_if(.., |(since, _)| anchored(*since)) {
            let _ = done.send(());
        }
        let over = |since| machine.reread_since(since);
        for (_, done) in self.refreshes.extract_if(.., |(since, _)| over(*since)) {
            let _ = done.send(Ok(index.len()));
        }
    }

    /// A request that a refresh needs failed.
    pub fn failed(&mut self, error: &Error) {
        for (_, done) in self.refreshes.drain(..) {
            let _ = done.send(Err(error.clone()));
        }
    }

    /// The connection is lost: the index will not change before the next one.
    pub fn lost(&mut self, error: &Error) {
        self.failed(error);
        self.ids.clear();
        self.anchors.clear();
    }
}
