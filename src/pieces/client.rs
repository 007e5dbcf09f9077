//! The REST client.

mod raw;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, redirect, retry};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::timeout;
use uuid::Uuid;

use super::error::Error;
use super::limits;
use super::list::{ListParser, Unreadable};
use super::loopback::BaseUrl;
use super::outcome::Call;
use super::stream::{IdentifierStream, Watched};
use super::wire::{self, Anchor, Conversation};
use crate::json;

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

/// Which lane a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Interactive,
    Background,
}

/// The contents of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Items that were readable.
    pub total: usize,
    /// The number of items that were not: not an object, or without a usable `id`.
    pub rejected: usize,
}

/// Size and time limits of a response.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    /// Deadline for the status and headers.
    start: Duration,
    /// Longest pause between two chunks of the body.
    idle: Duration,
    /// Deadline for the whole response.
    total: Duration,
    /// Largest body in bytes.
    body: usize,
}

pub(super) const SMALL: Allowance = Allowance {
    start: limits::SMALL_GET,
    idle: limits::SMALL_GET,
    total: limits::SMALL_GET,
    body: limits::SMALL_BODY,
};
const TINY: Allowance = Allowance {
    body: limits::TINY_BODY,
    ..SMALL
};
pub(super) const COLLECTION: Allowance = Allowance {
    start: limits::COLLECTION_START,
    idle: limits::COLLECTION_IDLE,
    total: limits::COLLECTION_TOTAL,
    body: limits::COLLECTION_BODY,
};

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
        self.listed(wire::identifiers(&body, true))?;
        self.decode(self.call(), json::from_slice(&body))
    }

    /// `GET /conversations/identifiers`: the ids of all conversations, each once.
    pub async fn identifier_ids(&self) -> Result<Vec<Uuid>, Error> {
        let body = self.get("/conversations/identifiers", COLLECTION).await?;
        self.listed(wire::identifiers(&body, true))
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
        self.listed(wire::identifiers(&body, true))?;
        self.decode(self.call(), json::from_slice(&body))
    }

    /// `GET /conversations?transferables=…`, parsed while it arrives: every readable conversation goes to
    /// `add`, on a blocking thread, in the order of the list. With transferables, anchors may include their
    /// paths.
    ///
    /// # Errors
    /// After any error, everything added before is dropped with `acc`.
    pub async fn list<T: Send + 'static>(
        &self,
        transferables: bool,
        acc: T,
        add: fn(&mut T, Conversation<'_>),
    ) -> Result<(T, Listed), Error> {
        let _permit = self.permit().await?;
        let deadline = limits::COLLECTION_TOTAL;
        let reading = async {
            let path = with_transferables("/conversations", Some(transferables));
            let mut response = self.send_get(&path, limits::COLLECTION_START).await?;
            let html = response
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
            if html {
                return Err(self.call().protocol("a web page"));
            }
            let announced = response.content_length().unwrap_or(0);
            if announced > limits::STREAMED_BODY {
                return Err(self.call().too_large(limits::STREAMED_BODY));
            }
            let (chunks, mut received) = mpsc::channel::<bytes::Bytes>(limits::CHUNKS_IN_FLIGHT);
            let parsing = tokio::task::spawn_blocking(move || {
                let mut acc = acc;
                let mut parser = ListParser::new(|conversation| add(&mut acc, conversation));
                while let Some(chunk) = received.blocking_recv() {
                    parser.feed(&chunk)?;
                }
                let (total, rejected) = parser.finish()?;
                Ok((acc, Listed { total, rejected }))
            });
            let mut length = 0_u64;
            while let Some(chunk) = self.chunk(&mut response, limits::COLLECTION_IDLE).await? {
                length += chunk.len() as u64;
                if length > limits::STREAMED_BODY {
                    return Err(self.call().too_large(limits::STREAMED_BODY));
                }
                // The parser closes the channel once it has seen enough: its result has the reason.
                if chunks.send(chunk).await.is_err() {
                    break;
                }
            }
            drop(chunks);
            match parsing.await {
                Ok(result) => result.map_err(|Unreadable(why)| self.call().protocol(why)),
                Err(stopped) => match stopped.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Err(self.call().lost()),
                },
            }
        };
        timeout(deadline, reading)
            .await
            .unwrap_or_else(|_| Err(self.call().timeout(deadline)))
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
        self.listed(wire::identifiers(&body, false))
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

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.base)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Error> {
        let permits = match self.1 {
            Lane::Interactive => &self.0.gets,
            Lane::Background => &self.0.background_gets,
        };
        self.turn(permits).await
    }

    /// A permit to send a POST. Held until the response has been read.
    async fn post_permit(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.turn(&self.0.posts).await
    }

    async fn turn<'a>(&self, permits: &'a Semaphore) -> Result<SemaphorePermit<'a>, Error> {
        match timeout(limits::QUEUE, permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.call().queue_timeout()),
        }
    }

    async fn text(&self, path: &str) -> Result<String, Error> {
        let body = self.get(path, TINY).await?;
        String::from_utf8(body)
            .map(|text| text.trim().to_owned())
            .map_err(|_| self.call().protocol("not text"))
    }

    /// The body of a successful GET.
    pub(super) async fn get(&self, path: &str, allowance: Allowance) -> Result<Vec<u8>, Error> {
        let _permit = self.permit().await?;
        let reading = async {
            let response = self.send_get(path, allowance.start).await?;
            self.body(self.call(), response, allowance).await
        };
        let deadline = allowance.total;
        timeout(deadline, reading)
            .await
            .unwrap_or_else(|_| Err(self.call().timeout(deadline)))
    }

    /// Sends a GET and reads its headers; repeated once if the connection was lost by then.
    async fn send_get(&self, path: &str, deadline: Duration) -> Result<Response, Error> {
        let sending = async {
            match self.0.pooled.get(self.url(path)).send().await {
                // The second attempt uses a new connection: all kept ones may be as dead as the first.
                Err(error) if !error.is_connect() && !error.is_builder() => {
                    self.0.fresh.get(self.url(path)).send().await
                }
                outcome => outcome,
            }
        };
        let response = match timeout(deadline, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.call().transport(&error)),
            Err(_) => return Err(self.call().timeout(deadline)),
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.call().refusal(response).await)
        }
    }

    /// The body of a successful POST.
    pub(super) async fn post(
        &self,
        path: &str,
        json: Option<&serde_json::Value>,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        self.post_as(self.posted(), path, json, deadline).await
    }

    /// The same of a POST that changes nothing, such as a search: no outcome of it is unknown.
    pub(super) async fn ask_for(
        &self,
        path: &str,
        json: &serde_json::Value,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        self.post_as(self.call(), path, Some(json), deadline).await
    }

    async fn post_as(
        &self,
        call: Call<'_>,
        path: &str,
        json: Option<&serde_json::Value>,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        let allowance = Allowance {
            start: deadline,
            idle: deadline,
            total: deadline,
            body: limits::SMALL_BODY,
        };
        let _permit = self.post_permit().await?;
        let sending = async {
            let response = self.send_post(call, path, json).await?;
            self.body(call, response, allowance).await
        };
        timeout(deadline, sending)
            .await
            .unwrap_or_else(|_| Err(call.timeout(deadline)))
    }

    /// Sends a POST and reads its headers. Never repeated.
    async fn send_post(
        &self,
        call: Call<'_>,
        path: &str,
        json: Option<&serde_json::Value>,
    ) -> Result<Response, Error> {
        let mut request = self.0.fresh.post(self.url(path));
        if let Some(json) = json {
            request = request.json(json);
        }
        let response = request
            .send()
            .await
            .map_err(|error| call.transport(&error))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(call.refusal(response).await)
        }
    }

    async fn body(
        &self,
        call: Call<'_>,
        mut response: Response,
        allowance: Allowance,
    ) -> Result<Vec<u8>, Error> {
        let limit = allowance.body;
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(call.too_large(limit as u64));
        }
        let mut body = Vec::new();
        loop {
            match timeout(allowance.idle, response.chunk()).await {
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() <= limit => {
                    body.extend_from_slice(&chunk)
                }
                Ok(Ok(Some(_))) => return Err(call.too_large(limit as u64)),
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(call.transport(&error)),
                Err(_) => return Err(call.timeout(allowance.idle)),
            }
        }
    }

    async fn chunk(
        &self,
        response: &mut Response,
        idle: Duration,
    ) -> Result<Option<bytes::Bytes>, Error> {
        match timeout(idle, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.call().transport(&error)),
            Err(_) => Err(self.call().timeout(idle)),
        }
    }

    pub(super) fn decode<T>(
        &self,
        call: Call<'_>,
        read: Result<T, serde_json::Error>,
    ) -> Result<T, Error> {
        read.map_err(|_| call.protocol("not JSON"))
    }

    fn object<T>(
        &self,
        call: Call<'_>,
        read: Result<Option<T>, serde_json::Error>,
    ) -> Result<T, Error> {
        self.decode(call, read)?
            .ok_or_else(|| call.protocol("an object without an id"))
    }

    fn listed<T>(&self, read: Result<Option<T>, serde_json::Error>) -> Result<T, Error> {
        self.decode(self.call(), read)?
            .ok_or_else(|| self.call().protocol("not a list"))
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
