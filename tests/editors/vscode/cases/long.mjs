// A long list.
import fs from "node:fs";
import { local, trap, until } from "../machine.mjs";

export default async ({ page, step, shot, view, row }) => {
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
    const total = async () => Number((await view.locator(".description").first().innerText()).replace(/\D/g, ""));
    const before = await total();
    await local.rest("POST", `/conversations/${made[64].id}/delete`);
    await until("the total beside the title", async () => (await total()) === before - 1);
    await until("still there, still selected", async () => (await row("Entry 0,").getAttribute("aria-selected")) === "true");
    await shot("paged");
  });
  await step("the-workspace-decided-nothing", async () => {
    if (fs.existsSync(trap)) throw new Error("a setting of the workspace was used");
  });
};
