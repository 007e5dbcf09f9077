//! The editor of the demo: an LSP client that starts the language server and talks to it.

use crate::transport::{Id, Inbound, Output, read};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Timeout for each step, also on a slow machine.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval between checks whether the server has ended: there is no wait with a deadline.
const LOOK: Duration = Duration::from_millis(5);
/// Maximum lines of the server's log that are kept.
const LOG: usize = 4096;

/// An editor session. When it is dropped the server is ended and reaped.
pub(super) struct Editor {
    server: Server,
    output: Output,
    messages: mpsc::Receiver<Inbound>,
    next_id: i64,
    /// Responses that no step has waited for yet.
    answered: Vec<(Id, Result<Value, Value>)>,
    /// Messages from the server that no step has consumed yet.
    said: VecDeque<Said>,
    /// The last lines of the server's log.
    log: Arc<Mutex<String>>,
}

/// A notification of the server, or a request, which has already been answered.
#[derive(Debug)]
struct Said {
    at: Instant,
    method: String,
    params: Value,
    answer: Option<Value>,
}

/// A message that a step waited for.
pub(super) struct Heard<T> {
    /// The value that `accept` returned.
    pub(super) what: T,
    /// The response, if it was a request.
    pub(super) answer: Value,
    at: Instant,
}

impl<T> Heard<T> {
    /// When it arrived, relative to `start`.
    pub(super) fn after(&self, start: Instant) -> Duration {
        self.at.saturating_duration_since(start)
    }
}

