//! The rules for each kind of object: how a seed creates it and how objects are linked.

pub(crate) mod anchor;
pub(crate) mod annotation;
pub(crate) mod asset;
pub(crate) mod conversation;
pub(crate) mod import;
pub(crate) mod language;
pub(crate) mod message;
pub(crate) mod seed;
pub(crate) mod trash;
pub(crate) mod website;

use rusqlite::Connection;
use serde_json::{Map, Value};

use self::seed::Seed;
use super::{
    Failure,
    store::{self, Change, Kind, Link, Row},
};

/// Writes a whole object over the stored one. Missing fields stay; owned and associated objects in the body
/// are ignored, so a stale copy loses nothing.
pub(crate) fn update(change: &mut Change<'_>, kind: Kind, body: Value) -> Result<Row, Failure> {
    let mut body = Seed::object(body, "body")?.into_map();
    let id = seed::uuid(body.get("id"), "id")?;
    let row = store::get(change.db, kind, &id)?;
    // Some responses have arrays of copies here, which are never stored.
    body.remove("readable");
    if kind == Kind::Message {
        // Ours alone: a stale copy must not undo how an answer ended.
        body.remove(crate::pieces::OWN);
    }
    for key in needed(kind) {
        if body.get(*key).is_some_and(|value| !value.is_string()) {
            return Err(Failure::invalid(format!("`{key}` must be a string.")));
        }
    }
    let merged = change.merge(&row, body)?;
    let text = text(change.db, &row, &merged)?;
    change.index_text(row.seq, &text)?;
    change.touch(&Link::from(&row))?;
    if kind == Kind::Message
        && let Some(conversation) = owner(change, &row)?
    {
        change.touch(&conversation)?;
    }
    store::get(change.db, kind, &id)
}

/// Text fields without which strict clients cannot read an object, and imports refuse it.
fn needed(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Conversation | Kind::Anchor => &["type"],
        Kind::Message => &["role"],
        Kind::Asset => &["creator", "mechanism"],
        Kind::Annotation => &["type", "text"],
        Kind::Website => &["name", "url"],
        Kind::Format | Kind::Point | Kind::Application => &[],
    }
}

/// Deletes an object with what it owns; a conversation moves to the trash.
pub(crate) fn delete(change: &mut Change<'_>, kind: Kind, id: &str) -> Result<(), Failure> {
    let row = store::get(change.db, kind, id)?;
    change.delete(&row)
}

/// Links two objects; both count as changed.
pub(crate) fn associate(
    change: &mut Change<'_>,
    a: (Kind, &str),
    b: (Kind, &str),
) -> Result<(), Failure> {
    let (a, b) = ends(change, a, b)?;
    if change.link(&a, &b)? {
        change.touch(&a)?;
        change.touch(&b)?;
    }
    Ok(())
}

/// Unlinks two objects; both count as changed.
pub(crate) fn disassociate(
    change: &mut Change<'_>,
    a: (Kind, &str),
    b: (Kind, &str),
) -> Result<(), Failure> {
    let (a, b) = ends(change, a, b)?;
    if change.unlink(&a, &b)? {
        change.touch(&a)?;
        change.touch(&b)?;
    }
    Ok(())
}

fn ends(change: &Change<'_>, a: (Kind, &str), b: (Kind, &str)) -> Result<(Link, Link), Failure> {
    let end = |(kind, id)| store::link(change.db, kind, id);
    Ok((end(a)?, end(b)?))
}

fn owner(change: &Change<'_>, row: &Row) -> Result<Option<Link>, Failure> {
    Ok(row
        .owner
        .map(|seq| store::by_seq(change.db, seq))
        .transpose()?
        .flatten())
}

/// The text that full-text search finds the object by.
pub(crate) fn text(
    db: &Connection,
    row: &Row,
    doc: &Map<String, Value>,
) -> Result<String, Failure> {
    let field = |key: &str| doc.get(key).and_then(Value::as_str).unwrap_or_default();
    Ok(match row.kind {
        Kind::Message => message::raw(doc).unwrap_or_default().to_owned(),
        Kind::Annotation => field("text").to_owned(),
        Kind::Website => format!("{} {}", field("name"), field("url")),
        Kind::Asset => format!("{}\n{}", field("name"), asset::content(db, row)?),
        _ => field("name").to_owned(),
    })
}
