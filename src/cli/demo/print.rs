//! The output of the demo: numbered steps, with requests, responses and times.

use crate::cli::terminal::{bad, count, dim, good, strong, time};
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

/// Maximum characters of a message that are shown.
const SHOWN: usize = 150;

/// Prints the steps as they happen.
pub(super) struct Printer {
    started: Instant,
    steps: usize,
    /// The title of the current step.
    title: &'static str,
}

impl Printer {
    pub(super) fn start() -> Self {
        let printer = Printer {
            started: Instant::now(),
            steps: 0,
            title: "",
        };
        let title = concat!("pieces-lsp ", env!("CARGO_PKG_VERSION"), " demo");
        printer.line(&strong(title));
        printer
            .line("An editor, the language server and the local service, on a store of their own.");
        printer
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &'static str) {
        self.steps += 1;
        self.title = title;
        self.line("");
        let heading = format!("{}. {title}", self.steps);
        self.line(&strong(&heading));
    }

    /// Prints a fact.
    pub(super) fn note(&self, text: &str) {
        self.line(&format!("      {text}"));
    }

    /// Prints a request and its parameters.
    pub(super) fn sent(&self, what: &str, with: &Value) {
        self.line(&format!("   -> {}", message(what, with)));
    }

    /// Prints a response and its time.
    pub(super) fn came(&self, what: &str, with: &Value, after: Duration) {
        let time = dim(&format!("[{}]", time(after)));
        self.line(&format!("   <- {} {time}", message(what, with)));
    }

    /// All steps succeeded.
    pub(super) fn succeeded(&self) {
        let steps = count(self.steps, "step");
        let took = time(self.started.elapsed());
        self.line("");
        let done = format!("All {steps} succeeded, in {took}.");
        self.line(&good(&done));
        self.line("Next: point your editor's LSP client at the command `pieces-lsp`.");
    }

    /// The current step failed; `why` is a sentence without its full stop.
    pub(super) fn failed(&self, why: &str) {
        self.line("");
        let failed = format!("Step {} failed: {}.", self.steps, self.title);
        self.line(&bad(&failed));
        self.line(&format!("{}.", why.trim_end_matches('.')));
        self.line("If that does not help, see what `pieces-lsp doctor --backend local` finds.");
    }

    fn line(&self, text: &str) {
        // Stdout may be closed; the exit code still counts.
        let _ = writeln!(anstream::stdout(), "{text}");
    }
}

/// A method or command with its parameters.
fn message(what: &str, with: &Value) -> String {
    if with.is_null() {
        return what.to_owned();
    }
    let text = with.to_string();
    let mut visible = text.chars().filter(|c| !c.is_control());
    let shown: String = visible.by_ref().take(SHOWN).collect();
    let more = if visible.next().is_some() { "…" } else { "" };
    let gap = if what.is_empty() { "" } else { " " };
    format!("{what}{gap}{shown}{more}")
}
