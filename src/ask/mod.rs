//! Asking: what is sent with a question, who answers it, and what comes back.
//!
//! [`ask`] is all of it: it makes the conversation where there is none, gathers the texts, decides which endpoint
//! answers, sends the question once, and turns the frames into [`Event`]s and one [`Answer`]. The commands of the
//! language server and of the command line are thin over it.
//!
//! A question goes over WS `/qgpt/stream` to Pieces OS or to the local service. Of files only those are read that the
//! person named in this ask or an earlier one of the conversation.

mod answer;
mod conversation;
mod endpoint;
mod file;
mod flow;
mod gather;
mod kept;
mod limits;
mod listing;
mod local;
mod pieces_os;
mod stop;
mod wording;

pub use answer::{Answer, Cause, Failure, How, Outcome};
pub use endpoint::Consent;
pub use flow::ask;
pub use kept::{Kept, forget_kept, kept};
pub use listing::{Listed, Models, models};
pub use stop::Stop;
pub use wording::{conversation_name, stored};

use crate::model;
pub use crate::model::prompt::{Context, Kind};
use crate::pieces::{Client, wire};
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

/// What a person asks.
#[derive(Clone, Default, PartialEq)]
pub struct Request {
    /// The question; may be missing only with [`Request::question`].
    pub prompt: Option<String>,
    /// The conversation; `None` makes a new one.
    pub conversation: Option<Uuid>,
    /// The lines that it is about; they are stored with the question.
    pub selection: Option<Selection>,
    /// The document that it is about, where no lines are selected.
    pub document: Option<Url>,
    /// The file that a new conversation is tied to.
    pub tied: Option<PathBuf>,
    /// Saved texts that go with it.
    pub assets: Vec<Uuid>,
    /// Files that go with it, beside those of earlier asks. An empty list ends those of earlier asks.
    pub files: Option<Vec<Url>>,
    /// The name of the model.
    pub model: Option<String>,
    /// Starts a new conversation with copies of what came before this message.
    pub from: Option<Uuid>,
    /// Answers this question, which has no answer.
    pub question: Option<Uuid>,
    /// Sends and stores nothing; says what would be sent.
    pub dry_run: bool,
}

/// Lines that a question is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Selection {
    /// Where they are; `None` for text without a place.
    pub uri: Option<Url>,
    /// The name of the document.
    pub name: String,
    /// The first and last line, from 1.
    pub lines: Option<(u32, u32)>,
    /// The text itself.
    pub text: String,
}

/// Around a question: where it goes, and the person who asked.
#[derive(Clone)]
pub struct Asker {
    /// The service.
    pub client: Client,
    /// Where the choice of an endpoint lies; `None` if the system has no such directory.
    pub data_dir: Option<PathBuf>,
    /// `--allow-remote`.
    pub allow_remote: bool,
    /// The person's program.
    pub surroundings: Arc<dyn Surroundings>,
}

/// What the program of the person knows and can do.
pub trait Surroundings: Send + Sync {
    /// The text of an open document, saved or not.
    fn open_text(&self, uri: &Url) -> Option<String>;

    /// No endpoint was chosen, and these were found on this machine: asks the person, once, whether to use one.
    fn choose<'a>(&'a self, found: &'a [model::Found]) -> BoxFuture<'a, Consent>;

    /// A client of the service after the connection was lost; waits for it briefly.
    fn reconnect(&self) -> BoxFuture<'_, Option<Client>>;
}

/// What happens while a question is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A new conversation was made for it.
    Created(Box<wire::Conversation<'static>>),
    /// The question was sent to this conversation.
    Sent {
        /// The conversation; `None` for a dry run.
        conversation: Option<Uuid>,
    },
    /// The model waits, thinks or writes.
    Status {
        /// What it does.
        status: Status,
        /// The question, once it is stored.
        question: Option<Uuid>,
        /// The answer, once there is one.
        answer: Option<Uuid>,
    },
    /// The next words.
    Delta {
        /// The words.
        text: String,
        /// Where they begin in the answer, in bytes.
        at: usize,
        /// The answer, once its id is known.
        answer: Option<Uuid>,
    },
}

/// What a model is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was asked.
    Waiting,
    /// It thinks.
    Thinking,
    /// It writes.
    Writing,
}

impl Status {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Waiting => "waiting",
            Status::Thinking => "thinking",
            Status::Writing => "writing",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Status> {
        [Status::Waiting, Status::Thinking, Status::Writing]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// Where events go. The receiver may be gone.
pub type Events = mpsc::UnboundedSender<Event>;
