//! Exports the local service's store to a directory.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::exported::{self, MAX_LINE};
use super::filename::candidates;
use super::local::Local;
use super::report::{Progress, kind_named};
use super::sink::id_of;
use super::{Error, markdown};
use crate::private;
use crate::service::Kind;

/// The file with all objects of an export, one per line.
pub const EXPORTED_FILE: &str = "conversations.jsonl";

/// Chunks of the body queued between the socket and the disk.
const IN_FLIGHT: usize = 16;

/// The counts of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Conversations, one Markdown file each.
    pub conversations: u64,
    /// Objects in [`EXPORTED_FILE`].
    pub objects: u64,
    /// A notice for the user: a damaged store was repaired, or objects were unreadable.
    pub notice: Option<String>,
}

/// Writes the store of `data_dir` to the directory `target`, which must not exist or be empty: one Markdown
/// file per conversation, and [`EXPORTED_FILE`].
///
/// It is a snapshot of the store; concurrent writes do not appear in it. `target` appears only once it is
/// complete. `progress` receives the number of written conversations.
///
/// # Errors
/// `target` is not empty or not writable, or the local service cannot be reached.
pub async fn export(
    data_dir: &Path,
    target: &Path,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Exported, Error> {
    let draft = Draft::new(target)?;
    let mut local = Local::attach_unwritten(data_dir).await?;
    let notice = local.notice.take().or_else(|| {
        let none = || format!("{} has no store yet.", data_dir.display());
        local.is_scratch().then(none)
    });
    let exported = copy(&local, draft, progress).await;
    local.detach().await;
    exported.map(|exported| {
        let notices: Vec<_> = notice.into_iter().chain(exported.notice).collect();
        let notice = (!notices.is_empty()).then(|| notices.join(" "));
        Exported { notice, ..exported }
    })
}

async fn copy(
    local: &Local,
    draft: Draft,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Exported, Error> {
    let total = local.client.identifier_ids().await?.len() as u64;
    let mut body = local.client.get_chunks("/pieces-lsp/export").await?;
    let (chunks, mut received) = mpsc::channel::<bytes::Bytes>(IN_FLIGHT);
    let writing = spawn_blocking(move || {
        let mut writer = Writer::new(draft)?;
        let mut line = Vec::new();
        while let Some(chunk) = received.blocking_recv() {
            for part in chunk.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if line.ends_with(b"\n") {
                    let before = writer.conversations;
                    writer.line(&line)?;
                    line.clear();
                    if writer.conversations > before {
                        progress(Progress {
                            what: Kind::Conversation.plural(),
                            done: writer.conversations,
                            // More may have been created since they were counted.
                            total: total.max(writer.conversations),
                        });
                    }
                } else if line.len() > MAX_LINE {
                    return Err(too_long());
                }
            }
        }
        writer.finish()
    });
    let mut outcome: Result<(), Error> = Ok(());
    loop {
        match body.next().await {
            // The receiver closes if the writer has failed: its result has the reason.
            Ok(Some(chunk)) => {
                if chunks.send(chunk).await.is_err() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                outcome = Err(error.into());
                break;
            }
        }
    }
    drop(chunks);
    let written = writing.await;
    outcome?;
    match written {
        Ok(written) => written?.verify().await,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(cut_short()),
        },
    }
}

/// The directory while it is being written. Removed unless it is completed.
struct Draft {
    target: PathBuf,
    dir: PathBuf,
    complete: bool,
    /// A lock that tells other exports that this one is running.
    _lock: Option<File>,
}

