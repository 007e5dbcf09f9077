//! The talk files that are open in this window.

use super::TalkDir;
use dashmap::DashMap;
use std::collections::HashSet;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tower_lsp::lsp_types::Url;
use uuid::Uuid;

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
    /// The question that was sent and is still below the marker, as far as is known.
    sent: Mutex<Option<String>>,
    /// Once it is known; it never changes.
    pub conversation: OnceLock<Uuid>,
    /// The messages that the file shows; `None`: its text says.
    seen: Mutex<Option<HashSet<Uuid>>>,
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

    /// A question was sent, or moved above the marker (`None`).
    pub fn sends(&self, question: Option<&str>) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        *sent = question.map(str::to_owned);
    }

    /// Whether this, which stands below the marker, was sent already.
    pub fn was_sent(&self, below: &str) -> bool {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.as_deref()
            .is_some_and(|sent| sent == below.replace("\r\n", "\n"))
    }

    /// The file shows these messages.
    pub fn saw(&self, messages: impl IntoIterator<Item = Uuid>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get_or_insert_default().extend(messages);
    }

    /// Which messages the file shows says its text.
    pub fn may_show_anything(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Where among these messages those begin that the file does not show; `None` if that is not known.
    pub fn unseen(&self, messages: impl Iterator<Item = Uuid>) -> Option<usize> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        let shown = messages.enumerate().filter(|(_, id)| seen.contains(id));
        Some(shown.last().map_or(0, |(at, _)| at + 1))
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
    /// Wakes who writes answers from elsewhere.
    stale: Notify,
}

impl Default for Talks {
    fn default() -> Self {
        Talks {
            open: DashMap::new(),
            changes: watch::Sender::new(0),
            stale: Notify::new(),
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
            sent: Mutex::new(None),
            conversation: OnceLock::new(),
            seen: Mutex::new(None),
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

    /// All that are open.
    pub fn all(&self) -> Vec<(Url, Arc<Talk>)> {
        let open = self.open.iter();
        open.map(|one| (one.key().clone(), Arc::clone(one.value())))
            .collect()
    }

    /// Conversations changed, maybe some that are shown here.
    pub fn conversations_changed(&self) {
        self.stale.notify_one();
    }

    /// Waits for such a change since this was last called.
    pub async fn stale_conversations(&self) {
        self.stale.notified().await;
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
    use crate::lsp::state::talks::About;
    use crate::lsp::state::talks::tests::talk_dir;
    use std::fs;

    fn keep(talks: &TalkDir, id: Uuid) {
        let about = About {
            token: "5f3a".into(),
            ..About::default()
        };
        talks.keep(id, &about).unwrap();
    }

    #[test]
    fn the_messages_that_a_file_does_not_show_come_after_the_last_one_that_it_shows() {
        let (_dir, talks) = talk_dir();
        let id = Uuid::from_u128(7);
        keep(&talks, id);
        let uri = Url::from_file_path(talks.path(id)).unwrap();
        let talk = Talks::default().open(&uri, talks, id).unwrap();
        let unseen = |ids: &[u128]| talk.unseen(ids.iter().copied().map(Uuid::from_u128));
        assert_eq!(unseen(&[1, 2]), None);
        talk.saw([]);
        assert_eq!(unseen(&[1, 2]), Some(0));
        talk.saw([2, 3].map(Uuid::from_u128));
        assert_eq!(unseen(&[1, 2, 3]), Some(3));
        assert_eq!(unseen(&[1, 2, 4, 5]), Some(2));
        talk.may_show_anything();
        assert_eq!(unseen(&[1, 2]), None);
    }

    #[test]
    fn an_open_file_is_not_written() {
        let (_dir, talks) = talk_dir();
        let (id, open) = (Uuid::from_u128(7), Talks::default());
        keep(&talks, id);
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
}
