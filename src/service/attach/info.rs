//! `service.json`: how other processes reach the one that serves.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use uuid::Uuid;

use crate::pieces::{self, BaseUrl, Client, PlainHttp};
use crate::private;
use crate::service::{ServiceError, hold::INFO};

/// Timeout for the holder's health route.
const HEALTH: Duration = Duration::from_millis(500);
/// Largest `service.json` that is read, in bytes; a real one has some 300.
const INFO_SIZE: u64 = 16 << 10;
/// What the serving process writes for the others, readable by their user only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::service) struct Info {
    pub(in crate::service) url: String,
    /// The Unix socket, relative to the data directory or absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) socket: Option<PathBuf>,
    pub(super) token: Option<String>,
    pub(in crate::service) pid: u32,
    pub(in crate::service) version: String,
    /// The store's id, to detect a service of another store on a reused port.
    pub(super) store: Uuid,
}

impl Info {
    /// A client of the service described by this info, in `dir`. `None` if there is no safe way to connect.
    fn client(&self, dir: &Path) -> Option<Client> {
        let socket = self.socket.as_ref().map(|socket| dir.join(socket));
        if cfg!(unix) && socket.is_none() {
            return None;
        }
        client(&self.url, self.token.clone(), socket).ok()
    }
}

pub(super) fn client(
    url: &str,
    token: Option<String>,
    socket: Option<PathBuf>,
) -> Result<Client, pieces::Error> {
    let base = BaseUrl::parse(url, PlainHttp::Loopback);
    let base = base.map_err(|refusal| pieces::Error::offline(refusal.to_string()))?;
    Client::local(base, token, socket)
}

/// Whether the service described by `info` is running and serves this store.
pub(in crate::service) async fn answers(dir: &Path, info: &Info) -> bool {
    let Some(client) = info.client(dir) else {
        return false;
    };
    let expected = format!("ok:{}", info.store);
    matches!(timeout(HEALTH, client.health()).await, Ok(Ok(health)) if health == expected)
}

pub(in crate::service) fn read_info(dir: &Path) -> Option<Info> {
    let text = private::read(&dir.join(INFO), INFO_SIZE).ok()?;
    serde_json::from_slice(&text).ok()
}

pub(super) fn write_info(path: &Path, info: &Info) -> Result<(), ServiceError> {
    let text = serde_json::to_vec_pretty(info)
        .map_err(|error| ServiceError::Internal(error.to_string()))?;
    private::write(path, &text).map_err(ServiceError::unusable(path))
}
