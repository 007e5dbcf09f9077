// Failures, as a person sees them.

import * as vscode from "vscode";
import { Missing } from "./find";
import type { Server } from "./server";
import { SECTION } from "./settings";
import { line } from "./text";

/** Plain text, for what VS Code shows itself. */
export function sentence(error: unknown): string {
  return marked(error).replaceAll("`", "");
}

/** What is typed or set stands in backticks. Settings have the names that they have in VS Code. */
export function marked(error: unknown): string {
  // Longer than a name: it says what to do at its end.
  const text = line(error instanceof Error ? error.message : String(error), 500);
  return text.replace(/`pieces\.(\w+)`/g, `\`${SECTION}.$1\``);
}

/** Says that a command failed, with what helps. What the person cancelled is no failure. */
export async function complain(server: Server, error: unknown): Promise<void> {
  if (error instanceof vscode.CancellationError) {
    return;
  }
  const { t } = vscode.l10n;
  const [settings, log] = [t("Open Settings"), t("Show Log")];
  const answer = await vscode.window.showErrorMessage(sentence(error), error instanceof Missing ? settings : log);
  if (answer === settings) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "piecesLsp.server.path");
  } else if (answer === log) {
    server.log.show();
  }
}
