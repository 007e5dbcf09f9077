//! `pieces-lsp model`: shows, lists, chooses or removes the endpoint that answers questions.

mod options;

pub(super) use options::ModelOptions;

use super::common::{Target, absolute, printable};
use super::complain;
use super::terminal::{count, dim, good, strong, time};
use crate::model::{
    self, Choice, EndpointUrl, Error, Found, Key, Model, New, Source, context_size, pick_model,
};
use crate::pieces::PlainHttp;
use crate::service;
use options::{ModelCommand, UseOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs a subcommand; without one, shows the endpoint in use and fails if it does not respond.
pub(super) async fn run(target: Target, options: ModelOptions) -> ExitCode {
    let mut out = anstream::stdout();
    let plain_http = target.plain_http;
    let outcome = async {
        let data_dir = data_dir(target)?;
        match options.command {
            None => show(&mut out, &data_dir, plain_http).await,
            Some(ModelCommand::List) => list(&mut out, &data_dir, plain_http).await,
            Some(ModelCommand::Use(options)) => {
                choose(&mut out, &data_dir, options, plain_http).await
            }
            Some(ModelCommand::Off) => off(&mut out, &data_dir, plain_http).await,
        }
    };
    match outcome.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

fn data_dir(target: Target) -> Result<PathBuf, String> {
    match target.data_dir {
        Some(dir) => Ok(dir),
        None => service::default_data_dir().map_err(|error| error.to_string()),
    }
}

/// Our sentence, followed by the endpoint's own.
fn told(error: &Error) -> String {
    match &error.detail {
        Some(detail) => format!("{} It says: {}", error.message, printable(detail)),
        None => error.message.clone(),
    }
}

/// The models of an endpoint, its base URL with `/v1`, and how long the list took.
async fn listed(choice: &Choice) -> Result<(Vec<Model>, EndpointUrl, Duration), Error> {
    let endpoint = model::endpoint(Some(choice))?;
    let started = Instant::now();
    let models = endpoint.models().await?;
    let url = endpoint.base().unwrap_or_else(|| choice.url.clone());
    Ok((models, url, started.elapsed()))
}

/// Shows the endpoint in use, and whether it responds.
async fn show(out: &mut impl Write, data_dir: &Path, plain_http: PlainHttp) -> Result<(), String> {
    let choice = model::choose(data_dir, plain_http).await;
    let choice = choice.map_err(|error| told(&error))?;
    let Some(choice) = choice else {
        let found = model::look_for().await;
        return Err(nothing_chosen(&found));
    };
    let by = match choice.source {
        Source::Environment => "by PIECES_LSP_MODEL_URL",
        Source::File => "by `pieces-lsp model use`",
    };
    let url = strong(&choice.url.to_string());
    // Stdout may be closed.
    let _ = writeln!(out, "{url}, chosen {by}");
    let _ = writeln!(out, "{}", dim(whereabouts(&choice.url)));
    let (models, _, took) = listed(&choice).await.map_err(|error| told(&error))?;
    let model = pick_model(None, &choice, &models).map_err(|error| told(&error))?;
    let context = context_size(&choice, &model, &models);
    let _ = writeln!(out, "model    {}", printable(&model));
    let _ = writeln!(out, "context  {context} tokens");
    let _ = writeln!(
        out,
        "key      {}",
        if choice.key.is_some() {
            "there is one"
        } else {
            "none"
        }
    );
    if choice.instructions.is_some() {
        let _ = writeln!(out, "with instructions");
    }
    if choice.summaries {
        let _ = writeln!(out, "with summaries");
    }
    let answers = format!(
        "It answers: {} in {}.",
        count(models.len(), "model"),
        time(took)
    );
    let _ = writeln!(out, "{}", good(&answers));
    Ok(())
}

/// Where the endpoint is, and whether the connection is encrypted.
fn whereabouts(url: &EndpointUrl) -> &'static str {
    match (url.is_loopback(), url.is_https()) {
        (true, _) => "on this machine",
        (false, true) => "on another machine, encrypted: your questions are sent there",
        (false, false) => {
            "on another machine, NOT encrypted: everybody in that network can read your questions"
        }
    }
}

/// The sentence if no endpoint was chosen.
fn nothing_chosen(found: &[Found]) -> String {
    match found.first() {
        Some(one) => {
            let urls: Vec<String> = found.iter().map(|one| one.url.to_string()).collect();
            format!(
                "No model was chosen. Found on this machine: {}; choose it with `pieces-lsp model use {}`.",
                urls.join(", "),
                one.url
            )
        }
        None => "No model was chosen, and none was found on this machine. Start one, such as Ollama, or choose a provider with `pieces-lsp model use URL --model NAME --key-env VAR`.".to_owned(),
    }
}

async fn list(out: &mut impl Write, data_dir: &Path, plain_http: PlainHttp) -> Result<(), String> {
    let choice = model::choose(data_dir, plain_http).await;
    let choice = choice.map_err(|error| told(&error))?;
    let Some(choice) = choice else {
        return Err(nothing_chosen(&model::look_for().await));
    };
    let (mut models, _, _) = listed(&choice).await.map_err(|error| told(&error))?;
    let default = pick_model(None, &choice, &models).ok();
    models.sort_by(|a, b| a.id.cmp(&b.id));
    let width = models
        .iter()
        .map(|model| printable(&model.id).chars().count())
        .max();
    for model in &models {
        let mark = if default.as_ref() == Some(&model.id) {
            "*"
        } else {
            " "
        };
        let context = model.context.map(|size| format!("{size} tokens"));
        let loaded = model.loaded.and_then(|loaded| loaded.then_some("loaded"));
        let facts: Vec<String> = context
            .into_iter()
            .chain(loaded.map(str::to_owned))
            .collect();
        let line = format!(
            "{mark} {:<width$}  {}",
            printable(&model.id),
            facts.join(", "),
            width = width.unwrap_or(0)
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if models.is_empty() {
        return Err(format!(
            "The endpoint {} has no model; load one there.",
            choice.url
        ));
    }
    Ok(())
}

async fn choose(
    out: &mut impl Write,
    data_dir: &Path,
    options: UseOptions,
    plain_http: PlainHttp,
) -> Result<(), String> {
    let new = new(options, plain_http)?;
    let outcome = tried(new.clone(), plain_http).await;
    let (new, problem) = match outcome {
        Ok(new) => (new, None),
        Err(Problem::Refused(sentence)) => return Err(sentence),
        // It may be started later.
        Err(Problem::Silent(sentence)) => (new, Some(sentence)),
    };
    let (dir, saved) = (data_dir.to_owned(), new.clone());
    let saving = tokio::task::spawn_blocking(move || model::save(&dir, &saved)).await;
    saving
        .map_err(|error| error.to_string())?
        .map_err(|error| told(&error))?;
    let _ = writeln!(
        out,
        "Questions are answered by {}, {}.",
        strong(&new.url.to_string()),
        whereabouts(&new.url)
    );
    if std::env::var("PIECES_LSP_MODEL_URL").is_ok_and(|url| !url.trim().is_empty()) {
        complain("PIECES_LSP_MODEL_URL is set here and overrides this choice.");
    }
    match problem {
        None => {
            let _ = writeln!(out, "{}", good("It answers."));
        }
        Some(sentence) => complain(&format!(
            "The choice is saved, but does not work yet. {sentence}"
        )),
    }
    Ok(())
}

enum Problem {
    /// Not saved: the endpoint responds, and the choice is wrong.
    Refused(String),
    /// Saved: the endpoint does not respond, or its key is missing here.
    Silent(String),
}

/// Lists the models of the endpoint. Returns the choice with its base URL, including `/v1`.
async fn tried(new: New, plain_http: PlainHttp) -> Result<New, Problem> {
    let silent = |error: Error| Problem::Silent(told(&error));
    let choice = model::resolve(new.clone(), plain_http).await;
    let choice = choice.map_err(silent)?;
    match listed(&choice).await {
        Ok((models, url, _)) => {
            let picked = pick_model(None, &choice, &models);
            picked.map_err(|error| Problem::Refused(told(&error)))?;
            Ok(New { url, ..new })
        }
        // An endpoint without a list is fine if a model was named.
        Err(error)
            if new.model.is_some() && matches!(error.status, Some(200 | 404 | 405 | 501)) =>
        {
            Ok(new)
        }
        Err(error) => Err(silent(error)),
    }
}

fn new(options: UseOptions, plain_http: PlainHttp) -> Result<New, String> {
    let url =
        EndpointUrl::parse(&options.endpoint, plain_http).map_err(|error| error.to_string())?;
    if url.is_https() && !cfg!(feature = "tls") {
        return Err(format!(
            "This build of pieces-lsp has no TLS, so {url} cannot be asked; install one with the feature `tls`, or choose a model on this machine."
        ));
    }
    let key = match (options.key_env, options.key_command) {
        (Some(name), _) if is_variable(&name) => Some(Key::Variable(name)),
        // It may be the key itself.
        (Some(_), _) => {
            return Err("`--key-env` takes the name of an environment variable, not the key; a name has letters, digits and underscores.".to_owned());
        }
        (None, command) => command.map(Key::Command),
    };
    let instructions = options.instructions.map(|path| {
        std::fs::canonicalize(&path).map_err(|error| {
            format!(
                "{} cannot be read ({error}); check the path.",
                absolute(path).display()
            )
        })
    });
    Ok(New {
        model: options.model,
        context: options.context,
        instructions: instructions.transpose()?,
        key,
        summaries: options.summaries,
        plain_http: match url.is_https() || url.is_loopback() {
            true => PlainHttp::Loopback,
            false => plain_http,
        },
        ..New::plain(url)
    })
}

fn is_variable(name: &str) -> bool {
    let first = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

async fn off(out: &mut impl Write, data_dir: &Path, plain_http: PlainHttp) -> Result<(), String> {
    let dir = data_dir.to_owned();
    let clearing = tokio::task::spawn_blocking(move || model::clear(&dir)).await;
    let was = clearing
        .map_err(|error| error.to_string())?
        .map_err(|error| told(&error))?;
    let sentence = match was {
        true => "The choice was removed; questions are not answered any more.",
        false => "No model was chosen here.",
    };
    let _ = writeln!(out, "{sentence}");
    if let Ok(Some(choice)) = model::choose(data_dir, plain_http).await {
        return Err(format!(
            "The endpoint {} is still in use, because PIECES_LSP_MODEL_URL is set here.",
            choice.url
        ));
    }
    Ok(())
}
