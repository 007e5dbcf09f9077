// What a person does in VS Code, done by a browser. See run.sh for what it needs.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const { BINARY, VSIX, CODE_SERVER, PLAYWRIGHT, SHOTS, SCRATCH } = process.env;
const { chromium } = createRequire(`${PLAYWRIGHT}/`)("playwright-core");
const home = path.join(SCRATCH, "home");
const work = path.join(SCRATCH, "project");
const store = path.join(SCRATCH, "store");
const far = path.join(SCRATCH, "far");
const user = path.join(SCRATCH, "user");
for (const dir of [home, work, path.join(user, "User")]) fs.mkdirSync(dir, { recursive: true });
fs.writeFileSync(path.join(work, "retry.rs"), "//! Retries with backoff.\n\npub fn retry() {}\n");
fs.writeFileSync(path.join(work, "notes.md"), "# Notes\n\nJitter keeps clients apart.\n");

const freePort = () =>
  new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
const port = await freePort();
const farPort = await freePort();

const settings = (pieces) =>
  fs.writeFileSync(
    path.join(user, "User", "settings.json"),
    JSON.stringify({
      "security.workspace.trust.enabled": false,
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
      "editor.accessibilitySupport": "off",
      "editor.minimap.enabled": false,
      "piecesLsp.dataDir": store,
      "piecesLsp.logLevel": "info",
      ...pieces,
    }),
  );
settings({ "piecesLsp.backend": "local" });

