// Asking: without a model, with one, stopping, editing, code, lines, a model that goes away, two windows.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { handsOn } from "../hands.mjs";
import { cli, freePort, local, message, until, workbench } from "../machine.mjs";
import { CODE, Model } from "../model.mjs";

export default async ({ page, context, step, shot, row, tab, text, talk, said, box, openRow, palette, option, theme, explorer, conversations, closeAll }) => {
  const model = new Model();
  const port = await freePort();
  await model.start(port);
  const ask = async (question) => {
    await box.fill(question);
    await box.press("Enter");
  };
  /** Answers that are there to their end. */
  const whole = () => talk.locator("article", { hasText: "That is all." }).count();
  const idle = () => talk.getByRole("button", { name: "Send", exact: true }).waitFor();
  const found = (name) => local.rest("GET", "/conversations").then(({ iterable }) => iterable.find((one) => one.name.includes(name)));

  const axe = fs.readFileSync(createRequire(path.join(process.env.EXTENSION, "package.json")).resolve("axe-core"), "utf8");
  const accessible = async (when) => {
    const wrong = await talk.locator("body").evaluate(async (_, source) => {
      if (!window.axe) window.eval(source);
      const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ; ")}`);
    }, axe);
    if (wrong.length > 0) throw new Error(`${when}: ${wrong.join(" | ")}`);
  };

  await step("without-a-model-the-composer-says-how-to-get-one", async () => {
    await closeAll();
    await palette("New Conversation");
    await talk.getByText("No language model is chosen yet.").waitFor();
    await talk.getByRole("button", { name: "Choose a Model…" }).waitFor();
    await accessible("without a model");
    await shot("no-model");
  });
  await step("a-model-is-found-when-it-was-chosen", async () => {
    await cli("model", "use", `http://127.0.0.1:${port}/v1`, "--model", "small");
    await talk.getByRole("button", { name: "Check Again" }).click();
    await talk.getByText("No language model is chosen yet.").waitFor({ state: "hidden" });
    await talk.getByRole("button", { name: "Model: small" }).waitFor();
  });
  await step("a-question-makes-a-conversation-and-its-answer-streams", async () => {
    await box.pressSequentially("Why jitter, and hold on?");
    await box.press("Shift+Enter");
    await box.pressSequentially("Briefly.");
    await box.press("Enter");
    await said("Retries need jitter").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces: writing…" }).waitFor();
    await row("Why jitter").waitFor();
    await until("its row says so", async () => /an answer is being written/.test(await row("Why jitter").getAttribute("aria-label")));
    await tab("Why jitter").waitFor();
    await tab("New Conversation").waitFor({ state: "detached" });
    await accessible("while an answer is written");
    await shot("streaming");
    model.release();
    await said("That is all.").waitFor();
    await idle();
    await page.locator(".statusbar-item", { hasText: "Pieces: writing…" }).waitFor({ state: "detached" });
    if (model.asked.at(-1).messages.at(-1).content !== "Why jitter, and hold on?\nBriefly.") throw new Error(JSON.stringify(model.asked.at(-1)));
    await shot("answered");
  });
  await step("messages-have-names-and-the-page-passes-axe", async () => {
    const names = await talk.locator("article").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
    if (!/^You, \d\d:\d\d$/.test(names[0]) || !/^Assistant, \d\d:\d\d$/.test(names[1])) throw new Error(names.join(" | "));
    // A day later.
    const label = () => talk.locator("article").first().evaluate((one) => `${one.getAttribute("aria-label")} ${one.querySelector("time").textContent}`);
    const move = (days) =>
      talk.locator("body").evaluate((_, to) => {
        window.realNow ??= Date.now;
        Date.now = () => window.realNow() + to * 86_400_000;
        window.dispatchEvent(new Event("focus"));
      }, days);
    await move(1);
    if (!/^You, [A-Z][a-z]{2} \d\d:\d\d [A-Z][a-z]{2} \d\d:\d\d$/.test(await label())) throw new Error(await label());
    await move(0);
    if (!/^You, \d\d:\d\d \d\d:\d\d$/.test(await label())) throw new Error(await label());
    const spoken = await talk.locator("[aria-live=polite]").innerText();
    if (!spoken.includes("code, rust, lines: 3") || !spoken.includes("That is all.")) throw new Error(spoken);
    const body = talk.locator("body");
    for (const name of ["Light Modern", "Dark Modern", "Dark High Contrast", "Light High Contrast"]) {
      await theme(name);
      await until(`the theme ${name}`, () => body.evaluate((one, dark) => one.classList.contains(dark), name === "Dark High Contrast" ? "vscode-high-contrast" : name === "Light High Contrast" ? "vscode-high-contrast-light" : name.includes("Dark") ? "vscode-dark" : "vscode-light"));
      await accessible(name);
      if (name === "Dark Modern") await shot("answered-dark");
    }
    await theme("Light Modern");
  });
  await step("escape-stops-and-what-was-written-stays", async () => {
    await ask("Count slowly.");
    await said("word3").waitFor();
    // The next question waits, and the page says so.
    await ask("And then?");
    const alert = talk.getByRole("alert").filter({ hasText: "still being written" });
    await alert.waitFor();
    await box.press("Escape");
    await talk.getByText("Stopped.").waitFor();
    await idle();
    await alert.waitFor({ state: "hidden" });
    if ((await box.inputValue()) !== "And then?") throw new Error("the next question is lost");
    await box.fill("");
    const { id } = await found("Why jitter");
    await until("the model is left alone", () => model.sockets.size === 0 || [...model.sockets].every((socket) => !socket.writableLength));
    const { iterable } = await local.rest("GET", `/conversation/${id}/messages`).catch(() => ({ iterable: [{}] }));
    if (iterable.length === 0) throw new Error("nothing is kept");
  });
  await step("nothing-is-scrolled-by-an-answer", async () => {
    await ask("Again, slowly, please.");
    await said("word20").waitFor();
    const top = () => talk.locator("main").evaluate((one) => one.scrollTop);
    await talk.locator("main").evaluate((one) => one.scrollTo({ top: 0 }));
    const before = await top();
    await said("word60").waitFor();
    if ((await top()) !== before) throw new Error("it was scrolled");
    await talk.getByRole("button", { name: "↓ More below" }).waitFor();
    await talk.getByRole("button", { name: "Stop", exact: true }).click();
    await idle();
  });
  await step("up-edits-the-last-question-in-a-new-conversation", async () => {
    const { id } = await found("Why jitter");
    await box.press("ArrowUp");
    await until("the question", async () => (await box.inputValue()) === "Again, slowly, please.");
    await talk.getByText("asked again in a new conversation").waitFor();
    await accessible("while a question is edited");
    await ask("Again, shortly, please.");
    await said("Again, shortly, please.").waitFor();
    await said("That is all.").waitFor();
    await idle();
    const all = (await local.rest("GET", "/conversations")).iterable;
    if (!all.some((one) => one.id === id)) throw new Error("the old one is gone");
  });
  await step("code-goes-where-it-is-wanted", async () => {
    await closeAll();
    await explorer("part.rs");
    await text("chosen").click();
    await page.keyboard.press("Control+End");
    await conversations();
    await openRow("Why jitter");
    const code = talk.locator(".code").first();
    await code.getByRole("button", { name: /^Copy/ }).click();
    await until("the clipboard", async () => (await page.evaluate(() => navigator.clipboard.readText())) === CODE);
    await code.getByRole("button", { name: /^Insert at Cursor/ }).click();
    await text("pub fn pause").waitFor();
    await tab("part.rs").first().waitFor();
    await page.keyboard.press("Control+z");
    await text("pub fn pause").waitFor({ state: "detached" });
    await openRow("Why jitter");
    await code.getByRole("button", { name: /^New File/ }).click();
    await page.locator(".statusbar-item", { hasText: "Rust" }).waitFor();
    await text("pub fn pause").waitFor();
    await palette("Revert and Close Editor", "View");
    await openRow("Why jitter");
    await code.getByRole("button", { name: /^Compare/ }).click();
    await tab(/part\.rs ↔ answer/).waitFor();
    await shot("compare");
    await closeAll();
  });
  await step("chips-show-what-is-sent-and-can-be-removed", async () => {
    await explorer("retry.rs");
    await conversations();
    await openRow("Why jitter");
    const file = talk.getByRole("listitem").filter({ hasText: "retry.rs" });
    await talk.getByRole("button", { name: "Send retry.rs with the question" }).click();
    await file.getByRole("button", { name: "Do not send retry.rs" }).waitFor();
    await talk.getByRole("listitem").filter({ hasText: /messages/ }).first().waitFor();
    await accessible("with chips");
    await shot("chips");
    await ask("What does it do?");
    await until("the file went along", () => JSON.stringify(model.asked.at(-1)).includes("pub fn retry"));
    await idle();
    await file.getByRole("button", { name: "Do not send retry.rs" }).click();
    await talk.getByRole("button", { name: "Send retry.rs with the question" }).waitFor();
    const before = model.asked.length;
    await ask("And without it?");
    await until("it was asked", () => model.asked.length > before);
    await idle();
    const last = JSON.stringify(model.asked.at(-1));
    if (last.includes("pub fn retry")) throw new Error("a removed file was sent");
  });
  await step("asking-about-these-lines", async () => {
    await closeAll();
    await explorer("part.rs");
    await text("chosen").click();
    await page.keyboard.press("Home");
    await page.keyboard.press("Shift+End");
    await page.keyboard.press("Control+k");
    await page.keyboard.press("Control+y");
    const comment = page.locator(".review-widget");
    await comment.locator(".monaco-editor").first().waitFor();
    await until("the box has the focus", () => page.evaluate(() => document.activeElement?.closest(".review-widget") != null));
    await page.keyboard.type("What is chosen here?");
    await shot("ask-about-lines");
    await page.keyboard.press("Control+Enter");
    await said("That is all.").waitFor();
    await tab("What is chosen here").waitFor();
    await shot("ask-about-lines-answered");
    const last = model.asked.at(-1).messages.at(-1).content;
    if (!last.includes("What is chosen here?") || !last.includes("fn chosen() {}") || last.includes("left_out")) throw new Error(last);
    await closeAll();
  });
  await step("a-reload-keeps-the-draft-and-what-was-written", async () => {
    await conversations();
    await openRow("What is chosen here");
    await said("That is all.").waitFor();
    await ask("Please hold over a reload.");
    await until("it is being written", async () => (await talk.locator("article", { hasText: "Retries need jitter" }).count()) === 2);
    await box.fill("half a quest");
    // It is kept 300 ms after the last key.
    await page.waitForTimeout(1_000);
    // The oldest code-server keeps the old extension host, with its server, beside the new one.
    if (!process.env.OLDEST) {
      await page.reload();
      await page.waitForSelector(".monaco-workbench");
    }
    // A browser that reloads does not always bring the tabs back.
    await conversations();
    await openRow("What is chosen here");
    await until("the draft", async () => (await box.inputValue()) === "half a quest");
    await said("Please hold over a reload.").waitFor();
    // The window served the store, so that the answer has ended with it.
    const before = await whole();
    model.release();
    await until("the answer ends", async () => (await whole()) > before || (await talk.getByText("Interrupted. What was written is kept.").count()) > 0);
    if ((await talk.locator("article", { hasText: "Retries need jitter" }).count()) !== 2) throw new Error("what was written is gone");
    await idle();
  });
  await step("a-model-that-goes-away-leaves-the-question", async () => {
    await model.stop();
    await ask("Are you there?");
    await said("Are you there?").getByRole("alert").filter({ hasText: /Nothing answers at/ }).waitFor();
    await talk.locator(".notice", { hasText: /^Nothing answers at .* choose another with pieces-lsp model use URL/ }).waitFor();
    await accessible("when nothing answers");
    // There is a way out.
    await talk.getByRole("button", { name: "Choose a Model…" }).click();
    await option(/Use Another Endpoint…/).waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".quick-input-widget").waitFor({ state: "hidden" });
    await shot("endpoint-gone");
    await model.start(port);
    const before = await whole();
    await talk.getByRole("button", { name: "Ask Again" }).last().click();
    await until("it is answered", async () => (await whole()) > before);
    await idle();
    if ((await said("Are you there?").getByText("Nothing answers").count()) > 0) throw new Error("it still says that nothing answers");
  });
  await step("a-model-that-dies-in-the-middle-leaves-what-it-said", async () => {
    const interrupted = talk.getByText("Interrupted. What was written is kept.");
    const before = await interrupted.count();
    await ask("Hold, and then break off.");
    await said("Hold, and then break off.").waitFor();
    await until("it is held", () => model.held.length > 0);
    await model.stop();
    await until("it says so", async () => (await interrupted.count()) === before + 1);
    await idle();
    await shot("endpoint-dies");
    model.held.length = 0;
    await model.start(port);
  });
  await step("everything-can-be-done-by-keyboard", async () => {
    await palette("New Conversation");
    await until("the box has the focus", async () => (await box.evaluate((one) => document.hasFocus() && document.activeElement === one)));
    await page.keyboard.type("By keyboard?");
    await page.keyboard.press("Enter");
    await tab("By keyboard").waitFor();
    await said("That is all.").waitFor();
    await idle();
    await page.evaluate(() => navigator.clipboard.writeText(""));
    await box.press("Shift+Tab");
    for (let n = 0; !/^Copy: /.test(await talk.locator(":focus").getAttribute("aria-label") ?? ""); n++) {
      if (n === 20) throw new Error("no way to the code");
      await page.keyboard.press("Shift+Tab");
    }
    await page.keyboard.press("Enter");
    await until("the code", async () => (await page.evaluate(() => navigator.clipboard.readText())) === CODE);
  });
  await step("models-are-chosen-from-a-list", async () => {
    await talk.getByRole("button", { name: /^Model:/ }).click();
    await option(/large/).click();
    await talk.getByRole("button", { name: "Model: large" }).waitFor();
    await ask("Who are you?");
    await until("the other one was asked", () => model.asked.at(-1).model === "large");
    await idle();
  });
  await step("other-scripts-have-their-own-direction", async () => {
    await ask("איך לבטל commit שכבר נדחף?");
    await said("git revert").waitFor();
    const directions = await talk.locator("article .body > p").evaluateAll((all) => all.map((one) => getComputedStyle(one).direction));
    if (!directions.includes("rtl")) throw new Error(directions.join());
    await shot("right-to-left");
    await idle();
  });
  await step("what-others-wrote-does-nothing", async () => {
    const asked = [];
    const hostile = "![x](https://example.invalid/x.png) <img src=https://example.invalid/y.png> [go](command:workbench.action.closeWindow) <script>alert(1)</script>";
    context.on("request", (request) => asked.push(request.url()));
    await local.create("Hostile", message("USER", "?"), message("ASSISTANT", hostile));
    await conversations();
    await openRow("Hostile");
    await said("alert(1)").waitFor();
    if ((await talk.locator("article img, article script, article a[href^=command]").count()) > 0) throw new Error("it is not inert");
    if (asked.some((url) => url.includes("example.invalid"))) throw new Error("an image was fetched");
  });
  await step("another-window-follows-the-answer", async () => {
    const other = await workbench(context);
    const hands = handsOn(other);
    try {
      await hands.conversations();
      await hands.openRow("What is chosen here");
      await hands.said("That is all.").waitFor();
      const answers = hands.talk.locator("article", { hasText: "Retries need jitter" });
      const before = await answers.count();
      await conversations();
      await openRow("What is chosen here");
      // Before that, the box is that of the conversation shown until now.
      await said("What is chosen here?").waitFor();
      await ask("Please hold while two look on.");
      await hands.said("Please hold while two look on.").waitFor();
      await until("it grows there", async () => (await answers.count()) > before);
      await hands.talk.getByRole("button", { name: "Stop", exact: true }).click();
      await talk.getByText("Stopped.").first().waitFor();
      model.release();
    } finally {
      await other.close();
    }
  });
  await step("a-conversation-that-is-deleted-says-so", async () => {
    const { id } = await found("Hostile");
    await openRow("Hostile");
    await said("alert(1)").waitFor();
    await local.rest("POST", `/conversations/${id}/delete`);
    await talk.getByText("This conversation was deleted.").waitFor();
    await accessible("when it was deleted");
    await until("its tab says so", async () => /deleted/i.test(await tab("Hostile").evaluate((one) => one.outerHTML)));
    await shot("deleted");
    await closeAll();
  });
  await step("the-model-is-off-again", async () => {
    await cli("model", "off");
    await model.stop();
  });
};
