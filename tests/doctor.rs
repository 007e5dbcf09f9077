//! `pieces-lsp doctor` on the real binary, against what it may find.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use support::process::Spawn;
use support::standin::{Fault, StandIn};

/// A name that must never be printed.
const SECRET: &str = "Zanzibar payroll";

/// Runs it twice, for people and for scripts; the report. Both have to say the same.
fn doctor(arrange: impl Fn(Spawn) -> Spawn) -> Value {
    let text = arrange(Spawn::with_arguments(["doctor"])).run();
    let json = arrange(Spawn::with_arguments(["doctor", "--json"])).run();
    let report: Value = serde_json::from_str(&json.stdout).expect(&json.stdout);
    let healthy = report["healthy"].as_bool().unwrap();
    for output in [&text, &json] {
        assert_eq!(output.code, Some(i32::from(!healthy)), "{output:?}");
        assert_eq!(output.stderr, "");
        assert!(!output.stdout.contains(SECRET), "{}", output.stdout);
        assert!(!output.stdout.contains('\u{1b}'), "{}", output.stdout);
    }
    let last = text.stdout.lines().last().unwrap();
    match &report["next"] {
        Value::Null => assert!(last.starts_with("Healthy."), "{last}"),
        next => assert_eq!(last, format!("Not healthy. {}", next.as_str().unwrap())),
    }
    for (name, check) in report["checks"].as_object().unwrap() {
        let mark = match check["result"].as_str().unwrap() {
            "ok" => "ok  ",
            "note" => "note",
            "failed" => "FAIL",
            "skipped" => "skip",
            other => panic!("{other}"),
        };
        let line = format!("{mark}  {name} ");
        assert!(
            text.stdout.lines().any(|one| one.starts_with(&line)),
            "{line} in {}",
            text.stdout
        );
    }
    report
}

/// The result of each check, in order.
fn results(report: &Value) -> Vec<(&str, &str)> {
    let order = [
        "discovery",
        "store",
        "service",
        "health",
        "version",
        "snapshot",
        "identifiers",
        "stream",
        "roundTrip",
        "model",
    ];
    let checks = report["checks"].as_object().unwrap();
    assert!(
        checks.keys().all(|name| order.contains(&name.as_str())),
        "{checks:?}"
    );
    let found = order
        .iter()
        .filter_map(|name| Some((*name, checks.get(*name)?["result"].as_str()?)));
    found.collect()
}

fn with_url(url: &str) -> impl Fn(Spawn) -> Spawn {
    let url = url.to_owned();
    move |spawn| {
        spawn
            .arg("--backend")
            .arg("pieces-os")
            .arg("--url")
            .arg(&url)
    }
}

fn filled() -> StandIn {
    let standin = StandIn::start();
    standin.fill((0..3).map(|n| format!("{SECRET} {n}")));
    standin
}

