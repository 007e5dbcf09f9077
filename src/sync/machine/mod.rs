//! The decisions of list-and-watch, as a state machine without I/O.
//!
//! Every input gets a number from a logical clock, and so does every request when it is sent. What is known
//! of an id carries the number of its request or input, and the larger number wins: a response never
//! overrules a delete, a write of our own, or a list that is newer than the request. An id that changed after
//! a request was sent is requested again. That rules out resurrected and ghost conversations.
//!
//! | field | meaning | set by | cleared by |
//! | --- | --- | --- | --- |
//! | `clock` | the logical clock: the number of the last input or request | every step and request | never |
//! | `opened` | when the stream opened; `None` = no stream | `Opened` | `Closed` |
//! | `listed`, `identified`, `anchored` | the number of the request whose list, ids, anchors were applied last | its response | never |
//! | `single` | whether `GET /conversation/{id}` exists | responses to fetches, a list that has what a fetch called missing | `Opened`, `Closed` |
//! | `lookups` | pending lookups: ids to be requested, by a request sent after `since` | stream, our writes, missing ids | the response to such a request, a delete, `Closed` |
//! | `requests` | in flight, by their number | `leave` | their response, `Closed` |
//! | `known_since` | the number of what is known of an id; an older response does not overrule it | whatever changes or confirms the id | once no request in flight is older |
//! | `oldest` | the oldest request in flight when `known_since` was last pruned | pruning | pruning |
//! | `list`, `identify`, `anchors`, `assets` | when that request is due, its failures, how long it took | see [`schedule`] | `Closed` |
//! | `unconfirmed_deletes` | deletes announced only by the stream, with their number; already removed from the index | delete frames, 410s | the fetch, list or ids that confirm or refute them, `Closed` |
//! | `confirm_at` | when to confirm them | each of them, a second later | the confirmation, `Closed` |
//! | `gone_is_an_error` | this server answers 500 for deleted conversations, so a list of ids confirms deletes | a failed confirmation | `Opened` |
//! | `anchors_missing`, `assets_missing` | the server lacks that route | 404 | `Opened` |
//! | `unresolved_anchors` | anchors that conversations refer to but the last `GET /anchors` lacked; requested once more | that response | the next, `Opened` |
//! | `abandoned_anchors` | the same after two of them; not requested again | the second response | when no conversation refers to them, `Opened` |
//! | `saved` | our assets that a list in flight may lack | `WroteAsset` | a list sent later |
//! | `resync_at`, `resyncs` | when the next resync is due, and how many have run | `Opened`, resync | – |

mod answers;
mod input;
mod output;
mod plan;
mod schedule;
#[cfg(test)]
mod tests;

use crate::index::{Delta, Index, Mutation};
use foldhash::fast::RandomState;
pub use input::{Answer, Fetched, Input, Listing, Ticket};
pub use output::{Action, Outcome, Touched};
use schedule::Schedule;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the list waits after the stream opened for the first frame, which repeats all ids.
const FIRST_FRAME: Duration = Duration::from_millis(200);
/// Quiet time before changes are read by a new list (where single fetches do not work); at least twice as
/// long as the last list took.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Pause between an unreadable frame and the list that makes up for it.
const MALFORMED: Duration = Duration::from_secs(1);
/// Quiet time before deletes announced only by the stream are confirmed with the server.
const CONFIRM: Duration = Duration::from_secs(1);
/// Quiet time before changed anchors or assets are read.
const TIES: Duration = Duration::from_millis(250);
/// Up to this many deletes are confirmed one by one, more by one list of ids.
const CONFIRM_SINGLY: usize = 8;
/// More changed ids than this (and than one in [`LIST_SHARE`]) are read by one list.
const LIST_ABOVE: usize = 64;
const LIST_SHARE: usize = 64;
/// Maximum requests in flight: the server's reads take its write lock.
const IN_FLIGHT: usize = 2;
/// After this many failures of one fetch the list replaces it.
const FETCH_TRIES: u32 = 4;
/// After this many failures anchors and assets are read only for the next reason.
const TIES_TRIES: u32 = 4;
/// Interval between resyncs, in case a frame was lost; at least [`RESYNC_SHARE`] times as long as the last
/// one took. A resync runs only when a message of the stream arrives.
const RESYNC: Duration = Duration::from_secs(120);
const RESYNC_SHARE: u32 = 100;
/// One resync in this many reads the whole list, the others the ids.
const FULL_RESYNC: u32 = 15;

