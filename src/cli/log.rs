//! Where the log goes: stderr, or a file. Never stdout, which carries LSP frames.

use super::args::Common;
use super::common::{printable, said};
use crate::lsp::log_panics;
use crate::private;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const DEFAULT: LevelFilter = LevelFilter::WARN;

/// Starts logging as the options say.
///
/// # Errors
/// One sentence; nothing is logged then.
pub(super) fn start(common: &Common) -> Result<(), String> {
    begin(level(common)?, file(common)?);
    Ok(())
}

/// Starts logging as far as the options make sense, and returns what is wrong with them.
pub(super) fn start_anyway(common: &Common) -> Vec<String> {
    let (level, file) = (level(common), file(common));
    let wrong = [level.as_ref().err(), file.as_ref().err()];
    let wrong = wrong.into_iter().flatten().cloned().collect();
    begin(level.unwrap_or(DEFAULT), file.unwrap_or(None));
    wrong
}

fn begin(level: LevelFilter, file: Option<File>) {
    let builder = tracing_subscriber::fmt().with_max_level(level);
    // tower-lsp calls it an error when the editor has left before a notification.
    let heard = Targets::new()
        .with_default(level)
        .with_target("tower_lsp", LevelFilter::OFF);
    match file {
        Some(file) => builder
            .with_writer(Mutex::new(file))
            .finish()
            .with(heard)
            .init(),
        None => builder.with_writer(io::stderr).finish().with(heard).init(),
    }
    log_panics();
}

fn level(common: &Common) -> Result<LevelFilter, String> {
    let Some(name) = said(common.log_level.as_deref()) else {
        return Ok(DEFAULT);
    };
    name.parse().map_err(|_| {
        let name = printable(name);
        format!("There is no log level `{name}`; it is off, error, warn, info, debug or trace.")
    })
}

fn file(common: &Common) -> Result<Option<File>, String> {
    let path = common.log_file.as_deref();
    let path = path.filter(|path| !path.as_os_str().is_empty());
    path.map(open).transpose()
}

/// Opens the log for appending, readable by its owner only, and not through a symbolic link.
fn open(path: &Path) -> Result<File, String> {
    let refused = |why: &str| {
        format!(
            "The log file {} cannot be written: {why}; pass another `--log-file`, or none to log to stderr.",
            path.display()
        )
    };
    // Opening a pipe waits for somebody to read it, and in `serve` stdout itself may be one.
    if fs::metadata(path).is_ok_and(|meta| !appendable(&meta)) {
        return Err(refused("it is no file"));
    }
    let file = private::file(path, File::options().append(true).create(true));
    let file = file.map_err(|error| refused(&error.to_string()))?;
    #[cfg(unix)]
    if let Ok(meta) = file.metadata()
        && meta.is_file()
    {
        // Fails for the file of somebody else, whose say it is.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let _ = file.set_permissions(private);
    }
    Ok(file)
}

fn appendable(meta: &fs::Metadata) -> bool {
    #[cfg(unix)]
    let device = std::os::unix::fs::FileTypeExt::is_char_device(&meta.file_type());
    #[cfg(not(unix))]
    let device = false;
    meta.is_file() || device
}
