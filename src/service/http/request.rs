//! Reads ids, flags, bodies and the calling application from a request.

use std::time::Duration;

use axum::{
    body::{self, Bytes, HttpBody as _},
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use rusqlite::Connection;
use serde_json::{Map, Value};
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

use super::{BODY, MAX_IMPORT, VERSION};
use crate::json;
use crate::service::{
    Failure,
    objects::anchor::PLATFORM,
    store::{self, Kind},
};

/// The id in the path.
pub(super) struct Id(pub(super) String);

/// Both ids in the path.
pub(super) struct Ids(pub(super) String, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        uuid(id.map(|Path(id)| id).ok().as_deref()).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let ids = Path::<(String, String)>::from_request_parts(parts, state).await;
        let ids = ids.map(|Path(ids)| ids).ok();
        let (a, b) = ids.as_ref().map(|(a, b)| (a.as_str(), b.as_str())).unzip();
        Ok(Self(uuid(a)?, uuid(b)?))
    }
}

fn uuid(text: Option<&str>) -> Result<String, Failure> {
    text.and_then(|text| Uuid::parse_str(text).ok())
        .map(|id| id.to_string())
        .ok_or_else(|| Failure::invalid("The id in the path must be a UUID."))
}

/// The query of a URL.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the response includes raw content. Defaults to yes, as in Pieces OS.
    pub(super) fn transferables(&self) -> Result<bool, Failure> {
        match self
            .get("transferables")
            .or_else(|| self.get("transferable"))
        {
            None | Some("") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(Failure::invalid("`transferables` must be true or false.")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|_| Failure::invalid("The query cannot be read."))?;
        Ok(Self(pairs))
    }
}

/// Bodies of at least this size are parsed on a blocking thread: 32 MiB take a quarter of a second.
const LONG: usize = 256 << 10;

/// Refused bodies of this size are still read. Nobody sends more by mistake.
const DISCARDED: u64 = 2 * MAX_IMPORT as u64;
/// How long they are read.
const DISCARDING: Duration = Duration::from_secs(10);

/// A JSON body, whatever its declared type; an empty one is `null`.
pub(super) struct Body(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        read_body(request, state, BODY).await.map(Self)
    }
}

/// The body of an import, which may be larger.
pub(super) struct ImportBody(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for ImportBody {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        read_body(request, state, MAX_IMPORT).await.map(Self)
    }
}

/// Reads a body of at most `max` bytes, the same limit as the route's `DefaultBodyLimit`.
async fn read_body<S: Send + Sync>(
    request: Request,
    state: &S,
    max: usize,
) -> Result<Value, Response> {
    // A body announced as too large is refused at once.
    if request.body().size_hint().lower() > max as u64 {
        discard(request.into_body());
        return Err(too_large(max));
    }
    let bytes = Bytes::from_request(request, state).await;
    let bytes = bytes.map_err(|rejection| refused(&rejection, max))?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let parsed = if bytes.len() < LONG {
        parse(&bytes)
    } else {
        let parsing = spawn_blocking(move || parse(&bytes)).await;
        parsing.unwrap_or(Err(Failure::Busy))
    };
    parsed.map_err(IntoResponse::into_response)
}

/// Reads a refused body to its end: many clients read the response only when they have sent everything, and a
/// connection that is closed earlier loses it.
fn discard(mut body: body::Body) {
    if body.size_hint().lower() <= DISCARDED {
        let reading = async move { while let Some(Ok(_)) = body.frame().await {} };
        tokio::spawn(timeout(DISCARDING, reading));
    }
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    json::from_slice(body).map_err(|error| {
        // The position only: the text is private.
        let place = format!("line {} column {}", error.line(), error.column());
        Failure::invalid(format!("The body is not JSON ({place})."))
    })
}

fn refused(rejection: &BytesRejection, max: usize) -> Response {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(max);
    }
    Failure::invalid("The body cannot be read.").into_response()
}

fn too_large(max: usize) -> Response {
    let what = format!("The body is larger than {} MiB.", max >> 20);
    (StatusCode::PAYLOAD_TOO_LARGE, what).into_response()
}

/// The id in the `application` header that clients send after `/connect`.
pub(super) struct Asking(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header =
            |headers: &HeaderMap| headers.get("application")?.to_str().ok().map(str::to_owned);
        // It is context, not a credential: an unreadable one counts as absent.
        let id = header(&parts.headers).and_then(|id| Uuid::parse_str(&id).ok());
        Ok(Self(id.map(|id| id.to_string())))
    }
}

impl Asking {
    /// The application, if it has connected.
    pub(super) fn application(
        &self,
        db: &Connection,
    ) -> Result<Option<Map<String, Value>>, Failure> {
        let Some(id) = &self.0 else { return Ok(None) };
        let Some(row) = store::find(db, Kind::Application, id)? else {
            return Ok(None);
        };
        let mut application = row.object()?;
        application.insert("id".to_owned(), row.id.into());
        Ok(Some(application))
    }
}

/// The service itself, as an application.
pub(super) fn ourselves(store: Uuid) -> Map<String, Value> {
    let ourselves = serde_json::json!({
        "id": store.to_string(),
        "name": "OS_SERVER",
        "version": VERSION,
        "platform": PLATFORM,
        "onboarded": true,
        "privacy": "OPEN",
        "capabilities": "LOCAL",
        "mechanism": "MANUAL",
        "automaticUnload": false,
    });
    match ourselves {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
