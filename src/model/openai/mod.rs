//! A server that speaks the OpenAI chat API.

mod chunk;
mod models;
mod read;
mod refusal;
mod request;
mod think;

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use super::http;
use super::url::EndpointUrl;
use super::{Answer, Choice, Endpoint, Error, Model, Request, Secret, choice};
use crate::model::limits;
use crate::pieces::PlainHttp;

pub(super) use models::list;

/// An endpoint that speaks the OpenAI chat API.
pub(super) struct OpenAi {
    url: EndpointUrl,
    key: Option<Secret>,
    /// The base URL of `chat/completions`, once it is known: users may leave out `/v1`.
    base: OnceCell<Url>,
}

/// What a question needs of the endpoint.
struct Asking {
    /// `…/chat/completions`.
    url: Url,
    endpoint: EndpointUrl,
    key: Option<Secret>,
    request: Request,
}

impl OpenAi {
    pub(super) fn new(choice: &Choice) -> Result<OpenAi, Error> {
        if choice.url.is_https() && !cfg!(feature = "tls") {
            return Err(Error::model(format!(
                "This build of pieces-lsp has no TLS, so {} cannot be asked; install one with the feature `tls`, or choose a model on this machine.",
                choice.url
            )));
        }
        Ok(OpenAi {
            url: choice.url.clone(),
            key: choice.key.clone(),
            base: OnceCell::new(),
        })
    }

    /// The list of the first base URL that has one.
    async fn list(&self) -> Result<Vec<Model>, Error> {
        let mut first: Option<Error> = None;
        for base in bases(self.url.url()) {
            let until = Instant::now() + limits::LIST;
            match list(&base, self.key.as_ref(), until).await {
                Ok(mut listed) => {
                    models::ask_ollama(&base, &mut listed).await;
                    let _ = self.base.set(base);
                    return Ok(listed);
                }
                Err(error) => {
                    // Only for these another path may help.
                    let elsewhere = matches!(error.status, Some(200 | 404 | 405 | 501));
                    if error.status == Some(401) {
                        choice::forget(&self.url);
                    }
                    let error = first.get_or_insert(error);
                    if !elsewhere {
                        return Err(error.clone());
                    }
                }
            }
        }
        Err(first.unwrap_or_else(Error::none_chosen))
    }

    /// Where questions go.
    async fn chat(&self) -> Result<Url, Error> {
        let candidates = bases(self.url.url());
        if self.base.get().is_none() && candidates.len() > 1 {
            // If the list fails, the question would fail too, unless only the list is missing.
            match self.list().await {
                Err(error) if error.status.is_none() => return Err(error),
                _ => {}
            }
        }
        let base = self.base.get().or(candidates.first()).cloned();
        Ok(below(
            &base.unwrap_or_else(|| self.url.url().clone()),
            "chat/completions",
        ))
    }
}

impl Endpoint for OpenAi {
    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(self.list())
    }

    fn base(&self) -> Option<EndpointUrl> {
        EndpointUrl::parse(self.base.get()?.as_str(), PlainHttp::Remote).ok()
    }

    fn ask(&self, request: Request) -> BoxFuture<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let asking = Asking {
                url: self.chat().await?,
                endpoint: self.url.clone(),
                key: self.key.clone(),
                request,
            };
            Ok(Answer::written_by(async move |sender| {
                let end = write(&asking, &sender).await;
                // The reader may be gone.
                let _ = sender.send(end.map(super::Piece::End)).await;
            }))
        })
    }
}

/// Asks and reads the answer to its end.
async fn write(asking: &Asking, sender: &super::Sender) -> Result<super::End, Error> {
    let first_word = Instant::now() + limits::FIRST_WORD;
    let reply = request::send(asking, first_word).await?;
    read::read(asking, reply, first_word, sender).await
}

/// The base URLs that `url` may mean, the likeliest first: `/v1` may be missing.
fn bases(url: &Url) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_version = last
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let versioned = below(url, "v1");
    match (path.is_empty(), is_version) {
        (true, _) => vec![versioned, url.clone()],
        (false, true) => vec![url.clone()],
        (false, false) => vec![url.clone(), versioned],
    }
}

/// `url` with this at the end of its path.
fn below(url: &Url, path: &str) -> Url {
    let mut below = url.clone();
    below.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    below
}

/// A failure on the way as an error.
fn failed(failure: &http::Failure, url: &Url) -> Error {
    Error::model(failure.sentence(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_version_is_tried() {
        let check = |url: &str, expected: &[&str]| {
            let bases: Vec<String> = bases(&Url::parse(url).unwrap())
                .iter()
                .map(|base| below(base, "models").to_string())
                .collect();
            assert_eq!(bases, expected, "{url}");
        };
        check(
            "http://127.0.0.1:1",
            &["http://127.0.0.1:1/v1/models", "http://127.0.0.1:1/models"],
        );
        check("http://127.0.0.1:1/v1/", &["http://127.0.0.1:1/v1/models"]);
        check(
            "https://x.org/v1beta?a=b",
            &["https://x.org/v1beta/models?a=b"],
        );
        check(
            "https://x.org/openai",
            &[
                "https://x.org/openai/models",
                "https://x.org/openai/v1/models",
            ],
        );
        check("https://x.org/api/v1", &["https://x.org/api/v1/models"]);
    }
}
