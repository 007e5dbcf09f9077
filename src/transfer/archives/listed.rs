//! Exports that are one JSON array of conversations: `conversations.json`, or shards of it, alone, in a
//! directory or in a zip. Read as a stream, one conversation at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use serde::de::{DeserializeOwned, IgnoredAny};

use super::elements::{Element, Elements, MAX_PARTS};
use super::found::counted;
use super::out::{Out, Pulse, Stop, Yield};
use super::place::{Place, What, sentence};
use super::tree::{Entry, Tree};
use crate::json;
use crate::service::Kind;

/// Largest conversation that is read, in bytes of JSON.
const MAX_CONVERSATION: usize = 24 << 20;
/// Elements that are checked to recognise the export.
const LOOKED_AT: usize = 16;
/// The file that a user may name directly.
const ALONE: &str = "conversations.json";

/// An export whose conversations are elements of arrays.
pub(super) struct Listed {
    source: Source,
    files: Vec<String>,
    pub(super) date: Option<String>,
    /// The number of conversations.
    pub(super) count: u64,
}

struct Source {
    from: From,
    pulse: Pulse,
}

enum From {
    Tree(Tree),
    File(File),
}

impl Source {
    fn open(&mut self, name: &str) -> io::Result<BufReader<Box<dyn Read + '_>>> {
        let reader: Box<dyn Read + '_> = match &mut self.from {
            From::Tree(tree) => Box::new(self.pulse.of(tree.open(name)?)),
            From::File(file) => {
                file.rewind()?;
                Box::new(self.pulse.of(file))
            }
        };
        Ok(BufReader::with_capacity(256 << 10, reader))
    }
}

impl Listed {
    /// The export at `place`, if its conversations have the field `mark`.
    ///
    /// # Errors
    /// A sentence: it has no conversations, or cannot be read.
    pub(super) fn look(place: &mut Place, mark: &str) -> Result<Option<Self>, String> {
        let files = match &mut place.what {
            What::Tree(tree) => shards(tree),
            What::File(_, head) if begins_array(head) => vec![ALONE.to_owned()],
            _ => return Ok(None),
        };
        if files.is_empty() {
            return Ok(None);
        }
        let date = place.date();
        let taken = place.take();
        let (from, head) = match taken {
            What::Tree(tree) => (From::Tree(tree), None),
            What::File(file, head) => (From::File(file), Some(head)),
            What::Taken => return Ok(None),
        };
        let mut source = Source {
            from,
            pulse: place.pulse.clone(),
        };
        let mut marked = Some(false);
        for file in &files {
            marked = is_marked(&mut source, file, mark).map_err(|error| {
                sentence(&place.path, &format!("cannot be read ({file}: {error})"))
            })?;
            if marked.is_some() {
                break;
            }
        }
        match marked {
            Some(true) => {}
            None => {
                return Err(sentence(
                    &place.path,
                    "is a data export without conversations; ask for a new export and name that",
                ));
            }
            // Rewound for the next reader.
            Some(false) => {
                place.what = match (source.from, head) {
                    (From::Tree(tree), _) => What::Tree(tree),
                    (From::File(file), head) => What::File(file, head.unwrap_or_default()),
                };
                return Ok(None);
            }
        }
        let mut listed = Self {
            source,
            files,
            date,
            count: 0,
        };
        listed.count = listed.counted();
        Ok(Some(listed))
    }

    /// Counts the conversations without parsing them; unreadable ones are reported when they are imported.
    fn counted(&mut self) -> u64 {
        let mut count = 0;
        for file in &self.files {
            let Ok(reader) = self.source.open(file) else {
                continue;
            };
            // Enough to distinguish an element from white space.
            let mut elements = Elements::new(reader, 256);
            while let Ok(Some(Element::Whole(_) | Element::TooLong | Element::TooManyParts)) =
                elements.next()
            {
                count += 1;
            }
        }
        count
    }