/// Whether GET /conversation/{id} exists; it is not among the six documented endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SingleFetch {
    Unknown,
    Works,
    Missing,
}

/// An id to be requested: by a single fetch, or by the list if `by_list`.
#[derive(Debug)]
struct PendingLookup {
    /// By a request sent after this.
    since: Ticket,
    /// Not before this.
    at: Instant,
    failures: u32,
    /// Only the list can answer.
    by_list: bool,
    /// The single fetch answered 404 before any single fetch worked.
    route_may_be_missing: bool,
    /// Only confirms a delete.
    confirms_delete: bool,
    /// A write of our own that a caller waits for.
    ours: bool,
}

/// A request in flight.
#[derive(Debug, Clone, Copy)]
struct Request {
    what: What,
    left: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    List { transferables: bool },
    Fetch(Uuid),
    Identify,
    Anchors,
    Assets,
}

/// The state machine around the index. The table above explains the fields.
#[derive(Debug)]
pub struct Machine {
    index: Index,
    clock: Ticket,
    opened: Option<Ticket>,
    listed: Ticket,
    identified: Ticket,
    anchored: Ticket,
    single: SingleFetch,
    /// Ordered, so that a run can be repeated.
    lookups: BTreeMap<Uuid, PendingLookup>,
    requests: BTreeMap<Ticket, Request>,
    known_since: HashMap<Uuid, Ticket>,
    oldest: Option<Ticket>,
    list: Schedule,
    identify: Schedule,
    anchors: Schedule,
    assets: Schedule,
    unconfirmed_deletes: BTreeMap<Uuid, Ticket>,
    confirm_at: Option<Instant>,
    gone_is_an_error: bool,
    anchors_missing: bool,
    assets_missing: bool,
    unresolved_anchors: AnchorIds,
    abandoned_anchors: AnchorIds,
    saved: Vec<(Uuid, Ticket)>,
    resync_at: Option<Instant>,
    resyncs: u32,
}

/// Looked up once for each conversation of a list.
type AnchorIds = HashSet<Uuid, RandomState>;

impl Machine {
    /// A machine whose index starts at `revision`.
    pub fn after(revision: u64) -> Self {
        Machine {
            index: Index::after(revision),
            clock: 0,
            opened: None,
            listed: 0,
            identified: 0,
            single: SingleFetch::Unknown,
            lookups: BTreeMap::new(),
            requests: BTreeMap::new(),
            known_since: HashMap::new(),
            oldest: None,
            list: Schedule::default(),
            identify: Schedule::default(),
            anchors: Schedule::default(),
            assets: Schedule::default(),
            unconfirmed_deletes: BTreeMap::new(),
            gone_is_an_error: false,
            confirm_at: None,
            anchors_missing: false,
            assets_missing: false,
            anchored: 0,
            unresolved_anchors: AnchorIds::default(),
            abandoned_anchors: AnchorIds::default(),
            saved: Vec::new(),
            resync_at: None,
            resyncs: 0,
        }
    }

    /// The index's handle for readers.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The stream is open, everything was listed after it opened, and the last list did not fail.
    pub fn is_live(&self) -> bool {
        self.is_reconciled() && self.list.failures == 0
    }

    /// The number of the last input.
    pub fn clock(&self) -> Ticket {
        self.clock
    }

    /// Both the list and the ids were read after that input.
    pub fn reread_since(&self, ticket: Ticket) -> bool {
        self.listed > ticket && self.identified > ticket
    }

    /// The anchors were read after that input, or will not be read.
    pub fn anchored_since(&self, ticket: Ticket) -> bool {
        self.anchored > ticket || self.anchors_missing || !self.anchors.is_wanted()
    }

    /// The anchors and assets were read on this connection, or will not be read.
    pub fn ties_are_read(&self) -> bool {
        self.opened
            .is_some_and(|opened| self.anchored_since(opened) && !self.assets.is_wanted())
    }

