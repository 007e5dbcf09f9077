// The editor of conversations: rendered, with a place to type. "Reopen With… Text" shows the document instead.

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { conversationOf, onGoTo, SCHEME, type Goal, VIEW_TYPE } from "../documents";
import { complain } from "../errors";
import type { Server } from "../server";
import type { Asks } from "./asks";
import type { CodeActions } from "./code";
import type { Drafts } from "./drafts";
import { html } from "./html";
import { Panel } from "./panel";
import { strings } from "./strings";
import { read } from "./wire";
import { zone } from "../words";

export interface Tools {
  readonly server: Server;
  readonly asks: Asks;
  readonly code: CodeActions;
  readonly drafts: Drafts;
  readonly extension: vscode.Uri;
}

export class Editor implements vscode.CustomReadonlyEditorProvider {
  /** By the path of their document. */
  private readonly panels = new Map<string, Panel>();
  /** Where a conversation that is about to open goes. */
  private readonly goals = new Map<string, Goal>();

  constructor(private readonly tools: Tools) {}

  register(): vscode.Disposable {
    const options = { supportsMultipleEditorsPerDocument: false, webviewOptions: { enableFindWidget: true } };
    return vscode.Disposable.from(
      vscode.window.registerCustomEditorProvider(VIEW_TYPE, this, options),
      onGoTo((goal) => {
        const panel = this.of(goal.id);
        if (panel) {
          panel.goTo(goal);
        } else {
          this.goals.set(goal.id, goal);
        }
      }),
    );
  }

  /** The panel that is in front, as for a key. */
  get active(): Panel | undefined {
    return [...this.panels.values()].find((panel) => panel.active);
  }

  of(id: string): Panel | undefined {
    return [...this.panels.values()].find((panel) => panel.id === id);
  }

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => undefined };
  }

  resolveCustomEditor({ uri }: vscode.CustomDocument, view: vscode.WebviewPanel): void {
    const { server, extension } = this.tools;
    const id = conversationOf(uri);
    const panel = new Panel(this.tools, id === NEW ? undefined : id, uri, view);
    this.panels.set(uri.path, panel);
    const listening = view.webview.onDidReceiveMessage((value: unknown) => {
      const message = read(value);
      if (message) {
        panel.onMessage(message).catch((error: unknown) => complain(server, error));
      }
    });
    view.onDidDispose(() => {
      listening.dispose();
      panel.dispose();
      this.panels.delete(uri.path);
    });
    const goal = id && this.goals.get(id);
    if (id && goal) {
      this.goals.delete(id);
      panel.goTo(goal);
    }
    const file = (...path: string[]) => view.webview.asWebviewUri(vscode.Uri.joinPath(extension, ...path)).toString();
    view.webview.options = { enableScripts: true, enableCommandUris: false, localResourceRoots: [vscode.Uri.joinPath(extension, "media"), vscode.Uri.joinPath(extension, "dist")] };
    view.iconPath = {
      light: vscode.Uri.joinPath(extension, "media", "tab-light.svg"),
      dark: vscode.Uri.joinPath(extension, "media", "tab-dark.svg"),
    };
    view.webview.html = html(
      {
        script: file("dist", "conversation.js"),
        style: file("media", "conversation.css"),
        source: view.webview.cspSource,
        nonce: randomBytes(16).toString("hex"),
      },
      { locale: vscode.env.language, zone: zone() ?? null, strings: strings() },
    );
  }
}

/** In place of an id: a conversation that is made when its first question is sent. */
export const NEW = "new";

let made = 0;

/** Where a new conversation is opened. */
export function newDocument(): vscode.Uri {
  const again = ++made === 1 ? "" : ` ${made}`;
  return vscode.Uri.from({ scheme: SCHEME, path: `/${NEW}/${vscode.l10n.t("New Conversation")}${again}` });
}
