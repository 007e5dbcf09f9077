//! Talk files on disk, and which of them are open ([`Talks`]).
//!
//! A talk is two files in our `talk` directory: `<id>.md`, which editors open, and `<id>.json`, which has its subject
//! and the draft below the marker. A window that has a talk open holds a shared lock on `<id>.lock`; writing the
//! Markdown needs the exclusive lock.

mod open;

pub(crate) use open::{Talk, Talks};

use crate::private;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
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
        // It could not be read again.
        if bytes.len() as u64 > MAX_ABOUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn talk_dir() -> (tempfile::TempDir, TalkDir) {
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
    fn a_draft_that_is_too_long_to_be_read_leaves_the_last_one() {
        let (_dir, talks) = talk_dir();
        let id = Uuid::from_u128(7);
        talks.keep(id, &about("Why?")).unwrap();
        // One character, six bytes in JSON.
        let long = "\u{1}".repeat(1 << 20);
        assert!(talks.change(id, |about| about.draft = long).is_err());
        assert_eq!(talks.about(id), Some(about("Why?")));
    }

    #[test]
    fn a_draft_is_newer_only_if_it_was_stored_after_the_file() {
        let (_dir, talks) = talk_dir();
        let id = Uuid::from_u128(7);
        talks.keep(id, &about("Why?")).unwrap();
        assert!(!talks.draft_is_newer(id), "there is no file");
        talks.write(id, "x").unwrap();
        let at = |extension, seconds| {
            let file = File::options().write(true).open(talks.file(id, extension));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.unwrap().set_modified(time).unwrap();
        };
        for (draft, file, newer) in [(2000, 1000, true), (1000, 1000, false), (1000, 2000, false)] {
            at("json", draft);
            at("md", file);
            assert_eq!(talks.draft_is_newer(id), newer, "{draft} {file}");
        }
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
