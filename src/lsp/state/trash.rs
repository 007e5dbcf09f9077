//! The trash, which is in the store of the local service whatever the backend.

use super::event::Event;
use crate::lsp::limits::{STOP_TIMEOUT, TRASH_TIMEOUT};
use crate::pieces::{Client, Error};
use crate::service::{self, Attached, Options, Role};
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use uuid::Uuid;

/// The local service, attached to for its trash while Pieces OS is in use.
#[derive(Debug)]
pub(crate) struct TrashService {
    /// Kept while this process serves the store; looked up again each time while another process does.
    attached: Mutex<Option<Attached>>,
    events: mpsc::UnboundedSender<Event>,
}

/// The trash of a store.
#[derive(Clone)]
pub(crate) struct Trash(Client);

/// An entry of the trash.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub entry: i64,
    pub conversation: Uuid,
    pub name: String,
    /// Microseconds since the Unix epoch.
    pub deleted: i64,
    pub messages: u64,
    /// The service that had the conversation; empty if it was in this store.
    pub origin: String,
    /// Whether it was deleted is unknown.
    pub staged: bool,
    /// The store has a conversation with this id.
    pub exists: bool,
}

/// The trash, as listed.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// Most recently deleted first.
    pub entries: Vec<Entry>,
    /// Files of an older version that cannot be read.
    pub unreadable: u64,
}

impl TrashService {
    pub fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        TrashService {
            attached: Mutex::default(),
            events,
        }
    }

    /// Attaches to the local service of `data_dir`, serving it if nobody does.
    ///
    /// # Errors
    /// `offline` with the reason.
    pub async fn attach(&self, data_dir: PathBuf) -> Result<Trash, Error> {
        let attaching = async {
            let mut held = self.attached.lock().await;
            let serves = match held.as_ref() {
                Some(one) => one.role == Role::Serving && !one.is_over().await,
                None => false,
            };
            if !serves {
                if let Some(before) = held.take() {
                    // Release a store that this process could no longer serve.
                    before.shutdown().await;
                }
                let options = Options {
                    data_dir,
                    port: 0,
                    token: true,
                    asking: service::Asking::default(),
                };
                let found = service::attach(&options).await;
                let mut found = found.map_err(|error| Error::offline(error.to_string()))?;
                if let Some(notice) = found.notice.take() {
                    tracing::warn!("{notice}");
                    let _ = self.events.send(Event::Notice(notice));
                }
                *held = Some(found);
            }
            match held.as_ref() {
                Some(attached) => attached.client().map(Trash),
                None => Err(Error::offline("The local service did not start.")),
            }
        };
        let attached = timeout(TRASH_TIMEOUT, attaching).await;
        attached.unwrap_or_else(|_| Err(Error::offline("The local service did not start in time.")))
    }

    /// Ends the local service if this process serves it.
    pub async fn shutdown(&self) {
        let stopping = async {
            if let Some(attached) = self.attached.lock().await.take() {
                attached.shutdown().await;
            }
        };
        let _ = timeout(STOP_TIMEOUT, stopping).await;
    }
}

impl Trash {
    /// The trash of the local service that `client` speaks to.
    pub fn of(client: Client) -> Self {
        Trash(client)
    }

    /// # Errors
    /// `not-found` where the service is of an older version, which has none.
    pub async fn probe(&self) -> Result<(), Error> {
        self.0.get_value("/pieces-lsp/restored").await.map(drop)
    }

    /// All entries. The caller checks which conversations still exist on another service.
    ///
    /// # Errors
    /// Those of the service.
    pub async fn list(&self) -> Result<Listed, Error> {
        let body = self.0.get_bytes("/pieces-lsp/trash").await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let entry = |item: &Value| {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            Some(Entry {
                entry: item["entry"].as_i64()?,
                conversation: Uuid::parse_str(item["conversation"].as_str()?).ok()?,
                name: text("name"),
                deleted: item["deleted"].as_i64()?,
                messages: item["messages"].as_u64()?,
                origin: text("origin"),
                staged: item["staged"] == true,
                exists: item["exists"] == true,
            })
        };
        let items = answer["items"].as_array().into_iter().flatten();
        Ok(Listed {
            entries: items.filter_map(entry).collect(),
            unreadable: answer["unreadable"].as_u64().unwrap_or_default(),
        })
    }

