//! URLs that an endpoint may have.

use std::fmt;

use url::{Host, Url};

use super::Error;
use crate::pieces::{self, PlainHttp};

/// The base URL of an endpoint, as OpenAI clients expect it (`http://127.0.0.1:11434/v1`), without user-info.
/// `Display` and `Debug` leave out the query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// Reads a URL: http on loopback, https anywhere, and with [`PlainHttp::Remote`] http to the private address of
    /// another machine. `localhost` is replaced by the loopback address it resolves to, unless https needs the name.
    ///
    /// # Errors
    /// One sentence for the user. It repeats no user-info and no query.
    pub fn parse(text: &str, plain_http: PlainHttp) -> Result<EndpointUrl, Error> {
        let text = text.trim();
        // The URL standard is lenient: a text that people could misread is refused before it is normalised.
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err(refusal(
                None,
                "contains characters that do not belong in a URL",
            ));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let https = match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refusal(None, "does not start with http:// or https://")),
        };
        let mut url = Url::parse(text).map_err(|_| refusal(None, "is not a valid URL"))?;
        // Checked in the text, because parsing drops an empty user name.
        let authority = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
        if authority.contains('@') {
            return Err(refusal(
                None,
                "contains a user name or password; give a key with `--key-env` or `--key-command` instead",
            ));
        }
        if authority.is_empty() {
            return Err(refusal(None, "has no host"));
        }
        if url.port() == Some(0) {
            return Err(refusal(Some(&url), "has port 0"));
        }
        url.set_fragment(None);
        if !https {
            require_near(&mut url, plain_http)?;
        }
        Ok(EndpointUrl(url))
    }

    /// `http://127.0.0.1:port/v1`.
    pub(super) fn loopback(port: u16) -> Option<EndpointUrl> {
        EndpointUrl::parse(&format!("http://127.0.0.1:{port}/v1"), PlainHttp::Loopback).ok()
    }

    /// The whole URL, for requests and for the file. Use `Display` to show it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the endpoint is on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL for users: without query, which may contain a key, and without a trailing slash.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Allows plain http to this machine, and with [`PlainHttp::Remote`] to a private address.
fn require_near(url: &mut Url, plain_http: PlainHttp) -> Result<(), Error> {
    if let Some(Host::Domain(name)) = url.host()
        && name.eq_ignore_ascii_case("localhost")
    {
        // Pinned, so that a later DNS change cannot redirect it.
        let address = pieces::localhost().ok_or_else(|| {
            refusal(
                Some(url),
                "names `localhost`, which is not a loopback address on this machine",
            )
        })?;
        return url
            .set_ip_host(address)
            .map_err(|()| refusal(None, "is not a valid URL"));
    }
    let private = match url.host() {
        Some(Host::Ipv4(address)) => address.is_private(),
        Some(Host::Ipv6(address)) => address.is_unique_local(),
        _ => false,
    };
    match (is_loopback(url), private, plain_http.is_remote()) {
        (true, _, _) | (_, true, true) => Ok(()),
        (_, true, false) => Err(refusal(
            Some(url),
            "is on another machine and not encrypted; use https, or pass `--allow-remote` if you trust that network",
        )),
        _ => Err(refusal(
            Some(url),
            "is on another machine and not encrypted; use https (`--allow-remote` allows http to private IP addresses)",
        )),
    }
}

fn refusal(url: Option<&Url>, why: &str) -> Error {
    let url = url.map_or_else(|| "the URL".to_owned(), shown);
    Error::model(format!(
        "The model endpoint is not used because {url} {why}."
    ))
}

/// The host and port to connect to.
pub(super) fn address(url: &Url) -> Option<(String, u16)> {
    let host = match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    Some((host, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_on_loopback_and_https_anywhere() {
        let table: &[(&str, bool, Option<&str>)] = &[
            (
                "http://127.0.0.1:11434/v1",
                false,
                Some("http://127.0.0.1:11434/v1"),
            ),
            (
                " http://127.0.0.1:8080/ ",
                false,
                Some("http://127.0.0.1:8080"),
            ),
            ("http://[::1]:1234/v1", false, Some("http://[::1]:1234/v1")),
            (
                "HTTPS://api.example.com/v1",
                false,
                Some("https://api.example.com/v1"),
            ),
            (
                "https://example.com/openai?api-version=1",
                false,
                Some("https://example.com/openai"),
            ),
            (
                "https://localhost:8443/v1",
                false,
                Some("https://localhost:8443/v1"),
            ),
            ("http://example.com/v1", false, None),
            ("http://example.com/v1", true, None),
            ("http://192.168.1.5:11434/v1", false, None),
            (
                "http://192.168.1.5:11434/v1",
                true,
                Some("http://192.168.1.5:11434/v1"),
            ),
            ("http://[fd00::5]:8080", true, Some("http://[fd00::5]:8080")),
            ("http://8.8.8.8/v1", true, None),
            ("http://169.254.169.254/v1", true, None),
            ("http://[::ffff:10.0.0.1]/v1", true, None),
            ("http://0.0.0.0:8080/v1", true, None),
            ("http://user@127.0.0.1/v1", true, None),
            ("http://@127.0.0.1/v1", true, None),
            ("https://user:pw@example.com/v1", true, None),
            ("http:127.0.0.1", true, None),
            ("127.0.0.1:11434", true, None),
            ("ftp://127.0.0.1", true, None),
            ("http://127.0.0.1:0/v1", true, None),
            ("http://", true, None),
            ("https:///v1", true, None),
            ("http://127.0.0.1\\.evil.com", true, None),
            ("", true, None),
        ];
        for (text, allow, expected) in table {
            let got = EndpointUrl::parse(text, PlainHttp::from_allow_remote(*allow));
            let shown = got.as_ref().ok().map(ToString::to_string);
            assert_eq!(shown.as_deref(), *expected, "{text:?} {allow} -> {got:?}");
        }
    }

    #[test]
    fn localhost_is_pinned_to_an_address() {
        let url = EndpointUrl::parse("http://LocalHost:7/v1", PlainHttp::Loopback).unwrap();
        let shown = url.to_string();
        assert!(
            ["http://127.0.0.1:7/v1", "http://[::1]:7/v1"].contains(&&*shown),
            "{shown}"
        );
    }

    #[test]
    fn secrets_in_a_url_are_not_repeated() {
        for text in [
            "https://example.com/v1?key=secret",
            "https://user:secret@example.com",
            "http://example.com?key=secret",
            "http://secret@127.0.0.1",
            "http://a b?secret",
            "secret://x",
        ] {
            let got = EndpointUrl::parse(text, PlainHttp::Loopback);
            assert!(!format!("{got:?}").contains("secret"), "{got:?}");
            if let Ok(url) = got {
                assert!(url.as_str().contains("secret"));
                assert!(!url.to_string().contains("secret"));
            }
        }
    }
}
