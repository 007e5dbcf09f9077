//! The command line: one file per command, and shared parts.
//!
//! [`args`] defines the commands and options, [`common`] reads the common options, [`log`] opens the log.
//! Each command's file has its details.

mod args;
mod ask;
mod common;
mod completions;
mod demo;
mod doctor;
mod export;
mod import;
mod log;
mod meter;
mod model;
mod private_memory;
mod serve;
mod service;
mod terminal;

use args::{Cli, Command};
use clap::FromArgMatches;
use common::Target;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Exit code for an invalid option or argument, the same as clap's.
const USAGE: u8 = 2;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let matches = args::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Developers debug their own builds.
    if !cfg!(debug_assertions) {
        private_memory::keep();
    }
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&cli.common, cli.client_process_id),
        Command::Model(options) => run(&cli.common, async |target| {
            model::run(target, options).await
        }),
        Command::Ask(options) => run(&cli.common, async |target| ask::run(target, options).await),
        Command::Completions { shell } => completions::run(shell),
        Command::Doctor(options) => run(&cli.common, async |target| {
            doctor::run(target, options).await
        }),
        Command::Import(options) => run(&cli.common, async |target| {
            import::run(target, options).await
        }),
        Command::Export(options) => run(&cli.common, async |target| {
            export::run(target, options).await
        }),
        Command::Demo => run(&cli.common, async |_| demo::run().await),
        Command::Service(options) => run(&cli.common, async |target| {
            service::run(target, options).await
        }),
    }
}

/// How long a command that is done waits for threads that still read.
const LEFT_THREADS: Duration = Duration::from_secs(1);

/// Runs any command but `serve`: an invalid common option ends it.
fn run(common: &args::Common, command: impl AsyncFnOnce(Target) -> ExitCode) -> ExitCode {
    let started = Target::read(common)
        .and_then(|target| log::level(common).map(|_| target))
        .map_err(|wrong| (USAGE, wrong))
        .and_then(|target| {
            let log = log::start(common).map_err(|wrong| (1, wrong))?;
            Ok((target, log, runtime().map_err(|wrong| (1, wrong))?))
        });
    match started {
        Ok((target, _log, runtime)) => {
            let code = runtime.block_on(command(target));
            // A thread that reads from a dead network mount never ends.
            runtime.shutdown_timeout(LEFT_THREADS);
            code
        }
        Err((code, wrong)) => {
            complain(&wrong);
            ExitCode::from(code)
        }
    }
}

fn runtime() -> Result<Runtime, String> {
    crate::memory::share_heap();
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("Cannot start a thread ({error}); close other programs first."))
}

/// Prints one sentence to stderr, prefixed with the program's name.
fn complain(sentence: &str) {
    // Stderr may be closed.
    // In one write: the thread of the log writes to stderr, too.
    let sentence = common::sentence(&common::in_options(&terminal::inert(sentence)));
    let line = format!("pieces-lsp: {sentence}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}