    /// Whether that id has a pending lookup.
    pub fn is_looking_for(&self, id: Uuid) -> bool {
        self.lookups.contains_key(&id)
    }

    /// The number of requests in flight.
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// No request is in flight or due, and no lookup is pending.
    pub fn is_settled(&self) -> bool {
        self.requests.is_empty()
            && self.lookups.is_empty()
            && self.unconfirmed_deletes.is_empty()
            && self.deadline().is_none()
    }

    /// One step.
    pub fn step(&mut self, now: Instant, input: Input) -> Outcome {
        self.clock += 1;
        let touched = self.touched_by(&input);
        let deltas = self.learn(now, input);
        for delta in &deltas {
            self.look_for_unknown_anchors(now, delta);
        }
        let actions = self.plan(now);
        self.forget_known_since();
        Outcome {
            actions,
            deltas,
            touched,
        }
    }

    /// What a response shows to be worth reading again. Its request was sent after the change, so messages
    /// read from now on include the change.
    fn touched_by(&self, input: &Input) -> Touched {
        let asked = |ticket| self.requests.get(ticket).map(|request| request.what);
        match input {
            Input::Listed(ticket, Some(_)) if asked(ticket).is_some() => Touched::All,
            Input::Fetched(ticket, Fetched::Found(one, _))
                if asked(ticket) == Some(What::Fetch(one.id)) =>
            {
                Touched::One(one.id)
            }
            _ => Touched::None,
        }
    }

    fn learn(&mut self, now: Instant, input: Input) -> Vec<Delta> {
        let delta = match input {
            Input::Opened => {
                self.open(now);
                None
            }
            Input::Closed => {
                self.close();
                None
            }
            Input::Alive => {
                self.resync(now);
                None
            }
            Input::Frame {
                upserts,
                deletes,
                malformed,
            } => {
                self.resync(now);
                self.changed(now, upserts, malformed);
                self.remove_unconfirmed(now, deletes)
            }
            Input::Listed(ticket, listing) => return self.on_list(now, ticket, listing),
            Input::Fetched(ticket, fetched) => return self.on_fetch(now, ticket, fetched),
            Input::Identified(ticket, ids) => self.on_identifiers(now, ticket, ids),
            Input::Anchors(ticket, anchors) => self.on_anchors(now, ticket, anchors),
            Input::Assets(ticket, assets) => {
                self.on_assets(now, ticket, assets);
                None
            }
            Input::AnchorsChanged => {
                self.anchors.soon(now + TIES);
                None
            }
            Input::AssetsChanged => {
                self.assets.soon(now + TIES);
                None
            }
            Input::Wrote(one) => {
                // Another client may have changed it since our write was answered.
                self.look_up(now, one.id, self.clock);
                self.known_since.insert(one.id, self.clock);
                self.index.apply([Mutation::Upsert(one)])
            }
            Input::WroteId(id) => {
                self.look_up(now, id, self.clock).ours = true;
                None
            }
            Input::Deleted(id) => {
                self.known_since.insert(id, self.clock);
                self.lookups.remove(&id);
                self.index.apply([Mutation::Remove(id)])
            }
            Input::WroteAsset(id) => {
                self.index.put_asset(id);
                self.saved.push((id, self.clock));
                self.anchors.soon(now);
                None
            }
            Input::Refresh => {
                // A list in flight may have been sent too early to include recent changes.
                self.list.at_once(now);
                self.identify.at_once(now);
                None
            }
            Input::Wake => None,
        };
        Vec::from_iter(delta)
    }

    fn open(&mut self, now: Instant) {
        self.opened = Some(self.clock);
        self.single = SingleFetch::Unknown;
        self.gone_is_an_error = false;
        self.anchors_missing = false;
        self.assets_missing = false;
        self.unresolved_anchors.clear();
        self.abandoned_anchors.clear();
        self.resync_at = Some(now + RESYNC);
        self.resyncs = 0;
        self.list.start_over();
        self.list.soon(now + FIRST_FRAME);
        self.anchors.soon(now + FIRST_FRAME);
        self.assets.soon(now + FIRST_FRAME);
    }

