//! A stand-in for Pieces OS that misbehaves on demand.
//!
//! It has a runtime of its own: tests may block, async or not. It holds plain JSON and no
//! opinions, so that tests can put anything into it.

mod door;
mod qgpt;
mod routes;

use super::DEADLINE;
use door::{Connection, Door, Entrance};
pub use qgpt::Answer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

/// What streams are about, as their items call it.
const CONVERSATION: &str = "conversation";
const ANCHOR: &str = "anchor";
const ASSET: &str = "asset";
/// In place of what a frame is about: ends the streams of anchors and assets.
const END_OF_TIES: &str = "end of ties";

/// What can go wrong with the answer to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status with this text instead of an answer; nothing is carried out.
    Status(u16, &'static str),
    /// The real answer, this much later.
    Delay(Duration),
    /// Nothing is carried out and no answer ever comes.
    Hang,
    /// Nothing is carried out and the connection is closed.
    Drop,
    /// Carried out, but the connection is closed instead of an answer.
    LoseReply,
    /// Carried out, but no answer ever comes.
    HangReply,
    /// Carried out, but the answer (as of then) comes only with [`StandIn::release_replies`].
    HoldReply,
    /// Half of the real answer, then the connection is closed.
    Truncate,
    /// 200 with this content type and body.
    Body(&'static str, String),
    /// The real answer after an edit.
    Edit(fn(&mut Value)),
}

/// What the first frame of the identifier stream looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirstFrame {
    /// Every id in one frame.
    #[default]
    Whole,
    /// Every id, at most so many in one frame.
    Split(usize),
    /// There is none.
    Missing,
}

/// What the stand-in knows and how it behaves. Change it through [`StandIn::with`].
#[derive(Debug, Default)]
pub struct State {
    /// Objects by id, as they are on the wire.
    pub conversations: BTreeMap<String, Value>,
    pub messages: BTreeMap<String, Value>,
    pub assets: BTreeMap<String, Value>,
    pub anchors: BTreeMap<String, Value>,
    pub annotations: BTreeMap<String, Value>,
    /// Body of the health route.
    pub health: String,
    /// Body of the version route.
    pub version: String,
    /// Only the six documented endpoints exist; the others answer 404 `Route not found`.
    pub six_endpoints_only: bool,
    /// Routes that answer 404 `Route not found`, for example `GET /conversation/{id}`.
    pub switched_off: Vec<String>,
    /// GET of an object that is gone answers 500, as POST does, and not 410.
    pub gone_is_500: bool,
    /// Anchors and assets have identifier streams as well.
    pub tie_streams: bool,
    pub first_frame: FirstFrame,
    /// Frames of changes are sent twice.
    pub frames_twice: bool,
    /// Stream items carry no `updated`.
    pub frames_without_updated: bool,
    /// Changes made here or through the API are not announced.
    pub silent: bool,
    /// The objects of `GET /models`.
    pub models: Vec<Value>,
    /// How questions are answered.
    pub answer: Answer,
    /// What came in over `/qgpt/stream`.
    pub asked: Vec<Value>,
    /// Sockets of `/qgpt/stream` that are open.
    pub ask_sockets: usize,
    /// Changed objects keep their old `updated`.
    pub clock_stopped: bool,
    /// Frames held back by [`StandIn::hold_frames`].
    held: Option<Vec<String>>,
    /// By route, or `*` for all, or `POST *`; with how often it is still to strike.
    faults: Vec<(String, Fault, usize)>,
    requests: Vec<Request>,
    in_flight: usize,
    max_in_flight: usize,
    max_connections: usize,
    held_replies: usize,
    websockets: usize,
    websockets_opened: usize,
    tie_websockets: usize,
    connections: HashMap<SocketAddr, Connection>,
    ticks: i64,
}

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and route, for example `POST /conversations/{id}/delete`; the path itself where
    /// there is no such route.
    pub route: String,
    /// Path and query as sent.
    pub target: String,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    changes: watch::Sender<()>,
    /// Beside each frame, what its stream is about.
    frames: broadcast::Sender<(&'static str, String)>,
    /// Sends off the replies that are held.
    released: watch::Sender<()>,
}

/// A running stand-in. It goes away when dropped, connections and all.
pub struct StandIn {
    shared: Arc<Shared>,
    entrance: Entrance,
    runtime: Option<Runtime>,
    port_file: Option<PathBuf>,
}

