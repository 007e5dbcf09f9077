// node scripts/package.mjs [--target linux-x64] [--binary PATH] [--out FILE]: builds the .vsix, with the server
// inside where a binary is given.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const option = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at > 0 ? process.argv[at + 1] : undefined;
};
const target = option("target");
const binary = option("binary");
const out = option("out") ?? `pieces-lsp${target ? `-${target}` : ""}.vsix`;
const run = (command, args) => {
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
};

fs.rmSync("bin", { recursive: true, force: true });
if (binary) {
  const name = target?.startsWith("win32") ? "pieces-lsp.exe" : "pieces-lsp";
  fs.mkdirSync("bin");
  fs.copyFileSync(path.resolve(binary), path.join("bin", name));
  fs.chmodSync(path.join("bin", name), 0o755);
}
run("npm", ["run", "--silent", "check"]);
run("npm", ["run", "--silent", "build"]);
run("npx", ["vsce", "package", "--no-dependencies", ...(target ? ["--target", target] : []), "-o", out]);