#[test]
fn a_healthy_pieces_os() {
    let standin = filled();
    let report = doctor(with_url(&standin.url()));
    assert_eq!(
        (&report["healthy"], &report["next"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        report["used"],
        json!({"backend": "pieces-os", "url": standin.url()})
    );
    let checks = &report["checks"];
    assert!(
        results(&report).iter().all(|(_, result)| *result == "ok"),
        "{report}"
    );
    assert_eq!(checks["snapshot"]["conversations"], 3);
    assert_eq!(checks["identifiers"]["ids"], 3);
    assert_eq!(checks["stream"]["firstFrameIds"], 3);
    assert_eq!(checks["version"]["version"], "12.3.1");
    assert!(checks["snapshot"]["bytes"].as_u64() > Some(300));
    for name in [
        "health",
        "version",
        "snapshot",
        "identifiers",
        "stream",
        "roundTrip",
    ] {
        assert!(
            checks[name]["ms"].as_f64() > Some(0.0),
            "{name}: {}",
            checks[name]
        );
    }
    // It only looks.
    assert!(
        standin
            .log()
            .iter()
            .all(|request| request.route.starts_with("GET "))
    );
}

#[test]
fn a_service_with_the_six_endpoints_alone_is_healthy() {
    let standin = filled();
    standin.with(|state| state.six_endpoints_only = true);
    let report = doctor(with_url(&standin.url()));
    assert_eq!(report["healthy"], true);
    assert_eq!(report["checks"]["health"]["result"], "note");
    assert_eq!(report["checks"]["version"]["result"], "note");
    assert_eq!(report["checks"]["roundTrip"]["result"], "ok");
}

#[cfg(target_os = "linux")]
#[test]
fn discovery_says_where_it_looked() {
    let mut standin = filled();
    let home = tempfile::tempdir().unwrap();
    let file = home
        .path()
        .join("Documents/com.pieces.os/production/Config/.port.txt");
    let arrange = |spawn: Spawn| {
        spawn
            .env("HOME", home.path())
            .env("PIECES_LSP_BACKEND", "auto")
    };
    standin.publish_port(&file);
    let report = doctor(arrange);
    assert_eq!(
        report["used"],
        json!({"backend": "pieces-os", "url": standin.url()})
    );
    let candidates = report["checks"]["discovery"]["candidates"]
        .as_array()
        .unwrap();
    let file = json!({"file": file.to_str(), "port": standin.port(), "found": "pieces-os"});
    assert!(candidates.contains(&file), "{candidates:?}");
    let ports = candidates.iter().filter_map(|one| one["port"].as_u64());
    assert!(
        [39300, 39333, 1000, 5323]
            .iter()
            .all(|port| ports.clone().any(|one| one == *port))
    );
}

#[test]
fn failures_come_with_the_next_step() {
    type Break = fn(&mut StandIn);
    let table: [(Break, &str, &[&str]); 8] = [
        (|standin| standin.refuse(), "discovery", &["start it"]),
        (
            |standin| standin.with(|state| state.health = "migrating".into()),
            "health",
            &["wait"],
        ),
        (
            |standin| standin.fault("GET /conversations", Fault::Status(401, SECRET)),
            "snapshot",
            &["sign in"],
        ),
        (
            |standin| standin.fault("GET /conversations", Fault::Status(593, SECRET)),
            "snapshot",
            &["pdate"],
        ),
        (
            |standin| standin.fault("GET /conversations", Fault::Status(500, SECRET)),
            "snapshot",
            &["500"],
        ),
        (
            |standin| {
                let page = format!("<html>{SECRET}</html>");
                standin.fault("GET /conversations", Fault::Body("text/html", page));
            },
            "snapshot",
            &[],
        ),
        (
            |standin| standin.fault("GET /conversations/identifiers", Fault::Status(404, "")),
            "identifiers",
            &[],
        ),
        (
            |standin| {
                standin.with(|state| {
                    state
                        .switched_off
                        .push("GET /conversations/stream/identifiers".into());
                });
            },
            "stream",
            &[],
        ),
    ];
    for (break_it, failing, parts) in table {
        let mut standin = filled();
        break_it(&mut standin);
        let report = doctor(with_url(&standin.url()));
        let failed = results(&report)
            .into_iter()
            .find(|(_, result)| *result == "failed");
        assert_eq!(failed, Some((failing, "failed")), "{report:#}");
        let next = report["next"].as_str().unwrap();
        assert_eq!(report["checks"][failing]["next"], next);
        assert!(next.ends_with('.') && next.len() > 20, "{next}");
        for part in parts {
            assert!(next.contains(part), "{part} in {next}");
        }
    }
}

#[test]
fn a_hanging_service_gets_one_request() {
    let standin = filled();
    standin.fault("GET /.well-known/version", Fault::Hang);
    let report = doctor(with_url(&standin.url()));
    assert_eq!(report["checks"]["version"]["kind"], "timeout");
    assert_eq!(report["checks"]["snapshot"]["result"], "skipped");
}

#[test]
fn no_service_and_no_store() {
    let report = doctor(|spawn| {
        spawn
            .arg("--backend")
            .arg("pieces-os")
            .arg("--url")
            .arg("http://127.0.0.1:9")
    });
    assert_eq!(report["healthy"], false);
    assert_eq!(report["used"], Value::Null);
    let skipped = results(&report)
        .iter()
        .filter(|(_, result)| *result == "skipped")
        .count();
    assert_eq!(skipped, 6, "{report}");
}

#[test]
fn auto_falls_back_to_the_local_service() {
    let data = tempfile::tempdir().unwrap();
    let report = doctor(|spawn| {
        spawn
            .arg("--url")
            .arg("http://127.0.0.1:9")
            .arg("--data-dir")
            .arg(data.path())
    });
    assert_eq!(report["healthy"], true, "{report}");
    assert_eq!(report["used"]["backend"], "local");
    assert_eq!(report["checks"]["discovery"]["result"], "note");
}

fn local(data_dir: &Path) -> impl Fn(Spawn) -> Spawn {
    let data_dir = data_dir.to_owned();
    move |spawn| {
        spawn
            .arg("--backend")
            .arg("local")
            .arg("--data-dir")
            .arg(&data_dir)
    }
}

#[test]
fn a_local_store() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().join("store");
    let first = local(&data_dir)(Spawn::with_arguments(["doctor", "--json"])).run();
    let first: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(first["checks"]["store"]["state"], "absent");
    assert_eq!(first["healthy"], true, "{first}");
    // It is there now, and left in good order.
    let second = doctor(local(&data_dir));
    let store = &second["checks"]["store"];
    assert_eq!(
        (&store["state"], &store["servedBy"]),
        (&json!("readable"), &Value::Null)
    );
    assert!(store["format"].as_i64() >= Some(1));
    assert!(!data_dir.join("service.json").exists());
}

#[test]
fn a_store_that_another_process_serves() {
    let data = tempfile::tempdir().unwrap();
    let service = local(data.path())(Spawn::with_arguments(["service"]));
    let (mut service, stdout) = service.start_unread();
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url).unwrap();
    let report = doctor(local(data.path()));
    assert_eq!(
        report["used"],
        json!({"backend": "local", "url": url.trim()})
    );
    let served = &report["checks"]["store"]["servedBy"];
    assert_eq!(
        (&served["pid"], &served["url"]),
        (&json!(service.id()), &json!(url.trim()))
    );
    // It still serves.
    assert!(service.is_running());
    assert!(data.path().join("service.json").exists());
}

