//! An hour of an editor's life, compressed: documents are edited, conversations change, and the service goes
//! away and comes back, in an order that a seed decides. What grows by that is a leak.

use crate::rng::Rng;
use crate::support::client::{Client, eventually};
use crate::support::process::Spawn;
use crate::support::replica::{CHANGED, Replica, list};
use crate::support::standin::{StandIn, references};
use crate::support::world::{capabilities, wait_live};
use crate::{Figures, is_long, median};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How much is done between two looks at the figures.
struct Round {
    edits: usize,
    events: usize,
    reconnects: usize,
}

/// The first round is not looked at: buffers and caches grow to their size in it.
const SHORT: (usize, Round) = (
    7,
    Round {
        edits: 400,
        events: 400,
        reconnects: 6,
    },
);
/// 100,000 edits, 100,000 events and 1,000 reconnects that are looked at.
const LONG: (usize, Round) = (
    21,
    Round {
        edits: 5_000,
        events: 5_000,
        reconnects: 50,
    },
);
const DOCUMENTS: usize = 8;
const CONVERSATIONS: usize = 200;
/// Between two round trips.
const BREATH: usize = 40;

/// How much more memory the last rounds may take than the first ones, both as medians, in kB. Allocators are
/// no accountants: it goes up and down by a megabyte or two. Between the middles of the first and the last third
/// of the long form are 67,000 edits and as many events, so that a leak of 32 bytes with each is found.
const SLACK: u64 = 4 << 10;

/// Sockets to the service at rest: the streams of conversations, anchors and assets, and what is kept of the
/// connections of requests, of which at most two that the editor asked for and two for the index are under way.
const STREAMS: usize = 3;
const REQUESTS: usize = 4;
/// Sockets to the service at any time: a write has a connection of its own; what the editor asked for goes
/// on over a connection of before while the next one looks for the service, which takes one as well.
const SOCKETS: usize = STREAMS + 2 * REQUESTS + 2;

/// How many tasks may be there besides those of a session that did nothing: requests under way and kept
/// connections have one each, and so has what the editor was asked and has not answered.
const TASKS: usize = 8;

#[test]
fn a_long_life_leaves_nothing_behind() {
    let (rounds, round) = if is_long() { LONG } else { SHORT };
    let seed = std::env::var("ENDURANCE_SEED").ok();
    let seed = seed.map_or(1, |seed| seed.parse().expect("a number"));
    let base = {
        let mut short = Life::start(seed);
        short.agree();
        short.end()
    };
    let mut life = Life::start(seed);
    let mut figures = Vec::new();
    for number in 0..rounds {
        life.live(&round);
        life.agree();
        eventually("only what is kept is open", || {
            life.standin.with(|state| state.connections()) <= STREAMS + REQUESTS
        });
        let now = Figures::of(life.client.process().id());
        let most = life.standin.max_connections();
        let in_flight = life.standin.max_in_flight();
        eprintln!("round {number}: {now:?}, at most {most} connections, {in_flight} requests");
        assert!(most <= SOCKETS, "{most} connections at once");
        // One more: a write does not wait for what is read.
        assert!(in_flight <= REQUESTS + 1, "{in_flight} requests at once");
        life.standin.forget_requests();
        figures.push(now);
    }
    let tasks = life.end();
    eprintln!("tasks: {tasks}, and {base} where nothing happened");
    assert!(tasks <= base + TASKS, "{tasks} tasks, and at first {base}");

    let figures = &figures[1..];
    let third = figures.len() / 3;
    let (first, last) = (&figures[..third], &figures[figures.len() - third..]);
    for (what, figure) in [
        (
            "memory of its own",
            (|one| one.anonymous) as fn(&Figures) -> u64,
        ),
        ("resident memory", |one| one.resident),
    ] {
        let (first, last) = (
            median(first.iter().map(figure)),
            median(last.iter().map(figure)),
        );
        eprintln!("{what}: {first} kB in the first rounds, {last} kB in the last");
        assert!(
            last <= first + SLACK,
            "{what}: from {first} kB to {last} kB"
        );
    }
    let most = |of: &[Figures], figure: fn(&Figures) -> u64| of.iter().map(figure).max().unwrap();
    let descriptors = |one: &Figures| one.descriptors as u64;
    let (first, last) = (most(first, descriptors), most(last, descriptors));
    assert!(
        last <= first + REQUESTS as u64,
        "from {first} descriptors to {last}"
    );
    // Threads for blocking work come with need and go after ten idle seconds.
    let threads = most(figures, |one| one.threads);
    assert!(threads <= 32, "{threads} threads");
}

struct Document {
    uri: String,
    /// Each ends with a line break.
    lines: Vec<String>,
    version: i32,
    open: bool,
}

