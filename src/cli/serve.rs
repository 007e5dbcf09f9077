//! `pieces-lsp serve`: the language server.
//!
//! An editor reports a server that exits at once only as "crashed", so no invalid option prevents the
//! start: the reason becomes the status.

use super::args::Common;
use super::common::non_empty;
use super::{complain, log, runtime};
use crate::lsp::{Launch, server};
use crate::pieces::PlainHttp;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

pub(super) fn run(common: &Common, client_process_id: Option<i64>) -> ExitCode {
    let (log, wrong) = log::start_anyway(common);
    for wrong in wrong {
        complain(&wrong);
    }
    if io::stdin().is_terminal() {
        complain(
            "This is a language server; it waits for an editor on stdin. Try `pieces-lsp demo`.",
        );
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(wrong) => {
            complain(&wrong);
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(server::run(launch(common), client_process_id));
    drop(log);
    let code = ended.unwrap_or_else(|why| {
        complain(&why);
        1
    });
    // The runtime may have tasks that wait forever: end the process without waiting for them.
    std::process::exit(code.into())
}

/// The options, not validated; the server combines them with the editor's settings.
fn launch(common: &Common) -> Launch {
    let path = common.data_dir.clone();
    Launch {
        backend: non_empty(common.backend.as_deref()).map(str::to_owned),
        url: non_empty(common.url.as_deref()).map(str::to_owned),
        data_dir: path.filter(|path| !path.as_os_str().is_empty()),
        plain_http: PlainHttp::from_allow_remote(common.allow_remote),
    }
}
