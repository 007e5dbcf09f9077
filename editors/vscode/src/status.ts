// The status bar item: live, local or offline, and what to do about it on a click.

import * as vscode from "vscode";
import type { Status } from "./protocol";
import type { Server } from "./server";
import { line } from "./view";

export function statusItem(server: Server): vscode.Disposable {
  const item = vscode.window.createStatusBarItem("piecesLsp.status", vscode.StatusBarAlignment.Right, 90);
  item.name = "Pieces Conversations";
  item.command = "piecesLsp.status";
  const show = (status: Status | undefined) => {
    const state = status?.state ?? "missing";
    void vscode.commands.executeCommand("setContext", "piecesLsp.state", state);
    const local = status?.backend === "local";
    switch (state) {
      case "live":
        item.text = local ? "$(database) Pieces local" : "$(comment-discussion) Pieces";
        break;
      case "offline":
      case "missing":
        item.text = "$(debug-disconnect) Pieces offline";
        break;
      default:
        item.text = "$(sync~spin) Pieces";
    }
    item.tooltip = line(status?.error ?? (status === undefined ? "The server is not running." : `${status.backend}, ${state}`));
    item.show();
  };
  return vscode.Disposable.from(item, server.onStatus(show));
}
