//! Checks of parsed stream frames.

use super::{Change, Frame, frame};
use crate::pieces::wire::StreamedIdentifier as Item;

/// Every change is returned in order, and unreadable parts are reported.
pub(in crate::pieces) fn hands_on(json: &[u8], items: &Option<Vec<Item>>) {
    let all = items.iter().flatten();
    let expected = all.clone().filter_map(|item| match *item {
        Item::Upsert { id, updated } => Some(Change::Upsert { id, updated }),
        Item::Delete { id } => Some(Change::Delete { id }),
        Item::Foreign | Item::Malformed => None,
    });
    let expected = Frame::Changes {
        changes: expected.collect(),
        malformed: items.is_none() || all.clone().any(|item| *item == Item::Malformed),
    };
    assert_eq!(frame(json), expected);
}
