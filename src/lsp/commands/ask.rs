//! `pieces.conversations.ask {prompt, …}`.

use super::arguments::{field, flag, list, optional_id, structure, text, uri};
use super::{open, start};
use crate::ask::{self, Asker, Consent, Event, Outcome, Request, Stop, Surroundings};
use crate::lsp::limits::{
    ACTION_CHARS, ANSWER_TICK, ANSWER_WINDOW, CANCEL_GRACE, CONFIRM_TIMEOUT, INDEX_TIMEOUT,
    MAX_CHOICES,
};
use crate::lsp::rpc::answering::Answering;
use crate::lsp::rpc::ask_user;
use crate::lsp::rpc::context::RequestContext;
use crate::lsp::rpc::error::{asked, failed, invalid};
use crate::lsp::state::Server;
use crate::lsp::state::asks::Ask;
use crate::lsp::state::document::Document;
use crate::lsp::text::item::quoted;
use crate::lsp::text::real_path::real_path;
use crate::lsp::text::reference::{Form, id_of_uri};
use crate::lsp::text::subject::{Subject, display_name, file_path};
use crate::model::Found;
use crate::pieces::Client;
use crate::sync::Write;
use crate::sync::driver::from_wire;
use futures_util::future::{BoxFuture, OptionFuture};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{MessageType, ProgressToken, Range, Url};
use uuid::Uuid;

/// Asks a question; the result has the complete answer.
pub(super) async fn ask(
    server: &Arc<Server>,
    argument: &Value,
    token: Option<ProgressToken>,
) -> Result<Value> {
    let show = flag(argument, "show")?.unwrap_or(false);
    let argument = Argument::read(argument)?;
    let title = argument.title();
    let texts = OpenTexts::of(server);
    let (inside, open) = (Arc::clone(server), texts.clone());
    let request = async move { argument.request(&inside, &open).await };
    let tap = show.then(|| show_conversation(server));
    run(server, title, token, tap, texts, request).await
}

/// Runs a question to its end and reports its progress to the editor. `$/cancelRequest` and the other ways to stop it
/// end it with a result, not an error. `tap` receives every event.
pub(super) async fn run(
    server: &Arc<Server>,
    title: String,
    token: Option<ProgressToken>,
    tap: Option<mpsc::UnboundedSender<Event>>,
    texts: OpenTexts,
    request: impl Future<Output = Result<Request>> + Send + 'static,
) -> Result<Value> {
    let context = RequestContext::current().unwrap_or_default();
    let stop = context.stop_instead_of_cancel();
    let partial = context.partial_result_token().cloned();
    let (sender, events) = mpsc::unbounded_channel();
    let ask = Arc::new(Ask::new(&server.asks, stop.clone()));
    let asking = spawn(server, texts, request, sender, &ask);
    let mut reporting = Reporting {
        server,
        answering: Answering::new(server, ask, token, partial, title),
        events,
        tap,
        created: None,
    };
    let outcome = match reporting.follow(asking, &stop).await {
        Some(outcome) => outcome,
        // The question runs to its end without us: a write that was sent is never dropped.
        None => Ok(Outcome::Answer(left(&reporting.answering))),
    };
    reporting.end(status(&outcome)).await;
    match outcome? {
        Outcome::Answer(answer) => Ok(serde_json::to_value(answer).unwrap_or_default()),
        Outcome::DryRun(said) => Ok(said),
    }
}

/// Reports one question to the editor.
struct Reporting<'a> {
    server: &'a Arc<Server>,
    answering: Answering,
    events: mpsc::UnboundedReceiver<Event>,
    tap: Option<mpsc::UnboundedSender<Event>>,
    /// Tells the index about the conversation that was created.
    created: Option<JoinHandle<()>>,
}

