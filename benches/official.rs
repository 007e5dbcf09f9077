//! `pieces-lsp` beside the published Pieces clients, at the same work on the same data: a complete index, the memory it
//! takes, and how long a change takes to get there. `cargo bench --bench official`; needs python3 with venv, node
//! and npm, and installs the clients below `tests/.cache` the first time.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use support::editor::{Editor, PATIENCE};
use support::loading::open;
use support::service::{Service, ids};
use support::{Timings, process, report, settle};

/// How many conversations, and how often every client but Python's loads them.
const SIZES: [usize; 2] = [2_000, 20_000];
const ROUNDS: usize = 5;
const CHANGES: usize = 200;
/// Longer than the window in which changes are gathered.
const APART: Duration = Duration::from_millis(60);

/// Whoever keeps an index of a service.
trait Client {
    fn pid(&self) -> u32;
    /// When it had everything, and how much that was.
    fn complete(&mut self) -> (Instant, usize);
    /// When it said that this conversation changed.
    fn changed(&self, id: &str) -> Instant;
}

impl Client for Editor {
    fn pid(&self) -> u32 {
        self.pid()
    }

    fn complete(&mut self) -> (Instant, usize) {
        let at = self.live();
        let page = self.execute("pieces.conversations.list", json!({"limit": 1}));
        (at, page["total"].as_u64().unwrap() as usize)
    }

    fn changed(&self, id: &str) -> Instant {
        self.wait(|message| {
            message["method"] == "pieces/didChangeConversations"
                && message["params"]["upserted"][0]["id"] == id
        })
        .0
    }
}

/// A script that says `complete COUNT`, and then `changed ID` of each change.
struct Script {
    child: Child,
    lines: Receiver<(Instant, String)>,
}

impl Script {
    fn start(command: &mut Command) -> Script {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Script { child, lines }
    }

    fn wait(&self, start: &str) -> (Instant, String) {
        loop {
            let (at, line) = self.lines.recv_timeout(PATIENCE).unwrap();
            match line.strip_prefix(start) {
                Some(rest) => return (at, rest.trim().to_owned()),
                None => eprintln!("{line}"),
            }
        }
    }
}

impl Client for Script {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn complete(&mut self) -> (Instant, usize) {
        let (at, count) = self.wait("complete ");
        (at, count.parse().unwrap())
    }

