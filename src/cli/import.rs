//! `pieces-lsp import`.

use super::args::ImportOptions;
use super::common::{Target, absolute, non_empty};
use super::complain;
use super::meter::Meter;
use super::terminal::inert;
use crate::service;
use crate::transfer::{self, Error, Import, Origin, Report, Step, Unreadable};
use std::io::{self, Write};
use std::process::ExitCode;

/// Imports, prints the counts, and fails if anything was unreadable.
pub(super) async fn run(target: Target, options: ImportOptions) -> ExitCode {
    let meter = Meter::new();
    let outcome = tokio::select! {
        outcome = copy(target, &options, &meter) => outcome,
        _ = tokio::signal::ctrl_c() => {
            Err(Broken::from("Interrupted; everything copied so far is kept, and the next import continues from there.".to_owned()))
        }
    };
    meter.finish();
    let sentence = match outcome {
        Ok(report) => {
            tell(&report, options.dry_run);
            match report.counts.unreadable {
                0 => return ExitCode::SUCCESS,
                count => format!(
                    "{count} could not be read or kept, everything else could; run it again to try them once more."
                ),
            }
        }
        Err(broken) => {
            tell_more(&broken.remarks, &broken.unreadable);
            broken.sentence
        }
    };
    complain(&sentence.replace("`from`", "`--from`"));
    ExitCode::FAILURE
}

async fn copy(target: Target, options: &ImportOptions, meter: &Meter) -> Result<Report, Broken> {
    let from = match (non_empty(options.from.as_deref()), target.url) {
        (None, Some(url)) => Origin::Url(url),
        (from, _) => match Origin::parse(from, target.plain_http)? {
            Origin::File(path) => Origin::File(absolute(path)),
            other => other,
        },
    };
    let data_dir = match target.data_dir {
        Some(dir) => dir,
        None => service::default_data_dir().map_err(|error| error.to_string())?,
    };
    let import = Import {
        from,
        data_dir,
        dry_run: options.dry_run,
    };
    let copying = transfer::import(&import, |step| match step {
        Step::Found(what) => complain(&format!("Importing {what}.")),
        Step::Progress(progress) => meter.show(progress),
    });
    Ok(copying.await?)
}

fn tell(report: &Report, dry_run: bool) {
    let mut lines = String::new();
    for (kind, counts) in &report.by_kind {
        lines += &format!("{:<14}{counts}\n", kind.plural());
    }
    let remark = if dry_run {
        " (nothing was written)"
    } else {
        ""
    };
    lines += &format!("{:<14}{}{remark}\n", "total", report.counts);
    // Stdout may be closed.
    let _ = io::stdout().write_all(lines.as_bytes());
    report.remarks().iter().for_each(|remark| complain(remark));
    report.notice.iter().for_each(|notice| complain(notice));
    for one in &report.unreadable {
        let _ = writeln!(io::stderr(), "{}", inert(&one.to_string()));
    }
}

/// Prints remarks and unreadable objects.
fn tell_more(remarks: &[String], unreadable: &[Unreadable]) {
    remarks.iter().for_each(|remark| complain(remark));
    for one in unreadable {
        let _ = writeln!(io::stderr(), "{}", inert(&one.to_string()));
    }
}

/// An import that ended early.
struct Broken {
    sentence: String,
    remarks: Vec<String>,
    unreadable: Vec<Unreadable>,
}

impl From<String> for Broken {
    fn from(sentence: String) -> Self {
        Self {
            sentence,
            remarks: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self {
            sentence: match error.so_far.total() {
                0 => error.to_string(),
                _ => format!(
                    "{error} Until then: {}; the next import continues from there.",
                    error.so_far
                ),
            },
            remarks: error.remarks,
            unreadable: error.unreadable,
        }
    }
}
