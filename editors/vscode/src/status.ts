// The status bar item: live, local or offline, and what to do about it on a click.

import * as vscode from "vscode";
import type { Server, Shown } from "./server";
import { line } from "./text";

const NONE = { starting: "The server is starting.", missing: "The server was not found.", stopped: "The server is not running." };

export function statusItem(server: Server): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("piecesLsp.status", vscode.StatusBarAlignment.Right, 90);
  item.name = "Pieces Conversations";
  item.command = "piecesLsp.status";
  const warning = new vscode.ThemeColor("statusBarItem.warningBackground");
  const show = (shown: Shown) => {
    const state = typeof shown === "string" ? shown : shown.state;
    void vscode.commands.executeCommand("setContext", "piecesLsp.state", state);
    const local = typeof shown !== "string" && shown.backend === "local";
    switch (state) {
      case "live":
        item.text = local ? "$(database) Pieces local" : "$(comment-discussion) Pieces";
        break;
      case "offline":
      case "missing":
      case "stopped":
        item.text = "$(debug-disconnect) Pieces offline";
        break;
      default:
        item.text = "$(sync~spin) Pieces";
    }
    item.backgroundColor = state === "missing" || state === "stopped" ? warning : undefined;
    item.tooltip = typeof shown === "string" ? NONE[shown] : line(shown.error ?? `${shown.backend}, ${state}`);
    item.show();
  };
  return vscode.Disposable.from(item, server.onStatus(show));
}
