//! The store of the local service: its path, whether it is readable, and which process serves it.

use super::report::{Check, Verdict};
use crate::cli::common::Target;
use crate::cli::terminal::size;
use crate::pieces::Client;
use crate::service::{self, Held, Look, Readable};
use crate::sync::{Backend, Source};
use std::fmt::Display;

const NAME: &str = "store";

/// Checks the store. `used`: the language server would use it, so a problem is a failure.
pub(super) async fn check(target: &Target, used: bool) -> Check {
    let looked = async {
        let dir = match &target.data_dir {
            Some(dir) => dir.clone(),
            None => service::default_data_dir()?,
        };
        service::look(&dir).await
    };
    let check = match looked.await {
        Ok(look) => described(&look),
        Err(error) => Check::failed(NAME, "cannot be checked", error.to_string()),
    };
    match check.result {
        Verdict::Failed if !used => check.noted(),
        _ => check,
    }
}

fn described(look: &Look) -> Check {
    let (state, format) = match &look.store {
        Readable::Absent => ("absent", None),
        Readable::Yes(format) => ("readable", Some(*format)),
        Readable::Damaged => ("damaged", None),
        Readable::Empty => ("empty", None),
        Readable::No(_) => ("unreadable", None),
    };
    let check = verdict(look)
        .fact("path", look.path.display().to_string())
        .fact("state", state)
        .fact("format", format)
        .fact("bytes", look.bytes)
        .fact("unwritable", look.unwritable.as_ref().map(|why| why.cause));
    match &look.held {
        Held::By { pid, url, version } => check.fact(
            "servedBy",
            serde_json::json!({"pid": pid, "url": url, "version": version}),
        ),
        _ => check,
    }
}

fn verdict(look: &Look) -> Check {
    let path = look.path.display();
    match (&look.store, &look.held) {
        (Readable::Damaged, held) => damaged(&path, held),
        (Readable::Empty, _) => Check::failed(
            NAME,
            format!("{path} has no content (0 bytes)"),
            format!(
                "The store {path} is empty (0 bytes), which pieces-lsp never leaves behind: restore a backup, or start pieces-lsp, which creates a new store."
            ),
        ),
        (Readable::No(sentence), _) => {
            Check::failed(NAME, format!("{path} cannot be read"), sentence)
        }
        (_, held @ Held::Silent) => Check::failed(
            NAME,
            format!("{path}: {}", holder(held)),
            format!(
                "Another pieces-lsp has locked {path} and does not respond; end it, then run this again."
            ),
        ),
        // The lock and the store are read-only alike.
        (Readable::Yes(format), Held::Unknown(_)) if look.unwritable.is_some() => {
            readable(look, *format)
        }
        (_, held @ Held::Unknown(error)) => Check::failed(
            NAME,
            format!("{path}: {}", holder(held)),
            format!(
                "The lock beside {path} cannot be opened ({error}); check the permissions or pass another `--data-dir`."
            ),
        ),
        (Readable::Absent, _) => Check::ok(NAME, format!("{path}: none yet, created on first use")),
        (Readable::Yes(format), _) => readable(look, *format),
    }
}

/// Which process serves the store.
fn holder(held: &Held) -> String {
    match held {
        Held::Free => "no process serves it".to_owned(),
        Held::By { pid, url, version } => format!("process {pid} serves it at {url} ({version})"),
        Held::Silent => "a process has locked it and does not respond".to_owned(),
        Held::Unknown(error) => format!("its lock cannot be opened ({error})"),
    }
}

fn damaged(path: &impl Display, held: &Held) -> Check {
    let first = match held {
        Held::Free => "",
        _ => "close the editors that use it, ",
    };
    Check::failed(
        NAME,
        format!("{path} is damaged"),
        format!(
            "The store {path} is damaged: {first}copy it if you want to repair it yourself, then start pieces-lsp, which copies all readable objects to a new store and keeps the damaged one beside it; `pieces-lsp export` exports the readable objects, too."
        ),
    )
}

fn readable(look: &Look, format: i64) -> Check {
    let path = look.path.display();
    let amount = look.bytes.map(size).unwrap_or_default();
    let held = holder(&look.held);
    let summary = format!("{path}, {amount}, format {format}; {held}");
    match &look.unwritable {
        None => Check::ok(NAME, summary),
        Some(why) => Check::failed(
            NAME,
            format!("{summary}; it {}", why.what),
            format!(
                "The store {path} {}: it can be read and exported, but nothing can be written. {}.",
                why.what, why.remedy
            ),
        ),
    }
}

/// Serves the store, or joins the process that does, as the language server would. The returned source has to
/// be shut down.
pub(super) async fn join(target: &Target) -> Result<(Client, Source), Check> {
    let local = Target {
        backend: Backend::Local,
        ..target.clone()
    };
    let source = local.source();
    match source.resolve().await {
        Ok(resolved) => Ok((resolved.client, source)),
        Err(error) => Err(Check::failed("service", "does not start", &error.message)),
    }
}
