//! Talk files on disk, and which of them are open.
//!
//! A talk is two files in our `talk` directory: `<id>.md`, which editors open, and `<id>.json`, which has its subject
//! and the draft below the marker. A window that has a talk open holds a shared lock on `<id>.lock`; writing the
//! Markdown needs the exclusive lock.

use crate::private;
use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tower_lsp::lsp_types::Url;
use uuid::Uuid;

/// The largest `<id>.json`, in bytes: a question of 1 MiB, escaped, and the other fields.
const MAX_ABOUT: u64 = 4 << 20;
/// A talk that was not used for this long is removed, unless it has a typed draft.
const UNUSED: Duration = Duration::from_secs(86_400);

/// The directory of talk files.
#[derive(Debug, Clone)]
pub(crate) struct TalkDir(PathBuf);

/// The stored state of a talk: its subject and draft.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    /// The token of the markers in the Markdown file.
    pub token: String,
    /// Created when the first question is sent.
    pub conversation: Option<Uuid>,
    /// The kind of service that has the conversation.
    pub backend: String,
    /// The document that is sent with the first question.
    pub document: Option<Url>,
    /// The file that a new conversation is linked to.
    pub tied: Option<Url>,
    /// The text below the marker.
    pub draft: String,
    /// Whether the user typed a part of it.
    pub typed: bool,
}

impl TalkDir {
    /// The directory in this data directory, created if it is missing.
    ///
    /// # Errors
    /// Those of the file system, or other users can write to the directory.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        Ok(TalkDir(private::subdir(data_dir, "talk")?))
    }

    /// The id of a talk file by its real path; `None` for any other file.
    pub fn id_of(&self, real: &Path) -> Option<Uuid> {
        let dir = self.0.canonicalize().ok()?;
        let name = real.file_name()?.to_str()?.strip_suffix(".md")?;
        (real.parent() == Some(&dir)).then(|| Uuid::parse_str(name).ok())?
    }

    pub fn path(&self, id: Uuid) -> PathBuf {
        self.file(id, "md")
    }

    fn file(&self, id: Uuid, extension: &str) -> PathBuf {
        self.0.join(format!("{id}.{extension}"))
    }

    /// The state of a talk; `None` if there is no such talk, or it cannot be read.
    pub fn about(&self, id: Uuid) -> Option<About> {
        let bytes = private::read(&self.file(id, "json"), MAX_ABOUT).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, id: Uuid, about: &About) -> io::Result<()> {
        let bytes = serde_json::to_vec(about).map_err(io::Error::other)?;
        private::write(&self.file(id, "json"), &bytes)
    }

    /// Changes the state of a talk.
    ///
    /// # Errors
    /// Those of the file system; `NotFound` if the talk is gone.
    pub fn change(&self, id: Uuid, change: impl FnOnce(&mut About)) -> io::Result<()> {
        // Exclusive in this process only: other windows rarely change it, and a draft is typed in one window.
        static CHANGING: Mutex<()> = Mutex::new(());
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut about = self.about(id).ok_or(io::ErrorKind::NotFound)?;
        let before = about.clone();
        change(&mut about);
        match about == before {
            true => Ok(()),
            false => self.keep(id, &about),
        }
    }

    /// Whether the draft was stored after the Markdown was saved.
    pub fn draft_is_newer(&self, id: Uuid) -> bool {
        let written = |extension| fs::metadata(self.file(id, extension)).ok()?.modified().ok();
        match (written("json"), written("md")) {
            (Some(draft), Some(saved)) => draft > saved,
            _ => false,
        }
    }

    /// The talk that continues a conversation.
    pub fn continuing(&self, conversation: Uuid) -> Option<Uuid> {
        let mut ids = self.ids().into_iter();
        ids.find(|id| self.about(*id).and_then(|about| about.conversation) == Some(conversation))
    }

    fn ids(&self) -> Vec<Uuid> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let id = |name: &str| Uuid::parse_str(name.strip_suffix(".json")?).ok();
        let ids = entries.filter_map(|entry| id(entry.file_name().to_str()?));
        ids.collect()
    }

    /// Writes the Markdown (0600), unless a window has it open. Returns whether it did.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, id: Uuid, text: &str) -> io::Result<bool> {
        let lock = self.lock(id)?;
        if lock.try_lock().is_err() {
            return Ok(false);
        }
        private::write(&self.path(id), text.as_bytes())?;
        Ok(true)
    }

    fn lock(&self, id: Uuid) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create(true);
        private::file(&self.file(id, "lock"), &mut options)
    }

    /// Locks the talk as open in this window, until the file is dropped.
    fn hold(&self, id: Uuid) -> Option<File> {
        let lock = self.lock(id).ok()?;
        lock.try_lock_shared().ok().map(|()| lock)
    }

    /// Whether a window has it open.
    pub fn is_open(&self, id: Uuid) -> bool {
        self.lock(id).is_ok_and(|lock| lock.try_lock().is_err())
    }

    fn forget(&self, id: Uuid) {
        for extension in ["md", "json", "lock"] {
            let _ = fs::remove_file(self.file(id, extension));
        }
    }

    /// Removes talks of deleted conversations and unused talks. `gone` says whether a conversation was deleted.
    pub fn tidy(&self, gone: impl Fn(Uuid, &About) -> bool) {
        private::remove_drafts(&self.0);
        for id in self.ids() {
            let Some(about) = self.about(id) else {
                continue;
            };
            let deleted = about.conversation.is_some_and(|one| gone(one, &about));
            let unused = !holds_a_draft(&about) && self.unused(id) && !self.is_open(id);
            if deleted || unused {
                self.forget(id);
            }
        }
    }

    fn unused(&self, id: Uuid) -> bool {
        let used = ["md", "json"].map(|extension| {
            let meta = fs::metadata(self.file(id, extension)).ok()?;
            meta.modified().ok()
        });
        let used = used.into_iter().flatten().max();
        let age = used.and_then(|used| SystemTime::now().duration_since(used).ok());
        age.is_some_and(|age| age > UNUSED)
    }
}

