//! The real server on real sockets against a stand-in that misbehaves at random: after quiet the list
//! equals the service, and who replays the notifications has the list.
//!
//! `CONVERGENCE_SEEDS=500 cargo test --test convergence` runs more; `CONVERGENCE_SEED=n` runs one. A seed
//! decides what happens and in which order, but not how long it takes. The tests in
//! `tests/sync_simulation` decide that as well, and shrink what they find.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "sync_simulation/rng.rs"]
mod rng;
mod support;

use rng::Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::client::{Client, eventually};
use support::process::Spawn;
use support::replica::{CHANGED, Replica, list};
use support::standin::{Fault, FirstFrame, StandIn};
use support::world::capabilities;

/// By default; some ten seconds, most of which the servers wait out one beside another.
const SEEDS: u64 = 48;
const AT_ONCE: u64 = 8;

#[test]
fn the_list_equals_the_service_after_any_faults() {
    let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("CONVERGENCE_SEED") {
        return check_seed(seed);
    }
    let seeds = number("CONVERGENCE_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        seed if seed < seeds => check_seed(seed),
                        _ => return,
                    }
                }
            });
        }
    });
}

/// Numbers choose an object among those that are there.
#[derive(Debug)]
enum Op {
    /// So many round trips between the editor and the server.
    Breathe(u64),
    Create,
    CreateMany(u64),
    Rename(u64),
    Delete(u64),
    /// By the editor; the answer is waited for in the end.
    OurCreate,
    OurRename(u64),
    OurDelete(u64),
    Refresh,
    /// A change that nobody is told of.
    LoseFrame(u64),
    /// Frames are held back from now on, and then sent in another order, some of them twice.
    HoldFrames,
    ReleaseFrames,
    Malformed(u64),
    Foreign,
    FalseDelete(u64),
    FalseUpsert,
    /// So many requests of this route go wrong so.
    Fault(&'static str, u64, u64),
    Sever,
    Freeze,
    Refuse,
    Silence,
    Heal,
    RestartElsewhere,
    SixOnly(bool),
}

fn op(rng: &mut Rng) -> Op {
    const ROUTES: [&str; 7] = [
        "*",
        "GET /conversations",
        "GET /conversation/{id}",
        "GET /conversations/identifiers",
        "GET /conversations/stream/identifiers",
        "GET /anchors",
        "POST *",
    ];
    let which = rng.next() >> 8;
    match rng.below(50) {
        0..9 => Op::Breathe([1, 5, 50, 200][rng.below(4) as usize]),
        9..12 => Op::Create,
        12 => Op::CreateMany(30 + rng.below(100)),
        13..18 => Op::Rename(which),
        18..21 => Op::Delete(which),
        21 => Op::OurCreate,
        22 => Op::OurRename(which),
        23..25 => Op::OurDelete(which),
        25 => Op::Refresh,
        26 => Op::LoseFrame(which),
        27..29 => Op::HoldFrames,
        29..32 => Op::ReleaseFrames,
        32..34 => Op::Malformed(rng.below(5)),
        34 => Op::Foreign,
        35..37 => Op::FalseDelete(which),
        37 => Op::FalseUpsert,
        38..42 => {
            let route = ROUTES[rng.below(7) as usize];
            Op::Fault(route, rng.below(8), 1 + rng.below(3))
        }
        42 => Op::Sever,
        43 => Op::Freeze,
        44 => Op::Refuse,
        45 => Op::Silence,
        46..48 => Op::Heal,
        48 => Op::RestartElsewhere,
        _ => Op::SixOnly(rng.once_in(2)),
    }
}

/// Shows how it came to this, should the test fail.
struct Story {
    seed: u64,
    script: Vec<Op>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("CONVERGENCE_SEED={}: {:?}", self.seed, self.script);
        }
    }
}

fn check_seed(seed: u64) {
    let mut rng = Rng::new(seed);
    let length = 10 + rng.below(50);
    let script = (0..length).map(|_| op(&mut rng)).collect();
    let story = Story { seed, script };
    let mut world = World::start(&mut rng);
    for op in &story.script {
        world.carry_out(op);
    }
    world.be_quiet();
    world.agree();
}

/// With the health route, by which a service is found: the six documented routes and no others.
fn routes_off(six_only: bool) -> Vec<String> {
    let off = [
        "GET /conversation/{id}",
        "GET /conversation/{id}/messages",
        "POST /conversation/update",
        "GET /anchors",
        "GET /assets/identifiers",
    ];
    let off = off.iter().filter(|_| six_only);
    off.map(ToString::to_string).collect()
}

