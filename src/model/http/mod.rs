//! One HTTP/1.1 request on a connection of its own.
//!
//! A question takes minutes and is asked once, so connections are not reused. Dropping a [`Reply`] closes its
//! connection at once, which stops the model.

mod connect;
#[cfg(feature = "tls")]
mod tls;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Method, StatusCode};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::Url;

use super::Secret;
use super::url::{address, shown};

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent: no connection, for this reason.
    NotConnected(String),
    /// Nothing was sent: the listener belongs to this other user of the machine.
    Foreign(u32),
    /// Nothing was sent: the request or the key cannot be put into HTTP.
    Unsendable(&'static str),
    /// The connection was closed, or the response was not HTTP.
    Broken,
    /// The deadline passed.
    Late,
    /// The body is larger than this limit, in bytes.
    TooLarge(usize),
}

/// The head of a response, and its body as it arrives. Dropping it closes the connection.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The media type, in lower case and without parameters.
    pub(super) kind: String,
    body: Incoming,
    _connection: Connection,
}

/// The task that drives the connection.
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reply {
    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self, until: Instant) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout_at(until, self.body.frame()).await;
            match frame.map_err(|_| Failure::Late)? {
                None => return Ok(None),
                Some(Err(_)) => return Err(Failure::Broken),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The first `limit` bytes of the body, or as many as arrive in time.
    pub(super) async fn start_of_body(mut self, limit: usize, until: Instant) -> Vec<u8> {
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = self.chunk(until).await {
            let room = limit - body.len();
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if body.len() == limit {
                break;
            }
        }
        body
    }

    /// The whole body, of at most `limit` bytes.
    pub(super) async fn whole_body(
        mut self,
        limit: usize,
        until: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(bytes) = self.chunk(until).await? {
            if body.len() + bytes.len() > limit {
                return Err(Failure::TooLarge(limit));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }
}

/// Sends one request and waits for the head of the response. With `json` it is a POST.
pub(super) async fn send(
    url: &Url,
    key: Option<&Secret>,
    json: Option<Vec<u8>>,
    until: Instant,
) -> Result<Reply, Failure> {
    let request = request(url, key, json)?;
    let sending = async {
        let io = connect::connect(url).await?;
        let (mut sender, connection) = http1::handshake(io).await.map_err(|_| Failure::Broken)?;
        let driving = tokio::spawn(async move {
            let _ = connection.await;
        });
        let connection = Connection(driving.abort_handle());
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(|_| Failure::Broken)?.into_parts();
        let kind = head.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        Ok(Reply {
            status: head.status,
            kind: kind.trim().to_ascii_lowercase(),
            body,
            _connection: connection,
        })
    };
    let sent = tokio::time::timeout_at(until, sending).await;
    sent.unwrap_or(Err(Failure::Late))
}

fn request(
    url: &Url,
    key: Option<&Secret>,
    json: Option<Vec<u8>>,
) -> Result<hyper::Request<Full<Bytes>>, Failure> {
    let (method, accept) = match json {
        Some(_) => (Method::POST, "text/event-stream, application/json"),
        None => (Method::GET, "application/json"),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut headers: Vec<(HeaderName, HeaderValue)> = vec![
        (ACCEPT, HeaderValue::from_static(accept)),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("pieces-lsp/", env!("CARGO_PKG_VERSION"))),
        ),
    ];
    if let Some(key) = key {
        let value = HeaderValue::try_from(format!("Bearer {}", key.expose()));
        let mut value = value.map_err(|_| {
            Failure::Unsendable("the key contains characters that HTTP does not allow in a header")
        })?;
        value.set_sensitive(true);
        headers.push((AUTHORIZATION, value));
    }
    if json.is_some() {
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    }
    let mut request = hyper::Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, host);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let body = Full::new(Bytes::from(json.unwrap_or_default()));
    request
        .body(body)
        .map_err(|_| Failure::Unsendable("its URL cannot be put into an HTTP request"))
}

impl Failure {
    /// One sentence for the user that says what to do next. Nothing in it comes from the endpoint.
    pub(super) fn sentence(&self, url: &Url) -> String {
        let url = shown(url);
        match self {
            Failure::NotConnected(why) => format!(
                "Nothing answers at {url} ({why}); start the model server, or choose another with `pieces-lsp model use URL`."
            ),
            Failure::Foreign(uid) => format!(
                "The endpoint {url} belongs to another user of this machine (user id {uid}), so nothing was sent; choose another with `pieces-lsp model use URL`."
            ),
            Failure::Unsendable(why) => {
                format!(
                    "Nothing was sent to {url}: {why}; choose it again with `pieces-lsp model use URL`."
                )
            }
            Failure::Broken => format!(
                "The endpoint {url} closed the connection without a response; check the URL and the log of the model server."
            ),
            Failure::Late => {
                format!("The endpoint {url} did not answer in time; check the model server.")
            }
            Failure::TooLarge(limit) => format!(
                "The endpoint {url} sent more than {} MiB; check the URL and the model server.",
                limit >> 20
            ),
        }
    }
}

/// The host of a URL and its port.
fn host_and_port(url: &Url) -> Result<(String, u16), Failure> {
    address(url).ok_or(Failure::Unsendable("its address has no host"))
}
