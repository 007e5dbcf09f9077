//! The loop between the pipes and a tower-lsp service, in place of `tower_lsp::Server`.
//!
//! One task owns all of the state. Requests reach the service in arrival order and are polled once
//! immediately: what a handler does before its first await is therefore ordered, and a quick handler
//! costs no task. A handler that has to wait gets a task of its own, so any number of them can wait
//! without delaying the others. Every request is answered exactly once.

mod encode;

use super::context::RequestContext;
use super::error::{answered, of_protocol as error};
use super::handler::Handler;
use super::lenient;
use super::spelling::Spelling;
use crate::lsp::limits::MAX_UNANSWERED;
use crate::transport::{End, Fault, Id, Inbound, Output, parent};
use encode::{client_error, encode, to_bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tower_lsp::jsonrpc::{self, Error, ErrorCode, Request, Response};
use tower_lsp::lsp_types::InitializeParams;
use tower_lsp::{ClientSocket, LanguageServer, LspService};
use tower_service::Service;

#[cfg(test)]
mod tests;

/// What the server needs beyond what tower-lsp passes to its handlers.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// Receives the raw parameters of `initialize` before its handler runs.
    pub initialize_params: Arc<OnceLock<Value>>,
    /// The server ends with this process, as it does with the `processId` of `initialize`.
    pub parent: Option<i64>,
    /// Why the input could not be read any further, if it ended with a header that nobody can read.
    pub unreadable: Arc<OnceLock<String>>,
}

/// Serves until the client leaves, and returns the exit code: 0 after a `shutdown`, else 1.
///
/// Handlers may still be running then. The caller flushes `output` and ends the process, and with it
/// the handlers; waiting for them could take forever.
pub async fn serve<S: LanguageServer>(
    service: LspService<S>,
    socket: ClientSocket,
    mut input: mpsc::Receiver<Inbound>,
    output: Output,
    hooks: Hooks,
) -> u8 {
    let (finished, mut ended) = mpsc::unbounded_channel();
    let closed = output.clone();
    let closed = closed.closed();
    tokio::pin!(closed);
    let mut main_loop = MainLoop {
        service,
        socket,
        output,
        finished,
        running: HashMap::new(),
        unanswered: VecDeque::new(),
        next_ticket: 0,
        phase: Phase::New,
        shutdown_seen: false,
        parents: FuturesUnordered::new(),
        initialize_params: hooks.initialize_params,
        unreadable: hooks.unreadable,
        spelling: Arc::default(),
        dropped: HashSet::new(),
    };
    main_loop.parents.extend(hooks.parent.map(watched));

    loop {
        tokio::select! {
            message = input.recv() => {
                let message = message.unwrap_or(Inbound::End(End::Closed(None)));
                if let Some(code) = main_loop.receive(message) {
                    while let Ok(answer) = ended.try_recv() {
                        main_loop.finish(answer);
                    }
                    main_loop.forward_outgoing();
                    return code;
                }
            }
            Some(answer) = ended.recv() => main_loop.finish(answer),
            Some(request) = main_loop.socket.next() => main_loop.forward(&request),
            Some(()) = main_loop.parents.next() => {
                tracing::info!("the client's process has ended");
                return 1;
            }
            reason = &mut closed => {
                tracing::warn!(?reason, "cannot write to the client any more");
                return 1;
            }
        }
    }
}

fn watched(pid: i64) -> BoxFuture<'static, ()> {
    parent::gone(pid).boxed()
}

/// The phase of the session. tower-lsp tracks it as well, but answers unknown methods in any phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Initializing,
    Ready,
    ShutDown,
}