fn holds_a_draft(about: &About) -> bool {
    about.typed && !about.draft.trim().is_empty()
}

/// A talk file that is open here.
#[derive(Debug)]
pub(crate) struct Talk {
    pub id: Uuid,
    pub dir: TalkDir,
    pub token: String,
    /// The lock that shows other windows that it is open here.
    lock: Mutex<Option<File>>,
    /// A task is about to store its draft.
    storing: AtomicBool,
    /// An answer is being written into it.
    answering: AtomicBool,
    /// Notified when that ends.
    ended: Notify,
}

impl Talk {
    /// `true` if the caller has to store the draft.
    pub fn begins_storing(&self) -> bool {
        !self.storing.swap(true, Ordering::AcqRel)
    }

    pub fn stores_now(&self) {
        self.storing.store(false, Ordering::Release);
    }

    /// `false` if another answer is still being written after `within`.
    pub async fn begins_answer(&self, within: Duration) -> bool {
        let begins = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if !self.answering.swap(true, Ordering::AcqRel) {
                    return;
                }
                ended.await;
            }
        };
        timeout(within, begins).await.is_ok()
    }

    pub fn ends_answer(&self) {
        self.answering.store(false, Ordering::Release);
        self.ended.notify_waiters();
    }

    pub fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Acquire)
    }
}

/// The talk files that are open in this window.
#[derive(Debug)]
pub(crate) struct Talks {
    open: DashMap<Url, Arc<Talk>>,
    /// Counts changes of open documents.
    changes: watch::Sender<u64>,
}

