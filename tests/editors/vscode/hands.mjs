// What a person does with a window: rows, tabs, the palette, menus.
import path from "node:path";
import { shots, until } from "./machine.mjs";

let taken = 0;

/** Hands on a window. */
export function handsOn(page) {
  const shot = (name) => page.screenshot({ path: path.join(shots, `${String(++taken).padStart(2, "0")}-${name}.png`) });
  const view = page.locator(".pane", { hasText: "Conversations" });
  const row = (name) => view.getByRole("treeitem", { name: new RegExp(`^${name}`) }).first();
  const gone = (name) => row(name).waitFor({ state: "detached" });
  const tab = (name) => page.locator(".tabs-container .tab", { hasText: name });
  const text = (what) => page.locator(".view-line", { hasText: what }).first();
  /** The conversation that is shown: its page, what was said in it, and the place to type. */
  const talk = page.frameLocator("iframe.webview.ready:visible").last().frameLocator("iframe#active-frame");
  const said = (what) => talk.locator("article", { hasText: what }).first();
  const box = talk.getByRole("textbox", { name: "Ask a question" });
  /** Opens a conversation. A row that moves under the pointer takes no click: again, as a person would. */
  const openRow = async (name) => {
    for (let tries = 0; ; tries++) {
      await row(name).dblclick();
      try {
        await talk.getByRole("heading", { name: new RegExp(`^${name}`), level: 1 }).waitFor({ timeout: 4_000 });
        return;
      } catch (error) {
        if (tries === 5) throw error;
      }
    }
  };
  const notification = (what) => page.locator(".notification-list-item", { hasText: what }).first();
  const input = page.locator(".quick-input-widget .quick-input-box input");
  /** What a page takes the focus from closes, as a palette does that is opened while the page loads: again, as a person would. */
  const again = async (times, attempt) => {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (tries === times) throw error;
      }
    }
  };
  const palette = async (command, category = "Pieces Conversations") => {
    const row = page.locator(".quick-input-list .monaco-list-row").filter({ has: page.getByText(`${category}: ${command}`, { exact: true }) }).first();
    await again(6, async () => {
      await page.keyboard.press("F1");
      await input.waitFor({ timeout: 4_000 });
      await input.fill(`>${category}: ${command}`, { timeout: 4_000 });
      // Enter would take the focused one, which is another while the list is still being filtered.
      await row.hover({ timeout: 10_000 });
      await row.click({ timeout: 4_000 });
    });
    // The next one must not find this one's input, which is about to go.
    await row.waitFor({ state: "hidden" });
  };
  const option = (name) => page.getByRole("option", { name }).first();
  /** Runs a command and chooses from its list. */
  const choose = (command, title, name) =>
    again(4, async () => {
      await palette(command);
      await titled(title, 5_000);
      await option(name).click({ timeout: 5_000 });
    });
  /** Types into the list of a command until it shows something. */
  const look = (command, words, wanted) =>
    again(4, async () => {
      await palette(command);
      await titled(command, 5_000);
      await input.pressSequentially(words, { timeout: 5_000 });
      await option(wanted).waitFor({ timeout: 20_000 });
    });
  const says = (what) => page.locator(".statusbar-item", { hasText: what }).first().waitFor();
  const closeAll = async () => {
    await palette("Close All Editors", "View");
    await page.locator(".tabs-container .tab").first().waitFor({ state: "detached" });
  };
  const menu = async (where, name) => {
    await where.click({ button: "right" });
    const entry = page.getByRole("menuitem", { name }).first();
    await entry.waitFor();
    // The menu takes no click that comes right after the one that opened it.
    await until("the menu to close", async () => {
      if (await entry.isVisible()) await entry.click({ timeout: 1_000 }).catch(() => {});
      return !(await entry.isVisible());
    });
  };
  /** Light Modern, Dark Modern, Light High Contrast, Dark High Contrast */
  const theme = async (name) => {
    await palette("Color Theme", "Preferences");
    await page.getByPlaceholder(/^Select Color Theme/).waitFor();
    await input.fill(name);
    await option(new RegExp(`^${name}`)).click();
    await input.waitFor({ state: "hidden" });
  };
  const titled = (title, timeout) => page.locator(".quick-input-title", { hasText: title }).first().waitFor({ timeout });
  const files = async () => {
    // A click on what is already shown would hide it.
    const shown = page.locator(".explorer-folders-view").first();
    for (let tries = 0; !(await shown.isVisible()); tries++) {
      await page.getByRole("tab", { name: /^Explorer/ }).first().click();
      await shown.waitFor({ timeout: 4_000 }).catch((error) => {
        if (tries === 5) throw error;
      });
    }
  };
  const explorer = async (file) => {
    await files();
    await page.getByRole("treeitem", { name: file }).first().dblclick();
    await tab(file).waitFor();
    await page.locator(`.editor-instance .view-line`).first().waitFor();
  };
  const conversations = async () => {
    // A click on what is about to be shown hides it: again, as a person would.
    for (let tries = 0; !(await view.first().isVisible()); tries++) {
      await page.getByRole("tab", { name: "Pieces" }).first().click();
      await view.first().waitFor({ timeout: 4_000 }).catch((error) => {
        if (tries === 5) throw error;
      });
    }
  };

  return { page, shot, view, row, gone, tab, text, talk, said, box, openRow, notification, input, palette, option, choose, look, says, closeAll, menu, titled, files, explorer, conversations, theme };
}
