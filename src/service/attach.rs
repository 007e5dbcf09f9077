//! One process serves a data directory, the others find it; when it ends, another takes over.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use etcetera::BaseStrategy as _;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use crate::private;

use super::{
    ServiceError, http,
    store::{Opened, STORE, Store},
};

/// How long a holder that does not answer (yet) is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at the lock and the file.
const LOOK: Duration = Duration::from_millis(25);
/// How long the holder may take to answer its health route.
const HEALTH: Duration = Duration::from_millis(500);
/// What is read of `service.json`, which has some 250 bytes.
const INFO: u64 = 16 << 10;
/// How long open requests may take to finish at the end, and then the store.
const FAREWELL: Duration = Duration::from_millis(200);

/// Where the data lies and how it is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds the store, the lock and `service.json`. Made if it is not there.
    pub data_dir: PathBuf,
    /// Port on 127.0.0.1; 0 = any that is free. Counts only if this process comes to serve.
    pub port: u16,
    /// Whether requests must carry the per-run token.
    pub token: bool,
}

/// What this process is to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It holds the lock and serves.
    Serving,
    /// Another process serves.
    Client,
}

/// A service that answered. While serving, dropping this stops the server without waiting for it.
#[derive(Debug)]
pub struct Attached {
    /// Base URL, `http://127.0.0.1:PORT`.
    pub url: String,
    /// To be sent as `Authorization: Bearer …`; `None` if the service asks for none.
    pub token: Option<String>,
    /// Who serves.
    pub role: Role,
    /// A sentence that a person should see: a corrupt store was set aside, and where it is.
    pub notice: Option<String>,
    server: Option<Server>,
}

impl Attached {
    /// Stops serving: finishes what has been accepted, closes the store and frees the lock, all
    /// within half a second. As a client, does nothing.
    pub async fn shutdown(mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }
}

#[derive(Debug)]
struct Server {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    store: StoreHandle,
}

struct StoreHandle(Arc<Store>);

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Server {
    async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            let abort = task.abort_handle();
            if timeout(FAREWELL, task).await.is_err() {
                abort.abort();
            }
        }
        let store = self.store.0.clone();
        // Past the deadline the writer still finishes by itself; only nobody waits for it.
        let _ = timeout(FAREWELL, spawn_blocking(move || store.close())).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.store.0.stop();
    }
}

/// What the serving process leaves for the others, readable by their user only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Info {
    pub(super) url: String,
    token: Option<String>,
    pub(super) pid: u32,
    pub(super) version: String,
    /// The store's id, so that a service that took over an old port is not mistaken for ours.
    store: Uuid,
}

/// The lock, for as long as this process has the store open. Dropping it withdraws
/// `service.json` first, then frees the lock.
struct Holding {
    info: PathBuf,
    _lock: File,
}

impl Drop for Holding {
    fn drop(&mut self) {
        // Best effort: a file that stays behind is found to be stale.
        let _ = fs::remove_file(&self.info);
    }
}

/// Serves the store of `options.data_dir`, or finds the process that does.
///
/// To be called again after the connection to a service was lost: if its process is gone, the
/// lock is free and this one takes over. A lock file or `service.json` left by a dead process
/// never stands in the way.
///
/// # Errors
/// The directory or the port cannot be used, the store cannot be opened or is newer than this
/// program, or another process holds the store and has not answered for two seconds.
pub async fn attach(options: &Options) -> Result<Attached, ServiceError> {
    match attach_writable(options).await {
        Err(error) if error.is_read_only() && has_store(&options.data_dir) => {
            tracing::warn!(%error, "the store is only read");
            let mut attached = view(&options.data_dir.join(STORE)).await?;
            let notice = attached.notice.take();
            let sentence = format!(
                "{} is read-only: the conversations in it can be read, but not changed.",
                options.data_dir.display()
            );
            attached.notice =
                Some(notice.map_or(sentence.clone(), |notice| format!("{notice} {sentence}")));
            Ok(attached)
        }
        attached => attached,
    }
}

/// Serves the store file at `path` to this process alone, to be read and not changed. Nothing is written
/// beside it, so it may be a backup on a read-only file system, or one that was set aside.
///
/// # Errors
/// The file cannot be read, or is newer than this program.
pub async fn view(path: &Path) -> Result<Attached, ServiceError> {
    let (listener, port) = listen(0).await?;
    let token = new_token()?;
    let path = path.to_owned();
    let opened = blocking(move || Store::view(&path)).await?;
    Ok(serve_store(opened, listener, port, Some(token)))
}

async fn attach_writable(options: &Options) -> Result<Attached, ServiceError> {
    let dir = options.data_dir.clone();
    blocking(move || private_dir(&dir)).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let dir = options.data_dir.clone();
        if let Some(holding) = blocking(move || try_hold(&dir)).await? {
            return serve(options, holding).await;
        }
        let dir = options.data_dir.clone();
        let info = blocking(move || Ok(read_info(&dir))).await?;
        if let Some(info) = &info
            && answers(info).await
        {
            return Ok(Attached {
                url: info.url.clone(),
                token: info.token.clone(),
                role: Role::Client,
                notice: None,
                server: None,
            });
        }
        if Instant::now() >= deadline {
            let holder = info.map_or_else(
                || "its process is not known".to_owned(),
                |info| format!("process {}", info.pid),
            );
            return Err(ServiceError::Holder {
                path: options.data_dir.clone(),
                holder,
            });
        }
        sleep(LOOK).await;
    }
}