impl Draft {
    fn new(target: &Path) -> Result<Self, Error> {
        let unusable = |error: io::Error| cannot_write(target, &error);
        match fs::read_dir(target) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(Error::new(format!(
                        "{} is not empty, and nothing is ever overwritten; name a new directory.",
                        target.display()
                    )));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(error)),
        }
        // Such as `.`: we need its name.
        let target = match target.canonicalize() {
            Ok(target) => target,
            Err(_) => std::path::absolute(target).map_err(unusable)?,
        };
        if let Some(what) = irreplaceable(&target) {
            return Err(Error::new(format!(
                "{} is {what}, which an export cannot replace; name a new directory.",
                target.display()
            )));
        }
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Error::new(format!(
                "{} cannot be written; name a new directory.",
                target.display()
            )));
        };
        fs::create_dir_all(parent).map_err(unusable)?;
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(".");
        remove_abandoned(parent, &draft);
        draft.push(format!("{}.part", Uuid::new_v4().simple()));
        let dir = parent.join(draft);
        private::new_dir(&dir).map_err(unusable)?;
        Ok(Self {
            _lock: lock(&dir),
            target,
            dir,
            complete: false,
        })
    }

    /// Renames it to its final name.
    fn complete(mut self) -> Result<(), Error> {
        let rename = || {
            // Its entries have to be on disk before it becomes visible.
            #[cfg(unix)]
            File::open(&self.dir)?.sync_all()?;
            // Windows does not rename over an empty directory; a non-empty one stays.
            match fs::remove_dir(&self.target) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            fs::rename(&self.dir, &self.target)
        };
        rename().map_err(|error| cannot_write(&self.target, &error))?;
        self.complete = true;
        Ok(())
    }
}

/// What an empty directory is, if a complete export cannot take its place: a shell would stay in the old one, and a mount
/// point cannot be removed.
fn irreplaceable(target: &Path) -> Option<&'static str> {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    if here.is_ok_and(|here| here == target) {
        return Some("the current directory");
    }
    #[cfg(unix)]
    if let (Ok(own), Some(Ok(parent))) = (fs::metadata(target), target.parent().map(fs::metadata)) {
        use std::os::unix::fs::MetadataExt as _;
        return (own.dev() != parent.dev()).then_some("the root of a file system");
    }
    None
}

/// Removes drafts that killed exports to the same target left; their names begin with `start`. Best effort.
fn remove_abandoned(parent: &Path, start: &std::ffi::OsStr) {
    let Some(start) = start.to_str() else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_prefix(start)?.strip_suffix(".part"));
        let is_ours = id.is_some_and(|id| id.len() == 32 && Uuid::parse_str(id).is_ok());
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_ours && is_dir && lock(&entry.path()).is_some() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A lock on a directory, unless another process has it.
#[cfg(unix)]
fn lock(dir: &Path) -> Option<File> {
    let dir = File::open(dir).ok()?;
    dir.try_lock().ok()?;
    Some(dir)
}

