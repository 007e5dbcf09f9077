//! Opens the connection: checks the owner of the listener, uses the proxy, encrypts.

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service as _;
use url::Url;

use super::{Failure, host_and_port};
use crate::model::limits;
use crate::pieces::listener;

/// A byte stream, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the host of `url`.
pub(super) async fn connect(url: &Url) -> Result<TokioIo<Box<dyn Stream>>, Failure> {
    let (host, port) = host_and_port(url)?;
    let https = url.scheme() == "https";
    let tcp = match https.then(|| proxy(url)).flatten() {
        Some((matcher, target)) => through(&matcher, &target).await?,
        None => direct(&host, port).await?,
    };
    let stream: Box<dyn Stream> = match https {
        true => encrypted(&host, tcp).await?,
        false => Box::new(tcp),
    };
    Ok(TokioIo::new(stream))
}

async fn direct(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let connecting = timeout(limits::CONNECT, TcpStream::connect((host, port))).await;
    let tcp = match connecting {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return Err(Failure::NotConnected(reason(&error))),
        Err(_) => return Err(Failure::NotConnected("no connection in time".to_owned())),
    };
    let _ = tcp.set_nodelay(true);
    // Checked on the connection that will be used, before anything is sent on it.
    if let Ok(peer) = tcp.peer_addr()
        && peer.ip().is_loopback()
        && let Some(uid) = listener::foreign_user(peer.ip(), peer.port()).await
    {
        return Err(Failure::Foreign(uid));
    }
    Ok(tcp)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "no route to its host".to_owned()
        }
        // Errors of the resolver have no `ErrorKind` of their own.
        _ if error.raw_os_error().is_none() => "its host name is not found".to_owned(),
        kind => kind.to_string(),
    }
}

/// The proxy that `HTTPS_PROXY` and `NO_PROXY` name for this URL. Loopback has none.
fn proxy(url: &Url) -> Option<(Matcher, hyper::Uri)> {
    let variable = |names: [&str; 2]| {
        let values = names.iter().filter_map(|name| std::env::var(name).ok());
        values.into_iter().find(|value| !value.is_empty())
    };
    let https = variable(["HTTPS_PROXY", "https_proxy"])?;
    let no = variable(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    proxy_for(url, https, no)
}

fn proxy_for(url: &Url, https: String, no: String) -> Option<(Matcher, hyper::Uri)> {
    let (host, port) = host_and_port(url).ok()?;
    let loopback = host.parse::<std::net::IpAddr>();
    if host.eq_ignore_ascii_case("localhost") || loopback.is_ok_and(|ip| ip.is_loopback()) {
        return None;
    }
    let matcher = Matcher::builder().https(https).no(no).build();
    let host = url.host_str()?;
    let target: hyper::Uri = format!("https://{host}:{port}").parse().ok()?;
    matcher.intercept(&target)?;
    Some((matcher, target))
}

/// Connects through a proxy, by CONNECT.
async fn through(matcher: &Matcher, target: &hyper::Uri) -> Result<TcpStream, Failure> {
    let failed = |why: &str| Failure::NotConnected(format!("the proxy of HTTPS_PROXY {why}"));
    let intercept = matcher.intercept(target).ok_or(Failure::Broken)?;
    if intercept.uri().scheme_str() != Some("http") {
        return Err(failed(
            "is not an http:// proxy, and only those are supported",
        ));
    }
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(limits::CONNECT));
    connector.set_nodelay(true);
    let mut tunnel = Tunnel::new(intercept.uri().clone(), connector);
    if let Some(auth) = intercept.basic_auth() {
        tunnel = tunnel.with_auth(auth.clone());
    }
    match timeout(limits::PROXY, tunnel.call(target.clone())).await {
        Ok(Ok(stream)) => Ok(stream.into_inner()),
        Ok(Err(_)) => Err(failed("does not connect to it")),
        Err(_) => Err(failed("does not answer")),
    }
}

#[cfg(feature = "tls")]
async fn encrypted(host: &str, tcp: TcpStream) -> Result<Box<dyn Stream>, Failure> {
    let handshake = timeout(limits::TLS, super::tls::handshake(host, tcp)).await;
    let late = || Failure::NotConnected("no TLS handshake in time".to_owned());
    let stream = handshake.map_err(|_| late())??;
    Ok(Box::new(stream))
}

#[cfg(not(feature = "tls"))]
async fn encrypted(_: &str, _: TcpStream) -> Result<Box<dyn Stream>, Failure> {
    Err(Failure::NotConnected(
        "this build of pieces-lsp has no TLS".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_for_remote_endpoints_only() {
        let proxied = |url: &str, no: &str| {
            let url = Url::parse(url).unwrap();
            let found = proxy_for(&url, "http://u:p@proxy.example:3128".into(), no.into());
            found.map(|(matcher, target)| {
                let intercept = matcher.intercept(&target).unwrap();
                assert!(intercept.basic_auth().is_some());
                (intercept.uri().to_string(), target.to_string())
            })
        };
        let expected = Some((
            "http://proxy.example:3128/".to_owned(),
            "https://api.example.com:443/".to_owned(),
        ));
        assert_eq!(proxied("https://api.example.com/v1", ""), expected);
        assert_eq!(
            proxied("https://api.example.com/v1", "other.example"),
            expected
        );
        assert_eq!(proxied("https://api.example.com/v1", "example.com"), None);
        assert_eq!(proxied("https://api.example.com/v1", "*"), None);
        for local in [
            "https://localhost/v1",
            "https://127.0.0.1:8443/v1",
            "https://[::1]/v1",
        ] {
            assert_eq!(proxied(local, ""), None, "{local}");
        }
    }
}
