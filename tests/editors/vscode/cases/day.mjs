// What a person does all day; the same wherever the conversations are.
import { until } from "../machine.mjs";

const message = (role, raw) => ({ role, fragment: { string: { raw } } });

export const day = async (session, place, { rest, create }, code, notes) => {
  const { page, step, shot, view, row, gone, tab, text, talk, said, box, notification, input, palette, option, look, titled, explorer, conversations } = session;
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
    await said("This summary is extractive").waitFor();
    await conversations();
    await row("This File").waitFor();
    await row("Today").waitFor();
    await row(`${code}, `).waitFor();
  });
  await step(`${place}-documents-follow-their-conversation`, async () => {
    const all = await rest("GET", "/conversations");
    const one = all.iterable.find(({ name }) => name === code);
    await rest("POST", "/messages/create", { ...message("USER", "How long is the longest pause?"), conversation: { id: one.id } });
    await said("How long is the longest pause").waitFor();
    // With its age and its messages, and only in the group of this file.
    await row(`${code}, now, 2 messages`).waitFor();
    if ((await view.getByRole("treeitem", { name: `${code}, ` }).count()) !== 1) throw new Error("it is in two groups");
    await shot(`${place}-conversation`);
    // As text it is a document that nobody can type into.
    await palette("Show Conversation as Text");
    await text("How long is the longest pause").click();
    await page.keyboard.type("x");
    await page.getByText("Cannot edit in read-only editor").first().waitFor();
    await page.locator(".tabs-container .tab.active .tab-actions .action-label").first().click();
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
    await row(`${notes}, `).waitFor();
    await said("This summary is extractive").waitFor();
  });
  await step(`${place}-search-as-one-types`, async () => {
    await look("Search Conversations", "leak", new RegExp(`Why does ${place} leak`));
    await option(new RegExp(notes)).waitFor({ state: "detached" });
    await shot(`${place}-search`);
    await option(new RegExp(`Why does ${place} leak`)).click();
    await said("Because it does.").waitFor();
  });
  await step(`${place}-search-in-messages-leads-to-the-message`, async () => {
    await look("Search Conversations", "longest pause", new RegExp(`${code}.*You`));
    await shot(`${place}-search-in-messages`);
    await option(new RegExp(code)).click();
    await said("How long is the longest pause").waitFor();
  });
  await step(`${place}-nothing-found-says-so`, async () => {
    await look("Search Conversations", "zzz nothing", /Nothing is called or says “zzz nothing”/);
    await page.keyboard.press("Escape");
  });
  await step(`${place}-new-is-a-place-to-type`, async () => {
    const before = (await rest("GET", "/conversations")).iterable.length;
    await palette("New Conversation");
    await box.waitFor();
    await tab("New Conversation").waitFor();
    // Nothing is made before something is asked.
    if ((await rest("GET", "/conversations")).iterable.length !== before) throw new Error("an empty conversation was made");
  });
  await step(`${place}-rename`, async () => {
    await create(`Plans in ${place}`, message("USER", "What next?"));
    await row(`Plans in ${place}`).dblclick();
    await talk.getByRole("heading", { name: `Plans in ${place}` }).waitFor();
    await tab(`Plans in ${place}`).waitFor();
    await palette("Rename Conversation");
    await titled("Rename Conversation");
    await until("the old name", async () => (await input.inputValue()) === `Plans in ${place}`);
    await input.fill(`Deeds in ${place}`);
    await page.keyboard.press("Enter");
    await row(`Deeds in ${place}`).waitFor();
    await gone(`Plans in ${place}`);
    // The tab too has the new name, where VS Code lets it.
    if (!process.env.OLDEST) await tab(`Deeds in ${place}`).waitFor();
    await talk.getByRole("heading", { name: `Deeds in ${place}` }).waitFor();
  });
  await step(`${place}-a-delete-can-be-undone`, async () => {
    await conversations();
    const remove = async () => {
      await row(`Why does ${place} leak`).hover();
      await row(`Why does ${place} leak`).getByRole("button", { name: /Delete Conversation/ }).click();
      await gone(`Why does ${place} leak`);
    };
    await remove();
    const deleted = notification(/Deleted “.*Why does .* leak/);
    await deleted.locator(".monaco-button", { hasText: "Undo" }).click();
    await deleted.waitFor({ state: "detached" });
    await row(`Why does ${place} leak`).waitFor();
    await remove();
    await page.keyboard.press("Escape");
    await palette("Clear All Notifications", "Notifications");
  });
  await step(`${place}-what-was-deleted-is-restored`, async () => {
    await palette("Restore Deleted Conversation");
    await titled("Restore Conversation");
    await option(new RegExp(`Why does ${place} leak`)).click();
    await conversations();
    await row(`Why does ${place} leak`).waitFor();
    await said("Because it does.").waitFor();
    await shot(`${place}-restored`);
  });
};