/// Everything the loop owns.
struct MainLoop<S> {
    service: LspService<S>,
    /// Our messages to the client, and its answers to them.
    socket: ClientSocket,
    output: Output,
    finished: mpsc::UnboundedSender<Finished>,
    /// Requests whose handler is waiting, by the client's id.
    running: HashMap<Id, Running>,
    /// Our requests that the client has not answered, oldest first.
    unanswered: VecDeque<jsonrpc::Id>,
    /// The id that tower-lsp sees for the next request. It is our own because a client may reuse an id
    /// after cancelling, and tower-lsp remembers the ids of handlers that never ended.
    next_ticket: i32,
    phase: Phase,
    shutdown_seen: bool,
    /// Yields when a process ends that the server must not outlive.
    parents: FuturesUnordered<BoxFuture<'static, ()>>,
    initialize_params: Arc<OnceLock<Value>>,
    unreadable: Arc<OnceLock<String>>,
    spelling: Arc<Spelling>,
    /// Fields that could not be used, by method: each is logged once.
    dropped: HashSet<(String, &'static str)>,
}

/// A request whose handler is waiting.
struct Running {
    ticket: i32,
    stage: Stage,
    context: RequestContext,
    task: AbortHandle,
}

/// How the end of a request changes the phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Initialize,
    Shutdown,
    Other,
}

/// The end of a handler that had to wait.
struct Finished {
    id: Id,
    ticket: i32,
    succeeded: bool,
    body: Vec<u8>,
}

impl<S: LanguageServer> MainLoop<S> {
    /// Handles one message; returns the exit code if it was the last.
    fn receive(&mut self, message: Inbound) -> Option<u8> {
        match message {
            Inbound::Request { method, .. } | Inbound::Notification { method, .. }
                if method == "exit" =>
            {
                return Some(u8::from(!self.shutdown_seen));
            }
            Inbound::Request { id, method, params } => self.request(id, method, params),
            Inbound::Notification { method, params } => self.notification(method, params),
            Inbound::Response { id, outcome } => self.response(id, outcome),
            Inbound::Broken { length, id, fault } => self.broken(length, &id, fault),
            Inbound::End(end) => {
                tracing::info!(reason = %end, "no more input");
                if let End::Protocol(reason) = &end {
                    let _ = self.unreadable.set(reason.clone());
                }
                let orderly = self.shutdown_seen && matches!(end, End::Closed(_));
                return Some(u8::from(!orderly));
            }
        }
        None
    }

    fn request(&mut self, id: Id, method: String, params: Option<Value>) {
        self.shutdown_seen |= method == "shutdown";
        if let Some(refusal) = self.refusal(&id, &method) {
            return self.answer(encode(&id, Err(refusal)));
        }
        let (stage, params) = match method.as_str() {
            "initialize" => {
                self.phase = Phase::Initializing;
                (
                    Stage::Initialize,
                    params.map(|params| self.initialize(params)),
                )
            }
            // It has none, but some clients send `{}`, and tower-lsp would refuse that.
            "shutdown" => {
                self.phase = Phase::ShutDown;
                (Stage::Shutdown, None)
            }
            _ => (Stage::Other, self.readable(&method, params)),
        };
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let context = RequestContext::default();
        let partial = params
            .as_ref()
            .and_then(|params| params.get("partialResultToken"));
        if let Some(token) = partial.filter(|token| token.is_string() || token.is_number()) {
            context.set_partial_result_token(token.clone());
        }
        let request = Request::build(method.clone()).id(i64::from(ticket));
        let mut handler = self.call(request, &method, params, Some(context.clone()));
        let spelling = Arc::clone(&self.spelling);
        match handler.poll_once() {
            Poll::Ready(outcome) => {
                let finished = Finished::new(id, ticket, &method, outcome, &spelling);
                self.advance(stage, finished.succeeded);
                self.answer(finished.body);
            }
            Poll::Pending => {
                let (key, sender) = (id.clone(), self.finished.clone());
                let task = tokio::spawn(async move {
                    let outcome = handler.await;
                    let finished = Finished::new(id, ticket, &method, outcome, &spelling);
                    // Fails only if the process is about to end.
                    let _ = sender.send(finished);
                });
                let running = Running {
                    ticket,
                    stage,
                    context,
                    task: task.abort_handle(),
                };
                self.running.insert(key, running);
            }
        }
    }

