//! `pieces-lsp export`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::progress::Meter;
use super::{Common, fail};
use crate::service;
use crate::transfer;

/// Arguments of `pieces-lsp export`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to: a directory that does not exist yet or is empty.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Exports and tells how much.
#[expect(clippy::print_stdout, reason = "the result is what the command prints")]
pub(super) async fn run(arguments: Arguments, common: Common) -> ExitCode {
    let data_dir = match common.data_dir.map_or_else(service::default_data_dir, Ok) {
        Ok(dir) => dir,
        Err(error) => return fail(&error.to_string()),
    };
    let meter = std::sync::Arc::new(Meter::new());
    let shown = meter.clone();
    let outcome = tokio::select! {
        outcome = transfer::export(&data_dir, &arguments.directory, move |progress| shown.show(progress)) => outcome,
        _ = tokio::signal::ctrl_c() => {
            meter.finish();
            return fail("Interrupted; nothing was exported.");
        }
    };
    meter.finish();
    match outcome {
        Ok(exported) => {
            if let Some(notice) = &exported.notice {
                tracing::warn!("{notice}");
            }
            println!(
                "{} conversations ({} objects in all) are in {}",
                exported.conversations,
                exported.objects,
                arguments.directory.display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}
