//! The command line, as the person in front of it sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use support::client::Client;
use support::process::{Finished, Spawn};

const COMMANDS: [&str; 6] = ["serve", "service", "ask", "doctor", "demo", "completions"];
const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

fn run(arguments: &[&str]) -> Finished {
    Spawn::with_arguments(arguments).run()
}

#[test]
fn help_says_what_to_do_first() {
    for argument in ["--help", "-h"] {
        let help = run(&[argument]);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        for part in [
            "First steps",
            "pieces-lsp demo",
            "pieces-lsp doctor",
            "Examples",
        ] {
            assert!(help.stdout.contains(part), "{part} in {}", help.stdout);
        }
        for command in COMMANDS {
            assert!(help.stdout.contains(&format!("\n  {command}")), "{command}");
        }
    }
    for command in COMMANDS {
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        let named = help.stdout.contains("PIECES_LSP_DATA_DIR");
        assert_eq!(
            named,
            !["demo", "completions"].contains(&command),
            "{command}"
        );
    }
}

#[test]
fn help_is_wrapped_at_words() {
    for command in [
        "serve",
        "service",
        "import",
        "export",
        "doctor",
        "demo",
        "completions",
    ] {
        let help = run(&[command, "--help"]).stdout;
        let lines: Vec<&str> = help.lines().collect();
        assert!(
            lines.iter().all(|line| line.chars().count() <= 100),
            "{help}"
        );
        for pair in lines.windows(2) {
            // A paragraph that was wrapped twice has a line that ends long before the next word needed it.
            let (line, next) = (pair[0], pair[1]);
            let word = next.split(' ').next().unwrap();
            let paragraph = !line.starts_with(' ') && !word.is_empty() && !line.ends_with(':');
            let room = line.chars().count() + 1 + word.chars().count() <= 100;
            assert!(line.is_empty() || !(paragraph && room), "{line}\n{next}");
        }
    }
}

