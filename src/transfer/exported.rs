//! Reads exports: files in the exchange format of `docs/exchange.md`, which other programs write, too.

use std::io::{self, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::fs::File;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader,
};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Error;
use super::archives::{self, TAKEN, complete_application, counted, ids};
use super::export::EXPORTED_FILE;
use super::report::{Progress, Step, kind_named};
use super::sink::Sink;
use crate::json;
use crate::private;
use crate::service::{self, Kind};

/// Longest line that is read; the service takes no larger request.
pub(super) const MAX_LINE: usize = service::MAX_IMPORT;
/// Longest first line.
const MAX_HEADER: usize = 64 << 10;
/// Reading one line, from a disk that may have to wake up or a network share.
const LINE_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines between two reports of progress.
const PROGRESS_EVERY: u64 = 500;
const NOT_AN_EXPORT: &str = "is nothing that can be imported";

/// Imports everything from the file, or from [`EXPORTED_FILE`] in an export directory. Counts and skips
/// unreadable lines.
pub(super) async fn read(
    path: &Path,
    sink: &mut Sink,
    step: &(dyn Fn(Step) + Send + Sync),
) -> Result<(), Error> {
    let (path, mut file, size) = open(path).await?;
    let found = found(&mut file, size).await;
    let progress = &|progress| step(Step::Progress(progress));
    let mut lines = Lines::new(BufReader::with_capacity(1 << 20, file));
    let cannot = |error| cannot_read(&path, &error);
    let source = match lines.next().await.map_err(cannot)? {
        Some(Line::Header(header)) => {
            check_format(&path, header.format)?;
            header.source
        }
        Some(_) => return Err(refused(&path, NOT_AN_EXPORT)),
        None => return Err(refused(&path, "is empty")),
    };
    let found = match &*source {
        OURS => format!("an export of pieces-lsp{found}"),
        other => format!("an export of {}{found}", shown(other)),
    };
    sink.report.source.clone_from(&found);
    step(Step::Found(found));
    // The objects count the unreadable ones.
    let (mut objects, mut announced) = (0_u64, None);
    while let Some(line) = lines.next().await.map_err(cannot)? {
        match line {
            Line::End(count) => announced = Some(count),
            Line::Object(kind, mut object) => {
                objects += 1;
                ids::adopt(&source, kind, &mut object);
                if kind == Kind::Conversation {
                    complete_application(&mut object);
                }
                sink.put(kind, object).await?;
            }
            Line::Unreadable(why) => {
                objects += 1;
                sink.report.unreadable_line(lines.number, why);
            }
            // Of another export, if files were concatenated.
            Line::Header(_) => {}
        }
        if lines.number.is_multiple_of(PROGRESS_EVERY) {
            tell(progress, lines.position, size);
        }
    }
    sink.flush().await?;
    tell(progress, size, size);
    check_end(&path, objects, announced)
}

/// Whether the file was read to its end: `announced` is the number of objects in its last line.
fn check_end(path: &Path, objects: u64, announced: Option<u64>) -> Result<(), Error> {
    let path = path.display();
    let read = counted(objects, "object");
    match announced {
        Some(count) if count == objects => Ok(()),
        Some(count) => Err(Error::new(format!(
            "{path} is incomplete: it has {read}, but its last line says {count}. Those objects were imported. Look for another copy of the export.",
        ))),
        None => Err(Error::new(format!(
            "{path} is incomplete: its end is missing. Its first {read} were imported. Look for another copy of the export.",
        ))),
    }
}

/// Reads a file back and counts its objects. The error names the line and the problem.
pub(super) async fn verify(path: &Path) -> Result<u64, String> {
    let file = File::open(path).await.map_err(|error| error.to_string())?;
    let mut lines = Lines::new(BufReader::with_capacity(1 << 20, file));
    let mut objects = 0;
    while let Some(line) = lines.next().await.map_err(|error| error.to_string())? {
        match line {
            Line::Unreadable(why) => return Err(format!("line {}: {why}", lines.number)),
            Line::Object(..) => objects += 1,
            Line::Header(_) => {}
            Line::End(count) if count == objects => return Ok(objects),
            Line::End(count) => return Err(format!("{objects} of {count} objects are there")),
        }
    }
    Err("its end is missing".to_owned())
}

