//! The live notifications: `pieces/didChangeConversations` and `pieces/didChangeStatus`.

use super::answers::Answers;
use super::refresh::refresh_documents;
use super::talk;
use crate::index::{Delta, RESET_ABOVE, Reader};
use crate::lsp::limits::LIVE_WINDOW;
use crate::lsp::state::Server;
use crate::lsp::state::event::Event;
use crate::lsp::state::session::Started;
use crate::lsp::text::item::{conversation_item, status_object};
use crate::sync::{self, Handle, State, Touched};
use futures_util::future::OptionFuture;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};
use tower_lsp::lsp_types::notification::Notification;
use uuid::Uuid;

enum DidChangeConversations {}

impl Notification for DidChangeConversations {
    type Params = Value;
    const METHOD: &'static str = "pieces/didChangeConversations";
}

enum DidChangeStatus {}

impl Notification for DidChangeStatus {
    type Params = Value;
    const METHOD: &'static str = "pieces/didChangeStatus";
}

/// Changes that have not been sent yet.
#[derive(Debug, Default, PartialEq, Eq)]
struct Batch {
    revision: u64,
    total: usize,
    changed: HashSet<Uuid>,
    reset: bool,
    /// Conversations whose messages may have changed while their record in the index stayed the same.
    touched: HashSet<Uuid>,
    all_touched: bool,
}

impl Batch {
    fn add(&mut self, delta: Delta) {
        self.revision = delta.revision;
        self.total = delta.total;
        self.reset |= delta.reset;
        self.changed.extend(delta.upserted);
        self.changed.extend(delta.removed);
        if self.reset || self.changed.len() > RESET_ABOVE {
            self.reset = true;
            self.changed.clear();
        }
    }

    fn touch(&mut self, touched: Touched) {
        match touched {
            Touched::None => {}
            Touched::One(id) => drop(self.touched.insert(id)),
            Touched::All => self.all_touched = true,
        }
    }

    /// Whether the index changed.
    fn has_changes(&self) -> bool {
        !self.changed.is_empty() || self.reset
    }

    /// Whether conversations were deleted.
    fn removes(&self, index: &Reader) -> bool {
        self.reset || self.changed.iter().any(|id| !index.contains(*id))
    }

    fn is_empty(&self) -> bool {
        !self.has_changes() && self.touched.is_empty() && !self.all_touched
    }

    /// The conversations whose open documents are stale; `true` means any of them.
    fn stale_documents(&self) -> (HashSet<Uuid>, bool) {
        let stale = self.changed.union(&self.touched).copied().collect();
        (stale, self.reset || self.all_touched)
    }

    /// The parameters of `pieces/didChangeConversations`, from the index as it is now.
    fn into_params(self, index: &Reader) -> Value {
        let (mut upserted, mut removed) = (Vec::new(), Vec::new());
        for id in self.changed {
            match index.get(id) {
                Some(one) => upserted.push(conversation_item(&one.as_ref(), index.ties())),
                None => removed.push(id),
            }
        }
        let mut params = json!({
            "revision": self.revision,
            "total": self.total,
            "upserted": upserted,
            "removed": removed,
        });
        if self.reset {
            params["reset"] = true.into();
        }
        params
    }
}

/// After a notification the next one has to wait, and batches the changes of the meantime.
#[derive(Debug, Default)]
struct Window(Option<Instant>);

impl Window {
    fn open(&mut self) {
        self.0 = Some(Instant::now() + LIVE_WINDOW);
    }

    fn is_closed(&self) -> bool {
        self.0.is_none()
    }

    /// Waits until it closes; forever if it is not open.
    async fn closes(&mut self) {
        match self.0 {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
        self.0 = None;
    }
}

/// Sends the notifications of one connection until it ends.
pub(crate) async fn follow(server: Arc<Server>, started: Started) {
    let Started { handle, mut events } = started;
    let mut statuses = handle.status.clone();
    let mut appeared = handle.pieces_os_appeared.clone();
    // Read before it is sent: a change in between is then sent twice instead of being lost.
    let mut last_key = status_key(&handle);
    send_status(&server).await;
    let mut batch = Batch::default();
    let mut window = Window::default();
    let mut answers = Answers::default();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => take_in(&server, &mut batch, event),
                None => return,
            },
            Ok(()) = appeared.changed() => server.report(Event::PiecesOsAppeared),
            changed = statuses.changed() => match changed {
                Ok(()) => status_changed(&server, &handle, &mut last_key).await,
                Err(_) => return,
            },
            () = window.closes() => {}
            Some(()) = OptionFuture::from(answers.due().map(sleep_until)) => {
                let due = answers.take_due(&server).await;
                refresh_documents(&server, &due, false);
            }
        }
        if window.is_closed() && !batch.is_empty() {
            while let Ok(event) = events.try_recv() {
                take_in(&server, &mut batch, event);
            }
            let batch = std::mem::take(&mut batch);
            publish(&server, batch, &handle.index, &mut answers).await;
            window.open();
        }
    }
}

