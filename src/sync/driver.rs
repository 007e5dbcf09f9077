//! Does what the [`machine`](super::machine) decides: connects, reads, fetches, waits.

use super::backend::{Backend, Resolved, Source};
use super::machine::{Action, Fetched, Input, Machine, Ticket};
use crate::index::{self, Builder, Delta, Reader};
use crate::pieces::{self, Change, Client, Error, Frame, IdentifierStream, Kind, wire};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

/// First pause before connecting again; doubles up to [`PAUSE_MAX`], with jitter.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

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
    /// Created; only the id is known. Answered once the index holds it, or `false` at the deadline.
    Id(Uuid),
    /// Deleted.
    Deleted(Uuid),
    /// Saved an asset. Answered once its anchors were looked up.
    Asset(Uuid),
    /// Outcome unknown: look again.
    Unknown,
}

enum Command {
    Wrote(Write, oneshot::Sender<()>),
    Refresh(oneshot::Sender<Result<usize, Error>>),
    Retry,
}

/// What the rest of the program holds of a running synchroniser. Dropping the last one ends it.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    /// The index.
    pub index: Reader,
    /// The state of the connection.
    pub status: watch::Receiver<Status>,
    client: watch::Receiver<Option<Client>>,
    /// How many attempts to connect have failed, and connections were lost.
    failures: watch::Receiver<u64>,
    driver: AbortHandle,
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
        let _ = self.commands.try_send(Command::Retry);
        let found = async {
            tokio::select! {
                biased;
                found = clients.wait_for(Option::is_some) => found.ok()?.clone(),
                _ = failures.changed() => None,
            }
        };
        let found = tokio::time::timeout(within, found).await;
        found.ok().flatten().ok_or_else(|| self.offline())
    }

    /// Ends the synchroniser: when this returns, the index changes no more.
    pub async fn stop(&self) {
        self.driver.abort();
        let mut clients = self.client.clone();
        while clients.changed().await.is_ok() {}
    }

    /// Tells the index of a write; returns when readers can see it (for an id: when it was looked up).
    pub async fn wrote(&self, write: Write) {
        let (done, seen) = oneshot::channel();
        if self
            .commands
            .send(Command::Wrote(write, done))
            .await
            .is_ok()
        {
            let _ = seen.await;
        }
    }

    /// Reads everything again; answers with how many there are.
    ///
    /// # Errors
    /// `offline` when there is no connection.
    pub async fn refresh(&self) -> Result<usize, Error> {
        let (done, total) = oneshot::channel();
        let sent = self.commands.send(Command::Refresh(done)).await;
        match (sent, total.await) {
            (Ok(()), Ok(answer)) => answer,
            _ => Err(self.offline()),
        }
    }

    fn offline(&self) -> Error {
        let reason = self.status.borrow().error.clone();
        Error {
            kind: Kind::Offline,
            message: reason.unwrap_or_else(|| {
                "Not connected yet; start Pieces OS, or set `pieces.backend` to `local`.".into()
            }),
            status: None,
            detail: None,
            outcome_unknown: false,
        }
    }
}

/// Starts synchronising. Every change of the index goes to `deltas`; its revisions come after
/// `revision`.
pub fn start(source: Arc<Source>, deltas: mpsc::UnboundedSender<Delta>, revision: u64) -> Handle {
    let machine = Machine::after(revision);
    let (commands, inbox) = mpsc::channel(64);
    let (status, status_reader) = watch::channel(Status {
        state: State::Connecting,
        backend: Backend::Auto,
        url: None,
        version: None,
        since: std::time::SystemTime::now(),
        error: None,
    });
    let (client, client_reader) = watch::channel(None);
    let (failures, failures_reader) = watch::channel(0);
    let index = machine.index().reader();
    let driver = Driver {
        machine,
        source,
        inbox,
        deltas,
        status,
        client,
        failures,
        tasks: JoinSet::new(),
        waiting_for: Vec::new(),
        anchors: (0, 0),
        anchoring: Vec::new(),
        refreshing: Vec::new(),
    };
    let driver = tokio::spawn(driver.run()).abort_handle();
    Handle {
        commands,
        index,
        status: status_reader,
        client: client_reader,
        failures: failures_reader,
        driver,
    }
}

