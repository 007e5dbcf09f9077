//! Time, the network, and the client: the part of the driver that the machine does not know.

use super::rng::Rng;
use super::script::{Op, Setting};
use super::server::{Frame, Server};
use pieces_lsp::index::{Builder, Conversation, Delta, Reader};
use pieces_lsp::sync::machine::{
    Action, Answer, Fetched, Input, Listing, Machine, Ticket, Touched,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// More steps than this are a loop.
const STEPS: usize = 50_000;
/// Silence after which the client pings, and after which it gives up; as in `pieces::stream`.
const PING: u64 = 20_000;
const PONG: u64 = 10_000;
/// How long a request waits for an answer.
const DEADLINE: u64 = 60_000;
/// After the last operation: enough for all but lost frames, and often too short for a resync. Those take
/// one, and only every 15th finds everything.
const QUIET: u64 = 90_000;
const RESYNCED: u64 = 40_000_000;

/// What a reader who only follows the changes has: each conversation and its files.
type View = BTreeMap<Uuid, (Conversation, Vec<String>)>;

/// What is to happen at some time.
#[derive(Debug)]
enum Event {
    /// The request reaches the server, which reads what is there.
    Read(Action, bool),
    /// Its answer reaches the client.
    Answer(Input),
    Frame(Frame),
    Connect,
    Acknowledged(Input),
    /// Nothing was heard on the stream since.
    Ping(u64),
    GiveUp,
    TieStreams,
}

pub struct World {
    rng: Rng,
    setting: Setting,
    server: Server,
    machine: Machine,
    reader: Reader,
    began: Instant,
    now: u64,
    /// By time, then in the order they were made.
    events: BTreeMap<(u64, u64), (Option<u64>, Event)>,
    made: u64,
    /// The number of the connection; what belongs to another is lost.
    connection: u64,
    open: bool,
    half_open: bool,
    refuse: u64,
    heard: u64,
    fail: u64,
    slow: u64,
    lose_frames: u64,
    tie_streams_ended: bool,
    /// Frames were lost or lies told: it takes a resync to find out.
    deceived: bool,
    /// A frame about anchors was lost, or reading them failed, which is not tried for ever: it takes a resync,
    /// too, but any will do.
    untied: bool,
    in_flight: BTreeSet<Ticket>,
    /// Lists of conversations and anchors that the server read on this connection, with when, and whether one
    /// of conversations arrived.
    read: BTreeMap<Ticket, u64>,
    /// When each request left. A list that the server read late does not overrule what a fetch said that
    /// left after it.
    left: BTreeMap<Ticket, u64>,
    reconciled: bool,
    /// What we deleted ourselves, or were truly told is gone: it never comes back, not even for a moment.
    deleted: BTreeSet<Uuid>,
    /// How many messages what we wrote had: as long as it is there, it never has fewer again.
    wrote: BTreeMap<Uuid, u32>,
    /// Assets that we saved, which are never unknown again.
    saved: BTreeSet<Uuid>,
    /// When the last operation was, and whether a list arrived that left after it.
    quiet_since: Option<u64>,
    resynced: bool,
    /// Whether anchors arrived that left after it.
    tied: bool,
    view: View,
    /// What an editor shows that has every conversation open.
    shown: BTreeMap<Uuid, i64>,
    revision: u64,
    steps: usize,
}

/// Runs the script.
///
/// # Errors
/// What went wrong.
pub fn run(setting: &Setting, script: &[Op]) -> Result<(), String> {
    let mut world = World::new(setting);
    world.connect()?;
    for op in script {
        world.op(op)?;
    }
    world.refuse = 0;
    world.fail = 0;
    world.slow = 0;
    world.lose_frames = 0;
    world.quiet_since = Some(world.now);
    world.pass(QUIET)?;
    let patience = world.now + RESYNCED;
    let resynced =
        |world: &World| (!world.deceived || world.resynced) && (!world.untied || world.tied);
    while !(resynced(&world) && world.machine.is_settled()) && world.now < patience {
        world.pass(10_000)?;
    }
    world.finish()
}

impl World {
    fn new(setting: &Setting) -> Self {
        let machine = Machine::after(0);
        World {
            rng: Rng::new(setting.seed),
            setting: setting.clone(),
            server: Server::new(setting),
            reader: machine.index().reader(),
            machine,
            began: Instant::now(),
            now: 0,
            events: BTreeMap::new(),
            made: 0,
            connection: 0,
            open: false,
            half_open: false,
            refuse: 0,
            heard: 0,
            fail: 0,
            slow: 0,
            lose_frames: 0,
            tie_streams_ended: false,
            deceived: false,
            untied: false,
            in_flight: BTreeSet::new(),
            read: BTreeMap::new(),
            left: BTreeMap::new(),
            deleted: BTreeSet::new(),
            wrote: BTreeMap::new(),
            saved: BTreeSet::new(),
            quiet_since: None,
            resynced: false,
            tied: false,
            reconciled: false,
            view: View::new(),
            shown: BTreeMap::new(),
            revision: 0,
            steps: 0,
        }
    }

    fn instant(&self) -> Instant {
        self.began + Duration::from_millis(self.now)
    }

    /// Something happens later, unless the connection that it belongs to is lost by then.
    fn later(&mut self, after: u64, of_connection: bool, event: Event) {
        self.made += 1;
        let connection = of_connection.then_some(self.connection);
        self.events
            .insert((self.now + after, self.made), (connection, event));
    }

    fn op(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Wait(ms) => return self.pass(*ms),
            Op::Create(many) => {
                for _ in 0..*many {
                    let id = self.server.create();
                    self.announce(Frame::upsert(id));
                }
                self.announce(Frame::Anchors);
            }
            Op::Update(which) => {
                if let Some(id) = self.server.update(*which) {
                    self.announce(Frame::upsert(id));
                }
            }
            Op::Edit(which) => {
                if let Some(id) = self.server.edit(*which) {
                    self.announce(Frame::upsert(id));
                }
            }
            Op::Delete(which) => {
                if let Some(id) = self.server.delete(*which) {
                    self.announce(Frame::delete(id));
                }
            }
            Op::DeleteMany(many) => {
                for which in 0..*many {
                    if let Some(id) = self.server.delete(which * 7) {
                        self.announce(Frame::delete(id));
                    }
                }
            }
            Op::Tie(which) => {
                if let Some(id) = self.server.tie(*which) {
                    self.announce(Frame::upsert(id));
                    self.announce(Frame::Anchors);
                }
            }
            Op::DeleteAnchor(which) => {
                for id in self.server.delete_anchor(*which) {
                    self.announce(Frame::upsert(id));
                }
                self.announce(Frame::Anchors);
            }
            Op::MoveAnchor(which) => {
                // Without the route nothing but the next list tells.
                if self.setting.ties && self.server.move_anchor(*which) {
                    self.untied |= !self.setting.tie_streams;
                    self.announce(Frame::Anchors);
                }
            }
            Op::OurCreate { told_all, after } => {
                let id = self.server.create();
                self.announce(Frame::upsert(id));
                self.announce(Frame::Anchors);
                let one = self.server.conversations[&id].clone();
                let told = if *told_all {
                    Input::Wrote(one)
                } else {
                    Input::WroteId(id)
                };
                self.later(*after, false, Event::Acknowledged(told));
            }
            Op::OurUpdate(which, after) => {
                if let Some(id) = self.server.update(*which) {
                    self.announce(Frame::upsert(id));
                    let one = self.server.conversations[&id].clone();
                    self.later(*after, false, Event::Acknowledged(Input::Wrote(one)));
                }
            }
            Op::OurDelete(which, after) => {
                if let Some(id) = self.server.delete(*which) {
                    self.announce(Frame::delete(id));
                    self.later(*after, false, Event::Acknowledged(Input::Deleted(id)));
                }
            }
            Op::OurLost => {
                let id = self.server.create();
                self.announce(Frame::upsert(id));
                self.announce(Frame::Anchors);
                self.step(Input::Refresh)?;
            }
            Op::OurAsset => {
                let id = self.server.save_asset();
                self.announce(Frame::Assets);
                self.saved.insert(id);
                self.step(Input::WroteAsset(id))?;
            }
            Op::Refresh => self.step(Input::Refresh)?,
            Op::Lose(refused) => {
                self.refuse = *refused;
                self.lose()?;
            }
            Op::Restart { single_fetch } => {
                self.server.single_fetch = *single_fetch && self.setting.single_fetch;
                self.lose()?;
            }
            Op::HalfOpen => self.half_open = self.open,
            Op::EndTieStreams(pause) => {
                if self.open && self.setting.ties && self.setting.tie_streams {
                    self.tie_streams_ended = true;
                    self.later(*pause, true, Event::TieStreams);
                }
            }
            Op::Fail(requests) => self.fail = *requests,
            Op::Slow(requests) => self.slow = *requests,
            Op::LoseFrames(frames) => self.lose_frames = *frames,
            Op::Malformed(which) => {
                // It may have told of this.
                self.server.update(*which);
                self.announce(Frame::Conversations {
                    upserts: vec![],
                    deletes: vec![],
                    malformed: true,
                });
            }
            Op::Foreign => self.announce(Frame::Conversations {
                upserts: vec![],
                deletes: vec![],
                malformed: false,
            }),
            Op::FalseDelete(which) => {
                if let Some(id) = self.server.nth(*which) {
                    self.announce(Frame::delete(id));
                }
            }
            Op::FalseUpsert(which) => {
                self.announce(Frame::upsert(Uuid::from_u128(u128::from(*which))));
            }
        }
        Ok(())
    }

    /// Sends a frame, if anybody is there to hear it.
    fn announce(&mut self, frame: Frame) {
        let ties = matches!(frame, Frame::Anchors | Frame::Assets);
        if !self.open || self.half_open || (ties && !self.setting.ties) {
            return;
        }
        if ties && (!self.setting.tie_streams || self.tie_streams_ended) {
            return;
        }
        if self.lose_frames > 0 {
            self.lose_frames -= 1;
            match frame {
                Frame::Anchors => self.untied = true,
                Frame::Conversations { .. } | Frame::Assets => self.deceived = true,
            }
            return;
        }
        let (twice, late) = (self.setting.twice, self.setting.late);
        let mut delay = 1;
        if late > 0 && self.rng.once_in(late) {
            delay += self.rng.below(3000);
        }
        if twice > 0 && self.rng.once_in(twice) {
            let again = delay + self.rng.below(3000);
            self.later(again, true, Event::Frame(frame.clone()));
        }
        self.later(delay, true, Event::Frame(frame));
    }

    fn connect(&mut self) -> Result<(), String> {
        if self.refuse > 0 {
            self.refuse -= 1;
            self.later(500, false, Event::Connect);
            return Ok(());
        }
        self.open = true;
        self.half_open = false;
        self.tie_streams_ended = false;
        self.read.clear();
        self.reconciled = false;
        for frame in self.server.first_frames() {
            let delay = 1 + self.rng.below(400);
            self.later(delay, true, Event::Frame(frame));
        }
        self.hear();
        self.step(Input::Opened)
    }

    /// Whatever was on its way is gone.
    fn lose(&mut self) -> Result<(), String> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        self.half_open = false;
        self.connection += 1;
        self.in_flight.clear();
        let pause = 125 + self.rng.below(10_000);
        self.later(pause, false, Event::Connect);
        self.step(Input::Closed)
    }

    fn hear(&mut self) {
        self.heard += 1;
        let heard = self.heard;
        self.later(PING, true, Event::Ping(heard));
    }

    /// Time passes.
    fn pass(&mut self, ms: u64) -> Result<(), String> {
        let end = self.now + ms;
        loop {
            let event = self.events.keys().next().copied();
            let event_at = event.map_or(u64::MAX, |(at, _)| at);
            let wake = self.machine.deadline().map_or(u64::MAX, |at| {
                at.saturating_duration_since(self.began).as_millis() as u64
            });
            let next = event_at.min(wake);
            if next > end {
                self.now = end;
                return Ok(());
            }
            if wake < self.now {
                return Err("a deadline that passed is still due".into());
            }
            self.now = next;
            if event_at <= wake {
                if let Some((connection, event)) = event.and_then(|key| self.events.remove(&key))
                    && connection.is_none_or(|connection| connection == self.connection)
                {
                    self.event(event)?;
                }
            } else {
                self.step(Input::Wake)?;
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Read(action, fails) => {
                let input = self.answer(action, fails);
                let delay = self.delay();
                self.later(delay, true, Event::Answer(input));
                Ok(())
            }
            Event::Answer(input) => {
                let ticket = match &input {
                    Input::Listed(ticket, _)
                    | Input::Fetched(ticket, _)
                    | Input::Identified(ticket, _)
                    | Input::Anchors(ticket, _)
                    | Input::Assets(ticket, _) => *ticket,
                    other => return Err(format!("no answer: {other:?}")),
                };
                self.in_flight.remove(&ticket);
                let read = self.read.get(&ticket);
                let left = self.left.remove(&ticket);
                let after = left > self.quiet_since && self.quiet_since.is_some();
                match &input {
                    Input::Listed(_, Some(_)) => {
                        self.resynced |= after;
                        self.reconciled |= read.is_some();
                    }
                    Input::Anchors(_, Answer::Here(_) | Answer::Missing) => self.tied |= after,
                    _ => {}
                }
                self.step(input)
            }
            Event::Frame(frame) => {
                self.hear();
                self.step(match frame {
                    Frame::Conversations {
                        upserts,
                        deletes,
                        malformed,
                    } => Input::Frame {
                        upserts,
                        deletes,
                        malformed,
                    },
                    Frame::Anchors => Input::AnchorsChanged,
                    Frame::Assets => Input::AssetsChanged,
                })
            }
            Event::Connect => self.connect(),
            Event::Acknowledged(input) => self.step(input),
            Event::Ping(heard) if heard != self.heard => Ok(()),
            Event::Ping(_) if self.half_open => {
                self.later(PONG, true, Event::GiveUp);
                Ok(())
            }
            Event::Ping(_) => {
                self.hear();
                self.step(Input::Alive)
            }
            Event::GiveUp => self.lose(),
            // As the driver does it.
            Event::TieStreams => {
                self.tie_streams_ended = false;
                self.step(Input::AnchorsChanged)?;
                self.step(Input::AssetsChanged)
            }
        }
    }

    /// What the server says now.
    fn answer(&mut self, action: Action, fails: bool) -> Input {
        let ties = self.setting.ties;
        if let Action::List { ticket, .. } | Action::Anchors(ticket) = action {
            self.read.insert(ticket, self.now);
        }
        match action {
            Action::List { ticket, .. } if fails => Input::Listed(ticket, None),
            Action::List {
                ticket,
                transferables,
            } => {
                let mut conversations = Builder::default();
                let mut anchors = vec![];
                for one in self.server.conversations.values() {
                    conversations.push(one.as_ref());
                    if transferables {
                        anchors.extend(one.anchors.iter().map(|id| pieces_lsp::index::Anchor {
                            assets: vec![],
                            conversations: vec![],
                            ..self.server.anchors[id].clone()
                        }));
                    }
                }
                let listing = Listing {
                    conversations,
                    anchors,
                };
                Input::Listed(ticket, Some(listing))
            }
            Action::Fetch(ticket, _) if fails => Input::Fetched(ticket, Fetched::Failed),
            Action::Fetch(ticket, id) => {
                let fetched = match self.server.conversations.get(&id) {
                    _ if !self.server.single_fetch => Fetched::NotFound,
                    Some(one) => Fetched::Found(Box::new(one.clone()), vec![]),
                    None if self.setting.gone_is_error => Fetched::Failed,
                    None if self.rng.once_in(2) => Fetched::Gone,
                    None => Fetched::NotFound,
                };
                Input::Fetched(ticket, fetched)
            }
            Action::Identify(ticket) => {
                let ids = self.server.conversations.keys().copied().collect();
                Input::Identified(ticket, (!fails).then_some(ids))
            }
            Action::Anchors(ticket) => Input::Anchors(
                ticket,
                match fails {
                    _ if !ties => Answer::Missing,
                    true => Answer::Failed,
                    false => Answer::Here(self.server.anchors.values().cloned().collect()),
                },
            ),
            Action::Assets(ticket) => Input::Assets(
                ticket,
                match fails {
                    _ if !ties => Answer::Missing,
                    true => Answer::Failed,
                    false => Answer::Here(self.server.assets.iter().copied().collect()),
                },
            ),
        }
    }

    fn delay(&mut self) -> u64 {
        let slow = if self.slow > 0 {
            self.slow -= 1;
            5_000
        } else {
            self.setting.latency
        };
        1 + self.rng.below(slow)
    }

    fn step(&mut self, input: Input) -> Result<(), String> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err("it does not come to rest".into());
        }
        match &input {
            Input::Deleted(id) => drop(self.deleted.insert(*id)),
            Input::Frame { deletes, .. } => {
                // True or not: it goes at once.
                self.wrote.retain(|id, _| !deletes.contains(id));
                let gone = |id: &&Uuid| !self.server.conversations.contains_key(id);
                self.deleted.extend(deletes.iter().filter(gone));
            }
            // An older write of ours whose answer took longer is looked up at once.
            Input::Wrote(one) => {
                self.deleted.remove(&one.id);
                self.wrote.insert(one.id, one.messages);
            }
            _ => {}
        }
        self.wrote
            .retain(|id, _| self.server.conversations.contains_key(id));
        let outcome = self.machine.step(self.instant(), input);
        if !outcome.deltas.is_empty() {
            self.nothing_came_back()?;
        }
        let unknown = |id: &&Uuid| !self.reader.ties().knows_asset(**id);
        if let Some(id) = self.saved.iter().find(unknown) {
            return Err(format!("our asset {id} is not known any more"));
        }
        let total = outcome.deltas.last().map(|delta| delta.total);
        if total.is_some_and(|total| total != self.reader.snapshot().len()) {
            return Err(format!("a change says that there are {total:?}"));
        }
        self.show(outcome.touched);
        for delta in outcome.deltas {
            self.follow(delta)?;
        }
        for action in outcome.actions {
            let (Action::List { ticket, .. }
            | Action::Fetch(ticket, _)
            | Action::Identify(ticket)
            | Action::Anchors(ticket)
            | Action::Assets(ticket)) = action;
            self.in_flight.insert(ticket);
            self.left.insert(ticket, self.now);
            let fails = self.fail > 0;
            self.fail = self.fail.saturating_sub(1);
            self.untied |= fails && self.setting.ties && matches!(action, Action::Anchors(_));
            let delay = self.delay();
            if self.half_open {
                self.later(DEADLINE, true, Event::Read(action, true));
            } else {
                self.later(delay, true, Event::Read(action, fails));
            }
        }
        if self.in_flight.len() > 2 {
            return Err(format!("{} requests at once", self.in_flight.len()));
        }
        if self.machine.is_live() && !(self.open && self.reconciled) {
            return Err("live without a list since the stream opened".into());
        }
        Ok(())
    }

    fn nothing_came_back(&self) -> Result<(), String> {
        if let Some(id) = self.deleted.iter().find(|id| self.reader.contains(**id)) {
            return Err(format!("{id} is back"));
        }
        let undone = |(id, messages): &(&Uuid, &u32)| {
            self.reader
                .get(**id)
                .is_none_or(|one| one.messages < **messages)
        };
        match self.wrote.iter().find(undone) {
            Some((id, _)) => Err(format!("what we wrote of {id} is undone")),
            None => Ok(()),
        }
    }

    /// What was touched is read again.
    fn show(&mut self, touched: Touched) {
        match touched {
            Touched::None => {}
            Touched::One(id) => self.read_text(id),
            Touched::All => self.shown.clone_from(&self.server.texts),
        }
    }

    fn read_text(&mut self, id: Uuid) {
        match self.server.texts.get(&id) {
            Some(text) => drop(self.shown.insert(id, *text)),
            None => drop(self.shown.remove(&id)),
        }
    }

    /// What a client does with a change.
    fn follow(&mut self, delta: Delta) -> Result<(), String> {
        if delta.revision <= self.revision {
            return Err(format!(
                "revision {} after {}",
                delta.revision, self.revision
            ));
        }
        self.revision = delta.revision;
        if delta.reset {
            self.view = view(&self.reader);
            self.shown.clone_from(&self.server.texts);
        }
        for id in delta.removed {
            self.view.remove(&id);
            self.shown.remove(&id);
        }
        for id in delta.upserted {
            self.read_text(id);
            if let Some(one) = self.reader.get(id) {
                let files = files(&self.reader, &one);
                self.view.insert(id, (one, files));
            }
        }
        Ok(())
    }

    /// Everything is quiet: all have to agree.
    fn finish(&self) -> Result<(), String> {
        if !self.machine.is_live() {
            return Err("not live in the end".into());
        }
        if !self.machine.is_settled() {
            return Err("not settled in the end".into());
        }
        let index = view(&self.reader);
        let server: View = self
            .server
            .conversations
            .values()
            .map(|one| {
                let anchors = one.anchors.iter().map(|id| &self.server.anchors[id]);
                let files = anchors.flat_map(|anchor| anchor.paths.clone());
                (one.id, (one.clone(), files.collect()))
            })
            .collect();
        agree("the index", &index, "the server", &server)?;
        agree("the client", &self.view, "the index", &index)?;
        let texts = &self.server.texts;
        if let Some((id, text)) = texts
            .iter()
            .find(|(id, text)| self.shown.get(id) != Some(text))
        {
            let shown = self.shown.get(id);
            return Err(format!("{id} shows {shown:?}, and its messages say {text}"));
        }
        if self.revision != self.reader.snapshot().revision() {
            return Err("the last change was not told".into());
        }
        if self.reader.snapshot().len() != index.len() {
            return Err("the index cannot count".into());
        }
        let lost = |(id, (one, _)): &(&Uuid, &(Conversation, _))| {
            self.reader.get(**id).as_ref() != Some(one) || !self.reader.contains(**id)
        };
        if let Some((id, _)) = index.iter().find(lost) {
            return Err(format!("{id} is in the index and cannot be found"));
        }
        if self.setting.ties {
            let missing = |id: &&Uuid| !self.reader.ties().knows_asset(**id);
            if let Some(asset) = self.server.assets.iter().find(missing) {
                return Err(format!("asset {asset} is not known"));
            }
        }
        Ok(())
    }
}

fn view(reader: &Reader) -> View {
    let snapshot = reader.snapshot();
    let all = snapshot.iter().map(|one| one.to_owned());
    all.map(|one| (one.id, (one.clone(), files(reader, &one))))
        .collect()
}

fn files(reader: &Reader, one: &Conversation) -> Vec<String> {
    let anchors = one
        .anchors
        .iter()
        .filter_map(|id| reader.ties().anchor(*id));
    anchors.flat_map(|anchor| anchor.paths.clone()).collect()
}

fn agree(left_name: &str, left: &View, right_name: &str, right: &View) -> Result<(), String> {
    let ids: HashSet<&Uuid> = left.keys().chain(right.keys()).collect();
    let mut different: Vec<_> = ids
        .into_iter()
        .filter(|id| left.get(id) != right.get(id))
        .collect();
    different.sort_unstable();
    match different.first() {
        None => Ok(()),
        Some(id) => Err(format!(
            "{} differ; {left_name} has {:?}, {right_name} has {:?}",
            different.len(),
            left.get(id),
            right.get(id)
        )),
    }
}