async fn status_changed(
    server: &Arc<Server>,
    handle: &Handle,
    last_key: &mut (State, Option<String>),
) {
    let key = status_key(handle);
    if key == *last_key {
        return;
    }
    if key.0 == State::Live {
        talk::tidy(server);
    }
    *last_key = key;
    server.stale.views_changed();
    send_status(server).await;
}

/// Shows a batch: in open documents, in talk files, and to the client.
async fn publish(server: &Arc<Server>, batch: Batch, index: &Reader, answers: &mut Answers) {
    let (stale, all) = batch.stale_documents();
    let stale = answers.changed(server, stale, all).await;
    refresh_documents(server, &stale, all);
    server.talks.conversations_changed();
    if batch.has_changes() {
        if batch.removes(index) {
            talk::tidy(server);
        }
        server.stale.views_changed();
        send_changes(server, batch, index).await;
    }
}

/// Drops stale transcripts at once; the editor is told with the batch.
fn take_in(server: &Server, batch: &mut Batch, event: sync::Event) {
    match event {
        sync::Event::Touched(touched) => {
            match touched {
                Touched::None => {}
                Touched::One(id) => server.transcripts.forget(id),
                Touched::All => server.transcripts.forget_all(),
            }
            batch.touch(touched);
        }
        sync::Event::Changed(delta) => {
            if delta.reset {
                server.transcripts.forget_all();
                server.asset_names.clear();
            }
            let changed = delta.upserted.iter().chain(&delta.removed);
            changed.for_each(|id| server.transcripts.forget(*id));
            batch.add(delta);
        }
        sync::Event::Notice(notice) => server.report(Event::Notice(notice)),
    }
}

/// The part of the status whose changes are sent: not its version and times.
fn status_key(handle: &Handle) -> (State, Option<String>) {
    let status = handle.status.borrow();
    (status.state, status.error.clone())
}

/// Sends the changes, if the client wants live updates. Clients read everything again after a reset, so
/// changes at or below the last revision sent, such as those of a previous connection, are dropped.
async fn send_changes(server: &Server, batch: Batch, index: &Reader) {
    if !server.settings().live_updates {
        return;
    }
    let mut last_sent = server.last_sent_revision.lock().await;
    if batch.revision <= *last_sent {
        return;
    }
    *last_sent = batch.revision;
    let params = batch.into_params(index);
    server
        .client
        .send_notification::<DidChangeConversations>(params)
        .await;
}

/// Sends the status, if the client wants live updates.
pub(crate) async fn send_status(server: &Server) {
    if server.settings().live_updates {
        let params = status_object(&server.session);
        server
            .client
            .send_notification::<DidChangeStatus>(params)
            .await;
    }
}

/// Tells the client to read everything again: live updates begin, or the connection is a new one.
pub(crate) async fn send_reset(server: &Server) {
    if !server.settings().live_updates {
        return;
    }
    let mut last_sent = server.last_sent_revision.lock().await;
    let snapshot = server.session.reader().snapshot();
    *last_sent = snapshot.revision().max(*last_sent);
    let params = json!({
        "revision": *last_sent,
        "total": snapshot.len(),
        "upserted": [],
        "removed": [],
        "reset": true,
    });
    server
        .client
        .send_notification::<DidChangeConversations>(params)
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn the_first_change_after_a_quiet_period_is_sent_at_once() {
        let mut window = Window::default();
        assert!(
            window.is_closed(),
            "the first notification goes out at once"
        );
        for _ in 0..2 {
            window.open();
            let just_before = LIVE_WINDOW - Duration::from_millis(1);
            assert!(timeout(just_before, window.closes()).await.is_err());
            assert!(!window.is_closed());
            let rest = Duration::from_millis(1);
            assert!(timeout(rest, window.closes()).await.is_ok());
            assert!(window.is_closed());
        }
        assert!(timeout(10 * LIVE_WINDOW, window.closes()).await.is_err());
    }

    #[test]
    fn batches() {
        let delta = |revision, upserted: &[u128], removed: &[u128]| Delta {
            revision,
            total: 1,
            upserted: upserted.iter().copied().map(Uuid::from_u128).collect(),
            removed: removed.iter().copied().map(Uuid::from_u128).collect(),
            reset: false,
        };
        let check = |deltas: Vec<Delta>, changed: usize, reset: bool| {
            let mut batch = Batch::default();
            let revision = deltas.last().map_or(0, |delta| delta.revision);
            deltas.into_iter().for_each(|delta| batch.add(delta));
            assert_eq!(
                (batch.revision, batch.changed.len(), batch.reset),
                (revision, changed, reset)
            );
        };
        check(vec![], 0, false);
        check(
            vec![
                delta(1, &[1], &[]),
                delta(2, &[1], &[2]),
                delta(3, &[], &[1]),
            ],
            2,
            false,
        );
        let many: Vec<u128> = (0..1000).collect();
        check(vec![delta(1, &many, &[])], 1000, false);
        check(vec![delta(1, &many, &[]), delta(2, &[1000], &[])], 0, true);
        check(
            vec![
                delta(1, &many, &[]),
                delta(2, &[1000], &[]),
                delta(3, &[7], &[]),
            ],
            0,
            true,
        );
    }
}
