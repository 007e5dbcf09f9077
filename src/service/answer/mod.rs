//! Questions and their answers: which model is asked, with which context, and how its answer is stored.
//!
//! [`Answers`] has the answers that are being written, at most one per conversation. An answer belongs to the
//! service: the client that asked may disconnect. `docs/service.md` describes the protocol.

mod anchors;
mod context;
mod decide;
mod ending;
mod files;
mod frame;
mod models;
mod once;
mod question;
mod record;
mod run;
mod summary;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

pub use self::decide::Asking;
use self::{
    context::{Material, Said},
    ending::{Ended, Ending},
    files::Read,
    record::{Begin, Finish, Ids, Stored},
    run::Cancel,
    writer::Asked,
};
pub(crate) use self::{
    decide::Peer,
    ending::status_of,
    frame::{Asker, Refusal},
    once::{Refused, Whole},
    question::{Frame, Input, Question},
    run::{Conclusion, Progress, Run},
};
use super::{
    Failure,
    store::{self, Answering, Change, Store},
};
use crate::model::{self, Choice, Endpoint, Error};

/// Creates the client of an endpoint; tests have one of their own.
type Connector = Box<dyn Fn(&Choice) -> Result<Box<dyn Endpoint>, Error> + Send + Sync>;

/// The answers that are being written.
pub(crate) struct Answers {
    store: Arc<Store>,
    asking: Asking,
    connector: Connector,
    /// By conversation.
    running: Mutex<HashMap<String, Arc<Run>>>,
    /// The number of runs, to wait for their end.
    count: watch::Sender<usize>,
    /// Endpoints on other machines that were asked before, and so may be asked for their models.
    asked: Mutex<HashSet<String>>,
    associated: anchors::Associated,
    summaries: summary::Summaries,
}

impl Answers {
    pub(crate) fn new(store: Arc<Store>, asking: Asking) -> Arc<Self> {
        Self::with_connector(
            store,
            asking,
            Box::new(|choice| model::endpoint(Some(choice))),
        )
    }

    fn with_connector(store: Arc<Store>, asking: Asking, connector: Connector) -> Arc<Self> {
        Arc::new(Self {
            store,
            asking,
            connector,
            running: Mutex::default(),
            count: watch::Sender::new(0),
            asked: Mutex::default(),
            associated: anchors::Associated::default(),
            summaries: summary::Summaries::new(),
        })
    }

    /// Reserves the conversation for a new answer: the one that the client names, or a new one.
    ///
    /// # Errors
    /// It is being answered.
    pub(crate) fn reserve(
        &self,
        wanted: Option<&str>,
        socket: u64,
    ) -> Result<(Arc<Run>, watch::Receiver<Progress>), Refusal> {
        let wanted = wanted.and_then(|id| Uuid::parse_str(id).ok());
        let conversation = wanted.unwrap_or_else(Uuid::new_v4).to_string();
        let mut running = lock(&self.running);
        if running.contains_key(&conversation) {
            return Err(Refusal::busy());
        }
        let run = Arc::new(Run::new(conversation.clone(), socket));
        running.insert(conversation, run.clone());
        self.summaries.end();
        self.count.send_modify(|count| *count += 1);
        let progress = run.progress.subscribe();
        Ok((run, progress))
    }

    /// Stores the question and answers it, in the background.
    pub(crate) fn ask(self: &Arc<Self>, run: Arc<Run>, question: Question, peer: Peer) {
        let place = Place {
            answers: self.clone(),
            run,
        };
        tokio::spawn(async move {
            let started = Instant::now();
            let concluding = place.answers.conclude(&place.run, question, peer);
            // Nothing that is written to meanwhile is used afterwards but what a panic cannot leave half done: the
            // text in `Progress`, and the store with its transactions.
            let conclusion = match AssertUnwindSafe(concluding).catch_unwind().await {
                Ok(conclusion) => conclusion,
                Err(_) => place.answers.interrupt(&place.run, started).await,
            };
            place.leave(conclusion);
        });
    }

    /// Stores what a run wrote before it panicked, as interrupted.
    async fn interrupt(&self, run: &Run, started: Instant) -> Conclusion {
        self.store.live().remove(&run.conversation);
        let (text, begun, question) = {
            let progress = run.progress.borrow();
            let begun = progress.message.is_some();
            (progress.text.clone(), begun, progress.question.clone())
        };
        let has_words = !text.is_empty();
        let mut ending = Ending::of_fault(has_words);
        let Some(question) = question else {
            return Conclusion::Ended(ending.into_ended(None, false, 0.0));
        };
        let ids = Ids {
            conversation: run.conversation.clone(),
            question,
            answer: run.answer.clone(),
        };
        let finish = Finish {
            text,
            own: ending.stored_own(),
            model: None,
        };
        let told = ids.clone();
        let finishing = self
            .store
            .write(move |change| record::finish(change, &ids, &finish, begun));
        let kept = finishing.await;
        let is_stored = has_words && matches!(kept, Ok(Stored::Yes));
        ending.kept(&kept);
        let seconds = started.elapsed().as_secs_f64();
        Conclusion::Ended(ending.into_ended(Some(&told), is_stored, seconds))
    }

