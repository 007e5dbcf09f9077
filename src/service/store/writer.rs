//! The writer thread: queued jobs share a transaction and are answered after its commit. A job that is
//! refused, fails or is rolled back has changed nothing, and its response says why.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    change::Change,
    hub::{Event, Hub},
    tidy::{self, Tidy},
};
use crate::service::{Failure, hold::Watch, trouble::Trouble};

/// Maximum queued writes; further ones are refused.
const QUEUE: usize = 1024;
/// Maximum writes in one transaction.
const BATCH: usize = 256;
/// How long a caller waits for its commit.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(30);

/// One write and its caller.
trait Job: Send {
    /// Runs the write inside the open transaction.
    fn run(self: Box<Self>, db: &Connection) -> Ran;

    /// Answers without running it: nothing was changed.
    fn refuse(self: Box<Self>, why: Failure);
}

struct Write<T, F> {
    job: F,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Change<'_>) -> Result<T, Failure> + Send + 'static,
{
    fn run(self: Box<Self>, db: &Connection) -> Ran {
        let Self { job, answer } = *self;
        let mut change = Change::new(db);
        let result = job(&mut change);
        Ran {
            stale_text: change.stale_text,
            events: result.is_ok().then(|| change.into_events()),
            reply: Box::new(move |committed| {
                // The caller may have stopped waiting.
                let _ = answer.send(committed.and(result));
            }),
        }
    }

    fn refuse(self: Box<Self>, why: Failure) {
        let _ = self.answer.send(Err(why));
    }
}

/// Tells the caller how the transaction ended.
type Reply = Box<dyn FnOnce(Result<(), Failure>) + Send>;

struct Ran {
    /// Text that search found was deleted or replaced.
    stale_text: bool,
    /// `None` if the write failed and has to be undone.
    events: Option<Vec<Event>>,
    reply: Reply,
}

pub(super) struct Writer {
    queue: Mutex<Option<mpsc::SyncSender<Box<dyn Job>>>>,
}

/// Starts the thread; it ends after [`Writer::stop`], dropping `holding` last.
///
/// Nothing is committed once `watch` finds that the store is not where it was opened.
pub(super) fn start(
    db: Connection,
    hub: Arc<Hub>,
    watch: Watch,
    holding: impl Send + 'static,
) -> std::io::Result<(Writer, JoinHandle<()>)> {
    let (queue, jobs) = mpsc::sync_channel(QUEUE);
    let thread = thread::Builder::new()
        .name("pieces-store".to_owned())
        .spawn(move || {
            serve(&db, &hub, &watch, &jobs);
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

/// Runs writes until all senders are gone, and tidies up between them.
fn serve(db: &Connection, hub: &Hub, watch: &Watch, jobs: &mpsc::Receiver<Box<dyn Job>>) {
    let mut tidy = Tidy::new();
    loop {
        let first = match tidy.due() {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => jobs.recv_timeout(wait),
        };
        match first {
            Ok(first) => {
                let batch = std::iter::once(first).chain(jobs.try_iter()).take(BATCH);
                run_batch(db, hub, watch, batch);
                tidy.written();
            }
            Err(RecvTimeoutError::Timeout) => tidy.step(db),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    tidy.finish(db);
}

impl Writer {
    pub(super) async fn run<T, F>(&self, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&mut Change<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Write { job, answer });
        {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queue.as_ref().ok_or(Failure::Busy)?;
            queue.try_send(job).map_err(|_| Failure::Busy)?;
        }
        match tokio::time::timeout(OUTCOME_TIMEOUT, answered).await {
            Ok(Ok(result)) => result,
            // It panicked and was rolled back.
            Ok(Err(_)) => Err(Failure::Store(Trouble::Other(
                "a write panicked".to_owned(),
            ))),
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

fn run_batch(db: &Connection, hub: &Hub, watch: &Watch, batch: impl Iterator<Item = Box<dyn Job>>) {
    let mut outcome = db.execute_batch("BEGIN IMMEDIATE").map_err(Failure::from);
    let mut events = Vec::new();
    let mut replies = Vec::new();
    let mut stale_text = false;
    for job in batch {
        if let Err(why) = &outcome {
            job.refuse(why.clone());
            continue;
        }
        let (stale, ended) = run_one(db, job, &mut replies);
        stale_text |= stale;
        match ended {
            Ok(happened) => events.extend(happened),
            Err(error) => outcome = Err(error.into()),
        }
    }
    if outcome.is_ok() && stale_text {
        outcome = tidy::remember(db).map_err(Failure::from);
    }
    // As late as possible: the jobs may have waited for long.
    let outcome = outcome.and_then(|()| watch.check());
    let gate = hub.gate();
    let outcome = outcome.and_then(|()| commit(db));
    if outcome.is_err() && !db.is_autocommit() {
        // Fails only if SQLite has already rolled back.
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

fn commit(db: &Connection) -> Result<(), Failure> {
    db.execute_batch("COMMIT")
        .map_err(|error| match Failure::from(error) {
            // It may be complete in the log, where the next start would find it.
            Failure::Store(Trouble::Io) => Failure::Unknown,
            rolled_back => rolled_back,
        })
}

/// Runs one job in its own savepoint, so that its failure undoes no other job. Returns whether it left stale
/// text, and the events; `Err` means that the whole transaction is lost.
fn run_one(
    db: &Connection,
    job: Box<dyn Job>,
    replies: &mut Vec<Reply>,
) -> (bool, rusqlite::Result<Vec<Event>>) {
    if let Err(error) = db.execute_batch("SAVEPOINT job") {
        job.refuse(Failure::Store(Trouble::of(&error)));
        return (false, Err(error));
    }
    let undo = || db.execute_batch("ROLLBACK TO job; RELEASE job");
    match catch_unwind(AssertUnwindSafe(|| job.run(db))) {
        Ok(Ran {
            events: Some(events),
            reply,
            stale_text,
        }) => {
            replies.push(reply);
            let released = db.execute_batch("RELEASE job");
            (stale_text, released.map(|()| events))
        }
        Ok(Ran { reply, .. }) => {
            // A failed job changes nothing, so its response need not wait for the others.
            reply(Ok(()));
            (false, undo().map(|()| Vec::new()))
        }
        Err(_) => {
            tracing::error!("a write panicked and was undone");
            (false, undo().map(|()| Vec::new()))
        }
    }
}

/// In order of last occurrence: a stream needs only the last event of each object.
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
    fn the_last_event_of_each_object_is_sent() {
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
