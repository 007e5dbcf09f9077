//! `pieces-lsp ask`, on Pieces OS and with a model of one's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::io::Read;
use std::path::Path;
use support::endpoint::Endpoint;
use support::process::{Finished, Spawn};
use support::standin::{Answer, StandIn};

/// `ask` on the local service in this directory, with the model of `endpoint`.
fn local(dir: &Path, endpoint: &Endpoint, arguments: &[&str]) -> Spawn {
    let spawn = Spawn::with_arguments([&["ask"], arguments].concat());
    let spawn = spawn
        .arg("--backend")
        .arg("local")
        .arg("--data-dir")
        .arg(dir);
    spawn.env("PIECES_LSP_MODEL_URL", &endpoint.url)
}

fn on(standin: &StandIn, arguments: &[&str]) -> Finished {
    let spawn = Spawn::with_arguments([&["ask", "--url", &standin.url()], arguments].concat());
    spawn.arg("--backend").arg("pieces-os").run()
}

/// Runs it with this text at the other end of a pipe.
fn piped(spawn: Spawn, text: &str) -> (Option<i32>, String, String) {
    let (mut process, mut stdout) = spawn.start_unread();
    process.write(text.as_bytes());
    process.close_stdin();
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    let ended = process.wait();
    (ended.code, said, ended.log)
}

#[test]
fn an_answer_goes_to_stdout_and_the_conversation_to_stderr() {
    let standin = StandIn::start();
    let first = on(&standin, &["Why?"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(first.stdout, "Because it does.\n");
    let id = first.stderr.trim_end().lines().last().unwrap().to_owned();
    assert!(
        standin.with(|state| state.conversations.contains_key(&id)),
        "{id}"
    );
    let second = on(&standin, &["--conversation", &id, "And then?"]);
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""));
    assert_eq!(standin.with(|state| state.conversations.len()), 1);
}

#[test]
fn an_incomplete_answer_is_a_failure() {
    let standin = StandIn::start();
    for answer in [
        Answer::Close(vec!["Because"]),
        Answer::Fail(vec![], 500, "UserSubscriptionRequired"),
        Answer::Words(vec![]),
    ] {
        standin.with(|state| state.answer = answer.clone());
        let said = on(&standin, &["Why?"]);
        assert_eq!(said.code, Some(1), "{answer:?}: {said:?}");
        assert!(said.stderr.starts_with("pieces-lsp: "), "{said:?}");
        // The question is kept there.
        let id = said.stderr.trim_end().lines().last().unwrap();
        assert!(
            standin.with(|state| state.conversations.contains_key(id)),
            "{said:?}"
        );
    }
}

#[test]
fn a_pipe_and_files_are_sent_with_the_question() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("retry.rs");
    std::fs::write(&file, "fn retry() {}\n").unwrap();
    let endpoint = Endpoint::answering(&["Looks ", "good."]);
    let store = dir.path().join("store");
    let spawn = local(
        &store,
        &endpoint,
        &["--file", file.to_str().unwrap(), "Review this."],
    );
    let (code, said, log) = piped(spawn, "+ a line\n");
    assert_eq!((code, said.as_str()), (Some(0), "Looks good.\n"), "{log}");
    assert_eq!(endpoint.asked(), 1);

    // The file goes along with the next question, the pipe is part of the stored one.
    let id = log.trim_end().lines().last().unwrap().to_owned();
    let endpoint = Endpoint::start();
    let asking = local(&store, &endpoint, &["--conversation", &id, "-"]);
    let asking = std::thread::spawn(move || piped(asking, "And now?"));
    let question = endpoint.question();
    let sent = question.messages().join("\n");
    for part in [
        "Review this.",
        "+ a line",
        "Looks good.",
        "fn retry() {}",
        "And now?",
    ] {
        assert!(sent.contains(part), "{part} in {sent}");
    }
    question.answer("Still good.");
    let (code, said, log) = asking.join().unwrap();
    assert_eq!(
        (code, said.as_str(), log.as_str()),
        (Some(0), "Still good.\n", "")
    );
}

