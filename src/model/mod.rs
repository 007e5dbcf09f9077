//! The choice of a model and the client that asks it: any server with the OpenAI chat API.
//!
//! The user chooses an endpoint ([`Choice`]); [`endpoint`] returns its client; [`prompt::build`] fits a conversation into
//! the model's context size. `docs/talking.md` is the page for users.
//!
//! Knows nothing of the store, of LSP, or of Pieces OS.

mod answer;
mod choice;
mod error;
mod http;
mod limits;
mod look;
mod openai;
mod pick;
pub mod prompt;
mod secret;
pub mod sse;
mod url;

pub use answer::{Answer, End, Piece, Sender, Stop, Usage};
pub use choice::{Choice, Key, New, Source, choose, clear, forget_key, resolve, save};
pub use error::{Error, Kind, TooLong};
pub use look::{Found, look_for};
pub use pick::{Ready, context_size, pick_model, prepare, was_cut};
pub use secret::Secret;
pub use url::EndpointUrl;

use futures_util::future::BoxFuture;

/// A server with models that can be asked.
pub trait Endpoint: Send + Sync {
    /// The models that it lists. Sends nothing private except the key.
    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>>;

    /// The base URL with `/v1`, once the models were listed.
    fn base(&self) -> Option<EndpointUrl> {
        None
    }

    /// Asks, once. The future is ready as soon as the request is in flight; later failures are reported by the
    /// [`Answer`].
    fn ask(&self, request: Request) -> BoxFuture<'_, Result<Answer, Error>>;
}

/// The endpoint of this choice. Without one every call fails with [`Kind::NoModel`].
///
/// # Errors
/// [`Kind::Model`] if this build cannot reach it, or the choice is not allowed.
pub fn endpoint(choice: Option<&Choice>) -> Result<Box<dyn Endpoint>, Error> {
    match choice {
        Some(choice) => Ok(Box::new(openai::OpenAi::new(choice)?)),
        None => Ok(Box::new(NoEndpoint)),
    }
}

/// One model of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name in requests.
    pub id: String,
    /// Context size in tokens, if the endpoint reports it.
    pub context: Option<u32>,
    /// Whether it is in memory, if the endpoint reports it.
    pub loaded: Option<bool>,
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// One message of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its author.
    pub role: Role,
    /// Its text.
    pub text: String,
}

/// Messages are private: only the length is shown.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({} bytes)", self.role, self.text.len())
    }
}

/// One question to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name of the model.
    pub model: String,
    /// The conversation, the prompt last.
    pub messages: Vec<Message>,
    /// The caller has used the second request that a refusal allows: do not send another.
    pub last: bool,
}

/// The endpoint if none was chosen: every call fails.
struct NoEndpoint;

impl Endpoint for NoEndpoint {
    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(async { Err(Error::none_chosen()) })
    }

    fn ask(&self, _: Request) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(async { Err(Error::none_chosen()) })
    }
}
