//! Annotations: notes on a conversation, an asset, an anchor or messages.

use serde_json::json;

use super::seed::Seed;
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New},
};

/// What an annotation can refer to, besides messages.
pub(super) const ABOUT: [Kind; 3] = [Kind::Conversation, Kind::Asset, Kind::Anchor];

/// Creates an annotation from a `SeededAnnotation`. It is deleted with the first object it refers to.
pub(crate) fn add(change: &mut Change<'_>, mut seed: Seed) -> Result<Link, Failure> {
    seed.required("type")?;
    let text = seed.required("text")?.to_owned();
    let mut about = Vec::new();
    for kind in ABOUT {
        if let Some(id) = seed.take_reference(kind.noun())? {
            about.push(store::link(change.db, kind, &id)?);
        }
    }
    for id in seed.take_ids("messages")? {
        about.push(store::link(change.db, Kind::Message, &id)?);
    }
    // A seed has plain ids where an annotation has references.
    for key in ["person", "model"] {
        if let Some(id) = seed.take_reference(key)? {
            seed.set(key, json!({"id": id}));
        }
    }
    let annotation = change.insert(New {
        kind: Kind::Annotation,
        owner: about.first().map(|link| link.seq),
        key: None,
        text: &text,
        doc: seed.into_map(),
    })?;
    for other in about {
        change.link(&annotation, &other)?;
        change.touch(&other)?;
    }
    Ok(annotation)
}
