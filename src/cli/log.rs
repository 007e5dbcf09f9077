//! The log, on stderr or in a file. Never on stdout, which carries LSP frames.
//!
//! Logging never blocks and never fails: lines go through a bounded queue to a thread. A slow reader loses
//! lines, a closed pipe loses all of them.

use super::args::Common;
use super::common::{non_empty, printable};
use crate::lsp::log_panics;
use crate::private;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const DEFAULT: LevelFilter = LevelFilter::WARN;
/// Maximum queued bytes; lines beyond them are dropped and counted.
const QUEUED: usize = 1 << 20;
/// How long the end of the program waits for the last lines to be written.
const FLUSH: Duration = Duration::from_millis(200);

/// The log of this process. Dropping it waits briefly for the last lines to be written.
#[must_use = "the last lines are lost without it"]
pub(super) struct Log(Option<Lines>);

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(lines) = &self.0 {
            lines.finish(FLUSH);
        }
    }
}

/// Starts logging according to the options.
///
/// # Errors
/// One sentence; nothing is logged then.
pub(super) fn start(common: &Common) -> Result<Log, String> {
    Ok(begin(level(common)?, file(common)?))
}

/// Starts logging with the valid options, and returns a sentence for each invalid one.
pub(super) fn start_anyway(common: &Common) -> (Log, Vec<String>) {
    let (level, file) = (level(common), file(common));
    let wrong = [level.as_ref().err(), file.as_ref().err()];
    let wrong = wrong.into_iter().flatten().cloned().collect();
    let log = begin(level.unwrap_or(DEFAULT), file.unwrap_or(None));
    (log, wrong)
}

fn begin(level: LevelFilter, file: Option<File>) -> Log {
    // A duplicate of the descriptor: other writers to stderr do not wait for its lock.
    let sink = file.map_or_else(stderr, Ok);
    let Ok(lines) = sink.and_then(Lines::start) else {
        return Log(None);
    };
    // tower-lsp logs an error if the editor leaves before a notification is sent.
    let heard = Targets::new()
        .with_default(level)
        .with_target("tower_lsp", LevelFilter::OFF);
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_max_level(level)
        // It would print to stderr, and panic if stderr is closed.
        .log_internal_errors(false)
        .with_writer(move || writer.clone())
        .finish()
        .with(heard)
        .init();
    log_panics();
    Log(Some(lines))
}

fn stderr() -> io::Result<File> {
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&io::stderr()).try_clone_to_owned()?;
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&io::stderr()).try_clone_to_owned()?;
    Ok(File::from(own))
}

/// Lines queued for a file or stderr. Each write is one line, as tracing makes it.
#[derive(Clone)]
struct Lines(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when a line is queued.
    filled: Condvar,
    /// Signalled when everything has been written.
    drained: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// Bytes accepted and not yet written.
    bytes: usize,
    dropped: usize,
}

