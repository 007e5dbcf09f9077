//! The endpoint that the user chose: in the environment, else in a file in the data directory.

mod file;
mod key;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use tokio::time::timeout;

use super::{EndpointUrl, Error, Secret, limits};
use crate::pieces::PlainHttp;

pub use file::{clear, save};

/// The endpoint of a question, as the asking side decided it.
///
/// Serialized it is the `endpoint` member of a question, **with the key**: only for the socket that this user
/// alone can open. `Debug` never shows the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Wire", into = "Wire")]
pub struct Choice {
    /// Its base URL.
    pub url: EndpointUrl,
    /// The model, if the user named one.
    pub model: Option<String>,
    /// Context size in tokens, if the user gave one.
    pub context: Option<u32>,
    /// The system message.
    pub instructions: Option<String>,
    /// The key of that URL.
    pub key: Option<Secret>,
    /// Conversations that start from an asset begin with a summary by the model.
    pub summaries: bool,
    /// Where the choice was made.
    pub source: Source,
    /// Where http may go.
    pub plain_http: PlainHttp,
}

/// Where a choice was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `PIECES_LSP_MODEL_URL`, `PIECES_LSP_MODEL` and `PIECES_LSP_MODEL_KEY`.
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
            allow_http_private: choice.plain_http.is_remote(),
        }
    }
}

impl TryFrom<Wire> for Choice {
    type Error = Error;

