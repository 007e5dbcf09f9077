// What a person does in VS Code, done by a browser. See run.sh for what it needs; with ONLY=NAME in the environment
// only the steps of cases/NAME.mjs, with KEEP_GOING=1 also those after one that failed.
import fs from "node:fs";
import path from "node:path";
import { handsOn } from "./hands.mjs";
import { leave, open, shots, user } from "./machine.mjs";

/** In this order: later ones find what earlier ones left. */
const cases = ["first", "local", "view", "links", "talk", "together", "pictures", "faults", "elsewhere", "long", "german"];

let failed = 0;
/** When servers were killed or a window was closed: what the client says about it then is as it should be. */
const rough = [];
const killing = /kill|crash|restart|away|nothing-answers|missing|another-window|reload/;
let browser;

try {
  const opened = await open();
  browser = opened.browser;
  const hands = handsOn(opened.page);
  const step = async (name, run) => {
    if (failed && !process.env.KEEP_GOING) return;
    const begin = Date.now();
    try {
      await run();
      if (killing.test(name)) rough.push([begin, Date.now()]);
      console.log(`ok vscode-${name}`);
    } catch (error) {
      failed++;
      fs.cpSync(path.join(user, "logs"), path.join(shots, "logs"), { recursive: true });
      await hands.shot(`FAILED-${name}`).catch(() => {});
      const shown = await hands.page.locator(".notification-list-item-message, .quick-input-title, .quick-input-list .label-name").allInnerTexts().catch(() => []);
      console.log(`FAIL vscode-${name}: ${`${error} | ${shown.join(" | ")}`.replaceAll("\n", " ").slice(0, 1200)}`);
    }
  };
  const session = { ...hands, context: opened.context, step };
  for (const name of cases.filter((one) => !process.env.ONLY || process.env.ONLY.split(",").includes(one)))
    await (await import(`./cases/${name}.mjs`)).default(session);
  await step("no-errors-in-the-logs", () => logs());
} catch (error) {
  failed++;
  console.log(`FAIL vscode-session: ${String(error).replaceAll("\n", " ").slice(0, 900)}`);
} finally {
  await browser?.close();
  await leave();
}
process.exit(failed > 0 ? 1 : 0);

function logs() {
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
  // A window that is closed or reloaded ends its extension host in the middle of requests.
  const closing = (lines, at) => /Channel has been closed/.test(lines[at + 1] ?? "") || /Unable to refresh tree view .*: Canceled$/.test(lines[at]);
  // A row that went while VS Code was about to show it, or was drawn again while it was clicked.
  const went = (line) => /Failed to resolve tree node|Actual command not found, wanted to execute piecesLsp\.browse/.test(line);
  for (const lines of host)
    errors.push(...lines.filter((line, at) => / \[(error|warning)\] .*(piecesLsp|pieces-lsp\.pieces-lsp)/.test(line) && calm(line) && !closing(lines, at) && !went(line)));
  if (errors.length > 0) throw new Error(errors.join(" | "));
}
