//! Which endpoint a person chose: the environment, else a file in the data directory.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EndpointUrl, Error, Secret};

/// The endpoint in force, as the asking side decided it.
///
/// Serialized it is the `endpoint` member of a question, **with the key**: only for the socket that this user
/// alone can open. `Debug` never shows the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Wire", into = "Wire")]
pub struct Choice {
    /// Where it is.
    pub url: EndpointUrl,
    /// The model, if the person named one.
    pub model: Option<String>,
    /// Context size in tokens, if the person gave one.
    pub context: Option<u32>,
    /// The system message.
    pub instructions: Option<String>,
    /// The key of that URL.
    pub key: Option<Secret>,
    /// Conversations that start from an asset begin with a summary by the model.
    pub summaries: bool,
    /// Where the choice was made.
    pub source: Source,
    /// http to a private address of another machine is allowed.
    pub allow_http_private: bool,
}

/// Where a choice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `PIECES_LSP_MODEL_URL` and its like.
    Environment,
    /// `pieces-lsp model use`.
    File,
}

impl Source {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Environment => "environment",
            Source::File => "file",
        }
    }
}

/// [`Choice`] on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default)]
    summaries: bool,
    source: Source,
    #[serde(default)]
    allow_http_private: bool,
}

impl From<Choice> for Wire {
    fn from(choice: Choice) -> Wire {
        Wire {
            url: choice.url.as_str().to_owned(),
            model: choice.model,
            context: choice.context,
            instructions: choice.instructions,
            key: choice.key.map(|key| key.expose().to_owned()),
            summaries: choice.summaries,
            source: choice.source,
            allow_http_private: choice.allow_http_private,
        }
    }
}

impl TryFrom<Wire> for Choice {
    type Error = Error;

    fn try_from(wire: Wire) -> Result<Choice, Error> {
        Ok(Choice {
            url: EndpointUrl::parse(&wire.url, wire.allow_http_private)?,
            model: wire.model,
            context: wire.context,
            instructions: wire.instructions,
            key: wire.key.as_deref().and_then(Secret::new),
            summaries: wire.summaries,
            source: wire.source,
            allow_http_private: wire.allow_http_private,
        })
    }
}

/// Where the key of an endpoint comes from. The file has the name or the command, never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An environment variable.
    Variable(String),
    /// A shell command that prints it.
    Command(String),
}

/// What `pieces-lsp model use` chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The endpoint.
    pub url: EndpointUrl,
    /// The model.
    pub model: Option<String>,
    /// Context size in tokens.
    pub context: Option<u32>,
    /// A file with the system message, read at each ask.
    pub instructions: Option<PathBuf>,
    /// Where the key comes from.
    pub key: Option<Key>,
    /// Summaries by the model.
    pub summaries: bool,
    /// http to a private address of another machine is allowed.
    pub allow_http_private: bool,
}

/// The endpoint in force: that of the environment, else that of the file, else none. Runs the command that
/// prints the key, at most once until [`forget_key`].
///
/// # Errors
/// A choice that cannot be used, with what to do about it.
pub async fn choose(data_dir: &Path, allow_remote: bool) -> Result<Option<Choice>, Error> {
    let _ = (data_dir, allow_remote);
    Ok(None)
}

/// The endpoint refused the key: the next [`choose`] runs the key command again.
pub fn forget_key(choice: &Choice) {
    let _ = choice;
}

/// Writes the choice to the data directory, in place of an earlier one.
///
/// # Errors
/// The file cannot be written.
pub fn save(data_dir: &Path, new: &New) -> Result<(), Error> {
    let _ = (data_dir, new);
    Err(Error::model("Not written."))
}

/// Removes the choice from the data directory; whether there was one.
///
/// # Errors
/// The file cannot be removed.
pub fn clear(data_dir: &Path) -> Result<bool, Error> {
    let _ = data_dir;
    Ok(false)
}
