//! The local service as the other end of a copy.

use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

use super::Error;
use crate::pieces::{BaseUrl, Client};
use crate::service::{self, Attached};

/// The local service of a data directory, served by this process or another one.
pub(super) struct Local {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) notice: Option<String>,
    attached: Attached,
    /// An empty store that stands in for one that is not there, so that nothing is written.
    scratch: Option<PathBuf>,
}

impl Local {
    pub(super) async fn attach(data_dir: &Path) -> Result<Self, Error> {
        let options = service::Options {
            data_dir: data_dir.to_owned(),
            port: 0,
            token: true,
        };
        let mut attached = service::attach(&options).await?;
        let base = BaseUrl::parse(&attached.url, false);
        let base = base.map_err(|refusal| Error::new(refusal.to_string()))?;
        Ok(Self {
            client: Client::new(base, attached.token.clone())?,
            url: attached.url.clone(),
            notice: attached.notice.take(),
            attached,
            scratch: None,
        })
    }

    /// The same for looking only: a store that is not there is not made.
    pub(super) async fn attach_unwritten(data_dir: &Path) -> Result<Self, Error> {
        if service::has_store(data_dir) {
            return Self::attach(data_dir).await;
        }
        let scratch = std::env::temp_dir().join(format!("pieces-lsp-{}", Uuid::new_v4()));
        let mut local = Self::attach(&scratch).await?;
        local.scratch = Some(scratch);
        Ok(local)
    }

    pub(super) async fn detach(self) {
        self.attached.shutdown().await;
        if let Some(scratch) = self.scratch {
            // It is in the system's directory for temporary files, and empty.
            let _ = tokio::fs::remove_dir_all(scratch).await;
        }
    }

    /// What became of the objects of `body`, in its order.
    pub(super) async fn post(client: &Client, body: Vec<u8>) -> Result<Vec<Value>, Error> {
        let mut answer = client.post_bytes("/pieces-lsp/import", body).await.map_err(
            |error| match error.status {
                Some(404) => Error::new(
                    "The local service is of an older pieces-lsp; end the other pieces-lsp processes and try again.",
                ),
                _ => error.into(),
            },
        )?;
        match answer.get_mut("outcomes").map(Value::take) {
            Some(Value::Array(outcomes)) => Ok(outcomes),
            _ => Err(Error::new(
                "The local service answered something unexpected; end the other pieces-lsp processes and try again.",
            )),
        }
    }
}