    /// Stages the copy of a conversation: `objects` are JSON texts as for an import, the conversation first.
    ///
    /// # Errors
    /// Those of the service; then no copy is left.
    pub async fn stage(&self, origin: &str, objects: &[String]) -> Result<Staged, Error> {
        let mut batches = batches(objects).peekable();
        let first = batches.next().unwrap_or_default();
        let whole = batches.peek().is_none();
        let origin = Value::from(origin);
        let body = format!("{{\"origin\":{origin},\"whole\":{whole},\"objects\":[{first}]}}");
        let begun = self.0.post_bytes("/pieces-lsp/trash", body.into_bytes());
        let Some(entry) = begun.await?["entry"].as_i64() else {
            return Err(Error::offline("The local service has no trash."));
        };
        let staged = Staged {
            trash: self.clone(),
            entry,
            settled: false,
        };
        while let Some(batch) = batches.next() {
            let whole = batches.peek().is_none();
            let body = format!("{{\"whole\":{whole},\"objects\":[{batch}]}}");
            self.post(entry, "add", body).await?;
        }
        Ok(staged)
    }

    /// Claims an entry and returns the `SeededConversation` that creates the conversation again. Other claims are refused
    /// (503) until it is released or restored, for 90 seconds at most.
    ///
    /// # Errors
    /// Those of the service; `not-found` when it has been restored meanwhile.
    pub async fn take(&self, entry: i64) -> Result<Value, Error> {
        self.post(entry, "take", String::new()).await?;
        let seed = self
            .0
            .get_bytes(&format!("/pieces-lsp/trash/{entry}"))
            .await;
        let seed = seed.map(|seed| serde_json::from_slice(&seed).unwrap_or_default());
        if seed.is_err() {
            self.release(entry).await;
        }
        seed
    }

    pub async fn release(&self, entry: i64) {
        // Best effort: the claim expires.
        let _ = self.post(entry, "release", String::new()).await;
    }

    /// Records the id under which a conversation was restored elsewhere, and removes its copies.
    ///
    /// # Errors
    /// Those of the service.
    pub async fn restored(&self, entry: i64, new: Uuid) -> Result<(), Error> {
        let body = json!({ "conversation": new }).to_string();
        self.post(entry, "restored", body).await
    }

    /// The conversation was deleted.
    ///
    /// # Errors
    /// Those of the service.
    pub async fn commit(&self, entry: i64) -> Result<(), Error> {
        self.post(entry, "commit", String::new()).await
    }

    /// The copy is not needed.
    pub async fn discard(&self, entry: i64) {
        // Best effort: a staged copy is not listed while its conversation exists.
        let _ = self.post(entry, "drop", String::new()).await;
    }

    /// Restores a conversation of this store; returns its name.
    ///
    /// # Errors
    /// Those of the service; `not-found` when it is not in the trash.
    pub async fn restore_here(&self, conversation: Uuid) -> Result<String, Error> {
        let path = format!("/pieces-lsp/restore/{conversation}");
        let answer = self.0.post_bytes(&path, Vec::new()).await?;
        Ok(answer["name"].as_str().unwrap_or_default().to_owned())
    }

    async fn post(&self, entry: i64, what: &str, body: String) -> Result<(), Error> {
        let path = format!("/pieces-lsp/trash/{entry}/{what}");
        self.0.post_bytes(&path, body.into_bytes()).await.map(drop)
    }
}

/// The objects, comma-separated, in batches of about a quarter of the largest body.
fn batches(objects: &[String]) -> impl Iterator<Item = String> {
    const BATCH: usize = 8 << 20;
    let mut rest = objects;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|one| {
            bytes += one.len();
            bytes <= BATCH
        });
        let count = fits.count().max(1).min(rest.len());
        let (batch, others) = rest.split_at(count);
        rest = others;
        (count > 0).then(|| batch.join(","))
    })
}

