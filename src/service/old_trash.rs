//! Moves the trash of older versions, one file per conversation, into the store.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Failure,
    objects::trash::{self, Old},
    store::Store,
};
use crate::private;

/// Its directory in the data directory.
const NAME: &str = "trash";
/// Largest file that is read, in bytes; older versions wrote at most half of it.
const LARGEST: u64 = 256 << 20;

/// A file of an older version.
#[derive(Deserialize)]
struct Deleted {
    conversation: Uuid,
    #[serde(default)]
    name: String,
    #[serde(default)]
    deleted: i64,
    raw: Value,
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    assets: Vec<Uuid>,
    #[serde(default)]
    files: Vec<String>,
}

/// Moves the trash files of `data_dir` into the store. Unreadable files stay where they are, as do foreign
/// ones; returns the number of unreadable files.
pub(super) async fn migrate(store: &Store, data_dir: &Path) -> usize {
    let dir = data_dir.join(NAME);
    let files = {
        let dir = dir.clone();
        spawn_blocking(move || files(&dir))
            .await
            .unwrap_or_default()
    };
    let mut unreadable = 0;
    for path in files {
        let file = path.clone();
        let old = spawn_blocking(move || read(&file)).await;
        let Ok(Ok(old)) = old else {
            unreadable += 1;
            continue;
        };
        match store
            .write(move |change| trash::import_old(change, old))
            .await
        {
            // Not before the commit: until then, this is the only copy.
            Ok(()) => {
                let _ = fs::remove_file(&path);
            }
            Err(Failure::Invalid(_)) => unreadable += 1,
            Err(failure) => {
                tracing::warn!(
                    ?failure,
                    "the trash of an older version is moved at the next start"
                );
                break;
            }
        }
    }
    if unreadable > 0 {
        tracing::warn!(unreadable, "files in the old trash that cannot be read");
    }
    // Fails, as intended, if the directory is not empty.
    let _ = fs::remove_dir(&dir);
    unreadable
}

/// The files of older versions, oldest deletion first. Removes unfinished ones.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = path.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.strip_suffix(".json").is_some_and(is_ours) {
            found.push(path);
        } else if name.strip_suffix(".tmp").is_some_and(is_ours) {
            let _ = fs::remove_file(path);
        }
    }
    found.sort();
    found
}

/// `<microseconds>-<conversation>`.
fn is_ours(stem: &str) -> bool {
    stem.split_once('-')
        .is_some_and(|(deleted, id)| deleted.parse::<i64>().is_ok() && Uuid::parse_str(id).is_ok())
}

fn read(path: &Path) -> io::Result<Old> {
    // Opening a pipe would block until its other end opens.
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let file = private::file(path, File::options().read(true))?;
    let old: Deleted = serde_json::from_reader(BufReader::with_capacity(1 << 20, file))?;
    Ok(Old {
        id: old.conversation.to_string(),
        name: old.name,
        deleted: old.deleted,
        conversation: match old.raw {
            Value::Object(raw) => Value::Object(raw),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        },
        messages: old.messages.into_iter().filter(Value::is_object).collect(),
        assets: old.assets.iter().map(Uuid::to_string).collect(),
        files: old.files,
    })
}
