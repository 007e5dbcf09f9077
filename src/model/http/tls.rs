//! TLS with the root certificates of the system: rustls with ring.

use std::sync::{Arc, OnceLock};

use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

use super::Failure;

/// The handshake as a client of `host`.
pub(super) async fn handshake(host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::Unsendable("its host name is not valid in a certificate"))?;
    let config = config().await?;
    let connected = TlsConnector::from(config).connect(name, tcp).await;
    connected.map_err(|error| {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let why = match inner {
            Some(rustls::Error::InvalidCertificate(why)) => {
                format!("its certificate is not trusted on this machine: {why}")
            }
            Some(_) => "no TLS connection; does it speak https?".to_owned(),
            None => "the TLS handshake broke off".to_owned(),
        };
        Failure::NotConnected(why)
    })
}

/// Built once, because the root certificates are read from files.
async fn config() -> Result<Arc<ClientConfig>, Failure> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let made = tokio::task::spawn_blocking(|| {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?;
        let config = builder.with_platform_verifier().ok()?;
        Some(Arc::new(config.with_no_client_auth()))
    });
    let made = made.await.ok().flatten().ok_or_else(|| {
        let why = "the certificate authorities of this system cannot be read; install the package `ca-certificates`";
        Failure::NotConnected(why.to_owned())
    })?;
    Ok(Arc::clone(CONFIG.get_or_init(|| made)))
}
