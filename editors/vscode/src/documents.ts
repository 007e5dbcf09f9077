// Documents of conversations. The server knows them as `pieces-conversation:/<id>.md`; in VS Code their path ends with
// the name, `pieces-conversation:/<id>/<name>.md`, because that is what a tab shows.

import * as vscode from "vscode";
import { line } from "./text";

const SCHEME = "pieces-conversation";
const MOST = 10_000;
const names = new Map<string, string>();

/** Remembers what conversations are called. */
export function learn(items: readonly { readonly id: string; readonly name: string }[]): void {
  for (const { id, name } of items) {
    names.set(id, name);
  }
  if (names.size > MOST) {
    names.clear();
  }
}

/** Where the document of a conversation is opened: where it is open already, so that there is one of each. */
function documentOf(id: string): vscode.Uri {
  const open = vscode.workspace.textDocuments.find((one) => conversationOf(one.uri) === id);
  if (open !== undefined) {
    return open.uri;
  }
  const name = line(names.get(id) ?? "").replace(/[/\\]/g, " ").slice(0, 60).trim();
  return vscode.Uri.from({ scheme: SCHEME, path: name === "" ? `/${id}.md` : `/${id}/${name}.md` });
}

/** Shows the document of a conversation, and remembers its name where it is given. */
export async function show(id: string, name?: string): Promise<void> {
  if (name !== undefined) {
    learn([{ id, name }]);
  }
  const document = await vscode.workspace.openTextDocument(documentOf(id));
  await vscode.window.showTextDocument(await vscode.languages.setTextDocumentLanguage(document, "markdown"), {
    preview: true,
  });
}

/** The conversation that a document is of. */
export function conversationOf(uri: vscode.Uri): string | undefined {
  return uri.scheme === SCHEME ? /^\/([^/]+?)(?:\.md|\/[^/]*)$/.exec(uri.path)?.[1] : undefined;
}

/** Whether the same conversation is open under another path, such as that of a link. */
export function openTwice(document: vscode.TextDocument): boolean {
  const id = conversationOf(document.uri);
  const same = (one: vscode.TextDocument) => one !== document && conversationOf(one.uri) === id;
  return id !== undefined && vscode.workspace.textDocuments.some(same);
}

export const converters = {
  code2Protocol(uri: vscode.Uri): string {
    const id = conversationOf(uri);
    return id === undefined ? uri.toString() : `${SCHEME}:/${id}.md`;
  },
  protocol2Code(text: string): vscode.Uri {
    const uri = vscode.Uri.parse(text);
    const id = conversationOf(uri);
    return id === undefined ? uri : documentOf(id);
  },
};
