//! `pieces/didAnswer` about answers that other windows asked for, and throttled refreshes of open documents while an
//! answer grows.

use super::throttle::Throttle;
use crate::index::{Answering, Reader};
use crate::lsp::limits::{ANSWER_NEWS, ANSWER_REFRESH, MEMORY_DELAY};
use crate::lsp::rpc::answering::DidAnswer;
use crate::lsp::state::Server;
use crate::memory;
use crate::pieces::{Message, OWN, Role};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The answers that are being written, as the index knows them.
pub(super) struct Answers {
    /// The message of each, by conversation, and whether this window asked.
    running: HashMap<Uuid, (Option<Uuid>, bool)>,
    news: Throttle<Uuid>,
    refreshes: Throttle<Uuid>,
}

impl Default for Answers {
    fn default() -> Self {
        Answers {
            running: HashMap::new(),
            news: Throttle::new(ANSWER_NEWS),
            refreshes: Throttle::new(ANSWER_REFRESH),
        }
    }
}

impl Answers {
    /// To be called when these conversations changed, or any. Tells the client about answers of other windows; returns the
    /// conversations whose open documents should be refreshed now.
    pub async fn changed(
        &mut self,
        server: &Arc<Server>,
        changed: HashSet<Uuid>,
        all: bool,
    ) -> HashSet<Uuid> {
        let index = server.session.reader();
        let known = self.running.keys().copied().filter(|_| all);
        let looked_at: HashSet<Uuid> = changed.iter().copied().chain(known).collect();
        let mut refresh = changed;
        for id in looked_at {
            match answering(&index, id) {
                Some(answering) => {
                    // The last event may come after the window's own question was answered.
                    let before = self.running.get(&id).is_some_and(|(_, here)| *here);
                    let here = before || server.asks.asked_here(id);
                    self.running.insert(id, (answering.message, here));
                    if !here && self.news.admit(id) {
                        tell(server, id, answering).await;
                    }
                    if !self.refreshes.admit(id) {
                        refresh.remove(&id);
                    }
                }
                None => {
                    self.news.forget(id);
                    self.refreshes.forget(id);
                    let Some((message, here)) = self.running.remove(&id) else {
                        continue;
                    };
                    if !here {
                        tell_end(server, id, message);
                    }
                    if self.running.is_empty() {
                        tokio::spawn(give_back_memory());
                    }
                }
            }
        }
        refresh
    }

    /// When [`Answers::take_due`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        let (news, refreshes) = (self.news.due(), self.refreshes.due());
        news.into_iter().chain(refreshes).min()
    }

    /// Sends the notifications that are due; returns the conversations whose refreshes are due.
    pub async fn take_due(&mut self, server: &Server) -> HashSet<Uuid> {
        let index = server.session.reader();
        for id in self.news.take_due() {
            if let Some(answering) = answering(&index, id) {
                tell(server, id, answering).await;
            }
        }
        self.refreshes.take_due().into_iter().collect()
    }
}

fn answering(index: &Reader, id: Uuid) -> Option<Answering> {
    index.get(id)?.answering
}

async fn tell(server: &Server, conversation: Uuid, answering: Answering) {
    send(
        server,
        conversation,
        answering.message,
        answering.status.as_str(),
    )
    .await;
}

/// Tells the client how an answer ended, which its message says.
fn tell_end(server: &Arc<Server>, conversation: Uuid, message: Option<Uuid>) {
    if !server.settings().live_updates {
        return;
    }
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let last = last_message(&server, conversation, message).await;
        let (answer, status) = ending(message, last.as_ref());
        send(&server, conversation, answer, status).await;
    });
}

/// The answer, or the last message if no answer was seen: a short one is complete before the index knows that it began.
async fn last_message(
    server: &Server,
    conversation: Uuid,
    answer: Option<Uuid>,
) -> Option<Message> {
    let (_, client) = server.session.client().await.ok()?;
    let client = client.in_background();
    match answer {
        Some(id) => client.message(id).await.ok(),
        None => client.transcript(conversation).await.ok()?.messages.pop(),
    }
}

/// The answer that ended, and its status. `last` is that answer, or the last message of the conversation.
fn ending(answer: Option<Uuid>, last: Option<&Message>) -> (Option<Uuid>, &'static str) {
    let Some(last) = last.filter(|last| answer.is_some() || last.role == Role::Assistant) else {
        // A client has to read an unreadable one again anyway.
        let status = if answer.is_some() {
            "done"
        } else {
            "cancelled"
        };
        return (answer, status);
    };
    let status = match last.raw[OWN]["state"].as_str() {
        Some("stopped") => "cancelled",
        Some("interrupted") => "incomplete",
        _ => "done",
    };
    (Some(last.id), status)
}

/// Returns the memory that rendering a growing answer freed.
async fn give_back_memory() {
    // After the last refresh of the document.
    sleep(MEMORY_DELAY).await;
    let _ = tokio::task::spawn_blocking(memory::give_back).await;
}

async fn send(server: &Server, conversation: Uuid, answer: Option<Uuid>, status: &str) {
    if !server.settings().live_updates {
        return;
    }
    let params: Value = json!({ "conversation": conversation, "answer": answer, "status": status });
    server.client.send_notification::<DidAnswer>(params).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_answer_is_sent_even_if_its_beginning_was_missed() {
        let message = |role: Role, state: Option<&str>| Message {
            id: Uuid::from_u128(7),
            role,
            created: None,
            text: Some("Because".to_owned()),
            raw: json!({ OWN: {"state": state} }),
        };
        let id = Some(Uuid::from_u128(7));
        let whole = message(Role::Assistant, None);
        let stopped = message(Role::Assistant, Some("stopped"));
        let interrupted = message(Role::Assistant, Some("interrupted"));
        let question = message(Role::User, Some("unanswered"));
        for answer in [None, id] {
            assert_eq!(ending(answer, Some(&whole)), (id, "done"));
            assert_eq!(ending(answer, Some(&stopped)), (id, "cancelled"));
            assert_eq!(ending(answer, Some(&interrupted)), (id, "incomplete"));
        }
        assert_eq!(ending(None, Some(&question)), (None, "cancelled"));
        assert_eq!(ending(None, None), (None, "cancelled"));
        assert_eq!(ending(id, None), (id, "done"));
    }
}
