//! `pieces-lsp service`: the local service alone.

use super::args::ServiceOptions;
use super::common::Target;
use super::complain;
use crate::service::{self, Attached, Role};
use std::io::{self, Write};
use std::process::ExitCode;

pub(super) async fn run(target: Target, options: ServiceOptions) -> ExitCode {
    match start(target, &options).await {
        Ok(attached) => {
            // Stdout may be closed.
            let _ = writeln!(io::stdout(), "{}", attached.url);
            if let Some(notice) = &attached.notice {
                complain(notice);
            }
            let over = tokio::select! {
                () = asked_to_end() => None,
                reason = attached.over() => Some(reason),
            };
            attached.shutdown().await;
            match over {
                None => ExitCode::SUCCESS,
                Some(reason) => {
                    complain(&reason);
                    ExitCode::FAILURE
                }
            }
        }
        Err(sentence) => {
            complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

async fn start(target: Target, options: &ServiceOptions) -> Result<Attached, String> {
    let data_dir = match target.data_dir {
        Some(dir) => dir,
        None => service::default_data_dir().map_err(|error| error.to_string())?,
    };
    let options = service::Options {
        data_dir,
        port: options.port,
        token: !options.no_token,
        asking: service::Asking {
            remote: options.ask_remote,
            plain_http: target.plain_http,
        },
    };
    let attached = service::attach(&options)
        .await
        .map_err(|error| error.to_string())?;
    match attached.role {
        Role::Serving => Ok(attached),
        Role::Client => Err(format!(
            "Another process serves this data directory already, at {}; use that, or end it first.",
            attached.url
        )),
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
