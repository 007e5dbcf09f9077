//! Finding a running Pieces OS: its port file, then the ports it is known to use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use reqwest::header::SERVER;
use reqwest::{StatusCode, redirect, retry};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::error::{Error, Kind};
use super::limits;
use super::loopback::BaseUrl;

/// Where to look, in this order; the first place where exactly one service answers wins.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Files that hold the port in decimal.
    pub port_files: Vec<PathBuf>,
    /// Groups of ports on 127.0.0.1, one group after the other.
    pub ports: Vec<Vec<u16>>,
}

/// A running service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its base URL.
    pub client_base: BaseUrl,
    /// Its health text: `ok:<id>` or `migrating`.
    pub health: String,
}

impl Discovery {
    /// The places Pieces OS is known to use on this system.
    pub fn standard() -> Discovery {
        Discovery {
            port_files: port_files(
                etcetera::home_dir().ok(),
                std::env::var_os("LOCALAPPDATA").map(PathBuf::from),
            ),
            // Since 11.0 the first free port of a range; before, a fixed port per system.
            ports: vec![(39300..=39333).collect(), vec![1000, 5323]],
        }
    }

    /// Looks for a service. Sends nothing but `GET /.well-known/health`.
    ///
    /// # Errors
    /// [`Kind::Offline`] when none answers, and when several do: which one is meant is not ours to guess.
    pub async fn find(&self) -> Result<Found, Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(limits::PROBE_CONNECT)
            .build()
            .map_err(|_| {
                offline("No HTTP client can be set up on this machine; report this.".into())
            })?;
        let files = join_all(self.port_files.iter().map(|path| read_port(path))).await;
        let files: Vec<u16> = files.into_iter().flatten().collect();
        for ports in std::iter::once(&files).chain(&self.ports) {
            if let Some(found) = the_one(probe_all(&client, ports).await)? {
                return Ok(found);
            }
        }
        Err(offline("Pieces OS is not running on this machine; start it, or set `pieces.backend` to `local`.".into()))
    }
}

/// The only service that answered, if any did.
fn the_one(mut answering: BTreeMap<u16, String>) -> Result<Option<Found>, Error> {
    if answering.len() > 1 {
        let urls: Vec<_> = answering
            .keys()
            .map(|port| BaseUrl::loopback(*port).to_string())
            .collect();
        return Err(offline(format!(
            "Several Pieces services are running ({}); set `pieces.url` to the one to use.",
            urls.join(", ")
        )));
    }
    Ok(answering.pop_first().map(|(port, health)| Found {
        client_base: BaseUrl::loopback(port),
        health,
    }))
}

/// The health of each port that has one. A port that is named twice is asked once.
async fn probe_all(client: &reqwest::Client, ports: &[u16]) -> BTreeMap<u16, String> {
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports.dedup();
    let probes = ports
        .into_iter()
        .map(async |port| Some((port, probe(client, port).await?)));
    join_all(probes).await.into_iter().flatten().collect()
}

/// The health text at `port`, if it is one of Pieces OS.
async fn probe(client: &reqwest::Client, port: u16) -> Option<String> {
    let asking = async {
        let mut response = client
            .get(format!("{}/.well-known/health", BaseUrl::loopback(port)))
            .send()
            .await
            .ok()?;
        let is_ours =
            |server: &reqwest::header::HeaderValue| server.as_bytes().starts_with(b"pieces-lsp");
        if response.status() != StatusCode::OK
            || response.headers().get(SERVER).is_some_and(is_ours)
        {
            return None;
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            body.extend_from_slice(&chunk);
            if body.len() > limits::TINY_BODY {
                return None;
            }
        }
        let health = String::from_utf8(body).ok()?.trim().to_owned();
        (health.starts_with("ok:") || health == "migrating").then_some(health)
    };
    timeout(limits::PROBE_ANSWER, asking).await.ok().flatten()
}

/// The port in a port file. Anything but a regular file with a port in it counts as absent.
async fn read_port(path: &Path) -> Option<u16> {
    let reading = async {
        // Opening a pipe would wait for its other end.
        if !tokio::fs::metadata(path).await.ok()?.is_file() {
            return None;
        }
        let mut text = String::new();
        tokio::fs::File::open(path)
            .await
            .ok()?
            .take(64)
            .read_to_string(&mut text)
            .await
            .ok()?;
        text.trim().parse().ok().filter(|port| *port != 0)
    };
    timeout(limits::PORT_FILE, reading).await.ok().flatten()
}

/// Where the port file may be, whatever the system: what does not exist costs nothing.
fn port_files(home: Option<PathBuf>, local_app_data: Option<PathBuf>) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    if cfg!(windows) {
        roots.extend(local_app_data.map(|data| {
            data.join("Mesh Intelligent Technologies, Inc")
                .join("Pieces OS")
        }));
    }
    if let Some(home) = home {
        if cfg!(target_os = "macos") {
            roots.push(home.join("Library"));
        }
        roots.push(home.join("Documents"));
        if cfg!(target_os = "linux") {
            roots.push(home.join(".local/share"));
        }
    }
    let file = |root: &PathBuf| {
        root.join("com.pieces.os")
            .join("production")
            .join("Config")
            .join(".port.txt")
    };
    roots.iter().map(file).collect()
}

fn offline(message: String) -> Error {
    Error {
        kind: Kind::Offline,
        message,
        status: None,
        detail: None,
        outcome_unknown: false,
    }
}
