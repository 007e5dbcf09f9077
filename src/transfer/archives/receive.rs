//! The receiving end of a reader, which feeds the sink.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::out::{Item, Out};
use super::place::Place;
use super::recognise;
use crate::transfer::Error;
use crate::transfer::report::Step;
use crate::transfer::sink::{Head, Sink, Verdict, id_of};

/// Objects between the reader and the sink; each may be many megabytes.
const QUEUED: usize = 2;
/// The longest silence of a reader, whose disk may have to wake up, or a cloud folder to download.
const SILENCE: Duration = Duration::from_secs(120);

/// Imports the source at `path`; `false` if no reader recognises it.
pub(in crate::transfer) async fn read(
    path: &Path,
    sink: &mut Sink,
    step: &(dyn Fn(Step) + Send + Sync),
) -> Result<bool, Error> {
    let (send, mut items) = mpsc::channel(QUEUED);
    let named = path.to_owned();
    // A thread, not a blocking task: the runtime would wait for that at the end of the process.
    let spawned = std::thread::Builder::new()
        .name("import".to_owned())
        .spawn(move || run(named, Out::new(send)));
    if let Err(error) = spawned {
        return Err(Error::new(format!("The archive cannot be read ({error}).")));
    }
    loop {
        let item = match timeout(SILENCE, items.recv()).await {
            Ok(Some(item)) => item,
            Ok(None) => return Err(stopped(path, "ended unexpectedly; please report this")),
            Err(_) => return Err(stopped(path, "takes too long; copy it to this machine")),
        };
        match item {
            Item::Pulse => continue,
            Item::Unknown => return Ok(false),
            Item::Done(None) => return Ok(true),
            Item::Done(Some(why)) => return Err(Error::new(why)),
            Item::Found(found) => {
                let phrase = found.to_string();
                sink.report.source.clone_from(&phrase);
                sink.report.notes.extend(found.notes);
                step(Step::Found(phrase));
            }
            Item::Object(kind, object) => sink.put(kind, object).await?,
            Item::Recovered(object) => recover(object, sink).await?,
            Item::Unreadable(kind, place, why) => sink.report.unreadable_at(kind, place, why),
            Item::LeftOut(counts) => {
                for (what, count) in counts {
                    *sink.report.left_out.entry(what).or_default() += count;
                }
            }
            Item::Note(sentence) => sink.report.notes.push(sentence),
            Item::Progress(progress) => step(Step::Progress(progress)),
        }
    }
}

/// Adds a conversation made for messages without one, unless the real one is stored.
async fn recover(object: serde_json::Value, sink: &mut Sink) -> Result<(), Error> {
    use crate::service::Kind::Conversation;
    let Some(id) = id_of(&object) else {
        return Ok(());
    };
    // Older than any stored object, so only its existence decides.
    let head = Head::of(Conversation, id, &serde_json::Value::Null);
    match sink.compare(&[head]).await?.first() {
        Some(Verdict::New) => {
            sink.report.recovered += 1;
            sink.put(Conversation, object).await
        }
        _ => {
            sink.unchanged(Conversation, [id]);
            Ok(())
        }
    }
}

fn run(path: PathBuf, mut out: Out) {
    let outcome = Place::open(&path, &out.pulse()).and_then(|place| match place {
        None => Ok(None),
        Some(mut place) => recognise(&mut place),
    });
    match outcome {
        Ok(None) => {
            let _ = out.send(Item::Unknown);
        }
        Err(why) => out.finish(Err(super::out::Stop::because(why))),
        Ok(Some(mut reader)) => {
            let told = out.send(Item::Found(reader.found()));
            let outcome = told.and_then(|()| reader.read(&mut out));
            out.finish(outcome);
        }
    }
}

fn stopped(path: &Path, why: &str) -> Error {
    Error::new(format!(
        "Reading {} {why}, and import again: it continues from there.",
        path.display()
    ))
}
