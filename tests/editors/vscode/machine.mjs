// The machine of a session: folders, settings, a code-server with the extension, services, and clients of them.
import { execFile, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { promisify } from "node:util";

const { VSIX, CODE_SERVER, CODE_SERVER_NODE, PLAYWRIGHT, SHOTS } = process.env;
export const { BINARY, SCRATCH } = process.env;
export const shots = SHOTS === undefined || SHOTS === "" ? path.join(SCRATCH, "shots") : SHOTS;
fs.mkdirSync(shots, { recursive: true });
export const { chromium } = createRequire(`${PLAYWRIGHT}/`)("playwright-core");
const home = path.join(SCRATCH, "home");
export const work = path.join(SCRATCH, "project");
export const store = path.join(SCRATCH, "store");
const far = path.join(SCRATCH, "far");
export const user = path.join(SCRATCH, "user");
for (const dir of [home, work, path.join(user, "User")]) fs.mkdirSync(dir, { recursive: true });
for (const name of ["retry", "pool"])
  fs.writeFileSync(path.join(work, `${name}.rs`), `//! Retries with backoff.\n\npub fn ${name}() {}\n`);
for (const name of ["notes", "plan"])
  fs.writeFileSync(path.join(work, `${name}.md`), "# Notes\n\nJitter keeps clients apart.\n");
fs.writeFileSync(path.join(work, "part.rs"), "fn left_out() {}\nfn chosen() {}\n");
for (const name of ["whole", "shelf"]) fs.writeFileSync(path.join(work, `${name}.rs`), `fn ${name}() {}\n`);
// A link to a conversation that is not there.
fs.writeFileSync(path.join(work, "linked.rs"), "// pieces-conversation:/5b0f5c4e-98c1-4bd6-a7ee-4a6a3f3b3c11.md\nfn linked() {}\n");
// What somebody else's repository would like to decide.
export const trap = path.join(SCRATCH, "trap");
fs.writeFileSync(path.join(SCRATCH, "evil"), `#!/bin/sh\ntouch '${trap}'\n`, { mode: 0o755 });
fs.mkdirSync(path.join(work, ".vscode"));
fs.writeFileSync(
  path.join(work, ".vscode", "settings.json"),
  JSON.stringify({
    "piecesLsp.server.path": path.join(SCRATCH, "evil"),
    "piecesLsp.dataDir": trap,
    "piecesLsp.backend": "pieces-os",
    "piecesLsp.url": "http://127.0.0.1:9",
    "piecesLsp.confirmDelete": false,
  }),
);

export const freePort = () =>
  new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
export const port = await freePort();
const farPort = await freePort();

fs.writeFileSync(
  path.join(user, "User", "settings.json"),
  JSON.stringify({
      "security.workspace.trust.startupPrompt": "never",
      "security.workspace.trust.banner": "never",
      "workbench.startupEditor": "none",
      "workbench.tips.enabled": false,
      "workbench.secondarySideBar.defaultVisibility": "hidden",
      "workbench.enableExperiments": false,
      "telemetry.telemetryLevel": "off",
      "chat.disableAIFeatures": true,
      "extensions.autoUpdate": false,
      "extensions.autoCheckUpdates": false,
      "extensions.ignoreRecommendations": true,
      "update.mode": "none",
      "files.autoSave": "off",
      "remote.autoForwardPorts": false,
      "editor.accessibilitySupport": "off",
      "editor.minimap.enabled": false,
  }),
);
// Settings of the machine that the extension runs on: VS Code takes them from there only.
fs.mkdirSync(path.join(user, "Machine"), { recursive: true });
export const machine = path.join(user, "Machine", "settings.json");
fs.writeFileSync(
  machine,
  JSON.stringify({
    "piecesLsp.dataDir": store,
    "piecesLsp.logLevel": "info",
    "piecesLsp.backend": "local",
    "piecesLsp.url": `http://127.0.0.1:${farPort}`,
  }),
);

/** Until it is so, or the deadline has passed. */
export async function until(what, condition, deadline = Number(process.env.PATIENCE ?? 120_000)) {
  const end = Date.now() + deadline;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    if (Date.now() > end) throw new Error(`${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Another client of a service. */
const client = (where) => {
  const rest = async (method, route, body) => {
    const { url, token } = where();
    const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(url + route, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
    const text = await response.text();
    return text === "" ? undefined : JSON.parse(text);
  };
  const create = (name, ...messages) => rest("POST", "/conversations/create", { type: "COPILOT", name, messages });
  return { rest, create };
};
export const message = (role, raw) => ({ role, fragment: { string: { raw } } });
export const ours = () => JSON.parse(fs.readFileSync(path.join(store, "service.json"), "utf8"));
export const local = client(ours);
export const distant = client(() => ({ url: `http://127.0.0.1:${farPort}` }));

export const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: path.join(home, "config"), XDG_DATA_HOME: path.join(home, "share") };
for (const name of Object.keys(env)) if (name.startsWith("PIECES_LSP_")) delete env[name];
fs.writeFileSync(path.join(SCRATCH, "config.yaml"), `bind-addr: 127.0.0.1:${port}\nauth: none\ncert: false\n`);
const base = [CODE_SERVER, "--config", path.join(SCRATCH, "config.yaml"), "--user-data-dir", user, "--extensions-dir", path.join(SCRATCH, "extensions")];
const installed = spawnSync(CODE_SERVER_NODE, [...base, "--install-extension", VSIX], { env, encoding: "utf8" });
if (installed.status !== 0) {
  console.log(`FAIL vscode-install-vsix: ${(installed.stdout + installed.stderr).replaceAll("\n", " ")}`);
  process.exit(1);
}
console.log("ok vscode-install-vsix");

const log = fs.openSync(path.join(SCRATCH, "code-server.log"), "w");
const flags = ["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"];
/** The command line, on the store of the session. Not waited for in place: it may ask a model that is in this process. */
export const cli = (...args) => promisify(execFile)(BINARY, [...args, "--data-dir", store], { env });
/** Imports conversations, from oldest to newest or not: their names, when they were said, and what. */
export async function remember(all) {
  const lines = [{ export: { format: 1, version: "0.1.0" } }];
  for (const { id = randomUUID(), name, time, said } of all) {
    const at = { value: new Date(time).toISOString() };
    const conversation = { id };
    const messages = said.map(([role, raw]) => ({ id: randomUUID(), role, created: at, updated: at, conversation, fragment: { string: { raw } } }));
    const listed = { iterable: messages.map((one) => ({ id: one.id })), indices: Object.fromEntries(messages.map((one, n) => [one.id, n])) };
    lines.push({ conversation: { id, name, type: "COPILOT", created: at, updated: at, messages: listed } });
    for (const message of messages) lines.push({ message });
  }
  lines.push({ end: { objects: lines.length - 1 } });
  const file = path.join(SCRATCH, "past.jsonl");
  fs.writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await cli("import", "--from", file);
}
/** A child that ends with us, however we end. */
export const child = (command, args, options) => spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], { env, ...options });
const server = child(CODE_SERVER_NODE, [...base, ...flags], { stdio: ["ignore", log, log], detached: true });
let service;
export const kill = () => {
  for (const end of [() => service?.kill("SIGKILL"), () => process.kill(-server.pid, "SIGKILL")]) {
    try {
      end();
    } catch {
      // It has gone.
    }
  }
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
process.once("exit", kill);

/** As a person leaves: the server must go with the editor, without being killed. */
export async function leave() {
  const left = new Promise((resolve) => server.once("exit", resolve));
  process.kill(-server.pid, "SIGTERM");
  await Promise.race([left, new Promise((resolve) => setTimeout(resolve, 20_000))]);
}

/** The language servers of this session's windows. */
export const servers = () =>
  fs.readdirSync("/proc").filter((pid) => {
    try {
      const line = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return line.startsWith(path.join(SCRATCH, "extensions")) && line.includes("\0serve\0");
    } catch {
      return false; // Not a process, or not any more.
    }
  });

/** A Pieces OS: the same service in a process of its own, that can be taken away. */
export async function standIn() {
  service = child(BINARY, ["service", "--no-token", "--port", String(farPort), "--data-dir", far], { stdio: "ignore" });
  await until("the stand-in", () => distant.rest("GET", "/conversations/identifiers"));
}
export async function takeAway() {
  const gone = new Promise((resolve) => service.once("exit", resolve));
  service.kill("SIGKILL");
  await gone;
}

/** A browser with the editor in it. */
export async function open() {
  await until("code-server", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
  return { browser, context, page: await workbench(context) };
}

/** A window on the project. */
export async function workbench(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.PATIENCE ?? 120_000));
  await page.goto(`http://127.0.0.1:${port}/?folder=${work}`);
  await page.waitForSelector(".monaco-workbench");
  return page;
}
