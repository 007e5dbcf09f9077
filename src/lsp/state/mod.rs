//! The state of a session with one editor. The floors above read and change it.

pub(crate) mod asks;
pub(crate) mod asset_names;
pub(crate) mod capabilities;
pub(crate) mod document;
pub(crate) mod event;
pub(crate) mod in_flight;
pub(crate) mod saved;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod stale;
pub(crate) mod talks;
pub(crate) mod transcripts;
pub(crate) mod trash;

use asks::Asks;
use asset_names::AssetNames;
use capabilities::Flags;
use dashmap::{DashMap, DashSet};
use document::Documents;
use event::Event;
use in_flight::InFlightWrites;
use saved::SavedAssets;
use serde_json::Value;
use session::{Launch, Session};
use settings::{Configuration, Settings};
use stale::Stale;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use talks::Talks;
use tokio::sync::{Mutex, mpsc};
use tower_lsp::Client;
use transcripts::Transcripts;
use uuid::Uuid;

/// Everything that the handlers and tasks of one session share.
pub(crate) struct Server {
    /// The editor.
    pub client: Client,
    pub session: Arc<Session>,
    pub documents: Documents,
    pub writes: InFlightWrites,
    pub transcripts: Arc<Transcripts>,
    pub asset_names: Arc<AssetNames>,
    /// Restored conversations: the old id, and the new one.
    pub restored: DashMap<Uuid, Uuid>,
    pub saved: SavedAssets,
    pub asks: Arc<Asks>,
    /// The conversations of which this session wrote a copy.
    pub copies: DashSet<Uuid>,
    /// The user was asked whether to use a model on this machine, and did not say yes.
    pub asked_for_model: AtomicBool,
    /// Whether a task refreshes open conversations at the next midnight.
    pub awaits_midnight: AtomicBool,
    pub configuration: Configuration,
    pub stale: Stale,
    pub talks: Talks,
    /// Whether `liveUpdates` was on when the settings were last applied.
    pub live: AtomicBool,
    /// Of `pieces/didChangeConversations`. Locked while sending, so that revisions stay in order.
    pub last_sent_revision: Mutex<u64>,
    events: mpsc::UnboundedSender<Event>,
    /// The parameters of `initialize`, once they have arrived.
    initialize_params: Arc<OnceLock<Value>>,
    flags: OnceLock<Flags>,
}

impl Server {
    pub fn new(
        client: Client,
        launch: Launch,
        initialize_params: Arc<OnceLock<Value>>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        Server {
            client,
            session: Arc::new(Session::new(launch, events.clone())),
            documents: Documents::default(),
            writes: InFlightWrites::default(),
            transcripts: Arc::default(),
            asset_names: Arc::default(),
            restored: DashMap::new(),
            saved: SavedAssets::default(),
            asks: Arc::default(),
            copies: DashSet::new(),
            asked_for_model: AtomicBool::new(false),
            awaits_midnight: AtomicBool::new(false),
            configuration: Configuration::default(),
            stale: Stale::default(),
            talks: Talks::default(),
            live: AtomicBool::new(false),
            last_sent_revision: Mutex::default(),
            events,
            initialize_params,
            flags: OnceLock::new(),
        }
    }

    /// The capabilities of the editor; before `initialize`, none.
    pub fn flags(&self) -> Flags {
        let params = self.initialize_params.get();
        let read = |params| *self.flags.get_or_init(|| Flags::read(params));
        params.map(read).unwrap_or_default()
    }

    /// The `initializationOptions`, or null.
    pub fn initialization_options(&self) -> Value {
        let params = self.initialize_params.get();
        params.map_or(Value::Null, |params| {
            params["initializationOptions"].clone()
        })
    }

    /// The commands that the client wants as links in hovers, with their titles: `experimental.pieces.
    /// hoverCommands` of its capabilities.
    pub fn hover_commands(&self) -> Vec<(&'static str, String)> {
        let params = self.initialize_params.get();
        params.map(capabilities::hover_commands).unwrap_or_default()
    }

    /// The current settings.
    pub fn settings(&self) -> Arc<Settings> {
        self.configuration.settings()
    }

    /// Reports something to upkeep.
    pub fn report(&self, event: Event) {
        // Upkeep receives events for as long as the process runs.
        let _ = self.events.send(event);
    }
}
