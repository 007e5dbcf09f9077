// Thousands of conversations.
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import { local, remember, trap, until } from "../machine.mjs";

const MOST = 5_000;
const HOUR = 3_600_000;

export default async ({ page, step, shot, view, row, said, look, option }) => {
  const made = Array.from({ length: MOST }, (_, n) => ({
    id: randomUUID(),
    name: `Entry ${n}`,
    time: Date.now() - n * HOUR,
    said: [["USER", `What is ${n}?`], ["ASSISTANT", `A number, one more than ${n - 1}.`]],
  }));
  const total = async () => Number((await view.locator(".description").first().innerText()).replace(/\D/g, ""));
  await step("thousands-come-into-the-open-view", async () => {
    const before = await total();
    await remember(made);
    await until("the total beside the title", async () => (await total()) === before + MOST);
    await row("Entry 0,").waitFor();
  });
  await step("a-long-list-is-paged-and-keeps-its-place", async () => {
    // Scrolled by the wheel: keys go to the document as soon as one is opened.
    await row("Entry 0,").hover();
    const more = view.getByRole("treeitem", { name: /^Load more \(\d+ left\)/ });
    const end = async (what) => {
      await page.mouse.wheel(0, 100_000);
      return what.isVisible();
    };
    await until("the last row of the first page", () => end(more));
    await more.click();
    // A hundred more: the last of them was not on the first page.
    const last = async () => {
      await page.mouse.wheel(0, 100_000);
      const shown = await view.getByRole("treeitem", { name: /^Entry \d+,/ }).evaluateAll((all) => all.map((one) => Number(/\d+/.exec(one.ariaLabel)[0])));
      return Math.max(...shown);
    };
    const n = await until("a row of the second page", async () => {
      const found = await last();
      return found > 100 && found === (await last()) && found;
    });
    const later = row(`Entry ${n},`);
    // A row that still moves takes no click: again, as a person would.
    for (let tries = 0; ; tries++) {
      await later.click();
      try {
        await said(`What is ${n}?`).waitFor({ timeout: 4_000 });
        break;
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
    const before = await total();
    await local.rest("POST", `/conversations/${made[4_000].id}/delete`);
    await until("the total beside the title", async () => (await total()) === before - 1);
    await until("still there, still selected", async () => (await later.getAttribute("aria-selected")) === "true");
    await shot("paged");
  });
  await step("one-of-thousands-is-found-by-what-it-says", async () => {
    await look("Search Conversations", "what is 4711", /Entry 4711/);
    await option(/Entry 4711/).click();
    await said("What is 4711?").waitFor();
  });
  await step("the-workspace-decided-nothing", async () => {
    if (fs.existsSync(trap)) throw new Error("a setting of the workspace was used");
  });
};