    /// Why a request cannot be served in this phase; `None` if it can.
    fn refusal(&self, id: &Id, method: &str) -> Option<Error> {
        let (code, message) = match (self.phase, method) {
            (Phase::Initializing | Phase::Ready | Phase::ShutDown, "initialize") => (
                ErrorCode::InvalidRequest,
                "The server is already initialized.",
            ),
            (Phase::New | Phase::Initializing, method) if method != "initialize" => (
                ErrorCode::ServerError(-32002),
                "The server is not initialized yet.",
            ),
            (Phase::ShutDown, _) => (ErrorCode::InvalidRequest, "The server is shutting down."),
            _ if self.running.contains_key(id) => (
                ErrorCode::InvalidRequest,
                "A request with the same id is still being answered.",
            ),
            _ => return None,
        };
        Some(error(code, message))
    }

    /// The parameters as tower-lsp can read them. What they lose is logged once by name.
    fn readable(&mut self, method: &str, params: Option<Value>) -> Option<Value> {
        let (mut params, dropped) = lenient::params(method, params);
        for field in dropped {
            if self.dropped.insert((method.to_owned(), field)) {
                tracing::warn!(method, field, "a field that cannot be used was dropped");
            }
        }
        if let Some(params) = &mut params {
            self.spelling.read(method, params);
        }
        params
    }

    /// Stores the parameters of `initialize`, and makes them readable for tower-lsp.
    fn initialize(&mut self, params: Value) -> Value {
        let process = params.get("processId").and_then(lenient::integer);
        self.parents.extend(process.map(watched));
        let readable = !params.is_object() || InitializeParams::deserialize(&params).is_ok();
        let passed_on = if readable {
            params.clone()
        } else {
            // One unknown capability must not prevent the start. Our own reader takes them one by one.
            tracing::debug!("initialize has values that lsp-types does not know");
            json!({"capabilities": {}})
        };
        // A second attempt after a failed one comes from the same client.
        let _ = self.initialize_params.set(params);
        passed_on
    }

    fn notification(&mut self, method: String, params: Option<Value>) {
        if method == "$/cancelRequest" {
            let id = params.and_then(|mut params| params.get_mut("id").map(Value::take));
            return id
                .and_then(Id::from_value)
                .into_iter()
                .for_each(|id| self.cancel(&id));
        }
        if self.phase != Phase::Ready {
            return;
        }
        // Some clients leave the empty parameters out, and tower-lsp would drop the message.
        let params = match method.as_str() {
            "initialized" => Some(json!({})),
            _ => self.readable(&method, params),
        };
        let request = Request::build(method.clone());
        let mut handler = self.call(request, &method, params, None);
        if handler.poll_once().is_pending() {
            tokio::spawn(handler);
        }
    }

    /// Hands a request to the service.
    fn call(
        &mut self,
        request: tower_lsp::jsonrpc::RequestBuilder,
        method: &str,
        params: Option<Value>,
        context: Option<RequestContext>,
    ) -> Handler {
        let request = match params {
            Some(params) => request.params(params).finish(),
            None => request.finish(),
        };
        // Always ready, but `Service` requires the call.
        let _ = self
            .service
            .poll_ready(&mut Context::from_waker(Waker::noop()));
        Handler::new(method, context, self.service.call(request))
    }

    /// Answers a waiting request with "cancelled" and drops its handler.
    fn cancel(&mut self, id: &Id) {
        match self.running.get(id) {
            Some(Running {
                stage: Stage::Other,
                context,
                ..
            }) => {
                if let Some(stop) = context.stop() {
                    return stop.stop();
                }
            }
            _ => return,
        }
        let Some(running) = self.running.remove(id) else {
            return;
        };
        let posted = running.context.cancel();
        running.task.abort();
        // tower-lsp keeps an entry for a handler that never ended; this removes it.
        let forget = Request::build("$/cancelRequest");
        let params = json!({"id": running.ticket});
        let _ = self
            .call(forget, "$/cancelRequest", Some(params), None)
            .poll_once();

        let mut cancelled = if posted {
            let message = "Cancelled too late: the write was sent and may still be carried out.";
            error(ErrorCode::RequestCancelled, message)
        } else {
            error(ErrorCode::RequestCancelled, running.context.cancelled())
        };
        if posted && let Some(data) = &mut cancelled.data {
            data["outcomeUnknown"] = true.into();
        }
        self.answer(encode(id, Err(cancelled)));
    }

