//! Cases that the simulation does not show: what is kept, and for how long.

use super::*;
use crate::index::Conversation;

/// A live machine, and the clock of its test.
struct Bench {
    machine: Machine,
    now: Instant,
    /// The requests in flight.
    actions: Vec<Action>,
}

fn conversation(id: u128, anchor: u128) -> Conversation {
    Conversation {
        id: Uuid::from_u128(id),
        name: "A name".to_owned(),
        created: 0,
        updated: id as i64,
        favorited: false,
        messages: 0,
        assets: vec![],
        anchors: vec![Uuid::from_u128(anchor)],
        application: String::new(),
        answering: None,
    }
}

impl Bench {
    fn live() -> Self {
        let mut bench = Bench {
            machine: Machine::after(0),
            now: Instant::now(),
            actions: Vec::new(),
        };
        bench.step(Input::Opened);
        bench.settle();
        assert!(bench.machine.is_live());
        bench
    }

    fn step(&mut self, input: Input) {
        let outcome = self.machine.step(self.now, input);
        self.actions.extend(outcome.actions);
    }

    /// Answers all requests: there are no anchors, and no conversations but those we wrote. Returns how often
    /// the anchors were read.
    fn settle(&mut self) -> usize {
        let mut read = 0;
        loop {
            while let Some(action) = self.actions.pop() {
                self.step(match action {
                    Action::List { ticket, .. } => Input::Listed(ticket, Some(Listing::default())),
                    Action::Fetch(ticket, id) => {
                        let one = self.machine.index().reader().get(id);
                        let found = one.map(|one| Fetched::Found(Box::new(one), vec![]));
                        Input::Fetched(ticket, found.unwrap_or(Fetched::Gone))
                    }
                    Action::Identify(ticket) => {
                        let snapshot = self.machine.index().reader().snapshot();
                        let ids = snapshot.iter().map(|one| one.id).collect();
                        Input::Identified(ticket, Some(ids))
                    }
                    Action::Anchors(ticket) => {
                        read += 1;
                        Input::Anchors(ticket, Answer::Here(vec![]))
                    }
                    Action::Assets(ticket) => Input::Assets(ticket, Answer::Here(vec![])),
                });
            }
            match self.machine.deadline() {
                Some(deadline) => self.now = deadline,
                None => return read,
            }
            self.step(Input::Wake);
        }
    }
}

#[test]
fn unreferenced_anchors_are_forgotten() {
    let mut bench = Bench::live();
    for n in 0..100 {
        bench.step(Input::Wrote(conversation(n, 1000 + n)));
        assert_eq!(bench.settle(), 2, "looked for, and once more");
        bench.step(Input::Wrote(conversation(n, 1000 + n)));
        assert_eq!(bench.settle(), 0, "not looked for again");
        bench.step(Input::Deleted(Uuid::from_u128(n)));
        bench.settle();
    }
    bench.step(Input::AnchorsChanged);
    bench.settle();
    let machine = &bench.machine;
    assert_eq!(
        (
            machine.abandoned_anchors.len(),
            machine.unresolved_anchors.len()
        ),
        (0, 0)
    );
}

#[test]
fn known_since_is_forgotten_once_no_request_is_older() {
    let mut bench = Bench::live();
    bench.step(Input::Refresh);
    let frame = |n| Input::Frame {
        upserts: vec![],
        deletes: vec![Uuid::from_u128(n)],
        malformed: false,
    };
    (0..100).for_each(|n| bench.step(frame(n)));
    assert_eq!(
        bench.machine.known_since.len(),
        100,
        "the list under way may have them"
    );
    let Some(Action::List { ticket, .. }) = bench.actions.pop() else {
        panic!("a list is under way");
    };
    bench.step(Input::Listed(ticket, Some(Listing::default())));
    bench.settle();
    assert_eq!(bench.machine.known_since.len(), 0);
}

/// A server that answers 500 for deleted objects: after one failed fetch, the ids decide.
#[test]
fn a_delete_costs_one_confirmation_where_gone_is_an_error() {
    let mut bench = Bench::live();
    for n in 0..20 {
        bench.step(Input::Wrote(conversation(n, 1000)));
    }
    bench.settle();
    let mut requests = Vec::new();
    for n in 0..3 {
        bench.step(Input::Frame {
            upserts: vec![],
            deletes: vec![Uuid::from_u128(n)],
            malformed: false,
        });
        loop {
            while let Some(action) = bench.actions.pop() {
                requests.push(action);
                bench.step(match action {
                    Action::Fetch(ticket, _) => Input::Fetched(ticket, Fetched::Failed),
                    Action::Identify(ticket) => {
                        let snapshot = bench.machine.index().reader().snapshot();
                        let ids = snapshot.iter().map(|one| one.id).collect();
                        Input::Identified(ticket, Some(ids))
                    }
                    other => panic!("{other:?}"),
                });
            }
            let Some(deadline) = bench.machine.deadline() else {
                break;
            };
            bench.now = deadline;
            bench.step(Input::Wake);
        }
        assert!(bench.machine.is_settled());
    }
    let kinds: Vec<&str> = requests
        .iter()
        .map(|action| match action {
            Action::Fetch(..) => "fetch",
            _ => "ids",
        })
        .collect();
    assert_eq!(kinds, ["fetch", "ids", "ids", "ids"]);
}

/// A change announced by the stream is reported even if the record is the same.
#[test]
fn an_unchanged_record_is_reported_as_touched() {
    let mut bench = Bench::live();
    bench.step(Input::Wrote(conversation(1, 1000)));
    bench.settle();
    let id = Uuid::from_u128(1);
    bench.step(Input::Frame {
        upserts: vec![id],
        deletes: vec![],
        malformed: false,
    });
    let Some(Action::Fetch(ticket, fetched)) = bench.actions.pop() else {
        panic!("it is looked up");
    };
    assert_eq!(fetched, id);
    let found = Fetched::Found(Box::new(conversation(1, 1000)), vec![]);
    let outcome = bench.machine.step(bench.now, Input::Fetched(ticket, found));
    assert_eq!(
        (outcome.deltas.len(), outcome.touched),
        (0, Touched::One(id))
    );

    bench.step(Input::Refresh);
    let Some(Action::List { ticket, .. }) = bench.actions.pop() else {
        panic!("it is listed");
    };
    let mut listing = Listing::default();
    listing.conversations.push(conversation(1, 1000).as_ref());
    let outcome = bench
        .machine
        .step(bench.now, Input::Listed(ticket, Some(listing)));
    assert_eq!((outcome.deltas.len(), outcome.touched), (0, Touched::All));
}
