//! Turns failures on the wire into an [`Error`] with its sentence.

use std::time::Duration;

use reqwest::StatusCode;

use super::error::{Error, Kind};
use super::limits;
use super::loopback::BaseUrl;

/// The service and the request: everything that a message needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The base URL.
    pub(super) base: &'a BaseUrl,
    /// Our own local service (it has a token), not Pieces OS.
    pub(super) local: bool,
    /// A request that must not be repeated: if its response is lost, its outcome is unknown.
    pub(super) post: bool,
}

impl Call<'_> {
    fn peer(&self) -> &'static str {
        if self.local {
            "the local service"
        } else {
            "Pieces OS"
        }
    }

    /// The request was sent, and its outcome is unknown.
    fn sent(&self, kind: Kind, message: String) -> Error {
        if !self.post {
            return Error::new(kind, message);
        }
        let message = format!(
            "{message}; the request may have been carried out all the same, so look before you repeat it"
        );
        Error::new(kind, message).with_unknown_outcome()
    }

    /// The connection was refused.
    pub(super) fn offline(&self) -> Error {
        let base = self.base;
        Error::new(
            Kind::Offline,
            if self.local {
                format!(
                    "The local service is not running at {base}; reload the editor window to start it again."
                )
            } else {
                format!(
                    "Pieces OS is not running at {base}; start it, or set `pieces.backend` to `local`."
                )
            },
        )
    }

    /// The connection ended before the response did.
    pub(super) fn lost(&self) -> Error {
        let message = format!(
            "The connection to {} at {} was lost; check that it still runs",
            self.peer(),
            self.base
        );
        self.sent(Kind::Offline, message).finished()
    }

    /// The peer of a stream no longer answers pings.
    pub(super) fn silent(&self, silence: Duration) -> Error {
        let (peer, base) = (capitalised(self.peer()), self.base);
        let message = format!(
            "{peer} at {base} has been silent for {} s; check that it still runs.",
            silence.as_secs()
        );
        Error::new(Kind::Offline, message)
    }

    /// No response before the deadline.
    pub(super) fn timeout(&self, deadline: Duration) -> Error {
        let message = format!(
            "{} at {} did not answer within {} s; try again, or restart it if that goes on",
            capitalised(self.peer()),
            self.base,
            deadline.as_secs_f32(),
        );
        self.sent(Kind::Timeout, message).finished()
    }

    /// Our own requests are queued; nothing was sent.
    pub(super) fn queue_timeout(&self) -> Error {
        Error::new(
            Kind::Timeout,
            format!(
                "{} is still busy with earlier requests; try again.",
                capitalised(self.peer())
            ),
        )
    }

    /// The response does not match the API; `why` never has any of its text.
    pub(super) fn protocol(&self, why: &str) -> Error {
        let message = format!(
            "The answer from {} is not what the Pieces API says ({why}); check `pieces.url`, or update Pieces OS",
            self.base
        );
        self.sent(Kind::Protocol, message).finished()
    }

    /// The response exceeds its size limit.
    pub(super) fn too_large(&self, limit: u64) -> Error {
        self.protocol(&format!("more than {} MiB", limit.div_ceil(1 << 20)))
    }

    /// A transport failure of an HTTP request or of its response.
    pub(super) fn transport(&self, error: &reqwest::Error) -> Error {
        if error.is_connect() {
            return self.offline();
        }
        if error.is_builder() {
            return Error::new(
                Kind::Protocol,
                format!(
                    "{} is not an address that can be called; check `pieces.url`.",
                    self.base
                ),
            );
        }
        match find_source::<hyper::Error>(error) {
            Some(error) if error.is_parse() => self.protocol("not HTTP"),
            // The body ended before its announced length: the server cut it short.
            _ if error.is_body() || error.is_decode() => match find_source::<std::io::Error>(error)
            {
                Some(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.protocol("cut short")
                }
                _ => self.lost(),
            },
            _ => self.lost(),
        }
    }

    /// An error status.
    ///
    /// 5xx leaves the outcome of a POST unknown: the server failed at a point we cannot see. Exceptions are
    /// 501, 503 and 593, which mean that it did not start. Our own service answers 504 if the outcome is
    /// unknown; with any other status it has changed nothing, and its sentence gives the reason.
    pub(super) fn status(&self, status: StatusCode, text: &[u8]) -> Error {
        let detail = detail(text);
        let code = status.as_u16();
        let peer = capitalised(self.peer());
        let error = match code {
            401 if self.local => Error::new(
                Kind::SignedOut,
                "The local service does not accept our token; reload the editor window to read the current one.",
            ),
            401 => Error::new(
                Kind::SignedOut,
                "No user is signed in to Pieces OS; sign in there and try again.",
            ),
            593 => Error::new(
                Kind::UpdateRequired,
                "Pieces OS wants to be updated first; update it and try again.",
            ),
            404 | 410 => Error::new(
                Kind::NotFound,
                format!("{peer} does not have what was asked for (any more); refresh the list."),
            ),
            300..=399 => Error::new(
                Kind::Refused,
                format!(
                    "{} answered with a redirect (HTTP {code}), which is never followed; check `pieces.url`.",
                    self.base
                ),
            ),
            503 => Error::new(
                Kind::Busy,
                match self.local.then(|| sentence(text)).flatten() {
                    Some(sentence) => sentence,
                    None => format!("{peer} is busy; nothing was changed, so try again."),
                },
            ),
            504 if self.local => self
                .sent(Kind::Refused, format!("{peer} could not finish in time"))
                .finished(),
            500..=599 if self.local => Error::new(
                Kind::Refused,
                sentence(text).unwrap_or_else(|| {
                    format!("{peer} failed (HTTP {code}); nothing was changed.")
                }),
            ),
            500..=599 if code != 501 => self
                .sent(
                    Kind::Refused,
                    format!("{peer} failed (HTTP {code}); try again later, or restart it"),
                )
                .finished(),
            _ => Error::new(
                Kind::Refused,
                format!("{peer} refused the request (HTTP {code}); its answer says why."),
            ),
        };
        error.with_status(code, detail)
    }

    /// [`status`](Self::status) of a response whose text has not been read yet.
    pub(super) async fn refusal(&self, mut response: reqwest::Response) -> Error {
        let mut text = Vec::new();
        let read = async {
            while text.len() <= limits::REFUSAL_BODY
                && let Ok(Some(chunk)) = response.chunk().await
            {
                text.extend_from_slice(&chunk[..chunk.len().min(limits::REFUSAL_BODY + 1)]);
            }
        };
        // The part that has arrived is enough.
        let _ = tokio::time::timeout(limits::REFUSAL_TEXT, read).await;
        self.status(response.status(), &text)
    }
}

impl Error {
    fn finished(mut self) -> Error {
        self.message.push('.');
        self
    }
}

/// The start of `text`, cut at a character boundary.
fn detail(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&text[..text.len().min(limits::REFUSAL_BODY + 1)]);
    let text = text.trim();
    let end =
        (0..=text.len().min(limits::REFUSAL_BODY)).rfind(|&end| text.is_char_boundary(end))?;
    (end > 0).then(|| text[..end].to_owned())
}

/// The first line of an error of our own service: a sentence without content.
fn sentence(text: &[u8]) -> Option<String> {
    let line = str::from_utf8(text).ok()?.lines().next()?.trim();
    let fits = (1..=300).contains(&line.len()) && !line.contains(char::is_control);
    fits.then(|| line.to_owned())
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_ascii_uppercase() + rest
}

fn find_source<'e, T: std::error::Error + 'static>(
    error: &'e (dyn std::error::Error + 'static),
) -> Option<&'e T> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}
