//! `pieces-lsp doctor`: checks this machine, and says what to do next.
//!
//! Checks everything that the language server relies on, in the same order. Changes nothing, except that the
//! local service creates its store if there is none. Prints no names and no content.

mod calls;
mod discovery;
mod model;
mod report;
mod store;

use super::args::DoctorOptions;
use super::common::Target;
use super::terminal::{bad, dim, good, inert, strong};
use crate::pieces::Client;
use crate::sync::Backend;
use report::{Check, Report, Used, Verdict};
use std::io::{self, Write};
use std::process::ExitCode;

/// The checks that need a service.
const CALLS: [&str; 6] = [
    "health",
    "version",
    "snapshot",
    "identifiers",
    "stream",
    "roundTrip",
];

pub(super) async fn run(target: Target, options: DoctorOptions) -> ExitCode {
    // Stdout may be closed, as by `| head`: the exit code still counts.
    let report = if options.json {
        let report = examine(&target, &options, &mut |_| ()).await;
        let json = serde_json::to_string_pretty(&report).unwrap_or_default();
        let _ = writeln!(io::stdout(), "{json}");
        report
    } else {
        let mut stdout = anstream::stdout();
        let title = concat!("pieces-lsp ", env!("CARGO_PKG_VERSION"));
        let _ = writeln!(stdout, "{}\n", strong(title));
        let report = examine(&target, &options, &mut |check| {
            let _ = show(&mut stdout, check);
        })
        .await;
        let _ = writeln!(stdout, "\n{}", conclusion(&report));
        report
    };
    match report.healthy {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs all checks; passes each result to `seen` as soon as it is known.
async fn examine(target: &Target, options: &DoctorOptions, seen: &mut dyn FnMut(&Check)) -> Report {
    let mut examination = Examination {
        report: Report::new(target),
        seen,
    };
    let (discovery, pieces_os) = discovery::check(target).await;
    let local = match target.backend {
        Backend::Local => true,
        Backend::PiecesOs => false,
        Backend::Auto => pieces_os.is_none(),
    };
    examination.add(discovery);
    let store = store::check(target, local).await;
    let usable = store.result != Verdict::Failed;
    examination.add(store);
    match pieces_os {
        Some(url) => {
            let client = Client::new(url, None).ok();
            examination.call_all(client, local).await;
        }
        None if local && usable => examination.serve(target).await,
        None => examination.call_all(None, local).await,
    }
    // Pieces OS answers with its own models.
    if local {
        let check = model::check(target, options.ask).await;
        examination.add(check);
    }
    examination.report.conclude();
    examination.report
}

/// The checks so far.
struct Examination<'a> {
    report: Report,
    seen: &'a mut dyn FnMut(&Check),
}

impl Examination<'_> {
    fn add(&mut self, check: Check) {
        (self.seen)(&check);
        self.report.checks.push(check);
    }

    /// Calls the local service, which this process serves meanwhile if no other does.
    async fn serve(&mut self, target: &Target) {
        match store::join(target).await {
            Ok((client, source)) => {
                self.call_all(Some(client), true).await;
                source.shutdown().await;
            }
            Err(check) => {
                self.add(check);
                self.call_all(None, true).await;
            }
        }
    }

    /// Makes the calls of a session until one is not answered.
    async fn call_all(&mut self, client: Option<Client>, local: bool) {
        let Some(client) = client else {
            for name in CALLS {
                self.add(Check::skipped(name, "there is no service to ask"));
            }
            return;
        };
        self.report.used = Some(Used {
            backend: if local {
                Backend::Local
            } else {
                Backend::PiecesOs
            },
            url: client.base().to_string(),
        });
        let mut reachable = true;
        for name in CALLS {
            let check = match reachable {
                true => call(&client, name).await,
                false => Check::skipped(name, "the service does not answer"),
            };
            reachable &= !check.is_silence();
            self.add(check);
        }
    }
}

async fn call(client: &Client, name: &'static str) -> Check {
    match name {
        "health" => calls::health(client).await,
        "version" => calls::version(client).await,
        "snapshot" => calls::snapshot(client).await,
        "identifiers" => calls::identifiers(client).await,
        "stream" => calls::stream(client).await,
        _ => calls::round_trip(client).await,
    }
}

fn show(out: &mut impl Write, check: &Check) -> io::Result<()> {
    let mark = match check.result {
        Verdict::Ok => good("ok  "),
        Verdict::Note => strong("note"),
        Verdict::Failed => bad("FAIL"),
        Verdict::Skipped => dim("skip"),
    };
    writeln!(out, "{mark}  {:<12} {}", check.name, inert(&check.summary))?;
    for detail in &check.details {
        writeln!(out, "{:19}{}", "", dim(&inert(detail)))?;
    }
    if let Some(next) = check
        .next
        .as_ref()
        .filter(|_| check.result == Verdict::Note)
    {
        writeln!(out, "{:19}{}", "", inert(next))?;
    }
    out.flush()
}

fn conclusion(report: &Report) -> String {
    match (&report.next, &report.used) {
        (Some(next), _) => format!("{} {}", bad("Not healthy."), inert(next)),
        (None, Some(used)) => format!(
            "{} The language server will use {} at {}.",
            good("Healthy."),
            match used.backend {
                Backend::Local => "the local service",
                _ => "Pieces OS",
            },
            used.url
        ),
        (None, None) => good("Healthy."),
    }
}
