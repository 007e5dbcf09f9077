// Where conversations are kept.

import * as vscode from "vscode";
import { set } from "../settings";

export async function switchBackend(): Promise<void> {
  const { t } = vscode.l10n;
  const choices = [
    { label: t("Automatic"), backend: "auto", detail: t("Pieces OS if it answers at start, else the local service") },
    { label: t("Pieces OS"), backend: "pieces-os", detail: t("The Pieces OS on this machine") },
    { label: t("Local Service"), backend: "local", detail: t("The service inside pieces-lsp, with its data on this machine") },
  ];
  const choice = await vscode.window.showQuickPick(choices, { title: t("Where are your conversations?") });
  if (choice) {
    await set("backend", choice.backend);
  }
}

export async function useLocal(): Promise<void> {
  await set("backend", "local");
}
