//! Claude Code's logs: one JSON object per line, one file per session, one directory per project.
//!
//! Each log is read twice: first to find the session of each line, then for the texts, so that a log of any size needs
//! little memory.

mod line;
mod session;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use uuid::Uuid;

use super::elements::{MAX_PARTS, has_too_many_parts};
use super::found::Found;
use super::lines::{self, Lines};
use super::out::{Out, Yield};
use super::place::{Place, What};
use super::tree::{Entry, Tree};
use super::{Look, Reader};
use crate::json;
use crate::service::Kind;
use line::Logged;
use session::Sessions;

const SOURCE: &str = "claude-code";
/// Longest line that is read, in bytes. Lines may contain images.
const MAX_LINE: usize = 24 << 20;
/// Bytes of a file that decide whether it is a log.
const HEAD: usize = 64 << 10;
/// Files that are checked to recognise a directory of logs.
const LOOKED_AT: usize = 50;

/// Recognises `~/.claude`, its `projects`, the directory of one project, and one log.
pub(super) fn look(place: &mut Place) -> Look {
    let date = place.date();
    if let Some(head) = place.head() {
        if !is_log(head) {
            return Ok(None);
        }
        let name = place.path.file_name().and_then(|name| name.to_str());
        let path = name.unwrap_or("log.jsonl").to_owned();
        let What::File(file, head) = place.take() else {
            return Ok(None);
        };
        let size = file.metadata().map_or(0, |meta| meta.len());
        let log = Log {
            begun: begun(&head),
            size,
            path,
        };
        return Ok(Some(Box::new(ClaudeCode {
            source: Source::File(file),
            logs: vec![log],
            date,
        })));
    }
    let Some(tree) = place.tree() else {
        return Ok(None);
    };
    let logs = logs_in(tree);
    let mut probes = logs.iter().take(LOOKED_AT);
    if !probes.any(|log| head_of(tree, &log.path).is_some_and(|head| is_log(&head))) {
        return Ok(None);
    }
    let What::Tree(mut tree) = place.take() else {
        return Ok(None);
    };
    let mut logs = logs;
    for log in &mut logs {
        log.size = tree.about(&log.path).map_or(0, |(size, _)| size);
        log.begun = head_of(&mut tree, &log.path).map_or(i64::MAX, |head| begun(&head));
    }
    // A session that continues another repeats its lines: the original comes first.
    logs.sort_unstable();
    let dates = logs.iter().filter_map(|log| tree.about(&log.path)?.1);
    let date = dates.max();
    Ok(Some(Box::new(ClaudeCode {
        source: Source::Tree(tree),
        logs,
        date,
    })))
}

struct ClaudeCode {
    source: Source,
    logs: Vec<Log>,
    date: Option<String>,
}

enum Source {
    Tree(Tree),
    File(File),
}

/// One log, in the order in which they are read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Log {
    /// The time of its first line.
    begun: i64,
    size: u64,
    path: String,
}

impl Log {
    /// The session in its file name.
    fn session(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".jsonl").unwrap_or(name)
    }

    fn project(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or("", |(project, _)| project)
    }
}

impl Reader for ClaudeCode {
    fn found(&self) -> Found {
        let projects: HashSet<_> = self.logs.iter().map(Log::project).collect();
        let found = match &self.source {
            Source::File(_) => return Found::new("a Claude Code log").of(self.date.clone()),
            Source::Tree(_) => Found::new("Claude Code logs"),
        };
        found
            .of(self.date.clone())
            .with(projects.len() as u64, "project")
            .with(self.logs.len() as u64, "session")
    }

    fn read(&mut self, out: &mut Out) -> Yield {
        let named: HashSet<String> = self
            .logs
            .iter()
            .map(|log| log.session().to_owned())
            .collect();
        let mut seen: HashSet<Uuid> = HashSet::new();
        let mut anchors: HashSet<Uuid> = HashSet::new();
        let total = self.logs.len() as u64;
        for (done, log) in (0..).zip(&self.logs) {
            out.progress("sessions", done, total)?;
            let mut sessions = Sessions::of(log.session(), &named);
            each(&mut self.source, log, out, |out, number, line| {
                match line {
                    Ok(line) => sessions.note(line, number, &mut seen, out),
                    Err(Some(why)) => {
                        out.unreadable(
                            Kind::Message,
                            format!("line {number} of {}", log.path),
                            why,
                        )?;
                    }
                    Err(None) => out.left_out("torn line", 1),
                }
                Ok(())
            })?;
            for session in sessions.all() {
                session.begin(out, &mut anchors)?;
                let mut left: HashSet<Uuid> = session.messages().collect();
                each(&mut self.source, log, out, |out, number, line| match line {
                    Ok(line) => session.put(&line, number, &mut left, out),
                    Err(_) => Ok(()),
                })?;
            }
        }
        out.progress("sessions", total, total)
    }
}

