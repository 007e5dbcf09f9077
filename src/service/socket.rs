//! The Unix socket over which our own windows reach the service.
//!
//! Any process can take a TCP port once its owner has ended. This socket is in a directory that only its user
//! can write to, and only that user can open it, so no other user can impersonate the service. Systems
//! without Unix sockets use the port.

#[cfg(unix)]
pub(super) use unix::Socket;

#[cfg(not(unix))]
pub(super) use other::Socket;

#[cfg(unix)]
mod unix {
    use std::{
        fs,
        io::{self, ErrorKind},
        os::unix::{
            fs::{FileTypeExt as _, PermissionsExt as _},
            net as std_net,
        },
        path::{Path, PathBuf},
    };

    use tokio::net::{UnixListener, UnixStream};

    use crate::private::{self, Identity};

    /// In the data directory.
    const NAME: &str = "socket";

    /// A listening socket. Dropping it removes its file.
    #[derive(Debug)]
    pub(in crate::service) struct Socket {
        listener: Option<UnixListener>,
        file: Bound,
    }

    /// The path of the socket.
    #[derive(Debug)]
    struct Bound {
        path: PathBuf,
        identity: Identity,
    }

    impl Drop for Bound {
        fn drop(&mut self) {
            // Another process may have taken over.
            if Identity::at(&self.path).ok() == Some(self.identity) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    impl Socket {
        /// Listens in `dir`, or in a directory with a shorter path. The holder of `dir` (`lock` is its lock
        /// file) may replace the socket of an earlier process. Blocking; needs a runtime.
        ///
        /// # Errors
        /// Neither directory can have a socket.
        pub(in crate::service) fn bind(dir: &Path, lock: Identity) -> io::Result<Self> {
            bind_at(&dir.join(NAME)).or_else(|error| {
                let elsewhere = short_dir()?.join(format!("{lock}.socket"));
                bind_at(&elsewhere).map_err(|_| error)
            })
        }

        /// The path for clients, relative to the data directory if possible.
        pub(in crate::service) fn place(&self, dir: &Path) -> PathBuf {
            let path = &self.file.path;
            path.strip_prefix(dir).unwrap_or(path).to_owned()
        }

        /// The next connection of this user. Cancel safe.
        pub(in crate::service) async fn accept(&mut self) -> UnixStream {
            loop {
                let Some(listener) = &mut self.listener else {
                    return std::future::pending().await;
                };
                let (io, _) = axum::serve::Listener::accept(listener).await;
                if is_ours(&io) {
                    return io;
                }
            }
        }

        /// Stops accepting; returns the connections that are already queued.
        pub(in crate::service) fn close(mut self) -> Vec<UnixStream> {
            let listener = self.listener.take().map(UnixListener::into_std);
            // From here on clients do not find it, so its queue is final.
            drop(self.file);
            let Some(Ok(listener)) = listener else {
                return Vec::new();
            };
            let waiting = std::iter::from_fn(|| listener.accept().ok());
            let waiting = waiting.filter_map(|(io, _)| {
                io.set_nonblocking(true).ok()?;
                UnixStream::from_std(io).ok()
            });
            waiting.filter(is_ours).collect()
        }
    }

    /// Checked again because some systems ignore the permissions of sockets.
    fn is_ours(io: &UnixStream) -> bool {
        let us = rustix::process::geteuid();
        io.peer_cred()
            .is_ok_and(|peer| peer.uid() == us.as_raw() || peer.uid() == 0)
    }

    fn bind_at(path: &Path) -> io::Result<Socket> {
        match fs::symlink_metadata(path) {
            // It belonged to a process that was killed: we hold the lock.
            Ok(meta) if meta.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = std_net::UnixListener::bind(path)?;
        let file = Bound {
            path: path.to_owned(),
            identity: Identity::at(path)?,
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Socket {
            listener: Some(UnixListener::from_std(listener)?),
            file,
        })
    }

    /// A directory of this user whose path leaves room for a name: socket addresses are limited to about a
    /// hundred bytes.
    fn short_dir() -> io::Result<PathBuf> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        let base = runtime.map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = base.join(format!(
            "pieces-lsp-{}",
            rustix::process::geteuid().as_raw()
        ));
        private::own_dir(&dir).map_err(io::Error::other)?;
        Ok(dir)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::{Read as _, Write as _};

        fn lock(dir: &Path) -> Identity {
            fs::write(dir.join("lock"), "").unwrap();
            Identity::at(&dir.join("lock")).unwrap()
        }

        #[tokio::test]
        async fn it_is_private_replaces_a_stale_one_and_is_removed_on_drop() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(NAME);
            drop(std_net::UnixListener::bind(&path).unwrap());
            let socket = Socket::bind(dir.path(), lock(dir.path())).unwrap();
            assert_eq!(socket.place(dir.path()), Path::new(NAME));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(socket);
            assert!(!path.exists());
        }

        #[tokio::test]
        async fn a_path_that_is_too_long_uses_another_directory() {
            let outer = tempfile::tempdir().unwrap();
            let dir = outer.path().join("x".repeat(120));
            fs::create_dir(&dir).unwrap();
            let mut socket = Socket::bind(&dir, lock(&dir)).unwrap();
            let place = dir.join(socket.place(&dir));
            assert!(!place.starts_with(&dir), "{}", place.display());
            let connected = UnixStream::connect(&place).await.unwrap();
            socket.accept().await;
            drop((connected, socket));
            assert!(!place.exists());
        }

        #[tokio::test]
        async fn a_foreign_file_is_not_replaced() {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(NAME), "somebody's").unwrap();
            let socket = Socket::bind(dir.path(), lock(dir.path())).unwrap();
            assert_ne!(socket.place(dir.path()), Path::new(NAME));
            drop(socket);
            assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), b"somebody's");
        }

        #[tokio::test]
        async fn connections_made_before_the_end_are_served() {
            let dir = tempfile::tempdir().unwrap();
            let socket = Socket::bind(dir.path(), lock(dir.path())).unwrap();
            let path = dir.path().join(NAME);
            let mut clients: Vec<_> = (0..3)
                .map(|_| std_net::UnixStream::connect(&path).unwrap())
                .collect();
            for client in &mut clients {
                client.write_all(b"?").unwrap();
            }
            let served = socket.close();
            assert_eq!(served.len(), 3);
            assert!(std_net::UnixStream::connect(&path).is_err());
            for io in served {
                let mut io = io.into_std().unwrap();
                io.set_nonblocking(false).unwrap();
                let mut byte = [0];
                io.read_exact(&mut byte).unwrap();
            }
        }
    }
}

#[cfg(not(unix))]
mod other {
    use tokio::net::TcpStream;

    /// No socket: clients use the port.
    #[derive(Debug)]
    pub(in crate::service) struct Socket;

    impl Socket {
        pub(in crate::service) async fn accept(&mut self) -> TcpStream {
            std::future::pending().await
        }

        pub(in crate::service) fn close(self) -> Vec<TcpStream> {
            Vec::new()
        }
    }
}
