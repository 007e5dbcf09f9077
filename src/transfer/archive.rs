//! Reads the file that an export wrote.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Error;
use super::export::EXPORTED_FILE;
use super::report::{Kind, Progress};
use super::sink::Sink;
use crate::pieces::wire;
use crate::private;
use crate::service;

/// No line is longer, as no request to the service is.
const LINE: u64 = 64 << 20;
/// Reading one line, from a disk that may have to wake up or a network share.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often progress is told, in lines.
const TELL: u64 = 500;

/// Copies everything from the file, or from the file of that name in an exported directory.
pub(super) async fn read(
    path: &Path,
    sink: &mut Sink,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Error> {
    let unusable = |error: std::io::Error| {
        let path = path.display();
        Error::new(format!(
            "Cannot read {path} ({error}); name the {EXPORTED_FILE} of an export."
        ))
    };
    let inner = path.join(EXPORTED_FILE);
    let path = if path.is_dir() { inner.as_path() } else { path };
    let named = path.to_owned();
    let opened = spawn_blocking(move || private::regular(&named)).await;
    let file = match opened.unwrap_or_else(|error| Err(error.into())) {
        Ok(file) => File::from_std(file),
        Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(not_an_export(path)),
        Err(error) => return Err(unusable(error)),
    };
    let size = file.metadata().await.map_err(unusable)?.len();
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let (mut number, mut position, mut objects) = (0_u64, 0_u64, 0_u64);
    let mut announced = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut lines).take(LINE);
        let reading = timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await;
        let length = reading
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(unusable)?;
        if length == 0 {
            break;
        }
        number += 1;
        position += length as u64;
        if length as u64 == LINE && !line.ends_with(b"\n") {
            return Err(not_an_export(path));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let object = wire::from_slice::<Value>(&line).ok();
        let entry = object.and_then(|object| match object {
            Value::Object(map) => map.into_iter().next(),
            _ => None,
        });
        match entry {
            Some((name, head)) if name == "export" && objects == 0 => check_format(path, &head)?,
            _ if number == 1 => return Err(not_an_export(path)),
            Some((name, end)) if name == "end" => {
                announced = end.get("objects").and_then(Value::as_u64);
            }
            Some((name, object)) => {
                objects += 1;
                match Kind::parse(&name) {
                    Some(kind) => sink.put(kind, object).await?,
                    None => sink
                        .report
                        .unreadable_line(number, "it is of no kind that is known here"),
                }
            }
            None => {
                objects += 1;
                sink.report.unreadable_line(number, "it is not JSON");
            }
        }
        if number.is_multiple_of(TELL) {
            tell(progress, position, size);
        }
    }
    if number == 0 {
        return Err(not_an_export(path));
    }
    sink.flush().await?;
    tell(progress, size, size);
    if announced == Some(objects) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{} is not whole: lines are missing; what it still has was imported, so look for another copy of it.",
        path.display()
    )))
}

fn check_format(path: &Path, head: &Value) -> Result<(), Error> {
    match head.get("format").and_then(Value::as_u64) {
        Some(format) if format <= service::EXPORT_FORMAT => Ok(()),
        Some(_) => Err(Error::new(format!(
            "{} was written by a newer pieces-lsp; update pieces-lsp and try again.",
            path.display()
        ))),
        None => Err(not_an_export(path)),
    }
}

fn not_an_export(path: &Path) -> Error {
    Error::new(format!(
        "{} was not written by `pieces-lsp export`; name the {EXPORTED_FILE} of an export.",
        path.display()
    ))
}

fn tell(progress: &(dyn Fn(Progress) + Send + Sync), position: u64, size: u64) {
    progress(Progress {
        what: "MiB",
        done: position >> 20,
        total: size >> 20,
    });
}
