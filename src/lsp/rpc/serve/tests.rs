//! The loop over a service made for the purpose, through in-memory pipes.

use super::*;
use crate::lsp::rpc::ask::{Unanswered, ask};
use crate::transport::FrameReader;
use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_lsp::lsp_types::notification::LogMessage;
use tower_lsp::lsp_types::request::{ShowMessageRequest, WorkspaceConfiguration};
use tower_lsp::lsp_types::{
    ConfigurationParams, InitializeResult, LogMessageParams, MessageType, ShowMessageRequestParams,
};
use tower_lsp::{Client, jsonrpc::Result};

/// Longer than any test takes.
const SOON: Duration = Duration::from_secs(20);

struct TestServer {
    client: Client,
    seen: Mutex<Vec<u64>>,
    dropped: Arc<Mutex<u32>>,
}

/// Counts when a handler's future is dropped.
struct Dropped(Arc<Mutex<u32>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 1;
    }
}

#[tower_lsp::async_trait]
impl LanguageServer for TestServer {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        Ok(InitializeResult::default())
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

fn question() -> ShowMessageRequestParams {
    ShowMessageRequestParams {
        typ: MessageType::INFO,
        message: "?".to_owned(),
        actions: None,
    }
}

impl TestServer {
    async fn ping(&self) -> Result<&'static str> {
        Ok("pong")
    }

    async fn panic(&self) -> Result<()> {
        panic!("on purpose")
    }

    async fn panic_later(&self) -> Result<()> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    }

    async fn wait(&self) -> Result<()> {
        let _dropped = Dropped(Arc::clone(&self.dropped));
        std::future::pending().await
    }

    async fn post(&self) -> Result<()> {
        let context = RequestContext::current().expect("a request has a context");
        assert!(context.post_left());
        std::future::pending().await
    }

    async fn keep(&self) -> Result<()> {
        let context = RequestContext::current().expect("a request has a context");
        context.keeps("Cancelled; a part is kept.");
        std::future::pending().await
    }

    async fn ask_for_ever(&self) -> Result<bool> {
        let answer = self
            .client
            .send_request::<ShowMessageRequest>(question())
            .await;
        Ok(answer?.is_none())
    }

    async fn ask_briefly(&self) -> Result<String> {
        let brief = Duration::from_millis(1);
        let answer = ask::<ShowMessageRequest>(&self.client, question(), brief).await;
        Ok(answer.unwrap_err().to_string())
    }

    async fn ask_carelessly(&self) -> Result<bool> {
        let request = self.client.send_request::<ShowMessageRequest>(question());
        Ok(timeout(Duration::from_millis(1), request).await.is_err())
    }

    async fn ask_settings(&self) -> Result<Value> {
        let items = ConfigurationParams { items: Vec::new() };
        let answer = ask::<WorkspaceConfiguration>(&self.client, items, SOON).await;
        Ok(match answer {
            Ok(values) => values.into(),
            Err(Unanswered::Refused(error)) => json!({"refused": error.code.code()}),
            Err(Unanswered::Late) => json!("late"),
        })
    }

    async fn note(&self, params: Value) {
        self.seen
            .lock()
            .unwrap()
            .push(params["n"].as_u64().unwrap());
        tokio::task::yield_now().await;
    }

    async fn notes(&self) -> Result<Vec<u64>> {
        Ok(self.seen.lock().unwrap().clone())
    }

    async fn tell(&self) -> Result<()> {
        for n in 0..10 {
            let params = LogMessageParams {
                typ: MessageType::LOG,
                message: n.to_string(),
            };
            self.client.send_notification::<LogMessage>(params).await;
        }
        Ok(())
    }

    async fn dropped(&self) -> Result<u32> {
        Ok(*self.dropped.lock().unwrap())
    }
}

/// Turns the bytes written into messages.
struct Messages(mpsc::UnboundedSender<Value>, Vec<u8>);

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Every write is followed by a flush, and ends with a whole frame.
    fn flush(&mut self) -> io::Result<()> {
        let written = std::mem::take(&mut self.1);
        let mut frames = FrameReader::new(written.as_slice());
        while let Some(body) = frames.next_frame().map_err(io::Error::other)? {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.0.send(serde_json::from_slice(&body)?).map_err(gone)?;
        }
        Ok(())
    }
}

