import assert from "node:assert/strict";
import { test } from "node:test";
import type { Context, Phase } from "../src/protocol";
import { chips, withFile, without } from "../src/talk/chips";
import { Claims } from "../src/talk/claims";
import { Current, type Read } from "../src/talk/current";
import { Drafts } from "../src/talk/drafts";
import { Growing } from "../src/talk/growing";
import { html } from "../src/talk/html";
import { read } from "../src/talk/wire";

test("an answer grows by its pieces", () => {
  const one = new Growing();
  assert.equal(one.add(0, "Grün"), "grown");
  assert.equal(one.add(5, " 👩🏽‍💻"), "grown");
  assert.equal(one.text, "Grün 👩🏽‍💻");
});

test("a piece that was heard before changes nothing, half of one adds the other half", () => {
  const one = new Growing();
  one.add(0, "abcd");
  assert.equal(one.add(0, "abcd"), "known");
  assert.equal(one.add(2, "cdef"), "grown");
  assert.equal(one.text, "abcdef");
});

test("a gap is filled by what is stored, and the pieces behind it follow", () => {
  const one = new Growing();
  one.add(0, "ab");
  assert.equal(one.add(4, "ef"), "gap");
  assert.equal(one.add(6, "gh"), "gap");
  assert.equal(one.text, "ab");
  assert.ok(one.stored("abcd"));
  assert.equal(one.text, "abcdefgh");
});

test("what is stored may be behind what was heard", () => {
  const one = new Growing();
  one.add(0, "abcdef");
  assert.ok(!one.stored("abc"));
  assert.equal(one.text, "abcdef");
});

test("what is stored is right when the two differ", () => {
  const one = new Growing();
  one.add(0, "abX");
  assert.ok(one.stored("abcd"));
  assert.equal(one.text, "abcd");
});

const report = (status: Phase, delta?: string, at?: number) => ({ conversation: "c", answer: "a", status, ...(delta === undefined ? {} : { delta, at: at ?? 0 }) });
const stored = (state: string | null, text: string): Read[] => [{ id: "q", text: "Why?" }, { id: "a", state, text }];

test("an answer that ends while it is read has ended", () => {
  const one = new Current();
  assert.equal(one.heard(report("writing", "ab")), "unknown");
  const take = one.reading();
  assert.equal(one.heard(report("done")), "ended");
  take(stored("writing", "ab"));
  assert.equal(one.growth, null);
  one.reading()(stored(null, "abc"));
  assert.equal(one.growth, null);
});

test("an answer that is read while it is written ends by a reading, too", () => {
  const one = new Current();
  one.reading()(stored("writing", "ab"));
  assert.deepEqual(one.growth, { answer: "a", phase: "writing", text: "ab" });
  assert.equal(one.heard(report("writing", "cd", 2)), "grown");
  one.reading()(stored("stopped", "abcd"));
  assert.equal(one.growth, null);
});

test("where messages have no states, only a report ends an answer", () => {
  const one = new Current();
  one.heard(report("writing", "ab"));
  one.reading()(stored(null, "ab"));
  assert.equal(one.growth?.text, "ab");
  assert.equal(one.heard(report("writing", "ef", 4)), "unknown");
  assert.equal(one.heard(report("done")), "ended");
});

test("another answer begins anew", () => {
  const one = new Current();
  one.heard(report("writing", "ab"));
  assert.equal(one.heard({ ...report("writing", "x"), answer: "b" }), "unknown");
  assert.deepEqual(one.growth, { answer: "b", phase: "writing", text: "x" });
});

const WORDS = { earlier: (messages: number) => `${messages} before`, all: (bytes: number) => `${bytes}`, part: (sent: number, bytes: number) => `${sent}/${bytes}` };
const context = (kind: Context["kind"], name: string, bytes: number, sent = bytes): Context => ({ kind, name, uri: `file:///${name}`, bytes, sent });

test("chips say what is sent, how much of it, and what can be removed", () => {
  const planned = { context: [context("messages", "4 earlier messages", 900, 500), context("file", "retry.rs", 80), context("asset", "pool.rs", 0)] };
  assert.deepEqual(chips(planned, WORDS), [
    { key: "messages file:///4 earlier messages", label: "4 before", title: "500/900", removable: false, cut: true },
    { key: "file file:///retry.rs", label: "retry.rs", title: "80", removable: true, cut: false },
  ]);
});

test("a removed chip is not sent, and the files of earlier questions are named without it", () => {
  const planned = { context: [context("file", "a.rs", 1), context("file", "b.rs", 1), context("document", "c.rs", 1)] };
  const chosen = { uri: "file:///c.rs" };
  assert.deepEqual(without(chosen, planned, "file file:///a.rs"), { uri: "file:///c.rs", files: ["file:///b.rs"] });
  assert.deepEqual(without({ ...chosen, files: ["file:///a.rs"] }, planned, "document file:///c.rs"), { files: ["file:///a.rs"] });
  assert.deepEqual(without({ files: ["file:///a.rs"] }, { context: [context("file", "a.rs", 1)] }, "file file:///a.rs"), { files: [] });
});

