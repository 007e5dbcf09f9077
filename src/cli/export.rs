//! `pieces-lsp export`.

use super::args::ExportOptions;
use super::common::{Target, absolute};
use super::complain;
use super::meter::Meter;
use super::terminal::{count, inert};
use crate::service;
use crate::transfer::{self, Exported};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) async fn run(target: Target, options: ExportOptions) -> ExitCode {
    let meter = Arc::new(Meter::new());
    let outcome = tokio::select! {
        outcome = copy(target, &options, meter.clone()) => outcome,
        _ = tokio::signal::ctrl_c() => Err("Interrupted; nothing was exported.".to_owned()),
    };
    meter.finish();
    match outcome {
        Ok(exported) => {
            exported.notice.iter().for_each(|notice| complain(notice));
            let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            // Stdout may be closed.
            let _ = writeln!(
                io::stdout(),
                "{} ({} in all) {} in {}",
                count(number(exported.conversations), "conversation"),
                count(number(exported.objects), "object"),
                if exported.conversations == 1 {
                    "is"
                } else {
                    "are"
                },
                inert(&options.directory.display().to_string())
            );
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

async fn copy(
    target: Target,
    options: &ExportOptions,
    meter: Arc<Meter>,
) -> Result<Exported, String> {
    let data_dir = match target.data_dir {
        Some(dir) => dir,
        None => service::default_data_dir().map_err(|error| error.to_string())?,
    };
    let progress = move |progress| meter.show(progress);
    let directory = absolute(options.directory.clone());
    let exporting = transfer::export(&data_dir, &directory, progress);
    exporting.await.map_err(|error| error.to_string())
}