    /// Calls `each` for every conversation that parses as `T`, with a name for its place. `otherwise`: the reason for those
    /// that do not.
    ///
    /// # Errors
    /// Those of `each`, and at the end a sentence if a file was incomplete.
    pub(super) fn each<T: DeserializeOwned>(
        &mut self,
        out: &mut Out,
        otherwise: &str,
        mut each: impl FnMut(T, &mut Out, &str) -> Yield,
    ) -> Yield {
        let mut done = 0;
        let mut broken = None;
        for file in &self.files {
            let reader = match self.source.open(file) {
                Ok(reader) => reader,
                Err(error) => {
                    broken = Some(format!(
                        "{file} cannot be read ({error}); fetch the export again."
                    ));
                    continue;
                }
            };
            let mut elements = Elements::new(reader, MAX_CONVERSATION);
            let mut number = 0_u64;
            loop {
                number += 1;
                let place = format!("conversation {number} of {file}");
                let next = match elements.next() {
                    Ok(None) => elements.finish().map(|()| None),
                    next => next,
                };
                match next {
                    Ok(None) => break,
                    Ok(Some(Element::Whole(text))) => {
                        let read = json::from_slice(&text);
                        // Freed early: both are large.
                        drop(text);
                        match read {
                            Ok(read) => each(read, out, &place)?,
                            Err(_) => out.unreadable(Kind::Conversation, place, otherwise)?,
                        }
                    }
                    Ok(Some(Element::TooManyParts)) => {
                        let why = format!("it has more than {MAX_PARTS} parts");
                        out.unreadable(Kind::Conversation, place, &why)?;
                    }
                    Ok(Some(Element::TooLong)) => {
                        let why = format!("it is larger than {} MiB", MAX_CONVERSATION >> 20);
                        out.unreadable(Kind::Conversation, place, &why)?;
                    }
                    Ok(Some(Element::Torn | Element::NoArray)) => {
                        broken = Some(not_whole(file, "its end is missing", number - 1));
                    }
                    Err(error) => {
                        broken = Some(not_whole(file, &error.to_string(), number - 1));
                        break;
                    }
                }
                done += 1;
                out.progress("conversations", done.min(self.count), self.count)?;
            }
        }
        match broken {
            None => Ok(()),
            Some(why) => Err(Stop::Because(why)),
        }
    }
}

fn not_whole(file: &str, why: &str, number: u64) -> String {
    format!(
        "{file} is incomplete: {why}. Its first {} were imported. Fetch the export again.",
        counted(number, "conversation")
    )
}

/// `conversations.json`, and `conversations-000.json` and so on.
fn shards(tree: &mut Tree) -> Vec<String> {
    let is_shard = |name: &str| {
        let middle = name
            .strip_prefix("conversations")
            .and_then(|rest| rest.strip_suffix(".json"));
        middle.is_some_and(|middle| {
            middle.is_empty()
                || middle.starts_with(['-', '_']) && middle[1..].bytes().all(|b| b.is_ascii_digit())
        })
    };
    tree.names(|name, entry| entry == Entry::File && is_shard(name))
}

fn begins_array(head: &[u8]) -> bool {
    let text = json::without_bom(head).trim_ascii_start();
    text.first() == Some(&b'[')
}

/// Whether the first readable conversations have a field; `None` if there are none.
fn is_marked(source: &mut Source, file: &str, mark: &str) -> io::Result<Option<bool>> {
    let mut elements = Elements::new(source.open(file)?, MAX_CONVERSATION);
    for seen in 0..LOOKED_AT {
        match elements.next()? {
            Some(Element::Whole(text)) => {
                let keys = json::from_slice::<BTreeMap<String, IgnoredAny>>(&text);
                if keys.is_ok_and(|keys| keys.contains_key(mark)) {
                    return Ok(Some(true));
                }
            }
            Some(Element::TooLong | Element::TooManyParts) => {}
            Some(Element::Torn | Element::NoArray) => break,
            None if seen == 0 => return Ok(None),
            None => break,
        }
    }
    Ok(Some(false))
}
