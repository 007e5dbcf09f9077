//! Processes long slices on several cores.

use std::panic::resume_unwind;
use std::thread::{available_parallelism, scope};

/// From this many conversations on, more than one core is faster.
const PARALLEL: usize = 16_384;
/// Maximum cores for one task.
const MOST_CORES: usize = 4;

/// Splits `items`, which represent this many conversations, into one part for each core and returns the
/// results of `work` in order. `work` receives the offset of its part.
pub(super) fn parallel_chunks<T: Sync, R: Send>(
    items: &[T],
    conversations: usize,
    work: impl Fn(usize, &[T]) -> R + Sync,
) -> Vec<R> {
    let cores = match conversations {
        0..PARALLEL => 1,
        _ => available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_CORES),
    };
    let each = items.len().div_ceil(cores).max(1);
    let (mine, others) = items.split_at(each.min(items.len()));
    let work = &work;
    scope(|scope| {
        let others: Vec<_> = (1..)
            .zip(others.chunks(each))
            .map(|(at, stretch)| scope.spawn(move || work(at * each, stretch)))
            .collect();
        let mut done = vec![work(0, mine)];
        done.extend(others.into_iter().map(|other| match other.join() {
            Ok(done) => done,
            Err(panic) => resume_unwind(panic),
        }));
        done
    })
}
