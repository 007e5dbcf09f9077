// Deleting with an undo, and the trash.

import * as vscode from "vscode";
import { close, show } from "../documents";
import { type ConversationItem, type Deleted, failure, type Started } from "../protocol";
import type { Server } from "../server";
import { isolated } from "../text";
import { ago, confirmsDelete, messages } from "../words";
import { sentence } from "../errors";

/** What was deleted last in this window. */
let last: ConversationItem | undefined;

/** Deletes at once, since it can be undone; asks first if the person wants that. */
export async function remove(server: Server, item: ConversationItem | undefined): Promise<void> {
  if (item === undefined || (confirmsDelete() && !(await confirmed(item)))) {
    return;
  }
  const argument = { conversation: item.id, confirm: false };
  try {
    await server.run("pieces.conversations.delete", argument);
  } catch (error) {
    // It could not be kept in the trash.
    if (failure(error)?.kind !== "refused" || !(await forGood(item, sentence(error)))) {
      throw error;
    }
    await server.run("pieces.conversations.delete", { ...argument, force: true });
    await close(item.id);
    return;
  }
  last = item;
  await close(item.id);
  offerUndo(item);
}

/** Not awaited: whoever deleted goes on. */
function offerUndo(item: ConversationItem): void {
  const { t } = vscode.l10n;
  const text = t("Deleted “{0}”.", isolated(item.name, 60));
  // Also where notifications are off.
  vscode.window.setStatusBarMessage(`$(trash) ${text}`, 10_000);
  void vscode.window.showInformationMessage(text, t("Undo")).then(async (answer) => {
    if (answer !== undefined) {
      await vscode.commands.executeCommand("piecesLsp.undoDelete");
    }
  });
}

/** Brings back what was deleted last here; else one from the trash. */
export async function undo(server: Server, given?: string): Promise<void> {
  const id = given ?? last?.id;
  last = undefined;
  await (id === undefined ? restore(server) : bringBack(server, id));
}

/** Brings one back from the trash. */
export async function restore(server: Server): Promise<void> {
  const { t } = vscode.l10n;
  const { items } = await server.run<{ items: Deleted[] }>("pieces.conversations.trash");
  if (items.length === 0) {
    void vscode.window.showInformationMessage(t("The trash is empty."));
    return;
  }
  const choices = items.map((one) => ({
    label: isolated(one.name),
    description: `${messages(one.messages)} · ${t("deleted {0}", ago(one.deleted))}`,
    id: one.conversation,
  }));
  const choice = await vscode.window.showQuickPick(choices, { title: t("Restore Conversation"), matchOnDescription: true });
  if (choice) {
    await bringBack(server, choice.id);
  }
}

async function bringBack(server: Server, id: string): Promise<void> {
  const restored = await server.run<Started>("pieces.conversations.restore", { conversation: id });
  await show(restored.conversation, { name: restored.name });
}

async function confirmed(item: ConversationItem): Promise<boolean> {
  const { t } = vscode.l10n;
  const name = isolated(item.name, 60);
  const question = item.messages === 0 ? t("Delete “{0}”?", name) : t("Delete “{0}” with {1}?", name, messages(item.messages));
  const options = { modal: true, detail: t("It stays in the trash for 30 days of use.") };
  return (await vscode.window.showWarningMessage(question, options, t("Delete"))) !== undefined;
}

async function forGood(item: ConversationItem, why: string): Promise<boolean> {
  const { t } = vscode.l10n;
  const question = t("Delete “{0}” for good? It cannot be restored.", isolated(item.name, 60));
  return (await vscode.window.showWarningMessage(question, { modal: true, detail: why }, t("Delete for Good"))) !== undefined;
}
