//! `pieces-lsp completions`: a completion script for a shell.

use super::args;
use super::complain;
use clap_complete::Shell;
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "pieces-lsp", &mut script);
    match io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has what it wanted, as `| head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("The script cannot be written: {error}."));
            ExitCode::FAILURE
        }
    }
}