test("a file that is added comes once, after the others", () => {
  const planned = { context: [context("file", "a.rs", 1)] };
  assert.deepEqual(withFile({}, planned, "file:///b.rs"), { files: ["file:///a.rs", "file:///b.rs"] });
  assert.deepEqual(withFile({ files: [] }, planned, "file:///b.rs"), { files: ["file:///b.rs"] });
  assert.deepEqual(withFile({}, planned, "file:///a.rs"), { files: ["file:///a.rs"] });
});

function remembering() {
  const store = new Map<string, unknown>();
  return {
    get: <T>(key: string, other?: T) => (store.get(key) ?? other) as T,
    update: (key: string, value: unknown) => Promise.resolve(void store.set(key, value)),
  };
}

test("drafts are kept by conversation, the last hundred of them", () => {
  const memory = remembering();
  const drafts = new Drafts(memory);
  drafts.change("a", { text: "half a quest" });
  drafts.change("a", { model: "small" });
  assert.deepEqual(new Drafts(memory).of("a"), { text: "half a quest", model: "small" });
  drafts.change("a", { text: "", model: undefined });
  assert.deepEqual(new Drafts(memory).of("a"), { text: "" });
  for (let n = 0; n < 150; n++) drafts.change(`${n}`, { text: "x" });
  assert.equal(new Drafts(memory).of("0").text, "");
  assert.equal(new Drafts(memory).of("149").text, "x");
});

test("a page may say only what pages say", () => {
  assert.deepEqual(read({ type: "ask", text: "Why?", from: null }), { type: "ask", text: "Why?", from: null });
  for (const bad of [null, "ready", {}, { type: "ask" }, { type: "constructor" }, { type: "command", command: "delete" }, { type: "code", action: "run", message: "", language: "", text: "", block: 0 }]) {
    assert.equal(read(bad), undefined, JSON.stringify(bad));
  }
});

test("the page allows no scripts, images or connections but its own", () => {
  const page = html({ script: "s.js", style: "s.css", source: "https://x", nonce: "n1" }, { locale: "en", zone: null, strings: { a: "</script><b>" } });
  assert.match(page, /default-src 'none'; script-src 'nonce-n1'; style-src https:\/\/x; img-src 'none'; connect-src 'none'/);
  assert.ok(!page.includes("</script><b>"));
});

test("what is typed after the first question goes to the conversation that it makes", () => {
  const drafts = new Drafts(remembering());
  drafts.change("/New Conversation", { text: "And then?", model: "small" });
  drafts.made("/New Conversation", "a");
  assert.deepEqual(drafts.of("a"), { text: "And then?" });
  assert.deepEqual(drafts.of("/New Conversation"), { text: "" });
  drafts.made("/New Conversation", "b");
  assert.deepEqual(drafts.of("b"), { text: "" });
});

/** Claims over conversations that are read when the test says so. */
function claims() {
  const reads: ((question: string | undefined) => void)[] = [];
  const all = new Claims(() => new Promise((resolve) => reads.push(resolve)));
  return { all, reads };
}

test("a conversation that is reported before its question is stored is claimed by a later report", async () => {
  const { all, reads } = claims();
  const { conversation } = all.claim("Why jitter?");
  const first = all.heard("a");
  reads[0]?.(undefined);
  await first;
  const second = all.heard("a");
  reads[1]?.("Why jitter?\n\n```rust\nfn a() {}\n```");
  await second;
  assert.equal(await conversation, "a");
  await all.heard("a");
  assert.equal(reads.length, 2);
});

test("a report during a reading is followed by another reading", async () => {
  const { all, reads } = claims();
  const { conversation } = all.claim("Why?");
  const heard = all.heard("a");
  await all.heard("a");
  await all.heard("a");
  reads[0]?.(undefined);
  await new Promise((resolve) => setImmediate(resolve));
  reads[1]?.("Why?");
  await heard;
  assert.equal(await conversation, "a");
  assert.equal(reads.length, 2);
});

test("a conversation that could not be read is read at the next report", async () => {
  const answers = [() => Promise.reject(new Error("offline")), () => Promise.resolve("Why?")];
  const all = new Claims(() => answers.shift()?.() ?? Promise.resolve(undefined));
  const { conversation } = all.claim("Why?");
  await assert.rejects(all.heard("a"));
  await all.heard("a");
  assert.equal(await conversation, "a");
});

test("questions are told apart by what they ask, and a branch from where it begins", async () => {
  const { all, reads } = claims();
  const [one, other, branch] = [all.claim("One"), all.claim("Other"), all.claim("Three", "c")];
  for (const [at, id, question] of [[0, "b", "Other"], [1, "a", "One"], [2, "c", "Three"], [3, "d", "Three"]] as const) {
    const heard = all.heard(id);
    reads[at]?.(question);
    await heard;
  }
  assert.deepEqual(await Promise.all([one, other, branch].map(({ conversation }) => conversation)), ["a", "b", "d"]);
});

test("a question that ended without a conversation waits for none", async () => {
  const { all, reads } = claims();
  const { conversation, end } = all.claim("Why?");
  end(undefined);
  assert.equal(await conversation, undefined);
  await all.heard("a");
  assert.equal(reads.length, 0);
});
