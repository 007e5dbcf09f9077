//! The fast way against the general one.

use super::super::repair;
use super::{Conversation, FastReader, Readable};
use serde::de::IgnoredAny;

/// The general way, as the list parser goes it.
fn general(json: &[u8]) -> Option<(Option<Conversation<'static>>, usize)> {
    let own = |Readable(read): Readable<Conversation<'_>>| read.map(Conversation::into_owned);
    let mut items = serde_json::Deserializer::from_slice(json).into_iter();
    if let Some(Ok(read)) = items.next() {
        return Some((own(read), items.byte_offset()));
    }
    let mut items = serde_json::Deserializer::from_slice(json).into_iter::<IgnoredAny>();
    items.next()?.ok()?;
    let end = items.byte_offset();
    let repaired = repair(&json[..end])?;
    let read = serde_json::from_slice(&repaired).ok().and_then(own);
    Some((read, end))
}

/// Whether the fast way reads `json`; if it does, both ways read the same.
pub(in crate::pieces) fn agrees(reader: &mut FastReader, json: &[u8]) -> bool {
    let Some((Readable(read), end)) = reader.read(json) else {
        return false;
    };
    let text = String::from_utf8_lossy(json);
    assert_eq!(
        Some((read.map(Conversation::into_owned), end)),
        general(json),
        "{text}"
    );
    true
}

/// The same from every object in `json`, each knowing what came before.
pub(crate) fn agrees_everywhere(json: &[u8]) {
    let mut reader = FastReader::default();
    let objects = json.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    for (at, _) in objects.take(64) {
        agrees(&mut reader, &json[at..]);
    }
}
