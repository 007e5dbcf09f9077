//! What is sent, and where.

use super::script::{Script, ScriptedEndpoint};
use super::{KEY, ask, choice, question, whole};
use pieces_lsp::model::{Role, endpoint};
use serde_json::json;

#[tokio::test]
async fn a_question_is_one_request() {
    let server = ScriptedEndpoint::start();
    server.answer(Script::words(&["a", "b"]));
    let answer = whole(ask(&server).await).await;
    assert_eq!(answer.text, "ab");
    let received = server.received();
    assert_eq!(received.len(), 1, "{received:?}");
    let request = &received[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(request.key(), Some(KEY));
    assert_eq!(
        request.headers["host"],
        format!("127.0.0.1:{}", server.port())
    );
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(
        request.json(),
        json!({"model": "test-model", "stream": true, "stream_options": {"include_usage": true}, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why?"}
        ]})
    );
}

#[tokio::test]
async fn a_missing_version_is_added() {
    let server = ScriptedEndpoint::start();
    let root = server.url().replace("/v1", "");
    for _ in 0..2 {
        server.answer(Script::words(&["a"]));
    }
    let endpoint = endpoint(Some(&choice(&root))).unwrap();
    for _ in 0..2 {
        let answer = endpoint
            .ask(question(&[(Role::User, "Why?")]))
            .await
            .unwrap();
        assert_eq!(whole(answer).await.text, "a");
    }
    assert_eq!(endpoint.base().unwrap().to_string(), server.url());
    let paths: Vec<String> = server.received().into_iter().map(|one| one.path).collect();
    // Once; and whether it is Ollama.
    assert_eq!(
        paths,
        [
            "/v1/models",
            "/api/ps",
            "/v1/chat/completions",
            "/v1/chat/completions"
        ]
    );
}

#[tokio::test]
async fn a_path_without_a_version_is_tried_as_it_is_first() {
    let server = ScriptedEndpoint::start();
    server.page(
        "/openai/models?a=b",
        Script::json(200, &json!({"data": [{"id": "m"}]})),
    );
    server.answer(Script::words(&["a"]));
    let url = server.url().replace("/v1", "/openai?a=b");
    let endpoint = endpoint(Some(&choice(&url))).unwrap();
    let answer = endpoint
        .ask(question(&[(Role::User, "Why?")]))
        .await
        .unwrap();
    assert_eq!(whole(answer).await.text, "a");
    assert_eq!(server.questions()[0].path, "/openai/chat/completions?a=b");
}

#[tokio::test]
async fn several_questions_at_once() {
    let server = ScriptedEndpoint::start();
    let words: Vec<String> = (0..100).map(|at| format!("{at} ")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for _ in 0..10 {
        server.answer(Script::words(&words));
    }
    let asking = (0..10).map(async |_| whole(ask(&server).await).await);
    for answer in futures_util::future::join_all(asking).await {
        assert_eq!(answer.text, words.concat());
    }
}

/// Linux tells whose listener it is, and lets root give one away.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_listener_of_another_user_gets_nothing() {
    for (user, expected) in [(65_534, false), (1_000, false), (999, true), (0, true)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        if std::os::unix::fs::fchown(&listener, Some(user), None).is_err() {
            // Only root can: then it is one of this user.
            continue;
        }
        let server = ScriptedEndpoint::on(listener);
        server.answer(Script::words(&["a"]));
        let answer = whole(ask(&server).await).await;
        let listed = endpoint(Some(&choice(&server.url())))
            .unwrap()
            .models()
            .await;
        assert_eq!(
            (answer.end.is_ok(), listed.is_ok()),
            (expected, expected),
            "{user}"
        );
        if !expected {
            let error = answer.end.unwrap_err();
            assert!(
                error.message.contains(&format!("user id {user}")),
                "{error}"
            );
            assert!(server.received().is_empty(), "{user}");
        }
    }
}