impl Reporting<'_> {
    /// Reports all events until the question has ended; `None` if it was stopped and does not end in time.
    async fn follow(
        &mut self,
        mut asking: JoinHandle<Result<Outcome>>,
        stop: &Stop,
    ) -> Option<Result<Outcome>> {
        self.answering.show().await;
        let mut ticks = interval(ANSWER_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut window: Option<Instant> = None;
        let late = async {
            stop.stopped().await;
            sleep(CANCEL_GRACE).await;
        };
        tokio::pin!(late);
        let done = loop {
            tokio::select! {
                biased;
                done = &mut asking => break Some(done),
                () = &mut late => break None,
                Some(event) = self.events.recv(), if window.is_none() => {
                    let batch = self.batch(vec![event]);
                    // The first words do not wait.
                    let has_words = batch.iter().any(|one| matches!(one, Event::Delta { .. }));
                    self.report(batch).await;
                    window = has_words.then(|| Instant::now() + ANSWER_WINDOW);
                }
                Some(()) = OptionFuture::from(window.map(sleep_until)) => window = None,
                _ = ticks.tick() => self.answering.show().await,
            }
        };
        let rest = self.batch(Vec::new());
        self.report(rest).await;
        done.map(|done| done.unwrap_or_else(|_| Err(Error::internal_error())))
    }

    /// Adds all events that have arrived.
    fn batch(&mut self, mut batch: Vec<Event>) -> Vec<Event> {
        while let Ok(event) = self.events.try_recv() {
            batch.push(event);
        }
        batch
    }

    async fn report(&mut self, batch: Vec<Event>) {
        self.created = written(self.server, &batch).or(self.created.take());
        pass_on(self.tap.as_ref(), &batch);
        self.answering.tell(batch).await;
    }

    async fn end(self, status: &'static str) {
        if let Some(conversation) = self.answering.conversation {
            // The next reader fetches the conversation again, even if its stream event comes later.
            self.server.transcripts.forget(conversation);
        }
        if let Some(created) = self.created.filter(|_| status != "cancelled") {
            let _ = timeout(INDEX_TIMEOUT, created).await;
        }
        self.answering.end(status).await;
    }
}

/// The `status` of `pieces/didAnswer`.
fn status(outcome: &Result<Outcome>) -> &'static str {
    match outcome {
        Ok(Outcome::Answer(answer)) => match answer.stop {
            ask::How::End | ask::How::Length => "done",
            ask::How::Cancelled => "cancelled",
            ask::How::Incomplete => "incomplete",
        },
        Ok(Outcome::DryRun(_)) => "done",
        Err(_) => "incomplete",
    }
}

/// Shows the conversation of a question: at once if the editor refreshes the document while the answer is written,
/// or as a copy in a file when the answer is complete.
fn show_conversation(server: &Arc<Server>) -> mpsc::UnboundedSender<Event> {
    let (tap, mut events) = mpsc::unbounded_channel();
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let mut asked = None;
        let grows = server.flags().text_document_content;
        while let Some(event) = events.recv().await {
            if let Event::Sent { conversation } = event {
                asked = conversation;
            }
            if grows && asked.is_some() {
                break;
            }
        }
        if let Some(conversation) = asked
            && server.flags().show_document
        {
            open::show(&server, conversation).await;
        }
    });
    tap
}

fn pass_on(tap: Option<&mpsc::UnboundedSender<Event>>, batch: &[Event]) {
    if let Some(tap) = tap {
        // The receiver may be gone.
        batch
            .iter()
            .cloned()
            .for_each(|event| drop(tap.send(event)));
    }
}

/// Asks in a task of its own, which outlives a cancelled request.
fn spawn(
    server: &Arc<Server>,
    texts: OpenTexts,
    request: impl Future<Output = Result<Request>> + Send + 'static,
    events: ask::Events,
    ask: &Arc<Ask>,
) -> JoinHandle<Result<Outcome>> {
    let server = Arc::clone(server);
    let (stop, ask) = (ask.stop.clone(), Arc::downgrade(ask));
    tokio::spawn(async move {
        let mut request = request.await?;
        if request.model.is_none() {
            request.model.clone_from(&server.settings().model);
        }
        let asker = asker(&server, texts, ask).await.map_err(failed)?;
        let outcome = ask::ask(asker, request, events, stop).await;
        outcome.map_err(asked)
    })
}

