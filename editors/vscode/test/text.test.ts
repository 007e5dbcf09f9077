import assert from "node:assert/strict";
import { test } from "node:test";
import { sections } from "../src/groups";
import { mentions } from "../src/mention";
import { fileName, isolated, line, link } from "../src/text";
import { age, clock, monthOrYear, span } from "../src/times";

test("names keep joiners, marks and every script", () => {
  for (const name of ["👩🏽‍💻 pair session", "می‌خواهم", "क्‍ष", "איך לבטל commit שכבר נדחף", "日本語"]) {
    assert.equal(line(name), name);
    assert.equal(isolated(name), `\u2068${name}\u2069`);
  }
});

test("names cannot reorder their neighbours, leave their isolate or become icons", () => {
  assert.equal(line("a\u202eb\u2069c\u2066d\u200be"), "abcde");
  assert.equal(line("$(trash) x\n y\u2028z\u0000"), "$ (trash) x y z");
});

test("long names are cut between characters", () => {
  const family = "👨‍👩‍👧‍👦";
  assert.equal(line(family.repeat(10), 4), `${family.repeat(3)}…`);
  assert.equal(line("x".repeat(300)).length, 200);
});

test("a name in a link is plain", () => {
  assert.equal(link({ name: "a](x) *b*", uri: "pieces-conversation:/1.md" }), "[a\\]\\(x\\) \\*b\\*](pieces-conversation:/1.md)");
});

test("a name is one part of a path", () => {
  assert.equal(fileName("src/../a?b#c"), "src .. a b c");
  assert.equal(fileName(".."), "");
});

test("documents that mention conversations are told from others", () => {
  for (const text of ["see pieces-conversation:/x.md", "[[pieces:", "// pieces: why?", "53c0ec98-c518-4bd6-a7ee-4a6a3f3b3c11"]) {
    assert.ok(mentions(text), text);
  }
  for (const text of ["fn main() {}", "pieces of eight", "53c0ec98-c518"]) {
    assert.ok(!mentions(text), text);
  }
});

const NOW = Date.parse("2026-11-26T10:00:00Z");

test("ages are short in the view and words for a screen reader", () => {
  assert.equal(age("2026-11-26T09:59:40Z", NOW, "en"), "now");
  assert.match(age("2026-11-26T09:55:00Z", NOW, "en"), /^5\s?m/);
  assert.equal(age("2026-11-24T09:55:00Z", NOW, "en", "long"), "2 days ago");
  assert.equal(age("2024-11-24T09:55:00Z", NOW, "de", "long"), "vor 2 Jahren");
});

test("times are short for today, have a day for this week, and a date before", () => {
  assert.equal(clock("2026-11-26T08:03:00Z", NOW, "en", "UTC"), "08:03");
  assert.equal(clock("2026-11-23T14:03:00Z", NOW, "en", "UTC"), "Mon 14:03");
  assert.equal(clock("2026-10-23T14:03:00Z", NOW, "en", "UTC"), "23 Oct 2026, 14:03");
  assert.equal(clock("2026-11-26T02:03:00Z", NOW, "en", "America/New_York"), "Wed 21:03");
  assert.equal(clock("", NOW, "en"), "");
  assert.notEqual(clock("2026-11-26T08:03:00Z", NOW, "en", "No/Where"), "");
});

test("conversations are grouped by day, month and year", () => {
  const at = (time: string, zone = "UTC") => span(time, NOW, zone);
  assert.equal(at("2026-11-26T00:00:00Z"), "today");
  assert.equal(at("2026-11-27T00:00:00Z"), "today");
  assert.equal(at("2026-11-25T23:59:00Z"), "yesterday");
  assert.equal(at("2026-11-26T04:00:00Z", "America/New_York"), "yesterday");
  assert.equal(at("2026-11-20T12:00:00Z"), "week");
  assert.equal(at("2026-11-19T12:00:00Z"), "2026-11");
  assert.equal(at("2025-12-31T12:00:00Z"), "2025");
  assert.equal(at("?"), "0");
  assert.equal(monthOrYear("2026-10", "en"), "October");
  assert.equal(monthOrYear("2025", "en"), "2025");
});

test("rows of the file are not repeated below", () => {
  const row = (id: string, updated: string) => ({ id, updated });
  const [a, b, c] = [row("a", "2026-11-26T09:00:00Z"), row("b", "2026-11-26T08:00:00Z"), row("c", "2026-11-25T08:00:00Z")];
  const ids = (all: ReturnType<typeof sections>) => all.map(({ id, items }) => `${id}:${items.map((one) => one.id).join("")}`);
  assert.deepEqual(ids(sections([b], [a, b, c], NOW, "UTC")), ["file:b", "today:a", "yesterday:c"]);
  assert.deepEqual(ids(sections([], [a, b], NOW, "UTC")), ["today:ab"]);
  assert.deepEqual(ids(sections([], [], NOW, "UTC")), []);
});