/// A client in the same process.
struct Session {
    input: mpsc::Sender<Inbound>,
    output: mpsc::UnboundedReceiver<Value>,
    serving: JoinHandle<u8>,
}

impl Session {
    fn start(hooks: Hooks) -> Self {
        let dropped = Arc::default();
        let build = |client| TestServer {
            client,
            seen: Mutex::default(),
            dropped,
        };
        let (service, socket) = LspService::build(build)
            .custom_method("test/ping", TestServer::ping)
            .custom_method("test/panic", TestServer::panic)
            .custom_method("test/panicLater", TestServer::panic_later)
            .custom_method("test/wait", TestServer::wait)
            .custom_method("test/post", TestServer::post)
            .custom_method("test/keep", TestServer::keep)
            .custom_method("test/askForEver", TestServer::ask_for_ever)
            .custom_method("test/askBriefly", TestServer::ask_briefly)
            .custom_method("test/askCarelessly", TestServer::ask_carelessly)
            .custom_method("test/askSettings", TestServer::ask_settings)
            .custom_method("test/note", TestServer::note)
            .custom_method("test/notes", TestServer::notes)
            .custom_method("test/tell", TestServer::tell)
            .custom_method("test/dropped", TestServer::dropped)
            .finish();
        let (input, receiver) = mpsc::channel(64);
        let (sender, output) = mpsc::unbounded_channel();
        let pipe = Output::start(Messages(sender, Vec::new())).unwrap();
        let serving = tokio::spawn(serve(service, socket, receiver, pipe, hooks));
        Self {
            input,
            output,
            serving,
        }
    }

    async fn ready() -> Self {
        let mut session = Self::start(Hooks::default());
        session
            .request(0, "initialize", json!({"capabilities": {}}))
            .await;
        assert!(session.next().await["result"]["capabilities"].is_object());
        session.notify("initialized", Value::Null).await;
        session
    }

    async fn send(&self, message: Value) {
        let message = Inbound::decode(message.to_string().as_bytes());
        self.input.send(message).await.unwrap();
    }

    async fn request(&self, id: impl Into<Value>, method: &str, params: Value) {
        let id = id.into();
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
    }