/// Directories cannot be locked here: drafts of killed exports stay.
#[cfg(not(unix))]
fn lock(_: &Path) -> Option<File> {
    None
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.complete {
            // Best effort: the name shows that it is a draft.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

struct Writer {
    draft: Draft,
    all: BufWriter<File>,
    /// Names already used, in lower case: many file systems ignore case.
    names: HashSet<String>,
    /// Names of assets by id.
    assets: HashMap<Uuid, String>,
    /// The file of the conversation whose messages follow.
    current: Option<BufWriter<File>>,
    conversations: u64,
    objects: u64,
    announced: Option<u64>,
    unreadable: Option<u64>,
}

impl Writer {
    fn new(draft: Draft) -> Result<Self, Error> {
        let path = draft.dir.join(EXPORTED_FILE);
        let all = new_file(&path).map_err(|error| cannot_write(&path, &error))?;
        Ok(Self {
            draft,
            all: BufWriter::with_capacity(1 << 20, all),
            names: HashSet::new(),
            assets: HashMap::new(),
            current: None,
            conversations: 0,
            objects: 0,
            announced: None,
            unreadable: None,
        })
    }

    /// Handles one line of the service's export.
    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        let target = self.draft.target.clone();
        let unusable = |error: io::Error| cannot_write(&target, &error);
        self.all.write_all(line).map_err(unusable)?;
        let entry: serde_json::Map<String, Value> =
            serde_json::from_slice(line).map_err(|_| cut_short())?;
        let Some((name, object)) = entry.into_iter().next() else {
            return Err(cut_short());
        };
        match kind_named(&name) {
            None if name == "end" => {
                self.announced = object.get("objects").and_then(Value::as_u64);
                self.unreadable = object.get("unreadable").and_then(Value::as_u64);
                return Ok(());
            }
            None => return Ok(()),
            Some(Kind::Asset) => self.assets.extend(markdown::asset_name(&object)),
            Some(Kind::Conversation) => {
                self.close().map_err(unusable)?;
                self.open(&object).map_err(unusable)?;
                self.conversations += 1;
            }
            Some(Kind::Message) => {
                if let Some(file) = &mut self.current {
                    let section = markdown::section(&object);
                    file.write_all(section.as_bytes()).map_err(unusable)?;
                }
            }
            Some(_) => {}
        }
        self.objects += 1;
        Ok(())
    }

    fn open(&mut self, conversation: &Value) -> io::Result<()> {
        let id = id_of(conversation).unwrap_or_default();
        for name in candidates(markdown::name(conversation), &id) {
            if !self.names.insert(name.to_lowercase()) {
                continue;
            }
            let file = match new_file(&self.draft.dir.join(name)) {
                // Some systems treat more names as equal than we do.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            let mut file = BufWriter::new(file);
            file.write_all(markdown::head(conversation, &self.assets).as_bytes())?;
            self.current = Some(file);
            return Ok(());
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn close(&mut self) -> io::Result<()> {
        match self.current.take() {
            Some(mut file) => file.flush(),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Written, Error> {
        if self.announced != Some(self.objects) {
            return Err(cut_short());
        }
        let flushed = self.close().and_then(|()| {
            self.all.flush()?;
            self.all.get_ref().sync_all()
        });
        flushed.map_err(|error| cannot_write(&self.draft.target, &error))?;
        let notice = self.unreadable.map(|lost| {
            format!("{lost} objects of the store are damaged and could not be read; run `pieces-lsp doctor`.")
        });
        Ok(Written {
            draft: self.draft,
            exported: Exported {
                conversations: self.conversations,
                objects: self.objects,
                notice,
            },
        })
    }
}

/// A complete directory that has not been read back yet.
struct Written {
    draft: Draft,
    exported: Exported,
}

impl Written {
    /// Reads every line back as an import would, then renames the directory.
    async fn verify(self) -> Result<Exported, Error> {
        let verified = exported::verify(&self.draft.dir.join(EXPORTED_FILE)).await;
        match verified {
            Ok(objects) if objects == self.exported.objects => {}
            Ok(_) => return Err(cut_short()),
            Err(why) => {
                return Err(Error::new(format!(
                    "The backup cannot be read back ({why}), so it was not kept; check the disk, and try again."
                )));
            }
        }
        self.draft.complete()?;
        Ok(self.exported)
    }
}

/// Creates a file that does not exist yet.
fn new_file(path: &Path) -> io::Result<File> {
    private::file(path, File::options().write(true).create_new(true))
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::new(format!(
        "Cannot write {} ({error}); check its permissions and the free space, or name another directory.",
        path.display()
    ))
}

fn too_long() -> Error {
    let size = MAX_LINE >> 20;
    Error::new(format!(
        "One object with its associations is larger than {size} MiB, which no import could read; nothing was exported."
    ))
}

fn cut_short() -> Error {
    Error::new(
        "The local service stopped before everything was there; nothing was kept, so try again.",
    )
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_removes_drafts_of_killed_exports() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let draft = |number: u128| {
            let id = Uuid::from_u128(number);
            let dir = dir.path().join(format!(".out.{}.part", id.simple()));
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join(EXPORTED_FILE), "half").unwrap();
            dir
        };
        let (killed, running) = (draft(1), draft(2));
        let lock = lock(&running).unwrap();
        let others = [".out.part", ".other.00000000000000000000000000000001.part"];
        for name in others {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let new = Draft::new(&target).unwrap();
        assert!(!killed.exists() && running.exists() && new.dir.exists());
        drop((lock, new));
        for name in others {
            assert!(dir.path().join(name).exists(), "{name}");
        }
    }
}
