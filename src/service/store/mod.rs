//! The durable store: SQLite in WAL mode, one writer thread, a few readers.
//!
//! A write is acknowledged after its transaction is on disk (`synchronous=FULL`); writes that arrive during a
//! flush share the next transaction. This module has no HTTP.

mod change;
mod check;
mod files;
mod hub;
mod kind;
mod live;
mod mend;
mod open;
mod query;
mod respace;
mod salvage;
mod schema;
mod tidy;
mod tolerant;
pub(crate) mod trash;
mod view;
mod writer;
pub(crate) mod writing;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use rusqlite::Connection;
use tokio::sync::{Semaphore, broadcast};
use uuid::Uuid;

pub(crate) use change::{Change, MAX_DOC, New, is_too_deep, stored_size};
pub(crate) use check::{check, probe};
pub use kind::Kind;
pub(crate) use kind::Link;
pub(crate) use live::{Answering, Live};
pub(crate) use open::has_any;
pub(crate) use query::{
    Found, MARKERS, Row, by_seq, count, find, find_by_key, find_head, get, identifiers,
    is_redacted, link, linked, list, neighbours, owned, owned_rows, search,
};
pub use trash::restored_ids;

use self::{hub::Hub, writer::Writer};
use super::{Failure, ServiceError, hold::Watch, trouble::Trouble};

/// The name of the database in the data directory.
pub(crate) const STORE: &str = "store.db";
/// Maximum concurrent readers; others wait.
const READERS: usize = 4;
/// Timeout for a free reader.
const READ_TURN: Duration = Duration::from_secs(20);

/// An open store. Cheap to share behind an [`Arc`].
pub(crate) struct Store {
    path: PathBuf,
    id: Uuid,
    user: Uuid,
    hub: Arc<Hub>,
    live: Live,
    access: Access,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Mutex<Vec<Connection>>,
    turns: Semaphore,
    /// No reads and writes once this is lost.
    watch: Watch,
}

/// How a store is used.
enum Access {
    Full(Writer),
    /// A copy of a read-only store; the writer only keeps it alive.
    Copy(Writer),
    /// The file is read in place, and there is no writer.
    Immutable,
}

/// A store and a notice about its opening.
pub(crate) struct Opened {
    pub(crate) store: Arc<Store>,
    pub(crate) notice: Option<String>,
}

impl Store {
    /// Opens `store.db` in `dir`, repairs or replaces a damaged one, and keeps `holding` (the lock) until the
    /// writer has ended. Blocking.
    pub(crate) fn open(
        dir: &Path,
        watch: Watch,
        holding: impl Send + 'static,
    ) -> Result<Opened, ServiceError> {
        let path = dir.join(STORE);
        let (store, notice) = Self::open_as(&path, watch, holding, Access::Full)?;
        store.watch.add_present(&path);
        store.watch.add_present(&files::side(&path, "-wal"));
        Ok(Opened {
            store: Arc::new(store),
            notice: notice.map(|notice| notice.to_string()),
        })
    }

    /// Opens the store file at `path` read-only. Writes nothing beside it, so it may be on a read-only file
    /// system, damaged, or set aside. Blocking.
    pub(crate) fn view(path: &Path, watch: Watch) -> Result<Opened, ServiceError> {
        let (store, notice) = match view::open(path)? {
            view::Opened::AsItIs { id, user } => {
                let hub = Arc::new(Hub::new());
                let ids = (id, user);
                let store = Self::new(path, ids, watch, hub, Access::Immutable, None);
                (store, None)
            }
            view::Opened::Copy(scratch) => {
                let copy = scratch.store();
                let (store, notice) = Self::open_as(&copy, watch, scratch, Access::Copy)?;
                (store, notice.map(|notice| notice.sentence))
            }
        };
        Ok(Opened {
            store: Arc::new(store),
            notice,
        })
    }

    fn open_as(
        path: &Path,
        watch: Watch,
        holding: impl Send + 'static,
        access: impl FnOnce(Writer) -> Access,
    ) -> Result<(Self, Option<mend::Notice>), ServiceError> {
        let open::Ready {
            db,
            id,
            user,
            notice,
        } = open::open(path)?;
        // Before the first request: an entry whose parts a client is adding must not be taken for one.
        if let Err(failure) = trash::remove_unfinished(&db) {
            tracing::warn!(?failure, "unfinished copies stay in the trash");
        }
        if let Err(failure) = writing::interrupt_all(&db) {
            tracing::warn!(?failure, "answers of an ended process stay unfinished");
        }
        let hub = Arc::new(Hub::new());
        let (writer, thread) = writer::start(db, hub.clone(), watch.clone(), holding)
            .map_err(ServiceError::unusable(path))?;
        let store = Self::new(path, (id, user), watch, hub, access(writer), Some(thread));
        Ok((store, notice))
    }

