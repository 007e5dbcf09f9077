//! The demo's environment: a temporary directory with a local service.

use crate::pieces::Client;
use crate::service::{self, Attached, Role};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A temporary directory of this demo. Removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Creates one among the temporary files, for this user only.
    pub(super) fn new() -> Result<Self, String> {
        let parent = std::env::temp_dir();
        let path = parent.join(format!("pieces-lsp-demo-{}", Uuid::new_v4().simple()));
        #[cfg_attr(not(unix), expect(unused_mut, reason = "has no permissions to set"))]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| {
            let parent = parent.display();
            format!("Cannot create a directory in {parent} ({error}); set TMPDIR to a writable directory")
        })?;
        Ok(Scratch(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file; returns its path.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        fs::write(&path, text)
            .map_err(|error| format!("{} cannot be written ({error})", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "not removed; please remove it");
            }
            _ => {}
        }
    }
}

/// Serves a new store in `data_dir`; returns the service, and a client that plays another program.
pub(super) async fn serve(data_dir: PathBuf) -> Result<(Attached, Client), String> {
    let options = service::Options {
        data_dir,
        port: 0,
        token: true,
        asking: service::Asking::default(),
    };
    let attached = service::attach(&options)
        .await
        .map_err(|error| error.to_string())?;
    if attached.role != Role::Serving {
        return Err("Another process serves the new store".into());
    }
    let client = attached.client().map_err(|error| error.to_string())?;
    Ok((attached, client))
}