    async fn notify(&self, method: &str, params: Value) {
        self.send(json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await;
    }

    async fn reply(&self, id: &Value, result: Value) {
        self.send(json!({"jsonrpc": "2.0", "id": id, "result": result}))
            .await;
    }

    async fn next(&mut self) -> Value {
        let message = timeout(SOON, self.output.recv()).await.expect("a message");
        message.expect("the server still runs")
    }

    async fn code(&mut self) -> Value {
        self.next().await["error"]["code"].clone()
    }

    /// Sends a request and returns its result, when nothing else may come in between.
    async fn call(&mut self, method: &str) -> Value {
        self.request("call", method, Value::Null).await;
        let mut answer = self.next().await;
        assert_eq!(answer["id"], "call", "{answer}");
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    async fn exit_code(self) -> u8 {
        timeout(SOON, self.serving).await.expect("an end").unwrap()
    }
}

#[tokio::test]
async fn requests_out_of_place_are_refused() {
    let mut session = Session::start(Hooks::default());
    for method in ["test/ping", "no/such", "$/no/such", "shutdown"] {
        session.request(1, method, Value::Null).await;
        assert_eq!(session.code().await, -32002, "{method} before initialize");
    }
    session.notify("test/note", json!({"n": 1})).await;
    session
        .request(1, "initialize", json!({"capabilities": {}}))
        .await;
    assert!(session.next().await["result"].is_object());
    session
        .request(2, "initialize", json!({"capabilities": {}}))
        .await;
    assert_eq!(session.code().await, -32600, "second initialize");
    for method in ["no/such", "$/no/such"] {
        session.request(3, method, Value::Null).await;
        assert_eq!(session.code().await, -32601, "{method}");
    }
    session.notify("no/such", Value::Null).await;
    session.notify("$/no/such", json!({"x": 1})).await;
    assert_eq!(
        session.call("test/notes").await,
        json!([]),
        "too early to be noted"
    );
    // Some clients send `params: {}`.
    session.request(4, "shutdown", json!({})).await;
    assert_eq!(
        session.next().await,
        json!({"jsonrpc": "2.0", "id": 4, "result": null})
    );
    for method in ["test/ping", "shutdown", "initialize", "no/such"] {
        session.request(5, method, Value::Null).await;
        assert_eq!(session.code().await, -32600, "{method} after shutdown");
    }
    session.notify("exit", Value::Null).await;
    assert_eq!(session.exit_code().await, 0);
}

#[tokio::test]
async fn exit_codes() {
    let closed = || Inbound::End(End::Closed(None));
    let broken = || Inbound::End(End::Protocol("bad header".to_owned()));
    let exit = || Inbound::Notification {
        method: "exit".to_owned(),
        params: None,
    };
    let ends: [fn() -> Inbound; 3] = [exit, closed, broken];
    // Without and with a `shutdown` before.
    let codes = [(1, 0), (1, 0), (1, 1)];
    let table = ends
        .into_iter()
        .zip(codes)
        .flat_map(|(end, (without, with))| [(false, end, without), (true, end, with)]);
    for (shutdown, end, code) in table {
        let mut session = Session::ready().await;
        // A handler that never ends must not keep the server alive.
        session.request(8, "test/wait", Value::Null).await;
        session.request(9, "test/askForEver", Value::Null).await;
        session.next().await;
        if shutdown {
            session.request(10, "shutdown", Value::Null).await;
            session.next().await;
        }
        session.input.send(end()).await.unwrap();
        assert_eq!(session.exit_code().await, code, "{:?} {shutdown}", end());
    }
}

#[tokio::test]
async fn hooks_see_the_raw_initialize() {
    let hooks = Hooks::default();
    let mut session = Session::start(hooks.clone());
    // lsp-types refuses the unknown kind; the server starts all the same.
    let params = json!({"capabilities": {
        "workspace": {"workspaceEdit": {"resourceOperations": ["teleport"]}},
        "new": {"in": 3.18},
    }});
    session.request(1, "initialize", params.clone()).await;
    let answer = session.next().await;
    assert!(answer["result"]["capabilities"].is_object(), "{answer}");
    assert_eq!(hooks.initialize_params.get(), Some(&params));
}

#[tokio::test]
async fn a_failed_initialize_can_be_tried_again() {
    let mut session = Session::start(Hooks::default());
    session.request(1, "initialize", Value::Null).await;
    assert_eq!(session.code().await, -32602);
    session
        .request(1, "initialize", json!({"capabilities": {}}))
        .await;
    assert!(session.next().await["result"].is_object());
}

#[tokio::test]
async fn a_panic_fails_one_request() {
    let mut session = Session::ready().await;
    for method in ["test/panic", "test/panicLater"] {
        session.request(7, method, Value::Null).await;
        let answer = session.next().await;
        assert_eq!(answer["id"], 7, "{method}");
        assert_eq!(answer["error"]["code"], -32603, "{method}");
        assert!(!answer.to_string().contains("on purpose"), "{answer}");
    }
    assert_eq!(session.call("test/ping").await, "pong");
}

#[tokio::test]
async fn broken_messages_are_answered_and_survived() {
    let mut session = Session::ready().await;
    let table = [
        (&b"{\"jsonrpc\": \"2.0\", secret"[..], -32700, json!(null)),
        (b"[]", -32600, json!(null)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":5}", -32600, json!(5)),
    ];
    for (body, code, id) in table {
        session.input.send(Inbound::decode(body)).await.unwrap();
        let answer = session.next().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(answer.get("id"), Some(&id), "{answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains(&body.len().to_string())
        );
        assert!(!answer.to_string().contains("secret"), "{answer}");
    }
    assert_eq!(session.call("test/ping").await, "pong");
}

#[tokio::test]
async fn a_thousand_waiting_handlers_delay_no_other() {
    let mut session = Session::ready().await;
    for id in 0..1_000 {
        session.request(id, "test/askForEver", Value::Null).await;
    }
    let mut questions = Vec::new();
    for _ in 0..1_000 {
        let question = session.next().await;
        assert_eq!(question["method"], "window/showMessageRequest");
        questions.push(question["id"].clone());
    }
    assert_eq!(session.call("test/ping").await, "pong");
    for question in questions.iter().rev() {
        session.reply(question, Value::Null).await;
    }
    let mut answered = HashSet::new();
    for _ in 0..1_000 {
        let answer = session.next().await;
        assert_eq!(answer["result"], true, "{answer}");
        assert!(
            answered.insert(answer["id"].as_u64()),
            "answered twice: {answer}"
        );
    }
}

#[tokio::test]
async fn answers_that_nobody_waits_for_are_harmless() {
    let mut session = Session::ready().await;
    for id in [json!(0), json!(77), json!("x"), json!(null), json!(1.5)] {
        session.reply(&id, json!({"unasked": true})).await;
    }
    for method in ["test/askBriefly", "test/askCarelessly"] {
        session.request(1, method, Value::Null).await;
        let question = session.next().await["id"].clone();
        let answer = session.next().await;
        assert_eq!(answer["id"], 1, "given up in time: {answer}");
        for _ in 0..2 {
            session.reply(&question, Value::Null).await;
        }
    }
    session.request(2, "test/askForEver", Value::Null).await;
    let question = session.next().await["id"].clone();
    for _ in 0..3 {
        session.reply(&question, Value::Null).await;
    }
    assert_eq!(session.next().await["id"], 2);
    assert_eq!(session.call("test/ping").await, "pong");
}

#[tokio::test]
async fn unanswered_requests_do_not_accumulate() {
    let mut session = Session::ready().await;
    let (mut questions, mut given_up) = (Vec::new(), Vec::new());
    for id in 0..MAX_UNANSWERED + 3 {
        session
            .request(id as u64, "test/askForEver", Value::Null)
            .await;
        loop {
            let message = session.next().await;
            if message["method"].is_null() {
                assert_eq!(message["error"]["code"], -32800, "{message}");
                given_up.push(message["id"].clone());
            } else {
                questions.push(message["id"].clone());
                break;
            }
        }
    }
    while given_up.len() < 3 {
        given_up.push(session.next().await["id"].clone());
    }
    assert_eq!(given_up, [0, 1, 2]);
    // The answers to these come too late; all others reach the task that asked.
    for question in &questions {
        session.reply(question, Value::Null).await;
    }
    for _ in 0..MAX_UNANSWERED {
        assert_eq!(session.next().await["result"], true);
    }
    assert_eq!(session.call("test/ping").await, "pong");
}

#[tokio::test]
async fn answers_of_the_client_arrive_unchanged() {
    let table = [
        (json!({"result": [1, null]}), json!([1, null])),
        (
            json!({"error": {"code": -32601, "message": "no"}}),
            json!({"refused": -32601}),
        ),
        (
            json!({"error": {"message": 5, "extra": 1}}),
            json!({"refused": -32603}),
        ),
        (json!({"result": "no list"}), json!({"refused": -32700})),
    ];
    let mut session = Session::ready().await;
    for (mut reply, seen) in table {
        session.request(1, "test/askSettings", Value::Null).await;
        let question = session.next().await;
        reply["jsonrpc"] = json!("2.0");
        reply["id"] = question["id"].clone();
        session.send(reply).await;
        assert_eq!(session.next().await["result"], seen);
    }
}

#[tokio::test]
async fn cancelling_answers_at_once_and_once() {
    let mut session = Session::ready().await;
    let table = [
        (json!(1), "test/wait", json!({"kind": "cancelled"})),
        (json!("a"), "test/wait", json!({"kind": "cancelled"})),
        (
            json!(1),
            "test/post",
            json!({"kind": "cancelled", "outcomeUnknown": true}),
        ),
        (json!(2.5), "test/wait", json!({"kind": "cancelled"})),
    ];
    for (id, method, data) in table {
        session.request(id.clone(), method, Value::Null).await;
        for _ in 0..2 {
            session.notify("$/cancelRequest", json!({"id": id})).await;
        }
        let answer = session.next().await;
        assert_eq!(answer["id"], id, "{answer}");
        assert_eq!(answer["error"]["code"], -32800, "{answer}");
        assert_eq!(answer["error"]["data"], data, "{answer}");
        // There is no second answer for this id, and it can be used again.
        session.request(id.clone(), "test/ping", Value::Null).await;
        assert_eq!(session.next().await["result"], "pong");
    }
    for (method, sentence) in [
        ("test/wait", "Cancelled; nothing was changed."),
        ("test/keep", "Cancelled; a part is kept."),
    ] {
        session.request(json!(3), method, Value::Null).await;
        session.notify("$/cancelRequest", json!({"id": 3})).await;
        let answer = session.next().await;
        assert_eq!(answer["error"]["message"], sentence, "{answer}");
    }
    for params in [
        json!({"id": 99}),
        json!({"id": []}),
        json!({}),
        json!([1]),
        Value::Null,
    ] {
        session.notify("$/cancelRequest", params).await;
    }
    let all_dropped = async {
        while session.call("test/dropped").await != 4 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, all_dropped)
        .await
        .expect("cancelled handlers are dropped");
}

#[tokio::test]
async fn a_late_answer_to_a_cancelled_task_is_ignored() {
    let mut session = Session::ready().await;
    session.request(1, "test/askForEver", Value::Null).await;
    let question = session.next().await["id"].clone();
    session.notify("$/cancelRequest", json!({"id": 1})).await;
    assert_eq!(session.code().await, -32800);
    session.reply(&question, Value::Null).await;
    assert_eq!(session.call("test/ping").await, "pong");
}

#[test]
fn no_post_is_sent_after_a_cancellation() {
    let context = RequestContext::default();
    assert!(!context.cancel(), "nothing has left");
    assert!(!context.post_left(), "too late to leave");
    let context = RequestContext::default();
    assert!(context.post_left() && context.clone().post_left());
    assert!(context.cancel(), "it has left");
}

#[tokio::test]
async fn an_id_in_use_is_refused() {
    let mut session = Session::ready().await;
    session.request(1, "test/wait", Value::Null).await;
    session.request(1, "test/ping", Value::Null).await;
    assert_eq!(session.code().await, -32600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn notifications_take_effect_in_order() {
    let mut session = Session::ready().await;
    let all: Vec<u64> = (0..3_000).collect();
    for n in &all {
        session.notify("test/note", json!({"n": n})).await;
    }
    assert_eq!(session.call("test/notes").await, json!(all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_handler_sends_precedes_its_answer() {
    let mut session = Session::ready().await;
    for id in 0..100 {
        session.request(id, "test/tell", Value::Null).await;
        for n in 0..10 {
            let message = session.next().await;
            assert_eq!(message["params"]["message"], n.to_string(), "{message}");
        }
        assert_eq!(session.next().await["id"], id);
    }
}

#[tokio::test]
async fn a_closed_output_is_the_end() {
    let mut session = Session::ready().await;
    session.output.close();
    session.request(1, "test/ping", Value::Null).await;
    assert_eq!(session.exit_code().await, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn the_death_of_a_parent_is_the_end() {
    for from_client in [false, true] {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i64::from(child.id());
        let parent = (!from_client).then_some(pid);
        let mut session = Session::start(Hooks {
            parent,
            ..Hooks::default()
        });
        let process = if from_client { json!(pid) } else { Value::Null };
        let params = json!({"capabilities": {}, "processId": process});
        session.request(1, "initialize", params).await;
        session.next().await;
        assert_eq!(session.call("test/ping").await, "pong");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(session.exit_code().await, 1, "from client: {from_client}");
    }
}