struct Life {
    standin: StandIn,
    client: Client,
    rng: Rng,
    replica: Replica,
    documents: Vec<Document>,
    /// The lines of the diagnostics that the editor shows, by document.
    shown: BTreeMap<String, Vec<u64>>,
    assets: Vec<String>,
    anchors: Vec<String>,
    unanswered: Vec<i64>,
    made: usize,
}

impl Life {
    fn start(seed: u64) -> Self {
        let mut standin = StandIn::start();
        standin.with(|state| state.tie_streams = true);
        let ids = standin.fill((0..CONVERSATIONS).map(|n| format!("filled {n}")));
        let assets: Vec<String> = (0..20)
            .map(|n| standin.create_asset(&format!("asset {n}"), "rs", "fn main() {}"))
            .collect();
        let anchors = (0..DOCUMENTS)
            .map(|n| standin.create_anchor(&format!("/life/{n}.rs"), &[&assets[n]], &[&ids[n]]));
        let anchors = anchors.collect();
        let spawn = Spawn::serve()
            .arg("--backend")
            .arg("pieces-os")
            .arg("--log-level")
            .arg("info");
        let file = match cfg!(target_os = "macos") {
            true => "Library/com.pieces.os/production/Config/.port.txt",
            false => ".local/share/com.pieces.os/production/Config/.port.txt",
        };
        standin.publish_port(&spawn.home().join(file));
        let mut capabilities = capabilities();
        capabilities["workspace"]["codeLens"] = json!({"refreshSupport": true});
        capabilities["workspace"]["inlayHint"] = json!({"refreshSupport": true});
        let options = json!({"liveUpdates": true, "confirmDelete": false});
        let (mut client, _) = Client::connect(spawn, capabilities, options);
        for refresh in ["workspace/codeLens/refresh", "workspace/inlayHint/refresh"] {
            client.answer(refresh, |_| Some(Value::Null));
        }
        client.answer("window/showDocument", |_| Some(json!({"success": true})));
        for expected in [
            CHANGED,
            "pieces/didChangeStatus",
            "textDocument/publishDiagnostics",
            "window/logMessage",
        ] {
            client.allow(expected);
        }
        wait_live(&mut client);
        let documents = (0..DOCUMENTS).map(|n| Document {
            uri: format!("file:///life/{n}.rs"),
            lines: vec![],
            version: 0,
            open: false,
        });
        Life {
            standin,
            client,
            rng: Rng::new(seed),
            replica: Replica::default(),
            documents: documents.collect(),
            shown: BTreeMap::new(),
            assets,
            anchors,
            unanswered: vec![],
            made: 0,
        }
    }

    /// Leaves; how many tasks there were then.
    fn end(self) -> usize {
        let log = self.client.finish();
        let tasks = log.split("tasks=").nth(1).expect("the log says how many");
        let tasks = tasks.split_whitespace().next().unwrap();
        tasks.parse().unwrap()
    }

    fn live(&mut self, round: &Round) {
        let mut left = [round.edits, round.events, round.reconnects];
        let mut done = 0;
        while left != [0; 3] {
            let mut which = self.rng.below(left.iter().sum::<usize>() as u64) as usize;
            if which < left[0] {
                left[0] -= 1;
                self.edit();
            } else {
                which -= left[0];
                if which < left[1] {
                    left[1] -= 1;
                    self.event();
                } else {
                    left[2] -= 1;
                    self.reconnect();
                }
            }
            done += 1;
            if done % BREATH == 0 {
                self.breathe();
            }
        }
    }

    fn id(&mut self) -> String {
        let which = self.rng.next() >> 8;
        let known = self.standin.with(|state| {
            let at = which.checked_rem(state.conversations.len() as u64)?;
            state.conversations.keys().nth(at as usize).cloned()
        });
        known.unwrap_or_else(|| self.foreign())
    }

    /// An id that nothing has.
    fn foreign(&mut self) -> String {
        Uuid::from_u128(u128::from(self.rng.next()) << 64).to_string()
    }

    fn line(&mut self) -> String {
        match self.rng.below(8) {
            0 => format!("// 😀 see pieces-conversation:/{}.md\n", self.id()),
            1 => format!("// gone: pieces-conversation:/{}.md\n", self.foreign()),
            2 => format!("// é {}\n", self.id()),
            3 => format!("// pieces-asset:/{}/a.rs\n", self.assets[self.made % 20]),
            _ => format!("let a{} = {};\n", self.made, self.rng.next()),
        }
    }

