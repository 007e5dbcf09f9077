//! The key is in nothing that comes out, however the endpoint quotes it back.

use super::script::{Script, ScriptedEndpoint};
use super::{KEY, Whole, ask, choice, whole};
use pieces_lsp::model::endpoint;
use serde_json::json;

fn check(answer: &Whole) {
    let shown = format!("{answer:?} {}", answer.text);
    let error = answer.end.as_ref().err();
    let shown = shown + &error.map(ToString::to_string).unwrap_or_default();
    assert!(!shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn no_endpoint_gets_the_key_into_an_output() {
    let quoted = format!("Incorrect key: {KEY}. Yes, {KEY}!");
    let (half, rest) = KEY.split_at(9);
    let scripts = [
        Script::json(401, &json!({"error": {"message": quoted}})),
        Script::json(400, &json!({"error": {"message": quoted, "type": KEY}})),
        Script::json(500, &json!({"error": quoted})),
        Script::json(
            500,
            &json!({"detail": {"headers": {"Authorization": format!("Bearer {KEY}")}}}),
        ),
        Script::body(500, "text/plain", &quoted),
        Script::body(500, KEY, &quoted),
        Script::body(200, KEY, "<html>"),
        Script::body(
            500,
            "text/plain",
            format!("{half}\u{0}{rest} {half}\n{rest}"),
        ),
        Script::body(500, "text/plain", format!("{}{KEY}", "x".repeat(1_010))),
        Script::stream().data(json!({"error": {"message": quoted}}).to_string()),
        Script::stream()
            .word("a")
            .data(json!({"error": {"message": quoted}}).to_string()),
        Script::stream()
            .word("a")
            .bytes(format!("error: {quoted}\n\n")),
        Script::stream().word(&quoted).finish("stop").done(),
        Script::stream().word(half).word(rest).finish("stop").done(),
        Script::stream()
            .word(half)
            .word(&rest[..3])
            .word(&rest[3..])
            .word("x"),
        Script::stream().word("a").finish(KEY).done(),
        Script::stream()
            .data(json!({"model": KEY, "choices": [{"delta": {"content": "a"}}]}).to_string())
            .finish("stop")
            .done(),
        Script::stream().data(KEY).word("a").finish("stop").done(),
        Script::json(200, &json!({"choices": [{"message": {"content": quoted}}]})),
        Script::raw(format!("{KEY}\r\n\r\n")),
        Script::raw(format!(
            "HTTP/1.1 302 {KEY}\r\nLocation: http://127.0.0.1/{KEY}\r\n\r\n"
        )),
    ];
    for script in scripts {
        let server = ScriptedEndpoint::start();
        server.answer(script.clone());
        check(&whole(ask(&server).await).await);
        assert_eq!(server.questions()[0].key(), Some(KEY));

        server.page("/v1/models", script);
        let choice = choice(&server.url());
        let listed = endpoint(Some(&choice)).unwrap().models().await;
        let shown = format!("{listed:?} {choice:?}");
        assert!(!shown.contains(KEY), "{shown}");
    }
}

#[tokio::test]
async fn no_list_gets_the_key_into_an_output() {
    let server = ScriptedEndpoint::start();
    server.list(&json!({"data": [{"id": format!("model-{KEY}")}]}));
    let listed = endpoint(Some(&choice(&server.url())))
        .unwrap()
        .models()
        .await
        .unwrap();
    assert_eq!(listed[0].id, "model-[key]");
}