struct Driver {
    machine: Machine,
    source: Arc<Source>,
    inbox: mpsc::Receiver<Command>,
    deltas: mpsc::UnboundedSender<Delta>,
    status: watch::Sender<Status>,
    client: watch::Sender<Option<Client>>,
    failures: watch::Sender<u64>,
    tasks: JoinSet<Done>,
    /// Writes known by id only, until the index holds them.
    waiting_for: Vec<(Uuid, oneshot::Sender<()>)>,
    /// Requests for anchors so far, and the last whose answer was used: an answer may be overtaken.
    anchors: (u64, u64),
    /// Saved assets, with the number of the request for anchors that shows them.
    anchoring: Vec<(u64, oneshot::Sender<()>)>,
    /// Refreshes, with the number of lists after which each is done.
    refreshing: Vec<(u64, oneshot::Sender<Result<usize, Error>>)>,
}

/// How a request ended.
enum Done {
    /// With news for the machine.
    Told(Input),
    /// It was a list, and there is none.
    ListFailed(Ticket, Error),
    /// It was the anchors, with the number of the request; `None` when there are none to be had.
    Anchors(u64, Option<Vec<index::Anchor>>),
}

/// Why a loop ended.
enum End {
    /// Nobody holds a handle any more.
    Abandoned,
    /// The connection is lost.
    Lost(Error),
}

impl Driver {
    async fn run(mut self) {
        let mut failures = 0u32;
        loop {
            let source = Arc::clone(&self.source);
            let connecting = async move {
                let resolved = source.resolve().await?;
                let stream = resolved.client.watch().await;
                Ok::<_, Error>((resolved, stream))
            };
            let ended = match self.meanwhile(connecting).await {
                None => return,
                Some(Err(error)) => Err(error),
                Some(Ok((resolved, stream))) => {
                    let client = resolved.client.clone();
                    self.found(resolved);
                    match stream {
                        Ok(stream) => {
                            failures = 0;
                            match self.watch(client, stream).await {
                                End::Abandoned => return,
                                End::Lost(error) => Err(error),
                            }
                        }
                        Err(error) => Err(error),
                    }
                }
            };
            if let Err(error) = ended as Result<(), Error> {
                self.lost(error);
            }
            failures = failures.saturating_add(1);
            if self.pause(failures).await.is_none() {
                return;
            }
        }
    }

