//! WS `/qgpt/stream`: one question on a socket of its own, asked once.

mod frame;
mod models;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::OWN;
use super::client::Client;
use super::error::{Error, Kind};
use super::limits;
use super::socket::{Connection, Purpose, Received, Socket};
pub use frame::{Ended, Progress, Reply};
pub use models::Model;

const ROUTE: Purpose = Purpose {
    path: "/qgpt/stream",
    idle: limits::STREAM_IDLE,
    // The buffer holds the whole question, and JSON may escape one byte as six.
    unsent: 16 << 20,
};

/// One question.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// The conversation that it belongs to; `None` only if nothing is stored.
    pub conversation: Option<Uuid>,
    /// The prompt.
    pub query: String,
    /// The id of the model; `None` leaves it to the service.
    pub model: Option<String>,
    /// The id of the application that asks, if the service gave us one.
    pub application: Option<String>,
    /// Saved texts that the service should read.
    pub assets: Vec<Uuid>,
    /// Our own field, for our own service.
    pub own: Option<Value>,
}

/// A question that was sent. Dropping it closes the socket, which does not stop the answer.
pub struct Asking {
    socket: Socket<Connection>,
    conversation: Option<Uuid>,
    request: Uuid,
    local: bool,
    /// When something about this question last arrived, or when it was sent.
    heard: Instant,
    /// Whether the model has begun to think or write.
    begun: bool,
}

impl Client {
    /// Opens a socket and sends the question, once.
    ///
    /// # Errors
    /// Nothing was sent, unless [`Error::outcome_unknown`].
    pub async fn ask(&self, question: &Question) -> Result<Asking, Error> {
        let (base, socket, token) = self.address();
        let local = token.is_some();
        let mut socket = Socket::open(base, socket, token, ROUTE).await?;
        let request = Uuid::new_v4();
        let text = input(question, request).to_string();
        let sent = socket.send(text, limits::POST).await;
        sent.map_err(Error::with_unknown_outcome)?;
        Ok(Asking {
            socket,
            conversation: question.conversation,
            request,
            local,
            heard: Instant::now(),
            begun: false,
        })
    }

    /// Stops the answer that is being written in this conversation, whichever client asked. Returns whether there was one.
    ///
    /// # Errors
    /// The service cannot be reached, or does not say that it stopped.
    pub async fn stop_answer(&self, conversation: Uuid) -> Result<bool, Error> {
        let (base, socket, token) = self.address();
        let mut socket = Socket::open(base, socket, token, ROUTE).await?;
        socket.send(stop(conversation), limits::STOP).await?;
        let stopping = async {
            loop {
                if let Received::Text(text) = socket.next().await?
                    && let Some(reply) = frame::read(text.as_bytes(), Some(conversation), None)
                    && let Reply::Ended(ended) = reply
                {
                    return Ok(ended.own["stopped"] != json!(false));
                }
            }
        };
        timeout(limits::STOP, stopping)
            .await
            .unwrap_or_else(|_| Err(self.call().timeout(limits::STOP)))
    }
}

impl Asking {
    /// The next part of the answer. Frames about other questions are skipped. Cancel safe.
    ///
    /// # Errors
    /// The socket ended or was silent for too long; the service may still be writing the answer. After an error, or after
    /// [`Reply::Ended`], nothing follows.
    pub async fn next(&mut self) -> Result<Reply, Error> {
        loop {
            let deadline = self.heard + self.patience();
            let received = match timeout_at(deadline, self.socket.next()).await {
                Ok(received) => received.map_err(Error::with_unknown_outcome)?,
                Err(_) => return Err(self.late()),
            };
            let Received::Text(text) = received else {
                continue;
            };
            let read = frame::read(text.as_bytes(), self.conversation, Some(self.request));
            let Some(reply) = read else { continue };
            self.heard = Instant::now();
            if let Reply::Progress(progress) = &reply {
                if progress.is_empty() {
                    continue;
                }
                self.begun |= progress.has_begun();
            }
            return Ok(reply);
        }
    }

    /// Asks the service to stop. The answer ends with [`Reply::Ended`] soon.
    ///
    /// # Errors
    /// The socket ended.
    pub async fn stop(&mut self) -> Result<(), Error> {
        let text = match self.conversation {
            Some(conversation) => stop(conversation),
            None => json!({ "stop": true }).to_string(),
        };
        self.socket.send(text, limits::STOP).await
    }

    /// How long to wait for the next frame. The local service enforces its own deadlines and reports the end; a dead one
    /// does not answer pings.
    fn patience(&self) -> Duration {
        match (self.local, self.begun) {
            (true, _) => limits::ANSWER_LOCAL,
            (false, false) => limits::ANSWER_START,
            (false, true) => limits::ANSWER_PAUSE,
        }
    }

    fn late(&self) -> Error {
        let seconds = self.patience().as_secs();
        let peer = match self.local {
            true => "The local service",
            false => "Pieces OS",
        };
        let what = match self.begun {
            true => format!(
                "{peer} stopped in the middle of its answer and was silent for {seconds} s; ask again."
            ),
            false => format!(
                "{peer} did not begin to answer within {seconds} s; check its log, then ask again."
            ),
        };
        Error::new(Kind::Timeout, what).with_unknown_outcome()
    }
}

fn input(question: &Question, request: Uuid) -> Value {
    let mut relevance = json!({ "query": question.query, "options": { "question": true } });
    if let Some(model) = &question.model {
        relevance["model"] = model.as_str().into();
    }
    if let Some(application) = &question.application {
        relevance["application"] = application.as_str().into();
    }
    if !question.assets.is_empty() {
        let assets = question.assets.iter().map(|id| json!({ "id": id }));
        relevance["assets"] = json!({ "iterable": assets.collect::<Vec<_>>() });
    }
    let mut input = json!({ "request": request, "relevance": relevance });
    if let Some(conversation) = question.conversation {
        input["conversation"] = json!(conversation);
    }
    if let Some(own) = &question.own {
        input[OWN] = own.clone();
    }
    input
}

fn stop(conversation: Uuid) -> String {
    json!({ "conversation": conversation, "stop": true }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent() {
        let request = Uuid::from_u128(7);
        let conversation = Uuid::from_u128(8);
        let question = Question {
            conversation: Some(conversation),
            query: "Why?".into(),
            ..Question::default()
        };
        assert_eq!(
            input(&question, request),
            json!({"request": request, "conversation": conversation,
                "relevance": {"query": "Why?", "options": {"question": true}}})
        );
        let full = Question {
            model: Some("m".into()),
            application: Some("a".into()),
            assets: vec![request],
            own: Some(json!({"dryRun": true})),
            ..question
        };
        let sent = input(&full, request);
        assert_eq!(sent["relevance"]["model"], "m");
        assert_eq!(sent["relevance"]["application"], "a");
        assert_eq!(
            sent["relevance"]["assets"],
            json!({"iterable": [{"id": request}]})
        );
        assert_eq!(sent["pieces_lsp"], json!({"dryRun": true}));
    }
}
