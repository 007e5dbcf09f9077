//! The test setup: a store, its answers, and a model whose every word the test chooses.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc, watch};

use crate::model::{
    Answer, Choice, End, Endpoint, EndpointUrl, Error, Model, Piece, Request, Sender, Source, Stop,
    Usage,
};
use crate::pieces::PlainHttp;
use crate::service::{
    answer::{Answers, Asking, Conclusion, Frame, Input, Peer, Progress, Refusal},
    hold::Watch,
    objects,
    store::{self, Kind, Store},
};

/// Far longer than anything takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// One question as it reached the model.
pub(super) struct Asked {
    pub(super) request: Request,
    to: Sender,
}

impl Asked {
    pub(super) async fn say(&self, text: &str) {
        // An answer that was given up takes no words.
        let _ = self.to.send(Ok(Piece::Text(text.to_owned()))).await;
    }

    pub(super) async fn think(&self) {
        let _ = self.to.send(Ok(Piece::Thinking)).await;
    }

    pub(super) async fn fail(self, error: Error) {
        let _ = self.to.send(Err(error)).await;
    }

    pub(super) async fn end(self) {
        self.end_as(Stop::End, None, None).await;
    }

    pub(super) async fn end_as(self, stop: Stop, prompt: Option<u32>, note: Option<&str>) {
        let usage = prompt.map(|prompt| Usage {
            prompt,
            completion: 2,
        });
        let end = End {
            stop,
            usage,
            model: None,
            note: note.map(str::to_owned),
        };
        let _ = self.to.send(Ok(Piece::End(end))).await;
    }

    /// Whether the answer was given up.
    pub(super) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }

    /// Waits until the answer is given up.
    pub(super) async fn closed(&self) {
        within(self.to.closed()).await;
    }
}

struct Played(mpsc::UnboundedSender<Asked>);

impl Endpoint for Played {
    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        let model = Model {
            id: "played".to_owned(),
            context: Some(4096),
            loaded: Some(true),
        };
        Box::pin(async { Ok(vec![model]) })
    }

    fn ask(&self, request: Request) -> BoxFuture<'_, Result<Answer, Error>> {
        let answer = Answer::written_by(|to| {
            let sent = self.0.send(Asked {
                request,
                to: to.clone(),
            });
            // Lives for as long as the answer.
            async move {
                let _ = sent;
                to.closed().await;
            }
        });
        Box::pin(async { Ok(answer) })
    }
}

