//! The driver on a paused clock, with a service made of plain values.

use super::{Event, Handle, State, Write, spawn};
use crate::index::{Anchor, Conversation};
use crate::pieces::{BaseUrl, Change, Client, Error, Frame, Kind, Watched};
use crate::sync::backend::{Backend, Resolved};
use crate::sync::machine::{Listing, Touched};
use crate::sync::service::{Finder, Service, Stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// The response to one kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Well,
    Fails(u16),
    Hangs,
}

#[derive(Default)]
struct World {
    down: bool,
    conversations: BTreeMap<Uuid, Conversation>,
    anchors: Vec<Anchor>,
    moods: BTreeMap<&'static str, Mood>,
    streams: Vec<(Watched, mpsc::UnboundedSender<Frame>)>,
    calls: Vec<(&'static str, Duration)>,
    pieces_os: bool,
}

#[derive(Clone)]
struct Fake {
    world: Arc<Mutex<World>>,
    closed: Arc<Notify>,
    began: Instant,
}

fn error(status: u16) -> Error {
    let kind = match status {
        0 => Kind::Offline,
        404 | 410 => Kind::NotFound,
        _ => Kind::Refused,
    };
    Error::new(kind, format!("failed with {status}")).with_status(status, None)
}

impl Fake {
    fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }

    /// Records the call, then responds as configured.
    fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        answer: impl FnOnce(&mut World) -> Result<T, Error> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let fake = self.clone();
        async move {
            let at = fake.began.elapsed();
            let mood = fake.with(|world| {
                world.calls.push((what, at));
                world.moods.get(what).copied().unwrap_or_default()
            });
            match mood {
                Mood::Well => fake.with(answer),
                Mood::Fails(status) => Err(error(status)),
                Mood::Hangs => std::future::pending().await,
            }
        }
    }
}

impl Finder for Fake {
    type Service = Fake;

    async fn find(&self) -> Result<(Fake, Resolved), Error> {
        let answer = |world: &mut World| if world.down { Err(error(0)) } else { Ok(()) };
        self.call("find", answer).await?;
        let resolved = Resolved {
            client: Client::new(BaseUrl::loopback(1), None)?,
            backend: Backend::Local,
            notice: None,
        };
        Ok((self.clone(), resolved))
    }

    async fn pieces_os_appeared(&self) -> bool {
        let answer = |world: &mut World| Ok(world.pieces_os);
        self.call("probe", answer).await.unwrap()
    }

    async fn closed(&self) {
        self.closed.notified().await;
    }
}

impl Service for Fake {
    type Stream = mpsc::UnboundedReceiver<Frame>;

    fn watch(
        &self,
        watched: Watched,
    ) -> impl Future<Output = Result<Self::Stream, Error>> + Send + 'static {
        let what = match watched {
            Watched::Conversations => "watch",
            _ => "watch ties",
        };
        self.call(what, move |world| {
            let (sender, receiver) = mpsc::unbounded_channel();
            world.streams.push((watched, sender));
            Ok(receiver)
        })
    }

    fn list(&self, _: bool) -> impl Future<Output = Result<Listing, Error>> + Send + 'static {
        self.call("list", |world| {
            let mut listing = Listing::default();
            for one in world.conversations.values() {
                listing.conversations.push(one.as_ref());
            }
            Ok(listing)
        })
    }

    fn conversation(
        &self,
        id: Uuid,
    ) -> impl Future<Output = Result<(Conversation, Vec<Anchor>), Error>> + Send + 'static {
        self.call("fetch", move |world| {
            let one = world.conversations.get(&id).cloned();
            one.map(|one| (one, vec![])).ok_or_else(|| error(410))
        })
    }

    fn identifiers(&self) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send + 'static {
        self.call("ids", |world| {
            Ok(world.conversations.keys().copied().collect())
        })
    }

    fn anchors(&self) -> impl Future<Output = Result<Vec<Anchor>, Error>> + Send + 'static {
        self.call("anchors", |world| Ok(world.anchors.clone()))
    }

    fn assets(&self) -> impl Future<Output = Result<Vec<Uuid>, Error>> + Send + 'static {
        self.call("assets", |_| Ok(vec![]))
    }

    fn version(&self) -> impl Future<Output = Result<String, Error>> + Send + 'static {
        self.call("version", |_| Ok("12.3.1".to_owned()))
    }
}

