//! Carries out the decisions of the [`machine`](super::machine): connects, reads, fetches, waits.

mod handle;
mod requests;
#[cfg(test)]
mod tests;
mod waiting;

use super::backend::{Backend, Resolved, Source};
use super::backoff::{BACKOFF_MAX, backoff};
use super::machine::{Action, Input, Machine, Touched};
pub use super::service::from_wire;
use super::service::{Finder, Service, Stream as _};
use crate::index::Delta;
use crate::pieces::{Client, Error, Kind, Watched};
use handle::Command;
pub use handle::{Handle, State, Status, Write};
use requests::Done;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use waiting::Waiting;

/// Shortest pause, however many requests come.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// A connection that lasted this long does not count as a failure.
const STEADY: Duration = Duration::from_secs(10);
/// Reading more conversations than this leaves megabytes of free memory behind.
const MANY: usize = 10_000;
/// Interval between checks for Pieces OS while `auto` uses the local service.
const PROBE: Duration = Duration::from_secs(60);

/// Changes for followers, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The index changed.
    Changed(Delta),
    /// Conversations may have changed in parts that the index does not hold, such as messages. Sent before
    /// the change of the index, if there is one.
    Touched(Touched),
    /// A sentence for the user about the service, such as where a damaged store was set aside.
    Notice(String),
}

/// Starts synchronising. The revisions of the index start after `revision`.
pub fn start(source: Arc<Source>, events: mpsc::UnboundedSender<Event>, revision: u64) -> Handle {
    spawn(source, events, revision)
}

/// Starts synchronising with the service that `finder` finds.
fn spawn<F: Finder>(finder: Arc<F>, events: mpsc::UnboundedSender<Event>, revision: u64) -> Handle {
    let machine = Machine::after(revision);
    let (commands, inbox) = mpsc::channel(64);
    let (status, status_reader) = watch::channel(Status {
        state: State::Connecting,
        backend: finder.wanted(),
        url: None,
        version: None,
        since: std::time::SystemTime::now(),
        error: None,
    });
    let (client, client_reader) = watch::channel(None);
    let (appeared, pieces_os_appeared) = watch::channel(false);
    let (failures, failures_reader) = watch::channel(0);
    let (ties_read, ties_reader) = watch::channel(false);
    let index = machine.index().reader();
    let driver = Driver {
        machine,
        finder,
        service: None,
        inbox,
        events,
        status,
        client,
        appeared,
        failures,
        ties_read,
        probed: None,
        tasks: JoinSet::new(),
        waiting: Waiting::default(),
        list_error: None,
        loaded: false,
    };
    Handle {
        commands,
        index,
        status: status_reader,
        pieces_os_appeared,
        client: client_reader,
        failures: failures_reader,
        ties_read: ties_reader,
        driver: tokio::spawn(driver.run()).abort_handle(),
    }
}

struct Driver<F: Finder> {
    machine: Machine,
    finder: Arc<F>,
    service: Option<F::Service>,
    inbox: mpsc::Receiver<Command>,
    events: mpsc::UnboundedSender<Event>,
    status: watch::Sender<Status>,
    client: watch::Sender<Option<Client>>,
    appeared: watch::Sender<bool>,
    failures: watch::Sender<u64>,
    ties_read: watch::Sender<bool>,
    probed: Option<Instant>,
    tasks: JoinSet<Done<F::Service>>,
    waiting: Waiting,
    /// The error of the last list.
    list_error: Option<String>,
    /// A long list was read.
    loaded: bool,
}

/// Why the driver or a connection ends.
enum End {
    /// All handles were dropped.
    Abandoned,
    /// The connection is lost.
    Lost(Error),
}

impl<F: Finder> Driver<F> {
    async fn run(mut self) {
        let finder = Arc::clone(&self.finder);
        tokio::select! {
            () = self.connect_for_ever() => {}
            () = finder.closed() => {}
        }
        let ended = Error::offline("This connection was closed.");
        self.waiting.lost(&ended);
    }

    /// Runs until all handles are dropped.
    async fn connect_for_ever(&mut self) {
        let mut failures = 0u32;
        loop {
            let began = Instant::now();
            match self.connection().await {
                End::Abandoned => return,
                End::Lost(error) => self.lost(error),
            }
            if began.elapsed() >= STEADY {
                failures = 0;
            }
            failures = failures.saturating_add(1);
            if self.pause(failures).await.is_none() {
                return;
            }
        }
    }

