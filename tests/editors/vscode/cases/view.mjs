// The view by keyboard, and what it does while one reads.
import { local, message, until } from "../machine.mjs";

export default async ({ page, step, shot, view, row, gone, tab, said, input, palette, titled, conversations, closeAll, explorer }) => {
  const clip = () => page.evaluate(() => navigator.clipboard.readText());
  const focused = (name) => until(`the focus on ${name}`, async () => (await view.locator(".monaco-list-row.focused").getAttribute("aria-label"))?.startsWith(name));
  await step("the-view-is-walked-by-keyboard", async () => {
    for (const name of ["Third", "Second", "First"]) await local.create(`${name} of three`, message("USER", `Words of the ${name.toLowerCase()}.`));
    await closeAll();
    await conversations();
    await row("First of three").click();
    await said("Words of the first.").waitFor();
    // The focus stays in the list.
    await page.keyboard.press("ArrowDown");
    await focused("Second of three");
    await page.keyboard.press("Enter");
    await said("Words of the second.").waitFor();
    await page.keyboard.press("ArrowDown");
    await focused("Third of three");
    await page.keyboard.press("Control+c");
    await until("the link", async () => (await clip()).includes("[Third of three](pieces-conversation:/"));
    await page.keyboard.press("F2");
    await titled("Rename Conversation");
    await until("the old name", async () => (await input.inputValue()) === "Third of three");
    await input.fill("Last of three");
    await page.keyboard.press("Enter");
    await row("Last of three").waitFor();
    await row("Last of three").click();
    await page.keyboard.press("Delete");
    await gone("Last of three");
    await page.keyboard.press("Control+z");
    await row("Last of three").waitFor();
  });
  await step("the-view-follows-the-open-conversation", async () => {
    await closeAll();
    await row("First of three").dblclick();
    await tab("First of three").waitFor();
    await row("Second of three").dblclick();
    await tab("Second of three").waitFor();
    await tab("First of three").click();
    await until("its row", async () => (await row("First of three").getAttribute("aria-selected")) === "true");
    // VS Code gives a page the focus once it is loaded, and would take it from the palette.
    await said("Words of the first.").waitFor();
    await closeAll();
  });
  await step("from-a-source-file-it-is-asked-which", async () => {
    await explorer("retry.rs");
    await palette("Rename Conversation");
    await titled("Rename Conversation");
    await page.getByPlaceholder("Name of a conversation").first().waitFor();
    await page.keyboard.press("Escape");
    await closeAll();
  });
  await step("a-delete-works-under-do-not-disturb", async () => {
    await palette("Toggle Do Not Disturb Mode", "Notifications");
    await conversations();
    await row("This File").waitFor({ state: "detached" });
    await row("Second of three").click();
    await until("it is selected", async () => (await row("Second of three").getAttribute("aria-selected")) === "true");
    await page.keyboard.press("Delete");
    await gone("Second of three");
    await page.locator(".statusbar-item", { hasText: "Deleted “" }).waitFor();
    await shot("do-not-disturb");
    await palette("Undo Delete");
    await row("Second of three").waitFor();
    await palette("Toggle Do Not Disturb Mode", "Notifications");
  });
};
