//! Finds Pieces OS or the local service, anew for every connection.

use crate::pieces::{BaseUrl, Client, Discovery, Error, Kind};
use crate::service::{self, Attached};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

/// Deadline for starting or ending the local service. Finding another serving process takes at most two
/// seconds, opening a store as long as it takes.
const ATTACHING: Duration = Duration::from_secs(10);

/// Which service to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Pieces OS if it responds at start, else the local service. Chosen once.
    Auto,
    /// Pieces OS.
    PiecesOs,
    /// The embedded local service.
    Local,
}

impl Backend {
    /// The name in settings and in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Auto => "auto",
            Backend::PiecesOs => "pieces-os",
            Backend::Local => "local",
        }
    }

    /// The backend of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Backend::Auto, Backend::PiecesOs, Backend::Local]
            .into_iter()
            .find(|backend| backend.as_str() == name)
    }
}

/// Options for finding the service.
#[derive(Debug)]
pub struct Source {
    backend: std::sync::Mutex<Backend>,
    url: Option<BaseUrl>,
    data_dir: Option<PathBuf>,
    /// Keeps the local service running while this process serves it.
    attached: Mutex<Option<Attached>>,
    /// The data directory had a store before: do not create another in its place.
    had_store: AtomicBool,
    /// Whether the backend is `auto`.
    auto: bool,
    shut: watch::Sender<bool>,
}

/// A service that was found.
#[derive(Clone)]
pub struct Resolved {
    /// Its client.
    pub client: Client,
    /// Which backend it is; never `Auto`.
    pub backend: Backend,
    /// A notice for the user, such as where an unreadable store was set aside.
    pub notice: Option<String>,
}

impl Source {
    /// `url`: use this Pieces OS, skip discovery. `data_dir`: the directory of the local service's store.
    pub fn new(backend: Backend, url: Option<BaseUrl>, data_dir: Option<PathBuf>) -> Self {
        Source {
            backend: std::sync::Mutex::new(backend),
            url,
            data_dir,
            attached: Mutex::new(None),
            had_store: AtomicBool::new(false),
            auto: backend == Backend::Auto,
            shut: watch::Sender::new(false),
        }
    }

    /// Finds the service. With `Auto` the first result is final.
    ///
    /// # Errors
    /// `offline`, with what to do, if there is none.
    pub async fn resolve(&self) -> Result<Resolved, Error> {
        let resolved = match self.chosen() {
            Backend::PiecesOs => self.pieces_os().await.map(|(found, _)| found),
            Backend::Local => self.local().await,
            Backend::Auto => match self.pieces_os().await {
                Ok((found, is_ours)) if is_ours || self.may_use_unknown().await => Ok(found),
                _ => self.local().await,
            },
        }?;
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = resolved.backend;
        Ok(resolved)
    }

    pub(super) fn chosen(&self) -> Backend {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `auto` chose the local service and Pieces OS responds by now.
    pub async fn alternative_answers(&self) -> bool {
        self.auto && self.chosen() == Backend::Local && self.pieces_os().await.is_ok()
    }

    /// Waits for [`shutdown`](Self::shutdown).
    pub async fn until_shutdown(&self) {
        let _ = self.shut.subscribe().wait_for(|shut| *shut).await;
    }

    /// Final: ends the synchroniser that uses this, and the local service if this process serves it.
    pub async fn shutdown(&self) {
        self.shut.send_replace(true);
        // A task that holds the lock for longer sees the shutdown and ends what was started.
        let held = timeout(ATTACHING, self.attached.lock()).await;
        if let Some(attached) = held.ok().and_then(|mut held| held.take()) {
            attached.shutdown().await;
        }
    }

    /// Whether `auto` may use a process that responds like Pieces OS although its owner is unknown: not if
    /// the local service has conversations, unless the user agreed once. The user is asked as if Pieces OS
    /// had started later.
    async fn may_use_unknown(&self) -> bool {
        match self.data_dir() {
            Ok(data_dir) => may_use_unknown(&data_dir).await,
            Err(_) => true,
        }
    }

    fn data_dir(&self) -> Result<PathBuf, Error> {
        match &self.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => service::default_data_dir().map_err(|error| Error::offline(error.to_string())),
        }
    }

