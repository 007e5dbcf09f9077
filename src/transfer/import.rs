//! Imports conversations into the local service.

use std::path::{Path, PathBuf};

use super::Error;
use super::local::Local;
use super::report::{Report, Step};
use super::sink::Sink;
use super::{archives, exported, source};
use crate::pieces::{BaseUrl, Client, Discovery, Kind, NOT_RUNNING, PlainHttp};

const NAME_IT: &str =
    "Pieces OS is not running on this machine; start it, or name the export or archive to import.";

/// The source of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The Pieces OS that runs on this machine.
    PiecesOs,
    /// A Pieces OS, or another service with its API.
    Url(BaseUrl),
    /// An export, an archive or log of another tool, or the directory that holds it.
    File(PathBuf),
}

impl Origin {
    /// Parses what a user typed: nothing, an `http://` URL with or without its scheme, a `file:` URL, or a
    /// path.
    ///
    /// # Errors
    /// One sentence with the reason why the URL is refused.
    pub fn parse(text: Option<&str>, plain_http: PlainHttp) -> Result<Origin, String> {
        let Some(text) = text else {
            return Ok(Origin::PiecesOs);
        };
        if text.trim().is_empty() {
            return Err("`from` is empty; name a URL or a path, or leave it out.".to_owned());
        }
        let starts = |scheme: &str| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        if starts("file:") {
            let path = url::Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok());
            return path.map(Origin::File).ok_or_else(|| {
                format!(
                    "`from` is {text}, which is not a file on this machine; pass its path instead."
                )
            });
        }
        if text.contains("://") {
            let base = BaseUrl::parse(text, plain_http);
            return base
                .map(Origin::Url)
                .map_err(|refusal| refusal.about("`from`"));
        }
        if is_host_and_port(text) && !Path::new(text).exists() {
            let base = BaseUrl::parse(&format!("http://{text}"), plain_http);
            return base
                .map(Origin::Url)
                .map_err(|refusal| refusal.about("`from`"));
        }
        // Outside of a shell nobody else does it.
        let home = text.strip_prefix("~/").filter(|_| !Path::new("~").exists());
        if let (Some(rest), Ok(home)) = (home, etcetera::home_dir()) {
            return Ok(Origin::File(home.join(rest)));
        }
        Ok(Origin::File(PathBuf::from(text)))
    }
}

/// `127.0.0.1:39300`, `localhost:39300/`.
fn is_host_and_port(text: &str) -> bool {
    let text = text.strip_suffix('/').unwrap_or(text);
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', '\\']) && port.parse::<u16>().is_ok()
    })
}

/// Options of an import.
#[derive(Debug, Clone)]
pub struct Import {
    /// The source.
    pub from: Origin,
    /// The local service's data directory; see [`crate::service::default_data_dir`].
    pub data_dir: PathBuf,
    /// Only count what would be new, updated, unchanged and unreadable.
    pub dry_run: bool,
}

/// Imports everything from `import.from` into the local service of `import.data_dir`, which this process
/// serves for the time being if no other does.
///
/// Reads a service with GET requests only, at most two in flight, each with a deadline. A failed request is
/// retried once; unreadable objects are counted and skipped. `step` hears first what the source is, then how far
/// the import is, often, from the task that runs this. Dropping the future stops the import between two objects; what was written stays, and the next
/// import continues.
///
/// # Errors
/// Reading or writing failed as a whole; [`Error::so_far`] has the counts up to then. Single unreadable
/// objects are no error: [`Report::counts`] has them.
pub async fn import(import: &Import, step: impl Fn(Step) + Send + Sync) -> Result<Report, Error> {
    let client = client_of(&import.from).await?;
    let mut local = if import.dry_run {
        Local::attach_unwritten(&import.data_dir).await?
    } else {
        Local::attach(&import.data_dir).await?
    };
    let mut sink = Sink::new(local.client.clone(), import.dry_run);
    sink.report.notice = local.notice.take();
    let outcome = match (&client, &import.from) {
        (Some(client), _) => read_service(client, &local, &mut sink, &step).await,
        (None, Origin::File(path)) => read_file(path, &mut sink, &step).await,
        (None, _) => Ok(()),
    };
    // Objects read before the error count, too.
    let outcome = match outcome {
        Ok(()) => sink.flush().await,
        Err(error) => {
            let _ = sink.flush().await;
            Err(error)
        }
    };
    local.detach().await;
    match outcome {
        Ok(()) => Ok(sink.report),
        Err(error) => Err(with_counts(error, sink.report, &import.from)),
    }
}

/// A client of the source, unless that is a file.
async fn client_of(from: &Origin) -> Result<Option<Client>, Error> {
    match from {
        Origin::PiecesOs => {
            let found = Discovery::standard().find().await.map_err(|error| {
                let message = match &*error.message {
                    NOT_RUNNING => NAME_IT.to_owned(),
                    other => other.to_owned(),
                };
                let error = Error::from(error);
                Error { message, ..error }
            })?;
            Ok(Some(Client::new(found.client_base, None)?))
        }
        Origin::Url(base) => Ok(Some(Client::new(base.clone(), None)?)),
        Origin::File(_) => Ok(None),
    }
}

/// The error of an import, with what was imported before it.
fn with_counts(error: Error, so_far: Report, from: &Origin) -> Error {
    match from {
        Origin::Url(base) if so_far.counts.total() == 0 && error.is_silence() => {
            let message = format!(
                "Pieces OS is not running at {base}, or does not answer; start it, or check the address in `from`."
            );
            Error { message, ..error }
        }
        _ => Error {
            so_far: so_far.counts,
            remarks: so_far.remarks(),
            unreadable: so_far.unreadable,
            ..error
        },
    }
}

async fn read_service(
    client: &Client,
    local: &Local,
    sink: &mut Sink,
    step: &(dyn Fn(Step) + Send + Sync),
) -> Result<(), Error> {
    check(client, local).await?;
    sink.report.source = format!("Pieces OS at {}", client.base());
    step(Step::Found(sink.report.source.clone()));
    let progress = |progress| step(Step::Progress(progress));
    source::read(client, sink, &progress).await
}

async fn read_file(
    path: &Path,
    sink: &mut Sink,
    step: &(dyn Fn(Step) + Send + Sync),
) -> Result<(), Error> {
    match archives::read(path, sink, step).await? {
        true => Ok(()),
        false => exported::read(path, sink, step).await,
    }
}

/// Refuses to import a service into itself, and a service that is not ready.
async fn check(source: &Client, local: &Local) -> Result<(), Error> {
    let itself = || {
        Error::new(format!(
            "{} is the local service itself; name another source with --from.",
            source.base()
        ))
    };
    if source.base().as_str() == local.url {
        return Err(itself());
    }
    match source.health().await {
        Ok(health) if health == "migrating" => Err(Error::new(
            "Pieces OS is still opening its database; try again in a minute.",
        )),
        Ok(health) if local.client.health().await.is_ok_and(|ours| ours == health) => Err(itself()),
        Err(error)
            if error.kind == Kind::SignedOut
                && error
                    .detail
                    .as_deref()
                    .is_some_and(|text| text.contains("service.json")) =>
        {
            Err(Error::new(
                "That is a pieces-lsp service; use `pieces-lsp export` with its --data-dir, and import the file.",
            ))
        }
        // A missing health route does not matter; the next request shows whether the service responds.
        _ => Ok(()),
    }
}
