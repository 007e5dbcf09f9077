//! The decisions of list-and-watch, as a state machine without I/O.
//!
//! Every input gets a number from a logical clock. A request remembers the number at which it left,
//! so that its answer can be told from what was learned later: an answer never overrules a deletion,
//! or a write of our own, that came after the request left, and an id that changed after its fetch
//! left is fetched once more. That is all there is to "no resurrection, no ghosts".

use crate::index::{Anchor, Builder, Conversation, Delta, Index, Mutation};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long after the stream opened the list waits for the first frame, which repeats all ids.
const FIRST_FRAME: Duration = Duration::from_millis(200);
/// Quiet time before changes are looked up in a new list (where single fetches do not serve).
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Quiet time before what the stream called deleted is checked with the server.
const VERIFY: Duration = Duration::from_secs(1);
/// Deletions up to this many are checked one by one, more by one list of ids.
const VERIFY_SINGLY: usize = 8;
/// More changed ids than this (and than an eighth of the index) are read by one list.
const LIST_ABOVE: usize = 64;
/// Fetches under way at once: the server's reads take its write lock.
const IN_FLIGHT: usize = 2;
/// First pause after a failed request; doubles up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// The number of a request.
pub type Ticket = u64;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A stream opened.
    Opened,
    /// The stream ended.
    Closed,
    /// The stream said that these changed or went; `malformed`: it said something else besides.
    Frame {
        /// Ids that are new or changed.
        upserts: Vec<Uuid>,
        /// Ids that went.
        deletes: Vec<Uuid>,
        /// Part of the frame could not be understood: a change may have been missed.
        malformed: bool,
    },
    /// A list arrived.
    Listed(Ticket, Option<Builder>),
    /// A fetch of one conversation ended.
    Fetched(Ticket, Uuid, Fetched),
    /// A list of ids arrived.
    Identified(Ticket, Option<Vec<Uuid>>),
    /// Anchors arrived (`None`: the server does not have them).
    Anchors(Option<Vec<Anchor>>),
    /// Asset ids arrived (`None`: the server does not have them).
    Assets(Option<Vec<Uuid>>),
    /// Our own create or update was acknowledged, with this result.
    Wrote(Conversation),
    /// Our own create was acknowledged with an id only.
    WroteId(Uuid),
    /// Our own delete was acknowledged.
    Deleted(Uuid),
    /// We saved an asset.
    WroteAsset(Uuid),
    /// A POST of ours ended without a known outcome, or somebody asks: list again.
    Refresh,
    /// A deadline passed.
    Wake,
}

/// How the fetch of one conversation ended.
#[derive(Debug)]
pub enum Fetched {
    /// This is what it looks like.
    Found(Box<Conversation>),
    /// 410: there is none.
    Gone,
    /// 404: there is none, or the server has no such route.
    NotFound,
    /// No answer; to be tried again.
    Failed,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// GET /conversations.
    List(Ticket),
    /// GET /conversation/{id}.
    Fetch(Ticket, Uuid),
    /// GET /conversations/identifiers.
    Identify(Ticket),
    /// GET /anchors.
    Anchors,
    /// GET /assets/identifiers.
    Assets,
}

/// What came of a step.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be done now.
    pub actions: Vec<Action>,
    /// What changed in the index.
    pub delta: Option<Delta>,
}

/// Whether GET /conversation/{id} is there; it is not among the six documented endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SingleFetch {
    Unknown,
    Works,
    Missing,
}

/// What is to be fetched.
#[derive(Debug, Default)]
struct Pending {
    /// The fetch under way and whether something changed since it left.
    in_flight: Option<Ticket>,
    dirty: bool,
    failures: u32,
    not_before: Option<Instant>,
}

/// The state machine around the one index.
#[derive(Debug)]
pub struct Machine {
    index: Index,
    clock: Ticket,
    open: bool,
    /// Since the stream opened, a list that left after it has been applied.
    reconciled: bool,
    single: SingleFetch,
    pending: HashMap<Uuid, Pending>,
    /// When something newer than a request under way was learned of an id.
    touched: HashMap<Uuid, Ticket>,
    listing: Option<Ticket>,
    identifying: Option<Ticket>,
    list_at: Option<Instant>,
    list_failures: u32,
    verify: HashSet<Uuid>,
    verify_at: Option<Instant>,
    /// Ids whose single fetch said 404, until the list says what that means.
    doubtful: HashSet<Uuid>,
    anchors_missing: bool,
    anchors_at: Option<Instant>,
    /// Lists applied so far; waiters for a refresh count them.
    lists: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Machine {
            index: Index::default(),
            clock: 0,
            open: false,
            reconciled: false,
            single: SingleFetch::Unknown,
            pending: HashMap::new(),
            touched: HashMap::new(),
            listing: None,
            identifying: None,
            list_at: None,
            list_failures: 0,
            verify: HashSet::new(),
            verify_at: None,
            doubtful: HashSet::new(),
            anchors_missing: false,
            anchors_at: None,
            lists: 0,
        }
    }
}