pub(super) struct Stage {
    pub(super) dir: TempDir,
    pub(super) store: Arc<Store>,
    pub(super) answers: Arc<Answers>,
    questions: mpsc::UnboundedReceiver<Asked>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::at(TempDir::new().unwrap(), Asking::default())
    }

    /// One that calls this before each connection to the model.
    pub(super) fn connecting(before: impl FnMut() + Send + 'static) -> Self {
        Self::with(TempDir::new().unwrap(), Asking::default(), before)
    }

    pub(super) fn at(dir: TempDir, asking: Asking) -> Self {
        Self::with(dir, asking, || ())
    }

    fn with(dir: TempDir, asking: Asking, before: impl FnMut() + Send + 'static) -> Self {
        let store = open(dir.path());
        let (sender, questions) = mpsc::unbounded_channel();
        let before = Mutex::new(before);
        let connect = move |_: &Choice| -> Result<Box<dyn Endpoint>, Error> {
            // Its panic is the test's.
            before.lock().unwrap_or_else(PoisonError::into_inner)();
            Ok(Box::new(Played(sender.clone())))
        };
        let answers = Answers::with_connector(store.clone(), asking, Box::new(connect));
        Self {
            dir,
            store,
            answers,
            questions,
        }
    }

    /// Asks as one of our windows does.
    pub(super) fn ask(&self, conversation: &str, prompt: &str) -> Followed {
        self.try_ask(conversation, prompt, json!({})).unwrap()
    }

    pub(super) fn try_ask(
        &self,
        conversation: &str,
        prompt: &str,
        mut own: Value,
    ) -> Result<Followed, Refusal> {
        if own.get("endpoint").is_none() {
            own["endpoint"] = endpoint("http://127.0.0.1:9/v1");
        }
        let frame = json!({"relevance": {"query": prompt, "options": {"question": true}}, "pieces_lsp": own});
        self.send(conversation, frame, Peer::Own)
    }

    /// Asks with this frame.
    pub(super) fn send(
        &self,
        conversation: &str,
        frame: Value,
        peer: Peer,
    ) -> Result<Followed, Refusal> {
        let frame = Frame::read(frame.to_string().as_bytes()).unwrap();
        let Input::Ask(question) = frame.input else {
            panic!("it asks nothing");
        };
        let (run, progress) = self.answers.reserve(Some(conversation), 1)?;
        self.answers.ask(run, *question, peer);
        Ok(Followed { progress })
    }

    /// The next question that reached the model.
    pub(super) async fn asked(&mut self) -> Asked {
        within(self.questions.recv()).await.unwrap()
    }

    /// Whether a question reached the model.
    pub(super) fn was_asked(&mut self) -> bool {
        self.questions.try_recv().is_ok()
    }

    pub(super) async fn conversation(&self) -> String {
        let made = |change: &mut store::Change<'_>| {
            objects::conversation::create(change, json!({"name": "C"}), None)
        };
        self.store.write(made).await.unwrap().id
    }

    pub(super) async fn message(&self, conversation: &str, role: &str, text: &str) -> String {
        let seed = json!({"role": role, "conversation": {"id": conversation},
                          "fragment": {"string": {"raw": text}}});
        let made = |change: &mut store::Change<'_>| objects::message::create(change, seed);
        self.store.write(made).await.unwrap().id
    }

    /// The messages of a conversation: role, text and our own field.
    pub(super) async fn messages(&self, conversation: &str) -> Vec<(String, String, Value)> {
        let id = conversation.to_owned();
        let rows = self.store.read(move |db| {
            let conversation = store::get(db, Kind::Conversation, &id)?;
            store::owned_rows(db, Kind::Message, conversation.seq)
        });
        let rows = rows.await.unwrap();
        let shown = rows.iter().map(|row| {
            let doc = row.object().unwrap();
            let text = objects::message::raw(&doc).unwrap().to_owned();
            let role = doc["role"].as_str().unwrap().to_owned();
            (
                role,
                text,
                doc.get("pieces_lsp").cloned().unwrap_or_default(),
            )
        });
        shown.collect()
    }

    /// The messages without our own field.
    pub(super) async fn texts(&self, conversation: &str) -> Vec<(String, String)> {
        let messages = self.messages(conversation).await.into_iter();
        messages.map(|(role, text, _)| (role, text)).collect()
    }

    pub(super) async fn object(&self, kind: Kind, id: &str) -> (Map<String, Value>, i64) {
        let id = id.to_owned();
        let row = self.store.read(move |db| store::get(db, kind, &id));
        let row = row.await.unwrap();
        (row.object().unwrap(), row.updated)
    }

    /// How many objects a word finds.
    pub(super) async fn found(&self, word: &str) -> usize {
        let query = crate::words::query(word).unwrap();
        let found = self.store.read(move |db| store::search(db, &query, 10));
        found.await.unwrap().len()
    }

    pub(super) async fn delete(&self, conversation: &str) {
        let id = conversation.to_owned();
        let halted = self.answers.halt(&id);
        let job = move |change: &mut store::Change<'_>| {
            if let Some(halted) = halted {
                halted.store(change)?;
            }
            objects::delete(change, Kind::Conversation, &id)
        };
        self.store.write(job).await.unwrap();
    }

    /// The events about conversations from now on.
    pub(super) async fn events(&self) -> broadcast::Receiver<axum::extract::ws::Utf8Bytes> {
        self.store.subscribe(Kind::Conversation).await.unwrap().1
    }

    /// Ends as a killed process does: nothing more is written. The next stage has the same store.
    pub(super) async fn kill(self) -> Self {
        // What has been handed to the writer is on its way to the disk.
        self.store.close();
        let Self {
            dir,
            store,
            answers,
            questions,
        } = self;
        drop((store, answers, questions));
        Self::at(dir, Asking::default())
    }
}

pub(super) fn open(dir: &Path) -> Arc<Store> {
    Store::open(dir, Watch::new(dir), ()).unwrap().store
}

/// An endpoint as the asking side sends it.
pub(super) fn endpoint(url: &str) -> Value {
    let choice = Choice {
        url: EndpointUrl::parse(url, PlainHttp::Loopback).unwrap(),
        model: Some("played".to_owned()),
        context: None,
        instructions: Some("Be brief.".to_owned()),
        key: None,
        summaries: false,
        source: Source::File,
        plain_http: PlainHttp::Loopback,
    };
    serde_json::to_value(choice).unwrap()
}

/// An answer as its asker follows it.
pub(super) struct Followed {
    pub(super) progress: watch::Receiver<Progress>,
}

impl Followed {
    /// Waits until this is true.
    pub(super) async fn until(&mut self, is: impl FnMut(&Progress) -> bool) {
        within(self.progress.wait_for(is)).await.unwrap();
    }

    /// Waits until so much of the answer is there.
    pub(super) async fn until_text(&mut self, text: &str) {
        self.until(|progress| progress.text == text).await;
    }

    /// Waits until the message of the answer is stored.
    pub(super) async fn until_stored(&mut self) -> String {
        self.until(|progress| progress.message.is_some()).await;
        self.progress.borrow().message.clone().unwrap()
    }

    /// Waits for the end: the outcome, and our own field of the last frame.
    pub(super) async fn ended(&mut self) -> (String, Value) {
        self.until(|progress| progress.ended.is_some()).await;
        match &**self.progress.borrow().ended.as_ref().unwrap() {
            Conclusion::Ended(ended) => (
                format!("{:?}", ended.outcome),
                Value::Object(ended.own.clone()),
            ),
            Conclusion::Refused(refusal) => (
                format!("{} {}", refusal.code, refusal.kind),
                refusal.sentence.as_str().into(),
            ),
            Conclusion::Dry(_) => panic!("a dry run"),
        }
    }
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("it takes too long")
}