    fn try_from(wire: Wire) -> Result<Choice, Error> {
        let plain_http = PlainHttp::from_allow_remote(wire.allow_http_private);
        Ok(Choice {
            url: EndpointUrl::parse(&wire.url, plain_http)?,
            model: wire.model,
            context: wire.context,
            instructions: wire.instructions,
            key: wire.key.as_deref().and_then(Secret::new),
            summaries: wire.summaries,
            source: wire.source,
            plain_http,
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
    /// A file with the system message, read for each question.
    pub instructions: Option<PathBuf>,
    /// Where the key comes from.
    pub key: Option<Key>,
    /// Summaries by the model.
    pub summaries: bool,
    /// Where http may go.
    pub plain_http: PlainHttp,
}

impl New {
    /// An endpoint with the URL only, and defaults for the rest.
    pub fn plain(url: EndpointUrl) -> New {
        New {
            url,
            model: None,
            context: None,
            instructions: None,
            key: None,
            summaries: false,
            plain_http: PlainHttp::Loopback,
        }
    }
}

/// The chosen endpoint: that of the environment, else that of the file, else none. Runs the command that prints the
/// key, at most once until [`forget_key`].
///
/// # Errors
/// A choice that cannot be used, with what to do about it.
pub async fn choose(data_dir: &Path, plain_http: PlainHttp) -> Result<Option<Choice>, Error> {
    let dir = data_dir.to_owned();
    let decided = in_time(move || {
        let variable = |name: &str| std::env::var(name).ok();
        decide(&variable, file::read(&dir)?, plain_http)
    });
    with_key(decided.await?).await
}

/// A choice that is not saved yet, as [`choose`] would find it.
///
/// # Errors
/// As [`choose`].
pub async fn resolve(new: New, plain_http: PlainHttp) -> Result<Choice, Error> {
    let decided = in_time(move || {
        let variable = |name: &str| {
            let own = [URL, MODEL, KEY].contains(&name);
            if own { None } else { std::env::var(name).ok() }
        };
        decide(&variable, Some(new), plain_http)
    });
    let choice = with_key(decided.await?).await?;
    choice.ok_or_else(Error::none_chosen)
}

/// Runs a decision, which reads files, within a deadline.
async fn in_time(
    decide: impl FnOnce() -> Result<Decided, Error> + Send + 'static,
) -> Result<Decided, Error> {
    match timeout(limits::READ_CHOICE, tokio::task::spawn_blocking(decide)).await {
        Ok(decided) => decided.unwrap_or_else(|_| {
            let what = "The choice of a model cannot be read; report this.";
            Err(Error::model(what))
        }),
        Err(_) => Err(Error::model(
            "The choice of a model, or the file with its instructions, could not be read in time; check the disks and network mounts that they are on.",
        )),
    }
}

/// The choice with its key, for which its command is run.
async fn with_key(decided: Decided) -> Result<Option<Choice>, Error> {
    let Some((mut choice, command)) = decided else {
        return Ok(None);
    };
    if let Some(command) = command {
        choice.key = Some(key::of(&choice.url, &command).await?);
    }
    Ok(Some(choice))
}

/// The environment variables of the URL, the model and the key.
const URL: &str = "PIECES_LSP_MODEL_URL";
const MODEL: &str = "PIECES_LSP_MODEL";
const KEY: &str = "PIECES_LSP_MODEL_KEY";

/// The choice, and the command that prints its key.
type Decided = Option<(Choice, Option<String>)>;

/// Decides between the environment and the file.
fn decide(
    variable: &dyn Fn(&str) -> Option<String>,
    file: Option<New>,
    plain_http: PlainHttp,
) -> Result<Decided, Error> {
    let named = |name: &str| {
        let value = variable(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let url = named(URL).map(|url| EndpointUrl::parse(&url, plain_http));
    let model = named(MODEL);
    let Some(url) = url.transpose()? else {
        let Some(new) = file else {
            return Ok(None);
        };
        let (mut choice, command) = of_file(new, &named)?;
        choice.model = model.or(choice.model);
        return Ok(Some((choice, command)));
    };
    // The same endpoint: its options in the file still apply.
    let same = file.filter(|new| new.url == url);
    let own_key = named(KEY).as_deref().and_then(Secret::new);
    let (mut choice, command) = match (same, &own_key) {
        (Some(new), None) => of_file(new, &named)?,
        (Some(new), Some(_)) => of_file(New { key: None, ..new }, &named)?,
        (None, _) => (Choice::plain(url, plain_http), None),
    };
    choice.source = Source::Environment;
    choice.model = model.or(choice.model);
    choice.key = own_key.or(choice.key);
    Ok(Some((choice, command)))
}

fn of_file(
    new: New,
    named: &dyn Fn(&str) -> Option<String>,
) -> Result<(Choice, Option<String>), Error> {
    let (key, command) = match new.key {
        None => (None, None),
        Some(Key::Command(command)) => (None, Some(command)),
        Some(Key::Variable(variable)) => {
            let key = named(&variable).as_deref().and_then(Secret::new);
            let missing = || {
                Error::model(format!(
                    "The key of {} is expected in the environment variable {variable}, which is not set here; set it where pieces-lsp is started, or use `--key-command`.",
                    new.url
                ))
            };
            (Some(key.ok_or_else(missing)?), None)
        }
    };
    let instructions = new.instructions.as_deref().map(file::instructions);
    let choice = Choice {
        model: new.model,
        context: new.context,
        instructions: instructions.transpose()?,
        key,
        summaries: new.summaries,
        source: Source::File,
        ..Choice::plain(new.url, new.plain_http)
    };
    Ok((choice, command))
}

impl Choice {
    /// A choice with the URL only, and defaults for the rest.
    pub(super) fn plain(url: EndpointUrl, plain_http: PlainHttp) -> Choice {
        Choice {
            url,
            model: None,
            context: None,
            instructions: None,
            key: None,
            summaries: false,
            source: Source::Environment,
            plain_http,
        }
    }
}

/// The endpoint refused the key: the next [`choose`] runs the key command again.
pub fn forget_key(choice: &Choice) {
    forget(&choice.url);
}

/// The same by URL.
pub(super) fn forget(url: &EndpointUrl) {
    key::forget(url);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(url: &str, key: Option<Key>) -> New {
        New {
            model: Some("file-model".to_owned()),
            context: Some(2048),
            key,
            summaries: true,
            ..New::plain(EndpointUrl::parse(url, PlainHttp::Loopback).unwrap())
        }
    }

    fn decided(variables: &[(&str, &str)], file: Option<New>) -> Result<Decided, Error> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        decide(&variable, file, PlainHttp::Loopback)
    }

    fn key(choice: &Choice) -> Option<&str> {
        choice.key.as_ref().map(Secret::expose)
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        const HERE: &str = "http://127.0.0.1:1/v1";
        const THERE: &str = "https://example.com/v1";
        let variable = || Some(Key::Variable("MY_KEY".to_owned()));
        let mine = ("MY_KEY", "mine");
        assert_eq!(decided(&[], None), Ok(None));
        assert_eq!(
            decided(&[(URL, " "), (MODEL, "m"), (KEY, "k")], None),
            Ok(None)
        );

        let (choice, command) = decided(&[mine], Some(new(HERE, variable())))
            .unwrap()
            .unwrap();
        assert_eq!(
            (choice.source, key(&choice), command),
            (Source::File, Some("mine"), None)
        );
        assert_eq!(
            (choice.model.as_deref(), choice.context, choice.summaries),
            (Some("file-model"), Some(2048), true)
        );

        // The key of the environment belongs to the URL of the environment.
        let (choice, _) = decided(&[(MODEL, "m"), (KEY, "k")], Some(new(HERE, None)))
            .unwrap()
            .unwrap();
        assert_eq!(
            (choice.model.as_deref(), key(&choice), choice.source),
            (Some("m"), None, Source::File)
        );

        let (choice, command) = decided(&[(URL, THERE), mine], Some(new(HERE, variable())))
            .unwrap()
            .unwrap();
        assert_eq!(
            (choice.url.as_str(), key(&choice), command),
            (THERE, None, None)
        );
        assert_eq!(
            (
                choice.model,
                choice.context,
                choice.summaries,
                choice.source
            ),
            (None, None, false, Source::Environment)
        );

        let (choice, _) = decided(&[(URL, HERE), mine], Some(new(HERE, variable())))
            .unwrap()
            .unwrap();
        assert_eq!(
            (key(&choice), choice.context, choice.source),
            (Some("mine"), Some(2048), Source::Environment)
        );
        let variables = [(URL, HERE), (KEY, " k\n"), (MODEL, "m")];
        let file = new(HERE, Some(Key::Command("false".to_owned())));
        let (choice, command) = decided(&variables, Some(file)).unwrap().unwrap();
        assert_eq!(
            (key(&choice), choice.model.as_deref(), command),
            (Some("k"), Some("m"), None)
        );
    }

    #[test]
    fn a_missing_variable_is_named() {
        let file = new(
            "https://example.com/v1",
            Some(Key::Variable("MY_KEY".to_owned())),
        );
        let error = decided(&[], Some(file)).unwrap_err();
        assert!(error.message.contains("MY_KEY"), "{error}");
    }

    #[test]
    fn a_serialised_choice_is_complete_and_checked_when_read() {
        let (mut choice, _) = decided(
            &[("K", "secret-0")],
            Some(new(
                "https://example.com/v1?x=y",
                Some(Key::Variable("K".to_owned())),
            )),
        )
        .unwrap()
        .unwrap();
        choice.instructions = Some("Be brief.".to_owned());
        let sent = serde_json::to_value(&choice).unwrap();
        assert_eq!(
            serde_json::from_value::<Choice>(sent.clone()).unwrap(),
            choice
        );
        assert!(!format!("{choice:?}").contains("secret"), "{choice:?}");
        for url in ["http://example.com/v1", "file:///etc/passwd"] {
            let mut hostile = sent.clone();
            hostile["url"] = url.into();
            assert!(serde_json::from_value::<Choice>(hostile).is_err(), "{url}");
        }
    }
}
