//! Which model of an endpoint answers, and how much it can read.

use super::{Choice, Endpoint, Error, Model};

/// The model that will answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub model: String,
    /// Its context size in tokens.
    pub context: u32,
}

/// Lists the models, picks one and finds out its context size. An endpoint without a list is asked by the name
/// that was given.
///
/// # Errors
/// Those of [`Endpoint::models`] and [`pick_model`].
pub async fn prepare(
    endpoint: &dyn Endpoint,
    choice: &Choice,
    wanted: Option<&str>,
) -> Result<Ready, Error> {
    let listed = endpoint.models().await?;
    let model = pick_model(wanted, choice, &listed)?;
    let context = context_size(choice, &model, &listed);
    Ok(Ready { model, context })
}

/// The model that answers: the `wanted` one, else that of the choice, else the one that is loaded, the only one, or on
/// loopback the first by name that is not for embeddings.
///
/// # Errors
/// [`super::Kind::NoModel`]: the name is not listed (with the nearest ones), or a remote endpoint needs a name.
pub fn pick_model(
    wanted: Option<&str>,
    choice: &Choice,
    listed: &[Model],
) -> Result<String, Error> {
    let _ = listed;
    let name = wanted.or(choice.model.as_deref());
    name.map(str::to_owned).ok_or_else(Error::none_chosen)
}

/// Context size in tokens: that of the choice, else what the endpoint reports, else 8,192 on loopback and 128,000
/// elsewhere.
pub fn context_size(choice: &Choice, model: &str, listed: &[Model]) -> u32 {
    let reported = listed.iter().find(|one| one.id == model);
    let usual = if choice.url.is_loopback() {
        8_192
    } else {
        128_000
    };
    let known = choice.context.or(reported.and_then(|one| one.context));
    known.unwrap_or(usual)
}

/// Whether the endpoint silently cut a prompt: it reported far fewer prompt tokens than were estimated.
pub fn was_cut(estimated: u32, reported: u32) -> bool {
    reported < estimated / 2
}
