//! A running service, served by this process or by another.

use std::{future::pending, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, timeout, timeout_at},
};

use super::info::client;
use crate::pieces::{self, Client};
use crate::service::{answer::Answers, hold::Watch, store::Store};

/// Deadline for open requests at shutdown. Editors kill the process after two seconds.
const FINISH: Duration = Duration::from_millis(1500);
/// Deadline for closing the store after that.
const CLOSE: Duration = Duration::from_millis(500);

/// The role of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Holds the lock and serves.
    Serving,
    /// Another process serves.
    Client,
}

/// A running service. If this process serves, dropping this stops the server without waiting for it.
#[derive(Debug)]
pub struct Attached {
    /// Base URL, `http://127.0.0.1:PORT`.
    pub url: String,
    /// Send as `Authorization: Bearer …`; `None` if the service needs no token.
    pub token: Option<String>,
    /// Which process serves.
    pub role: Role,
    /// A sentence for the user: a corrupt store was set aside, and where it is.
    pub notice: Option<String>,
    /// The Unix socket of the service, which only this user can open; `None` on systems without one.
    pub(super) socket: Option<PathBuf>,
    pub(super) server: Option<Server>,
}

impl Attached {
    /// A client of this service that uses the socket, so that another process on its port receives nothing.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub fn client(&self) -> Result<Client, pieces::Error> {
        client(&self.url, self.token.clone(), self.socket.clone())
    }

    /// Whether this process served and has stopped, or has to stop. Checks the data directory.
    pub async fn is_over(&self) -> bool {
        let Some(server) = &self.server else {
            return false;
        };
        let watch = server.watch.clone();
        let displaced = spawn_blocking(move || watch.check().is_err()).await;
        let has_ended = server.task.as_ref().is_some_and(JoinHandle::is_finished);
        displaced.unwrap_or(false) || has_ended || *server.stop.borrow()
    }

    /// Ends the serving task as a panic would.
    #[cfg(test)]
    pub(crate) fn end_task(&self) {
        let task = self.server.as_ref().and_then(|server| server.task.as_ref());
        task.expect("it serves").abort();
    }

    /// Waits until this serving process has to stop by itself; returns the reason as a sentence. Never
    /// returns for a client.
    pub async fn over(&self) -> String {
        let Some(server) = &self.server else {
            return pending().await;
        };
        let _ = server.stop.subscribe().wait_for(|stop| *stop).await;
        match server.watch.is_lost() {
            true => server.watch.reason(),
            false => "The local service has ended; start it again.".to_owned(),
        }
    }

    /// Stops serving: finishes the requests that have arrived, closes the store and releases the lock, in at
    /// most two seconds. Does nothing for a client.
    pub async fn shutdown(mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: Option<JoinHandle<()>>,
    pub(super) store: StoreHandle,
    pub(super) answers: AnswersHandle,
    pub(super) watch: Watch,
}

pub(super) struct AnswersHandle(pub(super) Arc<Answers>);

impl std::fmt::Debug for AnswersHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

pub(super) struct StoreHandle(pub(super) Arc<Store>);

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Server {
    async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + FINISH;
        if let Some(task) = self.task.take() {
            let abort = task.abort_handle();
            if timeout_at(deadline, task).await.is_err() {
                abort.abort();
            }
        }
        // What was written of answers is stored before the store closes.
        let _ = timeout_at(deadline, self.answers.0.end()).await;
        let store = self.store.0.clone();
        // After the deadline the writer finishes in the background.
        let _ = timeout(CLOSE, spawn_blocking(move || store.close())).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.store.0.stop();
    }
}