struct World {
    standin: StandIn,
    client: Client,
    replica: Replica,
    rng: Rng,
    made: u64,
    /// Somebody has to ask again: there were changes that nobody was told of.
    deceived: bool,
    /// Something hangs or is half open, which would take its deadline of many seconds.
    stuck: bool,
    unanswered: Vec<i64>,
}

impl World {
    fn start(rng: &mut Rng) -> Self {
        let mut standin = StandIn::start();
        let first_frame = [FirstFrame::Whole, FirstFrame::Split(7), FirstFrame::Missing];
        standin.with(|state| {
            state.first_frame = first_frame[rng.below(3) as usize];
            state.frames_twice = rng.once_in(3);
            state.frames_without_updated = rng.once_in(3);
            state.clock_stopped = rng.once_in(4);
            state.switched_off = routes_off(rng.once_in(4));
        });
        let many = [0, 3, 40, 300][rng.below(4) as usize];
        standin.fill((0..many).map(|number| format!("filled {number}")));
        let spawn = Spawn::serve().arg("--backend").arg("pieces-os");
        let file = match cfg!(target_os = "macos") {
            true => "Library/com.pieces.os/production/Config/.port.txt",
            false => ".local/share/com.pieces.os/production/Config/.port.txt",
        };
        standin.publish_port(&spawn.home().join(file));
        let (mut client, _) = Client::connect(spawn, capabilities(), json!({"liveUpdates": true}));
        for expected in [CHANGED, "pieces/didChangeStatus", "window/logMessage"] {
            client.allow(expected);
        }
        World {
            standin,
            client,
            replica: Replica::default(),
            rng: rng.clone(),
            made: 0,
            deceived: false,
            stuck: false,
            unanswered: vec![],
        }
    }

    fn nth(&self, which: u64) -> Option<String> {
        self.standin.with(|state| {
            let at = which.checked_rem(state.conversations.len() as u64)?;
            state.conversations.keys().nth(at as usize).cloned()
        })
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("made {}", self.made)
    }

    fn send(&mut self, command: &str, argument: Value) {
        let params =
            json!({"command": format!("pieces.conversations.{command}"), "arguments": [argument]});
        let id = self.client.send_request("workspace/executeCommand", params);
        self.unanswered.push(id);
    }

    fn carry_out(&mut self, op: &Op) {
        self.stuck |= matches!(op, Op::Freeze | Op::Silence | Op::Fault(_, 3, _));
        match *op {
            Op::Breathe(times) => {
                for _ in 0..times {
                    self.replay();
                }
            }
            Op::Create => {
                let name = self.name();
                self.standin.create(&name);
            }
            Op::CreateMany(many) => {
                for _ in 0..many {
                    let name = self.name();
                    self.standin.create(&name);
                }
            }
            Op::Rename(which) => {
                let name = self.name();
                if let Some(id) = self.nth(which) {
                    self.standin.rename(&id, &name);
                }
            }
            Op::Delete(which) => {
                if let Some(id) = self.nth(which) {
                    self.standin.delete(&id);
                }
            }
            Op::OurCreate => {
                let name = self.name();
                let seed = json!({"type": "COPILOT", "name": name});
                self.send("create", json!({"seededConversation": seed}));
            }
            Op::OurRename(which) => {
                let name = self.name();
                if let Some(id) = self.nth(which) {
                    self.send("rename", json!({"conversation": id, "name": name}));
                }
            }
            Op::OurDelete(which) => {
                if let Some(id) = self.nth(which) {
                    self.send("delete", json!({"conversation": id, "confirm": false}));
                }
            }
            Op::Refresh => self.send("refresh", json!({})),
            Op::LoseFrame(which) => {
                self.deceived = true;
                self.standin.with(|state| state.silent = true);
                self.carry_out(&match which % 3 {
                    0 => Op::Create,
                    1 => Op::Rename(which),
                    _ => Op::Delete(which),
                });
                self.standin.with(|state| state.silent = false);
            }
            Op::HoldFrames => {
                self.release_frames();
                self.standin.hold_frames();
            }
            Op::ReleaseFrames => self.release_frames(),
            Op::Malformed(kind) => self.standin.push_text(
                [
                    "",
                    "nonsense",
                    "{\"iterable\": [null, 3, {\"conversation\": {\"id\": []}}]}",
                    "{\"iterable\": 7}",
                    "[[[[[[{\"iterable\":",
                ][kind as usize],
            ),
            Op::Foreign => {
                let id = uuid::Uuid::from_u128(u128::from(self.rng.next()));
                let foreign = json!({"iterable": [{"asset": {"id": id}}]});
                self.standin.push_frame(foreign);
            }
            Op::FalseDelete(which) => {
                if let Some(id) = self.nth(which) {
                    let item = json!({"conversation": {"id": id}, "deleted": true});
                    self.standin.push_frame(json!({"iterable": [item]}));
                }
            }
            Op::FalseUpsert => {
                let id = uuid::Uuid::from_u128(u128::from(self.rng.next()));
                let item = json!({"conversation": {"id": id}});
                self.standin.push_frame(json!({"iterable": [item]}));
            }
            Op::Fault(route, kind, times) => {
                let fault = match kind {
                    0 => Fault::Status(500, "Something went wrong."),
                    1 => Fault::Status(401, "Signed out."),
                    2 => Fault::Delay(Duration::from_millis(30)),
                    3 => Fault::Hang,
                    4 => Fault::Drop,
                    5 => Fault::LoseReply,
                    6 => Fault::Truncate,
                    _ => Fault::Body("application/json", "{\"iterable\": {}}".to_owned()),
                };
                self.standin.fault_times(route, fault, times as usize);
            }
            Op::Sever => self.standin.sever(),
            Op::Freeze => self.standin.freeze(),
            Op::Refuse => self.standin.refuse(),
            Op::Silence => self.standin.accept_silently(),
            Op::Heal => self.standin.heal(),
            Op::RestartElsewhere => self.standin.restart_elsewhere(),
            Op::SixOnly(six) => self
                .standin
                .with(|state| state.switched_off = routes_off(six)),
        }
    }

