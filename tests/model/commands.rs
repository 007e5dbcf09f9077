//! `pieces-lsp model` and the doctor, as the person in front of them sees it.

use super::KEY;
use super::script::{Script, ScriptedEndpoint};
use super::support::process::{Finished, Spawn};
use serde_json::{Value, json};
use std::path::Path;

fn model(data_dir: &Path, arguments: &[&str]) -> Spawn {
    let all = [&["model"], arguments].concat();
    Spawn::with_arguments(all).env("PIECES_LSP_DATA_DIR", data_dir)
}

fn check(finished: &Finished, code: i32, parts: &[&str]) {
    let all = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, Some(code), "{all}");
    for part in parts {
        assert!(all.contains(part), "{part} is not in {all}");
    }
    assert!(!all.contains(KEY), "{all}");
}

fn file(data_dir: &Path) -> Option<Value> {
    let bytes = std::fs::read(data_dir.join("model.json")).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn an_endpoint_is_chosen_shown_listed_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let server = ScriptedEndpoint::start();
    server.list(&json!({"data": [{"id": "b", "meta": {"n_ctx": 2048}}, {"id": "a"}]}));
    let root = server.url().replace("/v1", "");
    let chosen = model(data, &["use", &root, "--model", "a", "--context", "512"]).run();
    check(
        &chosen,
        0,
        &[&server.url(), "on this machine", "It answers."],
    );
    let expected = json!({"url": server.url(), "model": "a", "context": 512});
    assert_eq!(file(data), Some(expected));

    let shown = model(data, &[]).run();
    check(
        &shown,
        0,
        &[
            &server.url(),
            "`pieces-lsp model use`",
            "model    a",
            "512 tokens",
            "It answers: 2 models",
        ],
    );
    let listed = model(data, &["list"]).run();
    assert_eq!(listed.stdout, "* a\n  b  2048 tokens, loaded\n");
    check(&model(data, &["off"]).run(), 0, &["The choice was removed"]);
    assert_eq!(file(data), None);
    check(
        &model(data, &["off"]).run(),
        0,
        &["No model was chosen here"],
    );
    check(
        &model(data, &[]).run(),
        1,
        &["No model was chosen", "pieces-lsp model use"],
    );
    assert_eq!(server.questions().len(), 0);
}

#[test]
fn a_choice_that_cannot_be_right_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let server = ScriptedEndpoint::start();
    let url = server.url();
    let absent = dir.path().join("absent");
    let table: [(&[&str], i32, &[&str]); 8] = [
        (
            &["use", &url, "--model", "test-modell"],
            1,
            &["has no model `test-modell`", "`test-model`"],
        ),
        (
            &["use", "http://example.com/v1"],
            1,
            &["http://example.com/v1", "use https"],
        ),
        (&["use", "http://10.0.0.1/v1"], 1, &["--allow-remote"]),
        (&["use", "ftp://x"], 1, &["does not start with http"]),
        (
            &["use", &format!("http://user:{KEY}@127.0.0.1/v1")],
            1,
            &["--key-env"],
        ),
        (
            &["use", &url, "--key-env", KEY],
            1,
            &["name of an environment variable"],
        ),
        (
            &["use", &url, "--instructions", absent.to_str().unwrap()],
            1,
            &["absent", "check the path"],
        ),
        (
            &["use", &url, "--key-env", "A", "--key-command", "b"],
            2,
            &["cannot be used with"],
        ),
    ];
    for (arguments, code, parts) in table {
        check(&model(data, arguments).run(), code, parts);
        assert_eq!(file(data), None, "{arguments:?}");
    }
}

#[test]
fn an_endpoint_that_does_not_answer_yet_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://127.0.0.1:{}/v1",
        listener.local_addr().unwrap().port()
    );
    drop(listener);
    let chosen = model(dir.path(), &["use", &url]).run();
    check(&chosen, 0, &["does not work yet", "connection refused"]);
    assert_eq!(file(dir.path()), Some(json!({"url": url})));
    check(&model(dir.path(), &[]).run(), 1, &["connection refused"]);
}

#[test]
fn the_environment_wins_and_keys_stay_with_their_url() {
    let dir = tempfile::tempdir().unwrap();
    let (mine, other) = (ScriptedEndpoint::start(), ScriptedEndpoint::start());
    let command = format!("echo {KEY}");
    check(
        &model(dir.path(), &["use", &mine.url(), "--key-command", &command]).run(),
        0,
        &[],
    );
    let keys = |server: &ScriptedEndpoint| -> Vec<Option<String>> {
        let lists = server
            .received()
            .into_iter()
            .filter(|one| one.path == "/v1/models");
        lists.map(|one| one.key().map(str::to_owned)).collect()
    };
    assert_eq!(keys(&mine), [Some(KEY.to_owned())]);
    let by_environment = model(dir.path(), &[]).env("PIECES_LSP_MODEL_URL", other.url());
    check(
        &by_environment.run(),
        0,
        &[&other.url(), "PIECES_LSP_MODEL_URL"],
    );
    assert_eq!(keys(&other), [None]);
    let with_key = model(dir.path(), &["list"]).env("PIECES_LSP_MODEL_URL", other.url());
    check(
        &with_key.env("PIECES_LSP_MODEL_KEY", KEY).run(),
        0,
        &["test-model"],
    );
    assert_eq!(keys(&other), [None, Some(KEY.to_owned())]);
    assert_eq!(keys(&mine).len(), 1);
    // A variable that is not set here is named.
    let chosen = model(dir.path(), &["use", &mine.url(), "--key-env", "MY_KEY"]).run();
    check(&chosen, 0, &["does not work yet", "MY_KEY"]);
    check(&model(dir.path(), &[]).run(), 1, &["MY_KEY"]);
    check(
        &model(dir.path(), &[]).env("MY_KEY", KEY).run(),
        0,
        &["key      there is one"],
    );
}

