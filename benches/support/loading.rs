//! Loading a list: the real binary, and what only receives it.

use super::editor::Editor;
use super::service::Service;
use super::{BINARY, process, settle, time};
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// What one load took.
pub struct Load {
    /// From GET to live.
    pub took: Duration,
    /// Resident memory in kB, once everything is there.
    pub loaded: u64,
    /// The most that was resident until then.
    pub peak: u64,
}

/// A language server that follows a service.
pub fn open(service: &Service) -> Editor {
    let mut command = Command::new(BINARY);
    command.args(["--backend", "pieces-os", "--url", &service.url()]);
    Editor::open(&mut command, json!({"liveUpdates": true}))
}

/// A new language server loads everything.
pub fn load(service: &Service) -> Load {
    service.seen();
    let mut editor = open(service);
    let took = editor.live() - service.seen().listed.unwrap();
    settle();
    let page = editor.execute("pieces.conversations.list", json!({"limit": 1}));
    assert_eq!(page["total"], service.conversations());
    Load {
        took,
        loaded: process::memory(editor.pid(), "VmRSS"),
        peak: process::memory(editor.pid(), "VmHWM"),
    }
}

/// Receives the list with the HTTP client of the language server and throws it away.
pub struct Receiver {
    runtime: Runtime,
    client: reqwest::Client,
}

impl Receiver {
    pub fn new() -> Receiver {
        Receiver {
            runtime: Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub fn receive(&self, service: &Service) -> Duration {
        let request = self.client.get(format!("{}/conversations", service.url()));
        time(|| {
            // Spawned, as the language server does: `block_on` would pin it to this thread.
            let receiving = self.runtime.spawn(async move {
                let mut received = 0;
                let mut response = request.send().await.unwrap();
                while let Some(chunk) = response.chunk().await.unwrap() {
                    received += chunk.len();
                }
                received
            });
            let received = self.runtime.block_on(receiving).unwrap();
            assert_eq!(received, service.list_length());
        })
    }
}
