//! Resolving paths, some of which may be on a dead network mount.

use crate::lsp::limits::{
    MAX_SLOW_DIRECTORIES, REAL_PATH_TIMEOUT, REAL_PATHS_AT_ONCE, SLOW_DIRECTORY,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// All lookups of the process, which share the threads for blocking work with other tasks.
static RESOLVER: LazyLock<Resolver> = LazyLock::new(|| Resolver::new(REAL_PATH_TIMEOUT));

/// Runs `resolve`, which asks the file system about `path`; `None` if it takes too long.
pub(crate) async fn resolved<T: Send + 'static>(
    path: &Path,
    resolve: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    RESOLVER.run(path, resolve).await
}

/// The path without symlinks; `None` if there is no such file, or no answer in time.
pub(crate) async fn real_path(path: PathBuf) -> Option<PathBuf> {
    let resolve = {
        let path = path.clone();
        move || path.canonicalize().ok()
    };
    resolved(&path, resolve).await?
}

/// Bounds the threads that wait for the file system.
struct Resolver {
    patience: Duration,
    /// A lookup keeps its permit until the file system responds, even if nothing waits for it any more.
    permits: Arc<Semaphore>,
    /// When a lookup in this directory timed out.
    slow: Mutex<HashMap<PathBuf, Instant>>,
}

impl Resolver {
    fn new(patience: Duration) -> Self {
        Resolver {
            patience,
            permits: Arc::new(Semaphore::new(REAL_PATHS_AT_ONCE)),
            slow: Mutex::default(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        path: &Path,
        resolve: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.is_slow(path) {
            return None;
        }
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = timeout(self.patience, permit).await.ok()?.ok()?;
        let resolving = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            resolve()
        });
        match timeout(self.patience, resolving).await {
            Ok(resolved) => resolved.ok(),
            Err(_) => {
                self.give_up(path);
                None
            }
        }
    }

    /// Whether a lookup in its directory, or in a parent, timed out within [`SLOW_DIRECTORY`].
    fn is_slow(&self, path: &Path) -> bool {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.retain(|_, since| since.elapsed() < SLOW_DIRECTORY);
        path.ancestors()
            .skip(1)
            .any(|above| slow.contains_key(above))
    }

    fn give_up(&self, path: &Path) {
        let Some(directory) = path.parent() else {
            return;
        };
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if slow.len() == MAX_SLOW_DIRECTORIES {
            slow.clear();
        }
        slow.insert(directory.to_owned(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Waits until its sender is dropped, like a dead mount.
    fn hang() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (sender, wait) = mpsc::channel::<()>();
        (sender, move || {
            let _ = wait.recv();
        })
    }

    #[tokio::test]
    async fn a_dead_mount_takes_a_few_threads_and_no_more() {
        let resolver = Resolver::new(Duration::ZERO);
        let mut hanging = Vec::new();
        for number in 0..20 {
            let (sender, hang) = hang();
            let path = format!("/dead/{number}/a.rs");
            assert_eq!(resolver.run(Path::new(&path), hang).await, None);
            hanging.push(sender);
        }
        assert_eq!(resolver.permits.available_permits(), 0);
        // A lookup that got no thread was dropped, and with it the receiver.
        let alive = hanging.iter().filter(|one| one.send(()).is_ok()).count();
        assert_eq!(alive, REAL_PATHS_AT_ONCE);
    }

    #[tokio::test]
    async fn a_slow_directory_is_not_asked_again_for_a_while() {
        let mut resolver = Resolver::new(Duration::ZERO);
        let (_sender, hang) = hang();
        assert_eq!(resolver.run(Path::new("/dead/a.rs"), hang).await, None);
        resolver.patience = Duration::from_secs(3600);
        for (path, answer) in [
            ("/dead/b.rs", None),
            ("/dead/c/d.rs", None),
            ("/alive/b.rs", Some(1)),
            ("/dead.rs", Some(1)),
        ] {
            assert_eq!(resolver.run(Path::new(path), || 1).await, answer, "{path}");
        }
        tokio::time::pause();
        tokio::time::advance(SLOW_DIRECTORY).await;
        assert!(!resolver.is_slow(Path::new("/dead/b.rs")));
    }
}
