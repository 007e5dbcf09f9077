//! The loopback rule: which base URLs are allowed at all.
//!
//! Conversations must not leave the machine because of a setting in a cloned repository, so a
//! [`BaseUrl`] is a loopback address by construction unless the user lifted that rule.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use url::{Host, Url};

/// Where unencrypted http may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// To this machine only.
    #[default]
    Loopback,
    /// To other machines too, because the user passed `--allow-remote`: to any service, and to models at private
    /// addresses.
    Remote,
}

impl PlainHttp {
    /// `Remote` if the user passed `--allow-remote`, else `Loopback`.
    pub fn from_allow_remote(remote: bool) -> Self {
        match remote {
            true => PlainHttp::Remote,
            false => PlainHttp::Loopback,
        }
    }

    /// Whether it may go to other machines.
    pub fn is_remote(self) -> bool {
        self == PlainHttp::Remote
    }
}

/// The base URL of a Pieces service: plain http, without user-info, query, fragment or trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

/// Why a URL was refused: one sentence for the person who set it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`pieces.url` {0}")]
pub struct Refusal(String);

impl Refusal {
    /// The same sentence about a URL that is no setting: `name` is where it came from.
    pub fn about(&self, name: &str) -> String {
        format!("{name} {}", self.0)
    }
}

