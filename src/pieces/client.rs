//! The REST client.

mod listing;
mod raw;
mod sending;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{redirect, retry};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::error::Error;
use super::limits;
use super::loopback::BaseUrl;
use super::outcome::Call;
use super::stream::{IdentifierStream, Watched};
use super::wire::{self, Anchor, Conversation};
use crate::json;
pub use listing::Listed;
use sending::Lane;
pub(super) use sending::{COLLECTION, SMALL};

/// One Pieces service at one base URL. Cheap to clone; clones share connections and limits.
///
/// Every call has a deadline. GETs run at most two at a time in each of two lanes, so that a user's requests
/// never wait for [background](Self::in_background) requests. A GET is repeated once if a kept connection
/// turns out to be dead. POSTs are sent at most once, each on its own connection; [`Error::outcome_unknown`]
/// tells whether a failed one may have been carried out.
#[derive(Clone)]
pub struct Client(Arc<Inner>, Lane);

struct Inner {
    base: BaseUrl,
    token: Option<HeaderValue>,
    /// The address of all connections, whatever host `base` has.
    socket: Option<PathBuf>,
    /// Keeps connections alive.
    pooled: reqwest::Client,
    /// Opens a connection for every request.
    fresh: reqwest::Client,
    /// Permits of the interactive lane.
    gets: Semaphore,
    background_gets: Semaphore,
    posts: Semaphore,
}

impl Client {
    /// A client for the service at `base`. `token` is sent as a bearer token (local service only).
    ///
    /// # Errors
    /// [`Kind::Protocol`](super::Kind::Protocol) if the token cannot be sent, or no HTTP client can be
    /// created.
    pub fn new(base: BaseUrl, token: Option<String>) -> Result<Client, Error> {
        Self::local(base, token, None)
    }

