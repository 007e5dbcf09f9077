//! Runs long computations off the loop, so that other requests do not wait for them.

use crate::lsp::limits::{LONG_WORK_AT_ONCE, SHORT_TEXT};
use tokio::sync::Semaphore;

static PERMITS: Semaphore = Semaphore::const_new(LONG_WORK_AT_ONCE);

/// Runs `work`, which reads `bytes` of text: on the loop up to [`SHORT_TEXT`], else off it. Work that has begun is
/// not stopped if the handler is cancelled, so `work` must be at most linear in `bytes`.
pub(crate) async fn reading<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= SHORT_TEXT {
        return work();
    }
    off_the_loop(work).await
}

/// Runs `work` on a thread of its own, [`LONG_WORK_AT_ONCE`] at a time. A panic in `work` panics here too.
pub(crate) async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    // The semaphore is never closed, so this cannot fail.
    let permit = PERMITS.acquire().await.ok();
    let working = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    match working
        .await
        .map_err(tokio::task::JoinError::try_into_panic)
    {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime ends, and this handler with it.
        Err(Err(_)) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    #[tokio::test]
    async fn a_short_text_is_read_on_the_spot_and_a_long_one_is_not() {
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(reading(SHORT_TEXT, thread).await, here);
        assert_ne!(reading(SHORT_TEXT + 1, thread).await, here);
    }

    #[tokio::test]
    async fn the_loop_goes_on_while_a_long_text_is_read() {
        let (done, wait) = mpsc::channel::<()>();
        let mut long = Box::pin(off_the_loop(move || wait.recv().is_ok()));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(long.as_mut().poll(&mut cx), Poll::Pending);
        done.send(()).unwrap();
        assert!(long.await);
    }

    #[tokio::test]
    async fn a_panic_comes_back() {
        let failing = tokio::spawn(off_the_loop(|| assert_eq!(1, 2)));
        assert!(failing.await.unwrap_err().is_panic());
    }
}