/// Calls `each` for every line of a log with its number; with `Err(Some(why))` if it cannot be read, and
/// `Err(None)` if it is the last one and torn.
fn each(
    source: &mut Source,
    log: &Log,
    out: &mut Out,
    mut each: impl FnMut(&mut Out, u64, Result<Logged, Option<&'static str>>) -> Yield,
) -> Yield {
    let reader: io::Result<Box<dyn Read + '_>> = match source {
        Source::Tree(tree) => tree.open(&log.path),
        Source::File(file) => file.rewind().map(|()| Box::new(file) as Box<dyn Read>),
    };
    let reader = match reader {
        Ok(reader) => reader,
        // Deleted meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return out.unreadable(Kind::Conversation, &*log.path, &error.to_string());
        }
    };
    let mut lines = Lines::new(BufReader::with_capacity(256 << 10, reader), MAX_LINE);
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) => {
                return out.unreadable(Kind::Conversation, &*log.path, &error.to_string());
            }
        };
        let read = match line {
            lines::Line::TooLong => Err(Some("it is larger than 24 MiB")),
            lines::Line::Whole(text) if text.trim_ascii().is_empty() => continue,
            lines::Line::Whole(text) if has_too_many_parts(text) => {
                const { assert!(MAX_PARTS == 600_000) };
                Err(Some("it has more than 600,000 parts"))
            }
            lines::Line::Whole(text) => json::from_slice(text).map_err(|_| {
                let torn = !text.ends_with(b"\n");
                (!torn).then_some("it is not JSON")
            }),
        };
        let number = lines.number;
        each(out, number, read)?;
    }
}

/// The logs below `projects`, of all projects, or of one.
fn logs_in(tree: &mut Tree) -> Vec<Log> {
    let base = if tree.has_folder("projects") {
        "projects"
    } else {
        ""
    };
    let mut logs = Vec::new();
    let mut folders = Vec::new();
    logs_of(tree, base, &mut logs, &mut folders);
    for folder in folders {
        let folder = if base.is_empty() {
            folder
        } else {
            format!("{base}/{folder}")
        };
        // Only one level: deeper logs belong to sub-agents.
        logs_of(tree, &folder, &mut logs, &mut Vec::new());
    }
    logs.sort_unstable();
    logs
}

fn logs_of(tree: &mut Tree, folder: &str, logs: &mut Vec<Log>, folders: &mut Vec<String>) {
    // A folder that cannot be read has no logs.
    let _ = tree.each(folder, &mut |name, entry| match entry {
        // Logs of sub-agents have side chains only.
        Entry::File if name.ends_with(".jsonl") && !name.starts_with("agent-") => logs.push(Log {
            begun: i64::MAX,
            size: 0,
            path: if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            },
        }),
        Entry::Folder => folders.push(name.to_owned()),
        _ => {}
    });
}

fn head_of(tree: &mut Tree, path: &str) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    tree.open(path)
        .ok()?
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .ok()?;
    Some(head)
}

/// Whether one of the first lines belongs to a session.
fn is_log(head: &[u8]) -> bool {
    let lines = head.split(|byte| *byte == b'\n').take(LOOKED_AT);
    let mut read = lines.filter_map(|line| json::from_slice::<Logged>(line).ok());
    // The first line may be longer than what was read.
    let begins = json::without_bom(head).starts_with(b"{");
    let cut = || {
        let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
        head.len() == HEAD && begins && has(b"\"sessionId\":\"") && has(b"\"parentUuid\":")
    };
    read.any(|line| line.is_of_a_session()) || cut()
}

/// The first time in a log, in microseconds since the Unix epoch.
fn begun(head: &[u8]) -> i64 {
    let lines = head.split(|byte| *byte == b'\n');
    let mut read = lines.filter_map(|line| json::from_slice::<Logged>(line).ok());
    read.find_map(|line| line.time()).unwrap_or(i64::MAX)
}