    /// Awaits `work` while answering commands; `None` when nobody is left.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                command = self.inbox.recv() => self.command(command?),
                Some(Ok(done)) = self.tasks.join_next() => self.done(done),
            }
        }
    }

    async fn pause(&mut self, failures: u32) -> Option<()> {
        let longest = PAUSE
            .saturating_mul(1 << failures.saturating_sub(1).min(6))
            .min(PAUSE_MAX);
        let pause = tokio::time::sleep(longest.mul_f64(jitter()));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Some(()),
                command = self.inbox.recv() => match command? {
                    Command::Retry => return Some(()),
                    command => self.command(command),
                },
            }
        }
    }

    fn found(&mut self, resolved: Resolved) {
        if let Some(notice) = &resolved.notice {
            tracing::warn!("{notice}");
        }
        let url = resolved.client.base().as_str().to_owned();
        self.client.send_replace(Some(resolved.client));
        self.status.send_modify(|status| {
            status.backend = resolved.backend;
            status.url = Some(url);
        });
    }

    fn lost(&mut self, error: Error) {
        tracing::info!(kind = error.kind.as_str(), "connection lost or refused");
        // A service that answers but refuses (signed out, no stream) still takes commands.
        if matches!(error.kind, Kind::Offline | Kind::Timeout) {
            self.client.send_replace(None);
        }
        for (_, waiter) in self.refreshing.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
        self.waiting_for.clear();
        self.anchoring.clear();
        self.say(State::Offline, Some(error.message));
        self.failures.send_modify(|count| *count += 1);
    }

    fn say(&mut self, state: State, error: Option<String>) {
        self.status.send_if_modified(|status| {
            let changed = status.state != state || status.error != error;
            if status.state != state {
                status.since = std::time::SystemTime::now();
            }
            status.state = state;
            status.error = error;
            changed
        });
    }

    /// Follows one connection to its end.
    async fn watch(&mut self, client: Client, mut stream: IdentifierStream) -> End {
        self.tasks.abort_all();
        self.say(State::Syncing, None);
        let versions = self.status.clone();
        let asked = client.clone();
        let version = tokio::spawn(async move {
            let version = asked.version().await.ok();
            versions.send_if_modified(|status| {
                std::mem::replace(&mut status.version, version.clone()) != version
            });
        });
        self.step(Input::Opened);
        let end = loop {
            let due = self.machine.deadline();
            let wake = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(Instant::from_std(at)).await,
                    None => std::future::pending().await,
                }
            };
            let input = tokio::select! {
                frame = stream.next() => match frame {
                    Ok(frame) => from_frame(frame),
                    Err(error) => break End::Lost(error),
                },
                Some(done) = self.tasks.join_next() => {
                    if let Ok(done) = done {
                        self.done(done);
                    }
                    continue;
                }
                command = self.inbox.recv() => match command {
                    Some(command) => {
                        self.command(command);
                        continue;
                    }
                    None => break End::Abandoned,
                },
                () = wake => Input::Wake,
            };
            self.step(input);
        };
        version.abort();
        self.step(Input::Closed);
        end
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Told(input) => self.step(input),
            Done::ListFailed(ticket, error) => {
                if self.machine.lists().1 == Some(ticket) {
                    // It is tried again, but a person who asked for it wants to know now.
                    for (_, waiter) in self.refreshing.drain(..) {
                        let _ = waiter.send(Err(error.clone()));
                    }
                    let message = Some(error.message);
                    self.status.send_if_modified(|status| {
                        std::mem::replace(&mut status.error, message.clone()) != message
                    });
                }
                self.step(Input::Listed(ticket, None));
            }
            Done::Anchors(number, anchors) => {
                if number > self.anchors.1 {
                    self.anchors.1 = number;
                    self.step(Input::Anchors(anchors));
                }
                // Dropping the sender ends the waiting.
                self.anchoring.retain(|(shown_by, _)| *shown_by > number);
            }
        }
        if self.machine.is_live() {
            self.say(State::Live, None);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Retry => {}
            Command::Wrote(Write::Id(id), done) => {
                self.waiting_for.push((id, done));
                self.step(Input::WroteId(id));
            }
            Command::Wrote(Write::Asset(id), done) => {
                let before = self.anchors.0;
                self.step(Input::WroteAsset(id));
                if self.anchors.0 > before {
                    self.anchoring.push((self.anchors.0, done));
                }
            }
            Command::Wrote(write, done) => {
                self.step(match write {
                    Write::Conversation(one) => Input::Wrote(one),
                    Write::Deleted(id) => Input::Deleted(id),
                    Write::Id(_) | Write::Asset(_) | Write::Unknown => Input::Refresh,
                });
                let _ = done.send(());
            }
            Command::Refresh(done) => {
                if self.client.borrow().is_none() {
                    let message = self.status.borrow().error.clone().unwrap_or_default();
                    let _ = done.send(Err(Error {
                        kind: Kind::Offline,
                        message,
                        status: None,
                        detail: None,
                        outcome_unknown: false,
                    }));
                    return;
                }
                self.refreshing.push((self.machine.lists().0 + 1, done));
                self.step(Input::Refresh);
            }
        }
    }

    fn step(&mut self, input: Input) {
        let outcome = self.machine.step(Instant::now().into_std(), input);
        if let Some(delta) = outcome.delta {
            let _ = self.deltas.send(delta);
        }
        for action in outcome.actions {
            self.act(action);
        }
        let reader = self.machine.index().reader();
        let (held, waiting) = std::mem::take(&mut self.waiting_for)
            .into_iter()
            .partition(|(id, _)| reader.contains(*id));
        self.waiting_for = waiting;
        for (_, done) in Vec::from_iter::<Vec<_>>(held) {
            let _ = done.send(());
        }
        let lists = self.machine.lists().0;
        let total = reader.snapshot().len();
        let (done, waiting) = std::mem::take(&mut self.refreshing)
            .into_iter()
            .partition(|(at, _)| *at <= lists);
        self.refreshing = waiting;
        for (_, done) in Vec::from_iter::<Vec<_>>(done) {
            let _ = done.send(Ok(total));
        }
    }

    fn act(&mut self, action: Action) {
        let Some(client) = self.client.borrow().clone() else {
            return;
        };
        if action == Action::Anchors {
            self.anchors.0 += 1;
        }
        let number = self.anchors.0;
        self.tasks.spawn(async move {
            Done::Told(match action {
                Action::List(ticket) => return list(client, ticket).await,
                Action::Fetch(ticket, id) => Input::Fetched(ticket, id, fetch(client, id).await),
                Action::Identify(ticket) => {
                    Input::Identified(ticket, client.identifier_ids().await.ok())
                }
                Action::Anchors => {
                    let anchors = client.anchors().await.ok();
                    let read =
                        |anchors: Vec<_>| anchors.into_iter().map(from_wire_anchor).collect();
                    return Done::Anchors(number, anchors.map(read));
                }
                Action::Assets => Input::Assets(client.asset_identifiers().await.ok()),
            })
        });
    }
}

