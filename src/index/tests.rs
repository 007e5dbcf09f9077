//! The index against a plain map.

use super::{
    Anchor, AnswerStatus, Answering, Builder, Conversation, Delta, Index, Mutation, RESET_ABOVE,
    Reader,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

fn conversation(id: u8, look: u8) -> Conversation {
    Conversation {
        id: Uuid::from_u128(u128::from(id)),
        name: format!("{look}").repeat(usize::from(look % 3)),
        created: 0,
        // Few values, so that ties in the order are common.
        updated: i64::from(look % 5),
        favorited: look.is_multiple_of(2),
        messages: u32::from(look),
        assets: vec![Uuid::from_u128(u128::from(look % 4))],
        anchors: (0..look % 3)
            .map(|anchor| Uuid::from_u128(100 + u128::from(anchor)))
            .collect(),
        application: ["", "A", "B", "C"][usize::from(look % 4)].to_owned(),
        answering: [
            None,
            Some(AnswerStatus::Waiting),
            Some(AnswerStatus::Writing),
        ][usize::from(look % 3)]
        .map(|status| Answering {
            message: look
                .is_multiple_of(2)
                .then(|| Uuid::from_u128(200 + u128::from(look))),
            status,
        }),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(u8, Option<u8>)>),
    Replace {
        listing: Vec<(u8, u8)>,
        keep: Vec<u8>,
    },
    Anchors(Vec<(u8, u8)>),
}

fn step() -> impl Strategy<Value = Step> {
    // Enough ids to fill several chunks, few enough for collisions.
    let id = any::<u8>();
    let change = (id, proptest::option::weighted(0.7, any::<u8>()));
    prop_oneof![
        12 => vec(change.clone(), 0..6).prop_map(Step::Apply),
        1 => vec(change, 100..300).prop_map(Step::Apply),
        2 => (vec((id, any::<u8>()), 0..300), vec(id, 0..9))
            .prop_map(|(listing, keep)| Step::Replace { listing, keep }),
        1 => vec((0..4u8, 0..3u8), 0..4).prop_map(Step::Anchors),
    ]
}

/// The expected contents of the index, and the state of a reader that only follows the changes.
#[derive(Default)]
struct Model {
    index: Index,
    plain: BTreeMap<Uuid, Conversation>,
    followed: BTreeMap<Uuid, (Conversation, Vec<String>)>,
}

impl Model {
    fn take(&mut self, step: Step) {
        let before = self.index.reader().snapshot().revision();
        let delta = match step {
            Step::Apply(changes) => {
                let mutations: Vec<Mutation> = changes
                    .into_iter()
                    .map(|(id, look)| match look {
                        Some(look) => Mutation::Upsert(conversation(id, look)),
                        None => Mutation::Remove(Uuid::from_u128(u128::from(id))),
                    })
                    .collect();
                for mutation in &mutations {
                    match mutation {
                        Mutation::Upsert(one) => self.plain.insert(one.id, one.clone()),
                        Mutation::Remove(id) => self.plain.remove(id),
                    };
                }
                self.index.apply(mutations)
            }
            Step::Replace { listing, keep } => {
                let keep: HashSet<Uuid> = keep
                    .into_iter()
                    .map(|id| Uuid::from_u128(u128::from(id)))
                    .collect();
                let mut builder = Builder::default();
                self.plain.retain(|id, _| keep.contains(id));
                for (id, look) in listing {
                    let one = conversation(id, look);
                    builder.push(one.as_ref());
                    if !keep.contains(&one.id) {
                        self.plain.insert(one.id, one);
                    }
                }
                self.index.replace(builder, &keep)
            }
            Step::Anchors(anchors) => self.index.replace_anchors(
                anchors
                    .into_iter()
                    .map(|(id, path)| Anchor {
                        id: Uuid::from_u128(100 + u128::from(id)),
                        paths: vec![format!("/{path}")],
                        assets: vec![],
                        conversations: vec![],
                        updated: 0,
                    })
                    .collect(),
            ),
        };
        let reader = self.index.reader();
        match delta {
            None => assert_eq!(
                reader.snapshot().revision(),
                before,
                "a change nobody told of"
            ),
            Some(delta) => {
                assert!(delta.revision > before, "{delta:?}");
                assert_eq!(delta.revision, reader.snapshot().revision());
                assert_eq!(delta.total, self.plain.len());
                follow(&mut self.followed, delta, &reader);
            }
        }
    }

    fn check(&self) {
        let reader = self.index.reader();
        let snapshot = reader.snapshot();
        let mut expected: Vec<&Conversation> = self.plain.values().collect();
        expected.sort_by_key(|one| (std::cmp::Reverse(one.updated), one.id));
        let held: Vec<Conversation> = snapshot.iter().map(|one| one.to_owned()).collect();
        assert_eq!(held.iter().collect::<Vec<_>>(), expected);
        assert_eq!((snapshot.len(), self.index.len()), (held.len(), held.len()));
        for id in (0..=255).map(Uuid::from_u128) {
            assert_eq!(reader.get(id).as_ref(), self.plain.get(&id));
            assert_eq!(reader.contains(id), self.plain.contains_key(&id));
        }
        let asset = Uuid::from_u128(1);
        assert_eq!(
            snapshot.tied_to(&[asset]).count(),
            held.iter()
                .filter(|one| one.assets.contains(&asset))
                .count()
        );
        assert_eq!(self.followed, view(&reader), "who follows the changes");
    }
}

fn view(reader: &Reader) -> BTreeMap<Uuid, (Conversation, Vec<String>)> {
    let snapshot = reader.snapshot();
    let all = snapshot.iter().map(|one| seen(reader, one.to_owned()));
    all.map(|(one, files)| (one.id, (one, files))).collect()
}

fn seen(reader: &Reader, one: Conversation) -> (Conversation, Vec<String>) {
    let anchors = one
        .anchors
        .iter()
        .filter_map(|id| reader.ties().anchor(*id));
    let files = anchors.flat_map(|anchor| anchor.paths.clone()).collect();
    (one, files)
}

fn follow(
    followed: &mut BTreeMap<Uuid, (Conversation, Vec<String>)>,
    delta: Delta,
    reader: &Reader,
) {
    if delta.reset {
        assert!(delta.upserted.is_empty() && delta.removed.is_empty());
        *followed = view(reader);
    }
    for id in delta.removed {
        assert!(followed.remove(&id).is_some(), "{id} was not there");
    }
    for id in delta.upserted {
        let one = reader.get(id).expect("what was upserted is there");
        followed.insert(id, seen(reader, one));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_equals_a_map(steps in vec(step(), 1..20)) {
        let mut model = Model::default();
        for step in steps {
            let old = model.index.reader().snapshot();
            let copy: Vec<Conversation> = old.iter().map(|one| one.to_owned()).collect();
            model.take(step);
            let now: Vec<Conversation> = old.iter().map(|one| one.to_owned()).collect();
            prop_assert_eq!(now, copy, "a snapshot changed");
        }
        model.check();
    }
}

/// Replaces a set of `before` conversations by one of `after`, of which `same` are equal.
fn check_reset(before: usize, after: usize, same: usize, reset: bool) {
    let listing = |ids: std::ops::Range<usize>| {
        let mut builder = Builder::default();
        for id in ids {
            let one = Conversation {
                id: Uuid::from_u128(id as u128),
                ..conversation(0, 1)
            };
            builder.push(one.as_ref());
        }
        builder
    };
    let mut index = Index::default();
    index.replace(listing(0..before), &HashSet::new());
    let start = before - same;
    let delta = index.replace(listing(start..start + after), &HashSet::new());
    let delta = delta.expect("a difference");
    let told = if reset { 0 } else { before + after - 2 * same };
    assert_eq!(
        (delta.reset, delta.upserted.len() + delta.removed.len()),
        (reset, told),
        "{before} {after} {same}"
    );
}

#[test]
fn many_changes_are_not_listed() {
    check_reset(0, RESET_ABOVE, 0, false);
    check_reset(0, RESET_ABOVE + 1, 0, true);
    check_reset(RESET_ABOVE, 0, 0, false);
    check_reset(RESET_ABOVE + 1, 0, 0, true);
    check_reset(5000, 5000, 4500, false);
    check_reset(5000, 5000, 4499, true);
}

#[test]
fn a_set_that_shrinks_one_by_one_stays_whole() {
    let id = |number: u128| Uuid::from_u128(number);
    let mut listing = Builder::default();
    for number in 0..1000 {
        let one = Conversation {
            id: id(number),
            ..conversation(0, number as u8)
        };
        listing.push(one.as_ref());
    }
    let mut index = Index::default();
    index.replace(listing, &HashSet::new());
    // In a scattered order, so that neighbouring chunks become small.
    for gone in 1..=1000u128 {
        index.apply([Mutation::Remove(id(gone * 617 % 1000))]);
        let snapshot = index.reader().snapshot();
        let ids: HashSet<Uuid> = snapshot.iter().map(|one| one.id).collect();
        let left = 1000 - gone as usize;
        assert_eq!(
            (snapshot.len(), snapshot.iter().count(), ids.len()),
            (left, left, left)
        );
    }
}

#[test]
fn a_list_that_differs_in_nothing_leaves_the_names_of_applications_alone() {
    let of = |id, application: &str| Conversation {
        application: application.to_owned(),
        ..conversation(id, 1)
    };
    let listing = |all: &[&Conversation]| {
        let mut builder = Builder::default();
        all.iter().for_each(|one| builder.push(one.as_ref()));
        builder
    };
    let (a, b) = (of(1, "A"), of(2, "B"));
    let mut index = Index::default();
    index.replace(listing(&[&a, &b]), &HashSet::new());
    assert_eq!(index.replace(listing(&[&b, &a]), &HashSet::new()), None);
    let again = Conversation {
        messages: 7,
        ..a.clone()
    };
    index.apply([Mutation::Upsert(again.clone())]);
    let reader = index.reader();
    assert_eq!((reader.get(a.id), reader.get(b.id)), (Some(again), Some(b)));
}

#[test]
fn a_huge_name_of_an_application_is_the_same_each_time() {
    let one = Conversation {
        application: "x".repeat(100_000),
        ..conversation(1, 1)
    };
    let mut index = Index::default();
    assert!(index.apply([Mutation::Upsert(one.clone())]).is_some());
    assert_eq!(index.apply([Mutation::Upsert(one)]), None);
}

#[test]
fn moved_files_are_changes_of_their_conversations() {
    let anchor = |path: &str| Anchor {
        id: Uuid::from_u128(100),
        paths: vec![path.to_owned()],
        assets: vec![],
        conversations: vec![],
        updated: 0,
    };
    let (tied, untied) = (conversation(1, 1), conversation(2, 3));
    let mut index = Index::default();
    index.apply([tied.clone(), untied].map(Mutation::Upsert));
    let changed = |delta: Option<Delta>| delta.map(|delta| delta.upserted);
    assert_eq!(
        changed(index.replace_anchors(vec![anchor("/a")])),
        Some(vec![tied.id])
    );
    assert_eq!(changed(index.replace_anchors(vec![anchor("/a")])), None);
    assert_eq!(changed(index.add_anchors(vec![anchor("/b")])), None);
    assert_eq!(
        changed(index.replace_anchors(vec![anchor("/b")])),
        Some(vec![tied.id])
    );
    assert_eq!(changed(index.replace_anchors(vec![])), Some(vec![tied.id]));
    assert_eq!(
        changed(index.add_anchors(vec![anchor("/b")])),
        Some(vec![tied.id])
    );
}
