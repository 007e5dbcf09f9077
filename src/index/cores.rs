//! Long slices, worked on by several cores at once.

use std::panic::resume_unwind;
use std::thread::{available_parallelism, scope};

/// From this many conversations on it pays to use more than one core.
const PARALLEL: usize = 16_384;
/// Most cores that one piece of work takes.
const MOST_CORES: usize = 4;

/// Cuts `items`, which stand for so many conversations, into one stretch for each core and returns
/// what `work` made of each, in order. `work` is told where in `items` its stretch begins.
pub(super) fn share<T: Sync, R: Send>(
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
