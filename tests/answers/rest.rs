//! One-off questions over REST, the models, and summaries.

use super::asker::{Stage, choose};
use super::support::local::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Sends a POST while the model answers with this text; what reached the model, and the response.
async fn post(stage: &Stage, path: &str, body: Value, text: &str) -> (String, Value) {
    let local = stage.local.clone();
    let path = path.to_owned();
    let posting = tokio::spawn(async move { local.post(&path, body).await });
    let asked = stage.endpoint.question();
    let sent = asked.messages().pop().unwrap();
    asked.answer(text);
    (sent, posting.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_off_questions_are_answered_and_not_stored() {
    let stage = Stage::new().await;
    let seed = json!({"type": "SEEDED_ASSET", "asset": {"format": {"fragment": {"string": {"raw": "diff --git"}}}}});
    let commit = json!({"query": "Write a commit message.", "options": {"question": true}, "seeds": {"iterable": [seed]}});
    let (sent, answer) = post(&stage, "/qgpt/relevance", commit, "Fix it").await;
    assert!(
        sent.contains("diff --git") && sent.ends_with("Write a commit message."),
        "{sent}"
    );
    assert_eq!(
        answer["answer"]["answers"]["iterable"][0],
        json!({"score": 1, "text": "Fix it"})
    );
    assert_eq!(answer["relevant"], json!({"iterable": []}));

    let relevant = json!({"iterable": [{"seed": seed}]});
    let fix = json!({"query": "", "relevant": relevant, "pipeline": {"task": {"code_fix": {"error": "E0308"}}}});
    let (sent, answer) = post(&stage, "/qgpt/question", fix, "```\nfixed\n```").await;
    assert!(
        sent.contains("E0308") && sent.contains("one fenced code block"),
        "{sent}"
    );
    assert_eq!(answer["answers"]["iterable"][0]["text"], "```\nfixed\n```");

    let nothing = stage
        .local
        .post("/qgpt/relevance", json!({"query": "q"}))
        .await;
    assert_eq!(nothing, json!({"relevant": {"iterable": []}}));
    let hints = stage.local.post("/qgpt/hints", json!({})).await;
    assert_eq!(hints["answers"], json!({"iterable": []}));
    let conversations = stage.local.get("/conversations").await;
    assert_eq!(conversations["iterable"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_off_question_without_an_answer_has_a_status_and_a_sentence() {
    let stage = Stage::new().await;
    let ask = || Method::Post(json!({"query": "q"}).to_string());
    let local = stage.local.clone();
    let posting =
        tokio::spawn(async move { local.try_send(ask(), "/qgpt/question").await.unwrap() });
    stage.endpoint.question().fail(503, "Loading model");
    let (status, sentence) = posting.await.unwrap();
    assert_eq!(status, 503, "{sentence}");
    assert!(
        sentence.ends_with('.') && sentence.lines().count() == 1,
        "{sentence}"
    );
    pieces_lsp::model::clear(stage.dir.path()).unwrap();
    let (status, sentence) = stage.local.try_send(ask(), "/qgpt/question").await.unwrap();
    assert_eq!(status, 424);
    assert!(sentence.contains("pieces-lsp model use"), "{sentence}");
    let (status, _) = stage
        .local
        .try_send(Method::Post("{}".into()), "/qgpt/question")
        .await
        .unwrap();
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_summarised_in_an_annotation() {
    let stage = Stage::new().await;
    let id = stage.conversation().await;
    let message = json!({"role": "USER", "conversation": {"id": id}, "fragment": {"string": {"raw": "Zebras?"}}});
    stage.local.post("/messages/create", message).await;
    let path = format!("/conversation/{id}/summarize");
    let (sent, made) = post(&stage, &path, Value::Null, "About zebras.").await;
    assert!(sent.contains("Zebras?"), "{sent}");
    let annotation = made["annotation"]["id"].as_str().unwrap();
    let annotation = stage.local.get(&format!("/annotation/{annotation}")).await;
    assert_eq!(
        (&annotation["type"], &annotation["text"]),
        (&json!("SUMMARY"), &json!("About zebras."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_the_endpoint_are_listed_and_chosen_by_their_ids() {
    let stage = Stage::new().await;
    stage.endpoint.list(&["alpha", "beta"]);
    let models = stage.local.get("/models").await;
    assert_eq!(models["pieces_lsp"]["source"], "file");
    let models = models["iterable"].as_array().unwrap();
    let named = |name: &str| models.iter().find(|model| model["name"] == name).unwrap();
    for unique in ["gpt-3.5-turbo", "gemini-2.0-flash-lite-001"] {
        assert!(models.iter().any(|model| model["unique"] == unique));
    }
    assert!(named("GPT-4o Chat Model")["cloud"] == true);
    let beta = named("beta");
    assert_eq!(
        (&beta["cloud"], &beta["downloaded"]),
        (&json!(false), &json!(true))
    );
    let mut socket = stage.socket().await;
    for (id, model) in [(&beta["id"], "beta"), (&models[0]["id"], "alpha")] {
        let mut frame = super::asker::question("Why?");
        frame["relevance"]["model"] = id.clone();
        socket.send(frame).await;
        let asked = stage.endpoint.question();
        assert_eq!(asked.body["model"], model);
        asked.answer("So.");
        socket.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_endpoint_is_not_contacted_for_its_models() {
    let stage = Stage::new().await;
    choose(stage.dir.path(), "https://models.example/v1", false);
    let models = stage.local.get("/models").await;
    assert_eq!(
        models["pieces_lsp"]["endpoint"],
        "https://models.example/v1"
    );
    assert_eq!(models["iterable"].as_array().unwrap().len(), 3);
}

/// A conversation about a new asset: its id, and its first message as it is at once.
async fn start(stage: &Stage, text: &str) -> (String, String) {
    let seed = json!({"type": "SEEDED_ASSET", "asset": {"metadata": {"name": "retry.rs"},
                      "format": {"fragment": {"string": {"raw": text}}}}});
    let asset = stage.local.post("/assets/create", seed).await;
    let from = format!(
        "/conversations/create/from_asset/{}",
        asset["id"].as_str().unwrap()
    );
    let made = stage.local.post(&from, Value::Null).await;
    let id = made["conversation"]["id"].as_str().unwrap().to_owned();
    let first = stage.answer(&id).await;
    (id, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_summary_replaces_the_extract() {
    let stage = Stage::new().await;
    choose(stage.dir.path(), &stage.endpoint.url, true);
    let (id, extract) = start(&stage, "fn retry() {}").await;
    assert!(extract.contains("extractive"), "{extract}");
    let mut asked = stage.endpoint.question();
    assert!(asked.messages()[0].contains("fn retry() {}"));
    asked.begin().say("It retr");
    assert_eq!(stage.answer(&id).await, extract);
    // A second one waits for the first.
    let (second, _) = start(&stage, "fn second() {}").await;
    assert!(
        stage
            .endpoint
            .question_within(Duration::from_millis(200))
            .is_none()
    );
    asked.say("ies.");
    asked.end("stop", None);
    let mut asked = stage.endpoint.question();
    assert_eq!(stage.answer(&id).await, "It retries.");
    assert_eq!(stage.messages(&id).await[0].2["model"], "scripted");
    // One that ends at the limit is not whole.
    asked.begin().say("The sec");
    asked.end("length", None);
    let (third, third_extract) = start(&stage, "fn third() {}").await;
    let mut asked = stage.endpoint.question();
    assert!(stage.answer(&second).await.contains("extractive"));

    // A question ends those that run or wait.
    let (fourth, _) = start(&stage, "fn fourth() {}").await;
    asked.begin().say("The thi");
    let mut socket = stage.socket().await;
    socket.ask(Some(&id), "Why?").await;
    asked.closed();
    let asked = stage.endpoint.question();
    assert!(asked.messages().last().unwrap().ends_with("Why?"));
    asked.answer("So.");
    socket.ended().await;
    assert!(
        stage
            .endpoint
            .question_within(Duration::from_millis(200))
            .is_none()
    );
    assert_eq!(stage.answer(&third).await, third_extract);
    assert!(stage.answer(&fourth).await.contains("extractive"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_summary_is_asked_for_unless_it_was_chosen() {
    let stage = Stage::new().await;
    let (_, extract) = start(&stage, "fn retry() {}").await;
    assert!(extract.contains("extractive"));
    assert!(
        stage
            .endpoint
            .question_within(Duration::from_millis(300))
            .is_none()
    );
    assert_eq!(stage.endpoint.listed(), 0);
}