#[test]
fn a_damaged_store_is_left_as_it_is() {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("store.db");
    std::fs::write(&store, "not a database, ".repeat(1000)).unwrap();
    let before = std::fs::read(&store).unwrap();
    let report = doctor(local(data.path()));
    assert_eq!(results(&report)[1], ("store", "failed"));
    assert_eq!(report["checks"]["store"]["state"], "damaged");
    assert!(report["next"].as_str().unwrap().contains("copy it"));
    assert_eq!(std::fs::read(&store).unwrap(), before);
    let files = std::fs::read_dir(data.path()).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn a_data_directory_that_cannot_be_used() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let report = doctor(local(&file.join("store")));
    assert_eq!(report["healthy"], false, "{report}");
    let next = report["next"].as_str().unwrap();
    assert!(next.contains("--data-dir"), "{next}");
}

#[cfg(unix)]
#[test]
fn a_read_only_data_directory() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().join("store");
    assert_eq!(doctor(local(&data_dir))["healthy"], true);
    let permit =
        |mode| std::fs::set_permissions(&data_dir, PermissionsExt::from_mode(mode)).unwrap();
    permit(0o500);
    let writable = std::fs::write(data_dir.join("probe"), "").is_ok();
    let report = doctor(local(&data_dir));
    permit(0o700);
    // The administrator may write everywhere.
    assert_eq!(report["healthy"], writable, "{report}");
}
