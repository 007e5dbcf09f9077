// node scripts/build.mjs: the extension and the page of a conversation, minified, and the licences of what is in them.
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";

const common = { bundle: true, minify: true, metafile: true, logLevel: "warning" };
const made = await Promise.all([
  build({ ...common, entryPoints: ["src/extension.ts"], outfile: "dist/extension.js", external: ["vscode"], format: "cjs", platform: "node", target: "node20" }),
  build({ ...common, entryPoints: ["src/webview/main.ts"], outfile: "dist/conversation.js", format: "iife", platform: "browser", target: "chrome124" }),
]);

const folders = new Set();
for (const input of made.flatMap(({ metafile }) => Object.keys(metafile.inputs))) {
  const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) folders.add(found[1]);
}
const notices = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  const file = fs.readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
  if (!file) throw new Error(`${name} has no licence in it`);
  return `${name} ${version} (${license})\n\n${fs.readFileSync(path.join(folder, file), "utf8").trim()}\n`;
});
fs.writeFileSync("dist/THIRD-PARTY-NOTICES.txt", notices.join(`\n${"-".repeat(80)}\n\n`));
