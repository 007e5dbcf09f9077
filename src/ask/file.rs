//! Reading a file that the user named.

use super::limits::{MAX_FILE, READ_FILE};
use crate::private;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio::time::{Instant, timeout_at};

/// The start of a text, and the length of the whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// At most [`MAX_FILE`] bytes.
    pub text: String,
    /// The length of the file in bytes.
    pub bytes: u64,
}

/// Reads the start of a regular text file. `until`: the deadline of all files of a question.
///
/// # Errors
/// Why it cannot be read: a predicate that follows the name of the file.
pub(super) async fn read(path: PathBuf, until: Instant) -> Result<Start, &'static str> {
    let read = within(until, move || read_now(&path)).await;
    read.unwrap_or(Err("could not be read in time"))
}

/// Where a path leads. `None` if nothing is there, or the file system does not answer in time.
pub(super) async fn real(path: PathBuf, until: Instant) -> Option<PathBuf> {
    within(until, move || path.canonicalize().ok()).await?
}

/// Asks the file system; `None` if it does not answer in time. After the deadline nothing is asked, because each request
/// to a dead network mount takes a thread for ever.
async fn within<T: Send + 'static>(
    until: Instant,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let now = Instant::now();
    if now >= until {
        return None;
    }
    let asking = tokio::task::spawn_blocking(ask);
    timeout_at(until.min(now + READ_FILE), asking)
        .await
        .ok()?
        .ok()
}

fn read_now(path: &Path) -> Result<Start, &'static str> {
    let file = private::regular(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist",
        io::ErrorKind::PermissionDenied => "cannot be read with your permissions",
        _ if path.is_dir() => "is a directory",
        _ => "is not a regular file",
    })?;
    let bytes = file.metadata().map_err(|_| "cannot be read")?.len();
    let mut start = Vec::new();
    let read = file.take(MAX_FILE as u64 + 1).read_to_end(&mut start);
    read.map_err(|_| "cannot be read")?;
    let bytes = bytes.max(start.len() as u64);
    let whole = start.len() <= MAX_FILE;
    start.truncate(MAX_FILE);
    let text = match String::from_utf8(start) {
        Ok(text) => text,
        // The limit may be in the middle of a character.
        Err(error) if !whole && error.utf8_error().error_len().is_none() => {
            let end = error.utf8_error().valid_up_to();
            let mut start = error.into_bytes();
            start.truncate(end);
            String::from_utf8(start).map_err(|_| "is not text")?
        }
        Err(_) => return Err("is not text"),
    };
    match text.contains('\0') {
        true => Err("is not text"),
        false => Ok(Start { text, bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_regular_text_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let until = Instant::now() + READ_FILE;
        let read = |path| read(path, until);
        let text = read(write("a.rs", b"fn a() {}")).await.unwrap();
        assert_eq!((text.text.as_str(), text.bytes), ("fn a() {}", 9));
        let long = "é".repeat(MAX_FILE);
        let cut = read(write("long", long.as_bytes())).await.unwrap();
        assert_eq!((cut.text.len(), cut.bytes), (MAX_FILE, 2 * MAX_FILE as u64));
        let odd = read(write("odd", format!("a{long}").as_bytes()))
            .await
            .unwrap();
        assert_eq!(odd.text.len(), MAX_FILE - 1);
        for (path, why) in [
            (write("nul", b"a\0b"), "is not text"),
            (write("latin1", b"caf\xe9"), "is not text"),
            (dir.path().to_owned(), "is a directory"),
            (dir.path().join("none"), "does not exist"),
        ] {
            assert_eq!(read(path).await, Err(why));
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let read = read(pipe, Instant::now() + READ_FILE).await;
        assert_eq!(read, Err("is not a regular file"));
    }

    #[tokio::test]
    async fn after_the_deadline_the_file_system_is_not_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rs");
        std::fs::write(&path, "fn a() {}").unwrap();
        let now = Instant::now();
        assert_eq!(real(path.clone(), now).await, None);
        assert_eq!(read(path, now).await, Err("could not be read in time"));
        let asked = within(now, || unreachable!("it was asked")).await;
        assert_eq!(asked, None::<()>);
    }
}
