//! A small editor: the client side of LSP, against the real binary.

use super::DEADLINE;
use super::process::{Process, Spawn};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Answers one kind of server request: its parameters in, the result out; `None` never answers.
pub type Answer = Box<dyn FnMut(&Value) -> Option<Value> + Send>;

/// An error that the server answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

/// One editor session.
///
/// When it is dropped it leaves in good order and fails the test if the server said anything that
/// nobody expected, ended with another code than 0, or has a panic in its log.
/// Requests of the server are answered whenever the client waits for something.
pub struct Client {
    process: Process,
    next_id: i64,
    /// What came in and was not asked for yet: notifications, and requests already answered.
    inbox: VecDeque<Value>,
    responses: HashMap<i64, Value>,
    /// Requests that were given up or are still to be waited for.
    pending: HashSet<i64>,
    answers: HashMap<String, Answer>,
    allowed: HashSet<String>,
    ended: bool,
}

impl Client {
    /// Starts the server without saying anything to it.
    pub fn start(spawn: Spawn) -> Self {
        let mut client = Self {
            process: spawn.start(),
            next_id: 0,
            inbox: VecDeque::new(),
            responses: HashMap::new(),
            pending: HashSet::new(),
            answers: HashMap::new(),
            allowed: HashSet::new(),
            ended: false,
        };
        client.answer("client/registerCapability", |_| Some(Value::Null));
        client.answer("client/unregisterCapability", |_| Some(Value::Null));
        client.answer("window/workDoneProgress/create", |_| Some(Value::Null));
        client.answer("workspace/configuration", |params| {
            let items = params["items"].as_array().map_or(0, Vec::len);
            Some(vec![Value::Null; items].into())
        });
        client.allow("$/progress");
        client
    }

    /// Starts the server and goes through the handshake; the result of `initialize` beside it.
    pub fn connect(spawn: Spawn, capabilities: Value, options: Value) -> (Self, Value) {
        let mut client = Self::start(spawn);
        let result = client.initialize(capabilities, options);
        (client, result)
    }

    /// `initialize` and `initialized`.
    pub fn initialize(&mut self, capabilities: Value, options: Value) -> Value {
        self.initialize_as("test", capabilities, options)
    }

    /// The same for an editor of this name.
    pub fn initialize_as(&mut self, name: &str, capabilities: Value, options: Value) -> Value {
        let params = json!({
            "processId": std::process::id(),
            "clientInfo": {"name": name},
            "rootUri": null,
            "capabilities": capabilities,
            "initializationOptions": options,
        });
        let result = self.request("initialize", params).unwrap();
        self.notify("initialized", json!({}));
        result
    }

    /// The process behind it, to do to it what editors do not.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// From now on, answers requests of this method so, and expects them.
    pub fn answer(
        &mut self,
        method: &str,
        answer: impl FnMut(&Value) -> Option<Value> + Send + 'static,
    ) {
        self.allow(method);
        self.answers.insert(method.to_owned(), Box::new(answer));
    }

    /// From now on, answers requests of this method with an error, and expects them.
    pub fn refuse(&mut self, method: &str) {
        self.allow(method);
        self.answers.remove(method);
    }

    /// From now on, messages of this method are no surprise even if nobody waits for them.
    pub fn allow(&mut self, method: &str) {
        self.allowed.insert(method.to_owned());
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.process.send(&message);
    }

    /// Sends a request and waits for its answer.
    pub fn request(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        let id = self.send_request(method, params);
        self.response(id)
    }

    /// `workspace/executeCommand` with one argument; `Null` for none.
    pub fn command(&mut self, command: &str, argument: Value) -> Result<Value, RpcError> {
        let arguments = match argument {
            Value::Null => json!([]),
            argument => json!([argument]),
        };
        let params = json!({"command": command, "arguments": arguments});
        self.request("workspace/executeCommand", params)
    }

    /// Sends a request and returns its id at once.
    pub fn send_request(&mut self, method: &str, params: Value) -> i64 {
        self.next_id += 1;
        let id = self.next_id;
        self.pending.insert(id);
        let mut message = json!({"jsonrpc": "2.0", "id": id, "method": method});
        if !params.is_null() {
            message["params"] = params;
        }
        self.process.send(&message);
        id
    }

    pub fn cancel(&mut self, id: i64) {
        self.notify("$/cancelRequest", json!({"id": id}));
    }

    /// Waits for the answer to an earlier request.
    pub fn response(&mut self, id: i64) -> Result<Value, RpcError> {
        let response = self.wait(&format!("an answer to request {id}"), |client| {
            client.responses.remove(&id)
        });
        self.pending.remove(&id);
        match response.get("error") {
            None => Ok(response["result"].clone()),
            Some(error) => Err(RpcError {
                code: error["code"].as_i64().expect("errors have a code"),
                message: error["message"].as_str().expect("and a message").to_owned(),
                data: error["data"].clone(),
            }),
        }
    }

    /// Waits for a notification with these parameters, and takes it out of the inbox.
    pub fn wait_notification(
        &mut self,
        method: &str,
        predicate: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.wait_message(method, predicate)
    }

