//! Our records of questions to Pieces OS: the prompt until its message appears there, and then the model that answered
//! and the context that was sent. Each is a small private file in `asked/` of the data directory.

use crate::json;
use crate::private;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The largest file, in bytes: a prompt of [`super::limits::MAX_PROMPT`] with a selection.
const MAX_FILE: u64 = 16 << 20;
/// The most files of one conversation that are read.
const MAX_READ: usize = 10_000;

/// The record of one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The id of the message, or for a prompt an id of our own.
    pub id: Uuid,
    /// The text of a question whose message has not appeared yet.
    pub prompt: Option<String>,
    /// When it was written, in microseconds since the Unix epoch.
    pub time: i64,
    /// The `pieces_lsp` field, as the local service has it in its messages.
    pub own: Value,
}

/// The directory of the records.
#[derive(Debug, Clone)]
pub(super) struct Keeper(PathBuf);

impl Keeper {
    pub fn new(data_dir: &Path) -> Keeper {
        Keeper(data_dir.to_owned())
    }

    /// Writes a record about a message of this conversation. Best effort.
    pub async fn keep(&self, conversation: Uuid, kept: Kept) {
        let data_dir = self.0.clone();
        let written = tokio::task::spawn_blocking(move || write(&data_dir, conversation, &kept));
        if let Ok(Err(error)) = written.await {
            tracing::warn!(%error, "the record of a question cannot be written");
        }
    }

    /// Removes the record of a prompt whose message has appeared.
    pub async fn forget(&self, conversation: Uuid, id: Uuid) {
        let path = self.0.join("asked").join(name(conversation, id));
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_file(path)).await;
    }

    /// The prompt with this id, and its conversation.
    pub async fn prompt(&self, id: Uuid) -> Option<(Uuid, String)> {
        let dir = self.0.join("asked");
        let found = tokio::task::spawn_blocking(move || {
            names(&dir)
                .find(|(_, one, _)| *one == id)
                .and_then(|(conversation, id, path)| Some((conversation, read(&path, id)?.prompt?)))
        });
        found.await.ok().flatten()
    }
}

/// The records of this conversation, oldest first.
pub async fn kept(data_dir: &Path, conversation: Uuid) -> Vec<Kept> {
    let dir = data_dir.join("asked");
    let reading = tokio::task::spawn_blocking(move || {
        let mut all: Vec<Kept> = names(&dir)
            .filter(|(of, _, _)| *of == conversation)
            .take(MAX_READ)
            .filter_map(|(_, id, path)| read(&path, id))
            .collect();
        all.sort_by_key(|one| (one.time, one.id));
        all
    });
    reading.await.unwrap_or_default()
}

/// Removes all records of a deleted conversation.
pub async fn forget_kept(data_dir: &Path, conversation: Uuid) {
    let dir = data_dir.join("asked");
    let forgetting = tokio::task::spawn_blocking(move || {
        for (of, _, path) in names(&dir) {
            if of == conversation {
                let _ = std::fs::remove_file(path);
            }
        }
    });
    let _ = forgetting.await;
}

fn name(conversation: Uuid, id: Uuid) -> String {
    format!("{conversation}_{id}.json")
}

/// Conversation, message and path of every file.
fn names(dir: &Path) -> impl Iterator<Item = (Uuid, Uuid, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name();
        let (conversation, id) = name.to_str()?.strip_suffix(".json")?.split_once('_')?;
        let conversation = Uuid::parse_str(conversation).ok()?;
        Some((conversation, Uuid::parse_str(id).ok()?, entry.path()))
    })
}

fn read(path: &Path, id: Uuid) -> Option<Kept> {
    let bytes = private::read(path, MAX_FILE).ok()?;
    let mut object: Value = json::from_slice(&bytes).ok()?;
    Some(Kept {
        id,
        prompt: object["prompt"].as_str().map(str::to_owned),
        time: object["time"].as_i64().unwrap_or_default(),
        own: object["own"].take(),
    })
}

fn write(data_dir: &Path, conversation: Uuid, kept: &Kept) -> io::Result<()> {
    let dir = private::subdir(data_dir, "asked")?;
    let object = serde_json::json!({
        "prompt": kept.prompt,
        "time": kept.time,
        "own": kept.own,
    });
    let path = dir.join(name(conversation, kept.id));
    private::write(&path, object.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn prompts_are_kept_until_they_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let keeper = Keeper::new(&data);
        let [conversation, other, prompt, answer] = [1, 2, 3, 4].map(Uuid::from_u128);
        assert!(kept(&data, conversation).await.is_empty());
        let one = Kept {
            id: prompt,
            prompt: Some("Why?".into()),
            time: 7,
            own: json!({"named": []}),
        };
        let two = Kept {
            id: answer,
            prompt: None,
            time: 5,
            own: json!({"model": "m"}),
        };
        keeper.keep(conversation, one.clone()).await;
        keeper.keep(conversation, two.clone()).await;
        keeper.keep(other, two.clone()).await;
        std::fs::write(data.join("asked").join("notes.json"), "{").unwrap();
        std::fs::write(data.join("asked").join(name(conversation, other)), "{").unwrap();
        assert_eq!(kept(&data, conversation).await, [two.clone(), one]);
        assert_eq!(
            keeper.prompt(prompt).await,
            Some((conversation, "Why?".to_owned()))
        );
        assert_eq!(keeper.prompt(answer).await, None);
        keeper.forget(conversation, prompt).await;
        assert_eq!(kept(&data, conversation).await.len(), 1);
        forget_kept(&data, conversation).await;
        assert!(kept(&data, conversation).await.is_empty());
        assert_eq!(kept(&data, other).await, [two]);
    }
}
