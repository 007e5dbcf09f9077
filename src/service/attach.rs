//! One process serves a data directory; the others find it. When it ends, another process takes over.

mod info;
mod running;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use etcetera::BaseStrategy as _;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep},
};
use uuid::Uuid;

pub(super) use self::info::{answers, read_info};
pub use self::running::{Attached, Role};
use self::{
    info::{Info, write_info},
    running::{AnswersHandle, Server, StoreHandle},
};
use crate::private::{self, Unusable};

use super::{
    ServiceError,
    answer::{Answers, Asking},
    hold::{Holding, INFO, Watch, only_files},
    http,
    socket::Socket,
    store::{Kind, Opened, STORE, Store, has_any},
};

/// Exists once the user has chosen Pieces OS over the local service.
const AGREED: &str = "use-pieces-os";
/// Timeout for a lock holder that does not answer (yet).
const HOLDER_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval between checks of the lock and of `service.json`.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Length of the accept queue. Beyond it, the system makes a client wait a second.
const BACKLOG: u32 = 1024;

/// Where the data is and how to serve it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds the store, the lock and `service.json`. Created if missing.
    pub data_dir: PathBuf,
    /// Port on 127.0.0.1; 0 means any free port. Used only if this process serves.
    pub port: u16,
    /// Whether requests must carry the per-run token.
    pub token: bool,
    /// How far questions may go.
    pub asking: Asking,
}

