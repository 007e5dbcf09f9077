//! Claude Code's logs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{Kind, counts, dir, import, left_out, object, reasons, said, talk};

const SESSION: &str = "1b2c3d4e-0000-4000-8000-000000000001";
const NEXT: &str = "1b2c3d4e-0000-4000-8000-000000000002";

fn line(session: &str, number: u32, kind: &str, content: Value) -> Value {
    json!({
        "parentUuid": null, "isSidechain": false, "userType": "external", "cwd": "/home/me/project", "sessionId": session,
        "version": "2.0.1", "gitBranch": "main", "type": kind, "message": {"role": kind, "content": content},
        "uuid": format!("aaaaaaaa-0000-4000-8000-{number:012}"), "timestamp": format!("2026-11-20T09:{:02}:{:02}.123Z", number / 60, number % 60),
    })
}

fn with(mut line: Value, key: &str, value: impl Into<Value>) -> Value {
    line[key] = value.into();
    line
}

/// A session with everything that such logs have.
fn session() -> Vec<Value> {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    vec![
        json!({"type": "file-history-snapshot", "messageId": "x"}),
        with(
            line(SESSION, 1, "user", "Caveat: local commands".into()),
            "isMeta",
            true,
        ),
        line(
            SESSION,
            2,
            "user",
            "<command-name>/clear</command-name>\n<command-args></command-args>".into(),
        ),
        line(
            SESSION,
            3,
            "user",
            "Why does this retry twice?\n<system-reminder>\nx\n</system-reminder>".into(),
        ),
        line(
            SESSION,
            4,
            "assistant",
            json!([{"type": "thinking", "thinking": "hm"}]),
        ),
        line(SESSION, 5, "assistant", text("I look.")),
        line(
            SESSION,
            6,
            "assistant",
            json!([{"type": "tool_use", "name": "Read", "input": {}}]),
        ),
        line(
            SESSION,
            7,
            "user",
            json!([{"type": "tool_result", "content": "fn main() {}"}]),
        ),
        with(
            line(SESSION, 8, "assistant", text("From a sub-agent.")),
            "isSidechain",
            true,
        ),
        line(SESSION, 9, "assistant", text("Because of `loop`.")),
        line(
            SESSION,
            10,
            "user",
            json!([{"type": "image", "source": {"data": "AAAA"}}, {"type": "text", "text": "And here?"}]),
        ),
        with(
            line(SESSION, 11, "assistant", text("API Error")),
            "isApiErrorMessage",
            true,
        ),
        json!({"type": "summary", "summary": "Retry twice", "leafUuid": "aaaaaaaa-0000-4000-8000-000000000009"}),
    ]
}

const TALK: &[(&str, &str)] = &[
    ("USER", "Why does this retry twice?"),
    ("ASSISTANT", "I look."),
    ("ASSISTANT", "Because of `loop`."),
    ("USER", "[Image]\n\nAnd here?"),
];

