//! The handle of a running synchroniser.

use crate::index::{self, Reader};
use crate::pieces::{Client, Error};
use crate::sync::Backend;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

/// How long to wait until our own write is visible.
const SEEN: Duration = Duration::from_secs(10);

/// The state of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Looking for the service.
    Connecting,
    /// The stream is open; the list is in flight.
    Syncing,
    /// The stream is open, and everything was listed after it opened.
    Live,
    /// No service responds; retrying.
    Offline,
}

/// The connection's status for users.
#[derive(Debug, Clone)]
pub struct Status {
    /// The state.
    pub state: State,
    /// The backend that was asked for; of `Auto` the one that was chosen, once it was.
    pub backend: Backend,
    /// Its base URL, once known.
    pub url: Option<String>,
    /// Its version, once known.
    pub version: Option<String>,
    /// Since when the state is unchanged.
    pub since: std::time::SystemTime,
    /// A sentence for the user.
    pub error: Option<String>,
}

/// An acknowledged write of ours.
#[derive(Debug)]
pub enum Write {
    /// Created or updated, with the result.
    Conversation(index::Conversation),
    /// Created; only the id is known. Visible once the index has it, or once it is certain that it will not
    /// be there before the next connection.
    Id(Uuid),
    /// Deleted.
    Deleted(Uuid),
    /// Saved an asset. Visible once its anchors were read.
    Asset(Uuid),
    /// Unknown outcome: read again.
    Unknown,
}

pub(super) enum Command {
    Wrote(Write, oneshot::Sender<()>),
    Refresh(oneshot::Sender<Result<usize, Error>>),
    /// A caller needs the service: connect now.
    Asked,
}

/// The handle of a running synchroniser. Dropping the last one ends it, as does
/// [`Source::shutdown`](crate::sync::Source::shutdown).
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    /// The index.
    pub index: Reader,
    /// The status of the connection.
    pub status: watch::Receiver<Status>,
    /// Turns true, once, when `auto` chose the local service and Pieces OS has become available. Checked at
    /// most once a minute, and only while [`Handle::client`] is used.
    pub pieces_os_appeared: watch::Receiver<bool>,
    pub(super) client: watch::Receiver<Option<Client>>,
    /// The number of failed connection attempts and lost connections.
    pub(super) failures: watch::Receiver<u64>,
    /// Turns true, once, when the anchors and assets were read, or will not be read.
    pub(super) ties_read: watch::Receiver<bool>,
    pub(super) driver: AbortHandle,
}

impl Handle {
    /// The client of the service. Waits for it at most `within`, or until the next connection attempt has
    /// failed.
    ///
    /// # Errors
    /// `offline`, with the reason from the status.
    pub async fn client(&self, within: Duration) -> Result<Client, Error> {
        let (mut clients, mut failures) = (self.client.clone(), self.failures.clone());
        failures.mark_unchanged();
        // A user is waiting: skip the backoff pause.
        let _ = self.commands.try_send(Command::Asked);
        let found = async {
            tokio::select! {
                biased;
                found = clients.wait_for(Option::is_some) => found.ok()?.clone(),
                _ = failures.changed() => None,
            }
        };
        let found = timeout(within, found).await;
        found.ok().flatten().ok_or_else(|| self.offline())
    }

    /// Waits until the anchors and assets, which are read after the list, are known; at most `within`, and
    /// not while offline.
    pub async fn ties(&self, within: Duration) {
        let (mut read, mut status) = (self.ties_read.clone(), self.status.clone());
        let waiting = async {
            tokio::select! {
                biased;
                _ = read.wait_for(|read| *read) => {}
                _ = status.wait_for(|status| status.state == State::Offline) => {}
            }
        };
        let _ = timeout(within, waiting).await;
    }

    /// Ends the synchroniser: when this returns, the index no longer changes.
    pub async fn stop(&self) {
        self.driver.abort();
        let mut clients = self.client.clone();
        while clients.changed().await.is_ok() {}
    }

    /// Reports a write to the index; returns once readers can see it, or after ten seconds. Returns at once
    /// while offline: the list of the next connection will have the write.
    pub async fn wrote(&self, write: Write) {
        let (done, seen) = oneshot::channel();
        let telling = async {
            let sent = self.commands.send(Command::Wrote(write, done)).await;
            if sent.is_ok() {
                let _ = seen.await;
            }
        };
        let _ = timeout(SEEN, telling).await;
    }

    /// Reads the list and then the ids again; returns the number of conversations.
    ///
    /// # Errors
    /// `offline` without a connection, else why the list or the ids could not be read.
    pub async fn refresh(&self) -> Result<usize, Error> {
        let (done, total) = oneshot::channel();
        // A failed send returns the command with `done` inside: waiting for it would never end.
        if self.commands.send(Command::Refresh(done)).await.is_err() {
            return Err(self.offline());
        }
        total.await.unwrap_or_else(|_| Err(self.offline()))
    }

    /// There is no connection, with the reason from the status.
    fn offline(&self) -> Error {
        let reason = self.status.borrow().error.clone();
        reason.map_or_else(Error::not_connected, Error::offline)
    }
}
