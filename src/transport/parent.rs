//! Watching the process that started us, so that we never outlive a killed editor.

use std::io;
use std::thread;
use tokio::sync::oneshot;
use waitpid_any::WaitHandle;

/// Resolves when process `pid` has ended; never resolves when it cannot be watched.
///
/// The handle is taken before this returns, so a pid that is recycled later is no danger. A pid
/// that does not exist at the start is only logged: an editor outside of our container sends one
/// that means nothing here.
pub fn gone(pid: i64) -> impl Future<Output = ()> + Send + 'static {
    let watched = watch(pid);
    if let Err(error) = &watched {
        tracing::warn!(pid, %error, "cannot watch the parent process");
    }
    async move {
        let ended = match watched {
            Ok(ended) => ended.await.is_ok(),
            Err(_) => false,
        };
        if !ended {
            std::future::pending::<()>().await;
        }
    }
}

fn watch(pid: i64) -> io::Result<oneshot::Receiver<()>> {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    let mut handle = WaitHandle::open(pid.ok_or(io::ErrorKind::InvalidInput)?)?;
    let (gone, ended) = oneshot::channel();
    thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            let result = loop {
                match handle.wait() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            };
            match result {
                // Nobody listening any more is fine: the process is ending anyway.
                Ok(()) => drop(gone.send(())),
                Err(error) => tracing::warn!(%error, "lost sight of the parent process"),
            }
        })?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[cfg(unix)]
    #[tokio::test]
    async fn resolves_when_the_process_ends_and_not_before() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let gone = gone(i64::from(child.id()));
        tokio::pin!(gone);
        assert!(timeout(Duration::from_millis(20), &mut gone).await.is_err());
        drop(child.stdin.take());
        assert!(timeout(Duration::from_secs(10), &mut gone).await.is_ok());
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_pid_that_means_nothing_is_ignored() {
        for pid in [0, -1, i64::from(i32::MAX), i64::MAX] {
            assert!(timeout(Duration::from_millis(5), gone(pid)).await.is_err());
        }
    }
}