/// The endpoint through which this window asks: the local service or Pieces OS.
pub(super) async fn asker(
    server: &Arc<Server>,
    texts: OpenTexts,
    ask: Weak<Ask>,
) -> std::result::Result<Asker, crate::pieces::Error> {
    let (_, client) = server.session.client().await?;
    Ok(Asker {
        client,
        data_dir: server.session.data_dir(),
        plain_http: server.session.plain_http(),
        surroundings: Arc::new(Editor {
            server: Arc::clone(server),
            texts,
            ask,
        }),
    })
}

/// Tells the index about a conversation that was created.
fn written(server: &Arc<Server>, batch: &[Event]) -> Option<JoinHandle<()>> {
    let created = batch.iter().find_map(|event| match event {
        Event::Created(one) => Some(from_wire(one)),
        _ => None,
    });
    let created = created?;
    let server = Arc::clone(server);
    Some(tokio::spawn(async move {
        if let Ok((handle, _)) = server.session.client().await {
            handle.wrote(Write::Conversation(created)).await;
        }
    }))
}

/// The result of a stopped question whose last event has not arrived.
fn left(answering: &Answering) -> ask::Answer {
    ask::Answer {
        conversation: answering.conversation,
        question: answering.question,
        answer: answering.answer.filter(|_| !answering.text.is_empty()),
        text: answering.text.clone(),
        stop: ask::How::Cancelled,
        model: None,
        usage: None,
        seconds: answering.seconds(),
        context: Vec::new(),
        note: None,
    }
}

/// The argument of the command.
struct Argument {
    request: Request,
    uri: Option<Url>,
    range: Option<Range>,
}

impl Argument {
    fn read(argument: &Value) -> Result<Self> {
        let ids = |name: &str| -> Result<Vec<Uuid>> {
            let what = "a list of ids (UUIDs)";
            Ok(list(argument, name, what)?.unwrap_or_default())
        };
        let owned = |name: &str| Ok(text(argument, name)?.map(str::to_owned));
        if field(argument, "prompt").is_none() && field(argument, "question").is_none() {
            return Err(invalid("`prompt` must be a text that is not empty."));
        }
        Ok(Argument {
            request: Request {
                prompt: owned("prompt")?,
                conversation: optional_id(argument, "conversation")?,
                assets: ids("assets")?,
                files: list(argument, "files", "a list of file URIs")?,
                model: owned("model")?,
                from: optional_id(argument, "from")?,
                question: optional_id(argument, "question")?,
                dry_run: flag(argument, "dryRun")?.unwrap_or(false),
                ..Request::default()
            },
            uri: uri(argument, "uri")?,
            range: structure(argument, "range", "a range with start and end")?,
        })
    }

    fn title(&self) -> String {
        title(self.request.prompt.as_deref().unwrap_or_default())
    }

    async fn request(self, server: &Arc<Server>, texts: &OpenTexts) -> Result<Request> {
        let mut request = self.request;
        let Some(uri) = self.uri else {
            return Ok(request);
        };
        match id_of_uri(&uri) {
            Some((Form::ConversationUri, id)) => {
                request.conversation = request.conversation.or(Some(id));
                return Ok(request);
            }
            Some((_, asset)) if self.range.is_none() => {
                request.assets.push(asset);
                return Ok(request);
            }
            _ => {}
        }
        if let Some(path) = file_path(&uri) {
            request.tied = real_path(path.clone()).await.or(Some(path));
        }
        about(server, texts, &mut request, uri, self.range).await?;
        Ok(request)
    }
}