impl Lines {
    fn start(mut sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
        });
        let writing = Arc::clone(&shared);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writing.write_to(&mut sink))?;
        Ok(Self(shared))
    }

    /// Waits until everything is written, or until the timeout.
    fn finish(&self, within: Duration) {
        let deadline = Instant::now() + within;
        let mut queue = self.0.lock();
        while queue.bytes > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.drained.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.lock();
        if queue.bytes + line.len() > QUEUED {
            queue.dropped += 1;
        } else {
            queue.bytes += line.len();
            queue.lines.push_back(line.to_vec());
            drop(queue);
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, sink: &mut impl Write) {
        loop {
            let mut queue = self.lock();
            let line = loop {
                match queue.lines.pop_front() {
                    Some(line) => break line,
                    None => {
                        let waited = self.filled.wait(queue);
                        queue = waited.unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            let dropped = std::mem::take(&mut queue.dropped);
            drop(queue);
            // Ignored: a full disk may have space again later, and a closed pipe has no reader.
            let _ = sink.write_all(&line);
            if dropped > 0 {
                let note = format!(
                    "({dropped} lines of the log were dropped because they were not read)\n"
                );
                let _ = sink.write_all(note.as_bytes());
            }
            let mut queue = self.lock();
            queue.bytes -= line.len();
            if queue.bytes == 0 {
                self.drained.notify_all();
            }
        }
    }
}

/// The level that the options ask for.
///
/// # Errors
/// One sentence: there is no such level.
pub(super) fn level(common: &Common) -> Result<LevelFilter, String> {
    let Some(name) = non_empty(common.log_level.as_deref()) else {
        return Ok(DEFAULT);
    };
    name.parse().map_err(|_| {
        let name = printable(name);
        format!("There is no log level `{name}`; it is off, error, warn, info, debug or trace.")
    })
}

fn file(common: &Common) -> Result<Option<File>, String> {
    let path = common.log_file.as_deref();
    let path = path.filter(|path| !path.as_os_str().is_empty());
    path.map(open).transpose()
}

/// Opens the log for appending. A new file is readable by its owner only; an existing one keeps its
/// permissions, which its owner chose. Refuses symbolic links and files of other users.
fn open(path: &Path) -> Result<File, String> {
    let refused = |why: &str| {
        format!(
            "The log file {} cannot be written: {why}; pass another `--log-file`, or none to log to stderr.",
            path.display()
        )
    };
    let mut options = File::options();
    options.append(true).create(true);
    // A terminal, or `/dev/null`.
    if fs::symlink_metadata(path).is_ok_and(|meta| is_char_device(&meta)) {
        return options
            .open(path)
            .map_err(|error| refused(&error.to_string()));
    }
    let file = private::file(path, &mut options).map_err(|error| refused(&error.to_string()))?;
    match belongs_to_us(&file) {
        Ok(true) => Ok(file),
        Ok(false) => Err(refused("it belongs to another user")),
        Err(error) => Err(refused(&error.to_string())),
    }
}

fn is_char_device(meta: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::FileTypeExt::is_char_device(&meta.file_type());
    #[cfg(not(unix))]
    return !meta.is_file() && !meta.is_dir() && !meta.is_symlink();
}

fn belongs_to_us(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return Ok(std::os::unix::fs::MetadataExt::uid(&file.metadata()?)
        == rustix::process::geteuid().as_raw());
    #[cfg(not(unix))]
    return file.metadata().map(|_| true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that reports each line, and then waits for its outcome.
    struct Slow {
        given: mpsc::Sender<Vec<u8>>,
        outcomes: mpsc::Receiver<io::Result<()>>,
    }

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.given.send(line.to_vec());
            self.outcomes.recv().map_err(io::Error::other)??;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Lines, mpsc::Sender<io::Result<()>>, mpsc::Receiver<Vec<u8>>) {
        let (go, outcomes) = mpsc::channel();
        let (given, read) = mpsc::channel();
        (Lines::start(Slow { given, outcomes }).unwrap(), go, read)
    }

    #[test]
    fn logging_never_waits_and_counts_dropped_lines() {
        let (mut lines, go, read) = slow();
        let line = vec![b'x'; QUEUED / 4];
        lines.write_all(&line).unwrap();
        assert_eq!(read.recv().unwrap(), line);
        for _ in 0..9 {
            lines.write_all(&line).unwrap();
        }
        // Nobody reads: the wait ends with its timeout.
        lines.finish(Duration::from_millis(1));
        for _ in 0..5 {
            go.send(Ok(())).unwrap();
        }
        lines.finish(Duration::from_secs(60));
        let later: Vec<_> = read.try_iter().collect();
        let (texts, notes): (Vec<_>, Vec<_>) = later.into_iter().partition(|text| *text == line);
        assert_eq!(texts.len(), 3);
        let notes = String::from_utf8(notes.concat()).unwrap();
        assert!(notes.starts_with("(6 lines"), "{notes}");
    }

    #[test]
    fn a_failing_reader_loses_only_its_lines() {
        let (mut lines, go, read) = slow();
        for (line, outcome) in [
            ("first", Err(io::ErrorKind::BrokenPipe.into())),
            ("second", Ok(())),
        ] {
            lines.write_all(line.as_bytes()).unwrap();
            go.send(outcome).unwrap();
            lines.finish(Duration::from_secs(60));
            assert_eq!(read.recv().unwrap(), line.as_bytes());
        }
    }
}