/// The child process. Killed and reaped when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already been reaped.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Editor {
    /// Starts `program` with these arguments and variables.
    pub(super) fn start(
        program: &Path,
        arguments: &[OsString],
        variables: &[(&str, &str)],
    ) -> Result<Self, String> {
        let failed =
            |error: io::Error| format!("{} cannot be started ({error})", program.display());
        let mut command = Command::new(program);
        // Variables that configure the user's own conversations do not apply here.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PIECES_LSP_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut server = Server(child.map_err(failed)?);
        let pipes = (
            server.0.stdin.take(),
            server.0.stdout.take(),
            server.0.stderr.take(),
        );
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let log = Arc::default();
        keep_log(stderr, Arc::clone(&log)).map_err(failed)?;
        Ok(Editor {
            server,
            output: Output::start(stdin).map_err(failed)?,
            messages: read("server", move || BufReader::new(stdout)).map_err(failed)?,
            next_id: 0,
            answered: Vec::new(),
            said: VecDeque::new(),
            log,
        })
    }

    /// Sends a request and waits for its result. Answers requests of the server meanwhile.
    pub(super) async fn request(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.send_request(method, params);
        self.result(method, id).await
    }

    /// Sends a request; returns its id.
    fn send_request(&mut self, method: &str, params: Value) -> i64 {
        self.next_id += 1;
        let id = self.next_id;
        let mut message = json!({"jsonrpc": "2.0", "id": id, "method": method});
        if !params.is_null() {
            message["params"] = params;
        }
        self.send(&message);
        id
    }

    /// Waits for the result of a request. Keeps the results of other requests.
    async fn result(&mut self, method: &str, id: i64) -> Result<Value, String> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        loop {
            let at = self
                .answered
                .iter()
                .position(|(answered, _)| *answered == Id::from(id));
            if let Some((_, outcome)) = at.map(|at| self.answered.swap_remove(at)) {
                return outcome.map_err(|error| refusal(method, &error));
            }
            self.receive(deadline, method).await?;
        }
    }

    /// `workspace/executeCommand`.
    pub(super) async fn command(
        &mut self,
        command: &str,
        argument: &Value,
    ) -> Result<Value, String> {
        let request = self.start_command(command, argument);
        self.finish_command(command, request).await
    }

    /// The same without waiting; the id of the request.
    pub(super) fn start_command(&mut self, command: &str, argument: &Value) -> i64 {
        let params = json!({"command": command, "arguments": [argument]});
        self.send_request("workspace/executeCommand", params)
    }

    /// Waits for the result of a command.
    pub(super) async fn finish_command(
        &mut self,
        command: &str,
        request: i64,
    ) -> Result<Value, String> {
        self.result(command, request).await
    }

    /// Forgets the messages of this method that no step has consumed.
    pub(super) fn forget(&mut self, method: &str) {
        self.said.retain(|said| said.method != method);
    }

    pub(super) fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Waits for a notification or request for which `accept` returns a value; returns that value. Keeps other messages,
    /// which arrive in any order.
    pub(super) async fn wait<T>(
        &mut self,
        method: &str,
        mut accept: impl FnMut(&Value) -> Option<T>,
    ) -> Result<Heard<T>, String> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        loop {
            let mut said = self.said.iter().enumerate();
            let taken = said.find_map(|(at, said)| {
                let what = accept(&said.params).filter(|_| said.method == method)?;
                Some((at, what))
            });
            if let Some((at, what)) = taken
                && let Some(said) = self.said.remove(at)
            {
                return Ok(Heard {
                    what,
                    answer: said.answer.unwrap_or_default(),
                    at: said.at,
                });
            }
            self.receive(deadline, method).await?;
        }
    }

    /// Shuts down as an editor does, and waits for the server to end.
    pub(super) async fn leave(mut self) -> Result<ExitStatus, String> {
        self.request("shutdown", Value::Null).await?;
        self.notify("exit", Value::Null);
        let deadline = Instant::now() + STEP_TIMEOUT;
        loop {
            let status = self.server.0.try_wait();
            match status.map_err(|error| format!("Cannot wait for the server ({error})"))? {
                Some(status) => return Ok(status),
                None if Instant::now() >= deadline => {
                    return Err("The language server does not end after `exit`".into());
                }
                None => sleep(LOOK).await,
            }
        }
    }

    fn send(&self, message: &Value) {
        self.output.send(message.to_string().into_bytes());
    }

    /// Handles one message and keeps it.
    async fn receive(&mut self, deadline: Instant, awaited: &str) -> Result<(), String> {
        let message = timeout_at(deadline, self.messages.recv()).await;
        let message = message
            .map_err(|_| format!("The language server did not send `{awaited}` in time"))?
            .ok_or_else(|| self.gone())?;
        match message {
            Inbound::Response { id, outcome } => self.answered.push((id, outcome)),
            Inbound::Notification { method, params } => self.said.push_back(Said {
                at: Instant::now(),
                method,
                params: params.unwrap_or_default(),
                answer: None,
            }),
            Inbound::Request { id, method, params } => {
                let (at, params) = (Instant::now(), params.unwrap_or_default());
                let answer = answer(&method, &params);
                let reply = match &answer {
                    Some(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
                    None => {
                        let error = json!({"code": -32601, "message": "not supported"});
                        json!({"jsonrpc": "2.0", "id": id, "error": error})
                    }
                };
                self.send(&reply);
                self.said.push_back(Said {
                    at,
                    method,
                    params,
                    answer,
                });
            }
            Inbound::Broken { .. } => {
                return Err("The language server wrote something that is not a message".into());
            }
            Inbound::End(_) => return Err(self.gone()),
        }
        Ok(())
    }

    fn gone(&mut self) -> String {
        let code = match self.server.0.try_wait() {
            Ok(Some(status)) => format!(" ({status})"),
            _ => String::new(),
        };
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let last = log
            .lines()
            .last()
            .map(|line| format!("; its last log line: {line}"));
        format!(
            "The language server ended{code}{}",
            last.unwrap_or_default()
        )
    }
}

/// Keeps the last lines of the server's log, and drains its pipe.
fn keep_log(mut stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> io::Result<()> {
    let keep = move || {
        let mut chunk = [0; 1024];
        while let Ok(length @ 1..) = stderr.read(&mut chunk) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&String::from_utf8_lossy(&chunk[..length]));
            let surplus = log.len().saturating_sub(LOG);
            let surplus = (surplus..log.len()).find(|at| log.is_char_boundary(*at));
            log.drain(..surplus.unwrap_or(0));
        }
    };
    std::thread::Builder::new().name("log".into()).spawn(keep)?;
    Ok(())
}

/// The response that a user would give; `None`: not supported.
fn answer(method: &str, params: &Value) -> Option<Value> {
    match method {
        "window/showDocument" => Some(json!({"success": true})),
        // The first button continues.
        "window/showMessageRequest" => Some(params["actions"][0].clone()),
        "workspace/configuration" => {
            let items = params["items"].as_array().map_or(0, Vec::len);
            Some(vec![Value::Null; items].into())
        }
        "client/registerCapability"
        | "client/unregisterCapability"
        | "window/workDoneProgress/create" => Some(Value::Null),
        _ => None,
    }
}

fn refusal(method: &str, error: &Value) -> String {
    let sentence = error["message"].as_str().unwrap_or("no reason given");
    format!(
        "The language server refused `{method}`: {}",
        sentence.trim_end_matches('.')
    )
}