/// The title of the progress report.
pub(super) fn title(prompt: &str) -> String {
    let name = ask::conversation_name(prompt);
    format!("Asking {}", quoted(&name, ACTION_CHARS))
}

/// Adds the selected lines of a document, or all of it.
pub(super) async fn about(
    server: &Arc<Server>,
    texts: &OpenTexts,
    request: &mut Request,
    uri: Url,
    range: Option<Range>,
) -> Result<()> {
    if let Some(range) = range.filter(|range| range.start != range.end) {
        let document = match texts.get(&uri) {
            Some(document) => document.clone(),
            None => start::read(&uri, server).await?,
        };
        if let Some(selection) = Subject::selection(&document, range) {
            let line = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
            request.selection = Some(ask::Selection {
                name: display_name(&uri),
                lines: Some((line(*selection.lines.start()), line(*selection.lines.end()))),
                text: document.text.slice(selection.chars).to_string(),
                uri: Some(uri),
            });
            return Ok(());
        }
    }
    request.document = Some(uri);
    Ok(())
}

/// The open documents as they were when a command arrived: what is typed later is not sent, and a range means the
/// lines that the user saw.
#[derive(Clone)]
pub(super) struct OpenTexts(Arc<Vec<(Url, Document)>>);

impl OpenTexts {
    /// To be called before a command waits for anything.
    pub fn of(server: &Server) -> Self {
        OpenTexts(Arc::new(server.documents.all()))
    }

    fn get(&self, uri: &Url) -> Option<&Document> {
        let found = self.0.iter().find(|(open, _)| open == uri);
        found.map(|(_, document)| document)
    }
}

/// What a question needs from the editor.
struct Editor {
    server: Arc<Server>,
    texts: OpenTexts,
    /// Gone once the question has its result: an answer that goes on without it is no answer of this window.
    ask: Weak<Ask>,
}

impl Surroundings for Editor {
    fn open_text(&self, uri: &Url) -> Option<String> {
        if let Some(document) = self.texts.get(uri) {
            return Some(document.text.to_string());
        }
        // Editors write the same path in different ways.
        let path = file_path(uri)?;
        let mut all = self.texts.0.iter();
        let found = all.find(|(open, _)| file_path(open).as_ref() == Some(&path));
        found.map(|(_, document)| document.text.to_string())
    }

    fn choose<'a>(&'a self, found: &'a [Found]) -> BoxFuture<'a, Consent> {
        Box::pin(async move {
            // After a "no" the user is not asked again in this session.
            if self.server.asked_for_model.swap(true, Ordering::Relaxed) {
                return Consent::No;
            }
            let newest = &found[..found.len().min(MAX_CHOICES)];
            let mut titles: Vec<String> = newest
                .iter()
                .map(|one| format!("Use {}", one.url))
                .collect();
            titles.push("Not now".to_owned());
            let message = match found {
                [one] => format!(
                    "No model was chosen, but one is running on this machine, at {}. Use it?",
                    one.url
                ),
                _ => "No model was chosen, but these are running on this machine. Use one of them?"
                    .to_owned(),
            };
            let client = &self.server.client;
            let chosen = ask_user(client, MessageType::INFO, message, &titles, CONFIRM_TIMEOUT);
            let chosen = chosen.await;
            match chosen.and_then(|title| titles.iter().position(|one| *one == title)) {
                Some(at) if at < newest.len() => {
                    self.server.asked_for_model.store(false, Ordering::Relaxed);
                    Consent::Use(at)
                }
                Some(_) => Consent::No,
                None => Consent::Nobody,
            }
        })
    }

    fn sends(&self, conversation: Uuid) {
        if let Some(ask) = self.ask.upgrade() {
            ask.sends(conversation);
        }
    }

    fn reconnect(&self) -> BoxFuture<'_, Option<Client>> {
        Box::pin(async {
            let (_, client) = self.server.session.client().await.ok()?;
            Some(client)
        })
    }
}
