//! Asking: the context of a question, the endpoint that answers, events and the result.
//!
//! [`ask`] does everything: it creates the conversation if there is none, gathers the texts, decides which endpoint
//! answers, sends the question once, and turns the frames into [`Event`]s and one [`Answer`]. The commands of the
//! language server and of the command line are thin wrappers.
//!
//! A question goes over WS `/qgpt/stream` to Pieces OS or to the local service. Only files that the user named in this
//! question or an earlier one of the conversation are read.

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
pub use listing::models;
pub use stop::Stop;
pub use wording::{conversation_name, stored};

use crate::model;
use crate::pieces::{Client, PlainHttp, wire};
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use url::Url;
use uuid::Uuid;

/// A question of the user.
#[derive(Clone, Default, PartialEq)]
pub struct Request {
    /// The prompt; may be missing only with [`Request::question`].
    pub prompt: Option<String>,
    /// The conversation; `None` creates a new one.
    pub conversation: Option<Uuid>,
    /// The lines that it is about; they are stored with the question.
    pub selection: Option<Selection>,
    /// The document that it is about, if no lines are selected.
    pub document: Option<Url>,
    /// The file that a new conversation is tied to.
    pub tied: Option<PathBuf>,
    /// Assets that are sent with it.
    pub assets: Vec<Uuid>,
    /// Files that are sent with it, in addition to those of earlier questions. An empty list drops those.
    pub files: Option<Vec<Url>>,
    /// The name of the model.
    pub model: Option<String>,
    /// Starts a new conversation with copies of the messages before this one.
    pub from: Option<Uuid>,
    /// Asks this unanswered question again.
    pub question: Option<Uuid>,
    /// Sends and stores nothing; the result says what would be sent.
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

/// The environment of a question: the service, and the program that asks.
#[derive(Clone)]
pub struct Asker {
    /// The service.
    pub client: Client,
    /// The data directory, which has the choice of an endpoint; `None` if the system has none.
    pub data_dir: Option<PathBuf>,
    /// Where an endpoint without https may be.
    pub plain_http: PlainHttp,
    /// The program that asks.
    pub surroundings: Arc<dyn Surroundings>,
}

/// What a question needs from the program that asks: an editor's server or a command.
pub trait Surroundings: Send + Sync {
    /// The text of an open document, saved or not.
    fn open_text(&self, uri: &Url) -> Option<String>;

    /// No endpoint was chosen, and these were found on this machine: asks the user, once, whether to use one.
    fn choose<'a>(&'a self, found: &'a [model::Found]) -> BoxFuture<'a, Consent>;

    /// The question is about to be sent to this conversation. The service may report its answer to every client before
    /// [`Event::Sent`] is received.
    fn sends(&self, _conversation: Uuid) {}

    /// A client of the service after the connection was lost; waits for it briefly.
    fn reconnect(&self) -> BoxFuture<'_, Option<Client>>;
}

/// An event while a question is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A new conversation was created for it.
    Created(Box<wire::Conversation<'static>>),
    /// The question was sent to this conversation.
    Sent {
        /// The conversation; `None` for a dry run.
        conversation: Option<Uuid>,
    },
    /// The model waits, thinks or writes.
    Status {
        /// The new status.
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
        /// Their offset in the answer, in UTF-8 bytes.
        at: usize,
        /// The answer, once its id is known.
        answer: Option<Uuid>,
    },
}

/// The state of a model.
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
