// Importing from Pieces OS, a file or a folder.

import * as vscode from "vscode";
import { done } from "../progress";
import { failure, type Imported } from "../protocol";
import type { Server } from "../server";
import { isolated } from "../text";

/** Asks what to import from, and imports it. */
export async function importCommand(server: Server): Promise<void> {
  const { t } = vscode.l10n;
  const choices = [
    { label: t("Pieces OS"), detail: t("Everything that the Pieces OS on this machine has"), from: "pieces-os" },
    { label: t("A File…"), detail: t("An export, InkVault's vault.db, or the zip of a ChatGPT or Claude.ai data export"), from: "file" },
    { label: t("A Folder…"), detail: t("A Pieces archive, an unpacked data export, or the project logs of Claude Code"), from: "folder" },
  ];
  const choice = await vscode.window.showQuickPick(choices, { title: t("Import Conversations"), matchOnDetail: true });
  if (choice?.from === "pieces-os") {
    await fromPiecesOs(server);
  } else if (choice) {
    await fromDisk(server, choice.from === "file");
  }
}

async function fromPiecesOs(server: Server): Promise<void> {
  const { t } = vscode.l10n;
  try {
    await run(server);
  } catch (error) {
    if (failure(error)?.kind !== "offline") {
      throw error;
    }
    const [file, again] = [t("Import a File…"), t("Try Again")];
    const answer = await vscode.window.showErrorMessage(t("There is no running Pieces OS to import from."), file, again);
    if (answer === again) {
      await fromPiecesOs(server);
    } else if (answer === file) {
      await fromDisk(server, true);
    }
  }
}

async function fromDisk(server: Server, file: boolean): Promise<void> {
  const { t } = vscode.l10n;
  const chosen = await vscode.window.showOpenDialog({
    title: t("Import Conversations"),
    openLabel: t("Import"),
    canSelectFiles: file,
    canSelectFolders: !file,
  });
  if (chosen?.[0]) {
    await run(server, chosen[0].fsPath);
  }
}

async function run(server: Server, from?: string): Promise<void> {
  const { t } = vscode.l10n;
  const options = { location: vscode.ProgressLocation.Notification, title: t("Importing conversations"), cancellable: true };
  const counts = await vscode.window.withProgress(options, (progress, token) =>
    server.run<Imported>("pieces.import", from === undefined ? undefined : { from }, {
      token,
      progress: (message) => {
        progress.report({ message });
      },
    }),
  );
  done("imported");
  void vscode.window.showInformationMessage(told(counts));
}

function told({ source, new: added, updated, unchanged, unreadable }: Imported): string {
  const { t } = vscode.l10n;
  const parts = [t("Imported: {0} new, {1} updated of {2}.", added, updated, added + updated + unchanged)];
  if (source !== undefined) {
    parts.unshift(`${isolated(source)}:`);
  }
  if (unreadable > 0) {
    parts.push(t("{0} could not be read.", unreadable));
  }
  return parts.join(" ");
}
