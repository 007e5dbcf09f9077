//! The command line.

use crate::lsp::{Launch, log_panics, server};
use crate::service;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Pieces conversations as first-class objects in every editor.
#[derive(Debug, Parser)]
#[command(name = "pieces-lsp", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
    /// Accepted because some editors append it; stdin and stdout are always used.
    #[arg(long, global = true, hide = true)]
    stdio: bool,
    /// End when this process ends.
    #[arg(long = "clientProcessId", global = true, hide = true)]
    client_process_id: Option<i64>,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Where the conversations are: `auto`, `pieces-os` or `local`.
    #[arg(long, global = true, env = "PIECES_LSP_BACKEND")]
    backend: Option<String>,
    /// Base URL of Pieces OS, instead of looking for it.
    #[arg(long, global = true, env = "PIECES_LSP_URL")]
    url: Option<String>,
    /// Where the local service keeps its data.
    #[arg(long, global = true, env = "PIECES_LSP_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Accept a URL that is not on this machine.
    #[arg(long, global = true, env = "PIECES_LSP_ALLOW_REMOTE")]
    allow_remote: bool,
    /// What to log to stderr: off, error, warn, info, debug or trace.
    #[arg(
        long,
        global = true,
        env = "PIECES_LSP_LOG_LEVEL",
        default_value = "warn"
    )]
    log_level: tracing::level_filters::LevelFilter,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The language server on stdin and stdout (the default).
    Serve,
    /// The local service alone; its URL is the first line of stdout.
    Service {
        /// Port on 127.0.0.1; 0 takes any that is free.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Do not ask for the token (for other Pieces clients).
        #[arg(long)]
        no_token: bool,
    },
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_max_level(cli.common.log_level)
        .with_writer(std::io::stderr)
        .init();
    log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("Cannot start: {error}.")),
    };
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => {
            let code = runtime.block_on(server::run(launch(cli.common), cli.client_process_id));
            // The runtime may hold tasks that wait for ever: end the process, do not wait for them.
            std::process::exit(code.into())
        }
        Command::Service { port, no_token } => {
            runtime.block_on(run_service(cli.common.data_dir, port, !no_token))
        }
    }
}

fn launch(common: Common) -> Launch {
    Launch {
        backend: common.backend,
        url: common.url,
        data_dir: common.data_dir,
        allow_remote: common.allow_remote,
    }
}

#[expect(clippy::print_stdout, reason = "the URL is what the command prints")]
async fn run_service(data_dir: Option<PathBuf>, port: u16, token: bool) -> ExitCode {
    let data_dir = match data_dir.map_or_else(service::default_data_dir, Ok) {
        Ok(dir) => dir,
        Err(error) => return fail(&error.to_string()),
    };
    let options = service::Options {
        data_dir,
        port,
        token,
    };
    match service::attach(&options).await {
        Ok(attached) if attached.role == service::Role::Client => fail(&format!(
            "Another process serves this data directory already, at {}; use that, or end it first.",
            attached.url
        )),
        Ok(attached) => {
            println!("{}", attached.url);
            if let Some(notice) = &attached.notice {
                tracing::warn!("{notice}");
            }
            let _ = tokio::signal::ctrl_c().await;
            attached.shutdown().await;
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "pieces-lsp: {message}");
    ExitCode::FAILURE
}
