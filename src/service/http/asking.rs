//! The REST routes of asking, which published clients use for one-off questions. Only summaries are stored.

use axum::{
    extract::{Extension, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    App,
    connections::OverSocket,
    json as json_text,
    request::{Body, Id},
    table::Routes,
};
use crate::model::Kind;
use crate::service::{
    Failure,
    answer::{Question, Refused, Whole, status_of},
    objects::{annotation, seed::Seed},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .post("/qgpt/relevance", relevance)
        .post("/qgpt/question", question)
        .post("/qgpt/hints", hints)
        .post("/conversation/{conversation}/summarize", summarize)
}

/// Whether a route waits for a model, and so has a longer deadline.
pub(super) fn is_slow(path: &str) -> bool {
    path.starts_with("/qgpt/") || path.ends_with("/summarize")
}

/// POST /qgpt/relevance: a search, which finds nothing here, or with `options.question` an answer. `pieces commit` uses
/// it.
async fn relevance(
    State(app): State<App>,
    Extension(over_socket): Extension<OverSocket>,
    Body(body): Body,
) -> Result<Response, Response> {
    let options = body
        .get("options")
        .and_then(|options| options.get("question"));
    let nothing = json!({"iterable": []});
    if options != Some(&Value::Bool(true)) {
        return Ok(json_text(json!({ "relevant": nothing }).to_string()));
    }
    let question = Question::of_relevance(body, None).map_err(unreadable)?;
    let answer = answer(&app, over_socket, question, None).await?;
    Ok(json_text(
        json!({"relevant": nothing, "answer": output(&answer)}).to_string(),
    ))
}

/// POST /qgpt/question: an answer to a question, or to a task with code.
async fn question(
    State(app): State<App>,
    Extension(over_socket): Extension<OverSocket>,
    Body(mut body): Body,
) -> Result<Response, Response> {
    if let Some(task) = task(&body) {
        let query = body
            .get("query")
            .and_then(Value::as_str)
            .unwrap_or_default();
        body["query"] = format!("{query}\n\n{task}").trim_start().into();
    }
    let question = Question::of_question(body, None).map_err(unreadable)?;
    let answer = answer(&app, over_socket, question, None).await?;
    Ok(json_text(output(&answer).to_string()))
}

/// POST /qgpt/hints: follow-up questions; always none.
async fn hints() -> Response {
    let nothing = json!({"iterable": []});
    json_text(json!({"answers": nothing, "relevant": nothing}).to_string())
}

/// POST /conversation/{c}/summarize: an annotation with a summary by the model.
async fn summarize(
    State(app): State<App>,
    Extension(over_socket): Extension<OverSocket>,
    Id(id): Id,
) -> Result<Response, Response> {
    let question = Question::plain(
        "Summarise our conversation in at most five sentences. Answer with the summary only.",
    );
    let answer = answer(&app, over_socket, question, Some(id.clone())).await?;
    let conversation = id.clone();
    let made = app.store.write(move |change| {
        let mut seed = Seed::empty();
        seed.set("type", "SUMMARY");
        seed.set("text", answer.text.as_str());
        seed.set("conversation", conversation.as_str());
        annotation::add(change, seed)
    });
    let made = made.await.map_err(Failure::into_response)?;
    Ok(json_text(
        json!({"conversation": {"id": id}, "annotation": {"id": made.id}}).to_string(),
    ))
}

fn unreadable(sentence: String) -> Response {
    Failure::invalid(sentence).into_response()
}

async fn answer(
    app: &App,
    over_socket: OverSocket,
    question: Question,
    conversation: Option<String>,
) -> Result<Whole, Response> {
    let peer = app.peer(over_socket);
    let answered = app.answers.answer_once(question, conversation, peer).await;
    answered.map_err(|refused| match refused {
        Refused::Store(failure) => failure.into_response(),
        // Not a failure of the service: the user has to choose a model first.
        Refused::Model(error) if error.kind == Kind::NoModel => {
            (StatusCode::FAILED_DEPENDENCY, error.message).into_response()
        }
        Refused::Model(error) => {
            let status = StatusCode::from_u16(status_of(&error)).ok();
            // Not 401: a client would take it for its own token.
            let status = status.filter(|status| *status != StatusCode::UNAUTHORIZED);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, error.message).into_response()
        }
    })
}

fn output(answer: &Whole) -> Value {
    json!({
        "answers": {"iterable": [{"score": 1, "text": answer.text}]},
        "relevant": {"iterable": []},
    })
}

/// The prompt for a task of a pipeline; the code is among the seeds or in the query.
fn task(body: &Value) -> Option<String> {
    const BLOCK: &str =
        "Answer with the whole changed code in one fenced code block, and nothing else.";
    let task = body.get("pipeline")?.get("task")?;
    let text = |task: &Value, key: &str| {
        task.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(fix) = task.get("code_fix") {
        return Some(format!("Fix this code. {} {BLOCK}", text(fix, "error")));
    }
    if let Some(change) = task.get("code_modification") {
        return Some(format!(
            "Change this code: {} {BLOCK}",
            text(change, "instruction")
        ));
    }
    if task.get("code_commentation").is_some() {
        return Some(format!("Add comments to this code. {BLOCK}"));
    }
    task.get("code_explanation")
        .map(|_| "Explain this code.".to_owned())
}
