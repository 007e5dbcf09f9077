// What a person does in VS Code, done by a browser. See run.sh for what it needs.
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const { BINARY, VSIX, CODE_SERVER, CODE_SERVER_NODE, PLAYWRIGHT, SHOTS, SCRATCH } = process.env;
const shots = SHOTS === undefined || SHOTS === "" ? path.join(SCRATCH, "shots") : SHOTS;
fs.mkdirSync(shots, { recursive: true });
const { chromium } = createRequire(`${PLAYWRIGHT}/`)("playwright-core");
const home = path.join(SCRATCH, "home");
const work = path.join(SCRATCH, "project");
const store = path.join(SCRATCH, "store");
const far = path.join(SCRATCH, "far");
const user = path.join(SCRATCH, "user");
for (const dir of [home, work, path.join(user, "User")]) fs.mkdirSync(dir, { recursive: true });
for (const name of ["retry", "pool"])
  fs.writeFileSync(path.join(work, `${name}.rs`), `//! Retries with backoff.\n\npub fn ${name}() {}\n`);
for (const name of ["notes", "plan"])
  fs.writeFileSync(path.join(work, `${name}.md`), "# Notes\n\nJitter keeps clients apart.\n");
fs.writeFileSync(path.join(work, "part.rs"), "fn left_out() {}\nfn chosen() {}\n");
for (const name of ["whole", "shelf"]) fs.writeFileSync(path.join(work, `${name}.rs`), `fn ${name}() {}\n`);
// What somebody else's repository would like to decide.
const trap = path.join(SCRATCH, "trap");
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

const freePort = () =>
  new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
const port = await freePort();
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
      "editor.accessibilitySupport": "off",
      "editor.minimap.enabled": false,
  }),
);
// Settings of the machine that the extension runs on: VS Code takes them from there only.
fs.mkdirSync(path.join(user, "Machine"), { recursive: true });
const machine = path.join(user, "Machine", "settings.json");
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
async function until(what, condition, deadline = 180_000) {
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
const message = (role, raw) => ({ role, fragment: { string: { raw } } });
const ours = () => JSON.parse(fs.readFileSync(path.join(store, "service.json"), "utf8"));
const local = client(ours);
const distant = client(() => ({ url: `http://127.0.0.1:${farPort}` }));

const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: path.join(home, "config"), XDG_DATA_HOME: path.join(home, "share") };
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
/** A child that ends with us, however we end. */
const child = (command, args, options) => spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], { env, ...options });
const server = child(CODE_SERVER_NODE, [...base, ...flags], { stdio: ["ignore", log, log], detached: true });
let service;
let browser;
let failed = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
process.once("exit", () => {
  for (const kill of [() => service?.kill("SIGKILL"), () => process.kill(-server.pid, "SIGKILL")]) {
    try {
      kill();
    } catch {
      // It has gone.
    }
  }
});

/** A Pieces OS: the same service in a process of its own, that can be taken away. */
async function standIn() {
  service = child(BINARY, ["service", "--no-token", "--port", String(farPort), "--data-dir", far], { stdio: "ignore" });
  await until("the stand-in", () => distant.rest("GET", "/conversations/identifiers"));
}
async function takeAway() {
  const gone = new Promise((resolve) => service.once("exit", resolve));
  service.kill("SIGKILL");
  await gone;
}