    fn release_frames(&mut self) {
        let rng = &mut self.rng;
        self.standin.release_frames(|frames| {
            for at in (1..frames.len()).rev() {
                frames.swap(at, rng.below(at as u64 + 1) as usize);
            }
            let again: Vec<_> = frames.iter().filter(|_| rng.once_in(4)).cloned().collect();
            frames.extend(again);
        });
    }

    /// Nothing goes wrong any more.
    fn be_quiet(&mut self) {
        self.standin.heal();
        self.release_frames();
        if self.stuck {
            self.standin.sever();
        }
        for id in std::mem::take(&mut self.unanswered) {
            // Refused or not: what became of it is what the stand-in has.
            let _ = self.client.response(id);
        }
        if self.deceived {
            eventually("a refresh that succeeds", || {
                let refreshed = self
                    .client
                    .command("pieces.conversations.refresh", Value::Null);
                refreshed.is_ok()
            });
        }
    }

    fn agree(&mut self) {
        let mut last = (Value::Null, BTreeMap::new());
        let mut expected = BTreeMap::new();
        // `eventually` says only that it did not come to this.
        let differences = Differences::default();
        eventually("the list equals the service", || {
            let listed = list(&mut self.client);
            let (names, status) = (names(&listed.1), status(&mut self.client));
            expected = self.standin.with(|state| {
                let name = |one: &Value| one["name"].as_str().unwrap_or("").to_owned();
                let all = state.conversations.iter();
                all.map(|(id, one)| (id.clone(), name(one))).collect()
            });
            differences.note(&names, &expected, &status);
            last = listed;
            names == expected && status["state"] == "live"
        });
        let ids = self
            .client
            .command("pieces.conversations.identifiers", Value::Null);
        let ids = ids.unwrap()["iterable"].as_array().unwrap().len();
        assert_eq!(ids, expected.len());
        eventually("the replay equals the list", || {
            self.replay();
            last = list(&mut self.client);
            self.replica.items == last.1 && last.0 == self.replica.revision
        });
    }

    fn replay(&mut self) {
        for change in self.client.drain(CHANGED) {
            self.replica.apply(&change, &mut self.client);
        }
    }
}

fn names(items: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
    items
        .iter()
        .map(|(id, item)| (id.clone(), name(item)))
        .collect()
}

fn status(client: &mut Client) -> Value {
    client.command("pieces.status", Value::Null).unwrap()
}

/// The last disagreement, shown should the test fail.
#[derive(Default)]
struct Differences(std::cell::RefCell<String>);

impl Differences {
    fn note(
        &self,
        have: &BTreeMap<String, String>,
        expected: &BTreeMap<String, String>,
        status: &Value,
    ) {
        let ids = have.keys().chain(expected.keys());
        let different: Vec<_> = ids
            .filter(|id| have.get(*id) != expected.get(*id))
            .map(|id| (id, have.get(id), expected.get(id)))
            .take(5)
            .collect();
        *self.0.borrow_mut() = format!("(id, have, expected): {different:?}; {status}");
    }
}

impl Drop for Differences {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.borrow());
        }
    }
}
