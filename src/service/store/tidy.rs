//! Erases deleted and replaced texts from the files while there are no writes.
//!
//! SQLite overwrites deleted data (`secure_delete`), but two places keep copies: the full-text index until
//! its segments are merged, and the log until a checkpoint truncates it.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::respace;

/// Time without writes before the work begins.
const QUIET: Duration = Duration::from_secs(5);
/// Pages of the full-text index merged in one step; a write waits for at most one step.
const STEP: i64 = 200;
/// Interval between attempts to truncate the log while a reader uses an old snapshot.
const AGAIN: Duration = Duration::from_secs(60);
/// Time spent at the end of the process; the next start continues.
const FAREWELL: Duration = Duration::from_millis(100);

/// Records that the full-text index has stale text, in the transaction that made it stale.
pub(super) fn remember(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO meta (key, value) VALUES ('stale_text', '') ON CONFLICT DO NOTHING",
    )?
    .execute([])?;
    Ok(())
}

/// The remaining work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Write entries of an older format again.
    Respace,
    /// Check for stale text, and begin to merge.
    Look,
    /// Continue merging.
    Merge,
    Truncate,
    Nothing,
}

pub(super) struct Tidy {
    next: Next,
    wait: Duration,
}

impl Tidy {
    /// A killed process may have left work.
    pub(super) fn new() -> Self {
        Self {
            next: Next::Respace,
            wait: Duration::ZERO,
        }
    }

    /// When the next [`step`](Self::step) is due if there are no writes; `None`: never.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.next != Next::Nothing).then_some(self.wait)
    }

    pub(super) fn written(&mut self) {
        if self.next != Next::Respace {
            (self.next, self.wait) = (Next::Look, QUIET);
        }
    }

    /// Does one bounded part of the work. After a failure the next quiet period retries.
    pub(super) fn step(&mut self, db: &Connection) {
        let done = match self.next {
            Next::Respace => {
                self.respace(db);
                return;
            }
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

    /// A store that cannot be written now is looked at again by the next start.
    fn respace(&mut self, db: &Connection) {
        let more = respace::step(db).unwrap_or_else(|failure| {
            tracing::debug!(?failure, "older texts are not indexed again yet");
            false
        });
        if !more {
            (self.next, self.wait) = (Next::Look, QUIET);
        }
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
    // A negative number merges all segments, not only those that are due.
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
    // FTS5 counts one change even if there was nothing to merge.
    if db.total_changes() - before >= 2 {
        return Ok(Next::Merge);
    }
    db.execute("DELETE FROM meta WHERE key = 'stale_text'", [])?;
    Ok(Next::Truncate)
}

fn truncate(db: &Connection) -> rusqlite::Result<Next> {
    // Does not wait for readers of old snapshots: writers would wait, too.
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
