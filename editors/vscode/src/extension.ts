// Pieces conversations in VS Code. The server is started when something needs it, not before.

import * as vscode from "vscode";
import { awake } from "./awake";
import { register } from "./commands";
import { languages } from "./documents";
import { drops } from "./drag";
import { marks } from "./marks";
import { progress } from "./progress";
import { Server } from "./server";
import { statusItem } from "./status";
import { Asks } from "./talk/asks";
import { CodeActions } from "./talk/code";
import { Drafts } from "./talk/drafts";
import { Editor } from "./talk/editor";
import { LinesBox } from "./talk/lines";
import { Conversations } from "./view";

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const ticks = progress(context.globalState);
  server = new Server(context);
  const asks = new Asks(server);
  const view = new Conversations(server, asks);
  const code = new CodeActions(server);
  const lines = new LinesBox(server, asks);
  const drafts = new Drafts(context.workspaceState);
  const editor = new Editor({ server, asks, code, drafts, extension: context.extensionUri });
  context.subscriptions.push(
    server,
    view,
    asks,
    code,
    lines,
    editor.register(),
    statusItem(server, asks),
    register({ server, view, editor, lines }),
    ticks,
    drops(),
    languages(),
    marks(server),
    awake(server, context.globalState),
  );
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