    /// One connection, from finding the service to its end.
    async fn connection(&mut self) -> End {
        let finder = Arc::clone(&self.finder);
        let (service, resolved) = match self.meanwhile(async move { finder.find().await }).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return End::Lost(error),
            Err(end) => return end,
        };
        self.found(&service, resolved);
        match self.meanwhile(service.watch(Watched::Conversations)).await {
            Ok(Ok(stream)) => self.follow(service, stream).await,
            Ok(Err(error)) => End::Lost(error),
            Err(end) => end,
        }
    }

    /// Awaits `work` while handling commands.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, End> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                command = self.inbox.recv() => match command {
                    Some(command) => self.command(command),
                    None => return Err(End::Abandoned),
                },
                Some(done) = self.tasks.join_next() => self.done(done)?,
                () = until(self.machine.deadline()) => self.step(Input::Wake),
            }
        }
    }

    async fn pause(&mut self, failures: u32) -> Option<()> {
        let began = Instant::now();
        let mut ends = began + backoff(failures, BACKOFF_MAX).mul_f64(jitter());
        loop {
            tokio::select! {
                () = sleep_until(ends) => return Some(()),
                command = self.inbox.recv() => match command? {
                    Command::Asked => ends = ends.min(began + PAUSE_MIN),
                    command => self.command(command),
                },
                Some(done) = self.tasks.join_next() => {
                    // There is no connection to lose.
                    let _ = self.done(done);
                }
                () = until(self.machine.deadline()) => self.step(Input::Wake),
            }
        }
    }

    fn found(&mut self, service: &F::Service, resolved: Resolved) {
        if let Some(notice) = resolved.notice {
            tracing::warn!("{notice}");
            let _ = self.events.send(Event::Notice(notice));
        }
        let url = resolved.client.base().as_str().to_owned();
        self.service = Some(service.clone());
        self.client.send_replace(Some(resolved.client));
        self.status.send_if_modified(|status| {
            let changed = status.backend != resolved.backend || status.url.as_ref() != Some(&url);
            status.backend = resolved.backend;
            status.url = Some(url);
            changed
        });
    }

    fn lost(&mut self, error: Error) {
        tracing::info!(kind = error.kind.as_str(), "connection lost or refused");
        self.tasks = JoinSet::new();
        self.step(Input::Closed);
        self.waiting.lost(&error);
        // In this order: current waiters get the reason, and later ones wait for the next attempt.
        self.say(State::Offline, Some(error.message));
        self.failures.send_modify(|count| *count += 1);
        // A service that refuses the connection (signed out, no stream) still takes commands.
        if matches!(error.kind, Kind::Offline | Kind::Timeout) {
            self.service = None;
            self.client.send_replace(None);
        }
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

    /// Follows an open stream until it ends.
    async fn follow(
        &mut self,
        service: F::Service,
        mut stream: <F::Service as Service>::Stream,
    ) -> End {
        self.list_error = None;
        self.step(Input::Opened);
        self.tell();
        self.tasks.spawn(requests::version(service.clone()));
        for watched in [Watched::Anchors, Watched::Assets] {
            self.tasks
                .spawn(requests::watch(service.clone(), watched, 0));
        }
        loop {
            tokio::select! {
                frame = stream.next() => match frame {
                    Ok(frame) => self.step(requests::from_frame(frame)),
                    Err(error) => return End::Lost(error),
                },
                Some(done) = self.tasks.join_next() => {
                    if let Err(end) = self.done(done) {
                        return end;
                    }
                }
                command = self.inbox.recv() => match command {
                    Some(command) => self.command(command),
                    None => return End::Abandoned,
                },
                () = until(self.machine.deadline()) => self.step(Input::Wake),
            }
            self.tell();
            if std::mem::take(&mut self.loaded) {
                // After the response, not before it.
                tokio::task::spawn_blocking(crate::memory::give_back);
            }
        }
    }

    /// Updates the status while the stream is open.
    fn tell(&mut self) {
        if self.machine.is_live() {
            self.say(State::Live, None);
        } else {
            self.say(State::Syncing, self.list_error.clone());
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Asked => self.look_for_pieces_os(),
            Command::Wrote(Write::Id(id), done) => {
                if self.service.is_some() {
                    self.waiting.for_id(id, done);
                    self.step(Input::WroteId(id));
                }
            }
            Command::Wrote(Write::Asset(id), done) => {
                self.waiting.for_anchors(self.machine.clock() + 1, done);
                self.step(Input::WroteAsset(id));
            }
            Command::Wrote(write, done) => {
                self.step(match write {
                    Write::Conversation(one) => Input::Wrote(one),
                    Write::Id(id) => Input::WroteId(id),
                    Write::Deleted(id) => Input::Deleted(id),
                    Write::Asset(id) => Input::WroteAsset(id),
                    Write::Unknown => Input::Refresh,
                });
                let _ = done.send(());
            }
            Command::Refresh(done) => {
                if self.service.is_none() {
                    let reason = self.status.borrow().error.clone();
                    let reason = reason.map_or_else(Error::not_connected, Error::offline);
                    let _ = done.send(Err(reason));
                    return;
                }
                self.waiting.for_refresh(self.machine.clock() + 1, done);
                self.step(Input::Refresh);
            }
        }
    }

    fn look_for_pieces_os(&mut self) {
        let looked = self.probed.is_some_and(|at| at.elapsed() < PROBE);
        let local = self.status.borrow().backend == Backend::Local;
        if looked || !local || *self.appeared.borrow() {
            return;
        }
        self.probed = Some(Instant::now());
        let finder = Arc::clone(&self.finder);
        self.tasks
            .spawn(async move { Done::Appeared(finder.pieces_os_appeared().await) });
    }

    /// A task ended.
    fn done(&mut self, done: Result<Done<F::Service>, JoinError>) -> Result<(), End> {
        match done {
            Ok(Done::Answer(input, error)) => {
                let listed = matches!(input, Input::Listed(..));
                if listed {
                    self.list_error = error.as_ref().map(|error| error.message.clone());
                }
                self.step(input);
                self.loaded = listed && self.machine.index().len() >= MANY;
                if let Some(error) = error {
                    self.waiting.failed(&error);
                }
            }
            Ok(Done::Version(version)) => {
                self.status.send_if_modified(|status| {
                    std::mem::replace(&mut status.version, version.clone()) != version
                });
            }
            Ok(Done::Changed(side)) => {
                let watched = side.watched;
                self.tasks.spawn(requests::next_change(side));
                self.step(match watched {
                    Watched::Assets => Input::AssetsChanged,
                    _ => Input::AnchorsChanged,
                });
            }
            Ok(Done::Unwatched(watched, failures)) => {
                if let Some(service) = self.service.clone() {
                    self.tasks
                        .spawn(requests::watch(service, watched, failures));
                }
            }
            Ok(Done::NoStream) => {}
            Ok(Done::Appeared(appeared)) => {
                self.appeared
                    .send_if_modified(|known| appeared && !std::mem::replace(known, true));
            }
            Err(failed) => {
                // The machine would wait for its response forever.
                tracing::error!(%failed, "a request ended without an answer");
                return Err(End::Lost(Error::not_connected()));
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input) {
        let outcome = self.machine.step(Instant::now().into_std(), input);
        if outcome.touched != Touched::None {
            let _ = self.events.send(Event::Touched(outcome.touched));
        }
        for delta in outcome.deltas {
            let _ = self.events.send(Event::Changed(delta));
        }
        for action in outcome.actions {
            self.act(action);
        }
        self.waiting.look(&self.machine);
        if !*self.ties_read.borrow() && self.machine.ties_are_read() {
            self.ties_read.send_replace(true);
        }
    }

    fn act(&mut self, action: Action) {
        let service = self.service.clone();
        self.tasks.spawn(async move {
            match service {
                Some(service) => requests::carry_out(service, action).await,
                None => requests::failed(action, Error::not_connected()),
            }
        });
    }
}

async fn until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => sleep_until(Instant::from_std(at)).await,
        None => std::future::pending().await,
    }
}

/// Between a half and one, so that clients of a lost service do not all reconnect at once.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX);
    0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0
}