    /// Waits for a request of the server, which has been answered by then; its parameters.
    pub fn wait_request(&mut self, method: &str, predicate: impl FnMut(&Value) -> bool) -> Value {
        self.wait_message(method, predicate)
    }

    fn wait_message(&mut self, method: &str, mut predicate: impl FnMut(&Value) -> bool) -> Value {
        self.wait(method, |client| {
            let at = client
                .inbox
                .iter()
                .position(|message| message["method"] == method && predicate(&message["params"]))?;
            client
                .inbox
                .remove(at)
                .map(|mut message| message["params"].take())
        })
    }

    /// Takes every message of this method that has come in by now.
    pub fn drain(&mut self, method: &str) -> Vec<Value> {
        self.barrier();
        let messages = self.inbox.drain(..);
        let (taken, rest): (VecDeque<_>, _) = messages.partition(|m| m["method"] == method);
        self.inbox = rest;
        taken
            .into_iter()
            .map(|mut message: Value| message["params"].take())
            .collect()
    }

    /// Takes every message that has come in by now, each of which has to be expected.
    pub fn drain_all(&mut self) -> Vec<Value> {
        self.barrier();
        let messages = std::mem::take(&mut self.inbox);
        let surprise = messages.iter().find(|message| !self.is_expected(message));
        assert!(surprise.is_none(), "nobody expected {surprise:?}");
        messages.into()
    }

    /// A round trip: what the server sent before it is here, and what it was sent before has reached its handler.
    pub fn barrier(&mut self) {
        // Any request will do; an unknown one touches nothing.
        let barrier = self.request("test/barrier", Value::Null).unwrap_err();
        assert_eq!(barrier.code, -32601, "{barrier:?}");
    }

    /// How long a result that the server has to give at once may take: a second, and more on a busy machine, where each
    /// of the dozens of steps of several processes takes as long as a part of a round trip.
    pub fn at_once(&mut self) -> Duration {
        let started = Instant::now();
        self.barrier();
        Duration::from_secs(1) + (100 * started.elapsed()).min(Duration::from_secs(5))
    }

    /// Reads and sorts messages until `done` finds what it looks for.
    fn wait<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = done(self) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.process.next_within(left) {
                Some(message) => self.sort(message),
                None => panic!("{what} did not come; unread: {:?}", self.inbox),
            }
        }
    }

    fn sort(&mut self, message: Value) {
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        match (message.get("method"), message.get("id")) {
            (None, Some(id)) => {
                let id = id
                    .as_i64()
                    .unwrap_or_else(|| panic!("not our id: {message}"));
                assert!(self.pending.contains(&id), "not asked for: {message}");
                let earlier = self.responses.insert(id, message);
                assert!(earlier.is_none(), "answered twice: {earlier:?}");
            }
            (Some(Value::String(method)), id) => {
                if let Some(id) = id {
                    self.reply(method, id, &message["params"]);
                }
                self.inbox.push_back(message);
            }
            _ => panic!("neither request nor answer: {message}"),
        }
    }

    fn reply(&mut self, method: &str, id: &Value, params: &Value) {
        let mut reply = json!({"jsonrpc": "2.0", "id": id});
        match self.answers.get_mut(method).map(|answer| answer(params)) {
            Some(Some(result)) => reply["result"] = result,
            Some(None) => return,
            None => reply["error"] = json!({"code": -32601, "message": "not supported"}),
        }
        self.process.send(&reply);
    }

    /// Nothing but these may be unread at the end. The log messages are for people; warnings and
    /// errors among them are news that a test has to expect.
    fn is_expected(&self, message: &Value) -> bool {
        let method = message["method"].as_str().unwrap_or_default();
        let chatter =
            method == "window/logMessage" && message["params"]["type"].as_i64() >= Some(3);
        chatter || self.allowed.contains(method)
    }

    /// Ends the session abruptly: no farewell and no checks.
    pub fn kill(mut self) {
        self.ended = true;
        self.process.kill();
    }

    /// Ends the session as an editor does, checks how it went, and returns the log.
    pub fn finish(mut self) -> String {
        self.leave()
    }

    fn leave(&mut self) -> String {
        self.ended = true;
        let farewell = self.request("shutdown", Value::Null);
        assert_eq!(farewell, Ok(Value::Null));
        self.notify("exit", Value::Null);
        // stdin stays open: `exit` alone has to end it.
        let ended = self.process.wait();
        for message in ended.unread.clone() {
            // A request of the server as it leaves needs no answer any more.
            match message.get("method") {
                Some(_) => self.inbox.push_back(message),
                None => self.sort(message),
            }
        }
        let surprises: Vec<_> = self.inbox.iter().filter(|m| !self.is_expected(m)).collect();
        assert!(surprises.is_empty(), "nobody expected {surprises:#?}");
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(!ended.log.contains("panicked"), "{}", ended.log);
        ended.log
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.ended && !std::thread::panicking() {
            self.leave();
        }
    }
}

/// Waits until `condition` holds, where there is no message that would tell.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(1));
    }
}
