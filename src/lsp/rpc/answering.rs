//! The messages to the editor while an answer is written.

use super::ask;
use crate::ask::{Event, Status};
use crate::lsp::limits::EDITOR_TIMEOUT;
use crate::lsp::state::Server;
use crate::lsp::state::asks::Ask;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower_lsp::lsp_types::notification::{Notification, Progress};
use tower_lsp::lsp_types::{
    ProgressParams, ProgressParamsValue, ProgressToken, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressCreateParams, WorkDoneProgressEnd, WorkDoneProgressReport, request,
};
use uuid::Uuid;

/// `pieces/didAnswer`.
pub(crate) enum DidAnswer {}

impl Notification for DidAnswer {
    type Params = Value;
    const METHOD: &'static str = "pieces/didAnswer";
}

/// `$/progress` with a partial result, which lsp-types 0.94 does not have.
enum PartialResult {}

impl Notification for PartialResult {
    type Params = Value;
    const METHOD: &'static str = "$/progress";
}

/// A wait longer than this is shown with its duration.
const LONG: Duration = Duration::from_secs(2);

/// Reports one answer to the editor: progress, partial results and `pieces/didAnswer`.
pub(crate) struct Answering {
    server: Arc<Server>,
    ask: Arc<Ask>,
    /// The token under which progress is shown, once the editor knows it.
    token: Option<ProgressToken>,
    /// A token of ours that the editor has yet to accept.
    created: Option<oneshot::Receiver<ProgressToken>>,
    /// The `partialResultToken` of the request.
    partial: Option<Value>,
    title: String,
    begun: bool,
    message: String,
    status: Option<Status>,
    sent: Option<Instant>,
    pub conversation: Option<Uuid>,
    pub question: Option<Uuid>,
    pub answer: Option<Uuid>,
    pub text: String,
}

impl Answering {
    /// Begins to show progress under the token of the request, or else under one of ours if the editor supports that.
    pub fn new(
        server: &Arc<Server>,
        ask: Arc<Ask>,
        token: Option<ProgressToken>,
        partial: Option<Value>,
        title: String,
    ) -> Self {
        let created = match &token {
            None if server.flags().progress => Some(create(server)),
            _ => None,
        };
        let mut answering = Answering {
            server: Arc::clone(server),
            ask,
            token: None,
            created,
            partial,
            title,
            begun: false,
            message: String::new(),
            status: None,
            sent: None,
            conversation: None,
            question: None,
            answer: None,
            text: String::new(),
        };
        if let Some(token) = token {
            answering.show_under(token);
        }
        answering
    }

    fn show_under(&mut self, token: ProgressToken) {
        self.ask.shown(token.clone());
        self.token = Some(token);
    }

    /// Sends events to the editor, batched as one message of each kind.
    pub async fn tell(&mut self, events: Vec<Event>) {
        let mut delta = String::new();
        let at = self.text.len();
        for event in events {
            match event {
                Event::Created(one) => self.conversation = Some(one.id),
                Event::Sent { conversation } => {
                    self.sent = Some(Instant::now());
                    self.conversation = conversation;
                    self.status = Some(Status::Waiting);
                    self.did_answer("waiting", None).await;
                }
                Event::Status {
                    status,
                    question,
                    answer,
                } => {
                    // A client that looks for its question in the conversation finds it from here on.
                    let stored = question.is_some() && self.question.is_none();
                    self.question = question.or(self.question);
                    self.answer = answer.or(self.answer);
                    if stored && let Some(conversation) = self.conversation {
                        // It may have been read between its creation and the question.
                        self.server.transcripts.forget(conversation);
                    }
                    if stored || self.status != Some(status) {
                        self.status = Some(status);
                        self.did_answer(status.as_str(), None).await;
                    }
                }
                Event::Delta { text, answer, .. } => {
                    self.answer = answer.or(self.answer);
                    self.text.push_str(&text);
                    delta.push_str(&text);
                }
            }
        }
        if !delta.is_empty() {
            if let Some(token) = &self.partial {
                let params = json!({ "token": token, "value": { "delta": delta } });
                let client = &self.server.client;
                client.send_notification::<PartialResult>(params).await;
            }
            self.did_answer("writing", Some((&delta, at))).await;
        }
        self.show().await;
    }

