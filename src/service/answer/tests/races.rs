//! Answers against concurrent stops, deletes, restores, imports, writes of other clients, and kills.
//!
//! The store runs one transaction at a time, so every race is an order of transactions. Random orders run against a
//! simple model; `ANSWER_SEED=n` runs one, `ANSWER_SEEDS=n` so many.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::service::{
    Failure,
    answer::{
        Halted,
        record::{self, Begin, Finish, Ids, Stored},
    },
    objects::{self, import, message},
    store::{self, InMemory, Kind, trash},
};

const SEEDS: u64 = 2_000;
const CONVERSATIONS: usize = 2;

/// One step; numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Op {
    Ask(usize),
    /// The model says a word. Nothing is stored.
    Say(usize),
    Flush(usize),
    /// The end: whole, or stopped.
    Finish(usize, bool),
    /// With or without what the run knows: another process may delete, too.
    Delete(usize, bool),
    Restore(usize),
    Import(usize),
    /// A client writes a stale copy back.
    Update(usize),
    DeleteMessage(usize),
    Reopen,
}

fn script(seed: u64) -> Vec<Op> {
    let mut state = seed;
    let mut next = move |end: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    };
    let length = 5 + next(35);
    let mut ops = Vec::new();
    for _ in 0..length {
        let which = next(64) as usize;
        ops.push(match next(24) {
            0..5 => Op::Ask(which),
            5..9 => Op::Say(which),
            9..14 => Op::Flush(which),
            14..17 => Op::Finish(which, which.is_multiple_of(3)),
            17..19 => Op::Delete(which, !which.is_multiple_of(3)),
            19 => Op::Restore(which),
            20 => Op::Import(which),
            21 => Op::Update(which),
            22 => Op::DeleteMessage(which),
            _ => Op::Reopen,
        });
    }
    ops
}

/// A message as the model knows it.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    id: String,
    role: &'static str,
    text: String,
    state: Option<&'static str>,
    /// Its answer is still to come.
    asked: bool,
}

/// A run, which may go on submitting writes long after its conversation has gone.
#[derive(Debug)]
struct Run {
    ids: Ids,
    text: String,
    begun: bool,
    /// Nobody else may ask in its conversation.
    holds: bool,
}

#[derive(Default)]
struct World {
    alive: BTreeMap<String, Vec<Known>>,
    trash: BTreeMap<String, Vec<Known>>,
    runs: Vec<Run>,
    count: u32,
}

impl World {
    fn open(&mut self, ids: &Ids) -> Option<&mut Known> {
        let messages = self.alive.get_mut(&ids.conversation)?;
        messages
            .iter_mut()
            .find(|known| known.id == ids.answer && known.state == Some("writing"))
    }

    /// What a write of words does.
    fn flush(&mut self, ids: &Ids, text: &str, begun: bool) -> Stored {
        let Some(messages) = self.alive.get(&ids.conversation) else {
            return Stored::Lost;
        };
        if text.is_empty() {
            return Stored::Yes;
        }
        let is_there = messages.iter().any(|known| known.id == ids.answer);
        if let Some(known) = self.open(ids) {
            text.clone_into(&mut known.text);
            return Stored::Yes;
        }
        if begun || is_there {
            return Stored::Lost;
        }
        let Some(messages) = self.alive.get_mut(&ids.conversation) else {
            return Stored::Lost;
        };
        for known in messages.iter_mut().filter(|known| known.id == ids.question) {
            known.asked = false;
        }
        messages.push(Known {
            id: ids.answer.clone(),
            role: "ASSISTANT",
            text: text.to_owned(),
            state: Some("writing"),
            asked: false,
        });
        Stored::Yes
    }

    fn finish(&mut self, ids: &Ids, text: &str, begun: bool, stopped: bool) -> Stored {
        let stored = self.flush(ids, text, begun);
        if stored == Stored::Lost {
            return stored;
        }
        if text.is_empty() {
            let messages = self.alive.get_mut(&ids.conversation).into_iter().flatten();
            for known in messages.filter(|known| known.id == ids.question) {
                known.state = Some("unanswered");
                known.asked = false;
            }
        } else if let Some(known) = self.open(ids) {
            known.state = stopped.then_some("stopped");
        }
        Stored::Yes
    }
}

/// Ends what is open in these messages.
fn end(messages: &mut [Known], state: &'static str) {
    for known in messages {
        if known.state == Some("writing") {
            known.state = Some(state);
        } else if known.asked {
            known.state = Some("unanswered");
        }
        known.asked = false;
    }
}

fn run(script: &[Op]) -> Result<(), String> {
    let store = InMemory::new();
    let ids: Vec<String> = (1..=CONVERSATIONS)
        .map(|at| Uuid::from_u128(at as u128).to_string())
        .collect();
    let mut world = World::default();
    for (at, op) in script.iter().enumerate() {
        step(&store, &mut world, &ids, *op).map_err(|why| format!("{at} {op:?}: {why}"))?;
        check(&store, &world, &ids).map_err(|why| format!("after {at} {op:?}: {why}"))?;
    }
    store.reopen();
    world
        .alive
        .values_mut()
        .for_each(|messages| end(messages, "interrupted"));
    check(&store, &world, &ids).map_err(|why| format!("at the end: {why}"))
}