    fn close(&mut self) {
        self.opened = None;
        // The next connection may reach another server.
        self.single = SingleFetch::Unknown;
        // The list after the next connection covers all pending lookups.
        self.lookups.clear();
        self.requests.clear();
        self.unconfirmed_deletes.clear();
        self.confirm_at = None;
        for schedule in [
            &mut self.list,
            &mut self.identify,
            &mut self.anchors,
            &mut self.assets,
        ] {
            schedule.give_up();
        }
    }

    /// Frames may get lost, so the index is compared with the server from time to time, when the stream is alive.
    fn resync(&mut self, now: Instant) {
        if !self.is_reconciled() || self.resync_at.is_none_or(|at| at > now) {
            return;
        }
        let pause = RESYNC.max(self.identify.took.max(self.list.took) * RESYNC_SHARE);
        self.resync_at = Some(now + pause);
        self.resyncs += 1;
        if self.resyncs.is_multiple_of(FULL_RESYNC) {
            self.list.soon(now);
        } else {
            self.identify.soon(now);
        }
        self.anchors.soon(now);
        self.assets.soon(now);
    }

    /// Handles ids that the stream reported as new or changed.
    fn changed(&mut self, now: Instant, upserts: Vec<Uuid>, malformed: bool) {
        if !self.is_reconciled() && !self.list.is_under_way() {
            // The first frame is here, and the list sent now is newer than its ids.
            self.list.soon(now);
            return;
        }
        for id in upserts {
            self.look_up(now, id, self.clock);
        }
        if malformed {
            self.list.soon(now + MALFORMED);
        }
    }

    /// Removes deletes from the stream at once and confirms them later: frames may come out of order.
    fn remove_unconfirmed(&mut self, now: Instant, deletes: Vec<Uuid>) -> Option<Delta> {
        if deletes.is_empty() {
            return None;
        }
        for id in &deletes {
            self.known_since.insert(*id, self.clock);
            self.lookups.remove(id);
            self.unconfirmed_deletes.insert(*id, self.clock);
        }
        self.confirm_at = Some(now + CONFIRM);
        self.index.apply(deletes.into_iter().map(Mutation::Remove))
    }

    /// Adds a pending lookup of the id, for a request sent after `since`.
    fn look_up(&mut self, now: Instant, id: Uuid, since: Ticket) -> &mut PendingLookup {
        let lookup = self.lookups.entry(id).or_insert(PendingLookup {
            since,
            at: now,
            failures: 0,
            by_list: false,
            route_may_be_missing: false,
            confirms_delete: false,
            ours: false,
        });
        lookup.since = lookup.since.max(since);
        lookup.confirms_delete = false;
        lookup
    }

    fn is_reconciled(&self) -> bool {
        self.opened.is_some_and(|opened| self.listed > opened)
    }

    fn look_for_unknown_anchors(&mut self, now: Instant, delta: &Delta) {
        let unknown = if delta.reset {
            self.has_unknown_anchors()
        } else {
            let reader = self.index.reader();
            delta
                .upserted
                .iter()
                .filter_map(|id| reader.get(*id))
                .any(|one| one.anchors.iter().any(|anchor| self.is_unknown(*anchor)))
        };
        if !unknown {
            return;
        }
        if self.anchors_missing {
            self.list.soon(now + DEBOUNCE);
        } else if !self.anchors.is_wanted() {
            self.anchors.soon(now + DEBOUNCE);
        }
    }

    fn has_unknown_anchors(&self) -> bool {
        let snapshot = self.index.reader().snapshot();
        let unknown = |anchor: &Uuid| self.is_unknown(*anchor);
        snapshot.iter().any(|one| one.anchors.iter().any(unknown))
    }

    fn is_unknown(&self, anchor: Uuid) -> bool {
        !self.abandoned_anchors.contains(&anchor)
            && self.index.reader().ties().anchor(anchor).is_none()
    }

    /// What is known of an id matters only to requests sent before.
    fn forget_known_since(&mut self) {
        let oldest = self.requests.first_key_value().map(|(oldest, _)| *oldest);
        // While the oldest request is the same there is nothing to prune, however many ids are known.
        if std::mem::replace(&mut self.oldest, oldest) == oldest && oldest.is_some() {
            return;
        }
        match oldest {
            Some(oldest) => self
                .known_since
                .retain(|_, known_since| *known_since > oldest),
            None => self.known_since.clear(),
        }
    }
}
