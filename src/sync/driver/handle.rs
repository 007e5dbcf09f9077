//! What the rest of the program holds of a running synchroniser.

use crate::index::{self, Reader};
use crate::pieces::{Client, Error};
use crate::sync::Backend;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a write of ours may take to be seen.
const SEEN: Duration = Duration::from_secs(10);

/// How the index and the service stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Looking for the service.
    Connecting,
    /// The stream is open, the list is being read.
    Syncing,
    /// The stream is open, and everything was listed after it opened.
    Live,
    /// Nothing answers; trying again.
    Offline,
}

/// What a person wants to know of the connection.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where we are.
    pub state: State,
    /// Which backend; `Auto` until one was chosen.
    pub backend: Backend,
    /// Its base URL, once known.
    pub url: Option<String>,
    /// Its version, once known.
    pub version: Option<String>,
    /// Since when the state is this.
    pub since: std::time::SystemTime,
    /// The sentence a person should see.
    pub error: Option<String>,
}

/// A write of ours that the service acknowledged.
#[derive(Debug)]
pub enum Write {
    /// Created or updated, with the result.
    Conversation(index::Conversation),
    /// Created; only the id is known. Seen once the index holds it, or once it is certain that it
    /// will not before the next connection.
    Id(Uuid),
    /// Deleted.
    Deleted(Uuid),
    /// Saved an asset. Seen once its anchors were looked up.
    Asset(Uuid),
    /// Outcome unknown: look again.
    Unknown,
}

pub(super) enum Command {
    Wrote(Write, oneshot::Sender<()>),
    Refresh(oneshot::Sender<Result<usize, Error>>),
    /// Somebody needs the service: look for it now.
    Asked,
}

/// What the rest of the program holds of a running synchroniser. Dropping the last one ends it, as
/// does [`Source::shutdown`](crate::sync::Source::shutdown).
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    /// The index.
    pub index: Reader,
    /// The state of the connection.
    pub status: watch::Receiver<Status>,
    /// Turns true, once, when `auto` chose the local service and Pieces OS is there by now. Looked for
    /// at most once a minute, and only when somebody uses [`Handle::client`].
    pub pieces_os_appeared: watch::Receiver<bool>,
    pub(super) client: watch::Receiver<Option<Client>>,
    /// How many attempts to connect have failed, and connections were lost.
    pub(super) failures: watch::Receiver<u64>,
    /// Turns true, once, when the anchors and assets were read, or are not going to be.
    pub(super) ties_read: watch::Receiver<bool>,
    pub(super) driver: AbortHandle,
}

impl Handle {
    /// The client of the service that was found, waiting for it at most `within`, or until the next
    /// attempt has failed.
    ///
    /// # Errors
    /// `offline`, with the reason that the status has.
    pub async fn client(&self, within: Duration) -> Result<Client, Error> {
        let (mut clients, mut failures) = (self.client.clone(), self.failures.clone());
        failures.mark_unchanged();
        // A person asks: do not sit out the pause.
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

    /// Waits until the anchors and assets are known, which are read after the list; at most `within`, and
    /// not while there is no service.
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

    /// Ends the synchroniser: when this returns, the index changes no more.
    pub async fn stop(&self) {
        self.driver.abort();
        let mut clients = self.client.clone();
        while clients.changed().await.is_ok() {}
    }

    /// Tells the index of a write; returns when readers can see it, at the latest after ten seconds.
    /// Without a connection it returns at once: the list of the next one will show the write.
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

    /// Reads the list and then the ids again; answers with how many conversations there are.
    ///
    /// # Errors
    /// `offline` when there is no connection, else why the list or the ids could not be read.
    pub async fn refresh(&self) -> Result<usize, Error> {
        let (done, total) = oneshot::channel();
        // What cannot be sent comes back with `done` inside: waiting for it would be for ever.
        if self.commands.send(Command::Refresh(done)).await.is_err() {
            return Err(self.offline());
        }
        total.await.unwrap_or_else(|_| Err(self.offline()))
    }

    /// There is no connection, for the reason that the status has.
    fn offline(&self) -> Error {
        let reason = self.status.borrow().error.clone();
        reason.map_or_else(Error::not_connected, Error::offline)
    }
}