fn step(store: &InMemory, world: &mut World, ids: &[String], op: Op) -> Result<(), String> {
    let conversation = |which: usize| ids[which % ids.len()].clone();
    let nth = |world: &World, which: usize| {
        let all = world.alive.iter();
        let all: Vec<_> = all
            .flat_map(|(c, messages)| messages.iter().map(move |m| (c, m)))
            .collect();
        let (c, message) = all.get(which % all.len().max(1))?;
        Some(((*c).clone(), (*message).clone()))
    };
    match op {
        Op::Ask(which) => {
            let id = conversation(which);
            if world
                .runs
                .iter()
                .any(|run| run.holds && run.ids.conversation == id)
            {
                return Ok(());
            }
            world.count += 1;
            let prompt = format!("question {}", world.count);
            let begin = Begin {
                conversation: id.clone(),
                prompt: prompt.clone(),
                must_not_be_deleted: true,
                ..Begin::default()
            };
            let gone = !world.alive.contains_key(&id) && world.trash.contains_key(&id);
            match store.write(|change| record::begin(change, begin)) {
                Ok(begun) if !gone => {
                    let messages = world.alive.entry(id.clone()).or_default();
                    messages.push(Known {
                        id: begun.question.clone(),
                        role: "USER",
                        text: prompt,
                        state: None,
                        asked: true,
                    });
                    world.runs.push(Run {
                        ids: Ids {
                            conversation: id,
                            question: begun.question,
                            answer: Uuid::new_v4().to_string(),
                        },
                        text: String::new(),
                        begun: false,
                        holds: true,
                    });
                }
                Err(Failure::Gone { .. }) if gone => {}
                other => return Err(format!("{other:?}")),
            }
        }
        Op::Say(which) => {
            let word = format!("word{which} ");
            let at = which % world.runs.len().max(1);
            if let Some(run) = world.runs.get_mut(at) {
                run.text.push_str(&word);
            }
        }
        Op::Flush(which) => {
            let at = which % world.runs.len().max(1);
            let Some(run) = world.runs.get(at) else {
                return Ok(());
            };
            let (ids, text, begun) = (run.ids.clone(), run.text.clone(), run.begun);
            let words = (!text.is_empty()).then_some(text.as_str());
            let found = store.write(|change| record::flush(change, &ids, words, begun));
            let expected = world.flush(&ids, &text, begun);
            if found != Ok(expected) {
                return Err(format!("{found:?}, not {expected:?}"));
            }
            world.runs[at].begun |= expected == Stored::Yes && !text.is_empty();
            // Its conversation is free once it has ended.
            world.runs[at].holds &= expected == Stored::Yes;
        }
        Op::Finish(which, stopped) => {
            let at = which % world.runs.len().max(1);
            if world.runs.is_empty() {
                return Ok(());
            }
            let run = world.runs.remove(at);
            let own = match stopped {
                true => json!({"state": "stopped"}),
                false => json!({"stop": "end"}),
            };
            let finish = Finish {
                text: run.text.clone(),
                own: own.as_object().cloned().unwrap_or_default(),
                model: None,
            };
            let found = store.write(|change| record::finish(change, &run.ids, &finish, run.begun));
            let expected = world.finish(&run.ids, &run.text, run.begun, stopped);
            if found != Ok(expected) {
                return Err(format!("{found:?}, not {expected:?}"));
            }
        }
        Op::Delete(which, knows) => {
            let id = conversation(which);
            let holder = world
                .runs
                .iter_mut()
                .find(|run| run.holds && run.ids.conversation == id);
            let halted = holder.map(|run| {
                run.holds = false;
                Halted {
                    ids: run.ids.clone(),
                    begun: run.begun,
                    text: run.text.clone(),
                }
            });
            let halted = halted.filter(|_| knows);
            let was_there = world.alive.contains_key(&id);
            let found = store.write(|change| {
                if let Some(halted) = &halted {
                    halted.store(change)?;
                }
                objects::delete(change, Kind::Conversation, &id)
            });
            if found.is_ok() != was_there {
                return Err(format!("{found:?}"));
            }
            if let Some(halted) = halted {
                world.flush(&halted.ids, &halted.text, halted.begun);
            }
            if let Some(mut messages) = world.alive.remove(&id) {
                end(&mut messages, "stopped");
                world.trash.insert(id, messages);
            }
        }
        Op::Restore(which) => {
            let id = conversation(which);
            let restored = store.write(|change| objects::trash::restore(change, &id).map(drop));
            let possible = world.alive.contains_key(&id) || world.trash.contains_key(&id);
            if restored.is_ok() != possible {
                return Err(format!("{restored:?}"));
            }
            if !world.alive.contains_key(&id)
                && let Some(messages) = world.trash.remove(&id)
            {
                world.alive.insert(id, messages);
            }
        }
        Op::Import(which) => {
            let Some((conversation, known)) = nth(world, which) else {
                return Ok(());
            };
            world.count += 1;
            let text = format!("imported {}", world.count);
            let at = format!("{}-01-01T00:00:00Z", 2100 + world.count);
            let object = json!({"message": {"id": known.id, "role": known.role, "updated": {"value": at},
                "conversation": {"id": conversation}, "fragment": {"string": {"raw": text}},
                "pieces_lsp": {"state": "writing", "named": []}}});
            let outcomes = store.write(|change| import::import_objects(change, vec![object]));
            let is_open = known.state == Some("writing");
            let expected = match is_open {
                true => import::Outcome::Unchanged,
                false => import::Outcome::Updated,
            };
            if outcomes != Ok(vec![expected]) {
                return Err(format!("{outcomes:?}"));
            }
            edit(world, &known.id, |known| {
                if !is_open {
                    known.text = text;
                    known.state = Some("interrupted");
                    known.asked = false;
                }
            });
        }
        Op::Update(which) => {
            let Some((_, known)) = nth(world, which) else {
                return Ok(());
            };
            let text = format!("{} (stale)", known.text);
            let body = json!({"id": known.id, "fragment": {"string": {"raw": text}}, "pieces_lsp": {"state": "writing"}});
            let updated =
                store.write(|change| objects::update(change, Kind::Message, body).map(drop));
            updated.map_err(|failure| format!("{failure:?}"))?;
            edit(world, &known.id, |known| known.text = text);
        }
        Op::DeleteMessage(which) => {
            let Some((_, known)) = nth(world, which) else {
                return Ok(());
            };
            let deleted = store.write(|change| objects::delete(change, Kind::Message, &known.id));
            deleted.map_err(|failure| format!("{failure:?}"))?;
            for messages in world.alive.values_mut() {
                messages.retain(|other| other.id != known.id);
            }
        }
        Op::Reopen => {
            store.reopen();
            world
                .alive
                .values_mut()
                .for_each(|messages| end(messages, "interrupted"));
            // Their process is gone.
            world.runs.clear();
        }
    }
    Ok(())
}

