// VS Code and Neovim on one store: an answer is followed and stopped from the other one, and a talk file of Neovim is
// written in VS Code.
import fs from "node:fs";
import path from "node:path";
import { cli, freePort, local, store, until } from "../machine.mjs";
import { Model } from "../model.mjs";
import { Neovim } from "../neovim.mjs";

export default async ({ page, step, shot, row, tab, text, talk, box, said, palette, conversations, closeAll }) => {
  const model = new Model();
  const port = await freePort();
  const neovim = new Neovim();
  const growing = () => talk.locator("article", { hasText: "Retries need jitter" });
  const found = async (name) => (await local.rest("GET", "/conversations")).iterable.find((one) => one.name.includes(name));
  const writing = () => neovim.lua("require('pieces').status()").then((status) => status.includes("writing…"));

  await step("an-answer-asked-for-here-is-followed-and-stopped-in-neovim", async () => {
    await model.start(port);
    await cli("model", "use", `http://127.0.0.1:${port}/v1`, "--model", "small");
    await neovim.start();
    await closeAll();
    await conversations();
    await local.create("Two editors look on");
    await row("Two editors look on").dblclick();
    await box.fill("Please hold while two look on.");
    await box.press("Enter");
    await growing().first().waitFor();
    await neovim.run(`Pieces open ${(await found("Two editors")).id}`);
    await neovim.has("Retries need");
    await until("Neovim says so", writing);
    await neovim.press("<C-c>");
    await talk.getByText("Stopped.").waitFor();
    await until("Neovim knows", async () => !(await writing()));
    model.release();
  });
  await step("an-answer-asked-for-in-neovim-is-followed-and-stopped-here", async () => {
    await neovim.run("Pieces ask And hold this one, please.");
    await said("And hold this one, please.").waitFor();
    await until("it grows here", async () => (await growing().count()) === 2);
    await talk.getByText("Writing…").waitFor();
    await shot("followed");
    await talk.getByRole("button", { name: "Stop", exact: true }).click();
    await talk.getByText("Stopped.").nth(1).waitFor();
    await until("Neovim knows", async () => !(await writing()));
    model.release();
    await closeAll();
  });
  let file;
  await step("a-talk-file-is-answered-while-one-types", async () => {
    await neovim.run("edit retry.rs");
    await until("the client of Neovim", async () => (await neovim.lua("#vim.lsp.get_clients({ name = 'pieces', bufnr = 0 })")) === "1");
    await neovim.lua("vim.lsp.get_clients({ name = 'pieces' })[1]:exec_cmd({ title = 'talk', command = 'pieces.conversations.talk', arguments = { { uri = vim.uri_from_bufnr(0) } } })");
    file = await until("the talk file", () => {
      const [one] = fs.readdirSync(path.join(store, "talk")).filter((name) => name.endsWith(".md"));
      return one && path.join(store, "talk", one);
    });
    await neovim.has("A question about retry.rs");
    await neovim.run("bwipeout!");
    await page.keyboard.press("Control+p");
    await page.locator(".quick-input-widget .quick-input-box input").fill(file);
    await page.getByRole("option", { name: path.basename(file) }).first().click();
    await tab(path.basename(file)).waitFor();
    await text("write your question below this line").waitFor();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("Why does it hold?");
    await page.locator(".codelens-decoration a", { hasText: "Send" }).first().click();
    await text("Retries need").waitFor();
    // Typing meanwhile: the answer is written above.
    await page.keyboard.press("Control+End");
    await page.keyboard.type("And then?");
    model.release();
    await text("That is all.").waitFor();
    await text("And then?").waitFor();
    await shot("talk-file");
    if ((await page.locator(".view-line", { hasText: "Retries need" }).count()) !== 1) throw new Error("it was written twice");
  });
  await step("a-talk-file-can-be-undone-and-closed", async () => {
    await text("And then?").click();
    const gone = page.locator(".view-line", { hasText: "That is all." });
    await until("undone", async () => {
      await page.keyboard.press("Control+z");
      return (await gone.count()) === 0;
    });
    for (let n = 0; (await gone.count()) === 0 && n < 20; n++) await page.keyboard.press("Control+y");
    await text("That is all.").waitFor();
    const draft = file.replace(/\.md$/, ".json");
    await until("the draft is kept", () => JSON.parse(fs.readFileSync(draft, "utf8")).draft === "And then?");
    // Without saving: what was typed is kept all the same.
    await palette("Revert and Close Editor", "View");
    await tab(path.basename(file)).waitFor({ state: "detached" });
    await until("the file on disk", () => {
      const disk = fs.readFileSync(file, "utf8");
      return disk.includes("That is all.") && disk.includes("And then?");
    });
  });
  await step("neovim-leaves", async () => {
    await neovim.stop();
    await cli("model", "off");
    await model.stop();
  });
};
