// node scripts/test.mjs: the tests of test/, bundled and run by Node's own runner.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";

const out = "dist/test";
fs.rmSync(out, { recursive: true, force: true });
const entryPoints = fs.readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => path.join("test", name));
await build({ entryPoints, bundle: true, platform: "node", format: "esm", outdir: out, outExtension: { ".js": ".mjs" }, logLevel: "warning" });
const files = fs.readdirSync(out).map((name) => path.join(out, name));
process.exit(spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" }).status ?? 1);
