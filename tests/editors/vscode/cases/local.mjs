// A day on the local service, and the other ways to start, open and name conversations.
import { local, message, until } from "../machine.mjs";
import { day } from "./day.mjs";

export default async (session) => {
  const { page, step, shot, row, gone, tab, text, said, palette, option, look, closeAll, menu, files, explorer, conversations } = session;
  await day(session, "local", local, "retry.rs", "notes.md");
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
      await conversations();
      await row(`${name}, `).waitFor();
    };
    await explorer("part.rs");
    await text("chosen").click();
    await page.keyboard.press("Home");
    await page.keyboard.press("Shift+End");
    await palette(title);
    await started("part.rs, line 2", "fn chosen() {}", "left_out");
    await tab("part.rs, line 2").waitFor();
    await explorer("whole.rs");
    await menu(text("fn whole"), title);
    await started("whole.rs", "fn whole() {}", "fn chosen");
    await files();
    await menu(page.getByRole("treeitem", { name: "shelf.rs" }).first(), title);
    await started("shelf.rs", "fn shelf() {}", "fn whole");
  });
  await step("what-the-row-and-the-palette-do-to-one", async () => {
    await local.create("Opened in place", message("USER", "Words of the one opened in place."));
    await conversations();
    await row("Opened in place").hover();
    await row("Opened in place").getByRole("button", { name: /Open Conversation/ }).click();
    await said("Words of the one opened in place.").waitFor();
    await closeAll();
    await look("Open Conversation", "in place", /Opened in place/);
    await option(/Opened in place/).click();
    await said("Words of the one opened in place.").waitFor();
    // It is the open one, and its tab goes with it.
    await palette("Delete Conversation");
    await gone("Opened in place");
    await tab("Opened in place").waitFor({ state: "detached" });
    await palette("Refresh Conversations");
    await palette("Show Log");
    await page.locator(".panel option:checked", { hasText: "Pieces Conversations" }).first().waitFor({ state: "attached" });
    // The log takes the focus when it is ready, and with it closes a palette that was opened before.
    await until("the log's focus", () => page.evaluate(() => document.activeElement?.closest(".panel") != null));
    await palette("Toggle Panel Visibility", "View");
  });
  await step("names-are-shown-as-text", async () => {
    await local.create(`$(trash) <b>x</b> **y**\u202e evil\n${"long ".repeat(100)}`);
    await row("\\$ \\(trash\\) <b>x</b> \\*\\*y\\*\\* evil long").waitFor();
    await shot("names");
  });
  await step("names-of-every-script-are-whole-and-apart-from-their-age", async () => {
    for (const name of ["איך לבטל commit שכבר נדחף", "👩🏽‍💻 pair session", "می‌خواهم بدانم"]) {
      await local.create(name, message("USER", "?"));
      // As it is spoken, and as it is drawn: isolated, with its age behind it.
      await row(`${name}, now, 1 message`).waitFor();
      const drawn = await row(`${name}, now`).locator(".monaco-icon-label-container").innerText();
      if (!drawn.includes(`\u2068${name}\u2069`) || !/\u200e\s*now/.test(drawn)) throw new Error(JSON.stringify(drawn));
    }
    await shot("scripts");
  });
  await step("the-walkthrough-ticks-what-was-done", async () => {
    await palette("Open Walkthrough...", "Welcome");
    await option(/Conversations in your editor/).click();
    const steps = page.locator(".getting-started-step, .step-list-container");
    for (const name of ["See your conversations", "Start one from a file", "Ask about these lines", "Bring what you have"]) await steps.getByText(name).first().waitFor();
    // The view was seen and a conversation was started; nothing was imported.
    const done = (name) => page.locator(".getting-started-step", { hasText: name }).locator(".codicon-getting-started-step-checked.complete");
    await done("See your conversations").first().waitFor();
    await done("Start one from a file").first().waitFor();
    if ((await done("Bring what you have").count()) > 0) throw new Error("an import is ticked that did not happen");
    await shot("walkthrough");
    // Not by the palette: the page takes the focus whenever it is ready.
    const welcome = page.locator(".tabs-container .tab").first();
    await welcome.locator(".tab-actions .action-label").click();
    await welcome.waitFor({ state: "detached" });
  });
};