impl StandIn {
    /// Starts an empty one on a free port.
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("stand-in")
            .enable_all()
            .build()
            .unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                health: format!("ok:{}", Uuid::new_v4()),
                version: "12.3.1".to_owned(),
                ..State::default()
            }),
            changed: Condvar::new(),
            changes: watch::channel(()).0,
            frames: broadcast::channel(100_000).0,
            released: watch::channel(()).0,
        });
        let entrance = Entrance::open(runtime.handle().clone(), Arc::clone(&shared));
        Self {
            shared,
            entrance,
            runtime: Some(runtime),
            port_file: None,
        }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    pub fn port(&self) -> u16 {
        self.entrance.port
    }

    /// Writes the port to this file, now and whenever it changes.
    pub fn publish_port(&mut self, file: &Path) {
        self.port_file = Some(file.to_owned());
        self.write_port();
    }

    fn write_port(&self) {
        if let Some(file) = &self.port_file {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, format!("{}\n", self.port())).unwrap();
        }
    }

    /// Reads or changes the state.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.shared.with(change)
    }

    /// Waits until the state is so; fails the test after the deadline.
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut(&State) -> bool) {
        let state = self.shared.lock();
        let (_state, waited) = self
            .shared
            .changed
            .wait_timeout_while(state, DEADLINE, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "{what}: not in time");
    }

    /// [`StandIn::wait_until`] for tests that have to let other tasks run meanwhile.
    pub async fn until(&self, what: &str, mut condition: impl FnMut(&State) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        let waiting = async {
            while !condition(&self.shared.lock()) {
                let _ = changes.changed().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(waited.is_ok(), "{what}: not in time");
    }

    // What it holds.

    /// Adds a conversation and announces it; its id.
    pub fn create(&self, name: &str) -> String {
        self.insert(json!({"name": name}))
    }

    /// Adds a conversation with these fields besides the usual ones, and announces it; its id.
    pub fn insert(&self, fields: Value) -> String {
        self.with(|state| {
            let conversation = state.new_conversation(fields);
            self.shared.store(state, conversation)
        })
    }

    /// Adds many at once without announcing them.
    pub fn fill(&self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        self.with(|state| {
            let silent = std::mem::replace(&mut state.silent, true);
            let ids = names.into_iter().map(|name| {
                let conversation = state.new_conversation(json!({"name": name}));
                self.shared.store(state, conversation)
            });
            let ids = ids.collect();
            state.silent = silent;
            ids
        })
    }

    /// Changes a conversation, gives it a new `updated`, and announces it.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Value)) {
        self.with(|state| {
            let mut conversation = state.conversations[id].clone();
            change(&mut conversation);
            state.stamp(&mut conversation);
            self.shared.store(state, conversation);
        });
    }

    pub fn rename(&self, id: &str, name: &str) {
        self.change(id, |conversation| conversation["name"] = name.into());
    }

    /// Deletes a conversation and announces it.
    pub fn delete(&self, id: &str) {
        self.with(|state| self.shared.delete(state, id));
    }

    /// Adds an asset with this text and language; its id.
    pub fn create_asset(&self, name: &str, language: &str, text: &str) -> String {
        self.with(|state| {
            let seed = json!({"asset": {
                "metadata": {"name": name},
                "format": {"fragment": {"string": {"raw": text}, "metadata": {"ext": language}}},
            }});
            let asset = state.new_asset(&seed);
            let id = id_of(&asset);
            state.assets.insert(id.clone(), asset);
            self.shared.announce_tie(ASSET, &id);
            id
        })
    }

    /// Adds an anchor of this file, tied to these assets and conversations; its id.
    pub fn create_anchor(&self, path: &str, assets: &[&str], conversations: &[&str]) -> String {
        self.with(|state| {
            let anchor = state.new_anchor(path, assets, conversations);
            let id = id_of(&anchor);
            state.anchors.insert(id.clone(), anchor);
            for conversation in conversations {
                if let Some(conversation) = state.conversations.get_mut(*conversation) {
                    add_reference(&mut conversation["anchors"], &id);
                }
            }
            self.shared.announce_tie(ANCHOR, &id);
            id
        })
    }

    /// Points an anchor at another file, and announces it.
    pub fn move_anchor(&self, id: &str, path: &str) {
        self.with(|state| {
            let mut anchor = state.anchors[id].clone();
            anchor["points"]["iterable"][0]["reference"]["fullpath"] = path.into();
            state.stamp(&mut anchor);
            state.anchors.insert(id.to_owned(), anchor);
            self.shared.announce_tie(ANCHOR, id);
        });
    }

    // The stream.

    /// Sends a frame to every open stream as it is, whatever else is switched.
    pub fn push_frame(&self, frame: Value) {
        self.push_text(frame.to_string());
    }

    /// The same with text that need not be JSON.
    pub fn push_text(&self, frame: impl Into<String>) {
        // Nobody may be listening.
        let _ = self.shared.frames.send((CONVERSATION, frame.into()));
    }

    /// From now on announcements are held back.
    pub fn hold_frames(&self) {
        self.with(|state| state.held = Some(Vec::new()));
    }

    /// Sends what was held back, in the order that `arrange` makes of it.
    pub fn release_frames(&self, arrange: impl FnOnce(&mut Vec<String>)) {
        let mut held = self.with(|state| state.held.take()).unwrap_or_default();
        arrange(&mut held);
        held.into_iter().for_each(|frame| self.push_text(frame));
    }

    /// Ends the streams of anchors and assets, and only them; new ones work.
    pub fn end_tie_streams(&self) {
        let _ = self.shared.frames.send((END_OF_TIES, String::new()));
    }

    /// Waits until exactly so many streams are open.
    pub fn wait_websockets(&self, count: usize) {
        self.wait_until("open streams", |state| state.websockets == count);
    }

    // What goes wrong.

    /// From now on this goes wrong with this route (`*` for all, `POST *` for one method).
    pub fn fault(&self, route: &str, fault: Fault) {
        self.fault_times(route, fault, usize::MAX);
    }

    /// The next so many times this goes wrong with this route.
    pub fn fault_times(&self, route: &str, fault: Fault, times: usize) {
        self.with(|state| state.faults.push((route.to_owned(), fault, times)));
    }

    /// Sends the answers that are held by [`Fault::HoldReply`].
    pub fn release_replies(&self) {
        self.shared.released.send_replace(());
    }

    /// Takes back all faults of routes, and lets new connections in again.
    pub fn heal(&mut self) {
        self.with(|state| state.faults.clear());
        self.entrance.set(Door::Open);
    }

    /// Closes all connections, and refuses new ones until [`StandIn::heal`].
    pub fn refuse(&mut self) {
        self.entrance.set(Door::Closed);
        self.sever();
    }

    /// New connections are accepted and never answered, until [`StandIn::heal`].
    pub fn accept_silently(&mut self) {
        self.entrance.set(Door::Silent);
    }

    /// Connections that are open now go dead without being closed: nothing is read or written on
    /// them any more. New ones work.
    pub fn freeze(&self) {
        let open: Vec<_> = self.with(|state| state.connections.keys().copied().collect());
        self.entrance.freeze();
        self.wait_until("frozen", |state| {
            let mut open = open
                .iter()
                .filter_map(|address| state.connections.get(address));
            open.all(|connection| connection.frozen)
        });
    }

    /// Closes all open connections.
    pub fn sever(&self) {
        let connections = self.with(|state| std::mem::take(&mut state.connections));
        connections
            .into_values()
            .for_each(|connection| connection.task.abort());
    }

    /// Goes away and comes back on another port, as Pieces OS does on an update.
    pub fn restart_elsewhere(&mut self) {
        self.entrance.set(Door::Closed);
        self.sever();
        self.entrance = Entrance::open(self.entrance.runtime.clone(), Arc::clone(&self.shared));
        self.write_port();
    }

    // What came in.

    /// How many requests of this route (or, with a trailing `*`, of routes that start so).
    pub fn requests(&self, route: &str) -> usize {
        self.with(|state| state.requests(route))
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Request> {
        self.with(|state| state.requests.clone())
    }

    /// The most requests that were in flight at the same time.
    pub fn max_in_flight(&self) -> usize {
        self.with(|state| state.max_in_flight)
    }

    /// The most TCP connections that were open at the same time.
    pub fn max_connections(&self) -> usize {
        self.with(|state| state.max_connections)
    }

    /// Forgets the requests, and what was most of them and of connections.
    pub fn forget_requests(&self) {
        self.with(|state| {
            state.requests.clear();
            state.max_in_flight = state.in_flight;
            state.max_connections = state.connections.len();
        });
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        self.changes.send_replace(());
        result
    }

    /// Stores a conversation and announces it; its id.
    fn store(&self, state: &mut State, conversation: Value) -> String {
        let id = id_of(&conversation);
        let mut item = json!({"conversation": {"id": id}, "updated": conversation["updated"]});
        if state.frames_without_updated {
            item.as_object_mut().unwrap().remove("updated");
        }
        state.conversations.insert(id.clone(), conversation);
        self.announce(state, item);
        id
    }

    fn delete(&self, state: &mut State, id: &str) -> bool {
        let existed = state.conversations.remove(id).is_some();
        if existed {
            self.announce(state, json!({"conversation": {"id": id}, "deleted": true}));
        }
        existed
    }

    /// Tells the streams of anchors or assets, if there are any.
    fn announce_tie(&self, about: &'static str, id: &str) {
        let frame = json!({"iterable": [{about: {"id": id}}]}).to_string();
        // Nobody may be listening.
        let _ = self.frames.send((about, frame));
    }

    fn announce(&self, state: &mut State, item: Value) {
        if state.silent {
            return;
        }
        let frame = json!({"iterable": [item]}).to_string();
        for _ in 0..=usize::from(state.frames_twice) {
            match &mut state.held {
                Some(held) => held.push(frame.clone()),
                None => drop(self.frames.send((CONVERSATION, frame.clone()))),
            }
        }
    }
}

impl State {
    pub fn requests(&self, route: &str) -> usize {
        let matches = |request: &&Request| match route.strip_suffix('*') {
            Some(start) => request.route.starts_with(start),
            None => request.route == route,
        };
        self.requests.iter().filter(matches).count()
    }

    /// Streams that are open.
    pub fn websockets(&self) -> usize {
        self.websockets
    }

    /// Streams of anchors and assets that are open.
    pub fn tie_websockets(&self) -> usize {
        self.tie_websockets
    }

    /// Streams that have ever been opened.
    pub fn websockets_opened(&self) -> usize {
        self.websockets_opened
    }

    /// Answers that are held by [`Fault::HoldReply`].
    pub fn held_replies(&self) -> usize {
        self.held_replies
    }

    /// TCP connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// One second later than the last time.
    fn now(&mut self) -> Value {
        self.ticks += 1;
        let time = jiff::Timestamp::from_second(1_767_225_600 + self.ticks).unwrap();
        json!({"value": format!("{time:.6}"), "readable": "Just now..."})
    }

    fn stamp(&mut self, object: &mut Value) {
        if !self.clock_stopped {
            object["updated"] = self.now();
        }
    }

    fn new_conversation(&mut self, fields: Value) -> Value {
        let now = self.now();
        let mut conversation = json!({
            "schema": {"migration": 20, "semantic": "MAJOR_0_MINOR_0_PATCH_1"},
            "id": Uuid::new_v4(),
            "type": "COPILOT",
            "created": now,
            "updated": now,
            "favorited": false,
            "messages": references([]),
            "annotations": references([]),
            "assets": references([]),
            "anchors": references([]),
            "websites": references([]),
        });
        for (field, value) in fields.as_object().cloned().unwrap_or_default() {
            conversation[field] = value;
        }
        conversation
    }

    fn new_message(&mut self, conversation: &str, role: &str, text: &str) -> Value {
        let now = self.now();
        json!({
            "id": Uuid::new_v4(),
            "created": now,
            "updated": now,
            "role": role,
            "conversation": {"id": conversation},
            "fragment": {"string": {"raw": text}},
        })
    }

    fn new_asset(&mut self, seed: &Value) -> Value {
        let now = self.now();
        let format = &seed["asset"]["format"];
        json!({
            "id": Uuid::new_v4(),
            "name": seed["asset"]["metadata"]["name"],
            "creator": Uuid::new_v4(),
            "created": now,
            "updated": now,
            "mechanism": "MANUAL",
            "formats": references([]),
            "preview": {"base": {"id": Uuid::new_v4()}},
            "original": {"id": Uuid::new_v4(), "reference": {
                "classification": {"specific": format["fragment"]["metadata"]["ext"]},
                "fragment": format["fragment"],
            }},
        })
    }

    fn new_anchor(&mut self, path: &str, assets: &[&str], conversations: &[&str]) -> Value {
        let now = self.now();
        let (id, point) = (Uuid::new_v4(), Uuid::new_v4());
        json!({
            "id": id,
            "type": "FILE",
            "created": now,
            "updated": now,
            "points": {
                "iterable": [{"id": point, "reference": {
                    "id": point,
                    "fullpath": path,
                    "anchor": {"id": id},
                    "created": now,
                    "updated": now,
                }}],
                "indices": {point.to_string(): 0},
            },
            "assets": references(assets.iter().copied()),
            "conversations": references(conversations.iter().copied()),
        })
    }
}

fn id_of(object: &Value) -> String {
    object["id"]
        .as_str()
        .expect("objects have an id")
        .to_owned()
}

/// A `Flattened…` wrapper of these ids.
pub fn references<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let mut wrapper = json!({"iterable": [], "indices": {}});
    ids.into_iter()
        .for_each(|id| add_reference(&mut wrapper, id));
    wrapper
}

fn add_reference(wrapper: &mut Value, id: &str) {
    let items = wrapper["iterable"].as_array_mut().expect("a wrapper");
    let position = items.len();
    items.push(json!({"id": id}));
    wrapper["indices"][id] = position.into();
}
