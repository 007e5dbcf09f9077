// In another language: the extension's own words are German.
import { local, message } from "../machine.mjs";

export default async ({ page, step, shot, row, says, talk, palette, files, conversations, closeAll }) => {
  await step("in-german-after-a-reload", async () => {
    await local.create("Warum Jitter?", message("USER", "Warum?"), message("ASSISTANT", "Darum."));
    // What a language pack would set.
    await page.addInitScript(() => Object.defineProperty(globalThis, "_VSCODE_NLS_LANGUAGE", { get: () => "de", set: () => undefined }));
    await closeAll();
    await files();
    await page.reload();
    await page.waitForSelector(".monaco-workbench");
    // Before anything else has started the server.
    await page.locator(".statusbar-item", { hasText: "Pieces" }).first().waitFor();
    await palette("Neue Unterhaltung");
    await talk.getByText("Es ist noch kein Sprachmodell gewählt.").waitFor();
    await says("Pieces lokal");
    await conversations();
    await row("Heute").waitFor();
    await row("Warum Jitter\\?, jetzt, 2 Nachrichten").dblclick();
    await talk.getByRole("heading", { name: "Sie" }).waitFor();
    await talk.getByRole("textbox", { name: "Eine Frage stellen" }).waitFor();
    await talk.getByRole("button", { name: "Datei hinzufügen …" }).waitFor();
    await page.getByRole("button", { name: "Unterhaltungen durchsuchen" }).first().waitFor();
    await shot("german");
  });
};
