//! Faults at every call of a first start, of a later one, of writes, of a migration, and of mending.

use crate::damage;
use crate::shim::{Calls, Fault, Outcome, Session, session};
use crate::support::local::{check_integrity, serve};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

async fn nothing(_: &Path) {}

/// Runs the session with the fault at each call in turn until no call is left, and checks the next start
/// each time. `kept`: names that are there before and must stay.
async fn at_every_call(
    before: impl AsyncFnOnce(&Path),
    kept: &[&str],
    calls: Calls,
    fault: Fault,
    check: impl Fn(&Path, &Session),
) {
    let template = TempDir::new().unwrap();
    before(template.path()).await;
    let mut tried = 0;
    loop {
        let dir = TempDir::new().unwrap();
        copy(template.path(), dir.path());
        tried += 1;
        let session = session(dir.path(), "during", calls, fault, tried).await;
        check(dir.path(), &session);
        // The next start, with nothing in its way.
        let (attached, local) = serve(dir.path(), true).await;
        let list = local.get("/conversations?transferables=false").await;
        let names: BTreeSet<&str> = list["iterable"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        for name in kept {
            assert!(
                names.contains(name),
                "{tried}: {name} was lost: {session:?}"
            );
        }
        for (name, made, deleted) in &session.writes {
            let there = names.contains(name.as_str());
            match (made, deleted) {
                (Outcome::Done, None | Some(Outcome::Refused(..))) => {
                    assert!(there, "{tried}: {name} was lost: {session:?}");
                }
                (Outcome::Refused(..), _) | (_, Some(Outcome::Done)) => {
                    assert!(!there, "{tried}: {name} is there: {session:?}");
                }
                _ => {}
            }
        }
        local
            .post(
                "/conversations/create",
                serde_json::json!({"name": "after"}),
            )
            .await;
        attached.shutdown().await;
        check_integrity(dir.path());
        let left: Vec<_> = files(dir.path())
            .into_iter()
            .filter(|name| {
                name.contains(".part.") || name.contains(".check.") || name.contains(".new-")
            })
            .collect();
        assert!(left.is_empty(), "{tried}: {left:?}");
        if !session.fired {
            assert!(session.ended, "{session:?}");
            break;
        }
    }
    println!("{tried} sessions with {fault:?}");
    assert!(tried > 20, "{tried}: are the calls seen at all?");
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for name in files(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn nothing_is_set_aside(dir: &Path, session: &Session) {
    let aside: Vec<_> = files(dir)
        .into_iter()
        .filter(|name| name.contains("corrupt"))
        .collect();
    assert!(aside.is_empty(), "{aside:?} {session:?}");
}

/// Who was not served, or refused, is told what is the matter.
fn says(words: &'static [&'static str]) -> impl Fn(&Path, &Session) {
    move |dir, session| {
        nothing_is_set_aside(dir, session);
        let named = |text: &str| words.iter().any(|word| text.contains(word));
        if !session.served {
            // The log is written by a thread of its own, in no order with this sentence.
            let mut lines = session.log.lines();
            let said = lines.find(|line| line.starts_with("pieces-lsp:"));
            assert!(said.is_some_and(named), "{session:?}");
        }
        for (_, made, deleted) in &session.writes {
            for outcome in [Some(made), deleted.as_ref()].into_iter().flatten() {
                if let Outcome::Refused(text) = outcome {
                    assert!(
                        named(text) && text.contains("nothing was changed"),
                        "{text}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_kill_at_any_call_of_the_first_start_loses_nothing() {
    at_every_call(
        nothing,
        &[],
        Calls::Change,
        Fault::Kill,
        nothing_is_set_aside,
    )
    .await;
}

#[tokio::test]
async fn a_kill_at_any_call_of_a_later_start_loses_nothing() {
    at_every_call(
        damage::killed,
        &damage::NAMES,
        Calls::Change,
        Fault::Kill,
        nothing_is_set_aside,
    )
    .await;
}

#[tokio::test]
async fn a_kill_at_any_call_of_a_migration_loses_nothing() {
    at_every_call(
        damage::of_format_1,
        &damage::NAMES,
        Calls::Change,
        Fault::Kill,
        nothing_is_set_aside,
    )
    .await;
}

#[tokio::test]
async fn a_kill_at_any_call_of_mending_loses_nothing_more() {
    at_every_call(
        damage::with_a_bad_page,
        &damage::READABLE,
        Calls::Change,
        Fault::Kill,
        |_, _| {},
    )
    .await;
}

#[tokio::test]
async fn a_kill_at_any_call_while_an_index_is_rebuilt_loses_nothing() {
    at_every_call(
        damage::with_a_bad_index,
        &damage::NAMES,
        Calls::Change,
        Fault::Kill,
        |_, _| {},
    )
    .await;
}

#[tokio::test]
async fn a_write_error_at_any_call_is_named_and_loses_nothing() {
    // SQLite opens a file for reading when it cannot be opened for writing.
    let check = says(&["I/O error", "os error 5", "unable to open", "read-only"]);
    at_every_call(
        damage::killed,
        &damage::NAMES,
        Calls::Change,
        Fault::Once(EIO),
        check,
    )
    .await;
}

#[tokio::test]
async fn a_disk_that_fills_up_at_any_call_is_named_and_loses_nothing() {
    let check = says(&["disk is full", "No space left"]);
    at_every_call(
        damage::killed,
        &damage::NAMES,
        Calls::Change,
        Fault::From(ENOSPC),
        check,
    )
    .await;
}

#[tokio::test]
async fn a_read_error_at_any_call_is_named_and_sets_nothing_aside() {
    let check = says(&["I/O error", "os error 5", "disk cannot read"]);
    at_every_call(
        damage::killed,
        &damage::NAMES,
        Calls::Read,
        Fault::Once(EIO),
        check,
    )
    .await;
}
