//! What is waited for, how long, and what ends it.

use super::script::{Gate, Script, ScriptedEndpoint};
use super::support::DEADLINE;
use super::{ask, whole};
use futures_util::FutureExt as _;
use pieces_lsp::model::{Answer, Error, Piece, Stop};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

async fn questions(server: &Arc<ScriptedEndpoint>, count: usize) {
    let server = Arc::clone(server);
    let waiting = tokio::task::spawn_blocking(move || server.wait_for_questions(count));
    waiting.await.unwrap();
}

async fn closed(server: &Arc<ScriptedEndpoint>, count: usize) {
    let server = Arc::clone(server);
    let waiting = tokio::task::spawn_blocking(move || server.wait_for_closed(count));
    waiting.await.unwrap();
}

fn server(script: Script) -> Arc<ScriptedEndpoint> {
    let server = ScriptedEndpoint::start();
    server.answer(script);
    Arc::new(server)
}

async fn next(answer: &mut Answer) -> Result<Piece, Error> {
    tokio::time::timeout(DEADLINE, answer.next()).await.unwrap()
}

#[tokio::test]
async fn a_request_that_is_held_without_headers_is_waited_for() {
    let gate = Gate::default();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let server = server(
        Script::raw("")
            .wait(&gate)
            .bytes(head)
            .word("a")
            .finish("stop")
            .done(),
    );
    let mut answer = ask(&server).await;
    questions(&server, 1).await;
    assert_eq!(answer.next().now_or_never(), None);
    gate.open();
    let answer = whole(answer).await;
    assert_eq!(
        (answer.text.as_str(), answer.end.unwrap().stop),
        ("a", Stop::End)
    );
    assert_eq!(server.questions().len(), 1);
}

#[tokio::test]
async fn pieces_are_streamed() {
    let gates = [(); 3].map(|()| Gate::default());
    let script = gates
        .iter()
        .fold(Script::stream(), |script, gate| script.wait(gate).word("a"));
    let server = server(script.finish("stop").done());
    let mut answer = ask(&server).await;
    for gate in gates {
        assert_eq!(answer.next().now_or_never(), None);
        gate.open();
        assert_eq!(next(&mut answer).await, Ok(Piece::Text("a".to_owned())));
    }
    assert!(matches!(next(&mut answer).await, Ok(Piece::End(_))));
    // And once more, which nobody should do.
    assert!(matches!(next(&mut answer).await, Ok(Piece::End(end)) if end.stop == Stop::Incomplete));
}

#[tokio::test]
async fn dropping_an_answer_closes_the_connection() {
    let held = [
        Script::raw("").hold(),
        Script::stream().hold(),
        Script::stream().word("a").hold(),
    ];
    for script in held {
        let server = server(script);
        let mut answer = ask(&server).await;
        questions(&server, 1).await;
        let _ = answer.next().now_or_never();
        let dropped = std::time::Instant::now();
        drop(answer);
        closed(&server, 1).await;
        assert!(
            dropped.elapsed() < Duration::from_secs(2),
            "{:?}",
            dropped.elapsed()
        );
    }
}

/// From here on only what was set for later happens.
async fn after_question(server: &Arc<ScriptedEndpoint>) -> Instant {
    questions(server, 1).await;
    tokio::time::pause();
    Instant::now()
}

#[tokio::test]
async fn the_first_word_may_take_ten_minutes() {
    for script in [
        Script::raw("").hold(),
        Script::stream().hold(),
        Script::stream()
            .data(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#)
            .bytes(": ping\n\n")
            .hold(),
    ] {
        let server = server(script);
        let answer = ask(&server).await;
        let from = after_question(&server).await;
        let error = whole(answer).await.end.unwrap_err();
        let waited = from.elapsed();
        assert!(waited >= Duration::from_secs(600), "{waited:?}");
        assert!(waited < Duration::from_secs(3600), "{waited:?}");
        assert!(error.message.contains("did not answer in time"), "{error}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn silence_after_the_first_word_ends_the_answer() {
    for (script, words) in [
        (Script::stream().word("a").hold(), "a"),
        (
            Script::stream()
                .data(r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#)
                .hold(),
            "",
        ),
    ] {
        let server = server(script);
        let mut answer = ask(&server).await;
        next(&mut answer).await.unwrap();
        tokio::time::pause();
        let from = Instant::now();
        let answer = whole(answer).await;
        let waited = from.elapsed().as_secs();
        assert!((119..=121).contains(&waited), "{waited}");
        match words {
            "" => assert!(answer.end.unwrap_err().message.contains("120 s")),
            _ => {
                let end = answer.end.unwrap();
                assert_eq!(end.stop, Stop::Incomplete);
                assert!(end.note.unwrap().contains("120 s"));
            }
        }
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_connection_that_stays_open_after_the_end_is_not_waited_for() {
    // After the mark of the end at once, after the reason in a moment.
    let server_ = server(Script::stream().word("a").finish("stop").done().hold());
    let answer = whole(ask(&server_).await).await;
    assert_eq!(answer.end.unwrap().stop, Stop::End);
    closed(&server_, 1).await;

    let server_ = server(Script::stream().word("a").finish("stop").hold());
    let mut answer = ask(&server_).await;
    next(&mut answer).await.unwrap();
    let from = std::time::Instant::now();
    let end = whole(answer).await.end.unwrap();
    assert_eq!(end.stop, Stop::End);
    assert!(from.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_refused_connection_is_reported_at_once() {
    let server = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        format!("http://127.0.0.1:{port}/v1")
    };
    let endpoint = pieces_lsp::model::endpoint(Some(&super::choice(&server))).unwrap();
    let asked = endpoint.ask(super::question(&[])).await.unwrap();
    let error = whole(asked).await.end.unwrap_err();
    assert!(error.message.contains("connection refused"), "{error}");
}
