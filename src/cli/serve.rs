//! `pieces-lsp serve`: the language server.
//!
//! A language server that ends at once leaves its user with "crashed" and nothing else, so no
//! option can keep it from starting: what is wrong with them becomes its status.

use super::args::Common;
use super::common::non_empty;
use super::{complain, log, runtime};
use crate::lsp::{Launch, server};
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
    // The runtime may hold tasks that wait for ever: end the process, do not wait for them.
    std::process::exit(code.into())
}

/// The options as they were given; the server reads them beside the editor's settings.
fn launch(common: &Common) -> Launch {
    let path = common.data_dir.clone();
    Launch {
        backend: non_empty(common.backend.as_deref()).map(str::to_owned),
        url: non_empty(common.url.as_deref()).map(str::to_owned),
        data_dir: path.filter(|path| !path.as_os_str().is_empty()),
        allow_remote: common.allow_remote,
    }
}