    async fn conclude(&self, run: &Arc<Run>, mut question: Question, peer: Peer) -> Conclusion {
        let read = self
            .read_files(&run.conversation, &mut question, peer)
            .await;
        let begin = begin(run, &mut question, &read);
        self.store.live().set(
            &run.conversation,
            Answering {
                message: None,
                status: run::Status::Waiting.as_str(),
            },
        );
        let begun = self
            .store
            .write(|change| record::begin(change, begin))
            .await;
        let begun = match begun {
            Ok(begun) => begun,
            Err(failure) => {
                self.store.live().remove(&run.conversation);
                return Conclusion::Refused(Refusal::of(failure));
            }
        };
        run.progress
            .send_modify(|progress| progress.question = Some(begun.question.clone()));
        let ids = Ids {
            conversation: run.conversation.clone(),
            question: begun.question,
            answer: run.answer.clone(),
        };
        let mut said = Said::of(&mut question);
        if said.prompt.trim().is_empty() {
            said.prompt = begun.text;
        }
        let place = (ids.conversation.clone(), ids.question.clone());
        let gathered = self
            .store
            .read(move |db| context::gather(db, said, Some(&place.0), Some(&place.1)))
            .await;
        let mut material = gathered.unwrap_or_else(Material::unreadable);
        material.add_files(read);
        let asked = Asked {
            run: run.clone(),
            ids,
            question,
            peer,
            material,
        };
        Conclusion::Ended(writer::drive(self, asked).await)
    }

    /// Reads the files that a question names. Editor windows read them themselves.
    async fn read_files(&self, conversation: &str, question: &mut Question, peer: Peer) -> Read {
        let mut paths = std::mem::take(&mut question.paths);
        if question.own.is_some() {
            return Read::default();
        }
        let own = std::mem::take(&mut question.anchors);
        let anchors = anchors::referred(own, &self.associated, conversation);
        let conversation = conversation.to_owned();
        let named = self
            .store
            .read(move |db| anchors::paths(db, &anchors, &conversation));
        paths.extend(named.await.unwrap_or_default());
        let mut seen = HashSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        if !peer.is_trusted() {
            return files::none(&paths, "this service runs without a token");
        }
        files::read(paths, self.store.dir().to_owned()).await
    }

    /// Records that a client associated an anchor with a conversation, or disassociated it.
    pub(crate) fn note_anchor(&self, conversation: &str, anchor: &str, is_associated: bool) {
        self.associated.note(conversation, anchor, is_associated);
    }

    /// The result of a dry run. Nothing is stored, and nothing is sent to a machine that was not contacted before.
    pub(crate) async fn dry_run(
        &self,
        conversation: Option<String>,
        mut question: Question,
        peer: Peer,
    ) -> Conclusion {
        let said = Said::of(&mut question);
        let gathered = self
            .store
            .read(move |db| {
                let id = conversation.as_deref();
                let here = id.map(|id| store::find_head(db, id)).transpose()?.flatten();
                context::gather(db, said, id.filter(|_| here.is_some()), None)
            })
            .await;
        let material = match gathered {
            Ok(material) => material,
            Err(failure) => return Conclusion::Refused(Refusal::of(failure)),
        };
        match self.plan(&question, peer).await {
            Ok((choice, model, context)) => {
                let prompt = context::build(&material, &choice, context);
                Conclusion::Dry(json!({
                    "endpoint": choice.url.to_string(),
                    "model": model,
                    "remote": !choice.url.is_loopback(),
                    "context": context::context_field(Some(&prompt.sent), &material),
                    "tokens": prompt.tokens,
                }))
            }
            Err(error) => Conclusion::Ended(Ended::failed(&error)),
        }
    }

    /// Stops the answer of a conversation and returns its progress, on which the end can be awaited. `None` if there is none.
    pub(crate) fn stop(&self, conversation: &str) -> Option<watch::Receiver<Progress>> {
        let id = Uuid::parse_str(conversation).ok()?.to_string();
        let run = lock(&self.running).get(&id).cloned()?;
        let progress = run.progress.subscribe();
        run.cancel(Cancel::Stopped);
        Some(progress)
    }

