//! The one thread that writes: queued jobs share a transaction and are answered after its commit.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    change::Change,
    hub::{Event, Hub},
};
use crate::service::Failure;

/// Writes that may wait; the next one is refused.
const QUEUE: usize = 1024;
/// Writes in one transaction.
const BATCH: usize = 256;
/// How long a caller waits for its commit.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one write inside the open transaction.
type Job = Box<dyn FnOnce(&Connection) -> Ran + Send>;
/// Tells the caller how the transaction ended.
type Reply = Box<dyn FnOnce(Result<(), Failure>) + Send>;

struct Ran {
    /// `None`: the write failed and is to be undone.
    events: Option<Vec<Event>>,
    reply: Reply,
}

pub(super) struct Writer {
    queue: Mutex<Option<mpsc::SyncSender<Job>>>,
}

/// Starts the thread; it ends after [`Writer::stop`], dropping `holding` last.
pub(super) fn start(
    db: Connection,
    hub: Arc<Hub>,
    holding: impl Send + 'static,
) -> std::io::Result<(Writer, JoinHandle<()>)> {
    let (queue, jobs) = mpsc::sync_channel(QUEUE);
    let thread = thread::Builder::new()
        .name("pieces-store".to_owned())
        .spawn(move || {
            while let Ok(first) = jobs.recv() {
                let batch = std::iter::once(first).chain(jobs.try_iter()).take(BATCH);
                run_batch(&db, &hub, batch);
            }
            drop(db);
            drop(holding);
        })?;
    Ok((
        Writer {
            queue: Mutex::new(Some(queue)),
        },
        thread,
    ))
}

impl Writer {
    pub(super) async fn run<T, F>(&self, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&mut Change<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let mut change = Change::new(db);
            let result = job(&mut change);
            Ran {
                events: result.is_ok().then(|| change.into_events()),
                reply: Box::new(move |committed| {
                    // The caller may have given up waiting.
                    let _ = answer.send(committed.and(result));
                }),
            }
        });
        {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queue.as_ref().ok_or(Failure::Busy)?;
            queue.try_send(job).map_err(|_| Failure::Busy)?;
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::Store("a write was cut off".to_owned())),
            Err(_) => Err(Failure::Unknown),
        }
    }

    pub(super) fn stop(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

fn run_batch(db: &Connection, hub: &Hub, batch: impl Iterator<Item = Job>) {
    let begun = db.execute_batch("BEGIN IMMEDIATE").map_err(Failure::from);
    let mut events = Vec::new();
    let mut replies = Vec::new();
    let mut outcome = begun;
    for job in batch {
        if outcome.is_err() {
            // Dropped unrun: nothing of it has happened.
            continue;
        }
        match run_one(db, job) {
            Ok(Some((happened, reply))) => {
                events.extend(happened);
                replies.push(reply);
            }
            Ok(None) => {}
            Err(error) => outcome = Err(error.into()),
        }
    }
    let gate = hub.gate();
    let outcome = outcome.and_then(|()| db.execute_batch("COMMIT").map_err(Failure::from));
    if outcome.is_err() && !db.is_autocommit() {
        // It fails only if SQLite has rolled back by itself.
        let _ = db.execute_batch("ROLLBACK");
    }
    if outcome.is_ok() {
        for event in newest_of_each(events) {
            hub.publish(&event);
        }
    }
    drop(gate);
    for reply in replies {
        reply(outcome.clone());
    }
}

/// Runs one job in a savepoint of its own, so that its failure undoes nobody else's work.
/// `Err` means that the transaction as a whole is lost.
fn run_one(db: &Connection, job: Job) -> rusqlite::Result<Option<(Vec<Event>, Reply)>> {
    db.execute_batch("SAVEPOINT job")?;
    let ran = catch_unwind(AssertUnwindSafe(|| job(db)));
    let undo = "ROLLBACK TO job; RELEASE job";
    match ran {
        Ok(Ran {
            events: Some(events),
            reply,
        }) => {
            db.execute_batch("RELEASE job")?;
            Ok(Some((events, reply)))
        }
        Ok(Ran {
            events: None,
            reply,
        }) => {
            db.execute_batch(undo)?;
            // A failed job changes nothing, so its answer need not wait for the others.
            reply(Ok(()));
            Ok(None)
        }
        Err(_) => {
            tracing::error!("a write panicked and was undone");
            db.execute_batch(undo)?;
            Ok(None)
        }
    }
}

/// In order of last occurrence: what happened to an object last is all that a stream must say.
fn newest_of_each(events: Vec<Event>) -> Vec<Event> {
    let mut keep = vec![false; events.len()];
    let mut seen = HashSet::new();
    for (at, event) in events.iter().enumerate().rev() {
        keep[at] = seen.insert(event.key());
    }
    drop(seen);
    events
        .into_iter()
        .zip(keep)
        .filter_map(|(event, keep)| keep.then_some(event))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::kind::Kind, *};

    #[test]
    fn the_last_event_of_each_object_is_told() {
        let up = |id: &str, updated| Event::Upsert {
            kind: Kind::Asset,
            id: id.into(),
            updated,
        };
        let del = |id: &str| Event::Delete {
            kind: Kind::Asset,
            id: id.into(),
        };
        let told = newest_of_each(vec![
            up("a", 1),
            up("b", 1),
            up("a", 2),
            del("b"),
            up("c", 3),
        ]);
        assert_eq!(told, [up("a", 2), del("b"), up("c", 3)]);
    }
}
