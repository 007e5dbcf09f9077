// node scripts/l10n.mjs [--check]: writes the strings of the sources to l10n/bundle.l10n.json, for translators; or only
// says whether they are there, and whether package.json and package.nls.json agree.
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
  if (wrong.length > 0) {
    console.error(wrong.join("\n"));
    process.exit(1);
  }
}
