//! What no history of the simulation would show: what is kept, and for how long.

use super::*;

/// A machine that is live, and the clock of its test.
struct Bench {
    machine: Machine,
    now: Instant,
    /// Under way.
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

    /// Answers everything: there are no anchors, and no conversations but those we wrote. How often the
    /// anchors were read.
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
fn anchors_that_nobody_has_any_more_are_forgotten() {
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
    assert_eq!((machine.obscure.len(), machine.suspects.len()), (0, 0));
}

#[test]
fn touches_are_forgotten_once_no_request_is_older() {
    let mut bench = Bench::live();
    bench.step(Input::Refresh);
    let frame = |n| Input::Frame {
        upserts: vec![],
        deletes: vec![Uuid::from_u128(n)],
        malformed: false,
    };
    (0..100).for_each(|n| bench.step(frame(n)));
    assert_eq!(
        bench.machine.touched.len(),
        100,
        "the list under way may have them"
    );
    let Some(Action::List { ticket, .. }) = bench.actions.pop() else {
        panic!("a list is under way");
    };
    bench.step(Input::Listed(ticket, Some(Listing::default())));
    bench.settle();
    assert_eq!(bench.machine.touched.len(), 0);
}
