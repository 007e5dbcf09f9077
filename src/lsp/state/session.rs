//! The connection to a backend, and switching to another.

use super::event::Event;
use super::settings::Settings;
use super::trash::{Trash, TrashService};
use crate::index::{Index, Reader};
use crate::lsp::limits::{CONNECT_TIMEOUT, STOP_TIMEOUT, SWITCH_TIMEOUT};
use crate::pieces::{BaseUrl, Client, Error, PlainHttp};
use crate::service;
use crate::sync::{self, Backend, Handle, Source, State, Status};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

/// Options of the command line and the environment. They override the editor's settings.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// `auto`, `pieces-os` or `local`, not validated.
    pub backend: Option<String>,
    /// Base URL of Pieces OS, not validated.
    pub url: Option<String>,
    /// Directory of the local service.
    pub data_dir: Option<PathBuf>,
    /// Whether plain http may leave this machine.
    pub plain_http: PlainHttp,
}

/// The options that select a connection. A different choice needs a new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    backend: Result<Backend, String>,
    url: Option<String>,
}

/// A running connection, or the reason that there is none.
#[derive(Clone)]
pub(crate) enum Connection {
    Running(Handle),
    /// The choice is invalid.
    Refused {
        /// `offline` with the reason.
        status: Box<Status>,
        /// An empty index.
        index: Reader,
    },
}

/// The current connection and its backend.
pub(crate) struct Session {
    launch: Launch,
    /// The backend that the user chose when asked.
    chosen: std::sync::Mutex<Option<Backend>>,
    connection: watch::Sender<Option<Connection>>,
    /// The current choice and its backend. Locked while switching.
    active: Mutex<Option<(Choice, Option<Arc<Source>>)>>,
    trash: TrashService,
    /// The user was told that the old trash has unreadable files.
    told_unreadable: AtomicBool,
}

/// A new connection: its handle, and the changes of its conversations.
pub(crate) struct Started {
    pub handle: Handle,
    /// Every change, in order.
    pub events: mpsc::UnboundedReceiver<sync::Event>,
}

/// The result of applying settings.
pub(crate) enum Applied {
    /// The choice is the same as before.
    Unchanged,
    Started(Started),
    /// The choice is invalid; there is no connection.
    Refused,
    /// Another switch did not end within [`SWITCH_TIMEOUT`]; nothing was changed.
    Busy,
}

impl Session {
    pub fn new(launch: Launch, events: mpsc::UnboundedSender<Event>) -> Self {
        Session {
            launch,
            chosen: std::sync::Mutex::default(),
            connection: watch::Sender::new(None),
            active: Mutex::new(None),
            trash: TrashService::new(events),
            told_unreadable: AtomicBool::new(false),
        }
    }

    /// Connects to the backend of the settings, unless that is the current one.
    pub async fn apply(&self, settings: impl Fn() -> Arc<Settings>) -> Applied {
        let Ok(mut active) = timeout(SWITCH_TIMEOUT, self.active.lock()).await else {
            return Applied::Busy;
        };
        // Read under the lock, so that the later of two concurrent changes wins.
        let choice = self.choice(&settings());
        if active
            .as_ref()
            .is_some_and(|(current, _)| *current == choice)
        {
            return Applied::Unchanged;
        }
        let old = self.connection.borrow().clone();
        if let Some(Connection::Running(old)) = old {
            // Otherwise it would still report on the old service, and reconnect to it.
            let _ = timeout(STOP_TIMEOUT, old.stop()).await;
        }
        if let Some((_, Some(old))) = active.take() {
            // The old service has to release the store before the new one opens it.
            let _ = timeout(STOP_TIMEOUT, old.shutdown()).await;
        }
        // Clients rely on revisions that only grow, also across a switch.
        let revision = self.reader().snapshot().revision();
        let first = if revision == 0 { 0 } else { revision + 1 };
        match self.source(&choice) {
            Ok(source) => {
                let source = Arc::new(source);
                let (sender, events) = mpsc::unbounded_channel();
                let handle = sync::start(Arc::clone(&source), sender, first);
                *active = Some((choice, Some(source)));
                let running = Connection::Running(handle.clone());
                self.connection.send_replace(Some(running));
                Applied::Started(Started { handle, events })
            }
            Err(reason) => {
                let status = Box::new(Status {
                    state: State::Offline,
                    backend: choice.backend.clone().unwrap_or(Backend::Auto),
                    url: None,
                    version: None,
                    since: SystemTime::now(),
                    error: Some(reason),
                });
                *active = Some((choice, None));
                let index = Index::after(first).reader();
                let refused = Connection::Refused { status, index };
                self.connection.send_replace(Some(refused));
                Applied::Refused
            }
        }
    }

    fn choice(&self, settings: &Settings) -> Choice {
        let wrong = || "The backend must be `auto`, `pieces-os` or `local`.".to_owned();
        let chosen = *self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        let backend = match (chosen, &self.launch.backend) {
            (Some(backend), _) => Ok(backend),
            (None, None) => Ok(settings.backend),
            (None, Some(name)) => Backend::parse(name).ok_or_else(wrong),
        };
        let url = self.launch.url.clone().or_else(|| settings.url.clone());
        Choice { backend, url }
    }

