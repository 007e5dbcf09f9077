//! Archives and logs of other tools, each read by one small reader.
//!
//! [`Place`] is the file or directory that the user named. The [`READERS`] are tried in turn; the first one that
//! recognises it yields conversations, messages, assets and anchors into [`Out`], in the order that the sink needs:
//! websites, assets and anchors before the conversations that refer to them, each conversation directly before its
//! messages, annotations last. A reader knows nothing of the store. It runs on a thread of its own, because files,
//! zips and SQLite block; the other end of its `Out` is [`read`], which feeds the sink.
//!
//! A new source is one file here with a function like [`chatgpt::look`], and one line in [`READERS`].

mod application;
mod chatgpt;
mod claude_ai;
mod claude_code;
mod elements;
mod found;
pub(super) mod ids;
mod inkvault;
pub(super) mod lines;
mod listed;
mod objects;
mod out;
mod pieces;
mod place;
mod receive;
mod tree;

pub(super) use application::complete as complete_application;
pub(super) use found::counted;
pub(super) use receive::read;
pub(super) use tree::date;

use found::Found;
use out::{Out, Yield};
use place::Place;
pub(super) use place::sentence;
use tree::Entry;

use crate::transfer::EXPORTED_FILE;

/// The supported sources, for the error if a path was not recognised.
pub(super) const TAKEN: &str = "name a Pieces archive, InkVault's vault.db, Claude Code's projects \
     directory or one of its logs, the data export of ChatGPT or Claude.ai (its zip, its directory or its \
     conversations.json), or the conversations.jsonl of an export of pieces-lsp";

/// What to do with a store of our own.
pub(super) const IS_A_STORE: &str = "is a store of pieces-lsp; run `pieces-lsp export DIR` with this path as its --data-dir, and import DIR";

/// One kind of archive, opened.
trait Reader {
    /// What was recognised.
    fn found(&self) -> Found;

    /// Yields everything.
    ///
    /// # Errors
    /// The archive cannot be read any further (with a sentence for the user), or the receiver is gone.
    fn read(&mut self, out: &mut Out) -> Yield;
}

/// The result of a reader: `None` if it does not recognise the source; an error if it does, but there is nothing to
/// import.
type Look = Result<Option<Box<dyn Reader>>, String>;

/// All readers, in the order in which they are tried.
const READERS: [fn(&mut Place) -> Look; 5] = [
    pieces::look,
    inkvault::look,
    chatgpt::look,
    claude_ai::look,
    claude_code::look,
];

/// The reader of `place`, or of the one directory in it that a reader recognises.
fn recognise(place: &mut Place) -> Look {
    if let Some(tree) = place.tree()
        && !tree.names(|name, _| name == EXPORTED_FILE).is_empty()
    {
        return match tree.is_zip() {
            // Left to the reader of our own exports.
            false => Ok(None),
            true => Err(sentence(
                &place.path,
                "is an export of pieces-lsp in a zip; unpack it and name the directory",
            )),
        };
    }
    match known(place)? {
        Some(reader) => Ok(Some(reader)),
        None => known_inside(place),
    }
}

fn known(place: &mut Place) -> Look {
    for look in READERS {
        if let Some(reader) = look(place)? {
            return Ok(Some(reader));
        }
    }
    Ok(None)
}

fn known_inside(place: &mut Place) -> Look {
    let (path, pulse) = (place.path.clone(), place.pulse.clone());
    let Some(tree) = place.tree().filter(|tree| !tree.is_zip()) else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for name in tree.names(|_, entry| entry == Entry::Folder) {
        let Ok(Some(mut inner)) = Place::open(&path.join(&name), &pulse) else {
            continue;
        };
        // An archive that cannot be imported may be beside one that can.
        match known(&mut inner) {
            Ok(None) => {}
            Ok(Some(reader)) => found.push((name, Ok(Some(reader)))),
            Err(why) => found.push((name, Err(why))),
        }
    }
    if found.len() > 1 && found.iter().any(|(_, look)| look.is_ok()) {
        found.retain(|(_, look)| look.is_ok());
    }
    match found.len() {
        0 | 1 => found.pop().map_or(Ok(None), |(_, look)| look),
        _ => {
            let names: Vec<_> = found.iter().map(|(name, _)| shown(name)).collect();
            Err(sentence(
                &path,
                &format!(
                    "holds several archives: {}; name one of them",
                    names.join(", ")
                ),
            ))
        }
    }
}

/// A file name for a terminal: without control characters.
fn shown(name: &str) -> String {
    let visible = name.chars().filter(|c| !c.is_control());
    visible.take(100).collect()
}
