//! One answer, from its question to its end.
//!
//! A run belongs to the service and not to the socket that asked: its text grows in [`Progress`], which all clients read
//! at their own pace.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::{ending::Ended, frame::Refusal};

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// For the model.
    Waiting,
    Thinking,
    Writing,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Thinking => "thinking",
            Self::Writing => "writing",
        }
    }
}

/// The public state of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The id of the question's message, once it is stored.
    pub(crate) question: Option<String>,
    /// The id of the answer's message, once it is stored.
    pub(crate) message: Option<String>,
    pub(crate) status: Status,
    /// The answer so far.
    pub(crate) text: String,
    pub(crate) ended: Option<Arc<Conclusion>>,
}

/// The end of a question.
#[derive(Debug)]
pub(crate) enum Conclusion {
    /// The question was refused.
    Refused(Refusal),
    Ended(Ended),
    /// The response to a dry run.
    Dry(Value),
}

/// Why a run has to end before its answer is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// The user stopped it.
    Stopped,
    /// Its conversation is being deleted.
    Deleted,
    /// The service is stopping.
    Shutdown,
    /// Its client disconnected long ago.
    Unattended,
}

/// One answer, of which there is at most one in a conversation at a time.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) conversation: String,
    /// The id that its message will have.
    pub(crate) answer: String,
    /// The socket that asked.
    pub(crate) socket: u64,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) cancel: watch::Sender<Option<Cancel>>,
}

impl Run {
    pub(super) fn new(conversation: String, socket: u64) -> Self {
        let progress = Progress {
            question: None,
            message: None,
            status: Status::Waiting,
            text: String::new(),
            ended: None,
        };
        Self {
            conversation,
            answer: uuid::Uuid::new_v4().to_string(),
            socket,
            progress: watch::Sender::new(progress),
            cancel: watch::Sender::new(None),
        }
    }

    /// Asks the run to end. The first reason counts.
    pub(super) fn cancel(&self, why: Cancel) {
        self.cancel.send_if_modified(|cancel| {
            let first = cancel.is_none();
            cancel.get_or_insert(why);
            first
        });
    }

    pub(super) async fn cancelled(&self) -> Cancel {
        let mut cancel = self.cancel.subscribe();
        // The sender lives as long as the run.
        let why = cancel.wait_for(Option::is_some).await.ok();
        why.and_then(|why| *why).unwrap_or(Cancel::Stopped)
    }
}