/// One line of an export.
enum Line {
    /// The first line.
    Header(Header),
    Object(Kind, Value),
    /// The last line, with the number of objects.
    End(u64),
    Unreadable(&'static str),
}

/// The content of the first line.
#[derive(Debug)]
struct Header {
    format: Option<u64>,
    /// The program that wrote it, which is the namespace of ids that are not UUIDs.
    source: String,
}

/// The source of exports that name none.
const OURS: &str = "pieces-lsp";

struct Lines<R> {
    reader: R,
    /// Longest line in bytes, including its line break.
    max: usize,
    line: Vec<u8>,
    /// Lines read so far.
    number: u64,
    /// Bytes read so far.
    position: u64,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            max: MAX_LINE,
            line: Vec::new(),
            number: 0,
            position: 0,
        }
    }

    /// The next non-blank line.
    async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let whole = match timeout(LINE_TIMEOUT, self.read_line()).await {
                Ok(read) => read?,
                Err(_) => return Err(ErrorKind::TimedOut.into()),
            };
            let Some(whole) = whole else { return Ok(None) };
            if !whole {
                return Ok(Some(Line::Unreadable("it is too long")));
            }
            if !json::without_bom(&self.line)
                .iter()
                .all(u8::is_ascii_whitespace)
            {
                return Ok(Some(parse(&self.line)));
            }
        }
    }

    /// Reads one line; `false` if it was too long and was skipped, `None` at the end of the file.
    async fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.line.clear();
        let (mut any, mut whole) = (false, true);
        loop {
            // A long first line is not that of an export, and the file may be endless.
            let max = if self.number == 0 {
                MAX_HEADER
            } else {
                self.max
            };
            let room = max + 1 - self.line.len();
            let mut limited = (&mut self.reader).take(room as u64);
            let length = limited.read_until(b'\n', &mut self.line).await?;
            any |= length > 0;
            self.position += length as u64;
            if length == 0 || self.line.ends_with(b"\n") {
                self.number += u64::from(any);
                return Ok(any.then_some(whole));
            }
            if self.line.len() > max {
                whole = false;
                self.line.clear();
                if self.number == 0 {
                    self.number += 1;
                    return Ok(Some(false));
                }
            }
        }
    }
}

/// Reads `{"KIND": {…}}`.
fn parse(line: &[u8]) -> Line {
    let entry = match json::from_slice::<Value>(line) {
        Ok(Value::Object(map)) => map.into_iter().next(),
        Ok(_) => None,
        Err(_) => return Line::Unreadable("it is not JSON"),
    };
    match entry {
        Some((name, head)) if name == "export" => {
            let source = head.get("source").and_then(Value::as_str);
            Line::Header(Header {
                format: head.get("format").and_then(Value::as_u64),
                source: source.unwrap_or(OURS).to_owned(),
            })
        }
        Some((name, end)) if name == "end" => match end.get("objects").and_then(Value::as_u64) {
            Some(count) => Line::End(count),
            None => Line::Unreadable("it does not say how many objects there are"),
        },
        Some((name, object)) => match kind_named(&name) {
            Some(kind) => Line::Object(kind, object),
            None => Line::Unreadable("its kind is not known"),
        },
        None => Line::Unreadable("it is not a JSON object"),
    }
}

/// Opens the file, or the one in an export directory; returns its path and its size in bytes.
async fn open(path: &Path) -> Result<(PathBuf, File, u64), Error> {
    let mut path = path.to_owned();
    if path.is_dir() {
        let inner = path.join(EXPORTED_FILE);
        if matches!(inner.try_exists(), Ok(false)) {
            return Err(match service::has_store(&path) {
                true => Error::new(archives::sentence(&path, archives::IS_A_STORE)),
                false => refused(
                    &path,
                    "is a directory without anything that can be imported",
                ),
            });
        }
        path = inner;
    }
    let named = path.clone();
    let opened = spawn_blocking(move || private::regular(&named)).await;
    let file = match opened.unwrap_or_else(|error| Err(error.into())) {
        Ok(file) => File::from_std(file),
        Err(error) => return Err(cannot_read(&path, &error)),
    };
    let metadata = file.metadata().await;
    let size = metadata.map_err(|error| cannot_read(&path, &error))?.len();
    Ok((path, file, size))
}