impl Machine {
    /// One whose index begins at `revision`.
    pub fn after(revision: u64) -> Self {
        Machine {
            index: Index::after(revision),
            ..Machine::default()
        }
    }

    /// The index, for readers.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The stream is open and everything was listed after it opened.
    pub fn is_live(&self) -> bool {
        self.open && self.reconciled
    }

    /// How many lists have been applied, and the ticket of the one under way.
    pub fn lists(&self) -> (u64, Option<Ticket>) {
        (self.lists, self.listing)
    }

    /// Ids that still have to be looked up.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.listing.is_none() && self.list_at.is_none()
    }

    /// When [`Input::Wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let list = self.list_at.filter(|_| self.listing.is_none());
        let retries = self
            .pending
            .values()
            .filter(|one| one.dirty && one.in_flight.is_none())
            .filter_map(|one| one.not_before);
        let retries = if self.holds_back() {
            None
        } else {
            retries.min()
        };
        let verify = self.verify_at.filter(|_| self.identifying.is_none());
        [list, retries, verify, self.anchors_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// One step.
    pub fn step(&mut self, now: Instant, input: Input) -> Outcome {
        self.clock += 1;
        let delta = self.learn(now, input);
        if delta.as_ref().is_some_and(|delta| !delta.reset) && !self.anchors_missing {
            self.look_for_unknown_anchors(now, delta.as_ref());
        }
        let mut actions = Vec::new();
        self.plan(now, &mut actions);
        self.forget_old_touches();
        Outcome { actions, delta }
    }

    fn learn(&mut self, now: Instant, input: Input) -> Option<Delta> {
        match input {
            Input::Opened => {
                self.open = true;
                self.reconciled = false;
                self.single = SingleFetch::Unknown;
                self.anchors_missing = false;
                self.anchors_at = Some(now + FIRST_FRAME);
                self.list_failures = 0;
                // A list that left before the stream opened may miss what came in between.
                self.listing = None;
                self.list_at = Some(now + FIRST_FRAME);
                None
            }
            Input::Closed => {
                self.open = false;
                self.reconciled = false;
                self.listing = None;
                self.identifying = None;
                self.list_at = None;
                self.verify_at = None;
                self.verify.clear();
                self.anchors_at = None;
                // The list after the next connection covers everything that was still to be fetched.
                self.pending.clear();
                None
            }
            Input::Frame {
                upserts,
                deletes,
                malformed,
            } => {
                if self.open && !self.reconciled && self.listing.is_none() {
                    // The first frame is here: what it says is older than the list that leaves now.
                    self.list_at = Some(now);
                } else {
                    upserts.into_iter().for_each(|id| self.dirty(id, None));
                    if malformed && self.reconciled {
                        self.list_soon(now + DEBOUNCE);
                    }
                    if self.single == SingleFetch::Missing && !self.pending.is_empty() {
                        self.list_soon(now + DEBOUNCE);
                    }
                }
                self.remove_unverified(now, deletes)
            }
            Input::Listed(ticket, listing) => self.listed(now, ticket, listing),
            Input::Fetched(ticket, id, fetched) => self.fetched(now, ticket, id, fetched),
            Input::Identified(ticket, ids) => self.identified(now, ticket, ids),
            Input::Anchors(anchors) => {
                match anchors {
                    Some(anchors) => self.index.replace_anchors(anchors),
                    None => self.anchors_missing = true,
                }
                None
            }
            Input::Assets(assets) => {
                self.index.replace_assets(assets?);
                None
            }
            Input::Wrote(one) => {
                self.touched.insert(one.id, self.clock);
                self.doubtful.remove(&one.id);
                self.index.apply([Mutation::Upsert(one)])
            }
            Input::WroteId(id) => {
                self.dirty(id, None);
                if self.single == SingleFetch::Missing {
                    self.list_soon(now);
                }
                None
            }
            Input::Deleted(id) => {
                self.touched.insert(id, self.clock);
                self.pending.remove(&id);
                self.index.apply([Mutation::Remove(id)])
            }
            Input::WroteAsset(id) => {
                self.index.put_asset(id);
                if !self.anchors_missing {
                    self.anchors_at = Some(now);
                }
                None
            }
            Input::Refresh => {
                // A list under way left too early to show what was done since.
                self.listing = None;
                self.list_at = Some(now);
                self.verify_at = Some(now);
                None
            }
            Input::Wake => None,
        }
    }

    /// What the stream calls deleted goes at once and is checked later: frames may come out of order.
    fn remove_unverified(&mut self, now: Instant, deletes: Vec<Uuid>) -> Option<Delta> {
        if deletes.is_empty() {
            return None;
        }
        for id in &deletes {
            self.touched.insert(*id, self.clock);
            self.pending.remove(id);
        }
        self.verify.extend(&deletes);
        self.verify_at = Some(now + VERIFY);
        self.index.apply(deletes.into_iter().map(Mutation::Remove))
    }

    fn listed(&mut self, now: Instant, ticket: Ticket, listing: Option<Builder>) -> Option<Delta> {
        if self.listing != Some(ticket) {
            return None; // overtaken by a newer list or connection
        }
        self.listing = None;
        let Some(listing) = listing else {
            self.list_failures += 1;
            self.list_at = Some(now + backoff(self.list_failures));
            return None;
        };
        self.list_failures = 0;
        self.lists += 1;
        self.reconciled = self.open;
        // Ids that were asked for before this list left know less than it does: what is new here would
        // look like a leftover to them.
        self.identifying = self.identifying.filter(|identify| *identify > ticket);
        let newer = |touched: &Ticket| *touched > ticket;
        let keep: HashSet<Uuid> = self
            .touched
            .iter()
            .filter(|(_, touched)| newer(touched))
            .map(|(id, _)| *id)
            .collect();
        let delta = self.index.replace(listing, &keep);
        let doubtful = std::mem::take(&mut self.doubtful);
        let reader = self.index.reader();
        for id in doubtful {
            if reader.contains(id) {
                // The list has what the single route denied: there is no such route.
                self.single = SingleFetch::Missing;
            }
        }
        if self.single == SingleFetch::Missing {
            // The list was the look-up; what changed after it left needs another.
            let later = |fetch: Ticket| fetch > ticket;
            self.pending
                .retain(|_, one| one.dirty || one.in_flight.is_some_and(later));
            if !self.pending.is_empty() {
                self.list_at = Some(now + DEBOUNCE);
            }
        }
        delta
    }

    fn fetched(
        &mut self,
        now: Instant,
        ticket: Ticket,
        id: Uuid,
        fetched: Fetched,
    ) -> Option<Delta> {
        let pending = self.pending.get_mut(&id)?;
        if pending.in_flight != Some(ticket) {
            return None;
        }
        pending.in_flight = None;
        let mutation = match fetched {
            Fetched::Found(one) if one.id == id => {
                self.single = SingleFetch::Works;
                Some(Mutation::Upsert(*one))
            }
            Fetched::Gone => {
                self.single = SingleFetch::Works;
                Some(Mutation::Remove(id))
            }
            Fetched::NotFound if self.single == SingleFetch::Works => Some(Mutation::Remove(id)),
            Fetched::NotFound => {
                self.doubtful.insert(id);
                self.pending.remove(&id);
                self.list_soon(now);
                return None;
            }
            Fetched::Found(_) | Fetched::Failed => {
                pending.failures += 1;
                pending.dirty = true;
                pending.not_before = Some(now + backoff(pending.failures));
                return None;
            }
        };
        pending.failures = 0;
        if !pending.dirty {
            self.pending.remove(&id);
        }
        let overruled = self
            .touched
            .get(&id)
            .is_some_and(|touched| *touched > ticket);
        if overruled {
            // Deleted, or written by us, while this was under way.
            return None;
        }
        self.touched.insert(id, self.clock);
        self.index.apply(mutation)
    }

    fn identified(
        &mut self,
        now: Instant,
        ticket: Ticket,
        ids: Option<Vec<Uuid>>,
    ) -> Option<Delta> {
        if self.identifying != Some(ticket) {
            return None;
        }
        self.identifying = None;
        let Some(ids) = ids else {
            self.verify_at = Some(now + VERIFY);
            return None;
        };
        let ids: HashSet<Uuid> = ids.into_iter().collect();
        let (extra, missing) = self.index.compare(&ids);
        let untouched = |id: &Uuid| {
            self.touched
                .get(id)
                .is_none_or(|touched| *touched <= ticket)
        };
        let extra: Vec<Uuid> = extra.into_iter().filter(untouched).collect();
        let missing: Vec<Uuid> = missing.into_iter().filter(untouched).collect();
        for id in missing {
            self.dirty(id, None);
        }
        if self.single == SingleFetch::Missing && !self.pending.is_empty() {
            self.list_soon(now);
        }
        for id in &extra {
            self.touched.insert(*id, self.clock);
        }
        self.index.apply(extra.into_iter().map(Mutation::Remove))
    }

    fn dirty(&mut self, id: Uuid, not_before: Option<Instant>) {
        let pending = self.pending.entry(id).or_default();
        pending.dirty = true;
        pending.not_before = not_before;
    }

    fn list_soon(&mut self, at: Instant) {
        // Later changes do not push a list that is already due further away.
        self.list_at = Some(self.list_at.map_or(at, |due| due.min(at)));
    }

    /// While the list after opening is due or under way, changes wait: it may well bring them.
    fn holds_back(&self) -> bool {
        self.open && !self.reconciled || self.single == SingleFetch::Missing
    }

    fn ticket(&mut self) -> Ticket {
        self.clock += 1;
        self.clock
    }

    fn plan(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.anchors_at.is_some_and(|at| at <= now) {
            self.anchors_at = None;
            actions.extend([Action::Anchors, Action::Assets]);
        }
        let many = self.pending.values().filter(|one| one.dirty).count();
        let total = self.index.reader().snapshot().len();
        if many > LIST_ABOVE.max(total / 8) && self.reconciled && self.listing.is_none() {
            self.list_soon(now);
        }
        if self.listing.is_none() && self.list_at.is_some_and(|at| at <= now) {
            let ticket = self.ticket();
            self.list_at = None;
            self.listing = Some(ticket);
            // What is known to have changed before the list leaves is in it.
            self.pending.retain(|_, one| {
                one.dirty = false;
                one.in_flight.is_some()
            });
            actions.push(Action::List(ticket));
        }
        self.plan_verification(now, actions);
        if self.holds_back() {
            // Our own writes do not wait for a stream that is being set up.
            return;
        }
        let busy = self
            .pending
            .values()
            .filter(|one| one.in_flight.is_some())
            .count();
        let due: Vec<Uuid> = self
            .pending
            .iter()
            .filter(|(_, one)| one.dirty && one.in_flight.is_none())
            .filter(|(_, one)| one.not_before.is_none_or(|at| at <= now))
            .map(|(id, _)| *id)
            .take(IN_FLIGHT.saturating_sub(busy))
            .collect();
        for id in due {
            let ticket = self.ticket();
            if let Some(one) = self.pending.get_mut(&id) {
                one.in_flight = Some(ticket);
                one.dirty = false;
                one.not_before = None;
            }
            actions.push(Action::Fetch(ticket, id));
        }
    }

    fn plan_verification(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.verify_at.is_none_or(|at| at > now) || self.identifying.is_some() {
            return;
        }
        self.verify_at = None;
        let ids: Vec<Uuid> = self.verify.drain().collect();
        let singly = self.single == SingleFetch::Works && ids.len() <= VERIFY_SINGLY;
        if singly && !ids.is_empty() {
            ids.into_iter().for_each(|id| self.dirty(id, None));
        } else {
            let ticket = self.ticket();
            self.identifying = Some(ticket);
            actions.push(Action::Identify(ticket));
        }
    }

    fn look_for_unknown_anchors(&mut self, now: Instant, delta: Option<&Delta>) {
        let reader = self.index.reader();
        let unknown = delta
            .into_iter()
            .flat_map(|delta| &delta.upserted)
            .any(|id| {
                let anchors = reader.get(*id).map(|one| one.anchors).unwrap_or_default();
                anchors
                    .iter()
                    .any(|anchor| reader.ties().anchor(*anchor).is_none())
            });
        if unknown && self.anchors_at.is_none() {
            self.anchors_at = Some(now + DEBOUNCE);
        }
    }

    /// A touch matters only to requests that left before it.
    fn forget_old_touches(&mut self) {
        let fetches = self.pending.values().filter_map(|one| one.in_flight);
        let oldest = fetches.chain(self.listing).chain(self.identifying).min();
        match oldest {
            Some(oldest) => self.touched.retain(|_, touched| *touched > oldest),
            None => self.touched.clear(),
        }
    }
}

/// The pause after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    RETRY
        .saturating_mul(1 << failures.saturating_sub(1).min(6))
        .min(RETRY_MAX)
}
