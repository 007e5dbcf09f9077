// Pieces conversations in VS Code. The server is started when something needs it, not before.

import * as vscode from "vscode";
import { register } from "./commands";
import { Server } from "./server";
import { statusItem } from "./status";
import { Conversations, drops } from "./view";

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  server = new Server(context);
  const view = new Conversations(server);
  context.subscriptions.push(server, view, statusItem(server), register(server, view), drops());
  const needed = vscode.workspace.textDocuments.some((one) => one.uri.scheme === "pieces-conversation");
  if (needed) {
    server.start().catch(() => undefined);
  }
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