/// The end of an export: `, 12 objects`, with its date before.
async fn found(file: &mut File, size: u64) -> String {
    const END: u64 = 512;
    let date = file.metadata().await.ok();
    let date = date
        .and_then(|meta| archives::date(&meta))
        .map_or(String::new(), |date| format!(" of {date}"));
    let mut end = Vec::new();
    let read = async {
        file.seek(SeekFrom::Start(size.saturating_sub(END))).await?;
        (&mut *file).take(END).read_to_end(&mut end).await?;
        file.rewind().await.map(drop)
    };
    let read = timeout(LINE_TIMEOUT, read).await;
    let last = end
        .trim_ascii_end()
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    match (read, parse(last)) {
        (Ok(Ok(())), Line::End(objects)) => format!("{date}, {}", counted(objects, "object")),
        _ => date,
    }
}

/// A name for a terminal: without control characters.
fn shown(name: &str) -> String {
    let visible = name.chars().filter(|c| !c.is_control());
    visible.take(60).collect()
}

fn check_format(path: &Path, format: Option<u64>) -> Result<(), Error> {
    match format {
        Some(format) if format <= service::EXPORT_FORMAT => Ok(()),
        Some(_) => Err(Error::new(format!(
            "{} was written by a newer pieces-lsp; update pieces-lsp and try again.",
            path.display()
        ))),
        None => Err(refused(path, NOT_AN_EXPORT)),
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => refused(path, "does not exist"),
        ErrorKind::InvalidInput => refused(path, &format!("{NOT_AN_EXPORT} ({error})")),
        _ => Error::new(format!(
            "{} cannot be read ({error}); check its permissions.",
            path.display()
        )),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(format!("{} {why}; {TAKEN}.", path.display()))
}

fn tell(progress: &(dyn Fn(Progress) + Send + Sync), position: u64, size: u64) {
    progress(Progress {
        what: "MiB",
        done: position >> 20,
        total: size >> 20,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text`, none longer than 60 bytes.
    async fn lines_of(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(text);
        lines.max = 60;
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            let line = match line {
                Line::Header(header) => format!("header {:?} {}", header.format, header.source),
                Line::Object(kind, object) => format!("{} {object}", kind.noun()),
                Line::End(count) => format!("end {count}"),
                Line::Unreadable(why) => why.to_owned(),
            };
            found.push((lines.number, line));
        }
        assert_eq!(lines.position, text.len() as u64);
        found
    }

    #[tokio::test]
    async fn a_bad_line_loses_only_itself() {
        let long = "x".repeat(1_000);
        let exact = format!("{{\"asset\":\"{}\"}}", "y".repeat(60 - 12));
        let text = [
            "\u{feff}{\"export\":{\"format\":1}}\r\n\n  \n".as_bytes(),
            b"{\"asset\":7}\n{\"asset\":\n[1]\n\"x\"\n{}\n{\"spell\":{}}\n",
            b"\0\0\0\0\n{\"message\":\"\\ud800\xff\"}\n",
            format!("{{\"asset\":\"{long}\"}}\n{exact}\n{{\"end\":{{}}}}\n").as_bytes(),
            b"{\"end\":{\"objects\":9}}",
        ]
        .concat();
        let expected = [
            (1, "header Some(1) pieces-lsp"),
            (4, "asset 7"),
            (5, "it is not JSON"),
            (6, "it is not a JSON object"),
            (7, "it is not a JSON object"),
            (8, "it is not a JSON object"),
            (9, "its kind is not known"),
            (10, "it is not JSON"),
            (11, "message \"\u{fffd}\u{fffd}\""),
            (12, "it is too long"),
            (13, &format!("asset \"{}\"", "y".repeat(48))),
            (14, "it does not say how many objects there are"),
            (15, "end 9"),
        ];
        let expected: Vec<_> = expected
            .map(|(number, line)| (number, line.to_owned()))
            .into();
        assert_eq!(lines_of(&text).await, expected);
        assert_eq!(lines_of(b"").await, []);
    }

    #[tokio::test]
    async fn a_file_is_read_back_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (text, expected) in [
            (
                "{\"export\":{}}\n{\"asset\":{}}\n{\"end\":{\"objects\":1}}\n",
                Ok(1),
            ),
            (
                "{\"export\":{}}\n{\"asset\":{}}\n{\"end\":{\"objects\":2}}\n",
                Err("1 of 2 objects are there"),
            ),
            (
                "{\"export\":{}}\n{\"asset\":{}}\n",
                Err("its end is missing"),
            ),
            (
                "{\"export\":{}}\n{\"asset\":{\n",
                Err("line 2: it is not JSON"),
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let found = verify(&path).await;
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }
}
