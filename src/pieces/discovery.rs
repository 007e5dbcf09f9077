//! Finding a running Pieces OS: its port file, then the ports it is known to use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::future::{join, join_all};
use reqwest::header::SERVER;
use reqwest::{StatusCode, redirect, retry};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::error::Error;
use super::limits;
use super::listener::{self, Owner};
use super::loopback::BaseUrl;
use crate::private;

/// Where to look, in this order; the first place where exactly one service responds wins.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Port files, which hold the port in decimal.
    pub port_files: Vec<PathBuf>,
    /// Groups of ports on 127.0.0.1, searched one after the other.
    pub ports: Vec<Vec<u16>>,
}

/// A running service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its base URL.
    pub client_base: BaseUrl,
    /// Its health text: `ok:<id>` or `migrating`.
    pub health: String,
    /// Whether it is known to be a process of this user. Not every system reports this; a process known to
    /// belong to another user is never found.
    pub is_ours: bool,
}

/// A place where Pieces OS may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port file, and the port in it if there is one.
    File(PathBuf, Option<u16>),
    /// A port on 127.0.0.1.
    Port(u16),
}

/// The result of looking at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The file does not exist.
    NoFile,
    /// The file has no port.
    NoPort,
    /// Nothing listens on the port.
    Closed,
    /// A process listens but did not respond in time.
    Silent,
    /// Another program.
    Stranger,
    /// A process of another user (by its id) that responds like Pieces OS. It is never used.
    OtherUser(u32),
    /// A local service of `pieces-lsp`, which is found only by its data directory.
    LocalService,
    /// Pieces OS with this health text: `ok:<id>` or `migrating`.
    PiecesOs(String),
}

/// What [`Discovery::find`] says if nothing is there.
pub(crate) const NOT_RUNNING: &str =
    "Pieces OS is not running on this machine; start it, or set `pieces.backend` to `local`.";

impl Discovery {
    /// The places that Pieces OS is known to use on this system.
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

    /// Looks for a service. Sends only `GET /.well-known/health`.
    ///
    /// # Errors
    /// [`Kind::Offline`](super::Kind::Offline) if none responds, or if several do: we do not guess which one
    /// is meant.
    pub async fn find(&self) -> Result<Found, Error> {
        let client = prober()?;
        let files = join_all(self.port_files.iter().map(|path| read_port(path))).await;
        let files: Vec<u16> = files.into_iter().flatten().collect();
        let mut probed = BTreeSet::new();
        for ports in std::iter::once(&files).chain(&self.ports) {
            // A silent port costs its deadline once.
            let ports = ports.iter().copied().filter(|port| probed.insert(*port));
            if let Some((port, health)) = the_one(probe_all(&client, ports).await)? {
                return Ok(Found {
                    client_base: BaseUrl::loopback(port),
                    health,
                    is_ours: listener::owner(port).await == Owner::Ours,
                });
            }
        }
        Err(Error::offline(NOT_RUNNING))
    }

    /// Looks at every place, for diagnosis. Sends only `GET /.well-known/health`.
    ///
    /// # Errors
    /// [`Kind::Offline`](super::Kind::Offline) if this machine cannot send requests at all.
    pub async fn survey(&self) -> Result<Vec<(Place, Seen)>, Error> {
        let client = &prober()?;
        let files = self.port_files.iter().map(async |path| {
            let port = read_port(path).await;
            let seen = match port {
                Some(port) => probe(client, port).await,
                None if path.exists() => Seen::NoPort,
                None => Seen::NoFile,
            };
            (Place::File(path.clone(), port), seen)
        });
        let ports = self.ports.iter().flatten();
        let ports = ports.map(async |port| (Place::Port(*port), probe(client, *port).await));
        let (mut files, ports) = join(join_all(files), join_all(ports)).await;
        files.extend(ports);
        Ok(files)
    }
}

fn prober() -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .connect_timeout(limits::PROBE_CONNECT)
        .build();
    client.map_err(|_| Error::offline("No HTTP client can be set up on this machine; report this."))
}

/// The only service that responded, if any did.
fn the_one(mut answering: BTreeMap<u16, String>) -> Result<Option<(u16, String)>, Error> {
    if answering.len() > 1 {
        let urls: Vec<_> = answering
            .keys()
            .map(|port| BaseUrl::loopback(*port).to_string())
            .collect();
        return Err(Error::offline(format!(
            "Several Pieces services are running ({}); set `pieces.url` to the one to use.",
            urls.join(", ")
        )));
    }
    Ok(answering.pop_first())
}

/// The health of each responding port. Duplicate ports are requested once.
async fn probe_all(
    client: &reqwest::Client,
    ports: impl Iterator<Item = u16>,
) -> BTreeMap<u16, String> {
    let probes = ports.map(async |port| (port, probe(client, port).await));
    let seen = join_all(probes).await.into_iter();
    let health = seen.filter_map(|(port, seen)| match seen {
        Seen::PiecesOs(health) => Some((port, health)),
        _ => None,
    });
    health.collect()
}

/// What is at `port`.
async fn probe(client: &reqwest::Client, port: u16) -> Seen {
    let asking = async {
        let url = format!("{}/.well-known/health", BaseUrl::loopback(port));
        let mut response = match client.get(url).send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Seen::Silent,
            Err(error) if error.is_connect() => return Seen::Closed,
            Err(_) => return Seen::Stranger,
        };
        let server = response.headers().get(SERVER);
        if server.is_some_and(|server| server.as_bytes().starts_with(b"pieces-lsp")) {
            return Seen::LocalService;
        }
        if response.status() != StatusCode::OK {
            return Seen::Stranger;
        }
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > limits::TINY_BODY {
                return Seen::Stranger;
            }
        }
        let health = str::from_utf8(&body).unwrap_or_default().trim();
        if !health.starts_with("ok:") && health != "migrating" {
            return Seen::Stranger;
        }
        match listener::owner(port).await {
            Owner::Other(uid) => Seen::OtherUser(uid),
            Owner::Ours | Owner::Unknown => Seen::PiecesOs(health.to_owned()),
        }
    };
    timeout(limits::PROBE_ANSWER, asking)
        .await
        .unwrap_or(Seen::Silent)
}

/// The port in a port file. Anything but a regular file with a port counts as absent.
async fn read_port(path: &Path) -> Option<u16> {
    let reading = async {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || private::regular(&path)).await;
        let mut text = String::new();
        tokio::fs::File::from_std(opened.ok()?.ok()?)
            .take(64)
            .read_to_string(&mut text)
            .await
            .ok()?;
        text.trim().parse().ok().filter(|port| *port != 0)
    };
    timeout(limits::PORT_FILE, reading).await.ok().flatten()
}

/// Possible paths of the port file on all systems: a missing one costs nothing.
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

#[cfg(test)]
mod tests;
