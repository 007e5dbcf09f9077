// The status bar item: live, local or offline, whether an answer is being written, and what can be done.

import * as vscode from "vscode";
import { sentence } from "./errors";
import type { Server, Shown } from "./server";
import type { Asks } from "./talk/asks";
import { conversations } from "./words";

/** The state in a sentence. */
export function stateOf(shown: Shown): string {
  const { t } = vscode.l10n;
  switch (shown) {
    case "idle":
      return t("It starts when it is needed.");
    case "starting":
      return t("The server is starting.");
    case "missing":
      return t("The server was not found.");
    case "stopped":
      return t("The server is not running.");
    default:
  }
  if (shown.error !== undefined) {
    return sentence(shown.error);
  }
  switch (shown.state) {
    case "offline":
      return t("Pieces OS is not responding.");
    case "live":
      return shown.backend === "local"
        ? t("{0}, kept on this machine", conversations(shown.conversations))
        : t("{0} in Pieces OS", conversations(shown.conversations));
    default:
      return t("Connecting…");
  }
}

export function statusItem(server: Server, asks: Asks): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("piecesLsp.status", vscode.StatusBarAlignment.Right, 90);
  item.name = "Pieces Conversations";
  item.command = "piecesLsp.status";
  let answers = 0;
  const show = () => {
    draw(item, server.status);
    if (answers > 0) {
      item.text = `$(sync~spin) ${vscode.l10n.t("Pieces: writing…")}`;
    }
  };
  show();
  item.show();
  const writing = asks.onBusy(({ size }) => {
    answers = size;
    show();
  });
  return vscode.Disposable.from(item, server.onStatus(show), writing);
}

function draw(item: vscode.StatusBarItem, shown: Shown): void {
  const state = typeof shown === "string" ? shown : shown.state;
  void vscode.commands.executeCommand("setContext", "piecesLsp.state", state);
  item.text = `${icon(shown, state)} ${name(shown, state)}`;
  const broken = state === "missing" || state === "stopped";
  item.backgroundColor = broken ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  item.tooltip = tooltip(stateOf(shown));
  item.accessibilityInformation = { label: `Pieces Conversations: ${stateOf(shown)}`, role: "button" };
}

function icon(shown: Shown, state: string): string {
  switch (state) {
    case "idle":
      return "$(comment-discussion)";
    case "live":
      return typeof shown !== "string" && shown.backend === "local" ? "$(database)" : "$(comment-discussion)";
    case "offline":
    case "missing":
    case "stopped":
      return "$(debug-disconnect)";
    default:
      return "$(sync~spin)";
  }
}

function name(shown: Shown, state: string): string {
  const { t } = vscode.l10n;
  if (state === "offline" || state === "missing" || state === "stopped") {
    return t("Pieces offline");
  }
  return state === "live" && typeof shown !== "string" && shown.backend === "local" ? t("Pieces local") : "Pieces";
}

function tooltip(text: string): vscode.MarkdownString {
  const { t } = vscode.l10n;
  const commands = { search: t("Search"), new: t("New"), switchBackend: t("Switch Backend"), showLog: t("Show Log") };
  const links = Object.entries(commands).map(([command, title]) => `[${title}](command:piecesLsp.${command})`);
  const markdown = new vscode.MarkdownString();
  markdown.appendText(text);
  markdown.appendMarkdown(`\n\n${links.join(" · ")}`);
  markdown.isTrusted = { enabledCommands: Object.keys(commands).map((command) => `piecesLsp.${command}`) };
  return markdown;
}