    /// Ends the answer of a conversation that is about to be deleted. Its words so far are stored in the transaction of the
    /// delete.
    pub(crate) fn halt(&self, conversation: &str) -> Option<Halted> {
        let run = lock(&self.running).get(conversation).cloned()?;
        run.cancel(Cancel::Deleted);
        let progress = run.progress.borrow();
        Some(Halted {
            ids: Ids {
                conversation: run.conversation.clone(),
                question: progress.question.clone()?,
                answer: run.answer.clone(),
            },
            begun: progress.message.is_some(),
            text: progress.text.clone(),
        })
    }

    /// Whether this socket's question in the conversation is being answered.
    pub(crate) fn is_of(&self, conversation: &str, socket: u64) -> bool {
        let id = Uuid::parse_str(conversation).map(|id| id.to_string());
        let running = lock(&self.running);
        id.is_ok_and(|id| running.get(&id).is_some_and(|run| run.socket == socket))
    }

    /// Stops all answers of a socket.
    pub(crate) fn stop_all_of(&self, socket: u64) {
        for run in lock(&self.running).values() {
            if run.socket == socket {
                run.cancel(Cancel::Stopped);
            }
        }
    }

    /// Ends all answers, because the service ends, and waits until they are stored.
    pub(crate) async fn end(&self) {
        let cancel = || {
            for run in lock(&self.running).values() {
                run.cancel(Cancel::Shutdown);
            }
        };
        self.summaries.end();
        let mut count = self.count.subscribe();
        loop {
            // Another question may have arrived meanwhile.
            cancel();
            if *count.borrow_and_update() == 0 {
                return;
            }
            if count.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether this endpoint may be contacted without a question: it is on this machine, or was contacted before.
    fn may_contact(&self, choice: &Choice) -> bool {
        choice.url.is_loopback() || lock(&self.asked).contains(choice.url.as_str())
    }

    /// From now on the models of this endpoint may be listed.
    fn may_list(&self, choice: &Choice) {
        lock(&self.asked).insert(choice.url.as_str().to_owned());
    }

    /// The response of GET `/models`.
    pub(crate) async fn models(&self) -> Value {
        let choice = self.chosen().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "no endpoint");
            None
        });
        let mut models = models::aliases(choice.as_ref());
        let mut own = json!({"source": "none"});
        if let Some(choice) = &choice {
            own = json!({
                "source": choice.source.as_str(),
                "endpoint": choice.url.to_string(),
                "default": choice.model,
            });
            let listed = match self.connect(choice) {
                Ok(endpoint) if self.may_contact(choice) => {
                    endpoint.models().await.unwrap_or_default()
                }
                _ => Vec::new(),
            };
            let named = choice
                .model
                .iter()
                .filter(|name| !listed.iter().any(|model| model.id == **name));
            models.extend(named.map(|name| models::object(choice, name)));
            models.extend(listed.iter().map(|model| models::listed(choice, model)));
        }
        json!({"iterable": models, "pieces_lsp": own})
    }
}

/// An answer whose conversation is being deleted.
pub(crate) struct Halted {
    ids: Ids,
    begun: bool,
    text: String,
}

impl Halted {
    /// Stores the words that are not stored yet.
    pub(crate) fn store(&self, change: &mut Change<'_>) -> Result<(), Failure> {
        let text = (!self.text.is_empty()).then_some(self.text.as_str());
        record::flush(change, &self.ids, text, self.begun).map(drop)
    }
}

/// What is stored of a question.
fn begin(run: &Run, question: &mut Question, read: &Read) -> Begin {
    let own = question.own.as_mut();
    let mut begin = Begin {
        conversation: run.conversation.clone(),
        prompt: question.prompt.clone(),
        named: read.named(),
        application: question.application.clone(),
        ..Begin::default()
    };
    if let Some(own) = own {
        begin.must_not_be_deleted = true;
        begin.again = own.question.clone();
        begin.stored = own.stored.take();
        begin.named = own.named.take();
    }
    begin
}

/// The reservation of a conversation. Dropping it, even by a panic, tells the asking client the end.
struct Place {
    answers: Arc<Answers>,
    run: Arc<Run>,
}

impl Place {
    fn leave(self, conclusion: Conclusion) {
        self.conclude(conclusion);
    }

    /// Frees the conversation first, because the client may ask again as soon as it receives the end.
    fn conclude(&self, conclusion: Conclusion) {
        lock(&self.answers.running).remove(&self.run.conversation);
        self.run.progress.send_if_modified(|progress| {
            let open = progress.ended.is_none();
            progress.ended.get_or_insert_with(|| Arc::new(conclusion));
            open
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.run.progress.borrow().ended.is_none() {
            // The runtime ends, or even storing the end panicked.
            self.answers.store.live().remove(&self.run.conversation);
            let ending = Ending::of_fault(false);
            self.conclude(Conclusion::Ended(ending.into_ended(None, false, 0.0)));
        }
        self.answers.count.send_modify(|count| *count -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
