//! What the session with one editor shares: its state, which the floors above read and change.

pub(crate) mod asset_names;
pub(crate) mod capabilities;
pub(crate) mod document;
pub(crate) mod in_flight;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod transcripts;

use crate::index::Conversation;
use crate::lsp::features::diagnostics::Published;
use crate::lsp::text::item;
use crate::lsp::upkeep::offers::Offers;
use asset_names::AssetNames;
use capabilities::Flags;
use dashmap::DashMap;
use document::Documents;
use in_flight::Posts;
use serde_json::Value;
use session::Session;
use settings::{Layers, Settings};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::Notify;
use tower_lsp::Client;
use transcripts::Transcripts;
use uuid::Uuid;

/// The server behind one editor.
pub(crate) struct Server {
    /// The editor.
    pub client: Client,
    /// The connection to the conversations.
    pub session: Session,
    /// The open documents.
    pub documents: Documents,
    /// What is being written.
    pub posts: Posts,
    /// The conversations that were read.
    pub transcripts: Transcripts,
    /// What was offered.
    pub offers: Offers,
    /// The names of assets.
    pub asset_names: AssetNames,
    /// The diagnostics that the client has.
    pub published: Published,
    /// Restored conversations: the id that each had, and the one it has.
    pub restored: DashMap<Uuid, Uuid>,
    /// The assets that were saved from documents here.
    pub saved: DashMap<u64, Uuid>,
    /// Wakes the task that brings derived things up to date.
    pub stale: Notify,
    /// Lenses and hints are among them.
    pub stale_views: AtomicBool,
    pub initialize_params: Arc<OnceLock<Value>>,
    pub flags: OnceLock<Flags>,
    pub layers: Mutex<Layers>,
    pub settings: arc_swap::ArcSwap<Settings>,
    /// Whether the client follows our live updates.
    pub live: AtomicBool,
    /// The newest revision that the client was told of. Held while telling.
    pub told: tokio::sync::Mutex<u64>,
}

impl Server {
    /// What the client can do.
    pub fn flags(&self) -> Flags {
        self.flags.get().copied().unwrap_or_default()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The Status of the protocol.
    pub fn status(&self) -> Value {
        let total = self.session.reader().snapshot().len();
        item::status_object(&self.session.status(), total)
    }

    /// The files that a conversation is tied to.
    pub fn files_of(&self, one: &Conversation) -> Vec<String> {
        let index = self.session.reader();
        let anchors = one.anchors.iter().filter_map(|id| index.ties().anchor(*id));
        let mut files: Vec<String> = anchors.flat_map(|anchor| anchor.paths.clone()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Lenses, hints and diagnostics may have changed.
    pub fn views_changed(&self) {
        self.stale_views.store(true, Ordering::Relaxed);
        self.stale.notify_one();
    }
}
