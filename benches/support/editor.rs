//! An editor, as far as a language server can tell.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than anything here should take.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A language server as a child process, and what it says.
pub struct Editor {
    child: Child,
    stdin: ChildStdin,
    /// Messages, with the moment at which they were complete.
    messages: Receiver<(Instant, Value)>,
    next_id: u64,
}

impl Editor {
    /// Starts a server. It sees nothing of this machine's environment.
    pub fn start(command: &mut Command) -> Editor {
        let mut child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(body) = read_frame(&mut stdout) {
                let message = (Instant::now(), serde_json::from_slice(&body).unwrap());
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Editor {
            stdin: child.stdin.take().unwrap(),
            child,
            messages,
            next_id: 0,
        }
    }

    /// Starts a server and shakes hands with it.
    pub fn open(command: &mut Command, options: Value) -> Editor {
        let mut editor = Editor::start(command);
        editor.initialize(options);
        editor.notify("initialized", json!({}));
        editor
    }

    pub fn initialize(&mut self, options: Value) -> Value {
        self.initialize_with(json!({}), options)
    }

    pub fn initialize_with(&mut self, capabilities: Value, options: Value) -> Value {
        let params = json!({"processId": null, "capabilities": capabilities, "initializationOptions": options});
        self.request("initialize", params)
    }

    /// The id of the request that is sent next.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and returns its result.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let (_, mut answer) =
            self.wait(|message| message["id"] == id && message["method"].is_null());
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    }

    /// Sends a request; its answer will have the returned id.
    pub fn ask(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Runs a command of ours.
    pub fn execute(&mut self, command: &str, argument: Value) -> Value {
        self.request(
            "workspace/executeCommand",
            json!({"command": command, "arguments": [argument]}),
        )
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// The next message that fits; what comes before it is dropped.
    pub fn wait(&self, fits: impl Fn(&Value) -> bool) -> (Instant, Value) {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap();
            if fits(&message.1) {
                return message;
            }
        }
    }

    /// The next message, if one comes by then.
    pub fn next(&self, until: Instant) -> Option<(Instant, Value)> {
        let left = until.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).ok()
    }

    /// Answers a request of the server.
    pub fn respond(&mut self, request: &Value, result: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    /// When the server first said that it is live.
    pub fn live(&self) -> Instant {
        self.wait(|message| {
            message["method"] == "pieces/didChangeStatus" && message["params"]["state"] == "live"
        })
        .0
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        let frame = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.stdin.write_all(frame.as_bytes()).unwrap();
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of the next frame; nothing at the end.
fn read_frame(stdout: &mut BufReader<ChildStdout>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stdout.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stdout.read_exact(&mut body).ok()?;
    Some(body)
}