fn edit(world: &mut World, id: &str, change: impl FnOnce(&mut Known)) {
    let mut all = world.alive.values_mut().flatten();
    if let Some(known) = all.find(|known| known.id == id) {
        change(known);
    }
}

/// Compares the store, the trash and the search index with the model.
fn check(store: &InMemory, world: &World, ids: &[String]) -> Result<(), String> {
    for id in ids {
        let found = alive(store, id).map_err(|failure| format!("{failure:?}"))?;
        let expected = world.alive.get(id).map(|messages| shown(messages));
        if found != expected {
            return Err(format!("{found:?}, not {expected:?}"));
        }
        let found = trashed(store, id).map_err(|failure| format!("{failure:?}"))?;
        let expected = world.trash.get(id).map(|messages| shown(messages));
        if expected.is_some() && found != expected {
            return Err(format!("in the trash {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

/// Role, text and state of each message.
type Shown = Vec<(String, String, Option<String>)>;

fn shown(messages: &[Known]) -> Shown {
    let shown = messages.iter();
    shown
        .map(|known| {
            (
                known.role.to_owned(),
                known.text.clone(),
                known.state.map(str::to_owned),
            )
        })
        .collect()
}

fn of_doc(doc: &str) -> Result<(String, String, Option<String>), Failure> {
    let doc: Value = serde_json::from_str(doc)?;
    let doc = doc.as_object().cloned().unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let state = doc.get("pieces_lsp").and_then(|own| own.get("state"));
    Ok((
        text(doc.get("role")).unwrap_or_default(),
        message::raw(&doc).unwrap_or_default().to_owned(),
        text(state),
    ))
}

fn alive(store: &InMemory, id: &str) -> Result<Option<Shown>, Failure> {
    let Some(row) = store::find(store.db(), Kind::Conversation, id)? else {
        return Ok(None);
    };
    let rows = store::owned_rows(store.db(), Kind::Message, row.seq)?;
    rows.iter()
        .map(|row| of_doc(&row.doc))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn trashed(store: &InMemory, id: &str) -> Result<Option<Shown>, Failure> {
    let now = crate::service::time::now();
    let Some(head) = trash::newest(store.db(), id, now)? else {
        return Ok(None);
    };
    let mut found = Vec::new();
    trash::each_part(store.db(), head.entry, |part| {
        if part.kind == Kind::Message {
            found.push(of_doc(&part.doc)?);
        }
        Ok(())
    })?;
    Ok(Some(found))
}

#[test]
fn an_answer_is_complete_or_marked_as_incomplete_after_any_race() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seeds = match number("ANSWER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ANSWER_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let mut script = script(seed);
        if let Err(mut error) = run(&script) {
            let mut at = 0;
            while at < script.len() {
                let mut shorter = script.clone();
                shorter.remove(at);
                match run(&shorter) {
                    Err(other) => (script, error) = (shorter, other),
                    Ok(()) => at += 1,
                }
            }
            panic!("ANSWER_SEED={seed}: {error}\n{script:?}");
        }
    }
}
