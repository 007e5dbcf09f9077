//! `pieces-lsp serve`: the language server.
//!
//! A language server that ends at once leaves its user with "crashed" and nothing else, so no
//! option can keep it from starting: what is wrong with them becomes its status.

use super::args::Common;
use super::common::Wanted;
use super::{complain, log, runtime};
use crate::lsp::server;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

pub(super) fn run(common: &Common, client_process_id: Option<i64>) -> ExitCode {
    for wrong in log::start_anyway(common) {
        complain(&wrong);
    }
    if io::stdin().is_terminal() {
        complain(
            "This is a language server; it waits for an editor on stdin. Try `pieces-lsp demo`.",
        );
    }
    let source = Wanted::read(common).map(|wanted| Arc::new(wanted.source()));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(wrong) => {
            complain(&wrong);
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(server::run(source, client_process_id));
    // The runtime may hold tasks that wait for ever: end the process, do not wait for them.
    std::process::exit(code.into())
}
