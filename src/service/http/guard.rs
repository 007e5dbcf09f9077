//! Which requests are allowed: from this machine, from a loopback page or no page, with the token.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq as _;

use super::connections::Authenticated;

/// Distinguishes us from Pieces OS, whose API we implement.
const SERVER: HeaderValue =
    HeaderValue::from_static(concat!("pieces-lsp/", env!("CARGO_PKG_VERSION")));

pub(super) struct Guard {
    port: u16,
    /// The whole `Authorization` value.
    expected: Option<String>,
}

impl Guard {
    pub(super) fn new(port: u16, token: Option<&str>) -> Self {
        Self {
            port,
            expected: token.map(|token| format!("Bearer {token}")),
        }
    }

    fn refusal(&self, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        // After DNS rebinding the attacker's name is not a loopback name.
        // With two `Host` headers it is unknown which one the browser meant.
        let mut hosts = headers.get_all(header::HOST).iter();
        let ours = hosts.next().is_some_and(|host| self.is_us(host));
        if !ours || hosts.next().is_some() {
            return Some((
                StatusCode::FORBIDDEN,
                "Use a loopback host name and this service's port.",
            ));
        }
        if headers
            .get_all(header::ORIGIN)
            .iter()
            .any(|origin| !is_loopback_origin(origin))
        {
            return Some((
                StatusCode::FORBIDDEN,
                "Only web pages on this machine may use this service.",
            ));
        }
        // A preflight cannot carry the token and learns nothing.
        if method == Method::OPTIONS {
            return None;
        }
        let Some(expected) = &self.expected else {
            return None;
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .map_or(&[][..], HeaderValue::as_bytes);
        if bool::from(given.ct_eq(expected.as_bytes())) {
            return None;
        }
        Some((
            StatusCode::UNAUTHORIZED,
            "Send the token from service.json in the data directory as `Authorization: Bearer …`.",
        ))
    }

    fn is_us(&self, host: &HeaderValue) -> bool {
        let authority = host
            .to_str()
            .ok()
            .and_then(|host| host.parse::<Authority>().ok());
        authority.is_some_and(|authority| {
            is_loopback(authority.host())
                && authority.port_u16() == Some(self.port)
                && !authority.as_str().contains('@')
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

fn is_loopback_origin(origin: &HeaderValue) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
    authority.is_some_and(|a| is_loopback(a.host()) && !a.as_str().contains('@'))
}

/// Refuses requests, answers preflights, and adds our headers to every response.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let refusal = guard.refusal(request.method(), request.headers());
    let foreign = refusal.is_some_and(|(status, _)| status == StatusCode::FORBIDDEN);
    let known = refusal.is_none() && request.method() != Method::OPTIONS;
    let mut answer = match refusal {
        Some(refusal) => refusal.into_response(),
        None if !known => preflight(),
        None => {
            if let Some(connection) = request.extensions().get::<Authenticated>() {
                connection.set();
            }
            next.run(request).await
        }
    };
    let headers = answer.headers_mut();
    if !known {
        // Unauthenticated clients cannot keep connections: their number is limited.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(header::SERVER, SERVER);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    // A loopback page may read that the token is missing; foreign pages read nothing.
    if let Some(origin) = origin.filter(|_| !foreign) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    answer
}

fn preflight() -> Response {
    (
        StatusCode::NO_CONTENT,
        [
            (
                header::ACCESS_CONTROL_ALLOW_METHODS,
                "GET, HEAD, POST, OPTIONS",
            ),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, application, x-application-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ],
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_requests_are_allowed() {
        let host = "127.0.0.1:4000";
        let auth = "Bearer secret";
        for (method, headers, expected) in [
            ("GET", vec![("host", host), ("authorization", auth)], None),
            (
                "GET",
                vec![("host", "LOCALHOST:4000"), ("authorization", auth)],
                None,
            ),
            (
                "GET",
                vec![("host", "[::1]:4000"), ("authorization", auth)],
                None,
            ),
            (
                "GET",
                vec![
                    ("host", host),
                    ("authorization", auth),
                    ("origin", "http://localhost:5173"),
                ],
                None,
            ),
            (
                "OPTIONS",
                vec![("host", host), ("origin", "http://127.0.0.1:1")],
                None,
            ),
            ("GET", vec![("host", host)], Some(401)),
            (
                "GET",
                vec![("host", host), ("authorization", "Bearer secreT")],
                Some(401),
            ),
            (
                "GET",
                vec![("host", host), ("authorization", "Bearer secret2")],
                Some(401),
            ),
            (
                "GET",
                vec![("host", host), ("authorization", "secret")],
                Some(401),
            ),
            ("GET", vec![("authorization", auth)], Some(403)),
            (
                "GET",
                vec![("host", "127.0.0.1"), ("authorization", auth)],
                Some(403),
            ),
            (
                "GET",
                vec![("host", "127.0.0.1:4001"), ("authorization", auth)],
                Some(403),
            ),
            (
                "GET",
                vec![("host", "evil.example:4000"), ("authorization", auth)],
                Some(403),
            ),
            (
                "GET",
                vec![
                    ("host", "127.0.0.1.evil.example:4000"),
                    ("authorization", auth),
                ],
                Some(403),
            ),
            (
                "GET",
                vec![
                    ("host", host),
                    ("host", "evil.example:4000"),
                    ("authorization", auth),
                ],
                Some(403),
            ),
            (
                "GET",
                vec![("host", "a@127.0.0.1:4000"), ("authorization", auth)],
                Some(403),
            ),
            (
                "GET",
                vec![
                    ("host", host),
                    ("authorization", auth),
                    ("origin", "https://evil.example"),
                ],
                Some(403),
            ),
            (
                "GET",
                vec![("host", host), ("authorization", auth), ("origin", "null")],
                Some(403),
            ),
            (
                "GET",
                vec![
                    ("host", host),
                    ("authorization", auth),
                    ("origin", "http://localhost.evil.example"),
                ],
                Some(403),
            ),
            (
                "GET",
                vec![
                    ("host", host),
                    ("authorization", auth),
                    ("origin", "http://localhost:1"),
                    ("origin", "http://evil.example"),
                ],
                Some(403),
            ),
            (
                "OPTIONS",
                vec![("host", host), ("origin", "http://evil.example")],
                Some(403),
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            let refusal = Guard::new(4000, Some("secret"))
                .refusal(&method.parse().unwrap(), &map)
                .map(|(status, _)| status.as_u16());
            assert_eq!(refusal, expected, "{method} {headers:?}");
        }
    }
}
