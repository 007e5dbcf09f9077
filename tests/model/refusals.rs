//! Statuses other than success, and the one other request that a 400 allows.

use super::script::{Script, ScriptedEndpoint};
use super::{answered, ask, choice, question, whole};
use pieces_lsp::model::{Kind, Role, TooLong, endpoint};
use serde_json::{Value, json};

fn refusal(status: u16, message: &str) -> Script {
    Script::json(status, &json!({"error": {"message": message}}))
}

#[tokio::test]
async fn the_endpoints_own_sentence_is_in_the_detail() {
    for status in [
        400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504,
    ] {
        let answer = answered(refusal(status, "its own\n sentence")).await;
        let error = answer.end.unwrap_err();
        assert_eq!((error.kind, error.status), (Kind::Model, Some(status)));
        assert_eq!(
            error.detail.as_deref(),
            Some("its own sentence"),
            "{status}"
        );
    }
    let long = answered(refusal(500, &"é".repeat(5_000))).await;
    assert!(long.end.unwrap_err().detail.unwrap().len() <= 1024);
    let html = answered(Script::body(502, "text/html", "<html>Bad gateway")).await;
    assert_eq!(html.end.unwrap_err().detail, None);
}

#[tokio::test]
async fn a_model_that_is_loading_is_an_error_at_once() {
    let loading =
        json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}});
    let server = ScriptedEndpoint::start();
    server.answer(Script::json(503, &loading));
    let error = whole(ask(&server).await).await.end.unwrap_err();
    assert_eq!(error.status, Some(503));
    assert_eq!(error.detail.as_deref(), Some("Loading model"));
    assert_eq!(server.questions().len(), 1);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_may_be_asked_once_more_by_the_caller() {
    let body = json!({"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error", "n_prompt_tokens": 6031, "n_ctx": 2048}});
    let server = ScriptedEndpoint::start();
    server.answer(Script::json(400, &body));
    let error = whole(ask(&server).await).await.end.unwrap_err();
    assert_eq!(
        error.too_long,
        Some(TooLong {
            context: Some(2048)
        })
    );
    assert!(error.message.contains("2048"), "{error}");
    assert_eq!(server.questions().len(), 1);
}

async fn forms(
    scripts: Vec<Script>,
    last: bool,
) -> (Vec<Value>, Result<String, pieces_lsp::model::Error>) {
    let server = ScriptedEndpoint::start();
    scripts.into_iter().for_each(|script| server.answer(script));
    let endpoint = endpoint(Some(&choice(&server.url()))).unwrap();
    let mut request = question(&[(Role::System, "Be brief."), (Role::User, "Why?")]);
    request.last = last;
    let answer = whole(endpoint.ask(request).await.unwrap()).await;
    let sent = server
        .questions()
        .iter()
        .map(super::script::Received::json)
        .collect();
    (sent, answer.end.map(|_| answer.text))
}

#[tokio::test]
async fn a_form_that_is_refused_is_changed_once() {
    let usage = || refusal(400, "Unrecognized request argument: stream_options");
    let system = || refusal(400, "System role not supported");
    let words = || Script::words(&["a"]);

    let (sent, text) = forms(vec![usage(), words()], false).await;
    assert_eq!(text.as_deref(), Ok("a"));
    assert!(sent[0].get("stream_options").is_some() && sent[1].get("stream_options").is_none());
    assert_eq!(sent.len(), 2);

    let (sent, text) = forms(vec![system(), words()], false).await;
    assert_eq!(text.as_deref(), Ok("a"));
    assert_eq!(
        sent[1]["messages"],
        json!([{"role": "user", "content": "Be brief.\n\nWhy?"}])
    );

    // Not a third time, not after any other status, and not if the caller has used it up.
    let (sent, text) = forms(vec![usage(), system(), words()], false).await;
    assert!(text.is_err());
    assert_eq!(sent.len(), 2);
    for status in [422, 500] {
        let (sent, _) = forms(vec![refusal(status, "stream_options"), words()], false).await;
        assert_eq!(sent.len(), 1);
    }
    let (sent, text) = forms(vec![usage(), words()], true).await;
    assert!(text.is_err());
    assert_eq!(sent.len(), 1);
    // Length after form: the one other request is used up.
    let (_, text) = forms(
        vec![usage(), refusal(400, "context length exceeded")],
        false,
    )
    .await;
    assert_eq!(text.unwrap_err().too_long, None);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = ScriptedEndpoint::start();
    let server = ScriptedEndpoint::start();
    let to = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}/chat/completions\r\nContent-Length: 0\r\n\r\n",
        other.url()
    );
    server.answer(Script::raw(to));
    let error = whole(ask(&server).await).await.end.unwrap_err();
    assert_eq!(error.status, Some(307));
    assert!(error.message.contains("redirect"), "{error}");
    assert!(other.received().is_empty());
}
