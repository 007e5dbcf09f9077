//! Reads the files that a client names: regular text files of this user, and only the start of long ones.

use std::{
    fs,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{task::spawn_blocking, time::timeout};

use super::context::{MAX_TEXT, MAX_TEXTS};
use crate::model::prompt::{Context, Kind, Text};
use crate::private;

/// Maximum files of one question; the others are named as omitted.
const MAX_FILES: usize = 64;
/// Files that are named in the note; the others are counted.
const MAX_NAMED: usize = 10;
/// Largest file that is read at all, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// Deadline for all of them: a dead mount blocks its thread, but not the question.
const READING: Duration = Duration::from_secs(5);

/// The files of a question, as far as they were read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) files: Vec<File>,
    pub(super) omitted: Vec<Context>,
    /// One sentence about what was omitted.
    pub(super) note: Option<String>,
}

/// One file.
pub(super) struct File {
    pub(super) text: Text,
    /// Its length in bytes.
    pub(super) size: u64,
    path: String,
    sha256: String,
}

impl Read {
    /// The files as the question's message stores them: `[{path, size, sha256}]`.
    pub(super) fn named(&self) -> Option<Value> {
        let files = self.files.iter();
        let named =
            files.map(|file| json!({"path": file.path, "size": file.size, "sha256": file.sha256}));
        let named: Vec<_> = named.collect();
        (!named.is_empty()).then(|| named.into())
    }
}

/// The result if no file is read, for this reason. Each path occurs once.
pub(super) fn none(paths: &[String], why: &str) -> Read {
    let mut read = Read::default();
    for path in paths {
        read.omit(path, 0);
    }
    if !paths.is_empty() {
        read.note = Some(format!("No file was read: {why}."));
    }
    read
}

/// Reads the files, each of which occurs once. Files in `data_dir` are refused, because they are private to pieces-lsp.
pub(super) async fn read(paths: Vec<String>, data_dir: PathBuf) -> Read {
    if paths.is_empty() {
        return Read::default();
    }
    let named = paths.clone();
    let reading = spawn_blocking(move || read_all(&paths, &data_dir));
    match timeout(READING, reading).await {
        Ok(Ok(read)) => read,
        _ => none(&named, "reading them took too long"),
    }
}

fn read_all(paths: &[String], data_dir: &Path) -> Read {
    let mut read = Read::default();
    let ours = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let mut room = MAX_TEXTS;
    let mut unread = Vec::new();
    for path in paths {
        let opened = match read.files.len() {
            MAX_FILES.. => Err("there are too many"),
            _ if room == 0 => Err("the limit of 1 MiB is reached"),
            _ => read_one(path, &ours, room),
        };
        match opened {
            Ok(file) => {
                room = room.saturating_sub(file.text.text.len());
                read.files.push(file);
            }
            Err(why) => {
                let size = fs::symlink_metadata(path).map_or(0, |meta| meta.len());
                read.omit(path, size);
                unread.push((path, why));
            }
        }
    }
    read.note = note(&unread);
    read
}

/// One sentence about the files that were not read, and why.
fn note(unread: &[(&String, &str)]) -> Option<String> {
    let named = unread.iter().take(MAX_NAMED);
    let named: Vec<_> = named.map(|(path, why)| format!("{path} ({why})")).collect();
    let more = match unread.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| format!("Not read: {}{more}.", named.join(", ")))
}

impl Read {
    fn omit(&mut self, path: &str, bytes: u64) {
        self.omitted.push(Context {
            kind: Kind::File,
            name: name(path),
            uri: uri(path),
            bytes,
            sent: 0,
        });
    }
}

fn name(path: &str) -> String {
    let name = Path::new(path).file_name();
    name.map_or_else(
        || path.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn uri(path: &str) -> Option<String> {
    url::Url::from_file_path(path).ok().map(String::from)
}

fn read_one(path: &str, ours: &Path, room: usize) -> Result<File, &'static str> {
    let place = Path::new(path);
    if !place.is_absolute() {
        return Err("its path is not absolute");
    }
    let real = fs::canonicalize(place).map_err(|error| reason(&error))?;
    if real.starts_with(ours) {
        return Err("it belongs to pieces-lsp itself");
    }
    // Not through a link, which another user may have created.
    let file = private::file(place, fs::File::options().read(true));
    let file = file.map_err(|error| reason(&error))?;
    let meta = file.metadata().map_err(|error| reason(&error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err("it belongs to another user");
        }
    }
    let size = meta.len();
    if size > MAX_FILE {
        return Err("it is larger than 16 MiB");
    }
    let limit = room.min(MAX_TEXT);
    let mut bytes = Vec::new();
    let mut hash = Sha256::new();
    // At most its size: files of the kernel report none and may be endless.
    let mut content = file.take(size);
    let start = content.by_ref().take(limit as u64).read_to_end(&mut bytes);
    start.map_err(|error| reason(&error))?;
    hash.update(&bytes);
    let mut block = vec![0; 64 << 10];
    loop {
        match content.read(&mut block).map_err(|error| reason(&error))? {
            0 => break,
            read => hash.update(&block[..read]),
        }
    }
    Ok(File {
        text: Text {
            kind: Kind::File,
            name: name(path),
            uri: uri(path),
            lines: None,
            text: text(bytes, size > limit as u64)?,
        },
        size,
        path: path.to_owned(),
        sha256: hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

/// The bytes as text. `cut`: they may end inside a character.
fn text(bytes: Vec<u8>, cut: bool) -> Result<String, &'static str> {
    const BINARY: &str = "it is not text";
    if bytes.contains(&0) {
        return Err(BINARY);
    }
    String::from_utf8(bytes).or_else(|error| {
        let fault = error.utf8_error();
        // Only the last character is incomplete.
        if !cut || fault.error_len().is_some() {
            return Err(BINARY);
        }
        let mut bytes = error.into_bytes();
        bytes.truncate(fault.valid_up_to());
        String::from_utf8(bytes).map_err(|_| BINARY)
    })
}

fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist",
        ErrorKind::PermissionDenied => "it cannot be read",
        ErrorKind::InvalidInput => "it is not a regular file",
        _ => "it cannot be opened",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_names_the_first_files_and_counts_the_others() {
        let note_of = |count: usize| {
            let paths: Vec<String> = (1..=count).map(|at| format!("/{at}")).collect();
            note(&paths.iter().map(|path| (path, "why")).collect::<Vec<_>>())
        };
        assert_eq!(note_of(0), None);
        assert_eq!(note_of(2).as_deref(), Some("Not read: /1 (why), /2 (why)."));
        let many = note_of(300_000).unwrap();
        assert!(many.ends_with(", /10 (why) and 299990 more."), "{many}");
    }
}