    fn source(&self, choice: &Choice) -> Result<Source, String> {
        let backend = choice.backend.clone()?;
        let parse = |url: &String| BaseUrl::parse(url, self.launch.plain_http);
        let url = choice.url.as_ref().map(parse).transpose();
        let url = url.map_err(|refusal| refusal.to_string())?;
        Ok(Source::new(backend, url, self.launch.data_dir.clone()))
    }

    /// The index; an empty one if there is no connection.
    pub fn reader(&self) -> Reader {
        match &*self.connection.borrow() {
            Some(Connection::Running(handle)) => handle.index.clone(),
            Some(Connection::Refused { index, .. }) => index.clone(),
            None => Reader::default(),
        }
    }

    /// Directory of the local service and the trash; `None` if the system has no data directory.
    pub fn data_dir(&self) -> Option<PathBuf> {
        match &self.launch.data_dir {
            Some(dir) => Some(dir.clone()),
            None => service::default_data_dir().ok(),
        }
    }

    /// The trash, in the store of the local service, which is attached to while Pieces OS is in use.
    ///
    /// # Errors
    /// Those of the connection, or why there is no local service.
    pub async fn trash(&self) -> Result<Trash, Error> {
        if self.status().backend == Backend::Local {
            let (_, client) = self.client().await?;
            return Ok(Trash::of(client));
        }
        let Some(dir) = self.data_dir() else {
            let what = "There is no directory for the trash; set `--data-dir` to one.";
            return Err(Error::offline(what));
        };
        self.trash.attach(dir).await
    }

    /// Whether there is no store yet, and so no trash: listing the trash must not create one.
    pub fn has_no_trash(&self) -> bool {
        let nothing = |dir: PathBuf| !service::has_store(&dir) && !dir.join("trash").exists();
        self.status().backend == Backend::PiecesOs && self.data_dir().is_none_or(nothing)
    }

    /// `true` the first time only: the user is told once.
    pub fn first_time_unreadable(&self) -> bool {
        !self.told_unreadable.swap(true, Ordering::Relaxed)
    }

    /// Identifies the service behind `client`: the id in the response of its health route, else its URL.
    pub async fn origin(&self, client: &Client) -> String {
        match client.health().await {
            Ok(health) if health.starts_with("ok:") => health,
            _ => client.base().to_string(),
        }
    }

    /// Whether plain http may leave this machine.
    pub fn plain_http(&self) -> PlainHttp {
        self.launch.plain_http
    }

    /// The URL of the Pieces OS in use; `None` if it is not in use.
    pub fn pieces_os(&self) -> Option<BaseUrl> {
        let status = self.status();
        let url = status.url.filter(|_| status.backend == Backend::PiecesOs)?;
        BaseUrl::parse(&url, self.launch.plain_http).ok()
    }

    /// Overrides the backend of the settings: the user chose it when asked.
    pub fn choose(&self, backend: Backend) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        *chosen = Some(backend);
    }

    /// The status of the connection; `connecting` before there is one.
    pub fn status(&self) -> Status {
        match &*self.connection.borrow() {
            Some(Connection::Running(handle)) => handle.status.borrow().clone(),
            Some(Connection::Refused { status, .. }) => (**status).clone(),
            None => Status {
                state: State::Connecting,
                backend: self.asked_for(),
                url: None,
                version: None,
                since: SystemTime::now(),
                error: None,
            },
        }
    }

    /// The backend of the command line.
    fn asked_for(&self) -> Backend {
        let name = self.launch.backend.as_deref();
        name.and_then(Backend::parse).unwrap_or(Backend::Auto)
    }

    /// The connection and its client, waiting for each for [`CONNECT_TIMEOUT`] at most.
    ///
    /// # Errors
    /// `offline`, with a sentence that says what to do.
    pub async fn client(&self) -> Result<(Handle, Client), Error> {
        match self.started().await {
            Some(Connection::Running(handle)) => {
                let client = handle.client(CONNECT_TIMEOUT).await?;
                Ok((handle, client))
            }
            Some(Connection::Refused { status, .. }) => {
                Err(Error::offline(status.error.unwrap_or_default()))
            }
            None => Err(Error::offline("Not started yet; try again in a moment.")),
        }
    }

    /// Waits until the anchors and assets of the connection are known; at most `within`.
    pub async fn ties(&self, within: Duration) {
        let waiting = async {
            if let Some(Connection::Running(handle)) = self.started().await {
                handle.ties(within).await;
            }
        };
        let _ = timeout(within, waiting).await;
    }

    /// Waits for the first connection.
    async fn started(&self) -> Option<Connection> {
        let mut connections = self.connection.subscribe();
        let started = timeout(CONNECT_TIMEOUT, connections.wait_for(Option::is_some)).await;
        started.ok()?.ok()?.clone()
    }

    /// Ends the connection, and the local service if this process serves it.
    pub async fn shutdown(&self) {
        let stopping = async {
            if let Some((_, Some(source))) = self.active.lock().await.take() {
                source.shutdown().await;
            }
        };
        if timeout(STOP_TIMEOUT, stopping).await.is_err() {
            tracing::warn!("exiting before the local service has stopped");
        }
        self.trash.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_switch_that_hangs_blocks_no_other_task() {
        let session = Session::new(Launch::default(), mpsc::unbounded_channel().0);
        let _switching = session.active.lock().await;
        let applied = session.apply(|| Arc::new(Settings::default())).await;
        assert!(matches!(applied, Applied::Busy));
        session.shutdown().await;
    }
}