#[test]
fn the_answer_is_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start();
    let (mut process, mut stdout) = local(dir.path(), &endpoint, &["Why?"]).start_unread();
    process.close_stdin();
    let mut question = endpoint.question();
    question.begin().say("Because ");
    let mut first = [0; 8];
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"Because ");
    question.say("it does.");
    question.end("stop", None);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "it does.\n");
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn a_closed_stdout_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["Because it does.", "Because it does.\n"] {
        let endpoint = Endpoint::start();
        let (mut process, stdout) = local(dir.path(), &endpoint, &["Why?"]).start_unread();
        process.close_stdin();
        let question = endpoint.question();
        drop(stdout);
        question.answer(text);
        let ended = process.wait();
        assert_eq!(ended.code, Some(1), "{text:?}: {}", ended.log);
        assert!(
            ended.log.contains("kept in the conversation"),
            "{}",
            ended.log
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_and_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start();
    let (mut process, mut stdout) = local(dir.path(), &endpoint, &["Why?"]).start_unread();
    process.close_stdin();
    let mut question = endpoint.question();
    question.begin().say("Because ");
    let mut first = [0; 8];
    stdout.read_exact(&mut first).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    question.closed();
    let ended = process.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let stopped = "Stopped; what was written is kept in the conversation";
    assert!(ended.log.contains(stopped), "{}", ended.log);
    let id = ended.log.trim_end().lines().last().unwrap().to_owned();

    // What was written is in the history of the next question.
    let endpoint = Endpoint::start();
    let asking = local(dir.path(), &endpoint, &["--conversation", &id, "Go on."]);
    let asking = std::thread::spawn(move || asking.run());
    let question = endpoint.question();
    assert!(
        question
            .messages()
            .contains(&"assistant: Because ".to_owned()),
        "{:?}",
        question.messages()
    );
    question.answer("…");
    assert_eq!(asking.join().unwrap().code, Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_before_the_first_word_claims_no_kept_answer() {
    let interrupt = |process: &support::process::Process| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start();
    let (mut process, _stdout) = local(dir.path(), &endpoint, &["Why?"]).start_unread();
    process.close_stdin();
    let mut question = endpoint.question();
    question.begin();
    interrupt(&process);
    question.closed();
    let ended = process.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let before = "Stopped before the first word of the answer";
    assert!(ended.log.contains(before), "{}", ended.log);

    // The command that prints the key is waited for before anything is sent.
    let [runs, done] = ["runs", "done"].map(|name| dir.path().join(name));
    let made = std::process::Command::new("mkfifo").arg(&runs).status();
    assert!(made.unwrap().success());
    let key = format!(
        "echo > '{}'; while ! test -e '{}'; do sleep 0.1; done",
        runs.display(),
        done.display()
    );
    let chosen = serde_json::json!({ "url": endpoint.url, "model": "m", "keyCommand": key });
    std::fs::write(dir.path().join("model.json"), chosen.to_string()).unwrap();
    let asking = local(dir.path(), &endpoint, &["Why?"]).env("PIECES_LSP_MODEL_URL", "");
    let (mut process, _stdout) = asking.start_unread();
    process.close_stdin();
    // Opened and closed by the command.
    std::fs::read(runs).unwrap();
    interrupt(&process);
    let ended = process.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains(before), "{}", ended.log);
    std::fs::write(done, "").unwrap();
}

#[test]
fn unusable_questions_are_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start();
    for (arguments, input, part) in [
        (&["--file", "/", "Why?"][..], "", "is a directory"),
        (
            &[
                "--conversation",
                "00000000-0000-4000-8000-000000000000",
                "Why?",
            ][..],
            "",
            "pieces-lsp: There is no conversation 00000000-0000-4000-8000-000000000000; check `--conversation`.",
        ),
        (&[" "][..], "", "no question"),
        (&["-"][..], " \n", "no question"),
        (&["Why?"][..], &*"x".repeat((1 << 20) + 1), "1 MiB"),
        (&["Why?"][..], "\u{7f}ELF\0\0", "not text"),
    ] {
        let (code, said, log) = piped(local(dir.path(), &endpoint, arguments), input);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(log.contains(part), "{arguments:?}: {log}");
    }
    assert_eq!(endpoint.asked(), 0);
}

/// What a person sees and says at a terminal.
#[cfg(unix)]
struct Terminal {
    ours: std::fs::File,
    child: std::process::Child,
}

#[cfg(unix)]
impl Terminal {
    /// Starts `ask` there, with a model on a port that is looked at. Its answer goes elsewhere.
    fn ask(dir: &Path, endpoint: &Endpoint) -> Self {
        use rustix::fs::{Mode, OFlags};
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use std::process::{Command, Stdio};
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pieces-lsp"))
            .args(["ask", "--backend", "local", "Why?", "--data-dir"])
            .arg(dir)
            .env_clear()
            .env("HOME", dir)
            .env("PIECES_LSP_MODEL_PORTS", endpoint.port())
            .stdin(theirs.try_clone().unwrap())
            .stderr(theirs)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Terminal {
            ours: ours.into(),
            child,
        }
    }

    /// Reads until this is on the screen.
    fn shows(&mut self, what: &str) -> String {
        let mut screen = Vec::new();
        let mut byte = [0];
        while !screen.ends_with(what.as_bytes()) {
            self.ours.read_exact(&mut byte).unwrap();
            screen.push(byte[0]);
        }
        String::from_utf8(screen).unwrap()
    }

    fn types(&mut self, line: &str) {
        use std::io::Write as _;
        self.ours.write_all(line.as_bytes()).unwrap();
    }

    /// Its exit code and the answer.
    fn ends(mut self) -> (Option<i32>, String) {
        let mut answer = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut answer).unwrap();
        (self.child.wait().unwrap().code(), answer)
    }
}

#[cfg(unix)]
#[test]
fn at_a_terminal_a_model_that_is_found_is_used_once_the_person_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::answering(&["Because it does."]);
    let mut refusing = Terminal::ask(dir.path(), &endpoint);
    let asked = refusing.shows("[y/N] ");
    assert!(asked.contains(&endpoint.url), "{asked}");
    refusing.types("\n");
    refusing.shows(&format!("pieces-lsp model use {}", endpoint.url));
    assert_eq!(refusing.ends(), (Some(1), String::new()));
    assert_eq!(endpoint.asked(), 0);

    let mut agreeing = Terminal::ask(dir.path(), &endpoint);
    agreeing.shows("[y/N] ");
    agreeing.types("y\n");
    assert_eq!(agreeing.ends(), (Some(0), "Because it does.\n".to_owned()));
    // From now on nobody is asked, with a terminal or without.
    let next = Spawn::with_arguments(["ask", "--backend", "local", "Why?", "--data-dir"]);
    let next = next.arg(dir.path()).run();
    assert_eq!(
        (next.code, next.stdout.as_str()),
        (Some(0), "Because it does.\n")
    );
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::answering(&["Because it does."]);
    let spawn = Spawn::with_arguments(["ask", "--backend", "local", "Why?", "--data-dir"]);
    let spawn = spawn
        .arg(dir.path())
        .env("PIECES_LSP_MODEL_PORTS", endpoint.port());
    let ended = spawn.run();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let command = format!("pieces-lsp model use {}", endpoint.url);
    assert!(ended.stderr.contains(&command), "{ended:?}");
    assert_eq!(endpoint.asked(), 0);
}
