//! Websites, by their URL.

use super::seed::Seed;
use crate::service::{
    Failure,
    store::{self, Change, Kind, Link, New},
};

/// Creates the website of a `SeededWebsite`, or returns the existing one with the same URL.
pub(crate) fn resolve(change: &mut Change<'_>, mut seed: Seed) -> Result<Link, Failure> {
    let url = seed.required("url")?.to_owned();
    seed.set_default("name", url.as_str());
    let name = seed.required("name")?.to_owned();
    let asset = seed.take_reference("asset")?;
    let conversation = seed.take_reference("conversation")?;
    let found = store::find_by_key(change.db, Kind::Website, &url)?
        .first()
        .map(Link::from);
    let website = match found {
        Some(website) => website,
        None => change.insert(New {
            kind: Kind::Website,
            owner: None,
            key: Some(&url),
            text: &format!("{name} {url}"),
            doc: seed.into_map(),
        })?,
    };
    for (kind, id) in [(Kind::Asset, asset), (Kind::Conversation, conversation)] {
        let Some(id) = id else { continue };
        let other = store::link(change.db, kind, &id)?;
        if change.link(&website, &other)? {
            change.touch(&website)?;
            change.touch(&other)?;
        }
    }
    Ok(website)
}
