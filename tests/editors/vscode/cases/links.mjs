// Links to conversations in texts.
import fs from "node:fs";
import path from "node:path";
import { local, message, until, work } from "../machine.mjs";

export default async ({ page, step, row, tab, text, talk, palette, menu, conversations, closeAll, explorer }) => {
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
    await talk.getByRole("heading", { name: "Deeds in local" }).waitFor();
    await tab("Deeds in local").waitFor();
    await explorer("plan.md");
    await palette("Revert File", "File");
    await text("[Deeds in local](pieces-conversation:/").waitFor({ state: "detached" });
    await conversations();
  });
  await step("a-hover-leads-on-and-runs-nothing-of-others", async () => {
    const name = "Hover [x](command:workbench.action.closeWindow)";
    const { id } = await local.create(name, message("USER", "Why [y](command:piecesLsp.delete)?"), message("ASSISTANT", "Because **it** does."));
    fs.writeFileSync(path.join(work, "hover.md"), `See pieces-conversation:/${id}.md for more.\n`);
    await explorer("hover.md");
    const hover = page.locator(".monaco-hover", { hasText: "Because it does." });
    // It is empty until the server has heard of the conversation.
    for (let tries = 0; ; tries++) {
      await text("See pieces-conversation").hover();
      try {
        await hover.first().waitFor({ timeout: 4_000 });
        break;
      } catch (error) {
        if (tries === 5) throw error;
        await page.mouse.move(600, 500);
      }
    }
    const links = await hover.locator("a[data-href]").evaluateAll((all) => all.map((one) => one.dataset.href.split("?")[0]));
    if (links.join() !== ["open", "rename", "copyLink"].map((one) => `command:piecesLsp.${one}`).join()) throw new Error(links.join());
    await hover.getByText("Copy link", { exact: true }).click();
    await until("the link", async () => (await page.evaluate(() => navigator.clipboard.readText())).endsWith(`(pieces-conversation:/${id}.md)`));
    await text("See pieces-conversation").hover();
    await hover.getByText("Open", { exact: true }).click();
    await talk.getByRole("heading", { name }).waitFor();
    fs.rmSync(path.join(work, "hover.md"));
    await closeAll();
    await conversations();
  });
};