    /// Passes on an answer to a pending request of ours; any other makes tower-lsp panic.
    fn response(&mut self, id: Id, outcome: Result<Value, Value>) {
        let id = match id {
            Id::Number(number) => number.as_i64().map(jsonrpc::Id::Number),
            Id::String(string) => Some(jsonrpc::Id::String(string)),
            Id::Null => None,
        };
        let at = id.and_then(|id| {
            self.unanswered
                .iter()
                .position(|unanswered| *unanswered == id)
        });
        let Some(id) = at.and_then(|at| self.unanswered.remove(at)) else {
            tracing::debug!("a response without a pending request");
            return;
        };
        self.pass_on(Response::from_parts(id, outcome.map_err(client_error)));
    }

    fn pass_on(&mut self, response: Response) {
        // The task may have given up waiting (see `ask`), which tower-lsp treats as a bug.
        let passed = catch_unwind(AssertUnwindSafe(|| {
            self.socket.send(response).now_or_never()
        }));
        if passed.is_err() {
            tracing::warn!("a response arrived after its request was abandoned");
        }
    }

    fn broken(&mut self, length: usize, id: &Id, fault: Fault) {
        tracing::warn!(length, ?fault, "a message that is not JSON-RPC");
        let (code, what) = match fault {
            Fault::Json => (ErrorCode::ParseError, "not JSON"),
            Fault::Depth => (ErrorCode::InvalidRequest, "nested too deeply"),
            Fault::Envelope => (ErrorCode::InvalidRequest, "not a JSON-RPC 2.0 message"),
        };
        let message = format!("The message of {length} bytes is {what} and was skipped.");
        self.answer(encode(id, Err(error(code, message))));
    }

    /// Answers a request whose handler had to wait, unless it was cancelled.
    fn finish(&mut self, finished: Finished) {
        let current = |running: &Running| running.ticket == finished.ticket;
        if !self.running.get(&finished.id).is_some_and(current) {
            return;
        }
        if let Some(running) = self.running.remove(&finished.id) {
            self.advance(running.stage, finished.succeeded);
            self.answer(finished.body);
        }
    }

    fn advance(&mut self, stage: Stage, succeeded: bool) {
        if stage == Stage::Initialize {
            self.phase = if succeeded { Phase::Ready } else { Phase::New };
        }
    }

    /// Sends an answer, after all messages that its handler has sent.
    fn answer(&mut self, body: Vec<u8>) {
        self.forward_outgoing();
        self.output.send(body);
    }

    /// Forwards the messages that are ready. The loop polls again before it sleeps, so no wake-up is lost.
    fn forward_outgoing(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(request)) = self.socket.poll_next_unpin(&mut cx) {
            self.forward(&request);
        }
    }

    fn forward(&mut self, request: &Request) {
        self.unanswered.extend(request.id().cloned());
        self.output.send(self.encoded(request));
        if self.unanswered.len() > MAX_UNANSWERED
            && let Some(oldest) = self.unanswered.pop_front()
        {
            self.pass_on(Response::from_error(oldest, Error::request_cancelled()));
        }
    }

    fn encoded(&self, request: &Request) -> Vec<u8> {
        if !self.spelling.is_empty()
            && let Ok(mut message) = serde_json::to_value(request)
        {
            self.spelling.write(&mut message);
            return to_bytes(&message);
        }
        to_bytes(request)
    }
}

impl Finished {
    /// Encodes the answer; runs in the task of the handler if it has one.
    fn new(
        id: Id,
        ticket: i32,
        method: &str,
        outcome: Option<jsonrpc::Result<Value>>,
        spelling: &Spelling,
    ) -> Self {
        // The service stays silent on unknown `$/` requests; a request needs an answer.
        let outcome = outcome.unwrap_or_else(|| Err(Error::method_not_found()));
        let mut outcome = outcome.map_err(|error| answered(error, method));
        if let Ok(result) = &mut outcome {
            spelling.write(result);
        }
        let succeeded = outcome.is_ok();
        let body = encode(&id, outcome);
        Self {
            id,
            ticket,
            succeeded,
            body,
        }
    }
}
