// Pieces OS: not there, there, gone and back; and importing from it and from a file.
import fs from "node:fs";
import path from "node:path";
import { distant, SCRATCH, standIn, takeAway, until } from "../machine.mjs";
import { day } from "./day.mjs";

export default async (session) => {
  const { page, step, shot, row, says, talk, box, notification, palette, option, choose, titled, closeAll } = session;
  await step("nothing-answers-and-says-so", async () => {
    await closeAll();
    await page.locator(".statusbar-item", { hasText: "Pieces local" }).click();
    await page.locator(".quick-input-title", { hasText: /conversations, kept on this machine/ }).first().waitFor();
    await option(/Switch Backend/).click();
    await titled("Where are your conversations?");
    await option(/^Pieces OS/).click();
    await page.getByText("Pieces OS is not running").first().waitFor();
    await says("Pieces offline");
    await shot("offline");
  });
  await step("importing-from-nothing-away-from-pieces-os-offers-a-file", async () => {
    await choose("Import Conversations", "Import Conversations", /^Pieces OS/);
    const error = notification("There is no running Pieces OS to import from.");
    await error.locator(".monaco-button", { hasText: "Import a File…" }).waitFor();
    await palette("Clear All Notifications", "Notifications");
  });
  await step("pieces-os-is-there-after-nothing-answers", async () => {
    await standIn();
    await distant.create("From far away");
    await row("From far away").waitFor();
    await page.locator(".statusbar-item", { hasText: "Pieces offline" }).waitFor({ state: "detached" });
  });
  await day(session, "pieces-os", distant, "pool.rs", "plan.md");
  await step("pieces-os-goes-away-and-comes-back", async () => {
    await palette("Clear All Notifications", "Notifications");
    await takeAway();
    await says("Pieces offline");
    await page.getByText("Showing the last known conversations.").waitFor();
    await shot("away");
    await palette("New Conversation");
    // In the words of VS Code, with what helps here.
    await talk.locator(".notice", { hasText: /^Pieces OS is not running at .* or set piecesLsp\.backend to local\./ }).waitFor();
    await talk.getByRole("button", { name: "Use the Local Service" }).waitFor();
    await box.fill("Into the void");
    await box.press("Enter");
    await talk.getByRole("alert").filter({ hasText: /./ }).waitFor();
    // Nothing that was typed is lost.
    await until("the question is back", async () => (await box.inputValue()) === "Into the void");
    await standIn();
    await distant.create("Back again");
    await row("Back again").waitFor();
    await page.getByText("Showing the last known conversations.").waitFor({ state: "detached" });
    const { iterable } = await distant.rest("GET", "/conversations");
    if (iterable.some(({ name }) => name === "Into the void")) throw new Error("a refused conversation was made later");
  });
  await step("import-brings-it-home", async () => {
    await choose("Import Conversations", "Import Conversations", /^Pieces OS/);
    await notification(/Imported: [1-9]\d* new/).waitFor();
    await choose("Switch Backend", "Where are your conversations?", /^Local Service/);
    await says("Pieces local");
    await row("From far away").waitFor();
    await row("After the crash").waitFor();
    await shot("imported");
  });
  await step("import-of-a-file", async () => {
    const file = path.join(SCRATCH, "chats.jsonl");
    fs.writeFileSync(file, "");
    await choose("Import Conversations", "Import Conversations", /^A File…/);
    await titled("Import Conversations");
    await page.keyboard.press("Escape");
  });
};
