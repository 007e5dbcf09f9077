// node scripts/l10n.mjs [--check]: writes the strings of the sources to l10n/bundle.l10n.json, for translators; or only
// says whether they are there, whether package.json and package.nls.json agree, and whether translations are complete.
import fs from "node:fs";
import path from "node:path";
import ts from "typescript";

const strings = new Set();
for (const file of fs.readdirSync("src", { recursive: true }).filter((one) => one.endsWith(".ts"))) {
  const source = ts.createSourceFile(file, fs.readFileSync(path.join("src", file), "utf8"), ts.ScriptTarget.Latest, true);
  const visit = (node) => {
    if (ts.isCallExpression(node) && /^(vscode\.l10n\.)?t$/.test(node.expression.getText())) {
      const [text] = node.arguments;
      if (!text || !ts.isStringLiteralLike(text)) throw new Error(`${file}: ${node.getText()} has no string`);
      strings.add(text.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** What a translation has to keep: places for values, and links to commands. */
const kept = (text) => [...text.matchAll(/\{\d+\}|\]\([^)]*\)/g)].map(([one]) => one).sort().join(" ");

/** What is wrong with the translations of a file beside it: `x.json` has `x.LANGUAGE.json`. */
function translations(file) {
  const wrong = [];
  const json = (name) => JSON.parse(fs.readFileSync(name, "utf8"));
  const source = json(file);
  const [folder, name] = [path.dirname(file), path.basename(file, ".json")];
  for (const one of fs.readdirSync(folder).filter((other) => other.startsWith(`${name}.`) && other !== `${name}.json`)) {
    const translated = json(path.join(folder, one));
    for (const key of Object.keys(source)) {
      if (!translated[key]) wrong.push(`${one} lacks ${JSON.stringify(key)}`);
      else if (kept(translated[key]) !== kept(source[key])) wrong.push(`${one}: other places or links in ${JSON.stringify(key)}`);
    }
    for (const key of Object.keys(translated)) if (!(key in source)) wrong.push(`${one} has ${JSON.stringify(key)}, which nobody says`);
  }
  return wrong;
}

const bundle = `${JSON.stringify(Object.fromEntries([...strings].sort().map((text) => [text, text])), null, 2)}\n`;
const file = "l10n/bundle.l10n.json";
if (!process.argv.includes("--check")) {
  fs.writeFileSync(file, bundle);
} else {
  const wrong = [];
  if (fs.readFileSync(file, "utf8") !== bundle) wrong.push(`${file} is not what the sources say: npm run l10n`);
  const names = new Set(fs.readFileSync("package.json", "utf8").match(/%[\w.-]+%/g).map((one) => one.slice(1, -1)));
  const known = new Set(Object.keys(JSON.parse(fs.readFileSync("package.nls.json", "utf8"))));
  for (const name of names) if (!known.has(name)) wrong.push(`package.nls.json lacks ${name}`);
  for (const name of known) if (!names.has(name)) wrong.push(`nobody uses ${name} of package.nls.json`);
  wrong.push(...translations(file), ...translations("package.nls.json"));
  if (wrong.length > 0) {
    console.error(wrong.join("\n"));
    process.exit(1);
  }
}
