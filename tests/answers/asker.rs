//! A service with a model, and clients that ask it.

use super::support::{
    DEADLINE,
    endpoint::Endpoint,
    local::{Local, options},
};
use futures_util::{SinkExt as _, StreamExt as _};
use pieces_lsp::model::{self, EndpointUrl, New};
use pieces_lsp::pieces::PlainHttp;
use pieces_lsp::service::{Attached, Options, attach};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

pub struct Stage {
    pub dir: TempDir,
    pub attached: Attached,
    pub local: Local,
    pub endpoint: Endpoint,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(|options| options).await
    }

    /// A service with a model, with these options.
    pub async fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let dir = TempDir::new().unwrap();
        let endpoint = Endpoint::start();
        choose(dir.path(), &endpoint.url, false);
        let options = change(options(dir.path(), true));
        let attached = attach(&options).await.unwrap();
        let local = Local::new(&attached.url, attached.token.clone());
        Self {
            dir,
            attached,
            local,
            endpoint,
        }
    }

    /// A socket for questions over TCP, as other clients have it.
    pub async fn socket(&self) -> Socket {
        self.stream("/qgpt/stream").await
    }

    pub async fn stream(&self, path: &str) -> Socket {
        Socket::connect(&self.local, path).await
    }

    /// A socket for questions over the Unix socket, as our own windows have it.
    pub async fn own_socket(&self) -> Socket {
        let io = UnixStream::connect(self.dir.path().join("socket"))
            .await
            .unwrap();
        Socket::open(&self.local, Box::new(io), "/qgpt/stream").await
    }

    pub async fn conversation(&self) -> String {
        let made = self
            .local
            .post("/conversations/create", json!({"name": "C"}))
            .await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// The messages of a conversation in the order of its `indices`: role, text and our own field.
    pub async fn messages(&self, conversation: &str) -> Vec<(String, String, Value)> {
        messages(&self.local, conversation).await
    }

    /// The text of the answer, which is the last message.
    pub async fn answer(&self, conversation: &str) -> String {
        self.messages(conversation).await.pop().unwrap().1
    }

    /// Waits until the last message is in no state but this.
    pub async fn until_state(
        &self,
        conversation: &str,
        state: &Value,
    ) -> Vec<(String, String, Value)> {
        let waiting = async {
            loop {
                let messages = self.messages(conversation).await;
                if messages.len() > 1 && messages.last().unwrap().2["state"] == *state {
                    return messages;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, waiting)
            .await
            .expect("the state never comes")
    }
}

pub async fn messages(local: &Local, conversation: &str) -> Vec<(String, String, Value)> {
    let object = local.get(&format!("/conversation/{conversation}")).await;
    let mut ids: Vec<_> = object["messages"]["indices"]
        .as_object()
        .unwrap()
        .iter()
        .collect();
    ids.sort_by_key(|(_, at)| at.as_i64());
    let mut messages = Vec::new();
    for (id, _) in ids {
        let message = local.get(&format!("/message/{id}")).await;
        let text = message["fragment"]["string"]["raw"]
            .as_str()
            .unwrap()
            .to_owned();
        let role = message["role"].as_str().unwrap().to_owned();
        messages.push((role, text, message["pieces_lsp"].clone()));
    }
    messages
}

/// Chooses the endpoint as `pieces-lsp model use` does.
pub fn choose(dir: &Path, url: &str, summaries: bool) {
    let url = EndpointUrl::parse(url, PlainHttp::Loopback).unwrap();
    let new = New {
        summaries,
        ..New::plain(url)
    };
    model::save(dir, &new).unwrap();
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub struct Socket(WebSocketStream<Box<dyn Io>>);

impl Socket {
    /// A socket over TCP.
    pub async fn connect(local: &Local, path: &str) -> Self {
        let address = local.url.strip_prefix("http://").unwrap();
        let io = TcpStream::connect(address).await.unwrap();
        Self::open(local, Box::new(io), path).await
    }

    async fn open(local: &Local, io: Box<dyn Io>, path: &str) -> Self {
        let url = format!("{}{path}", local.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = local.token() {
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", bearer);
        }
        Self(client_async(request, io).await.unwrap().0)
    }

    pub async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Asks as the published CLI does.
    pub async fn ask(&mut self, conversation: Option<&str>, query: &str) {
        let mut frame = question(query);
        if let Some(conversation) = conversation {
            frame["conversation"] = conversation.into();
        }
        self.send(frame).await;
    }

    pub async fn frame(&mut self) -> Value {
        let reading = async {
            loop {
                match self.0.next().await.expect("the socket ended").unwrap() {
                    Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                    Message::Close(_) => panic!("the socket was closed"),
                    _ => {}
                }
            }
        };
        timeout(DEADLINE, reading).await.expect("no frame came")
    }

    /// Reads frames until the words are these.
    pub async fn until_text(&mut self, wanted: &str) {
        let mut text = String::new();
        while text != wanted {
            text.push_str(&words(&self.frame().await));
        }
    }

    /// Reads frames until there are so many words, each with a space behind it.
    pub async fn until_words(&mut self, count: u64) {
        let mut seen = 0;
        while seen < count {
            seen += words(&self.frame().await).matches(' ').count() as u64;
        }
    }

    /// Reads frames to the last one: all words, and that frame.
    pub async fn ended(&mut self) -> (String, Value) {
        let mut text = String::new();
        loop {
            let frame = self.frame().await;
            if frame["status"] != "IN-PROGRESS" {
                return (text, frame);
            }
            text.push_str(&words(&frame));
        }
    }
}

/// A question as the published CLI sends it.
pub fn question(query: &str) -> Value {
    json!({"relevance": {"query": query, "options": {"question": true}}, "request": "r"})
}

/// The words of a frame.
pub fn words(frame: &Value) -> String {
    let answers = frame["question"]["answers"]["iterable"].as_array();
    let texts = answers.into_iter().flatten();
    texts
        .map(|answer| answer["text"].as_str().unwrap())
        .collect()
}
