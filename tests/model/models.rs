//! The list of models, and which one answers.

use super::choice;
use super::script::{Script, ScriptedEndpoint};
use pieces_lsp::model::{Choice, Error, Kind, Model, Ready, endpoint, prepare};
use serde_json::json;

async fn listed(server: &ScriptedEndpoint) -> Result<Vec<Model>, Error> {
    let endpoint = endpoint(Some(&choice(&server.url()))).unwrap();
    endpoint.models().await
}

fn model(id: &str, context: Option<u32>, loaded: Option<bool>) -> Model {
    Model {
        id: id.to_owned(),
        context,
        loaded,
    }
}

#[tokio::test]
async fn lists_of_known_servers() {
    let server = ScriptedEndpoint::start();
    assert_eq!(
        listed(&server).await,
        Ok(vec![model("test-model", None, None)])
    );
    // llama-server, with its second list.
    server.list(&json!({"models": [{"name": "a"}], "object": "list", "data": [{"id": "a.gguf", "meta": {"n_ctx": 2048}}]}));
    assert_eq!(
        listed(&server).await,
        Ok(vec![model("a.gguf", Some(2048), Some(true))])
    );
    // vLLM.
    server
        .list(&json!({"data": [{"id": "a", "max_model_len": 4096}, {"id": "a"}, {"x": 1}, null]}));
    assert_eq!(
        listed(&server).await,
        Ok(vec![model("a", Some(4096), None)])
    );
    server.list(&json!({"data": []}));
    assert_eq!(listed(&server).await, Ok(vec![]));
}

#[tokio::test]
async fn ollama_says_what_is_loaded() {
    let server = ScriptedEndpoint::start();
    server.list(&json!({"data": [{"id": "a:latest", "owned_by": "library"}, {"id": "b:latest", "owned_by": "library"}]}));
    let loaded =
        json!({"models": [{"name": "b:latest", "model": "b:latest", "context_length": 32_768}]});
    server.page("/api/ps", Script::json(200, &loaded));
    let expected = vec![
        model("a:latest", Some(4_096), Some(false)),
        model("b:latest", Some(32_768), Some(true)),
    ];
    assert_eq!(listed(&server).await, Ok(expected));
    let ps = server
        .received()
        .into_iter()
        .find(|one| one.path == "/api/ps");
    assert_eq!(ps.unwrap().key(), None);
    let choice = choice(&server.url());
    let ready = prepare(&*endpoint(Some(&choice)).unwrap(), &choice, None).await;
    let expected = Ready {
        model: "b:latest".to_owned(),
        context: 32_768,
    };
    assert_eq!(ready, Ok(expected));
}

#[tokio::test]
async fn responses_that_are_not_lists() {
    for script in [
        Script::body(200, "text/html", "<html>"),
        Script::body(200, "application/json", "{}"),
        Script::body(200, "", ""),
        Script::json(401, &json!({"error": {"message": "Invalid API Key"}})),
        Script::json(500, &json!({})),
        Script::raw("garbage\r\n\r\n"),
        Script::body(200, "application/json", "[".repeat(100_000)),
    ] {
        let what = format!("{script:?}");
        let server = ScriptedEndpoint::start();
        server.page("/v1/models", script);
        let error = listed(&server).await.expect_err(&what);
        assert_eq!(error.kind, Kind::Model);
    }
}

#[tokio::test]
async fn a_list_that_is_too_long_is_called_so() {
    let server = ScriptedEndpoint::start();
    let list = format!("[{}1]", "1,".repeat(8 << 20));
    server.page("/v1/models", Script::body(200, "application/json", list));
    let error = listed(&server).await.unwrap_err();
    assert!(error.message.contains("more than 16 MiB"), "{error}");
}

#[tokio::test]
async fn an_endpoint_without_a_list_is_asked_by_name() {
    let server = ScriptedEndpoint::start();
    server.no_page("/v1/models");
    let mut choice = choice(&server.url());
    let prepared =
        async |choice: &Choice| prepare(&*endpoint(Some(choice)).unwrap(), choice, None).await;
    assert!(prepared(&choice).await.is_err());
    choice.model = Some("m".to_owned());
    let expected = Ready {
        model: "m".to_owned(),
        context: 8_192,
    };
    assert_eq!(prepared(&choice).await, Ok(expected));
    // A refused key is no missing list.
    server.page("/v1/models", Script::json(401, &json!({})));
    assert_eq!(prepared(&choice).await.unwrap_err().status, Some(401));
}

#[tokio::test]
async fn without_a_choice_there_is_no_model() {
    let none = endpoint(None).unwrap();
    assert_eq!(none.models().await.unwrap_err().kind, Kind::NoModel);
    assert_eq!(
        none.ask(super::question(&[])).await.unwrap_err().kind,
        Kind::NoModel
    );
}