/// `$XDG_DATA_HOME/pieces-lsp` on Unix, `%APPDATA%\pieces-lsp` on Windows.
///
/// # Errors
/// There is no home directory.
pub fn default_data_dir() -> Result<PathBuf, ServiceError> {
    let base = etcetera::choose_base_strategy().map_err(|_| ServiceError::NoHome)?;
    Ok(base.data_dir().join("pieces-lsp"))
}

/// Whether there is a store in this directory already.
pub fn has_store(data_dir: &Path) -> bool {
    data_dir.join(STORE).exists()
}

async fn listen(port: u16) -> Result<(TcpListener, u16), ServiceError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let port_error = |source| ServiceError::Port { port, source };
    let listener = TcpListener::bind(address).await.map_err(port_error)?;
    let port = listener.local_addr().map_err(port_error)?.port();
    Ok((listener, port))
}

async fn serve(options: &Options, holding: Holding) -> Result<Attached, ServiceError> {
    let (listener, port) = listen(options.port).await?;
    let token = if options.token {
        Some(new_token()?)
    } else {
        None
    };

    let dir = options.data_dir.clone();
    let info_path = holding.info.clone();
    let url = format!("http://127.0.0.1:{port}");
    let mut info = Info {
        url: url.clone(),
        token: token.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: Uuid::nil(),
    };
    let opened = blocking(move || {
        let opened = Store::open(&dir, holding)?;
        info.store = opened.store.id();
        // Connections wait in the listener's queue from here on, so it may be announced.
        write_info(&info_path, &info)?;
        Ok(opened)
    })
    .await?;

    Ok(serve_store(opened, listener, port, token))
}

fn serve_store(
    opened: Opened,
    listener: TcpListener,
    port: u16,
    token: Option<String>,
) -> Attached {
    let (stop, stopped) = watch::channel(false);
    let (router, upkeep) = http::router(
        opened.store.clone(),
        port,
        token.as_deref(),
        stopped.clone(),
    );
    let task = tokio::spawn(http::run(listener, router, stopped));
    if opened.store.is_writable() {
        tokio::spawn(upkeep);
    }
    Attached {
        url: format!("http://127.0.0.1:{port}"),
        token,
        role: Role::Serving,
        notice: opened.notice,
        server: Some(Server {
            stop,
            task: Some(task),
            store: StoreHandle(opened.store),
        }),
    }
}

/// Whether the service that `info` tells of is there and is the one of this store.
pub(super) async fn answers(info: &Info) -> bool {
    let port = info
        .url
        .strip_prefix("http://127.0.0.1:")
        .and_then(|port| port.parse::<u16>().ok());
    let Some(port) = port else { return false };
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(HEALTH)
        .build();
    let Ok(client) = client else { return false };
    let mut request = client.get(format!("http://127.0.0.1:{port}/.well-known/health"));
    if let Some(token) = &info.token {
        request = request.bearer_auth(token);
    }
    let Ok(mut answer) = request.send().await else {
        return false;
    };
    let expected = format!("ok:{}", info.store);
    let mut body = Vec::with_capacity(expected.len());
    // A foreign program may answer without end.
    while body.len() <= expected.len() {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return answer.status().is_success() && body == expected.as_bytes(),
            Err(_) => break,
        }
    }
    false
}

fn private_dir(dir: &Path) -> Result<(), ServiceError> {
    match private::own_dir(dir).map_err(ServiceError::unusable(dir))? {
        true => Ok(()),
        false => Err(ServiceError::Foreign { path: dir.into() }),
    }
}

/// The lock, if no other process has it.
fn try_hold(dir: &Path) -> Result<Option<Holding>, ServiceError> {
    let path = dir.join("lock");
    let lock = private::file(&path, File::options().write(true).create(true))
        .map_err(ServiceError::unusable(&path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(ServiceError::unusable(path)(error)),
    }
    let info = dir.join("service.json");
    match fs::remove_file(&info) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ServiceError::unusable(info)(error)),
    }
    Ok(Some(Holding { info, _lock: lock }))
}

pub(super) fn read_info(dir: &Path) -> Option<Info> {
    let path = dir.join("service.json");
    // The doctor looks into directories that nobody has checked; opening a pipe would wait for its other end.
    if !fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(INFO).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn write_info(path: &Path, info: &Info) -> Result<(), ServiceError> {
    let text = serde_json::to_vec_pretty(info)
        .map_err(|error| ServiceError::Internal(error.to_string()))?;
    let draft = path.with_extension("json.tmp");
    let write = || {
        // One that was left behind may be readable by others.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private::file(&draft, File::options().write(true).create_new(true))?.write_all(&text)?;
        fs::rename(&draft, path)
    };
    write().map_err(ServiceError::unusable(path))
}

fn new_token() -> Result<String, ServiceError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| ServiceError::Internal(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    spawn_blocking(job)
        .await
        .unwrap_or_else(|error| Err(ServiceError::Internal(error.to_string())))
}