impl Default for Talks {
    fn default() -> Self {
        Talks {
            open: DashMap::new(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Talks {
    /// The talk file with this URI, if it is open.
    pub fn get(&self, uri: &Url) -> Option<Arc<Talk>> {
        self.open.get(uri).map(|talk| Arc::clone(&talk))
    }

    /// Registers a talk file as open. Touches the file system.
    pub fn open(&self, uri: &Url, dir: TalkDir, id: Uuid) -> Option<Arc<Talk>> {
        if let Some(talk) = self.get(uri) {
            return Some(talk);
        }
        let token = dir.about(id)?.token;
        let talk = Arc::new(Talk {
            id,
            lock: Mutex::new(dir.hold(id)),
            dir,
            token,
            storing: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            ended: Notify::new(),
        });
        let talk = Arc::clone(&self.open.entry(uri.clone()).or_insert(talk));
        Some(talk)
    }

    pub fn close(&self, uri: &Url) -> Option<Arc<Talk>> {
        let (_, talk) = self.open.remove(uri)?;
        // Another link to the same file has a lock of its own.
        let mut lock = talk.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(lock.take());
        drop(lock);
        Some(talk)
    }

    /// A document was opened, edited or closed.
    pub fn documents_changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Receives every such change from now on.
    pub fn listen(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk_dir() -> (tempfile::TempDir, TalkDir) {
        let dir = tempfile::tempdir().unwrap();
        let talks = TalkDir::of(dir.path()).unwrap();
        (dir, talks)
    }

    fn about(draft: &str) -> About {
        About {
            token: "5f3a".into(),
            draft: draft.into(),
            typed: !draft.is_empty(),
            ..About::default()
        }
    }

    #[test]
    fn only_files_in_the_real_directory_are_talk_files() {
        let (dir, talks) = talk_dir();
        let real = talks.0.canonicalize().unwrap();
        let id = Uuid::from_u128(7);
        assert_eq!(talks.id_of(&real.join(format!("{id}.md"))), Some(id));
        for other in [
            real.join(format!("{id}.json")),
            real.join("notes.md"),
            real.join(format!("deeper/{id}.md")),
            dir.path().join(format!("{id}.md")),
            PathBuf::from(format!("{id}.md")),
        ] {
            assert_eq!(talks.id_of(&other), None, "{}", other.display());
        }
    }

    #[test]
    fn the_state_of_a_talk_is_changed_in_place() {
        let (_dir, talks) = talk_dir();
        let id = Uuid::from_u128(7);
        assert!(talks.change(id, |_| ()).is_err());
        talks.keep(id, &about("")).unwrap();
        let conversation = Uuid::from_u128(9);
        talks
            .change(id, |about| about.conversation = Some(conversation))
            .unwrap();
        talks
            .change(id, |about| about.draft = "Why?".into())
            .unwrap();
        let stored = talks.about(id).unwrap();
        assert_eq!(
            (stored.conversation, stored.draft.as_str()),
            (Some(conversation), "Why?")
        );
        assert_eq!(talks.continuing(conversation), Some(id));
        assert_eq!(talks.continuing(id), None);
    }

    #[test]
    fn an_open_file_is_not_written() {
        let (_dir, talks) = talk_dir();
        let (id, open) = (Uuid::from_u128(7), Talks::default());
        talks.keep(id, &about("")).unwrap();
        let uri = Url::from_file_path(talks.path(id)).unwrap();
        assert!(talks.write(id, "one").unwrap());
        open.open(&uri, talks.clone(), id).unwrap();
        assert!(!talks.write(id, "two").unwrap() && talks.is_open(id));
        // Two windows.
        let other = Talks::default();
        other.open(&uri, talks.clone(), id).unwrap();
        open.close(&uri);
        assert!(!talks.write(id, "three").unwrap());
        other.close(&uri);
        assert!(talks.write(id, "four").unwrap());
        assert_eq!(fs::read_to_string(talks.path(id)).unwrap(), "four");
    }

    #[test]
    fn unused_talks_are_removed_unless_they_have_a_draft() {
        let (_dir, talks) = talk_dir();
        let long_ago = SystemTime::now() - 2 * UNUSED;
        let make = |number: u128, about: About, old: bool| {
            let id = Uuid::from_u128(number);
            talks.keep(id, &about).unwrap();
            talks.write(id, "x").unwrap();
            for extension in ["md", "json"] {
                let file = File::options().write(true).open(talks.file(id, extension));
                if old {
                    file.unwrap().set_modified(long_ago).unwrap();
                }
            }
        };
        make(1, about(""), true);
        make(2, about(""), false);
        make(3, about("Why?"), true);
        let quoted = About {
            typed: false,
            ..about("```\nx\n```")
        };
        make(4, quoted, true);
        let deleted = About {
            conversation: Some(Uuid::from_u128(99)),
            ..about("Why?")
        };
        make(5, deleted, false);
        talks.tidy(|conversation, _| conversation == Uuid::from_u128(99));
        let mut left: Vec<u128> = talks.ids().iter().map(Uuid::as_u128).collect();
        left.sort_unstable();
        assert_eq!(left, [2, 3]);
        assert!(!talks.path(Uuid::from_u128(5)).exists());
    }

    #[cfg(unix)]
    #[test]
    fn talks_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, talks) = talk_dir();
        let id = Uuid::from_u128(7);
        talks.keep(id, &about("")).unwrap();
        talks.write(id, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&talks.0), 0o700);
        for extension in ["md", "json", "lock"] {
            assert_eq!(mode(&talks.file(id, extension)), 0o600, "{extension}");
        }
    }
}