fn write(path: &Path, lines: &[Value]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_imported_from_everywhere_above_its_log() {
    let home = dir();
    let project = home.path().join(".claude/projects/-home-me-project");
    let log = project.join(format!("{SESSION}.jsonl"));
    write(&log, &session());
    fs::write(
        home.path().join(".claude/history.jsonl"),
        "{\"display\":\"x\"}\n",
    )
    .unwrap();
    write(
        &project.join("agent-1234.jsonl"),
        &[with(
            line(SESSION, 20, "user", "x".into()),
            "isSidechain",
            true,
        )],
    );
    let claude = home.path().join(".claude");
    for (from, source) in [
        (log.clone(), "a Claude Code log of 20"),
        (project.clone(), "Claude Code logs of 20"),
        (claude.join("projects"), "Claude Code logs of 20"),
        (claude, "Claude Code logs of 20"),
    ] {
        let data = dir();
        let report = import(&from, data.path()).await;
        assert!(report.source.starts_with(source), "{}", report.source);
        assert_eq!(report.counts, counts(6, 0, 0, 0), "{report:?}");
        for (what, count) in [
            ("side chain line", 1),
            ("meta line", 2),
            ("tool call", 1),
            ("tool result", 1),
            ("thought", 1),
            ("injected block", 3),
            ("error notice", 1),
        ] {
            assert_eq!(left_out(&report, what), count, "{what}");
        }
        assert_eq!(talk(data.path(), SESSION).await, said(TALK));
        let one = object(data.path(), "conversation", SESSION).await;
        assert_eq!(one["name"], "Retry twice");
        assert_eq!(one["created"]["value"], "2026-11-20T09:00:03.123000Z");
        assert_eq!(one["updated"]["value"], "2026-11-20T09:00:10.123000Z");
        assert_eq!(one["application"]["label"], "Claude Code");
        let anchor = one["anchors"]["iterable"][0]["id"].as_str().unwrap();
        let anchor = object(data.path(), "anchor", anchor).await;
        assert_eq!(anchor["type"], "DIRECTORY");
        assert_eq!(
            anchor["points"]["iterable"][0]["reference"]["fullpath"],
            "/home/me/project"
        );
        assert_eq!(import(&from, data.path()).await.counts, counts(0, 0, 6, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_import_adds_only_what_is_new() {
    let (home, data) = (dir(), dir());
    let log = home.path().join(format!("p/{SESSION}.jsonl"));
    let mut lines = session();
    write(&log, &lines);
    // It is being written: the last line is torn.
    let whole = fs::read_to_string(&log).unwrap();
    fs::write(&log, format!("{whole}{{\"type\":\"assistant\",\"mess")).unwrap();
    let report = import(home.path(), data.path()).await;
    assert_eq!(
        (report.counts, left_out(&report, "torn line")),
        (counts(6, 0, 0, 0), 1),
        "{report:?}"
    );
    lines.push(line(SESSION, 12, "assistant", "There, too.".into()));
    lines.push(json!({"type": "custom-title", "customTitle": "Retries", "sessionId": SESSION}));
    write(&log, &lines);
    assert_eq!(
        import(home.path(), data.path()).await.counts,
        counts(1, 1, 5, 0)
    );
    assert_eq!(
        object(data.path(), "conversation", SESSION).await["name"],
        "Retries"
    );
    assert_eq!(talk(data.path(), SESSION).await[4].1, "There, too.");
    // The tool deletes its logs after a month; what was imported stays.
    write(
        &home.path().join(format!("p/{NEXT}.jsonl")),
        &[line(NEXT, 30, "user", "Another".into())],
    );
    fs::remove_file(&log).unwrap();
    let report = import(home.path(), data.path()).await;
    assert_eq!(report.counts, counts(2, 0, 1, 0), "{report:?}");
    assert_eq!(talk(data.path(), SESSION).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_continues_another_repeats_nothing() {
    let first = session();
    let own = [
        line(NEXT, 40, "user", "Go on.".into()),
        line(NEXT, 41, "assistant", "Done.".into()),
    ];
    // Older versions wrote the repeated lines under the new session.
    let renamed = first.iter().map(|line| match line.get("sessionId") {
        Some(_) => with(line.clone(), "sessionId", NEXT),
        None => line.clone(),
    });
    let renamed: Vec<_> = renamed.collect();
    for (repeated, which) in [(first.clone(), "as they were"), (renamed, "renamed")] {
        let (home, data) = (dir(), dir());
        write(&home.path().join(format!("p/{SESSION}.jsonl")), &first);
        write(
            &home.path().join(format!("p/{NEXT}.jsonl")),
            &[repeated, own.to_vec()].concat(),
        );
        let report = import(home.path(), data.path()).await;
        assert_eq!(
            report.by_kind[&Kind::Message],
            counts(6, 0, 0, 0),
            "{which}: {report:?}"
        );
        assert!(left_out(&report, "repeated line") >= 4, "{which}");
        assert_eq!(talk(data.path(), SESSION).await, said(TALK), "{which}");
        assert_eq!(
            talk(data.path(), NEXT).await,
            said(&[("USER", "Go on."), ("ASSISTANT", "Done.")]),
            "{which}"
        );
        assert_eq!(
            import(home.path(), data.path()).await.counts.unchanged,
            9,
            "{which}"
        );
    }
    // The log of the first is gone: its lines are still its own.
    let (home, data) = (dir(), dir());
    write(
        &home.path().join(format!("p/{NEXT}.jsonl")),
        &[first, own.to_vec()].concat(),
    );
    let report = import(home.path(), data.path()).await;
    assert_eq!(
        report.by_kind[&Kind::Conversation],
        counts(2, 0, 0, 0),
        "{report:?}"
    );
    assert_eq!(talk(data.path(), SESSION).await, said(TALK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_lines_cost_only_themselves() {
    let (home, data) = (dir(), dir());
    let log = home.path().join(format!("{SESSION}.jsonl"));
    let bytes = [
        "\u{feff}".as_bytes(),
        line(SESSION, 3, "user", "One".into()).to_string().as_bytes(),
        b"\r\n\n{not json}\n[1]\n",
        br#"{"type":"user","sessionId":"1b2c3d4e-0000-4000-8000-000000000001","message":{"content":"Two \ud800"},"message":{"content":"Two"},"timestamp":"then"}"#,
        b"\n",
        "[".repeat(10_000).as_bytes(),
        b"\n{\"type\":\"user\",\"message\":{\"content\":\"Th\xffree\"}}\n",
        format!("{{\"type\":\"user\",\"x\":[{}0]}}\n", "0,".repeat(600_001)).as_bytes(),
    ]
    .concat();
    fs::write(&log, bytes).unwrap();
    let report = import(&log, data.path()).await;
    assert_eq!(
        talk(data.path(), SESSION).await,
        said(&[("USER", "One"), ("USER", "Two"), ("USER", "Th\u{fffd}ree")])
    );
    assert_eq!(
        reasons(&report),
        [
            "it has more than 600,000 parts",
            "it is not JSON",
            "it is not JSON"
        ]
    );
    assert_eq!(
        report.unreadable[0].what,
        format!("line 3 of {SESSION}.jsonl")
    );
    assert_eq!(import(&log, data.path()).await.counts, counts(0, 0, 5, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_with_a_session_in_each_line_is_not_read_once_for_each() {
    let (home, data) = (dir(), dir());
    let id = |number: u32| format!("1b2c3d4e-0000-4000-8000-{number:012}");
    let lines = (1..=3_000).map(|number| line(&id(number), number, "user", "Why?".into()));
    write(
        &home.path().join(format!("p/{SESSION}.jsonl")),
        &lines.collect::<Vec<_>>(),
    );
    let report = import(home.path(), data.path()).await;
    assert_eq!(
        report.by_kind[&Kind::Conversation],
        counts(100, 0, 0, 0),
        "{report:?}"
    );
    assert_eq!(left_out(&report, "line of a further session"), 2_900);
}