/// A copy of a conversation that is about to be deleted. If it is dropped before one of its methods is called, it is
/// discarded, because no delete was sent.
pub(crate) struct Staged {
    trash: Trash,
    entry: i64,
    settled: bool,
}

impl Staged {
    /// To be called after the delete. If the commit fails, the copy is listed once the conversation is known to be gone.
    pub async fn commit(mut self) {
        self.settled = true;
        if let Err(error) = self.trash.commit(self.entry).await {
            tracing::warn!(%error, "a copy in the trash stays staged");
        }
    }

    /// To be called if the conversation was not deleted.
    pub async fn discard(mut self) {
        self.settled = true;
        self.trash.discard(self.entry).await;
    }

    /// To be called if it is unknown whether the conversation was deleted.
    pub fn leave(mut self) {
        self.settled = true;
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.settled
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (trash, entry) = (self.trash.clone(), self.entry);
            runtime.spawn(async move { trash.discard(entry).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_object_once_and_in_order() {
        let large = "x".repeat(9 << 20);
        let small = |text: &str| text.to_owned();
        for (objects, sizes) in [
            (vec![], vec![]),
            (vec![small("1"), small("2")], vec![3]),
            (
                vec![
                    small("1"),
                    large.clone(),
                    large.clone(),
                    small("2"),
                    small("3"),
                ],
                vec![1, 9 << 20, 9 << 20, 3],
            ),
        ] {
            let found: Vec<_> = batches(&objects).collect();
            let lengths: Vec<_> = found.iter().map(String::len).collect();
            assert_eq!(lengths, sizes);
            assert!(found.join(",") == objects.join(","));
        }
    }

    #[tokio::test]
    async fn a_copy_that_is_neither_committed_nor_left_is_discarded() {
        let dir = tempfile::tempdir().unwrap();
        let service = TrashService::new(mpsc::unbounded_channel().0);
        let trash = service.attach(dir.path().join("data")).await.unwrap();
        let objects = [json!({"conversation": {"id": Uuid::from_u128(1)}}).to_string()];
        let staged = trash.stage("elsewhere", &objects).await.unwrap();
        assert_eq!(trash.list().await.unwrap().entries.len(), 1);
        drop(staged);
        let gone = async { while !trash.list().await.unwrap().entries.is_empty() {} };
        timeout(TRASH_TIMEOUT, gone).await.unwrap();

        trash.stage("elsewhere", &objects).await.unwrap().leave();
        assert_eq!(trash.list().await.unwrap().entries.len(), 1);
        service.shutdown().await;
    }

    #[tokio::test]
    async fn a_trash_whose_service_has_ended_is_served_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = || dir.path().join("data");
        let window = || TrashService::new(mpsc::unbounded_channel().0);
        let (serving, following) = (window(), window());
        let first = serving.attach(data()).await.unwrap();
        let objects = [json!({"conversation": {"id": Uuid::from_u128(1)}}).to_string()];
        first.stage("elsewhere", &objects).await.unwrap().leave();
        let entries = async |trash: Trash| trash.list().await.map(|listed| listed.entries.len());

        let other = following.attach(data()).await.unwrap();
        assert_eq!(entries(other).await, Ok(1));
        serving.attach(data()).await.unwrap();
        assert_eq!(entries(first).await, Ok(1), "it is still the same service");

        {
            let held = serving.attached.lock().await;
            let held = held.as_ref().unwrap();
            held.end_task();
            let over = async { while !held.is_over().await {} };
            timeout(TRASH_TIMEOUT, over).await.unwrap();
        }
        let again = serving.attach(data()).await.unwrap();
        assert_eq!(entries(again).await, Ok(1));

        serving.shutdown().await;
        let last = following.attach(data()).await.unwrap();
        assert_eq!(entries(last).await, Ok(1));
        following.shutdown().await;
    }
}