#[test]
fn the_key_is_in_no_output_and_in_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let server = ScriptedEndpoint::start();
    let quoted =
        json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "headers": KEY}});
    for (at, page) in [
        Script::json(401, &quoted),
        Script::json(500, &quoted),
        Script::json(200, &json!({"data": [{"id": KEY}]})),
        Script::body(200, KEY, format!("<html>{KEY}")),
    ]
    .into_iter()
    .enumerate()
    {
        server.page("/v1/models", page);
        for arguments in [
            &["model"][..],
            &["model", "list"],
            &["doctor", "--json", "--ask", "--backend", "local"],
            &["doctor", "--backend", "local"],
        ] {
            let log = dir.path().join(format!("log-{at}"));
            server.answer(Script::json(401, &quoted));
            let command = Spawn::with_arguments(arguments)
                .env("PIECES_LSP_DATA_DIR", dir.path().join("data"))
                .env("PIECES_LSP_MODEL_URL", server.url())
                .env("PIECES_LSP_MODEL_KEY", KEY)
                .env("PIECES_LSP_LOG_LEVEL", "trace")
                .env("PIECES_LSP_LOG_FILE", &log);
            let finished = command.run();
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let all = format!("{}{}{log}", finished.stdout, finished.stderr);
            assert!(!all.contains(KEY), "{arguments:?}: {all}");
        }
    }
    assert!(server.received().iter().any(|one| one.key() == Some(KEY)));
}

/// Nor from a command, and no file has it.
#[cfg(unix)]
#[test]
fn the_key_of_a_command_is_in_no_output_and_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, KEY).unwrap();
    let server = ScriptedEndpoint::start();
    let quoted = json!({"error": {"message": format!("Incorrect API key provided: {KEY}")}});
    server.page("/v1/models", Script::json(401, &quoted));
    let command = format!("cat '{}'", key.display());
    let data = dir.path().join("data");
    let chosen = model(&data, &["use", &server.url(), "--key-command", &command]).run();
    check(&chosen, 0, &["refused the key", "[key]"]);
    assert_eq!(server.received()[0].key(), Some(KEY));
    let file = std::fs::read_to_string(data.join("model.json")).unwrap();
    assert!(!file.contains(KEY));
}

#[test]
fn proxies_are_not_used_for_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let (server, proxy) = (ScriptedEndpoint::start(), ScriptedEndpoint::start());
    let mut command = model(dir.path(), &[]).env("PIECES_LSP_MODEL_URL", server.url());
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command = command.env(name, proxy.url().replace("/v1", ""));
    }
    check(&command.run(), 0, &["It answers"]);
    assert!(proxy.received().is_empty());
}

fn doctor(data_dir: &Path, url: Option<&str>, arguments: &[&str]) -> (Option<i32>, Value) {
    let all = [&["doctor", "--json", "--backend", "local"], arguments].concat();
    let mut command = Spawn::with_arguments(all).env("PIECES_LSP_DATA_DIR", data_dir);
    if let Some(url) = url {
        command = command.env("PIECES_LSP_MODEL_URL", url);
    }
    let finished = command.run();
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    (finished.code, report["checks"]["model"].clone())
}

#[test]
fn the_doctor_checks_the_endpoint_and_asks_only_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = ScriptedEndpoint::start();
    server.list(&json!({"data": [{"id": "m", "meta": {"n_ctx": 2048}}]}));
    let (code, check) = doctor(dir.path(), None, &[]);
    assert_eq!(
        (code, &check["result"]),
        (Some(0), &json!("note")),
        "{check}"
    );
    let (code, check) = doctor(dir.path(), Some(&server.url()), &[]);
    assert_eq!((code, &check["result"]), (Some(0), &json!("ok")), "{check}");
    assert_eq!(
        (&check["model"], &check["context"], &check["url"]),
        (&json!("m"), &json!(2048), &json!(server.url()))
    );
    assert_eq!(check["firstWordMs"], Value::Null);
    assert_eq!(server.questions().len(), 0);

    server.answer(Script::stream().word("hello").hold());
    let (code, check) = doctor(dir.path(), Some(&server.url()), &["--ask"]);
    assert_eq!(code, Some(0), "{check}");
    assert!(check["firstWordMs"].as_f64() > Some(0.0), "{check}");
    server.wait_for_closed(1);

    server.answer(Script::json(
        503,
        &json!({"error": {"message": "Loading model"}}),
    ));
    let (code, check) = doctor(dir.path(), Some(&server.url()), &["--ask"]);
    assert_eq!((code, &check["status"]), (Some(1), &json!(503)), "{check}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_https_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let chosen = model(
        dir.path(),
        &["use", "https://example.com/v1", "--model", "m"],
    )
    .run();
    check(&chosen, 1, &["has no TLS", "feature `tls`"]);
    let shown = model(dir.path(), &[])
        .env("PIECES_LSP_MODEL_URL", "https://example.com/v1")
        .run();
    check(&shown, 1, &["has no TLS"]);
}
