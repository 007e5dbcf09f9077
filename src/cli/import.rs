//! `pieces-lsp import`.

use std::process::ExitCode;

use super::progress::Meter;
use super::{Common, fail};
use crate::service;
use crate::transfer::{self, Error, Import, Origin, Report};

/// Arguments of `pieces-lsp import`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A Pieces OS (http://127.0.0.1:PORT), or the conversations.jsonl of an export, or its
    /// directory. Without it: the Pieces OS that runs on this machine.
    #[arg(long, value_name = "URL|FILE")]
    from: Option<String>,
    /// Only count what would be copied; nothing is written.
    #[arg(long)]
    dry_run: bool,
}

/// Copies, tells what became of it, and fails if anything could not be read.
pub(super) async fn run(arguments: Arguments, common: Common) -> ExitCode {
    let from = arguments.from.or(common.url);
    let from = match Origin::parse(from.as_deref(), common.allow_remote) {
        Ok(from) => from,
        Err(refusal) => return fail(&refusal),
    };
    let data_dir = match common.data_dir.map_or_else(service::default_data_dir, Ok) {
        Ok(dir) => dir,
        Err(error) => return fail(&error.to_string()),
    };
    let import = Import {
        from,
        data_dir,
        dry_run: arguments.dry_run,
    };
    let meter = Meter::new();
    let outcome = tokio::select! {
        outcome = transfer::import(&import, |progress| meter.show(progress)) => outcome,
        _ = tokio::signal::ctrl_c() => {
            meter.finish();
            return fail("Interrupted; what was copied stays, and the next import goes on from there.");
        }
    };
    meter.finish();
    match outcome {
        Ok(report) => tell(&report, import.dry_run),
        Err(error) => fail(&broken_off(&error)),
    }
}

#[expect(clippy::print_stdout, reason = "the result is what the command prints")]
fn tell(report: &Report, dry_run: bool) -> ExitCode {
    for (kind, counts) in &report.by_kind {
        println!("{:<14}{counts}", kind.plural());
    }
    println!(
        "{:<14}{}{}",
        "total",
        report.counts,
        if dry_run {
            " (nothing was written)"
        } else {
            ""
        }
    );
    if let Some(notice) = &report.notice {
        say(notice);
    }
    for one in &report.unreadable {
        say(&one.to_string());
    }
    match report.counts.unreadable {
        0 => ExitCode::SUCCESS,
        count => fail(&format!(
            "{count} could not be read or kept; everything else was. Run it again to try them once more."
        )),
    }
}

fn say(line: &str) {
    use std::io::Write as _;
    // Nobody to tell it to changes nothing.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn broken_off(error: &Error) -> String {
    match error.so_far.total() {
        0 => error.to_string(),
        _ => format!(
            "{error} Until then: {}; the next import goes on from there.",
            error.so_far
        ),
    }
}
