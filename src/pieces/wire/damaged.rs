//! Malformed JSON for tests.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Any JSON, as deep as real objects.
pub(in crate::pieces) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("\\\"}]{[,:\u{1f600}")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,4}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Replaces the value at `path` (which key at each level) by `with`, or removes it.
fn damage(value: &mut Value, path: &[prop::sample::Index], with: Option<Value>) {
    let Some((key, deeper)) = path.split_first() else {
        return;
    };
    let last = deeper.is_empty();
    match value {
        Value::Object(object) if !object.is_empty() => {
            let key = object.keys().nth(key.index(object.len())).unwrap().clone();
            match (last, with) {
                (true, None) => drop(object.remove(&key)),
                (true, Some(with)) => drop(object.insert(key, with)),
                (false, with) => damage(&mut object[&key], deeper, with),
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let at = key.index(list.len());
            match (last, with) {
                (true, None) => drop(list.remove(at)),
                (true, Some(with)) => list[at] = with,
                (false, with) => damage(&mut list[at], deeper, with),
            }
        }
        scalar => *scalar = with.unwrap_or_default(),
    }
}

/// `value` with one part removed or replaced.
pub(in crate::pieces) fn damaged(value: Value) -> impl Strategy<Value = Value> {
    let path = prop::collection::vec(any::<prop::sample::Index>(), 1..6);
    (path, prop::option::of(any_json())).prop_map(move |(path, with)| {
        let mut value = value.clone();
        damage(&mut value, &path, with);
        value
    })
}

/// The text of `value` with some bytes changed or removed, and truncated anywhere.
pub(in crate::pieces) fn garbled(value: &Value) -> impl Strategy<Value = Vec<u8>> {
    let json = value.to_string().into_bytes();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<Option<u8>>()), 0..4);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (changes, cut).prop_map(move |(changes, cut)| {
        let mut json = json.clone();
        for (at, byte) in changes {
            let at = at.index(json.len());
            match byte {
                Some(byte) => json[at] = byte,
                None => drop(json.remove(at)),
            }
        }
        if let Some(cut) = cut {
            json.truncate(cut.index(json.len()));
        }
        json
    })
}