try {
  await until("code-server", async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  page.setDefaultTimeout(180_000);
  await page.goto(`http://127.0.0.1:${port}/?folder=${work}`);
  await page.waitForSelector(".monaco-workbench");

  let taken = 0;
  const shot = (name) => page.screenshot({ path: path.join(shots, `${String(++taken).padStart(2, "0")}-${name}.png`) });
  const view = page.locator(".pane", { hasText: "Conversations" });
  const row = (name) => view.getByRole("treeitem", { name: new RegExp(`^${name}`) }).first();
  const gone = (name) => row(name).waitFor({ state: "detached" });
  const tab = (name) => page.locator(".tabs-container .tab", { hasText: name });
  const text = (what) => page.locator(".view-line", { hasText: what }).first();
  const notification = (what) => page.locator(".notification-list-item", { hasText: what }).first();
  const input = page.locator(".quick-input-widget .quick-input-box input");
  const palette = async (command, category = "Pieces") => {
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
    await input.fill(`>${category}: ${command}`);
    // Enter would take the focused one, which is another while the list is still being filtered.
    const row = page.locator(".quick-input-list .monaco-list-row", { hasText: `${category}: ${command}` }).first();
    await row.hover();
    await row.click();
    // The next one must not find this one's input, which is about to go.
    await row.waitFor({ state: "hidden" });
  };
  const option = (name) => page.getByRole("option", { name }).first();
  const says = (what) => page.locator(".statusbar-item", { hasText: what }).first().waitFor();
  const closeAll = async () => {
    await palette("Close All Editors", "View");
    await page.locator(".tabs-container .tab").first().waitFor({ state: "detached" });
  };
  const menu = async (where, name) => {
    await where.click({ button: "right" });
    const entry = page.getByRole("menuitem", { name }).first();
    await entry.waitFor();
    // The menu takes no click that comes right after the one that opened it.
    await until("the menu to close", async () => {
      if (await entry.isVisible()) await entry.click({ timeout: 1_000 }).catch(() => {});
      return !(await entry.isVisible());
    });
  };
  const titled = (title) => page.locator(".quick-input-title", { hasText: title }).first().waitFor();
  const files = async () => {
    // A click on what is already shown would hide it.
    if (!(await page.locator(".explorer-folders-view").isVisible())) await page.getByRole("tab", { name: /^Explorer/ }).first().click();
  };
  const explorer = async (file) => {
    await files();
    await page.getByRole("treeitem", { name: file }).first().dblclick();
    await tab(file).waitFor();
    await page.locator(`.editor-instance .view-line`).first().waitFor();
  };
  const conversations = async () => {
    if (!(await view.first().isVisible())) await page.getByRole("tab", { name: "Pieces" }).first().click();
    await view.first().waitFor();
  };
  /** When servers were killed: what the client says about it then is as it should be. */
  const rough = [];
  const killing = /kill|crash|restart|away|nothing-answers|missing/;
  const step = async (name, run) => {
    if (failed) return;
    const begin = Date.now();
    try {
      await run();
      if (killing.test(name)) rough.push([begin, Date.now()]);
      console.log(`ok vscode-${name}`);
    } catch (error) {
      failed++;
      fs.cpSync(path.join(user, "logs"), path.join(shots, "logs"), { recursive: true });
      await shot(`FAILED-${name}`).catch(() => {});
      const shown = await page.locator(".notification-list-item-message, .quick-input-title, .quick-input-list .label-name").allInnerTexts().catch(() => []);
      console.log(`FAIL vscode-${name}: ${`${error} | ${shown.join(" | ")}`.replaceAll("\n", " ").slice(0, 1200)}`);
    }
  };

  /** What a person does all day; the same wherever the conversations are. */
  const day = async (place, { rest, create }, code, notes) => {
    const leak = `Why does ${place} leak?`;
    await step(`${place}-the-view-follows-other-clients`, async () => {
      await create(leak, message("USER", "Why?"), message("ASSISTANT", "Because it does."));
      await row(`Why does ${place} leak`).waitFor();
      const other = await create("Soon gone");
      await row("Soon gone").waitFor();
      await rest("POST", `/conversations/${other.id}/delete`);
      await gone("Soon gone");
    });
    await step(`${place}-a-conversation-from-a-file-by-palette`, async () => {
      await explorer(code);
      await palette("Start Conversation from File or Selection");
      await text("This summary is extractive").waitFor();
      await conversations();
      await row("This File").waitFor();
      await row("Recent").waitFor();
      await row(code).waitFor();
    });
    await step(`${place}-documents-follow-their-conversation`, async () => {
      const all = await rest("GET", "/conversations");
      const one = all.iterable.find(({ name }) => name === code);
      await rest("POST", "/messages/create", { ...message("USER", "How long is the longest pause?"), conversation: { id: one.id } });
      await text("How long is the longest pause").waitFor();
      // In both groups: of this file, and recent.
      await view.getByRole("treeitem", { name: `${code}, 2 messages` }).nth(1).waitFor();
      await shot(`${place}-conversation`);
      // Nobody can type into it.
      await text("This summary is extractive").click();
      await page.keyboard.type("x");
      await page.getByText("Cannot edit in read-only editor").first().waitFor();
    });
    await step(`${place}-a-conversation-from-a-file-by-code-action`, async () => {
      await explorer(notes);
      const menu = page.locator(".action-widget", { hasText: `Start a conversation about ${notes}` });
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
      await shot(`${place}-code-action`);
      // Older versions take no click before the pointer has moved.
      await menu.getByText(`Start a conversation about ${notes}`).hover({ force: true });
      await menu.getByText(`Start a conversation about ${notes}`).click({ force: true });
      await conversations();
      await row(notes).waitFor();
      await tab(`${notes}.md`).waitFor();
    });
    await step(`${place}-search-as-one-types`, async () => {
      await palette("Search Conversations");
      await titled("Search Conversations");
      await input.pressSequentially("leak");
      await option(new RegExp(`Why does ${place} leak`)).waitFor();
      await option(new RegExp(notes)).waitFor({ state: "detached" });
      await shot(`${place}-search`);
      await option(new RegExp(`Why does ${place} leak`)).click();
      await text("Because it does.").waitFor();
    });
    await step(`${place}-search-in-messages`, async () => {
      await palette("Search in Messages");
      await titled("Search in Messages");
      await input.fill("longest pause");
      await page.keyboard.press("Enter");
      await option(new RegExp(code)).click();
      await text("How long is the longest pause").waitFor();
    });
    await step(`${place}-new-and-rename`, async () => {
      await palette("New Conversation");
      await titled("New Conversation");
      await input.fill(`Plans in ${place}`);
      await page.keyboard.press("Enter");
      await row(`Plans in ${place}`).waitFor();
      await tab(`Plans in ${place}.md`).waitFor();
      await text(`# Plans in ${place}`).waitFor();
      await palette("Rename Conversation");
      await titled("Rename Conversation");
      await until("the old name", async () => (await input.inputValue()) === `Plans in ${place}`);
      await input.fill(`Deeds in ${place}`);
      await page.keyboard.press("Enter");
      await row(`Deeds in ${place}`).waitFor();
      await gone(`Plans in ${place}`);
    });
    await step(`${place}-delete-asks-first`, async () => {
      await conversations();
      for (const answer of ["Cancel", "Delete"]) {
        await row(`Why does ${place} leak`).hover();
        await row(`Why does ${place} leak`).getByRole("button", { name: /Delete Conversation/ }).click();
        const question = notification(`Delete “${leak}” with 2 messages?`);
        await question.locator(".monaco-button", { hasText: answer }).click();
        await question.waitFor({ state: "detached" });
      }
      await gone(`Why does ${place} leak`);
    });
    await step(`${place}-what-was-deleted-is-restored`, async () => {
      await palette("Restore Deleted Conversation");
      await titled("Restore Conversation");
      await option(new RegExp(`Why does ${place} leak`)).click();
      await conversations();
      await row(`Why does ${place} leak`).waitFor();
      await text("Because it does.").waitFor();
      await shot(`${place}-restored`);
    });
  };

  await step("an-untrusted-folder-decides-nothing", async () => {
    await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor();
    await conversations();
    await page.getByText("No conversations yet.").waitFor();
    await palette("Manage Workspace Trust", "Workspaces");
    await page.getByRole("button", { name: "Trust", exact: true }).click();
    await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor({ state: "detached" });
    await closeAll();
  });
  await step("an-empty-view-says-what-to-do", async () => {
    await conversations();
    await page.getByText("No conversations yet.").waitFor();
    await says("Pieces local");
  });
  await day("local", local, "retry.rs", "notes.md");
  await step("start-from-a-selection-and-from-the-menus", async () => {
    const title = "Start Conversation from File or Selection";
    const newest = async () => {
      const { iterable } = await local.rest("GET", "/assets");
      return JSON.stringify(iterable.toSorted((a, b) => Date.parse(b.created.value) - Date.parse(a.created.value))[0]);
    };
    const started = async (name, part, not) => {
      await until(`what was started has ${part}`, async () => {
        const asset = await newest();
        return asset.includes(part) && !asset.includes(not);
      });
      await tab(name).waitFor();
    };
    await explorer("part.rs");
    await text("chosen").click();
    await page.keyboard.press("Home");
    await page.keyboard.press("Shift+End");
    await palette(title);
    await started("part.rs, line 2", "fn chosen() {}", "left_out");
    await explorer("whole.rs");
    await menu(text("fn whole"), title);
    await started("whole.rs.md", "fn whole() {}", "fn chosen");
    await files();
    await menu(page.getByRole("treeitem", { name: "shelf.rs" }).first(), title);
    await started("shelf.rs.md", "fn shelf() {}", "fn whole");
  });
  await step("what-the-row-and-the-palette-do-to-one", async () => {
    await local.create("Opened in place", message("USER", "Words of the one opened in place."));
    await conversations();
    await row("Opened in place").hover();
    await row("Opened in place").getByRole("button", { name: /Open Conversation/ }).click();
    await text("Words of the one opened in place.").waitFor();
    await closeAll();
    await palette("Open Conversation");
    await titled("Open Conversation");
    await input.pressSequentially("in place");
    await option(/^Opened in place/).click();
    await text("Words of the one opened in place.").waitFor();
    await palette("Delete Conversation");
    const question = notification("Delete “Opened in place” with 1 message?");
    await question.locator(".monaco-button", { hasText: "Delete" }).click();
    await gone("Opened in place");
    await palette("Refresh Conversations");
    await page.getByRole("tab", { name: /^Pieces - \d+ conversations?/ }).first().waitFor();
    await palette("Show Log");
    await page.locator(".panel option:checked", { hasText: "Pieces Conversations" }).first().waitFor({ state: "attached" });
    // The log takes the focus when it is ready, and with it closes a palette that was opened before.
    await until("the log's focus", () => page.evaluate(() => document.activeElement?.closest(".panel") !== null));
    await palette("Toggle Panel Visibility", "View");
  });
  await step("names-are-shown-as-text", async () => {
    await local.create(`$(trash) <b>x</b> **y**\u202e evil\n${"long ".repeat(100)}`);
    await row("\\$ \\(trash\\) <b>x</b> \\*\\*y\\*\\* evil long").waitFor();
    await shot("names");
  });
  await step("the-walkthrough-has-three-steps", async () => {
    await palette("Open Walkthrough...", "Welcome");
    await option(/Conversations in your editor/).click();
    for (const name of ["See your conversations", "Start one from a file", "Keep what Pieces OS has"])
      await page.locator(".getting-started-step, .step-list-container").getByText(name).first().waitFor();
    await shot("walkthrough");
    // Not by the palette: the page takes the focus whenever it is ready.
    const welcome = page.locator(".tabs-container .tab").first();
    await welcome.locator(".tab-actions .action-label").click();
    await welcome.waitFor({ state: "detached" });
  });
  await step("a-copied-link", async () => {
    await menu(row("Deeds in local"), "Copy Link to Conversation");
    const link = /^\[Deeds in local\]\(pieces-conversation:\/[0-9a-f-]{36}\.md\)$/;
    await until("the link", async () => link.test(await page.evaluate(() => navigator.clipboard.readText())));
  });
  await step("a-conversation-dropped-into-a-text-is-a-link", async () => {
    await explorer("plan.md");
    await conversations();
    await row("This File").waitFor({ state: "detached" });
    const dropped = text("[Deeds in local](pieces-conversation:/");
    // A drop that comes before VS Code has seen Shift or the drag goes nowhere: again, as a person would.
    for (let tries = 0; ; tries++) {
      const from = await row("Deeds in local").boundingBox();
      // A part of the line that stays whole when an earlier drop comes late.
      const to = await text("keeps clients").boundingBox();
      await page.mouse.move(from.x + 60, from.y + 10);
      await page.mouse.down();
      await page.mouse.move(to.x + 40, to.y + 20, { steps: 10 });
      // Shift is what VS Code wants for a drop into a text.
      await page.keyboard.down("Shift");
      await page.mouse.move(to.x + 20, to.y + 5, { steps: 10 });
      await page.mouse.up();
      await page.keyboard.up("Shift");
      try {
        await dropped.waitFor({ timeout: 4_000 });
        break;
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
    // The link leads to the document, under its name.
    await dropped.click();
    await page.keyboard.press("F12");
    await text("# Deeds in local").waitFor();
    await tab(/(Plans|Deeds) in local\.md/).waitFor();
    await explorer("plan.md");
    await palette("Revert File", "File");
    await text("[Deeds in local](pieces-conversation:/").waitFor({ state: "detached" });
    await conversations();
  });
  await step("a-conversation-previews-as-markdown", async () => {
    await row("retry.rs").click();
    await text("This summary is extractive").waitFor();
    await palette("Open Preview", "Markdown");
    const preview = page.frameLocator("iframe.webview").frameLocator("iframe").first();
    await preview.getByRole("heading", { name: "retry.rs" }).first().waitFor();
    await shot("preview");
    await closeAll();
  });
  await step("a-program-that-is-not-there-is-named-missing-with-a-way-out", async () => {
    const settings = JSON.parse(fs.readFileSync(machine, "utf8"));
    fs.writeFileSync(machine, JSON.stringify({ ...settings, "piecesLsp.server.path": path.join(SCRATCH, "nowhere") }));
    await page.getByText("was not found").first().waitFor();
    await page.getByRole("button", { name: "Set Its Path" }).waitFor();
    await says("Pieces offline");
    await shot("missing");
    fs.writeFileSync(machine, JSON.stringify(settings));
    await row("Deeds in local").waitFor();
    await says("Pieces local");
  });
  await step("a-killed-server-comes-back", async () => {
    const { pid } = ours();
    process.kill(pid, "SIGKILL");
    await until("another server", () => ours().pid !== pid);
    await until("the service", () => local.create("After the crash"));
    await row("After the crash").waitFor();
  });
  await step("a-restart-by-command", async () => {
    const { pid } = ours();
    await palette("Restart Server");
    await until("another server", () => ours().pid !== pid);
    await until("the service", () => local.create("After the restart"));
    await row("After the restart").waitFor();
  });
  await step("a-server-that-crashes-on-and-on-is-given-up-until-asked-for", async () => {
    const stopped = page.getByText("The language server has stopped.");
    for (let last = 0; !(await stopped.isVisible()); ) {
      const pid = await until("a server", async () => ((await stopped.isVisible()) ? -1 : ours().pid !== last && ours().pid));
      if (pid > 0) {
        last = pid;
        process.kill(pid, "SIGKILL");
      }
    }
    await says("Pieces offline");
    await shot("stopped");
    await page.getByRole("button", { name: "Restart Server" }).click();
    await row("After the restart").waitFor();
    await says("Pieces local");
  });
  await step("nothing-answers-and-says-so", async () => {
    await closeAll();
    await page.locator(".statusbar-item", { hasText: "Pieces local" }).click();
    const status = notification(/local, live, \d+ conversations/);
    await status.locator(".monaco-button", { hasText: "Switch Backend" }).click();
    await titled("Where are your conversations?");
    await option(/^pieces-os/).click();
    await page.getByText("Nothing answers").waitFor();
    await says("Pieces offline");
    await shot("offline");
    await standIn();
    await distant.create("From far away");
    await row("From far away").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces offline" }).waitFor({ state: "detached" });
  });
  await day("pieces-os", distant, "pool.rs", "plan.md");
  await step("pieces-os-goes-away-and-comes-back", async () => {
    await palette("Clear All Notifications", "Notifications");
    await takeAway();
    await says("Pieces offline");
    await page.getByText("This is what was last read.").waitFor();
    await shot("away");
    await palette("New Conversation");
    await titled("New Conversation");
    await input.fill("Into the void");
    await page.keyboard.press("Enter");
    await page.locator(".notification-list-item .codicon-error").first().waitFor();
    await standIn();
    await distant.create("Back again");
    await row("Back again").waitFor();
    await page.getByText("This is what was last read.").waitFor({ state: "detached" });
    const { iterable } = await distant.rest("GET", "/conversations");
    if (iterable.some(({ name }) => name === "Into the void")) throw new Error("a refused conversation was made later");
  });
  await step("import-brings-it-home", async () => {
    await palette("Import from Pieces OS");
    await notification(/Imported: [1-9]\d* new/).waitFor();
    await palette("Switch Backend");
    await titled("Where are your conversations?");
    await option(/^local/).click();
    await says("Pieces local");
    await row("From far away").waitFor();
    await row("After the restart").waitFor();
    await shot("imported");
  });
  await step("a-long-list-is-paged-and-keeps-its-place", async () => {
    const made = [];
    for (let n = 0; n < 130; n++) made.push(await local.create(`Entry ${n}`));
    // Scrolled by the wheel: keys go to the document as soon as one is opened.
    await row("Entry 129").hover();
    const more = view.getByRole("treeitem", { name: /^Load more \(\d+ left\)/ });
    const end = async (what) => {
      await page.mouse.wheel(0, 100_000);
      return what.isVisible();
    };
    await until("the last row of the first page", () => end(more));
    await more.click();
    await until("the oldest", () => end(row("Entry 0,")));
    await row("Entry 0,").click();
    await local.rest("POST", `/conversations/${made[64].id}/delete`);
    await page.getByRole("tab", { name: /^Pieces - \d+ conversations?/ }).first().waitFor();
    await until("still there, still selected", async () => (await row("Entry 0,").getAttribute("aria-selected")) === "true");
    await shot("paged");
  });
  await step("the-workspace-decided-nothing", async () => {
    if (fs.existsSync(trap)) throw new Error("a setting of the workspace was used");
  });
  await step("no-errors-in-the-logs", async () => {
    const read = (pattern) =>
      fs.readdirSync(path.join(user, "logs"), { recursive: true }).filter((file) => pattern.test(file)).map((file) => fs.readFileSync(path.join(user, "logs", file), "utf8").split("\n"));
    const [channel, host] = [read(/Pieces Conversations/), read(/exthost\.log$/)];
    if (channel.length === 0 || host.length === 0) throw new Error("there is no log");
    const calm = (line) => {
      const at = Date.parse(line.slice(0, 23).replace(" ", "T"));
      return !rough.some(([begin, end]) => at >= begin && at <= end);
    };
    // What the server says on a busy machine is no error.
    const errors = channel.flat().filter((line) => / \[error\] /.test(line) && !/ WARN .*slow handler/.test(line) && calm(line));
    errors.push(...host.flat().filter((line) => / \[(error|warning)\] .*(piecesLsp|pieces-lsp\.pieces-lsp)/.test(line) && calm(line)));
    if (errors.length > 0) throw new Error(errors.join(" | "));
  });
} catch (error) {
  failed++;
  console.log(`FAIL vscode-session: ${String(error).replaceAll("\n", " ").slice(0, 900)}`);
} finally {
  await browser?.close();
  // As a person leaves: the server must go with the editor, without being killed.
  const left = new Promise((resolve) => server.once("exit", resolve));
  process.kill(-server.pid, "SIGTERM");
  await Promise.race([left, new Promise((resolve) => setTimeout(resolve, 20_000))]);
}
process.exit(failed > 0 ? 1 : 0);