    fn edit(&mut self) {
        self.made += 1;
        let at = self.rng.below(DOCUMENTS as u64) as usize;
        let what = self.rng.below(60);
        if !self.documents[at].open || what == 0 {
            return self.open_or_close(at);
        }
        let count = self.documents[at].lines.len();
        let line = self.rng.below(count as u64) as usize;
        let (new, document) = (self.line(), &mut self.documents[at]);
        let change = if what == 1 {
            document.lines.truncate(20);
            json!({"text": document.lines.concat()})
        } else if count < 40 || what.is_multiple_of(2) && count < 80 {
            let start = json!({"line": line, "character": 0});
            document.lines.insert(line, new.clone());
            json!({"range": {"start": start, "end": start}, "text": new})
        } else {
            let start = json!({"line": line, "character": 0});
            let end = json!({"line": line + 1, "character": 0});
            let new = if what.is_multiple_of(2) {
                document.lines[line] = new.clone();
                new
            } else {
                document.lines.remove(line);
                String::new()
            };
            json!({"range": {"start": start, "end": end}, "text": new})
        };
        document.version += 1;
        let identifier = json!({"uri": document.uri, "version": document.version});
        let params = json!({"textDocument": identifier, "contentChanges": [change]});
        self.client.notify("textDocument/didChange", params);
        if self.rng.once_in(6) {
            self.ask(at, line);
        }
    }

    fn open_or_close(&mut self, at: usize) {
        let lines: Vec<String> = (0..40).map(|_| self.line()).collect();
        let document = &mut self.documents[at];
        document.open = !document.open;
        if document.open {
            document.lines = lines;
            document.version += 1;
            let item = json!({"uri": document.uri, "languageId": "rust",
                "version": document.version, "text": document.lines.concat()});
            self.client
                .notify("textDocument/didOpen", json!({"textDocument": item}));
        } else {
            let identifier = json!({"uri": document.uri});
            self.client
                .notify("textDocument/didClose", json!({"textDocument": identifier}));
        }
    }

    /// What editors ask while somebody types, and now and then a command.
    fn ask(&mut self, at: usize, line: usize) {
        let uri = self.documents[at].uri.clone();
        let document = json!({"uri": uri});
        let position = json!({"line": line, "character": 30});
        let place = json!({"textDocument": document, "position": position});
        let range = json!({"start": {"line": line, "character": 0}, "end": position});
        let run = |command: &str, argument: Value| {
            let command = format!("pieces.conversations.{command}");
            (
                "workspace/executeCommand",
                json!({"command": command, "arguments": [argument]}),
            )
        };
        let (method, params) = match self.rng.below(20) {
            0..4 => ("textDocument/hover", place),
            4..7 => {
                let context = json!({"diagnostics": [], "triggerKind": 1});
                let params = json!({"textDocument": document, "range": range, "context": context});
                ("textDocument/codeAction", params)
            }
            7 => (
                "textDocument/inlayHint",
                json!({"textDocument": document, "range": range}),
            ),
            8 => ("textDocument/codeLens", json!({"textDocument": document})),
            9 => ("textDocument/completion", place),
            10 => (
                "textDocument/documentLink",
                json!({"textDocument": document}),
            ),
            11 => ("textDocument/definition", place),
            12 => ("workspace/symbol", json!({"query": "renamed"})),
            13 => ("textDocument/prepareRename", place),
            14 => {
                let uri = format!("pieces-conversation:/{}.md", self.id());
                ("workspace/textDocumentContent", json!({"uri": uri}))
            }
            15 => run("list", json!({"query": "filled 1", "limit": 10})),
            16 => run("identifiers", Value::Null),
            17 => run(
                "rename",
                json!({"conversation": self.id(), "name": "renamed by us"}),
            ),
            18 => run("createFromAsset", json!({"asset": self.assets[line % 20]})),
            _ => run("delete", json!({"conversation": self.id()})),
        };
        let id = self.client.send_request(method, params);
        self.unanswered.push(id);
        if self.rng.once_in(10) {
            self.client.cancel(id);
        }
    }

    fn event(&mut self) {
        self.made += 1;
        let name = format!("made {}", self.made);
        let many = self.standin.with(|state| state.conversations.len()) > CONVERSATIONS;
        match self.rng.below(20) {
            0..4 if many => {
                let id = self.id();
                self.standin.delete(&id);
            }
            0..3 => drop(self.standin.create(&name)),
            3 => {
                // With an anchor that nobody can read.
                let anchor = self.foreign();
                let anchors = references([anchor.as_str()]);
                self.standin
                    .insert(json!({"name": name, "anchors": anchors}));
            }
            4 => {
                let at = self.rng.below(DOCUMENTS as u64) as usize;
                let path = format!("/life/{}.rs", self.rng.below(DOCUMENTS as u64));
                self.standin.move_anchor(&self.anchors[at], &path);
            }
            5 => {
                let foreign = json!({"iterable": [{"asset": {"id": self.foreign()}}]});
                self.standin.push_frame(foreign);
            }
            6 => {
                let item = json!({"conversation": {"id": self.foreign()}});
                self.standin.push_frame(json!({"iterable": [item]}));
            }
            _ => {
                let id = self.id();
                self.standin.rename(&id, &name);
            }
        }
    }

