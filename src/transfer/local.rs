//! The local service as the target or source of a copy.

use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

use super::Error;
use crate::pieces::{Client, Kind};
use crate::service::{self, Attached};

/// The local service of a data directory, served by this process or another one.
pub(super) struct Local {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) notice: Option<String>,
    attached: Attached,
    /// A temporary empty store in place of a missing one, so that nothing is written. Removed after the
    /// service that uses it.
    scratch: Option<Scratch>,
}

/// A directory that is removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: it is in the system's temporary directory and empty of content.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Local {
    pub(super) async fn attach(data_dir: &Path) -> Result<Self, Error> {
        let options = service::Options {
            data_dir: data_dir.to_owned(),
            port: 0,
            token: true,
            asking: service::Asking::default(),
        };
        Self::of(service::attach(&options).await?)
    }

    fn of(mut attached: Attached) -> Result<Self, Error> {
        Ok(Self {
            client: attached.client()?,
            url: attached.url.clone(),
            notice: attached.notice.take(),
            attached,
            scratch: None,
        })
    }

    /// The same for reading only: a missing store is not created, and `data_dir` may be a store file, such as
    /// one that was set aside.
    pub(super) async fn attach_unwritten(data_dir: &Path) -> Result<Self, Error> {
        if data_dir.is_file() {
            return Self::of(service::view(data_dir).await?);
        }
        if service::has_store(data_dir) {
            return Self::attach(data_dir).await;
        }
        let scratch = std::env::temp_dir().join(format!("pieces-lsp-{}", Uuid::new_v4()));
        let scratch = Scratch(scratch);
        let mut local = Self::attach(&scratch.0).await?;
        local.scratch = Some(scratch);
        Ok(local)
    }

    /// Whether an empty store stands for a missing one.
    pub(super) fn is_scratch(&self) -> bool {
        self.scratch.is_some()
    }

    pub(super) async fn detach(self) {
        self.attached.shutdown().await;
    }

    /// The outcomes of the objects of `body`, in the same order.
    pub(super) async fn post(client: &Client, body: Vec<u8>) -> Result<Vec<Value>, Error> {
        let posted = client.post_bytes("/pieces-lsp/import", body).await;
        let mut answer = posted.map_err(|error| match (error.status, error.kind) {
            (Some(404), _) => Error::new(
                "The local service is of an older pieces-lsp; end the other pieces-lsp processes and try again.",
            ),
            // The process that served it has ended, or is ending.
            (_, Kind::Offline | Kind::Timeout) => Error::new(
                "The local service ended; run the import again.",
            ),
            _ => error.into(),
        })?;
        match answer.get_mut("outcomes").map(Value::take) {
            Some(Value::Array(outcomes)) => Ok(outcomes),
            _ => Err(Error::new(
                "The local service sent an unexpected response; end the other pieces-lsp processes and try again.",
            )),
        }
    }
}
