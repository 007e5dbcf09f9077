//! How an answer is written, and how it ends.

use super::script::Script;
use super::{Whole, answered};
use pieces_lsp::model::{Kind, Stop, Usage};

const A: &str = r#"{"choices":[{"index":0,"delta":{"content":"é"}}]}"#;
const B: &str = r#"{"choices":[{"index":0,"delta":{"content":"😀"}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

fn check(answer: &Whole, text: &str, stop: Stop, what: &str) {
    assert_eq!(answer.text, text, "{what}: {answer:?}");
    let end = answer.end.as_ref().expect(what);
    assert_eq!(end.stop, stop, "{what}: {answer:?}");
    assert_eq!(
        end.note.is_some(),
        stop == Stop::Incomplete,
        "{what}: {answer:?}"
    );
}

#[tokio::test]
async fn events_are_read_however_they_are_framed() {
    let bodies = [
        format!("data: {A}\n\ndata: {B}\n\ndata: {STOP}\n\ndata: [DONE]\n\n"),
        format!("data: {A}\r\n\r\ndata: {B}\r\n\r\ndata: {STOP}\r\n\r\ndata: [DONE]\r\n\r\n"),
        format!("data:{A}\n\ndata:{B}\n\ndata:{STOP}\n\ndata:[DONE]\n\n"),
        format!("\u{feff}data: {A}\n\ndata: {B}\n\ndata: {STOP}\n\ndata: [DONE]\n\n"),
        format!(
            ": ping\n\n: ping\ndata: {A}\n: ping\n\n:\n\ndata: {B}\n\ndata: {STOP}\n\n: bye\n\ndata: [DONE]\n\n"
        ),
        format!(
            "event: message\nid: 1\nretry: 5\ndata: {A}\n\nx: y\ndata: {B}\n\ndata: {STOP}\n\n"
        ),
        // No blank lines between the events.
        format!("data: {A}\ndata: {B}\ndata: {STOP}\ndata: [DONE]\n"),
        format!("data: {A}\ndata: {B}\ndata: {STOP}"),
        // No mark of the end, or more after it.
        format!("data: {A}\n\ndata: {B}\n\ndata: {STOP}\n\n"),
        format!("data: {A}\n\ndata: {B}\n\ndata: {STOP}\n\ndata: [DONE]\n\ndata: {A}\n\n"),
        // A mark of the end is an end.
        format!("data: {A}\n\ndata: {B}\n\ndata: [DONE]\n\n"),
        // Role first, then nothing, then null.
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"role\":\"assistant\",\"content\":null}}}}]}}\n\ndata: {A}\n\ndata: {{\"choices\":null}}\n\ndata: {{}}\n\ndata: {B}\n\ndata: {STOP}\n\n"
        ),
    ];
    for body in bodies {
        let answer = answered(Script::stream().bytes(&body)).await;
        check(&answer, "é😀", Stop::End, &body);
        // The type does not matter.
        let answer = answered(Script::head(200, "").bytes(&body)).await;
        check(&answer, "é😀", Stop::End, &body);
    }
}

#[tokio::test]
async fn an_answer_may_come_as_whole_json() {
    let json = r#" {"choices":[{"index":0,"message":{"role":"assistant","content":"all of it"},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":4},"model":"m"}"#;
    for kind in ["application/json", "text/event-stream"] {
        for (a, b) in [("", json), json.split_at(1), json.split_at(60)] {
            let answer = answered(Script::head(200, kind).bytes(a).bytes(b)).await;
            check(&answer, "all of it", Stop::Length, kind);
            let end = answer.end.unwrap();
            assert_eq!(
                end.usage,
                Some(Usage {
                    prompt: 3,
                    completion: 4
                })
            );
            assert_eq!(end.model.as_deref(), Some("m"));
        }
    }
    // Without a reason: it is whole all the same.
    let json = r#"{"choices":[{"message":{"content":"all"}}]}"#;
    check(
        &answered(Script::body(200, "", json)).await,
        "all",
        Stop::End,
        json,
    );
    let cut = &json[..30];
    let answer = answered(Script::body(200, "application/json", cut)).await;
    assert_eq!(answer.end.unwrap_err().kind, Kind::Model);
}

#[tokio::test]
async fn how_the_model_finished() {
    for (reason, stop) in [
        ("stop", Stop::End),
        ("eos", Stop::End),
        ("length", Stop::Length),
        ("content_filter", Stop::Incomplete),
        ("error", Stop::Incomplete),
        ("abort", Stop::Incomplete),
    ] {
        let answer = answered(Script::stream().word("a").finish(reason).done()).await;
        check(&answer, "a", stop, reason);
    }
}

