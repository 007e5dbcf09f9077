//! Fifty editor windows on one local service, which dies again and again.

use crate::support::client::{Client, eventually};
use crate::support::local::{check_integrity, holder};
use crate::support::world::{names, wait_live, window};
use crate::{Figures, is_long};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const WINDOWS: usize = 50;
/// So many are left in the end.
const LEFT: usize = 4;
/// How long a takeover may take here. People wait two seconds on a machine of their own; here up to fifty
/// processes look for the service at once, on the processors of one.
const TAKEOVER: Duration = Duration::from_secs(15);
/// Descriptors of the one that serves: for each window three streams and two kept connections, and its own.
const DESCRIPTORS: usize = WINDOWS * 6 + 64;

/// What was written, and whether it was acknowledged.
#[derive(Default)]
struct Written {
    acknowledged: BTreeSet<String>,
    unknown: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

impl Written {
    /// Everything acknowledged is there once, and nothing that nobody wrote. The number of conversations.
    fn check(&self, window: &mut Client) -> usize {
        let names = names(window);
        for (name, count) in &names {
            assert_eq!(*count, 1, "{name}");
            let known = self.acknowledged.contains(name) || self.unknown.contains(name);
            assert!(known && !self.deleted.contains(name), "{name}");
        }
        let mut all = self.acknowledged.iter();
        let lost = all.find(|name| !names.contains_key(*name));
        assert_eq!(lost, None, "lost");
        names.len()
    }
}

#[test]
fn fifty_windows_share_a_service_and_survive_it() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let began = Instant::now();
    let mut windows: Vec<Client> = std::thread::scope(|scope| {
        let opening: Vec<_> = (0..WINDOWS).map(|_| scope.spawn(|| window(dir))).collect();
        opening.into_iter().map(|one| one.join().unwrap()).collect()
    });
    eprintln!("{WINDOWS} windows live after {:?}", began.elapsed());
    let serving = holder(dir).unwrap();
    let ids: BTreeSet<u32> = windows.iter_mut().map(|one| one.process().id()).collect();
    assert!(ids.contains(&serving), "one of them serves");

    let mut written = Written::default();
    for (number, window) in windows.iter_mut().enumerate() {
        let name = format!("window {number}");
        create(window, &name).unwrap();
        written.acknowledged.insert(name);
    }
    rename_and_delete(&mut windows, &mut written);
    everywhere(&mut windows, &written);
    let figures = Figures::of(serving);
    eprintln!("the one that serves: {figures:?}");
    assert!(figures.descriptors <= DESCRIPTORS, "{figures:?}");

    let mut slowest = Duration::ZERO;
    let mut round = 0;
    while windows.len() > LEFT {
        round += 1;
        // In the short form some others die as well, and so it is soon over.
        let others = if is_long() {
            0
        } else {
            (windows.len() - LEFT - 1).min(14)
        };
        slowest = slowest.max(kill_the_one_that_serves(
            dir,
            &mut windows,
            others,
            round,
            &mut written,
        ));
        everywhere(&mut windows, &written);
    }
    eprintln!("{round} times another one took over, at most {slowest:?} until all were live");
    let serving = holder(dir).unwrap();
    eprintln!("the last one that serves: {:?}", Figures::of(serving));

    // They leave as editors do, the one that serves first.
    while !windows.is_empty() {
        let serving = holder(dir);
        let at = windows
            .iter_mut()
            .position(|one| Some(one.process().id()) == serving);
        windows
            .swap_remove(at.expect("one of them serves"))
            .finish();
        windows.iter_mut().for_each(|one| drop(wait_live(one)));
    }
    assert_eq!(holder(dir), None, "what is left says that somebody serves");
    let lock = File::options().write(true).open(dir.join("lock")).unwrap();
    assert!(lock.try_lock().is_ok(), "somebody is left");
    drop(lock);
    check_integrity(dir);
    let mut again = window(dir);
    written.check(&mut again);
    again.finish();
}

fn create(
    window: &mut Client,
    name: &str,
) -> Result<serde_json::Value, crate::support::client::RpcError> {
    let seed = json!({"seededConversation": {"type": "COPILOT", "name": name}});
    window.command("pieces.conversations.create", seed)
}

/// Some change what others made.
fn rename_and_delete(windows: &mut [Client], written: &mut Written) {
    for number in 0..5 {
        let made = create(&mut windows[number], &format!("to rename {number}")).unwrap();
        let other = &mut windows[number + 10];
        let name = format!("renamed {number}");
        let argument = json!({"conversation": made["id"], "name": name});
        other
            .command("pieces.conversations.rename", argument)
            .unwrap();
        written.acknowledged.insert(name);

        let name = format!("to delete {number}");
        let made = create(&mut windows[number], &name).unwrap();
        written.deleted.insert(name);
        let argument = json!({"conversation": made["id"], "confirm": false});
        let other = &mut windows[number + 20];
        other
            .command("pieces.conversations.delete", argument)
            .unwrap();
    }
}

/// Every window comes to the same, and to what was written.
fn everywhere(windows: &mut [Client], written: &Written) {
    let mut totals = BTreeSet::new();
    for window in windows {
        eventually("what was acknowledged is there", || {
            let names = names(window);
            written
                .acknowledged
                .iter()
                .all(|name| names.contains_key(name))
                && !written.deleted.iter().any(|name| names.contains_key(name))
        });
        totals.insert(written.check(window));
        window.drain_all();
    }
    assert_eq!(totals.len(), 1, "they have the same: {totals:?}");
}

/// Kills it while others write, and some of the others with it. How long it took until all that are left
/// were live.
fn kill_the_one_that_serves(
    dir: &Path,
    windows: &mut Vec<Client>,
    others: usize,
    round: usize,
    written: &mut Written,
) -> Duration {
    let serving = holder(dir).unwrap();
    let at = windows
        .iter_mut()
        .position(|one| one.process().id() == serving);
    let mut dying = vec![windows.swap_remove(at.expect("one of them serves"))];
    dying.extend(windows.drain(..others));
    let sent: Vec<_> = windows
        .iter_mut()
        .take(5)
        .enumerate()
        .map(|(number, window)| {
            let name = format!("round {round}, window {number}");
            let seed = json!({"seededConversation": {"type": "COPILOT", "name": name}});
            let params = json!({"command": "pieces.conversations.create", "arguments": [seed]});
            (
                window.send_request("workspace/executeCommand", params),
                name,
            )
        })
        .collect();
    let began = Instant::now();
    dying.into_iter().for_each(Client::kill);
    for (window, (request, name)) in windows.iter_mut().zip(sent) {
        match window.response(request) {
            Ok(_) => written.acknowledged.insert(name),
            // Also where it was never sent: then it is just not there.
            Err(_) => written.unknown.insert(name),
        };
    }
    eventually("another one serves", || {
        holder(dir).is_some_and(|pid| pid != serving)
    });
    windows
        .iter_mut()
        .for_each(|window| drop(wait_live(window)));
    let took = began.elapsed();
    assert!(took < TAKEOVER, "live again after {took:?}");
    // What one of them writes now reaches all others.
    let name = format!("after round {round}");
    create(&mut windows[0], &name).unwrap();
    written.acknowledged.insert(name);
    took
}
