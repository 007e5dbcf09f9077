// A server that is not there, dies, or dies again and again.
import fs from "node:fs";
import path from "node:path";
import { local, machine, ours, SCRATCH, servers, until } from "../machine.mjs";

export default async ({ page, step, shot, row, says, palette }) => {
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
    // Those of windows that were closed before end when their extension hosts do, which the oldest code-server keeps for a
    // while. Until then one of them may be the one that serves the store.
    if (!process.env.OLDEST) await until("the only server", () => servers().length === 1);
    const { pid } = ours();
    process.kill(pid, "SIGKILL");
    await until("another server", () => ours().pid !== pid);
    await until("the service", () => local.create("After the crash"));
    await row("After the crash").waitFor();
  });
  if (process.env.OLDEST) return;
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
};