    fn changed(&self, id: &str) -> Instant {
        self.wait(&format!("changed {id}")).0
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Start = Box<dyn Fn(&Service) -> Box<dyn Client>>;

/// One of those who are compared.
struct Contestant {
    name: &'static str,
    start: Start,
    /// It says what changes.
    follows: bool,
    /// How often it loads the smaller and the larger number.
    rounds: [usize; 2],
    /// Why it cannot take part.
    absent: Option<&'static str>,
}

/// What one load took, and what the changes after it did.
#[derive(Default)]
struct Figures {
    from_spawn: Vec<Duration>,
    from_connect: Vec<Duration>,
    cpu: Vec<Duration>,
    /// In kB.
    resident: Vec<u64>,
    requests: usize,
    changes: Vec<Duration>,
}

fn main() {
    let contestants = contestants();
    for contestant in &contestants {
        if let Some(why) = contestant.absent {
            println!("{} is not measured: {why}", contestant.name);
        }
    }
    let taking_part: Vec<_> = contestants
        .iter()
        .filter(|contestant| contestant.absent.is_none())
        .collect();
    let nothing = Service::start(0);
    let empty: Vec<_> = taking_part
        .iter()
        .map(|contestant| {
            let mut figures = Figures::default();
            measure(contestant, &nothing, 0, &mut figures);
            figures.resident[0]
        })
        .collect();
    for (at, conversations) in SIZES.into_iter().enumerate() {
        let service = Service::start(conversations);
        let mut figures: Vec<_> = taking_part.iter().map(|_| Figures::default()).collect();
        for round in 0..ROUNDS {
            for (contestant, figures) in taking_part.iter().zip(&mut figures) {
                if round < contestant.rounds[at] {
                    let changes = if round == 0 { CHANGES } else { 0 };
                    measure(contestant, &service, changes, figures);
                }
            }
        }
        show(conversations, &taking_part, &empty, figures);
    }
}

fn contestants() -> Vec<Contestant> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/official");
    let python = cache.join("sdk-5.0.1/bin/python");
    let modules = cache.join("npm-4.1.0/node_modules");
    vec![
        Contestant {
            name: "pieces-lsp",
            start: Box::new(|service| Box::new(open(service))),
            follows: true,
            rounds: [ROUNDS, ROUNDS],
            absent: None,
        },
        Contestant {
            name: "pieces_os_client 5.0.1",
            start: script(python, scripts.join("live_cache.py"), Vec::new()),
            follows: true,
            // It takes that long.
            rounds: [3, 1],
            absent: install(&cache, "sdk-5.0.1"),
        },
        Contestant {
            name: "npm client 4.1.0",
            start: script(
                "node".into(),
                scripts.join("npm.cjs"),
                vec![("NODE_PATH", modules)],
            ),
            follows: false,
            rounds: [ROUNDS, ROUNDS],
            absent: install(&cache, "npm-4.1.0"),
        },
    ]
}

fn script(program: PathBuf, script: PathBuf, environment: Vec<(&'static str, PathBuf)>) -> Start {
    Box::new(move |service| {
        let mut command = Command::new(&program);
        command.arg(&script).arg(service.port().to_string());
        // No proxies and nothing else that would change what it does.
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Box::new(Script::start(&mut command))
    })
}

/// Installs a published client; says why that failed.
fn install(cache: &Path, name: &str) -> Option<&'static str> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/install.sh");
    match Command::new("sh").arg(script).arg(cache).arg(name).status() {
        Ok(status) if status.success() => None,
        Ok(_) => Some("it could not be installed, see above"),
        Err(_) => Some("there is no sh to install it with"),
    }
}

fn measure(contestant: &Contestant, service: &Service, changes: usize, figures: &mut Figures) {
    service.seen();
    let spawned = Instant::now();
    let mut client = (contestant.start)(service);
    let (complete, count) = client.complete();
    let seen = service.seen();
    assert_eq!(count, service.conversations(), "{}", contestant.name);
    settle();
    figures.from_spawn.push(complete - spawned);
    figures
        .from_connect
        .push(complete - seen.connected.unwrap());
    figures.cpu.push(process::cpu(client.pid()));
    figures
        .resident
        .push(process::memory(client.pid(), "VmRSS"));
    figures.requests = seen.requests;
    if contestant.follows {
        for round in 0..changes {
            let n = round * 7 % service.conversations();
            let began = service.announce(n, false);
            figures.changes.push(client.changed(&ids(n, 0)) - began);
            std::thread::sleep(APART);
        }
    }
}

fn show(conversations: usize, contestants: &[&Contestant], empty: &[u64], figures: Vec<Figures>) {
    let row = |what: &str, cells: Vec<String>| {
        let cells: Vec<_> = cells.iter().map(String::as_str).collect();
        report::columns(what, &cells);
    };
    println!();
    let names = contestants
        .iter()
        .map(|contestant| contestant.name.to_owned());
    row(&format!("{conversations} conversations"), names.collect());
    let cells = |cell: &dyn Fn(&Figures) -> String| figures.iter().map(cell).collect();
    let median = |timings: &[Duration]| report::millis(Timings::new(timings.to_vec()).median());
    row(
        "start of the process to complete index",
        cells(&|figures| median(&figures.from_spawn)),
    );
    row(
        "first connection to complete index",
        cells(&|figures| median(&figures.from_connect)),
    );
    row(
        "processor time of that",
        cells(&|figures| median(&figures.cpu)),
    );
    row("requests", cells(&|figures| figures.requests.to_string()));
    row(
        "loaded so often",
        cells(&|figures| figures.from_spawn.len().to_string()),
    );
    let megabytes = |kilobytes: u64| format!("{:.1} MB", (kilobytes * 1024) as f64 / 1e6);
    row(
        "resident with nothing in it",
        empty.iter().map(|resident| megabytes(*resident)).collect(),
    );
    row(
        "resident with all of them",
        cells(&|figures| {
            let mut resident = figures.resident.clone();
            resident.sort_unstable();
            megabytes(resident[resident.len() / 2])
        }),
    );
    for percent in [50, 99] {
        row(
            &format!("change to callback, p{percent} of {CHANGES}"),
            cells(&|figures| match figures.changes.as_slice() {
                [] => "no stream".to_owned(),
                changes => report::millis(Timings::new(changes.to_vec()).percentile(percent)),
            }),
        );
    }
}