#[tokio::test]
async fn an_answer_that_just_ends_is_incomplete() {
    // The connection ends; the chunked body ends early; half a line; half a character.
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let event = format!("data: {A}\n\n");
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let scripts = [
        Script::stream().bytes(&event),
        Script::raw(format!("{head}{chunk}")),
        Script::raw(format!("{head}{chunk}0\r\n\r\n")),
        Script::raw(format!("{head}{chunk}zzz\r\n")),
        Script::stream().bytes(&event).bytes(&B.as_bytes()[..20]),
        Script::stream()
            .bytes(&event)
            .bytes(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xf0\x9f"),
    ];
    for script in scripts {
        let what = format!("{script:?}");
        check(&answered(script).await, "é", Stop::Incomplete, &what);
    }
}

/// The endpoint did answer, so nobody should look for a connection that broke.
#[tokio::test]
async fn a_response_that_ends_by_itself_is_not_called_a_lost_connection() {
    for script in [
        Script::stream().bytes("\u{0}\u{1} no events {{{{\n\n"),
        Script::stream().bytes("data: {\"choices\": 7}\n\ndata: [1,2\n\n"),
        Script::body(200, "application/json", "{\"choices\": [1,"),
    ] {
        let what = format!("{script:?}");
        let error = answered(script).await.end.expect_err(&what);
        assert!(
            error.message.contains("without an answer that can be read"),
            "{what}: {error}"
        );
    }
    let cut = answered(Script::stream().word("a")).await;
    let note = cut.end.unwrap().note.unwrap();
    assert!(note.contains("ended its response"), "{note}");
    // Less than was announced: here the connection did break.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
    let lost = answered(Script::raw(format!("{head}data: {A}\n\n"))).await;
    let note = lost.end.unwrap().note.unwrap();
    assert!(note.contains("was lost"), "{note}");
}

/// The stream of a real server, cut after every byte.
#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_incomplete_or_an_error() {
    let body = format!("data: {A}\n\ndata: {STOP}\n\ndata: [DONE]\n\n");
    let finished = body.find(STOP).unwrap() + STOP.len();
    let started = body.find(A).unwrap() + A.len();
    for end in (0..body.len()).step_by(3) {
        let answer = answered(Script::stream().bytes(&body.as_bytes()[..end])).await;
        match answer.end {
            Ok(ref one) if end < finished => assert_eq!(one.stop, Stop::Incomplete, "{end}"),
            Ok(ref one) => assert_eq!(one.stop, Stop::End, "{end}"),
            Err(_) => assert!(end < started, "{end}"),
        }
        assert_eq!(answer.text, if end < started { "" } else { "é" }, "{end}");
    }
}