#[test]
fn version() {
    let version = run(&["--version"]).stdout;
    assert_eq!(
        version,
        format!("pieces-lsp {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_for_every_shell() {
    for shell in SHELLS {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{shell}: {}", script.stderr);
        for part in ["pieces-lsp", "service", "backend", "no-token"] {
            assert!(script.stdout.contains(part), "{part} for {shell}");
        }
    }
    let unknown = run(&["completions", "cmd.exe"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
}

/// Runs it with its output in this file; its exit code and stderr.
#[cfg(target_os = "linux")]
fn into(stdout: impl Into<std::process::Stdio>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pieces-lsp"));
    let output = command
        .args(arguments)
        .stdout(stdout)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}

#[cfg(target_os = "linux")]
#[test]
fn completions_that_cannot_be_written() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let (code, stderr) = into(full, &["completions", "bash"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with("pieces-lsp: The script cannot be written"),
        "{stderr}"
    );
    // A reader that has seen enough.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (code, stderr) = into(writer, &["completions", "bash"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_export_does_not_replace_the_directory_of_the_shell() {
    let here = tempfile::tempdir().unwrap();
    let store = tempfile::tempdir().unwrap();
    let exported = Spawn::with_arguments(["export", ".", "--data-dir"])
        .arg(store.path())
        .current_dir(here.path())
        .run();
    assert_eq!(exported.code, Some(1));
    let why = "is the current directory, which an export cannot replace; name a new directory.";
    assert!(exported.stderr.contains(why), "{}", exported.stderr);
}

#[test]
fn a_relative_path_is_named_as_an_absolute_one() {
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(here.path().join("notes/full")).unwrap();
    for (arguments, named) in [
        (
            &["import", "--from", "nope", "--data-dir", "data"][..],
            "nope does not exist",
        ),
        (
            &["export", "notes", "--data-dir", "data"],
            "notes is not empty",
        ),
        (
            &[
                "model",
                "use",
                "http://127.0.0.1:1",
                "--instructions",
                "nope",
            ],
            "nope cannot be read",
        ),
    ] {
        let ended = Spawn::with_arguments(arguments)
            .current_dir(here.path())
            .run();
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        let named = format!("{}{named}", std::path::MAIN_SEPARATOR);
        assert!(ended.stderr.contains(&named), "{}", ended.stderr);
    }
}

#[test]
fn an_export_says_what_it_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let (source, store) = (dir.path().join("one.jsonl"), dir.path().join("store"));
    let lines = [
        json!({"export": {"format": 1, "source": "test"}}),
        json!({"conversation": {"id": "1", "name": "one"}}),
        json!({"end": {"objects": 1}}),
    ];
    std::fs::write(&source, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let (source, store) = (source.to_str().unwrap(), store.to_str().unwrap());
    let imported = run(&["import", "--from", source, "--data-dir", store]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let target = dir.path().join("out");
    let target = target.to_str().unwrap();
    let exported = run(&["export", target, "--data-dir", store]);
    assert_eq!(
        exported.stdout,
        format!("1 conversation (1 object in all) is in {target}\n")
    );
}

#[test]
fn wrong_options_are_one_clear_sentence() {
    let not_a_file = if cfg!(windows) {
        r"C:\nope\x\log"
    } else {
        "/nope/x/log"
    };
    let directory = std::env::temp_dir();
    let directory = directory.to_str().unwrap();
    let table: [(&[&str], i32, &[&str]); 6] = [
        (
            &["--backend", "cloud"],
            2,
            &["cloud", "`auto`, `pieces-os` or `local`"],
        ),
        (
            &["--url", "http://example.com"],
            2,
            &["`--url`", "example.com", "--allow-remote"],
        ),
        (&["--url", "https://127.0.0.1:1"], 2, &["plain http"]),
        (&["--log-level", "loud"], 2, &["loud", "debug"]),
        (&["--log-file", not_a_file], 1, &["log", "--log-file"]),
        (
            &["--log-file", directory],
            1,
            &["it is not a regular file", "--log-file"],
        ),
    ];
    for (options, code, parts) in table {
        let ended = run(&[&["service"], options].concat());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), ""),
            "{options:?}"
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        for part in parts {
            assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
        }
    }
}

#[test]
fn environment_variables_equal_the_options() {
    let table = [
        ("PIECES_LSP_BACKEND", "cloud", 2),
        ("PIECES_LSP_URL", "http://example.com", 2),
        ("PIECES_LSP_LOG_LEVEL", "loud", 2),
        ("PIECES_LSP_LOG_FILE", "/nope/x/log", 1),
    ];
    for (variable, value, code) in table {
        let ended = Spawn::with_arguments(["service"])
            .env(variable, value)
            .run();
        assert_eq!(ended.code, Some(code), "{variable}: {}", ended.stderr);
    }
}

#[test]
fn wrong_options_do_not_keep_the_language_server_from_starting() {
    let table: [&[&str]; 5] = [
        &["--backend", "cloud"],
        &["--url", "http://example.com"],
        &["--log-level", "loud", "--backend", "pieces-os"],
        &["--log-file", "/nope/x/log", "--backend", "pieces-os"],
        &[
            "--backend",
            "",
            "--url",
            "",
            "--data-dir",
            "",
            "--log-file",
            "",
            "--log-level",
            "",
        ],
    ];
    for options in table {
        let spawn = options.iter().fold(Spawn::serve(), Spawn::arg);
        let (mut editor, result) = Client::connect(spawn, json!({}), Value::Null);
        assert_eq!(result["serverInfo"]["name"], "pieces-lsp", "{options:?}");
        editor.allow("window/showMessage");
        editor.allow("window/logMessage");
        editor.finish();
    }
}

#[cfg(unix)]
#[test]
fn the_log_file_is_private_and_appended_to() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut before = 0;
    for _ in 0..2 {
        let spawn = Spawn::serve()
            .arg("--backend")
            .arg("local")
            .arg("--log-level")
            .arg("trace")
            .env("PIECES_LSP_LOG_FILE", &path);
        // The client fails on anything but frames on stdout.
        let (mut editor, _) = Client::connect(spawn, json!({}), Value::Null);
        editor.allow("window/logMessage");
        editor
            .command("pieces.conversations.create", Value::Null)
            .unwrap();
        let stderr = editor.finish();
        assert_eq!(stderr, "");
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert!(meta.len() > before, "{} bytes after {before}", meta.len());
        before = meta.len();
    }
}

#[test]
fn trace_goes_to_stderr_and_stdout_carries_frames_only() {
    let spawn = Spawn::serve()
        .env("PIECES_LSP_LOG_LEVEL", "trace")
        .env("PIECES_LSP_BACKEND", "local");
    let (mut editor, _) = Client::connect(spawn, json!({}), Value::Null);
    editor
        .command("pieces.conversations.create", Value::Null)
        .unwrap();
    let log = editor.finish();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "{log}");
}

#[test]
fn no_escape_sequence_reaches_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("a\u{1b}[31mb\u{7}");
    let odd = odd.to_str().unwrap();
    let missing = format!("{odd}/none");
    for arguments in [
        vec!["doctor", "--backend", "local", "--data-dir", odd],
        vec!["import", "--data-dir", odd, "--from", &missing],
        vec!["export", &missing, "--data-dir", odd],
    ] {
        let finished = run(&arguments);
        let shown = finished.stdout + &finished.stderr;
        assert!(shown.contains("[31mb"), "{arguments:?}: {shown}");
        assert!(
            !shown.contains(['\u{1b}', '\u{7}']),
            "{arguments:?}: {shown}"
        );
    }
}
