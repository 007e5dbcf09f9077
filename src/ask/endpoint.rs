//! The endpoint that answers on the local service: chosen earlier by the user, or now.

use super::Asker;
use super::answer::model_error;
use crate::model::{self, Choice, Found, New};
use crate::pieces::{Error, Kind};
use std::path::Path;

/// The user's decision about the endpoints that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Use this one.
    Use(usize),
    /// Use none.
    No,
    /// The user cannot be asked.
    Nobody,
}

/// The chosen endpoint; if there is none, the user is asked about those on this machine.
///
/// # Errors
/// The choice cannot be used, or there is none.
pub(super) async fn decide(asker: &Asker) -> Result<Choice, Error> {
    let Some(dir) = &asker.data_dir else {
        let what = "There is no data directory to read the choice of a model from; set `--data-dir` to one.";
        return Err(Error::new(Kind::NoModel, what));
    };
    if let Some(choice) = chosen(asker, dir).await? {
        return Ok(choice);
    }
    let found = model::look_for().await;
    if found.is_empty() {
        return Err(Error::new(Kind::NoModel, nothing_found()));
    }
    match asker.surroundings.choose(&found).await {
        Consent::Use(at) if at < found.len() => {
            let new = New::plain(found[at].url.clone());
            let saved = tokio::task::spawn_blocking({
                let dir = dir.clone();
                move || model::save(&dir, &new)
            });
            match saved.await {
                Ok(saved) => saved.map_err(model_error)?,
                Err(_) => return Err(Error::new(Kind::NoModel, not_chosen(&found))),
            }
            let choice = chosen(asker, dir).await?;
            choice.ok_or_else(|| Error::new(Kind::NoModel, not_chosen(&found)))
        }
        _ => Err(Error::new(Kind::NoModel, not_chosen(&found))),
    }
}

/// The chosen endpoint, without asking the user.
pub(super) async fn chosen(asker: &Asker, dir: &Path) -> Result<Option<Choice>, Error> {
    let chosen = model::choose(dir, asker.plain_http).await;
    chosen.map_err(model_error)
}

fn nothing_found() -> &'static str {
    "No model was chosen, and none was found on this machine: start one, for example with `ollama run llama3.2`, \
     or choose any OpenAI-compatible server with `pieces-lsp model use URL`."
}

fn not_chosen(found: &[Found]) -> String {
    let url = found.first().map(|one| one.url.to_string());
    let url = url.unwrap_or_default();
    let others = match found.len() {
        0 | 1 => String::new(),
        many => format!(" ({} more were found)", many - 1),
    };
    format!(
        "No model was chosen, but one is running at {url}{others}; choose it with `pieces-lsp model use {url}`."
    )
}
