//! Anchors: files and directories, by their paths.

use serde_json::{Map, Value};

use super::{annotation, seed::Seed};
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New},
};

/// Creates the anchor of a `SeededAnchor`, or returns the existing one with the same path. Links it to the
/// asset and the conversation that the seed names.
pub(crate) fn resolve(change: &mut Change<'_>, mut seed: Seed) -> Result<Link, Failure> {
    let fullpath = seed.required("fullpath")?.to_owned();
    seed.set_default("type", "FILE");
    let kind = seed.required("type")?.to_owned();
    let asset = seed.take_reference("asset")?;
    let conversation = seed.take_reference("conversation")?;
    let annotations = seed.take_array("annotations")?;

    let anchor = match existing(change, &fullpath, &kind)? {
        Some(anchor) => anchor,
        None => add(change, &fullpath, seed)?,
    };
    for (kind, id) in [(Kind::Asset, asset), (Kind::Conversation, conversation)] {
        let Some(id) = id else { continue };
        let other = store::link(change.db, kind, &id)?;
        if change.link(&anchor, &other)? {
            change.touch(&anchor)?;
            change.touch(&other)?;
        }
    }
    for seed in annotations {
        let mut seed = Seed::object(seed, "annotations")?;
        seed.set("anchor", anchor.id.as_str());
        annotation::add(change, seed)?;
    }
    Ok(anchor)
}

fn existing(change: &Change<'_>, fullpath: &str, kind: &str) -> Result<Option<Link>, Failure> {
    for point in store::find_by_key(change.db, Kind::Point, fullpath)? {
        let Some(owner) = point.owner else { continue };
        let Some(anchor) = store::by_seq(change.db, owner)? else {
            continue;
        };
        let doc = store::get(change.db, Kind::Anchor, &anchor.id)?.object()?;
        if doc.get("type").and_then(Value::as_str) == Some(kind) {
            return Ok(Some(anchor));
        }
    }
    Ok(None)
}

fn add(change: &mut Change<'_>, fullpath: &str, mut seed: Seed) -> Result<Link, Failure> {
    let name = fullpath
        .rsplit(['/', '\\'])
        .find(|part| !part.is_empty())
        .unwrap_or(fullpath);
    seed.set_default("name", name);
    seed.set_default("watch", false);
    seed.take("fullpath");
    let platform = seed.take("platform").unwrap_or_else(|| PLATFORM.into());
    let name = seed.optional("name")?.unwrap_or_default().to_owned();
    let doc = seed.into_map();
    let anchor = change.insert(New {
        kind: Kind::Anchor,
        owner: None,
        key: None,
        text: &name,
        doc,
    })?;
    let mut point = Map::new();
    point.insert("fullpath".to_owned(), fullpath.into());
    point.insert("platform".to_owned(), platform);
    // The path may belong to another machine; we do not check that it exists.
    point.insert("verified".to_owned(), false.into());
    change.insert(New {
        kind: Kind::Point,
        owner: Some(anchor.seq),
        key: Some(fullpath),
        text: "",
        doc: point,
    })?;
    Ok(anchor)
}

/// This machine, as the API names it.
pub(crate) const PLATFORM: &str = if cfg!(windows) {
    "WINDOWS"
} else if cfg!(target_os = "macos") {
    "MACOS"
} else if cfg!(target_os = "linux") {
    "LINUX"
} else {
    "UNKNOWN"
};
