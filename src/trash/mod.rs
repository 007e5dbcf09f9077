//! What was deleted, kept for a while: one file for each conversation.
//!
//! The directory is readable by its user only. Files are written beside their place and renamed, so one
//! that is there is whole.

use crate::private;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// How long a conversation is kept.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// How much is kept in all, in bytes; what was deleted first goes first.
const MOST: u64 = 256 << 20;
/// The largest file that is read back, in bytes.
const LARGEST: u64 = 128 << 20;

/// Its directory in the data directory.
const NAME: &str = "trash";

/// The trash in a data directory; neither need exist yet.
#[derive(Debug, Clone)]
pub struct Trash {
    data_dir: PathBuf,
    dir: PathBuf,
}

/// A deleted conversation, with everything to create it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deleted {
    /// The id that it had.
    pub conversation: Uuid,
    /// The name that it had; may be empty.
    pub name: String,
    /// When it was deleted, in microseconds since the Unix epoch.
    pub deleted: i64,
    /// The conversation as the service told it.
    pub raw: Value,
    /// Its messages as the service told them, in order.
    pub messages: Vec<Value>,
    /// The assets that it was tied to.
    pub assets: Vec<Uuid>,
    /// The files that it was tied to, as native absolute paths.
    pub files: Vec<String>,
}

/// Microseconds since the Unix epoch.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl Trash {
    /// The trash in `data_dir`.
    pub fn new(data_dir: PathBuf) -> Self {
        let dir = data_dir.join(NAME);
        Trash { data_dir, dir }
    }

    /// Keeps a conversation. What is too old or too much goes.
    ///
    /// # Errors
    /// When it could not be written in full; then nothing was.
    pub fn put(&self, deleted: &Deleted) -> io::Result<()> {
        private::subdir(&self.data_dir, NAME)?;
        let text = serde_json::to_vec(deleted)?;
        if text.len() as u64 > LARGEST {
            return Err(io::Error::other(
                "the conversation is too large for the trash",
            ));
        }
        private::write(&self.path(deleted.deleted, deleted.conversation), &text)?;
        self.prune();
        Ok(())
    }

    /// What there is, newest first. What cannot be read is left out.
    pub fn list(&self) -> Vec<Deleted> {
        let mut files = self.files();
        files.sort_by_key(|(deleted, ..)| std::cmp::Reverse(*deleted));
        let read = |(_, _, path): &(i64, Uuid, PathBuf)| read(path);
        files.iter().filter_map(read).collect()
    }

    /// A deleted conversation, as it was when it was last deleted.
    pub fn get(&self, conversation: Uuid) -> Option<Deleted> {
        let files = self
            .files()
            .into_iter()
            .filter(|(_, id, _)| *id == conversation);
        let newest = files.max_by_key(|(deleted, ..)| *deleted)?;
        read(&newest.2)
    }

    /// Forgets a conversation.
    pub fn remove(&self, conversation: Uuid) {
        for (_, id, path) in self.files() {
            if id == conversation {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, deleted: i64, conversation: Uuid) -> PathBuf {
        self.dir.join(format!("{deleted:020}-{conversation}.json"))
    }

    /// The files, with what their names say.
    fn files(&self) -> Vec<(i64, Uuid, PathBuf)> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let path = entry.path();
                let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
                let (deleted, id) = name.split_once('-')?;
                Some((deleted.parse().ok()?, Uuid::parse_str(id).ok()?, path))
            })
            .collect()
    }

    fn prune(&self) {
        let oldest = now().saturating_sub(KEPT.as_micros() as i64);
        let mut files = self.files();
        files.sort_by_key(|(deleted, ..)| std::cmp::Reverse(*deleted));
        let mut total = 0;
        for (number, (deleted, _, path)) in files.iter().enumerate() {
            total += fs::metadata(path).map_or(0, |metadata| metadata.len());
            // What was deleted just now stays, however large it is.
            if number > 0 && (*deleted < oldest || total > MOST) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn read(path: &Path) -> Option<Deleted> {
    if fs::metadata(path).ok()?.len() > LARGEST {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deleted(id: u128, at: i64) -> Deleted {
        Deleted {
            conversation: Uuid::from_u128(id),
            name: format!("{id}"),
            deleted: at,
            raw: json!({"id": id.to_string()}),
            messages: vec![json!({"role": "USER"})],
            assets: vec![Uuid::from_u128(9)],
            files: vec!["/a".into()],
        }
    }

    fn ids(trash: &Trash) -> Vec<u128> {
        trash
            .list()
            .iter()
            .map(|one| one.conversation.as_u128())
            .collect()
    }

    #[test]
    fn kept_read_back_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let trash = Trash::new(dir.path().to_owned());
        assert_eq!(ids(&trash), Vec::<u128>::new());
        trash.put(&deleted(1, now() - 5)).unwrap();
        trash.put(&deleted(2, now())).unwrap();
        assert_eq!(ids(&trash), [2, 1]);
        let again = deleted(1, now() + 5);
        trash.put(&again).unwrap();
        assert_eq!(trash.get(Uuid::from_u128(1)), Some(again));
        trash.remove(Uuid::from_u128(1));
        assert_eq!(ids(&trash), [2]);
        assert_eq!(trash.get(Uuid::from_u128(1)), None);
    }

    #[test]
    fn what_is_old_goes_and_what_is_broken_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let trash = Trash::new(dir.path().to_owned());
        let old = now() - KEPT.as_micros() as i64 - 1;
        trash.put(&deleted(1, old)).unwrap();
        fs::write(trash.path(now(), Uuid::from_u128(3)), "{").unwrap();
        let note = trash.dir.join("note.txt");
        fs::write(&note, "mine").unwrap();
        trash.put(&deleted(2, now() + 9)).unwrap();
        assert_eq!(ids(&trash), [2]);
        assert!(note.exists());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let trash = Trash::new(dir.path().to_owned());
        trash.put(&deleted(1, now())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("trash")), 0o700);
        assert_eq!(mode(&trash.files()[0].2), 0o600);
    }

    #[test]
    fn a_trash_that_cannot_be_written_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trash");
        fs::write(&file, "in the way").unwrap();
        let trash = Trash::new(dir.path().to_owned());
        assert!(trash.put(&deleted(1, now())).is_err());
    }
}