    /// The service goes away and comes back. That the editor asks for something meanwhile makes the server
    /// look for it at once.
    fn reconnect(&mut self) {
        let streams = |standin: &StandIn| standin.with(|state| state.websockets_opened());
        let before = streams(&self.standin);
        match self.rng.below(3) {
            0 => self.standin.sever(),
            1 => self.standin.restart_elsewhere(),
            _ => {
                self.standin.refuse();
                for _ in 0..self.rng.below(4) {
                    self.event();
                }
                let asked = self
                    .client
                    .command("pieces.conversations.identifiers", Value::Null);
                assert!(asked.is_err(), "nobody could answer that");
                self.standin.heal();
            }
        }
        eventually("live again", || {
            let _ = self
                .client
                .command("pieces.conversations.identifiers", Value::Null);
            let status = self.client.command("pieces.status", Value::Null).unwrap();
            status["state"] == "live" && streams(&self.standin) > before
        });
    }

    /// Takes in what the server said.
    fn breathe(&mut self) {
        for id in std::mem::take(&mut self.unanswered) {
            // Refused or not: the service may have been away.
            let _ = self.client.response(id);
        }
        for message in self.client.drain_all() {
            let params = &message["params"];
            match message["method"].as_str() {
                Some(CHANGED) => self.replica.apply(params, &mut self.client),
                Some("textDocument/publishDiagnostics") => {
                    let uri = params["uri"].as_str().unwrap().to_owned();
                    let all = params["diagnostics"].as_array().unwrap().iter();
                    let line = |one: &Value| one["range"]["start"]["line"].as_u64().unwrap();
                    self.shown.insert(uri, all.map(line).collect());
                }
                _ => {}
            }
        }
    }

    /// After quiet, everybody has the same.
    fn agree(&mut self) {
        self.breathe();
        let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
        let mut expected = BTreeMap::new();
        eventually("the list equals the service", || {
            let items = list(&mut self.client).1;
            let names: BTreeMap<_, _> = items
                .iter()
                .map(|(id, one)| (id.clone(), name(one)))
                .collect();
            // Anew each time: a write that was cancelled too late is carried out all the same.
            expected = self.standin.with(|state| {
                let all = state.conversations.iter();
                all.map(|(id, one)| (id.clone(), name(one))).collect()
            });
            names == expected
        });
        wait_live(&mut self.client);
        eventually("the replay equals the list", || {
            self.breathe();
            let (revision, items) = list(&mut self.client);
            self.replica.items == items && revision == self.replica.revision
        });
        let shown = |documents: &[Document], of: &str, known: bool| -> BTreeMap<String, Vec<u64>> {
            let lines = |document: &Document| {
                let lines = document.lines.iter().enumerate();
                let lines = lines.filter(|(_, line)| {
                    let id = line.split(of).nth(1).and_then(|rest| rest.get(..36));
                    id.is_some_and(|id| expected.contains_key(id) == known)
                });
                lines.map(|(number, _)| number as u64).collect()
            };
            let open = documents.iter().filter(|document| document.open);
            open.map(|document| (document.uri.clone(), lines(document)))
                .collect()
        };
        // The diagnostics of what is open, and none of what was closed.
        let expected_diagnostics = shown(&self.documents, "pieces-conversation:/", false);
        eventually("the diagnostics are those of the text", || {
            self.breathe();
            let shown = self.shown.iter().filter(|(_, lines)| !lines.is_empty());
            let expected = expected_diagnostics
                .iter()
                .filter(|(_, lines)| !lines.is_empty());
            shown.eq(expected)
        });
        // And the text is the one that was typed.
        for (uri, lines) in shown(&self.documents, "// é ", true) {
            let range = json!({"start": {"line": 0, "character": 0}, "end": {"line": 1000, "character": 0}});
            let params = json!({"textDocument": {"uri": uri}, "range": range});
            let hints = self
                .client
                .request("textDocument/inlayHint", params)
                .unwrap();
            let hints = hints.as_array().unwrap().iter();
            let line = |hint: &Value| hint["position"]["line"].as_u64().unwrap();
            assert_eq!(hints.map(line).collect::<Vec<_>>(), lines, "{uri}");
        }
    }
}
