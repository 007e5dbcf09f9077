//! `pieces-lsp demo`, on the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use support::process::Spawn;

const STEPS: [&str; 13] = [
    "1. Start the local service",
    "2. Start the language server",
    "3. Save an asset",
    "4. Ask for code actions",
    "5. Start a conversation from the asset",
    "6. See the index change",
    "7. Find it by name",
    "8. Open it",
    "9. Ask a question",
    "10. Ask again, and stop",
    "11. Delete it",
    "12. See it go",
    "13. Leave",
];

fn demo() -> Spawn {
    Spawn::with_arguments(["demo"])
}

#[test]
fn every_step_succeeds_and_nothing_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    // The environment of somebody who uses it: nothing of theirs may be touched.
    let theirs = tempfile::tempdir().unwrap();
    let spawn = demo()
        .env("TMPDIR", scratch.path())
        .env("HOME", theirs.path())
        .env("PIECES_LSP_DATA_DIR", theirs.path())
        .env("PIECES_LSP_BACKEND", "pieces-os");
    let ended = spawn.run();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ended.stdout
    );
    let mut rest = ended.stdout.as_str();
    for part in STEPS {
        let at = rest.find(part);
        rest = &rest[at.unwrap_or_else(|| panic!("{part} in {}", ended.stdout))..];
    }
    for part in [
        "-> textDocument/codeAction",
        "<- code action",
        "<- pieces/didChangeConversations",
        "<- window/showDocument",
        "<- window/showMessageRequest",
        "{\"deleted\":true}",
        "scripted endpoint",
        "<- first words",
        "\"stop\":\"cancelled\"",
        "All 13 steps",
    ] {
        assert!(ended.stdout.contains(part), "{part} in {}", ended.stdout);
    }
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "colours without a terminal"
    );
    for directory in [scratch.path(), theirs.path()] {
        let left = std::fs::read_dir(directory).into_iter().flatten().count();
        assert_eq!(left, 0, "{}", directory.display());
    }
}

#[cfg(unix)]
#[test]
fn without_a_place_to_write_it_fails_and_says_what_to_do() {
    let ended = demo().env("TMPDIR", "/dev/null/nowhere").run();
    assert_eq!(ended.code, Some(1));
    for part in ["Step 1 failed", "/dev/null/nowhere", "set TMPDIR"] {
        assert!(ended.stdout.contains(part), "{part} in {}", ended.stdout);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn it_fails_when_the_language_server_dies() {
    use std::io::{BufRead, BufReader};
    use std::process::Command;

    let signal = |name: &str, process: &str| {
        assert!(
            Command::new("kill")
                .args([name, process])
                .status()
                .unwrap()
                .success()
        );
    };
    let scratch = tempfile::tempdir().unwrap();
    let (mut demo, stdout) = demo().env("TMPDIR", scratch.path()).start_unread();
    let process = demo.id().to_string();
    let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
    // The server is there. Both are stopped in the middle of it, so that they cannot finish first.
    assert!(lines.any(|line| line.contains("<- serverInfo")));
    signal("-STOP", &process);
    let servers = children(&process);
    let [server] = servers.as_slice() else {
        panic!("{servers:?}");
    };
    signal("-KILL", server);
    signal("-CONT", &process);
    let said: Vec<String> = lines.collect();
    let ended = demo.wait();
    assert_eq!(ended.code, Some(1), "{said:#?}");
    assert!(
        said.iter()
            .any(|line| line.starts_with("Step ") && line.contains("failed")),
        "{said:#?}"
    );
    assert!(
        said.iter()
            .any(|line| line.contains("The language server ended")),
        "{said:#?}"
    );
    assert!(
        !std::path::Path::new("/proc").join(server).exists(),
        "it was reaped"
    );
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

/// The processes that any thread of this one has started.
#[cfg(target_os = "linux")]
fn children(process: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
    let all = threads.filter_map(|thread| of(thread.unwrap()).ok());
    all.flat_map(|line| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    })
    .collect()
}