    fn new(
        path: &Path,
        (id, user): (Uuid, Uuid),
        watch: Watch,
        hub: Arc<Hub>,
        access: Access,
        thread: Option<JoinHandle<()>>,
    ) -> Self {
        Self {
            path: path.into(),
            id,
            user,
            hub,
            live: Live::default(),
            access,
            thread: Mutex::new(thread),
            readers: Mutex::new(Vec::new()),
            turns: Semaphore::new(READERS),
            watch,
        }
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The store's own id, stable for its lifetime.
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The one user of the store.
    pub(crate) fn user(&self) -> Uuid {
        self.user
    }

    /// Which conversations are being answered.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Whether the store is still where it was opened.
    pub(crate) async fn check_place(&self) -> Result<(), Failure> {
        let watch = self.watch.clone();
        let looked = tokio::task::spawn_blocking(move || watch.check()).await;
        looked.unwrap_or(Err(Failure::Busy))
    }

    /// Whether it is writable; a [view](Self::view) is not.
    pub(crate) fn is_writable(&self) -> bool {
        matches!(self.access, Access::Full(_))
    }

    /// Runs `job` in a transaction; returns once it is on disk and published.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&mut Change<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let Access::Full(writer) = &self.access else {
            return Err(Failure::Store(Trouble::ReadOnly));
        };
        let result = writer.run(job).await;
        self.note_damage(&result);
        match result {
            // SQLite does not report why the system refused.
            Err(Failure::Store(trouble @ (Trouble::Io | Trouble::ReadOnly))) => {
                let path = self.path.clone();
                let seen = tokio::task::spawn_blocking(move || Trouble::of_writing(&path)).await;
                let trouble = seen.ok().flatten().unwrap_or(trouble);
                Err(Failure::Store(trouble))
            }
            result => result,
        }
    }

    /// Makes the next start check the store in full if a request found damage.
    fn note_damage<T>(&self, result: &Result<T, Failure>) {
        let damage = matches!(result, Err(failure) if failure.is_damage());
        if damage && self.is_writable() {
            files::suspect(&self.path);
        }
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        match self.access {
            Access::Immutable => open::immutable(&self.path),
            Access::Full(_) | Access::Copy(_) => open::reader(&self.path),
        }
    }

    fn writer(&self) -> Option<&Writer> {
        match &self.access {
            Access::Full(writer) | Access::Copy(writer) => Some(writer),
            Access::Immutable => None,
        }
    }

    /// Runs `job` on a consistent snapshot, on a blocking thread.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.on_reader(move |_, db| {
            let view = db.unchecked_transaction()?;
            let result = job(&view)?;
            view.finish()?;
            Ok(result)
        })
        .await
    }

    /// All live objects of a kind as one frame, and all later changes.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        kind: Kind,
    ) -> Result<(Utf8Bytes, broadcast::Receiver<Utf8Bytes>), Failure> {
        self.on_reader(move |store, db| {
            let gate = store.hub.gate();
            let events = store.hub.subscribe(kind);
            let view = db.unchecked_transaction()?;
            // The first read takes the snapshot, not BEGIN.
            schema::version(&view)?;
            drop(gate);
            Ok((query::first_frame(&view, kind)?.into(), events))
        })
        .await
    }

    async fn on_reader<T, F>(self: &Arc<Self>, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Self, &Connection) -> Result<T, Failure> + Send + 'static,
    {
        let turn = tokio::time::timeout(READ_TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Failure::Busy);
        };
        let store = self.clone();
        let ran = tokio::task::spawn_blocking(move || {
            store.watch.check()?;
            let pooled = store
                .readers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let db = match pooled {
                Some(db) => db,
                None => store.reader()?,
            };
            let result = job(&store, &db);
            store.note_damage(&result);
            if db.is_autocommit() {
                store
                    .readers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(db);
            }
            result
        });
        ran.await.unwrap_or_else(|_| {
            Err(Failure::Store(Trouble::Other(
                "a read was cut off".to_owned(),
            )))
        })
    }

    /// A separate connection, for responses too long to hold up other readers. Blocking.
    pub(crate) fn own_reader(&self) -> Result<Connection, Failure> {
        self.watch.check()?;
        Ok(self.reader()?)
    }

    /// Refuses further writes; queued ones finish in the background.
    pub(crate) fn stop(&self) {
        if let Some(writer) = self.writer() {
            writer.stop();
        }
    }

    /// Refuses further writes, finishes the queued ones, and releases the lock. Blocking.
    pub(crate) fn close(&self) {
        self.stop();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread of the local service panicked");
        }
    }
}

/// A store in memory, for tests of transactions in any order.
#[cfg(test)]
pub(crate) struct InMemory(Connection);

#[cfg(test)]
impl InMemory {
    pub(crate) fn new() -> Self {
        let mut db = Connection::open_in_memory().unwrap();
        open::set_up(&mut db).unwrap();
        Self(db)
    }

    pub(crate) fn db(&self) -> &Connection {
        &self.0
    }

    /// Runs a write as the writer does: all of it or nothing.
    pub(crate) fn write<T>(
        &self,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let transaction = self.0.unchecked_transaction()?;
        let done = job(&mut Change::new(&transaction))?;
        transaction.commit()?;
        Ok(done)
    }

    /// What a start does after a kill.
    pub(crate) fn reopen(&self) {
        writing::interrupt_all(&self.0).unwrap();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // The writer ends by itself; this may be an async thread, so do not wait.
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writes_queued_while_the_store_was_moved_are_not_committed() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir(&here).unwrap();
        let store = Store::open(&here, Watch::new(&here), ()).unwrap().store;
        let moving = {
            let (here, there) = (here.clone(), there.clone());
            store.write(move |change| {
                std::fs::rename(&here, &there).unwrap();
                Ok(change
                    .db
                    .execute("INSERT INTO meta VALUES ('lost', '')", [])?)
            })
        };
        assert!(matches!(moving.await, Err(Failure::Displaced(_))));
        let db = Connection::open(there.join(STORE)).unwrap();
        let written: i64 = db
            .query_row("SELECT count(*) FROM meta WHERE key = 'lost'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(written, 0);
    }
}