    /// A client for the local service, over its Unix socket if it has one: only a service of this user can be
    /// at the other end.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn local(
        base: BaseUrl,
        token: Option<String>,
        socket: Option<PathBuf>,
    ) -> Result<Client, Error> {
        let call = Call {
            base: &base,
            local: token.is_some(),
            post: false,
        };
        let token = token.map(|token| bearer(&token)).transpose().map_err(|_| {
            Error::protocol("The token of the local service is damaged; delete the file it is in and reload the editor window.")
        })?;
        let mut headers = HeaderMap::new();
        headers.extend(token.clone().map(|token| (AUTHORIZATION, token)));
        let builder = || {
            let builder = reqwest::Client::builder();
            #[cfg(unix)]
            let builder = match &socket {
                Some(socket) => builder.unix_socket(socket.as_path()),
                None => builder,
            };
            builder
                .default_headers(headers.clone())
                .no_proxy()
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .http1_only()
                .connect_timeout(limits::CONNECT)
        };
        // No idle timeout: it would wake up the process; a connection that the server closed is detected on use.
        let pooled = builder()
            .pool_max_idle_per_host(2 * limits::GETS_IN_FLIGHT)
            .pool_idle_timeout(None)
            .build();
        // Never a kept connection: the server may close it just as the request is sent.
        let fresh = builder().pool_max_idle_per_host(0).build();
        let pooled = pooled.map_err(|error| call.transport(&error))?;
        let fresh = fresh.map_err(|error| call.transport(&error))?;
        let inner = Inner {
            base,
            token,
            socket,
            pooled,
            fresh,
            gets: Semaphore::new(limits::GETS_IN_FLIGHT),
            background_gets: Semaphore::new(limits::GETS_IN_FLIGHT),
            posts: Semaphore::new(limits::POSTS_IN_FLIGHT),
        };
        Ok(Client(Arc::new(inner), Lane::Interactive))
    }

    /// The same client for background work: its GETs have separate permits.
    #[must_use]
    pub fn in_background(&self) -> Client {
        Client(Arc::clone(&self.0), Lane::Background)
    }

    /// The base URL.
    pub fn base(&self) -> &BaseUrl {
        &self.0.base
    }

    /// Whether this is our own local service.
    pub fn is_local(&self) -> bool {
        self.0.token.is_some()
    }

    /// Whether only this user can be at the other end: it is a Unix socket of ours.
    pub fn is_private(&self) -> bool {
        self.0.socket.is_some()
    }

    /// `GET /.well-known/health`: the response text, trimmed; at most 1 KiB.
    pub async fn health(&self) -> Result<String, Error> {
        self.text("/.well-known/health").await
    }

    /// `GET /.well-known/version`: something like `12.5.0`, `12.6.29-staging` or `debug`.
    ///
    /// # Errors
    /// [`Kind::Protocol`](super::Kind::Protocol) for any other text, such as the HTML page of another
    /// program.
    pub async fn version(&self) -> Result<String, Error> {
        let version = self.text("/.well-known/version").await?;
        if is_version(&version) {
            Ok(version)
        } else {
            Err(self.call().protocol("not a version"))
        }
    }

    /// `POST /connect`: the `application` object that the service knows us by.
    pub async fn connect(&self) -> Result<serde_json::Value, Error> {
        let platform = match std::env::consts::OS {
            "macos" => "MACOS",
            "windows" => "WINDOWS",
            _ => "LINUX",
        };
        // Unknown names become UNKNOWN; the API has none for a language server.
        let application = serde_json::json!({
            "application": {"name": "OPEN_SOURCE", "version": env!("CARGO_PKG_VERSION"), "platform": platform}
        });
        let body = self
            .post("/connect", Some(&application), limits::POST)
            .await?;
        let mut context: serde_json::Value = self.decode(self.posted(), json::from_slice(&body))?;
        match context.get_mut("application").map(serde_json::Value::take) {
            Some(application @ serde_json::Value::Object(_)) => Ok(application),
            _ => Err(self.posted().protocol("no application")),
        }
    }

    /// `GET /conversations/identifiers` unparsed, an object with an `iterable`.
    pub async fn identifiers(&self) -> Result<Box<RawValue>, Error> {
        let body = self.get("/conversations/identifiers", COLLECTION).await?;
        self.listed(wire::identifiers(&body))?;
        self.decode(self.call(), json::from_slice(&body))
    }

    /// `GET /conversations/identifiers`: the ids of all conversations, each once.
    pub async fn identifier_ids(&self) -> Result<Vec<Uuid>, Error> {
        let body = self.get("/conversations/identifiers", COLLECTION).await?;
        self.listed(wire::identifiers(&body))
    }

    /// `GET /conversations` unparsed, an object with an `iterable`. `None` leaves `transferables` to the
    /// service.
    pub async fn snapshot(&self, transferables: Option<bool>) -> Result<Box<RawValue>, Error> {
        let body = self
            .get(
                &with_transferables("/conversations", transferables),
                COLLECTION,
            )
            .await?;
        self.listed(wire::identifiers(&body))?;
        self.decode(self.call(), json::from_slice(&body))
    }

    /// `GET /conversation/{id}?transferables=false`.
    pub async fn conversation(&self, id: Uuid) -> Result<Conversation<'static>, Error> {
        let body = self
            .get(&format!("/conversation/{id}?transferables=false"), SMALL)
            .await?;
        self.object(self.call(), wire::conversation(&body))
    }

    /// `GET /conversation/{id}`, the whole object.
    pub async fn conversation_raw(
        &self,
        id: Uuid,
        transferables: bool,
    ) -> Result<serde_json::Value, Error> {
        let path = with_transferables(&format!("/conversation/{id}"), Some(transferables));
        let body = self.get(&path, SMALL).await?;
        self.object(self.call(), wire::object_id(&body))?;
        self.decode(self.call(), json::from_slice(&body))
    }

    /// `POST /conversations/create` with a `SeededConversation`: the new conversation, unparsed and parsed.
    pub async fn create(
        &self,
        seed: &serde_json::Value,
        transferables: Option<bool>,
    ) -> Result<(serde_json::Value, Conversation<'static>), Error> {
        let path = with_transferables("/conversations/create", transferables);
        let body = self.post(&path, Some(seed), limits::POST).await?;
        let conversation = self.object(self.posted(), wire::conversation(&body))?;
        Ok((
            self.decode(self.posted(), json::from_slice(&body))?,
            conversation,
        ))
    }

    /// `POST /conversations/create/from_asset/{asset}`: the id of the new conversation.
    pub async fn create_from_asset(&self, asset: Uuid) -> Result<Uuid, Error> {
        let path = format!("/conversations/create/from_asset/{asset}");
        let body = self.post(&path, None, limits::FROM_ASSET).await?;
        self.object(self.posted(), wire::created_from_asset(&body))
    }

    /// `POST /conversations/{id}/delete`. Any success status counts.
    pub async fn delete(&self, id: Uuid) -> Result<(), Error> {
        let deadline = limits::POST;
        let path = format!("/conversations/{id}/delete");
        let _permit = self.post_permit().await?;
        let sending = self.send_post(self.posted(), &path, None);
        timeout(deadline, sending)
            .await
            .unwrap_or_else(|_| Err(self.posted().timeout(deadline)))
            .map(drop)
    }

    /// `POST /conversation/update?transferables=false`: writes the whole conversation.
    pub async fn update(
        &self,
        conversation: &serde_json::Value,
    ) -> Result<Conversation<'static>, Error> {
        let body = self
            .post(
                "/conversation/update?transferables=false",
                Some(conversation),
                limits::POST,
            )
            .await?;
        self.object(self.posted(), wire::conversation(&body))
    }

    /// `POST /assets/create?transferables=false` with a `Seed`: the id of the new asset.
    pub async fn create_asset(&self, seed: &serde_json::Value) -> Result<Uuid, Error> {
        let body = self
            .post(
                "/assets/create?transferables=false",
                Some(seed),
                limits::POST,
            )
            .await?;
        self.object(self.posted(), wire::object_id(&body))
    }

    /// `GET /assets/identifiers`: the ids of all assets, each once.
    pub async fn asset_identifiers(&self) -> Result<Vec<Uuid>, Error> {
        let body = self.get("/assets/identifiers", COLLECTION).await?;
        self.listed(wire::flattened_identifiers(&body))
    }

    /// `GET /anchors?transferables=true`: every readable anchor, with its paths.
    pub async fn anchors(&self) -> Result<Vec<Anchor>, Error> {
        let body = self.get("/anchors?transferables=true", COLLECTION).await?;
        self.listed(wire::anchors(&body))
    }

    /// WebSocket `/conversations/stream/identifiers`.
    pub async fn watch(&self) -> Result<IdentifierStream, Error> {
        self.watch_kind(Watched::Conversations).await
    }

    /// The identifier stream of a kind of objects. Every server has only that of conversations.
    pub async fn watch_kind(&self, watched: Watched) -> Result<IdentifierStream, Error> {
        let (base, socket, token) = self.address();
        IdentifierStream::open(base, socket, token, watched).await
    }

    /// Where a WebSocket connects, and with which token.
    pub(super) fn address(&self) -> (&BaseUrl, Option<&Path>, Option<HeaderValue>) {
        let Inner {
            base,
            token,
            socket,
            ..
        } = &*self.0;
        (base, socket.as_deref(), token.clone())
    }

    pub(super) fn call(&self) -> Call<'_> {
        Call {
            base: &self.0.base,
            local: self.0.token.is_some(),
            post: false,
        }
    }

    pub(super) fn posted(&self) -> Call<'_> {
        Call {
            post: true,
            ..self.call()
        }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn with_transferables(path: &str, transferables: Option<bool>) -> String {
    match transferables {
        Some(transferables) => format!("{path}?transferables={transferables}"),
        None => path.to_owned(),
    }
}

/// `major.minor.patch` with an optional suffix, or `debug`.
fn is_version(text: &str) -> bool {
    let (numbers, suffix) = text.split_at(
        text.find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let numbers: Vec<_> = numbers.split('.').collect();
    text.len() <= 64
        && (text == "debug"
            || numbers.len() >= 3
                && numbers.iter().all(|number| !number.is_empty())
                && (suffix.is_empty() || suffix.starts_with(['-', '+']))
                && suffix
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for version in [
            "12.5.0",
            "12.6.29-staging",
            "1.2.3.4",
            "debug",
            "12.0.0-rc.1+build.5",
        ] {
            assert!(is_version(version), "{version}");
        }
        let long = "1.".repeat(40) + "1";
        for other in [
            "", "12", "12.5", "12.5.", ".12.5.0", "12..0", "12.5.0 ", "v12.5.0", "<html>",
            "12.5.0<", "Debug", &long,
        ] {
            assert!(!is_version(other), "{other}");
        }
    }
}