impl BaseUrl {
    /// Reads a base URL such as `http://127.0.0.1:39300` or `http://localhost:39300/prefix`.
    ///
    /// With [`PlainHttp::Loopback`] the host has to be in `127.0.0.0/8`, be `[::1]`, or be `localhost`,
    /// which is replaced by the loopback address it resolves to. [`PlainHttp::Remote`] lifts that one rule.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn parse(text: &str, plain_http: PlainHttp) -> Result<BaseUrl, Refusal> {
        let text = text.trim();
        // The URL standard is lenient (backslashes are slashes, tabs vanish, `http:host` has a host). A URL
        // that a person can misread is refused before it is normalised.
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err(refusal(
                text,
                "contains characters that do not belong in a URL",
            ));
        }
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(refusal(
                    text,
                    "uses https, and only plain http is spoken here",
                ));
            }
            _ => return Err(refusal(text, "does not start with http://")),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(refusal("the URL", "contains a user name or password"));
        }
        if authority.is_empty() {
            return Err(refusal(text, "has no host"));
        }
        let mut url = Url::parse(text).map_err(|_| refusal(text, "is not a valid URL"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refusal(text, "has a query or a fragment"));
        }
        if url.port() == Some(0) {
            return Err(refusal(text, "has port 0"));
        }
        let pinned = match url.host() {
            Some(Host::Ipv4(address)) if address.is_loopback() => None,
            Some(Host::Ipv6(address)) if address.is_loopback() => None,
            Some(Host::Domain(name)) if is_localhost(name) => Some(resolve_localhost(text)?),
            Some(_) if plain_http.is_remote() => None,
            _ => {
                return Err(refusal(
                    text,
                    "is not on this machine's loopback interface (pass `--allow-remote` to use it all the same)",
                ));
            }
        };
        if let Some(address) = pinned
            && url.set_ip_host(address).is_err()
        {
            return Err(refusal(text, "is not a valid URL"));
        }
        Ok(BaseUrl(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// `http://127.0.0.1:port`.
    pub fn loopback(port: u16) -> BaseUrl {
        BaseUrl(format!("http://{}:{port}", Ipv4Addr::LOCALHOST))
    }

    /// The normalised URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address to connect to.
    pub(super) fn host_and_port(&self) -> Option<(String, u16)> {
        let url = Url::parse(&self.0).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some((host, url.port_or_known_default()?))
    }

    /// The same URL for a WebSocket.
    pub(super) fn websocket(&self, path: &str) -> String {
        format!(
            "ws{}{path}",
            self.0.strip_prefix("http").unwrap_or_default()
        )
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

/// The loopback address that `localhost` resolves to; `None` if it resolves to another address.
pub(crate) fn localhost() -> Option<IpAddr> {
    // A machine without an entry for it still has the loopback interface (RFC 6761, 6.3).
    match ("localhost", 0).to_socket_addrs() {
        Ok(addresses) => pick_loopback(addresses.map(|address| address.ip())),
        Err(_) => Some(Ipv4Addr::LOCALHOST.into()),
    }
}

/// `localhost` as an address, so that a later change of the resolver cannot redirect it.
fn resolve_localhost(text: &str) -> Result<IpAddr, Refusal> {
    localhost().ok_or_else(|| {
        refusal(
            text,
            "names `localhost`, which is not a loopback address on this machine",
        )
    })
}

/// 127.0.0.1 if it is among them, else the first address; `None` if any of them is not loopback.
fn pick_loopback(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let mut picked = None;
    for address in addresses {
        if !address.is_loopback() {
            return None;
        }
        if picked.is_none() || address == IpAddr::V4(Ipv4Addr::LOCALHOST) {
            picked = Some(address);
        }
    }
    picked.or(Some(Ipv4Addr::LOCALHOST.into()))
}

fn refusal(url: &str, why: &str) -> Refusal {
    let url: String = url.chars().filter(|c| !c.is_control()).take(120).collect();
    Refusal(format!(
        "is not used because {url} {why}; set it to something like `http://127.0.0.1:39300`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, plain_http: PlainHttp, expected: Option<&str>) {
        let got = BaseUrl::parse(url, plain_http);
        assert_eq!(
            got.as_ref().ok().map(BaseUrl::as_str),
            expected,
            "{url:?} -> {got:?}"
        );
    }

    #[test]
    fn only_loopback_urls_are_accepted() {
        let table: &[(&str, Option<&str>)] = &[
            ("http://127.0.0.1:39300", Some("http://127.0.0.1:39300")),
            ("  http://127.0.0.1:39300/ ", Some("http://127.0.0.1:39300")),
            ("HTTP://127.0.0.1:39300", Some("http://127.0.0.1:39300")),
            ("http://127.0.0.1", Some("http://127.0.0.1")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://127.8.9.10:1", Some("http://127.8.9.10:1")),
            ("http://[::1]:39300", Some("http://[::1]:39300")),
            ("http://[0:0:0:0:0:0:0:1]:39300", Some("http://[::1]:39300")),
            (
                "http://127.0.0.1:39300/a/b/",
                Some("http://127.0.0.1:39300/a/b"),
            ),
            (
                "http://127.0.0.1:39300/a/../b//",
                Some("http://127.0.0.1:39300/b"),
            ),
            // Other spellings of a loopback address end up as its usual one.
            ("http://127.1", Some("http://127.0.0.1")),
            ("http://0x7f000001:5", Some("http://127.0.0.1:5")),
            ("http://2130706433", Some("http://127.0.0.1")),
            ("http://0177.0.0.1", Some("http://127.0.0.1")),
            ("http://127.0.0.1.", Some("http://127.0.0.1")),
            // Not http.
            ("https://127.0.0.1:39300", None),
            ("ws://127.0.0.1:39300", None),
            ("file:///etc/passwd", None),
            ("127.0.0.1:39300", None),
            ("localhost:39300", None),
            ("http:127.0.0.1", None),
            ("http:/127.0.0.1", None),
            ("", None),
            ("http://", None),
            ("http:///x", None),
            // Hosts other than they seem.
            ("http://127.0.0.1@evil.com", None),
            ("http://127.0.0.1:80@evil.com", None),
            ("http://user:pw@127.0.0.1", None),
            ("http://@127.0.0.1", None),
            ("http://evil.com\\@127.0.0.1", None),
            ("http://127.0.0.1\\.evil.com", None),
            ("http:\\\\127.0.0.1", None),
            ("http://127.0.0.1\t.evil.com", None),
            ("http://127.0.0.1\n", Some("http://127.0.0.1")),
            ("http://127.0.0.1/?next=http://evil.com", None),
            ("http://127.0.0.1/#x", None),
            ("http://127.0.0.1?", None),
            // Not loopback.
            ("http://evil.com", None),
            ("http://localhost.evil.com", None),
            ("http://127.0.0.1.evil.com", None),
            ("http://evil.localhost", None),
            ("http://localhost.", None),
            ("http://0.0.0.0", None),
            ("http://0", None),
            ("http://[::]", None),
            ("http://[::ffff:127.0.0.1]", None),
            ("http://[::ffff:10.0.0.1]", None),
            ("http://10.0.0.1", None),
            ("http://128.0.0.1", None),
            ("http://126.255.255.255", None),
            ("http://169.254.169.254", None),
            ("http://3232235777", None),
            ("http://[fe80::1%25eth0]", None),
            ("http://127.0.0.1:0", None),
            ("http://127.0.0.1:99999", None),
            ("http://127.0.0.1:x", None),
            ("http://%31%32%37.evil.com", None),
        ];
        for (url, expected) in table {
            check(url, PlainHttp::Loopback, *expected);
        }
        // Full-width digits are mapped to ASCII before the host is read: still loopback.
        check(
            "http://１２７.0.0.1",
            PlainHttp::Loopback,
            Some("http://127.0.0.1"),
        );
    }

    #[test]
    fn allow_remote_lifts_the_host_rule_alone() {
        let table: &[(&str, Option<&str>)] = &[
            (
                "http://example.com:1234/p/",
                Some("http://example.com:1234/p"),
            ),
            ("http://10.0.0.1", Some("http://10.0.0.1")),
            ("http://[2001:db8::1]:9", Some("http://[2001:db8::1]:9")),
            ("https://example.com", None),
            ("http://user@example.com", None),
            ("http://example.com/?q", None),
            ("http://example.com:0", None),
        ];
        for (url, expected) in table {
            check(url, PlainHttp::Remote, *expected);
        }
    }

    #[test]
    fn localhost_is_pinned_to_an_address() {
        for plain_http in [PlainHttp::Loopback, PlainHttp::Remote] {
            for url in ["http://localhost:7", "http://LocalHost:7/"] {
                let base = BaseUrl::parse(url, plain_http).unwrap();
                assert!(
                    ["http://127.0.0.1:7", "http://[::1]:7"].contains(&base.as_str()),
                    "{base}"
                );
            }
        }
    }

    #[test]
    fn localhost_that_resolves_elsewhere_is_refused() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let pick = |addresses: &[&str]| pick_loopback(addresses.iter().map(|a| ip(a)));
        assert_eq!(pick(&["::1", "127.0.0.1"]), Some(ip("127.0.0.1")));
        assert_eq!(pick(&["::1"]), Some(ip("::1")));
        assert_eq!(pick(&[]), Some(ip("127.0.0.1")));
        assert_eq!(pick(&["127.0.0.1", "10.0.0.1"]), None);
        assert_eq!(pick(&["93.184.216.34"]), None);
    }

    #[test]
    fn a_password_is_not_repeated() {
        let refusal =
            BaseUrl::parse("http://user:secret@127.0.0.1", PlainHttp::Loopback).unwrap_err();
        assert!(!refusal.to_string().contains("secret"), "{refusal}");
    }

    #[test]
    fn websocket_url() {
        let base = BaseUrl::parse("http://127.0.0.1:39300/p", PlainHttp::Loopback).unwrap();
        assert_eq!(base.websocket("/x"), "ws://127.0.0.1:39300/p/x");
    }
}
