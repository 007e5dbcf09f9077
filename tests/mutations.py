#!/usr/bin/env python3
"""Puts one deliberate bug at a time into a copy of the sources and sees that the tests find it.

    tests/mutations.py [NAME...]

Every bug is tried on the simulation (ten thousand seeds); what survives that, on the tests beside the
code. Ends with 1 if one survives both. Takes some twenty minutes; docs/testing.md has the last table.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MACHINE, ANSWERS, PLAN, SCHEDULE = (f"src/sync/machine/{name}.rs" for name in ("mod", "answers", "plan", "schedule"))
STORE, SNAPSHOT, TIES = (f"src/index/{name}.rs" for name in ("store", "snapshot", "ties"))

# name, file, what stands there, what stands there instead
MUTANTS = [
    ("what we deleted leaves no trace", MACHINE,
     "Input::Deleted(id) => {\n                self.touched.insert(id, self.clock);", "Input::Deleted(id) => {"),
    ("what the stream deleted leaves no trace", MACHINE,
     "for id in &deletes {\n            self.touched.insert(*id, self.clock);", "for id in &deletes {"),
    ("what we wrote leaves no trace", MACHINE,
     "self.touched.insert(one.id, self.clock);\n                self.index", "self.index"),
    ("our write is not looked up again", MACHINE, "self.need(now, one.id, self.clock);\n                self.touched", "self.touched"),
    ("deletions of the stream are not checked", MACHINE, "            self.verify.insert(*id, self.clock);\n", ""),
    ("deletions of the stream are ignored", MACHINE,
     "self.index.apply(deletes.into_iter().map(Mutation::Remove))", "None"),
    ("changes while the first list is under way are believed to be in it", MACHINE,
     "if !self.is_reconciled() && !self.list.is_under_way() {", "if !self.is_reconciled() && self.list.is_under_way() {\n            return;\n        }\n        if !self.is_reconciled() {"),
    ("malformed frames are ignored", MACHINE, "self.list.soon(now + MALFORMED);", ""),
    ("no audits", MACHINE, "self.audit_at = Some(now + AUDIT);", "self.audit_at = None;"),
    ("no list after connecting again", MACHINE,
     "self.opened = Some(self.clock);", "self.opened = Some(self.opened.unwrap_or(0).min(self.listed));"),
    ("live before anything was listed", MACHINE, "self.opened.is_some_and(|opened| self.listed > opened)", "self.opened.is_some()"),
    ("requests of a lost connection are waited for", MACHINE, "        self.requests.clear();\n", ""),
    ("a later change of the same id does not count", MACHINE, "need.since = need.since.max(since);\n", ""),
    ("a refresh spares the ids", MACHINE, "self.identify.at_once(now);", ""),
    ("touches are forgotten at once", MACHINE, "self.touched.retain(|_, touched| *touched > oldest)", "drop((oldest, self.touched.clear()))"),
    ("anchors that came with new conversations are not looked for", MACHINE, "self.look_for_unknown_anchors(now, delta);", "let _ = delta;"),
    ("a list overrules what is newer", ANSWERS, ".filter(|(_, touched)| **touched > ticket)", ".filter(|_| false)"),
    ("a list answers what was asked for after it left", ANSWERS, "self.needs.retain(|_, need| need.since > ticket);", "self.needs.clear();"),
    ("a fetch overrules what is newer", ANSWERS, "let overruled = known > ticket || self.listed > ticket;", "let overruled = false; let _ = known;"),
    ("a fetch overrules a newer list", ANSWERS, "let overruled = known > ticket || self.listed > ticket;", "let overruled = known > ticket;"),
    ("a fetch answers what was asked for after it left", ANSWERS, "self.needs.get(&id).is_some_and(|need| need.since < ticket)", "self.needs.contains_key(&id)"),
    ("410 is no news", ANSWERS, "Fetched::Gone => (Mutation::Remove(id), vec![]),", "Fetched::Gone => {\n                self.needs.remove(&id);\n                return vec![];\n            }"),
    ("404 always means gone", ANSWERS, "if self.single == SingleFetch::Works && current =>", "if self.single != SingleFetch::Missing =>"),
    ("a failed fetch is not tried again", ANSWERS, "need.failures += 1;", "self.needs.remove(&id);\n        return;\n        #[allow(unreachable_code)]\n        let Some(need) = self.needs.get_mut(&id) else { return };\n        need.failures += 1;"),
    ("ids overrule a newer list", ANSWERS, "if self.listed > ticket {\n            return None; // the list knew better\n        }", ""),
    ("ids overrule what is newer", ANSWERS, "extra.retain(older);", ""),
    ("missing ids are not asked for", ANSWERS, "            self.need(now, id, ticket);\n", "            let _ = (id, now);\n"),
    ("an asset of ours is lost to an older list", ANSWERS, "assets.extend(self.saved.iter().map(|(id, _)| *id));", ""),
    ("anchors are asked for once", ANSWERS, "// They may have been made while this was under way.\n                    self.anchors.soon(now + TIES);", ""),
    ("three requests at once", PLAN, "while self.requests.len() < IN_FLIGHT\n", "while self.requests.len() <= IN_FLIGHT\n"),
    ("never lists where there is no single fetch", PLAN, "if self.single == SingleFetch::Missing {\n            let asked", "if false {\n            let asked"),
    ("a list under way may be joined by another", SCHEDULE, "let at = self.at.filter(|_| !self.under_way)?;", "let at = self.at?;"),
    ("a failed list is not tried again", SCHEDULE, "        self.soon(earliest);\n", ""),
    ("what is due is pushed away", SCHEDULE, "self.at = Some(self.at.map_or(at, |due| due.min(at)));", "self.at = Some(at);"),
    ("the revision does not grow", STORE, "revision: old.revision + 1,", "revision: old.revision,"),
    ("the total is that of before", STORE, "total: next.len,", "total: old.len,"),
    ("removed is not told", STORE, "removed: if reset { vec![] } else { removed },", "removed: vec![],"),
    ("an update looks like nothing", STORE, "let same = known == Some(one.as_ref());", "let same = known.is_some();"),
    ("a changed name is no difference", STORE, "&& one != other", "&& one.updated != other.updated"),
    ("a list forgets what it has to keep", STORE, "draft.insert(one, application);", "let _ = (one, application);"),
    ("a list leaves the places of what went", STORE, "for id in &removed {\n            self.shared.places.remove(id);\n        }", ""),
    ("many changes are neither listed nor a reset", STORE, "            reset,\n        };\n        self.shared", "            reset: false,\n        };\n        self.shared"),
    ("a moved file is not told", STORE, "let moved = self.shared.ties.replace_anchors(anchors);\n        self.retie(&moved)", "self.shared.ties.replace_anchors(anchors);\n        None"),
    ("two small chunks are joined, and one of them stays", SNAPSHOT, "self.chunks.splice(number..=number + 1, pack(&run));", "self.chunks.splice(number..=number, pack(&run));"),
    ("anchors that went stay", TIES, "moved.iter().for_each(|id| self.drop_anchor(*id));", ""),
]


def run(copy, arguments):
    """Whether the tests pass, and the first thing that a failing one says."""
    command = ["nice", "cargo", "test", "-q", *arguments]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return False, "hangs"
    said = done.stdout + done.stderr
    if "error: could not compile" in said:
        raise SystemExit(f"does not compile:\n{said}")
    lines = [line for line in said.splitlines() if "SIMULATION_SEED=" in line or line.startswith("test ") and "FAILED" in line]
    return done.returncode == 0, (lines or ["fails"])[0][:110]


def main():
    wanted = sys.argv[1:]
    names = [mutant[0] for mutant in MUTANTS]
    if unknown := [name for name in wanted if name not in names]:
        raise SystemExit(f"no such bug: {unknown}; there are {names}")
    copy = pathlib.Path(tempfile.gettempdir()) / "pieces-lsp-mutations"
    copy.mkdir(exist_ok=True)  # target/ stays, for the next time
    for name in ("src", "tests/sync_simulation", "benches", "docs"):
        shutil.rmtree(copy / name, ignore_errors=True)
        shutil.copytree(ROOT / name, copy / name)
    for name in ("Cargo.toml", "Cargo.lock", "README.md", "clippy.toml"):
        shutil.copy(ROOT / name, copy / name)
    survivors = 0
    for name, file, before, after in MUTANTS:
        if wanted and name not in wanted:
            continue
        path = copy / file
        source = path.read_text()
        if source.count(before) != 1:
            raise SystemExit(f"{name}: {source.count(before)} places in {file}")
        path.write_text(source.replace(before, after))
        by, (passed, how) = "simulation", run(copy, ["--test", "sync_simulation"])
        if passed:
            by, (passed, how) = "beside the code", run(copy, ["--lib", "--", "index::", "sync::"])
        path.write_text(source)
        survivors += passed
        print(f"| {name} | {'SURVIVES' if passed else by} | {'' if passed else how} |", flush=True)
    print(f"{survivors} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