#[tokio::test]
async fn an_empty_answer_is_a_failure() {
    let nothing = [
        Script::stream(),
        Script::head(200, "application/json"),
        Script::stream().done(),
        Script::stream().finish("stop").usage(5, 0).done(),
        Script::stream().word("").word("  \n").finish("stop").done(),
        Script::stream().finish("load"),
        Script::stream().bytes(": ping\n\n"),
        Script::json(
            200,
            &serde_json::json!({"choices": [{"message": {"content": ""}}]}),
        ),
        Script::json(200, &serde_json::json!({"hello": "world"})),
        Script::raw(""),
        Script::raw("not HTTP\r\n\r\n"),
        Script::stream()
            .data(r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#)
            .finish("length")
            .done(),
        Script::stream().word("<think>hm").finish("length").done(),
    ];
    for script in nothing {
        let what = format!("{script:?}");
        let answer = answered(script).await;
        let error = answer.end.expect_err(&what);
        assert_eq!(
            (error.kind, answer.text.as_str()),
            (Kind::Model, ""),
            "{what}"
        );
        assert!(error.message.ends_with('.'), "{error}");
    }
}

#[tokio::test]
async fn a_web_page_is_named() {
    for body in ["<!doctype html><html>", " \n<html>", "\u{feff}<?xml?>"] {
        let answer = answered(Script::body(200, "text/html; charset=utf-8", body)).await;
        let error = answer.end.unwrap_err();
        let expected =
            "/v1/chat/completions answered with a web page (text/html) instead of an answer";
        assert!(error.message.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn failures_in_the_stream() {
    let failures = [
        r#"data: {"error":{"message":"out of memory","code":500}}"#,
        r#"data: {"object":"error","message":"out of memory"}"#,
        r#"error: {"code":500,"message":"out of memory"}"#,
        "event: error\ndata: {\"message\":\"out of memory\"}",
        "event: error\ndata: out of memory",
        r#"data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"message":"out of memory"}}]}"#,
    ];
    for failure in failures {
        let failure = format!("{failure}\n\ndata: [DONE]\n\n");
        let answer = answered(Script::stream().bytes(&failure)).await;
        let error = answer.end.expect_err(&failure);
        assert_eq!(error.detail.as_deref(), Some("out of memory"), "{failure}");

        let answer = answered(Script::stream().word("a").bytes(&failure)).await;
        check(&answer, "a", Stop::Incomplete, &failure);
        let note = answer.end.unwrap().note.unwrap();
        assert!(note.contains("out of memory"), "{note}");
    }
}

#[tokio::test]
async fn thoughts_are_not_part_of_the_answer() {
    let thoughts = [
        r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_content":"hm","content":null}}]}"#,
        r#"{"choices":[{"delta":{"reasoning_text":"hm"}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
        r#"{"choices":[{"delta":{"content":"<think>hm</think>\n\n"}}]}"#,
    ];
    for thought in thoughts {
        let answer = answered(
            Script::stream()
                .data(thought)
                .word("a")
                .finish("stop")
                .done(),
        )
        .await;
        assert!(answer.thinking, "{thought}");
        check(&answer, "a", Stop::End, thought);
    }
    let split = Script::stream()
        .word("\n<thi")
        .word("nk>a")
        .word(" thought</th")
        .word("ink>\n")
        .word("\nb");
    let answer = answered(split.finish("stop").done()).await;
    assert!(answer.thinking);
    check(&answer, "b", Stop::End, "split");
}

#[tokio::test]
async fn usage_is_taken_from_anywhere() {
    let with = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
    let null = r#"{"choices":null,"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
    let scripts = [
        Script::stream().word("a").data(with).done(),
        Script::stream().word("a").finish("stop").usage(5, 7).done(),
        Script::stream().word("a").finish("stop").usage(5, 7),
        Script::stream().word("a").finish("stop").data(null).done(),
        // Cumulative.
        Script::stream()
            .usage(5, 1)
            .word("a")
            .usage(5, 7)
            .finish("stop")
            .done(),
    ];
    for script in scripts {
        let what = format!("{script:?}");
        let end = answered(script).await.end.unwrap();
        assert_eq!(
            end.usage,
            Some(Usage {
                prompt: 5,
                completion: 7
            }),
            "{what}"
        );
    }
    let none = answered(Script::stream().word("a").finish("stop").done()).await;
    assert_eq!(none.end.unwrap().usage, None);
}

#[tokio::test]
async fn tool_calls_are_reported_and_not_run() {
    let call = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}}]}"#;
    let answer = answered(Script::stream().data(call).finish("tool_calls").done()).await;
    assert!(answer.end.unwrap_err().message.contains("a tool call"));
    let answer = answered(
        Script::stream()
            .word("a")
            .data(call)
            .finish("tool_calls")
            .done(),
    )
    .await;
    let end = answer.end.unwrap();
    assert_eq!((answer.text.as_str(), end.stop), ("a", Stop::End));
    assert!(end.note.unwrap().contains("tools"));
}

#[tokio::test]
async fn an_answer_ends_at_its_limits() {
    let line = "x".repeat((1 << 20) + 1);
    let answer = answered(Script::stream().word("a").data(&line).done()).await;
    check(&answer, "a", Stop::Incomplete, "a long line");
    let word = "x".repeat(1 << 19);
    let long = (0..33).fold(Script::stream(), |script, _| script.word(&word));
    let answer = answered(long.finish("stop").done()).await;
    assert!(answer.text.len() <= (16 << 20) + word.len());
    assert_eq!(answer.end.unwrap().stop, Stop::Incomplete);
    let json = format!("{{\"x\":\"{}", "x".repeat(17 << 20));
    let answer = answered(Script::body(200, "application/json", json)).await;
    assert!(answer.end.unwrap_err().message.contains("16 MiB"));
}

#[tokio::test]
async fn a_part_that_cannot_be_read_makes_the_answer_incomplete() {
    let answer = answered(
        Script::stream()
            .word("a")
            .data("{half")
            .word("b")
            .finish("stop")
            .done(),
    )
    .await;
    check(&answer, "ab", Stop::Incomplete, "half");
}