async fn list(client: Client, ticket: Ticket) -> Done {
    let add = |listing: &mut Builder, one: wire::Conversation<'_>| {
        listing.push(from_wire(&one).as_ref());
    };
    match client.list(Builder::default(), add).await {
        Ok((listing, listed)) => {
            if listed.rejected > 0 {
                tracing::warn!(
                    rejected = listed.rejected,
                    "conversations that could not be read"
                );
            }
            Done::Told(Input::Listed(ticket, Some(listing)))
        }
        Err(error) => Done::ListFailed(ticket, error),
    }
}

async fn fetch(client: Client, id: Uuid) -> Fetched {
    match client.conversation(id).await {
        Ok(one) => Fetched::Found(Box::new(from_wire(&one))),
        Err(error) if error.status == Some(410) => Fetched::Gone,
        Err(error) if error.kind == Kind::NotFound => Fetched::NotFound,
        Err(_) => Fetched::Failed,
    }
}

fn from_frame(frame: Frame) -> Input {
    let Frame::Changes { changes, malformed } = frame;
    let (mut upserts, mut deletes) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Upsert { id, .. } => {
                deletes.retain(|gone| *gone != id);
                upserts.push(id);
            }
            Change::Delete { id } => {
                upserts.retain(|new| *new != id);
                deletes.push(id);
            }
        }
    }
    Input::Frame {
        upserts,
        deletes,
        malformed,
    }
}

/// The domain's view of a conversation on the wire.
pub fn from_wire(one: &wire::Conversation<'_>) -> index::Conversation {
    let created = one.created.or(one.updated).unwrap_or(0);
    index::Conversation {
        id: one.id,
        name: one.name.as_deref().unwrap_or_default().to_owned(),
        created,
        updated: one.updated.unwrap_or(created),
        favorited: one.favorited,
        messages: one.messages,
        assets: one.assets.clone(),
        anchors: one.anchors.clone(),
        application: one.application.as_deref().unwrap_or_default().to_owned(),
    }
}

fn from_wire_anchor(one: pieces::wire::Anchor) -> index::Anchor {
    index::Anchor {
        id: one.id,
        paths: one.paths,
        assets: one.assets,
        conversations: one.conversations,
        updated: one.updated.unwrap_or(0),
    }
}

/// Between a half and one: clients that lost the same service do not come back all at once.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0
}