    /// Shows how long the model has been waited for. To be called about once a second.
    pub async fn show(&mut self) {
        if let Some(created) = &mut self.created
            && let Ok(token) = created.try_recv()
        {
            self.created = None;
            self.show_under(token);
        }
        if self.token.is_none() {
            return;
        }
        if !self.begun {
            self.begun = true;
            let begin = WorkDoneProgressBegin {
                title: self.title.clone(),
                cancellable: Some(true),
                ..WorkDoneProgressBegin::default()
            };
            self.work_done(WorkDoneProgress::Begin(begin)).await;
        }
        let message = self.state();
        if message != self.message {
            self.message.clone_from(&message);
            let report = WorkDoneProgressReport {
                message: Some(message),
                cancellable: Some(true),
                ..WorkDoneProgressReport::default()
            };
            self.work_done(WorkDoneProgress::Report(report)).await;
        }
    }

    /// `waiting for the model, 12 s`.
    fn state(&self) -> String {
        let waited = self.sent.map(|at| at.elapsed());
        match (self.status, waited) {
            (Some(Status::Thinking), _) => "thinking".to_owned(),
            (Some(Status::Writing), _) => "writing".to_owned(),
            (Some(Status::Waiting), Some(waited)) if waited >= LONG => {
                format!("waiting for the model, {} s", waited.as_secs())
            }
            (Some(Status::Waiting), _) => "waiting for the model".to_owned(),
            (None, _) => String::new(),
        }
    }

    /// Since the question was sent.
    pub fn seconds(&self) -> f64 {
        let waited = self.sent.map(|at| at.elapsed()).unwrap_or_default();
        waited.as_millis() as f64 / 1e3
    }

    /// Ends the reports; `status` is `done`, `cancelled` or `incomplete`.
    pub async fn end(mut self, status: &str) {
        if self.sent.is_some() {
            self.did_answer(status, None).await;
        }
        if self.begun {
            let end = WorkDoneProgressEnd { message: None };
            self.work_done(WorkDoneProgress::End(end)).await;
        }
        self.token = None;
    }

    async fn work_done(&self, value: WorkDoneProgress) {
        let Some(token) = self.token.clone() else {
            return;
        };
        let value = ProgressParamsValue::WorkDone(value);
        let params = ProgressParams { token, value };
        let client = &self.server.client;
        client.send_notification::<Progress>(params).await;
    }

    async fn did_answer(&self, status: &str, delta: Option<(&str, usize)>) {
        let Some(conversation) = self.conversation else {
            return;
        };
        if !self.server.settings().live_updates {
            return;
        }
        let mut params = json!({ "conversation": conversation, "answer": self.answer, "status": status, "here": true });
        if let Some((delta, at)) = delta {
            params["delta"] = delta.into();
            params["at"] = at.into();
        }
        let client = &self.server.client;
        client.send_notification::<DidAnswer>(params).await;
    }
}

/// Sends a token of ours to the editor; received once the editor has accepted it.
fn create(server: &Arc<Server>) -> oneshot::Receiver<ProgressToken> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let token = ProgressToken::String(format!("pieces-ask-{number}"));
    let (accepted, created) = oneshot::channel();
    let client = server.client.clone();
    tokio::spawn(async move {
        let params = WorkDoneProgressCreateParams {
            token: token.clone(),
        };
        let created = ask::<request::WorkDoneProgressCreate>(&client, params, EDITOR_TIMEOUT);
        if created.await.is_ok() {
            // The answer may have ended; then nothing is shown.
            let _ = accepted.send(token);
        }
    });
    created
}
