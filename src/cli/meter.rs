//! Progress of a long command on stderr: a bar on a terminal, lines elsewhere.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::transfer::Progress;

/// Width of the bar in cells.
const WIDTH: u64 = 30;
/// Interval between redraws of the bar.
const FRAME: Duration = Duration::from_millis(80);
/// Interval between lines without a terminal.
const LINE: Duration = Duration::from_secs(5);

/// Shows the progress of one command.
pub(super) struct Meter {
    terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    what: &'static str,
    shown: Option<Instant>,
    /// Whether the current line is a bar.
    drawn: bool,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    /// Shows the progress, unless it was shown a moment ago.
    pub(super) fn show(&self, progress: Progress) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = if self.terminal { FRAME } else { LINE };
        let next = state.what != progress.what || progress.done >= progress.total;
        // Without a terminal, a short command prints no progress.
        let due = match state.shown {
            None => self.terminal,
            Some(shown) => shown.elapsed() >= pause,
        };
        if state.shown.is_none() {
            state.shown = Some(Instant::now());
        }
        if !(due || (self.terminal && next)) {
            return;
        }
        state.shown = Some(Instant::now());
        state.what = progress.what;
        let text = if self.terminal {
            state.drawn = true;
            format!("\r{}\x1b[K", bar(progress))
        } else {
            format!("{}\n", words(progress))
        };
        // A closed stderr does not stop the command.
        let _ = stderr().write_all(text.as_bytes());
    }

    /// Ends the bar's line before other output.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.drawn) {
            let _ = stderr().write_all(b"\r\x1b[K");
        }
    }
}

fn words(Progress { what, done, total }: Progress) -> String {
    if done == total {
        format!("{done} {what}")
    } else {
        format!("{done} of {total} {what}")
    }
}

fn bar(progress: Progress) -> String {
    let Progress { done, total, .. } = progress;
    let filled = (done.min(total) * WIDTH)
        .checked_div(total)
        .unwrap_or(WIDTH);
    let cells: String = (0..WIDTH)
        .map(|cell| if cell < filled { '█' } else { '░' })
        .collect();
    format!("{cells} {}", words(progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        let bar = |done, total| {
            bar(Progress {
                what: "assets",
                done,
                total,
            })
        };
        assert_eq!(bar(0, 4), format!("{} 0 of 4 assets", "░".repeat(30)));
        assert_eq!(
            bar(2, 4),
            format!("{}{} 2 of 4 assets", "█".repeat(15), "░".repeat(15))
        );
        assert_eq!(bar(0, 0), format!("{} 0 assets", "█".repeat(30)));
    }
}
