// What the status item leads to: a list, so that it works where notifications are off.

import * as vscode from "vscode";
import { stateOf } from "../status";
import type { Server } from "../server";

export async function status(server: Server): Promise<void> {
  const { t } = vscode.l10n;
  if (server.status === "idle") {
    await server.start();
  }
  const offline = typeof server.status === "string" || server.status.state === "offline";
  const all = [
    { label: `$(search) ${t("Search Conversations…")}`, command: "search" },
    { label: `$(add) ${t("New Conversation")}`, command: "new" },
    { label: `$(database) ${t("Switch Backend…")}`, command: "switchBackend" },
    { label: `$(cloud-download) ${t("Import Conversations…")}`, command: "import" },
    { label: `$(output) ${t("Show Log")}`, command: "showLog" },
    { label: `$(debug-restart) ${t("Restart Server")}`, command: "restart" },
  ];
  // What helps comes first.
  const choices = offline ? all.toReversed() : all;
  const choice = await vscode.window.showQuickPick(choices, { title: stateOf(server.status) });
  if (choice) {
    await vscode.commands.executeCommand(`piecesLsp.${choice.command}`);
  }
}
