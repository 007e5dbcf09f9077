//! Prints an answer while it is written.

use crate::ask::{Event, Status};
use crate::cli::terminal::dim;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A wait longer than this is shown with its duration.
const LONG: Duration = Duration::from_secs(2);

/// Prints the answer to stdout, and the status of the model to stderr if that is a terminal.
pub(super) struct Printer {
    /// stdout is a terminal, which must not receive control characters of the answer.
    careful: bool,
    /// The status is shown.
    shows_status: bool,
    /// The current line of the terminal is a status.
    drawn: bool,
    status: Option<Status>,
    sent: Option<Instant>,
    /// Bytes of the answer that were printed.
    printed: usize,
    /// The last printed byte was a line break.
    at_start: bool,
    /// Why stdout could not be written, if it could not once.
    broken: Option<io::ErrorKind>,
    pub conversation: Option<Uuid>,
}

impl Printer {
    pub fn new() -> Self {
        Printer {
            careful: io::stdout().is_terminal(),
            shows_status: io::stderr().is_terminal(),
            drawn: false,
            status: None,
            sent: None,
            printed: 0,
            at_start: true,
            broken: None,
            conversation: None,
        }
    }

    /// Prints an event.
    ///
    /// # Errors
    /// stdout is closed.
    pub fn tell(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Created(one) => self.conversation = Some(one.id),
            Event::Sent { conversation } => {
                self.conversation = *conversation;
                self.sent = Some(Instant::now());
            }
            Event::Status { status, .. } => self.status = Some(*status),
            Event::Delta { text, .. } => self.print(text)?,
        }
        Ok(())
    }

    pub fn was_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// Whether words of the answer were received.
    pub fn has_words(&self) -> bool {
        self.printed > 0
    }

    /// Shows how long the model has been waited for.
    pub fn tick(&mut self) {
        let waited = self.sent.map(|at| at.elapsed()).unwrap_or_default();
        if !self.shows_status || self.printed > 0 || waited < LONG {
            return;
        }
        let what = match self.status {
            Some(Status::Thinking) => "thinking",
            _ => "waiting for the model",
        };
        let line = format!("{what}, {} s", waited.as_secs());
        let _ = write!(io::stderr(), "\r{}\x1b[K", dim(&line));
        self.drawn = true;
    }

    /// Prints the rest of the answer, if it has one, and ends the line.
    ///
    /// # Errors
    /// Not all of it was written.
    pub fn end(&mut self, whole: &str) -> io::Result<()> {
        // What fails is remembered.
        let _ = self.print(whole.get(self.printed..).unwrap_or_default());
        self.clear();
        if !self.at_start {
            let ended = writeln!(io::stdout());
            let _ = self.remember(ended);
            self.at_start = true;
        }
        self.broken.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn remember(&mut self, written: io::Result<()>) -> io::Result<()> {
        self.broken = self.broken.or(written.as_ref().err().map(io::Error::kind));
        written
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.clear();
        self.printed += text.len();
        self.at_start = text.ends_with('\n');
        let mut stdout = io::stdout().lock();
        let written = match self.careful {
            true => stdout.write_all(harmless(text).as_bytes()),
            false => stdout.write_all(text.as_bytes()),
        };
        let written = written.and_then(|()| stdout.flush());
        self.remember(written)
    }

    fn clear(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.drawn = false;
        }
    }
}

/// Text without control characters that a terminal would obey.
fn harmless(text: &str) -> String {
    let plain = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_orders() {
        assert_eq!(
            harmless("a\tb\n\u{1b}[31mred\u{7}\r\u{9b}2J é"),
            "a\tb\n[31mred2J é"
        );
    }
}
