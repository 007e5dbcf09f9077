//! The real binary as a child process, seen from its pipes.

use super::DEADLINE;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How to start the binary. Nothing of this machine leaks in: the environment is empty but for
/// `PATH` and a `HOME` of its own.
pub struct Spawn {
    command: Command,
    home: TempDir,
    stderr: Stdio,
}

impl Spawn {
    /// `pieces-lsp serve`.
    pub fn serve() -> Self {
        Self::with_arguments(["serve"])
    }

    /// `pieces-lsp` with these arguments.
    pub fn with_arguments<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pieces-lsp"));
        command.args(arguments).env_clear();
        let system = ["PATH", "SystemRoot", "TEMP", "LLVM_PROFILE_FILE"];
        command.envs(
            system
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        for name in ["HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"] {
            command.env(name, home.path());
        }
        // A model of this machine is none of the tests' business.
        command.env("PIECES_LSP_MODEL_PORTS", "");
        Self {
            command,
            home,
            stderr: Stdio::piped(),
        }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sends its log elsewhere than to [`Ended::log`].
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.stderr = to.into();
        self
    }

    /// The home directory of the child; it goes away with the process.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end with nothing on stdin; what it said.
    pub fn run(self) -> Finished {
        let (mut process, mut stdout) = self.start_unread();
        process.close_stdin();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        let ended = process.wait();
        Finished {
            code: ended.code,
            stdout: reader.join().unwrap().unwrap(),
            stderr: ended.log,
        }
    }

    /// Starts it, reading everything it writes.
    pub fn start(self) -> Process {
        let (mut process, stdout) = self.start_unread();
        let (messages, receiver) = mpsc::channel();
        process.messages = receiver;
        process.reader = Some(thread::spawn(move || {
            let mut frames = Frames(stdout);
            while let Some(message) = frames.next().expect("stdout carries whole frames only") {
                if messages.send(message).is_err() {
                    return;
                }
            }
        }));
        process
    }

    /// Starts it and leaves its output to the caller.
    pub fn start_unread(mut self) -> (Process, ChildStdout) {
        let pipes = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.stderr(self.stderr).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let log = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut log = Vec::new();
                stderr.read_to_end(&mut log).unwrap();
                String::from_utf8_lossy(&log).into_owned()
            })
        });
        let process = Process {
            stdin: child.stdin.take(),
            child,
            messages: mpsc::channel().1,
            reader: None,
            log,
            _home: self.home,
        };
        (process, stdout)
    }
}

/// A running `pieces-lsp`. Killed when dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    reader: Option<JoinHandle<()>>,
    log: Option<JoinHandle<String>>,
    _home: TempDir,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever held, in KiB.
    #[cfg(target_os = "linux")]
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.unwrap().trim().trim_end_matches(" kB");
        peak.parse().unwrap()
    }

    /// Writes bytes as they are. A child that has gone is no error here: its exit code tells.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin is still open");
        let _ = stdin.write_all(bytes).and_then(|()| stdin.flush());
    }

    /// Writes one frame with this body.
    pub fn write_body(&mut self, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        frame.extend_from_slice(body);
        self.write(&frame);
    }

    /// Writes one message.
    pub fn send(&mut self, message: &Value) {
        self.write_body(message.to_string());
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Takes stdin away, to write from another thread.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("stdin is still open")
    }

    /// The next message; fails the test after the deadline or when the output has ended.
    pub fn next(&mut self) -> Value {
        match self.next_within(DEADLINE) {
            Some(message) => message,
            None => panic!("no message in time, or the output has ended"),
        }
    }

    /// The next message, if there is one in time.
    pub fn next_within(&mut self, time: Duration) -> Option<Value> {
        self.messages.recv_timeout(time).ok()
    }

    /// Waits for the end of the process; what it wrote and nobody read, and its log.
    pub fn wait(&mut self) -> Ended {
        let status = self.wait_status();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let log = self.log.take().map(|log| log.join().unwrap());
        Ended {
            code: status.code(),
            unread: self.messages.try_iter().collect(),
            log: log.unwrap_or_default(),
        }
    }

    fn wait_status(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the process does not end");
            // There is no way to wait for a child with a deadline in std.
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// SIGKILL, or the like.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
        if thread::panicking()
            && let Some(log) = self.log.take()
        {
            eprintln!(
                "--- log of the child ---\n{}",
                log.join().unwrap_or_default()
            );
        }
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub unread: Vec<Value>,
    pub log: String,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Strict reader of what a server writes: one header, exactly as the protocol has it.
pub struct Frames<R>(pub R);

impl<R: Read> Frames<R> {
    /// The next message, `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Value>> {
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte)? {
                0 if header.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => header.push(byte[0]),
            }
            if header.len() > 64 {
                return Err(io::Error::other(format!("no header: {header:?}")));
            }
        }
        let length = str::from_utf8(&header).ok().and_then(|header| {
            header
                .strip_prefix("Content-Length: ")?
                .trim_end()
                .parse()
                .ok()
        });
        let length: usize = length.ok_or_else(|| io::Error::other(format!("{header:?}")))?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Some(serde_json::from_slice(&body)?))
    }
}