    /// Pieces OS, and whether it is known to be a process of this user, or the user gave its URL.
    async fn pieces_os(&self) -> Result<(Resolved, bool), Error> {
        let (base, is_ours) = match &self.url {
            Some(url) => (url.clone(), true),
            None => {
                let found = Discovery::standard().find().await?;
                (found.client_base, found.is_ours)
            }
        };
        let client = Client::new(base, None)?;
        if self.url.is_some() {
            // Any response will do: an explicit URL is used even without a health route.
            match client.health().await {
                Err(error) if matches!(error.kind, Kind::Offline | Kind::Timeout) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        let resolved = Resolved {
            client,
            backend: Backend::PiecesOs,
            notice: None,
        };
        Ok((resolved, is_ours))
    }

    async fn local(&self) -> Result<Resolved, Error> {
        let data_dir = self.data_dir()?;
        let Ok(mut held) = timeout(ATTACHING, self.attached.lock()).await else {
            return Err(Error::timeout(
                "The local service is still starting; try again in a moment.",
            ));
        };
        let ended = || Error::offline("This connection was closed.");
        if *self.shut.borrow() {
            return Err(ended());
        }
        let serves = match held.as_ref() {
            Some(one) => one.role == service::Role::Serving && !one.is_over().await,
            None => false,
        };
        if !serves {
            if let Some(before) = held.take() {
                // Drops a store that it could not serve any more.
                before.shutdown().await;
            }
            if self.had_store.load(Ordering::Relaxed) && !service::has_store(&data_dir) {
                return Err(Error::offline(format!(
                    "The conversations in {} are gone: the directory was moved or deleted. Put it back, or restart the editor to begin with an empty one.",
                    data_dir.display()
                )));
            }
            let options = service::Options {
                data_dir,
                port: 0,
                token: true,
                asking: service::Asking::default(),
            };
            let attached = service::attach(&options)
                .await
                .map_err(|error| Error::offline(error.to_string()))?;
            self.had_store.store(true, Ordering::Relaxed);
            if *self.shut.borrow() {
                attached.shutdown().await;
                return Err(ended());
            }
            *held = Some(attached);
        }
        let Some(attached) = held.as_mut() else {
            return Err(Error::offline(
                "The local service did not start; try again.",
            ));
        };
        Ok(Resolved {
            client: attached.client()?,
            backend: Backend::Local,
            notice: attached.notice.take(),
        })
    }
}

/// Whether `auto` may use a Pieces OS whose owner the system does not report, with the local service in this
/// directory as the other choice.
pub async fn may_use_unknown(data_dir: &Path) -> bool {
    service::prefers_pieces_os(data_dir).await || !service::has_conversations(data_dir).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(dir: &Path) -> Source {
        source_at(&dir.join("store"))
    }

    fn source_at(dir: &Path) -> Source {
        Source::new(Backend::Local, None, Some(dir.to_owned()))
    }

    #[tokio::test]
    async fn a_server_of_ours_that_ended_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let source = local(dir.path());
        let first = source.resolve().await.unwrap().client;
        first.health().await.unwrap();
        let again = source.resolve().await.unwrap().client;
        assert_eq!(again.base(), first.base(), "one that serves is kept");
        {
            let held = source.attached.lock().await;
            let attached = held.as_ref().unwrap();
            attached.end_task();
            while !attached.is_over().await {
                tokio::task::yield_now().await;
            }
        }
        let second = source.resolve().await.unwrap().client;
        second.health().await.unwrap();
        source.shutdown().await;
        assert!(source.resolve().await.is_err(), "it was ended");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_starting_service_has_a_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let source = local(dir.path());
        let _starting = source.attached.lock().await;
        let error = source.resolve().await.map(drop).unwrap_err();
        assert_eq!(error.kind, Kind::Timeout);
    }

    #[tokio::test]
    async fn auto_chooses_the_backend() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            may_use_unknown(dir.path()).await,
            "there is nothing to lose"
        );
        let source = source_at(dir.path());
        let client = source.resolve().await.unwrap().client;
        assert!(may_use_unknown(dir.path()).await, "an empty store");
        let seed = serde_json::json!({"type": "COPILOT", "name": "mine"});
        client.create(&seed, None).await.unwrap();
        assert!(
            !may_use_unknown(dir.path()).await,
            "the user is asked first"
        );
        service::prefer_pieces_os(dir.path()).await;
        assert!(may_use_unknown(dir.path()).await, "and agreed");
        source.shutdown().await;
    }

    #[tokio::test]
    async fn a_missing_store_is_not_recreated() {
        let outer = tempfile::tempdir().unwrap();
        let (dir, aside) = (outer.path().join("data"), outer.path().join("aside"));
        let source = source_at(&dir);
        let client = source.resolve().await.unwrap().client;
        std::fs::rename(&dir, &aside).unwrap();
        client.identifiers().await.unwrap_err();
        for _ in 0..2 {
            let error = source.resolve().await.err().unwrap();
            assert!(error.message.contains("Put it back"), "{error}");
            assert!(!dir.exists());
        }
        std::fs::rename(&aside, &dir).unwrap();
        let client = source.resolve().await.unwrap().client;
        client.identifiers().await.unwrap();
        source.shutdown().await;
    }
}