impl Stream for mpsc::UnboundedReceiver<Frame> {
    async fn next(&mut self) -> Result<Frame, Error> {
        self.recv().await.ok_or_else(|| error(0))
    }
}

/// A running driver and its world.
struct Rig {
    fake: Fake,
    handle: Handle,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Rig {
    fn start(world: World) -> Self {
        let fake = Fake {
            world: Arc::new(Mutex::new(world)),
            closed: Arc::new(Notify::new()),
            began: Instant::now(),
        };
        let (sender, events) = mpsc::unbounded_channel();
        let handle = spawn(Arc::new(fake.clone()), sender, 0);
        Rig {
            fake,
            handle,
            events,
        }
    }

    /// A driver that is live.
    async fn live(world: World) -> Self {
        let rig = Rig::start(world);
        rig.until(State::Live).await;
        rig
    }

    async fn until(&self, state: State) {
        let mut status = self.handle.status.clone();
        let reached = status.wait_for(|status| status.state == state);
        timeout(Duration::from_secs(60), reached)
            .await
            .unwrap_or_else(|_| panic!("not {state:?} in time"))
            .unwrap();
    }

    fn mood(&self, what: &'static str, mood: Mood) {
        self.fake.with(|world| world.moods.insert(what, mood));
    }

    fn send(&self, watched: Watched, frame: Frame) {
        self.fake.with(|world| {
            for (what, stream) in &world.streams {
                if *what == watched {
                    let _ = stream.send(frame.clone());
                }
            }
        });
    }

    fn say(&self, change: Change) {
        let frame = Frame::Changes {
            changes: vec![change],
            malformed: false,
        };
        self.send(Watched::Conversations, frame);
    }

    /// Creates or changes one.
    fn put(&self, id: u128, name: &str) -> Uuid {
        let one = conversation(id, name);
        self.fake
            .with(|world| world.conversations.insert(one.id, one));
        Uuid::from_u128(id)
    }

    /// When those calls were sent, since the start.
    fn times(&self, what: &str) -> Vec<Duration> {
        self.fake.with(|world| {
            let calls = world.calls.iter().filter(|(call, _)| *call == what);
            calls.map(|(_, at)| *at).collect()
        })
    }

    fn count(&self, what: &str) -> usize {
        self.times(what).len()
    }

    fn names(&self) -> Vec<String> {
        let snapshot = self.handle.index.snapshot();
        snapshot.iter().map(|one| one.name.to_owned()).collect()
    }

    fn error(&self) -> Option<String> {
        self.handle.status.borrow().error.clone()
    }

    fn state(&self) -> State {
        self.handle.status.borrow().state
    }

    /// Ends all streams.
    fn cut(&self) {
        self.fake.with(|world| world.streams.clear());
    }
}

fn conversation(id: u128, name: &str) -> Conversation {
    Conversation {
        id: Uuid::from_u128(id),
        name: name.to_owned(),
        created: 0,
        updated: 0,
        favorited: false,
        messages: 0,
        assets: vec![],
        anchors: vec![],
        application: String::new(),
        answering: None,
    }
}

fn of(names: &[&str]) -> World {
    let all = (1..).zip(names).map(|(id, name)| conversation(id, name));
    World {
        conversations: all.map(|one| (one.id, one)).collect(),
        ..World::default()
    }
}

fn moody(what: &'static str, mood: Mood) -> World {
    World {
        moods: BTreeMap::from([(what, mood)]),
        ..of(&["a"])
    }
}

fn upsert(id: Uuid) -> Change {
    Change::Upsert { id, updated: None }
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_list_waits_for_the_first_frame_but_not_long() {
    let rig = Rig::live(of(&["a", "b"])).await;
    assert_eq!(rig.times("list"), [200 * MS]);
    assert_eq!(rig.names(), ["a", "b"]);

    let rig = Rig::start(of(&["a"]));
    sleep(50 * MS).await;
    assert_eq!((rig.state(), rig.count("list")), (State::Syncing, 0));
    rig.say(upsert(Uuid::from_u128(1)));
    rig.until(State::Live).await;
    assert_eq!(rig.times("list"), [50 * MS]);
    assert_eq!(rig.count("fetch"), 0, "the list had it");
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_ten_seconds() {
    let rig = Rig::start(World {
        down: true,
        ..World::default()
    });
    sleep(60 * SECOND).await;
    let times = rig.times("find");
    let mut longest = 250 * MS;
    for pair in times.windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause >= longest / 2 && pause <= longest + MS, "{times:?}");
        longest = (longest * 2).min(10 * SECOND);
    }
    assert!(times.len() > 8, "{times:?}");
    assert_eq!(rig.state(), State::Offline);
    assert_eq!(rig.error().as_deref(), Some("failed with 0"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_skips_the_backoff_pause() {
    let rig = Rig::start(World {
        down: true,
        ..World::default()
    });
    sleep(60 * SECOND).await;
    let before = rig.count("find");
    rig.fake.with(|world| world.down = false);
    rig.handle.client(SECOND / 5).await.unwrap();
    assert_eq!(rig.count("find"), before + 1);
    rig.until(State::Live).await;
}

#[tokio::test(start_paused = true)]
async fn many_callers_do_not_cause_a_busy_loop() {
    let rig = Rig::start(World {
        down: true,
        ..World::default()
    });
    sleep(SECOND).await;
    let before = rig.count("find");
    for _ in 0..1000 {
        assert!(rig.handle.client(MS).await.is_err());
    }
    assert!(rig.count("find") - before <= 21, "{}", rig.count("find"));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_seen_and_tried_again() {
    let rig = Rig::start(moody("list", Mood::Fails(500)));
    sleep(SECOND).await;
    assert_eq!(rig.state(), State::Syncing);
    assert_eq!(rig.error().as_deref(), Some("failed with 500"));
    // Frames do not make it more frequent.
    for _ in 0..100 {
        rig.say(upsert(Uuid::from_u128(1)));
        sleep(100 * MS).await;
    }
    let times = rig.times("list");
    assert!((5..9).contains(&times.len()), "{times:?}");
    rig.mood("list", Mood::Well);
    rig.until(State::Live).await;
    assert_eq!((rig.error(), rig.names()), (None, vec!["a".to_owned()]));

    // The same later.
    rig.mood("list", Mood::Fails(401));
    assert!(rig.handle.refresh().await.is_err());
    rig.until(State::Syncing).await;
    assert_eq!(rig.error().as_deref(), Some("failed with 401"));
    rig.mood("list", Mood::Well);
    rig.until(State::Live).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_leaves_the_client_usable() {
    let rig = Rig::start(moody("watch", Mood::Fails(500)));
    rig.until(State::Offline).await;
    assert!(rig.handle.client(SECOND).await.is_ok());
    assert_eq!(rig.handle.refresh().await.unwrap(), 1);
    assert_eq!(rig.names(), ["a"]);
    assert_ne!(rig.state(), State::Live, "nothing watches");
    rig.put(2, "b");
    rig.handle.wrote(Write::Id(Uuid::from_u128(2))).await;
    assert_eq!(rig.names(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_text_is_reported_if_the_record_is_unchanged() {
    let mut rig = Rig::live(of(&["a", "b"])).await;
    while rig.events.try_recv().is_ok() {}
    let id = Uuid::from_u128(1);
    rig.say(upsert(id));
    sleep(MS).await;
    assert_eq!(
        rig.events.try_recv(),
        Ok(Event::Touched(Touched::One(id))),
        "and nothing else"
    );
    assert!(rig.events.try_recv().is_err());
    // Anything may have been missed.
    rig.cut();
    rig.until(State::Offline).await;
    rig.until(State::Live).await;
    assert_eq!(rig.events.try_recv(), Ok(Event::Touched(Touched::All)));
}

#[tokio::test(start_paused = true)]
async fn changes_are_fetched_and_deletions_checked() {
    let mut rig = Rig::live(of(&["a", "b", "c"])).await;
    let a = rig.put(1, "A");
    rig.say(upsert(a));
    sleep(MS).await;
    assert_eq!(rig.names(), ["A", "b", "c"]);
    assert_eq!(rig.count("fetch"), 1);

    // One was deleted and one was not.
    let [b, c] = [2, 3].map(Uuid::from_u128);
    rig.fake.with(|world| world.conversations.remove(&b));
    rig.say(Change::Delete { id: b });
    rig.say(Change::Delete { id: c });
    sleep(MS).await;
    assert_eq!(rig.names(), ["A"]);
    sleep(2 * SECOND).await;
    assert_eq!(rig.names(), ["A", "c"]);
    assert_eq!((rig.count("fetch"), rig.count("list")), (3, 1));

    let mut revision = 0;
    while let Ok(event) = rig.events.try_recv() {
        if let Event::Changed(delta) = event {
            assert!(delta.revision > revision);
            revision = delta.revision;
        }
    }
    assert_eq!(revision, rig.handle.index.snapshot().revision());
}

#[tokio::test(start_paused = true)]
async fn changes_during_a_lost_stream_are_seen() {
    let rig = Rig::live(of(&["a", "b"])).await;
    rig.fake.with(|world| world.down = true);
    rig.cut();
    rig.until(State::Offline).await;
    assert_eq!(rig.names(), ["a", "b"], "what is known stays");
    rig.put(1, "A");
    rig.fake.with(|world| {
        world.conversations.remove(&Uuid::from_u128(2));
        world.down = false;
    });
    rig.put(3, "c");
    rig.until(State::Live).await;
    assert_eq!(rig.names(), ["A", "c"]);
    assert_eq!(rig.count("list"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drops_every_stream_is_not_hammered() {
    let rig = Rig::live(of(&["a"])).await;
    for _ in 0..60_000 {
        rig.cut();
        sleep(MS).await;
    }
    assert!(rig.count("watch") < 20, "{}", rig.count("watch"));
}

#[tokio::test(start_paused = true)]
async fn a_write_known_by_id_is_seen_before_the_list() {
    let rig = Rig::start(moody("list", Mood::Hangs));
    sleep(SECOND).await;
    let id = rig.put(2, "ours");
    rig.handle.wrote(Write::Id(id)).await;
    assert_eq!(rig.names(), ["ours"]);
    assert_eq!(rig.state(), State::Syncing);
}

#[tokio::test(start_paused = true)]
async fn a_write_known_by_id_is_seen_without_the_single_route() {
    let rig = Rig::live(moody("fetch", Mood::Fails(404))).await;
    for (id, fetches) in [(2, 1), (3, 1)] {
        let id = rig.put(id, "ours");
        let began = Instant::now();
        rig.handle.wrote(Write::Id(id)).await;
        assert!(rig.handle.index.contains(id));
        assert!(began.elapsed() < 200 * MS, "{:?}", began.elapsed());
        assert_eq!(rig.count("fetch"), fetches, "it knows now");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_write_has_a_deadline() {
    // Deleted before it was seen.
    let rig = Rig::live(of(&["a"])).await;
    rig.handle.wrote(Write::Id(Uuid::from_u128(9))).await;
    assert!(rig.fake.began.elapsed() < SECOND);

    // No response at all.
    let rig = Rig::live(moody("fetch", Mood::Hangs)).await;
    let began = Instant::now();
    rig.handle.wrote(Write::Id(Uuid::from_u128(9))).await;
    assert_eq!(began.elapsed().as_secs(), 10);

    // The connection is lost meanwhile and does not come back.
    let waiting = rig.handle.wrote(Write::Id(Uuid::from_u128(8)));
    let cutting = async {
        sleep(SECOND).await;
        rig.fake.with(|world| world.down = true);
        rig.cut();
    };
    let began = Instant::now();
    tokio::join!(waiting, cutting);
    assert_eq!(began.elapsed().as_secs(), 1);
    rig.handle.wrote(Write::Id(Uuid::from_u128(7))).await;
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn our_writes_are_visible_once_reported() {
    let rig = Rig::live(of(&["a"])).await;
    rig.put(2, "b");
    rig.handle
        .wrote(Write::Conversation(conversation(2, "b")))
        .await;
    assert_eq!(rig.names(), ["a", "b"]);
    let b = Uuid::from_u128(2);
    rig.fake.with(|world| world.conversations.remove(&b));
    rig.handle.wrote(Write::Deleted(b)).await;
    assert_eq!(rig.names(), ["a"]);
    rig.handle.wrote(Write::Asset(b)).await;
    assert!(rig.handle.index.knows_asset(b));
    rig.put(3, "c");
    rig.handle.wrote(Write::Unknown).await;
    sleep(SECOND).await;
    assert_eq!(rig.names(), ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_reads_the_list_and_the_ids() {
    let rig = Rig::live(of(&["a"])).await;
    rig.put(2, "b");
    assert_eq!(rig.handle.refresh().await.unwrap(), 2);
    assert_eq!((rig.count("list"), rig.count("ids")), (2, 1));
    rig.mood("ids", Mood::Fails(500));
    let error = rig.handle.refresh().await.unwrap_err();
    assert_eq!(error.message, "failed with 500");
    rig.mood("ids", Mood::Well);
    rig.fake.with(|world| world.down = true);
    rig.mood("list", Mood::Hangs);
    let refreshing = rig.handle.refresh();
    let cutting = async {
        sleep(SECOND).await;
        rig.cut();
    };
    let (refreshed, ()) = tokio::join!(refreshing, cutting);
    assert_eq!(refreshed.unwrap_err().kind, Kind::Offline);
    assert_eq!(rig.handle.refresh().await.unwrap_err().kind, Kind::Offline);
}

#[tokio::test(start_paused = true)]
async fn changed_anchors_are_read_within_a_second() {
    let rig = Rig::live(of(&["a"])).await;
    sleep(SECOND).await;
    assert_eq!((rig.count("anchors"), rig.count("assets")), (1, 1));
    let anchor = Anchor {
        id: Uuid::from_u128(100),
        paths: vec!["/a".into()],
        assets: vec![],
        conversations: vec![],
        updated: 0,
    };
    rig.fake.with(|world| world.anchors = vec![anchor.clone()]);
    // A burst counts as one change.
    for _ in 0..10 {
        rig.send(Watched::Anchors, Frame::Alive);
        rig.send(
            Watched::Anchors,
            Frame::Changes {
                changes: vec![],
                malformed: false,
            },
        );
    }
    sleep(SECOND).await;
    assert_eq!(
        rig.handle.index.ties().anchors_at(["/a"]),
        [Arc::new(anchor)]
    );
    assert_eq!((rig.count("anchors"), rig.count("assets")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_side_stream_that_ends_alone_is_opened_again() {
    let rig = Rig::live(of(&["a"])).await;
    sleep(SECOND).await;
    let read = rig.count("anchors");
    let end = |rig: &Rig| {
        rig.fake
            .with(|world| world.streams.retain(|(what, _)| *what != Watched::Anchors));
    };
    end(&rig);
    // Changes in the gap are read.
    sleep(SECOND).await;
    assert_eq!(rig.count("anchors"), read + 1);
    rig.send(
        Watched::Anchors,
        Frame::Changes {
            changes: vec![],
            malformed: false,
        },
    );
    sleep(SECOND).await;
    assert_eq!(rig.count("anchors"), read + 2, "it is watched again");
    assert_eq!((rig.state(), rig.count("watch")), (State::Live, 1));

    // A stream that ends whenever it is opened is reopened with backoff.
    let opened = rig.count("watch ties");
    for _ in 0..3600 {
        end(&rig);
        sleep(SECOND).await;
    }
    let opened = rig.count("watch ties") - opened;
    assert!((30..60).contains(&opened), "{opened}");
}

#[tokio::test(start_paused = true)]
async fn missing_streams_are_tried_once_per_connection() {
    let rig = Rig::live(moody("watch ties", Mood::Fails(404))).await;
    sleep(600 * SECOND).await;
    assert_eq!(rig.count("watch ties"), 2);
    assert_eq!(rig.state(), State::Live);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_requested_while_idle_and_resyncs_follow_pings() {
    let rig = Rig::live(of(&["a"])).await;
    sleep(SECOND).await;
    let calls = rig.fake.with(|world| world.calls.len());
    sleep(24 * 3600 * SECOND).await;
    assert_eq!(rig.fake.with(|world| world.calls.len()), calls);

    // An unannounced creation and deletion.
    rig.put(2, "b");
    rig.fake
        .with(|world| world.conversations.remove(&Uuid::from_u128(1)));
    rig.send(Watched::Conversations, Frame::Alive);
    sleep(SECOND).await;
    assert_eq!((rig.count("ids"), rig.count("list")), (1, 1));
    assert_eq!(rig.names(), ["b"]);
    // An unannounced change: the ids do not show it, but a few resyncs read the whole list.
    rig.put(2, "B");
    for _ in 0..(30 * 60 / 20) {
        sleep(20 * SECOND).await;
        rig.send(Watched::Conversations, Frame::Alive);
    }
    sleep(SECOND).await;
    assert_eq!(rig.names(), ["B"]);
    assert!(
        (12..=15).contains(&rig.count("ids")),
        "{}",
        rig.count("ids")
    );
}

#[tokio::test(start_paused = true)]
async fn pieces_os_is_checked_only_while_in_use() {
    let rig = Rig::live(World {
        pieces_os: true,
        ..of(&["a"])
    })
    .await;
    sleep(600 * SECOND).await;
    assert_eq!(rig.count("probe"), 0);
    rig.fake.with(|world| world.pieces_os = false);
    for _ in 0..130 {
        rig.handle.client(SECOND).await.unwrap();
        sleep(SECOND).await;
    }
    assert_eq!(rig.count("probe"), 3);
    rig.fake.with(|world| world.pieces_os = true);
    let mut appeared = rig.handle.pieces_os_appeared.clone();
    for _ in 0..130 {
        rig.handle.client(SECOND).await.unwrap();
        sleep(SECOND).await;
    }
    assert!(*appeared.borrow_and_update());
    assert_eq!(rig.count("probe"), 4, "said once");
}

#[tokio::test(start_paused = true)]
async fn the_version_is_in_the_status() {
    let rig = Rig::live(of(&[])).await;
    sleep(MS).await;
    let version = rig.handle.status.borrow().version.clone();
    assert_eq!(version.as_deref(), Some("12.3.1"));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_last_handle_or_its_source() {
    for down in [true, false] {
        let mut rig = Rig::start(World {
            down,
            ..moody("list", Mood::Hangs)
        });
        sleep(SECOND).await;
        let began = Instant::now();
        drop(rig.handle);
        assert_eq!(rig.events.recv().await, None);
        assert!(began.elapsed() < MS);

        let mut rig = Rig::start(World {
            down,
            ..moody("list", Mood::Hangs)
        });
        sleep(SECOND).await;
        let began = Instant::now();
        rig.fake.closed.notify_one();
        assert_eq!(rig.events.recv().await, None);
        assert!(rig.handle.refresh().await.is_err());
        assert!(began.elapsed() < MS);
    }
}