/// Serves the store of `options.data_dir`, or finds the process that does.
///
/// Call again after losing the connection: if the serving process is gone, the lock is free and this process
/// takes over. A lock file or `service.json` of a dead process does no harm.
///
/// # Errors
/// The directory or the port cannot be used, the store cannot be opened or is newer than this
/// program, or another process holds the store and has not answered for two seconds.
pub async fn attach(options: &Options) -> Result<Attached, ServiceError> {
    match attach_writable(options).await {
        Err(error) if error.is_read_only() && has_store(&options.data_dir) => {
            tracing::warn!(%error, "the store is opened read-only");
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

/// Serves the store file at `path` read-only to this process alone. Writes nothing beside the file, so it may
/// be a backup on a read-only file system or a store that was set aside.
///
/// # Errors
/// The file cannot be read, or is newer than this program.
pub async fn view(path: &Path) -> Result<Attached, ServiceError> {
    let (listener, port) = listen(0)?;
    let ways = Ways {
        listener,
        port,
        token: Some(new_token()?),
        // There are no other clients, and the port stays bound until the end.
        socket: None,
        place: None,
        asking: Asking::default(),
    };
    let watch = Watch::new(path.parent().unwrap_or(path));
    let watching = watch.clone();
    let path = path.to_owned();
    let opened = blocking(move || Store::view(&path, watching)).await?;
    Ok(ways.serve(opened, watch))
}

async fn attach_writable(options: &Options) -> Result<Attached, ServiceError> {
    let dir = options.data_dir.clone();
    blocking(move || private_dir(&dir)).await?;
    let deadline = Instant::now() + HOLDER_TIMEOUT;
    loop {
        let dir = options.data_dir.clone();
        if let Some(holding) = blocking(move || Holding::acquire(&dir)).await? {
            return serve(options, holding).await;
        }
        let dir = options.data_dir.clone();
        let info = blocking(move || Ok(read_info(&dir))).await?;
        if let Some(info) = &info
            && answers(&options.data_dir, info).await
        {
            return Ok(Attached {
                socket: info.socket.as_ref().map(|path| options.data_dir.join(path)),
                url: info.url.clone(),
                token: info.token.clone(),
                role: Role::Client,
                notice: None,
                server: None,
            });
        }
        if Instant::now() >= deadline {
            let holder = match info {
                None => "its process is not known".to_owned(),
                Some(info) if cfg!(unix) && info.socket.is_none() => {
                    format!("process {}, of an older version", info.pid)
                }
                Some(info) => format!("process {}", info.pid),
            };
            return Err(ServiceError::Holder {
                path: options.data_dir.clone(),
                holder,
            });
        }
        sleep(POLL_INTERVAL).await;
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

/// Whether the directory has a store. One that cannot be looked into counts as having one.
pub fn has_store(data_dir: &Path) -> bool {
    data_dir.join(STORE).try_exists().unwrap_or(true)
}

/// Whether the store of this directory has conversations. An unreadable store counts as having some.
pub async fn has_conversations(data_dir: &Path) -> bool {
    let dir = data_dir.to_owned();
    let looking = spawn_blocking(move || {
        has_store(&dir)
            && (only_files(&dir).is_err()
                || has_any(&dir.join(STORE), Kind::Conversation).unwrap_or(true))
    });
    looking.await.unwrap_or(true)
}

/// Whether the user agreed to use Pieces OS although the owner of its process is unknown.
pub async fn prefers_pieces_os(data_dir: &Path) -> bool {
    let path = data_dir.join(AGREED);
    spawn_blocking(move || path.exists()).await.unwrap_or(false)
}

/// Remembers that choice. Best effort: on failure the user is asked again.
pub async fn prefer_pieces_os(data_dir: &Path) {
    let path = data_dir.join(AGREED);
    let written = spawn_blocking(move || private::write(&path, b"")).await;
    if !matches!(written, Ok(Ok(()))) {
        tracing::warn!("cannot save the choice of Pieces OS");
    }
}

async fn serve(options: &Options, holding: Holding) -> Result<Attached, ServiceError> {
    let (listener, port) = listen(options.port)?;
    let token = if options.token {
        Some(new_token()?)
    } else {
        None
    };

    let dir = options.data_dir.clone();
    let url = format!("http://127.0.0.1:{port}");
    let mut info = Info {
        url,
        socket: None,
        token: token.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: Uuid::nil(),
    };
    let watch = holding.watch();
    let watching = watch.clone();
    let (opened, socket, place) = blocking(move || {
        let (socket, place) = bind_socket(&dir, &holding)?;
        info.socket = place.clone();
        let announced = holding.announcing();
        let opened = Store::open(&dir, watching, holding)?;
        info.store = opened.store.id();
        // From here on connections wait in the listeners' queues, so the service can be announced.
        let path = dir.join(INFO);
        write_info(&path, &info)?;
        announced().map_err(ServiceError::unusable(path))?;
        Ok((opened, socket, place))
    })
    .await?;
    let ways = Ways {
        listener,
        port,
        token,
        socket: Some(socket),
        place: place.map(|place| options.data_dir.join(place)),
        asking: options.asking,
    };
    Ok(ways.serve(opened, watch))
}

/// How clients reach the service.
struct Ways {
    listener: TcpListener,
    port: u16,
    token: Option<String>,
    socket: Option<Socket>,
    /// The socket's path.
    place: Option<PathBuf>,
    asking: Asking,
}

impl Ways {
    fn serve(self, opened: Opened, watch: Watch) -> Attached {
        let (stop, stopped) = watch::channel(false);
        let answers = Answers::new(opened.store.clone(), self.asking);
        let (router, upkeep) = http::router(
            opened.store.clone(),
            answers.clone(),
            self.port,
            self.token.as_deref(),
            stopped.clone(),
        );
        let ended = StopOnDrop(stop.clone());
        let serving = http::run(self.listener, self.socket, router, stopped);
        let task = tokio::spawn(async move {
            let _ended = ended;
            serving.await;
        });
        tokio::spawn(end_answers(answers.clone(), stop.subscribe()));
        tokio::spawn(stop_when_lost(watch.clone(), stop.clone()));
        if opened.store.is_writable() {
            tokio::spawn(upkeep);
        }
        Attached {
            url: format!("http://127.0.0.1:{}", self.port),
            token: self.token,
            role: Role::Serving,
            notice: opened.notice,
            socket: self.place,
            server: Some(Server {
                stop,
                task: Some(task),
                store: StoreHandle(opened.store),
                answers: AnswersHandle(answers),
                watch,
            }),
        }
    }
}

/// Ends the answers once the service stops, so that they are stored as far as they got.
async fn end_answers(answers: Arc<Answers>, mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
    answers.end().await;
}

/// Listens on 127.0.0.1 with a queue for a burst of connections.
fn listen(port: u16) -> Result<(TcpListener, u16), ServiceError> {
    check_clock(SystemTime::now())?;
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        // On Windows this option would let other processes share the port.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let listener = socket.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    };
    bind().map_err(|source| ServiceError::Port { port, source })
}

fn check_clock(now: SystemTime) -> Result<(), ServiceError> {
    match now < UNIX_EPOCH {
        true => Err(ServiceError::Clock),
        false => Ok(()),
    }
}

#[cfg(unix)]
fn bind_socket(dir: &Path, holding: &Holding) -> Result<(Socket, Option<PathBuf>), ServiceError> {
    let socket = holding
        .identity()
        .and_then(|lock| Socket::bind(dir, lock))
        .map_err(ServiceError::unusable(dir))?;
    let place = socket.place(dir);
    Ok((socket, Some(place)))
}

#[cfg(not(unix))]
fn bind_socket(_: &Path, _: &Holding) -> Result<(Socket, Option<PathBuf>), ServiceError> {
    Ok((Socket, None))
}

/// Signals that serving has ended, also after a panic.
struct StopOnDrop(watch::Sender<bool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Ends the service when its data directory is gone: another process may serve what is there now.
async fn stop_when_lost(watch: Watch, stop: watch::Sender<bool>) {
    let mut stopped = stop.subscribe();
    tokio::select! {
        () = watch.lost() => {
            stop.send_replace(true);
        }
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

fn private_dir(dir: &Path) -> Result<(), ServiceError> {
    private::own_dir(dir).map_err(|unusable| match unusable {
        Unusable::Io(source) => ServiceError::unusable(dir)(source),
        Unusable::Foreign => ServiceError::Foreign { path: dir.into() },
        Unusable::Shared => ServiceError::Shared { path: dir.into() },
    })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_1970_is_refused() {
        let second = Duration::from_secs(1);
        let refused = check_clock(UNIX_EPOCH - second).unwrap_err().to_string();
        assert!(refused.contains("before 1970; set it"), "{refused}");
        assert!(check_clock(UNIX_EPOCH).is_ok());
    }
}
