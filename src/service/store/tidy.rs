//! Erases deleted and replaced texts from the files once nobody writes.
//!
//! SQLite overwrites what is deleted (`secure_delete`), but two places keep copies: the full-text index
//! until its segments are merged, and the log until a checkpoint truncates it.

use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How long nobody must have written before the work begins.
const QUIET: Duration = Duration::from_secs(5);
/// Pages of the full-text index that one step merges; writes wait no longer than for one step.
const STEP: i64 = 200;
/// Between two attempts to truncate the log while somebody reads an old state of the store.
const AGAIN: Duration = Duration::from_secs(60);
/// How much time the end of a process spends on it; the next start goes on.
const FAREWELL: Duration = Duration::from_millis(100);

/// Notes that the full-text index holds stale text, in the transaction that made it stale.
pub(super) fn remember(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO meta (key, value) VALUES ('stale_text', '') ON CONFLICT DO NOTHING",
    )?
    .execute([])?;
    Ok(())
}

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Look whether there is stale text, and begin to merge.
    Look,
    /// Merge on.
    Merge,
    Truncate,
    Nothing,
}

pub(super) struct Tidy {
    next: Next,
    wait: Duration,
}

impl Tidy {
    /// A process that was killed may have left something.
    pub(super) fn new() -> Self {
        Self {
            next: Next::Look,
            wait: QUIET,
        }
    }

    /// When the next [`step`](Self::step) is due, if nobody writes; `None`: never.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.next != Next::Nothing).then_some(self.wait)
    }

    pub(super) fn written(&mut self) {
        *self = Self::new();
    }

    /// Does one bounded part of the work. A failure costs nothing: the next quiet time tries again.
    pub(super) fn step(&mut self, db: &Connection) {
        let done = match self.next {
            Next::Look => begin(db),
            Next::Merge => go_on(db),
            Next::Truncate => truncate(db),
            Next::Nothing => return,
        };
        (self.next, self.wait) = match done {
            Ok(Next::Truncate) if self.next == Next::Truncate => (Next::Truncate, AGAIN),
            Ok(next) => (next, Duration::ZERO),
            Err(error) => {
                tracing::debug!(%error, "deleted texts are not erased yet");
                (Next::Nothing, QUIET)
            }
        };
    }

    /// The work at the end of the process. SQLite truncates the log itself.
    pub(super) fn finish(&mut self, db: &Connection) {
        let started = Instant::now();
        while matches!(self.next, Next::Look | Next::Merge) && started.elapsed() < FAREWELL {
            self.step(db);
        }
    }
}

fn begin(db: &Connection) -> rusqlite::Result<Next> {
    let stale = db.query_row(
        "SELECT count(*) FROM meta WHERE key = 'stale_text'",
        [],
        |row| row.get::<_, i64>(0),
    )?;
    // A negative number takes all segments, not only those that are due.
    if stale > 0 {
        merge(db, -STEP)
    } else {
        Ok(Next::Truncate)
    }
}

fn go_on(db: &Connection) -> rusqlite::Result<Next> {
    merge(db, STEP)
}

fn merge(db: &Connection, pages: i64) -> rusqlite::Result<Next> {
    let before = db.total_changes();
    db.execute(
        "INSERT INTO search (search, rank) VALUES ('merge', ?1)",
        [pages],
    )?;
    // FTS5 counts one change even when there was nothing to merge.
    if db.total_changes() - before >= 2 {
        return Ok(Next::Merge);
    }
    db.execute("DELETE FROM meta WHERE key = 'stale_text'", [])?;
    Ok(Next::Truncate)
}

fn truncate(db: &Connection) -> rusqlite::Result<Next> {
    // Readers of an old state are not waited for: writers would wait, too.
    db.busy_timeout(Duration::ZERO)?;
    let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0)
    });
    db.busy_timeout(super::open::BUSY)?;
    Ok(if busy? == 0 {
        Next::Nothing
    } else {
        Next::Truncate
    })
}