/** Until it is so, or the deadline has passed. */
async function until(what, condition, deadline = 30_000) {
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

/** Another client of the local service. */
async function rest(method, route, body) {
  const { url, token } = JSON.parse(fs.readFileSync(path.join(store, "service.json"), "utf8"));
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(url + route, { method, headers, body: body && JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
  const text = await response.text();
  return text === "" ? undefined : JSON.parse(text);
}
const message = (role, raw) => ({ role, fragment: { string: { raw } } });
const create = (name, ...messages) => rest("POST", "/conversations/create", { type: "COPILOT", name, messages });

const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: path.join(home, "config"), XDG_DATA_HOME: path.join(home, "share") };
for (const name of Object.keys(env)) if (name.startsWith("PIECES_LSP_")) delete env[name];
fs.writeFileSync(path.join(SCRATCH, "config.yaml"), `bind-addr: 127.0.0.1:${port}\nauth: none\ncert: false\n`);
const base = [CODE_SERVER, "--config", path.join(SCRATCH, "config.yaml"), "--user-data-dir", user, "--extensions-dir", path.join(SCRATCH, "extensions")];
const installed = spawnSync(process.execPath, [...base, "--install-extension", VSIX], { env, encoding: "utf8" });
if (installed.status !== 0) {
  console.log(`FAIL vscode-install-vsix: ${(installed.stdout + installed.stderr).replaceAll("\n", " ")}`);
  process.exit(1);
}
console.log("ok vscode-install-vsix");

const log = fs.openSync(path.join(SCRATCH, "code-server.log"), "w");
const flags = ["--disable-telemetry", "--disable-update-check", "--disable-workspace-trust", "--disable-getting-started-override"];
const server = spawn(process.execPath, [...base, ...flags], { env, stdio: ["ignore", log, log], detached: true });
let service;
let browser;
let failed = 0;

try {
  await until("code-server", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(30_000);
  await page.goto(`http://127.0.0.1:${port}/?folder=${work}`);
  await page.waitForSelector(".monaco-workbench");

  let shots = 0;
  const shot = async (name) => {
    if (SHOTS && !SHOTS.startsWith("/dev/null")) {
      fs.mkdirSync(SHOTS, { recursive: true });
      await page.screenshot({ path: path.join(SHOTS, `${++shots}-${name}.png`) });
    }
  };
  const view = page.locator(".pane", { hasText: "Conversations" });
  const row = (name) => view.getByRole("treeitem", { name: new RegExp(`^${name}`) }).first();
  const gone = (name) => row(name).waitFor({ state: "detached" });
  const tab = (name) => page.locator(".tabs-container .tab", { hasText: name });
  const text = (what) => page.locator(".view-line", { hasText: what }).first();
  const notification = (what) => page.locator(".notification-list-item", { hasText: what }).first();
  const input = page.locator(".quick-input-widget .quick-input-box input");
  const palette = async (command) => {
    // A key press is sometimes lost while the workbench is busy: again until the input is there.
    for (let tries = 0; ; tries++) {
      await page.keyboard.press("F1");
      try {
        await input.waitFor({ timeout: 4_000 });
        break;
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
    await input.fill(`>Pieces: ${command}`);
    await page.getByRole("option", { name: new RegExp(command) }).first().waitFor();
    await page.keyboard.press("Enter");
  };
  const titled = (title) => page.locator(".quick-input-title", { hasText: title }).first().waitFor();
  const explorer = async (file) => {
    await page.getByRole("tab", { name: /^Explorer/ }).first().click();
    await page.getByRole("treeitem", { name: file }).first().dblclick();
    await tab(file).waitFor();
  };
  const conversations = async () => {
    if (!(await view.first().isVisible())) await page.getByRole("tab", { name: "Pieces" }).first().click();
    await view.first().waitFor();
  };
  const step = async (name, run) => {
    if (failed) return;
    try {
      await run();
      console.log(`ok vscode-${name}`);
    } catch (error) {
      failed++;
      if (SHOTS) fs.cpSync(path.join(user, "logs"), path.join(SHOTS, "logs"), { recursive: true });
      await page.screenshot({ path: path.join(SHOTS?.startsWith("/dev/null") ? SCRATCH : SHOTS, "fail.png") }).catch(() => {});
      console.log(`FAIL vscode-${name}: ${String(error).replaceAll("\n", " ").slice(0, 900)}`);
    }
  };

  await step("an-empty-view-says-what-to-do", async () => {
    await conversations();
    await page.getByText("No conversations yet.").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces local" }).waitFor();
  });
  await step("the-view-follows-other-clients", async () => {
    await create("Why does the pool leak?", message("USER", "Why?"), message("ASSISTANT", "Because it does."));
    await row("Why does the pool leak").waitFor();
    const other = await create("Soon gone");
    await row("Soon gone").waitFor();
    await rest("POST", `/conversations/${other.id}/delete`);
    await gone("Soon gone");
  });
  await step("a-conversation-from-a-file-by-palette", async () => {
    await explorer("retry.rs");
    await palette("Start Conversation from File or Selection");
    await text("This summary is extractive").waitFor();
    await conversations();
    await row("retry.rs").waitFor();
  });
  await step("documents-follow-their-conversation", async () => {
    const all = await rest("GET", "/conversations");
    const one = all.iterable.find(({ name }) => name === "retry.rs");
    await rest("POST", "/messages/create", { ...message("USER", "How long is the longest pause?"), conversation: { id: one.id } });
    await text("How long is the longest pause").waitFor();
    await shot("conversation");
  });
  await step("a-conversation-from-a-file-by-code-action", async () => {
    await explorer("notes.md");
    const menu = page.locator(".action-widget", { hasText: "Save as asset and start conversation" });
    for (let tries = 0; ; tries++) {
      await text("Jitter keeps").click();
      await page.keyboard.press("Control+.");
      try {
        await menu.waitFor({ timeout: 4_000 });
        break;
      } catch (error) {
        if (tries === 5) throw error;
        await page.keyboard.press("Escape");
      }
    }
    await shot("code-action");
    await menu.getByText("Save as asset and start conversation").click();
    await conversations();
    await row("notes.md").waitFor();
  });
  await step("search-as-one-types", async () => {
    await palette("Search Conversations");
    await titled("Search Conversations");
    await input.pressSequentially("pool");
    const option = page.getByRole("option", { name: /Why does the pool leak/ }).first();
    await option.waitFor();
    await page.getByRole("option", { name: /notes.md/ }).first().waitFor({ state: "detached" });
    await shot("search");
    await option.click();
    await text("Because it does.").waitFor();
  });
  await step("search-in-messages", async () => {
    await palette("Search in Messages");
    await titled("Search in Messages");
    await input.fill("longest pause");
    await page.keyboard.press("Enter");
    await page.getByRole("option", { name: /retry.rs/ }).first().click();
    await text("How long is the longest pause").waitFor();
  });
  await step("delete-asks-first", async () => {
    await conversations();
    for (const answer of ["Cancel", "Delete"]) {
      await row("Why does the pool leak").hover();
      await row("Why does the pool leak").getByRole("button", { name: /Delete Conversation/ }).click();
      const question = notification("Delete “Why does the pool leak?” with 2 messages?");
      await question.locator(".monaco-button", { hasText: answer }).click();
      await question.waitFor({ state: "detached" });
    }
    await gone("Why does the pool leak");
  });
  await step("what-was-deleted-is-restored", async () => {
    await palette("Restore Deleted Conversation");
    await titled("Restore Conversation");
    await page.getByRole("option", { name: /Why does the pool leak/ }).first().click();
    await conversations();
    await row("Why does the pool leak").waitFor();
    await text("Because it does.").waitFor();
    await shot("restored");
  });
  await step("a-killed-server-comes-back", async () => {
    const { pid } = JSON.parse(fs.readFileSync(path.join(store, "service.json"), "utf8"));
    process.kill(pid, "SIGKILL");
    await until("another server", () => {
      const now = JSON.parse(fs.readFileSync(path.join(store, "service.json"), "utf8"));
      return now.pid !== pid;
    });
    await until("the service", () => create("After the crash"));
    await row("After the crash").waitFor();
  });
  await step("offline-says-so-and-comes-back", async () => {
    settings({ "piecesLsp.backend": "pieces-os", "piecesLsp.url": `http://127.0.0.1:${farPort}` });
    await page.getByText("Nothing answers").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces offline" }).waitFor();
    await shot("offline");
    service = spawn(BINARY, ["service", "--no-token", "--port", String(farPort), "--data-dir", far], { env, stdio: "ignore" });
    const seed = { type: "COPILOT", name: "From far away" };
    const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(seed) };
    await until("the service", async () => (await fetch(`http://127.0.0.1:${farPort}/conversations/create`, request)).ok);
    await row("From far away").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces" }).first().waitFor();
  });
  await step("no-errors-in-the-log", async () => {
    const logs = fs.readdirSync(path.join(user, "logs"), { recursive: true }).filter((file) => /Pieces Conversations/.test(file));
    if (logs.length === 0) throw new Error("there is no log");
    const lines = logs.flatMap((file) => fs.readFileSync(path.join(user, "logs", file), "utf8").split("\n"));
    // The kill above is reported by the client, as it should be.
    const errors = lines.filter((line) => / \[error\] /.test(line) && !/connection|Connection|closed|exited|SIGKILL/.test(line));
    if (errors.length > 0) throw new Error(errors.join(" | "));
  });
} catch (error) {
  failed++;
  console.log(`FAIL vscode-session: ${String(error).replaceAll("\n", " ").slice(0, 900)}`);
} finally {
  await browser?.close();
  service?.kill("SIGKILL");
  const left = new Promise((resolve) => server.once("exit", resolve));
  try {
    process.kill(-server.pid, "SIGTERM");
    await Promise.race([left, new Promise((resolve) => setTimeout(resolve, 5_000))]);
    process.kill(-server.pid, "SIGKILL");
  } catch {
    // It has gone.
  }
}
process.exit(failed > 0 ? 1 : 0);
