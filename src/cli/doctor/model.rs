//! Checks the model that answers questions, and with `--ask` measures the time to its first word.

use super::report::Check;
use crate::cli::common::{Target, printable};
use crate::cli::terminal::{count, time};
use crate::model::{
    self, Choice, Endpoint, Error, Message, Piece, Ready, Request, Role, context_size, pick_model,
};
use crate::service;
use std::time::{Duration, Instant};

const NAME: &str = "model";
/// Deadline for the first word: a large model is loaded first.
const FIRST_WORD: Duration = Duration::from_secs(120);

/// Checks the chosen endpoint; `ask`: asks it for one word.
pub(super) async fn check(target: &Target, ask: bool) -> Check {
    let data_dir = match &target.data_dir {
        Some(dir) => Ok(dir.clone()),
        None => service::default_data_dir(),
    };
    let Ok(data_dir) = data_dir else {
        return Check::skipped(NAME, "there is no data directory");
    };
    match model::choose(&data_dir, target.plain_http).await {
        Ok(Some(choice)) => chosen(&choice, ask).await,
        Ok(None) => none(),
        Err(error) => failed(&error),
    }
}

fn none() -> Check {
    let mut check = Check::note(NAME, "none was chosen, so questions cannot be answered");
    check.next = Some("To ask questions, choose one with `pieces-lsp model use URL`.".to_owned());
    check
}

/// A failed check, without the endpoint's own sentence, because reports are published.
fn failed(error: &Error) -> Check {
    let summary = match error.status {
        Some(status) => format!("does not work (HTTP {status})"),
        None => "does not work".to_owned(),
    };
    let check = Check::failed(NAME, summary, &error.message).fact("kind", error.kind.as_str());
    match error.status {
        Some(status) => check.fact("status", status),
        None => check,
    }
}

async fn chosen(choice: &Choice, ask: bool) -> Check {
    let outcome = async {
        let endpoint = model::endpoint(Some(choice))?;
        let started = Instant::now();
        let models = endpoint.models().await?;
        let took = started.elapsed();
        let model = pick_model(None, choice, &models)?;
        let context = context_size(choice, &model, &models);
        let ready = Ready { model, context };
        Ok((endpoint, ready, models.len(), took))
    };
    let (endpoint, ready, models, took) = match outcome.await {
        Ok(found) => found,
        Err(error) => return failed(&error).fact("url", choice.url.to_string()),
    };
    let mut summary = format!(
        "{} at {}, {} tokens, {} listed in {}",
        printable(&ready.model),
        choice.url,
        ready.context,
        count(models, "model"),
        time(took)
    );
    let mut first_word = None;
    match (ask, choice.url.is_loopback()) {
        (true, true) => match speak(&*endpoint, &ready.model).await {
            Ok(time_to_word) => {
                summary += &format!("; its first word after {}", time(time_to_word));
                first_word = Some(super::report::millis(time_to_word));
            }
            Err(error) => return failed(&error).fact("url", choice.url.to_string()),
        },
        (true, false) => summary += "; not asked, because it is on another machine",
        (false, _) => {}
    }
    Check::ok(NAME, summary)
        .fact("url", choice.url.to_string())
        .fact("source", choice.source.as_str())
        .fact("model", ready.model)
        .fact("context", ready.context)
        .fact("models", models)
        .fact("firstWordMs", first_word)
        .took(took)
}

/// Asks for one word, and stops the answer at the first word or thought. Returns the time until then.
async fn speak(endpoint: &dyn Endpoint, model: &str) -> Result<Duration, Error> {
    let started = Instant::now();
    let question = Message {
        role: Role::User,
        text: "Answer with one word: hello.".to_owned(),
    };
    let request = Request {
        model: model.to_owned(),
        messages: vec![question],
        last: true,
    };
    let asking = async {
        match endpoint.ask(request).await?.next().await? {
            Piece::Thinking | Piece::Text(_) => Ok(started.elapsed()),
            Piece::End(_) => Err(Error::model(
                "The model gave an empty answer; try another one.",
            )),
        }
    };
    let late = || {
        let seconds = FIRST_WORD.as_secs();
        Error::model(format!(
            "The model sent nothing within {seconds} s; check the model server, or choose a smaller model."
        ))
    };
    let asked = tokio::time::timeout(FIRST_WORD, asking).await;
    asked.unwrap_or_else(|_| Err(late()))
}
