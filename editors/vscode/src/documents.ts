// Documents of conversations. The server knows them as `pieces-conversation:/<id>.md`; in VS Code their path ends with
// the name, `pieces-conversation:/<id>/<name>`, because that is what a tab shows.

import * as vscode from "vscode";
import type { ConversationItem } from "./protocol";
import { fileName } from "./text";

export const SCHEME = "pieces-conversation";
const LANGUAGE = "pieces-conversation";
const MOST = 10_000;
const names = new Map<string, string>();
const learned = new vscode.EventEmitter<readonly ConversationItem[]>();
/** Whenever the server has told of conversations. */
export const onLearn = learned.event;

/** Remembers what conversations are called. */
export function learn(items: readonly ConversationItem[]): void {
  if (names.size > MOST) {
    names.clear();
  }
  for (const { id, name } of items) {
    names.set(id, name);
  }
  learned.fire(items);
}

/** What it was last seen to be called. */
export function nameOf(id: string): string | undefined {
  return names.get(id);
}

/** Where the document of a conversation is opened: where it is open already, so that there is one of each. */
export function documentOf(id: string): vscode.Uri {
  const open = [...tabs().map(({ uri }) => uri), ...vscode.workspace.textDocuments.map(({ uri }) => uri)];
  const same = open.find((uri) => conversationOf(uri) === id);
  if (same !== undefined) {
    return same;
  }
  const name = fileName(names.get(id) ?? "");
  return vscode.Uri.from({ scheme: SCHEME, path: name === "" ? `/${id}.md` : `/${id}/${name}` });
}

/** The conversation that a document is of. */
export function conversationOf(uri: vscode.Uri): string | undefined {
  return uri.scheme === SCHEME ? /^\/([^/]+?)(?:\.md|\/[^/]*)$/.exec(uri.path)?.[1] : undefined;
}

/** Where in a conversation to go. */
export interface Goal {
  readonly id: string;
  /** The message to show, or the line of the document that it stands at. */
  readonly message?: string | undefined;
  readonly line?: number | undefined;
  /** The words in it that were looked for. */
  readonly words?: string | undefined;
}

export interface How extends Omit<Goal, "id"> {
  readonly name?: string;
  readonly preserveFocus?: boolean;
  readonly preview?: boolean;
  readonly viewColumn?: vscode.ViewColumn;
}

/** The editor of conversations. */
export const VIEW_TYPE = "piecesLsp.conversation";
const goals = new vscode.EventEmitter<Goal>();
/** Whenever a conversation is shown for the sake of a message. */
export const onGoTo = goals.event;

/** Shows a conversation, and remembers its name where it is given. */
export async function show(id: string, how: How = {}): Promise<void> {
  const { name, message, line, words, preserveFocus, preview, viewColumn } = how;
  if (name !== undefined) {
    names.set(id, name);
  }
  if (message !== undefined || line !== undefined) {
    goals.fire({ id, message, line, words });
  }
  const uri = documentOf(id);
  const options = { preview: preview ?? true, preserveFocus: preserveFocus ?? false };
  const open = tabs().find((one) => one.uri.toString() === uri.toString());
  const column = viewColumn ?? open?.tab.group.viewColumn ?? vscode.ViewColumn.Active;
  if (open?.tab.input instanceof vscode.TabInputText) {
    await showText(uri, { ...options, viewColumn: column }, line);
  } else {
    await vscode.commands.executeCommand("vscode.openWith", uri, VIEW_TYPE, { ...options, viewColumn: column });
  }
}

/** Shows the document itself, as text. */
export async function showText(uri: vscode.Uri, options: vscode.TextDocumentShowOptions = {}, line?: number): Promise<void> {
  const document = await spoken(await vscode.workspace.openTextDocument(uri));
  const selection = line === undefined ? {} : { selection: document.validateRange(new vscode.Range(line, 0, line, 0)) };
  await vscode.window.showTextDocument(document, { ...options, ...selection });
}

/** A conversation has a language of its own: Markdown that is read, without what helps to write it. */
async function spoken(document: vscode.TextDocument): Promise<vscode.TextDocument> {
  return document.languageId === LANGUAGE ? document : vscode.languages.setTextDocumentLanguage(document, LANGUAGE);
}

/** Whatever opens a conversation's document. */
export function languages(): vscode.Disposable {
  return vscode.workspace.onDidOpenTextDocument((document) => {
    if (document.uri.scheme === SCHEME) {
      void spoken(document);
    }
  });
}

/** The tabs that show documents, and what they show. */
export function tabs(): { tab: vscode.Tab; uri: vscode.Uri }[] {
  const all = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return all.flatMap((tab) => {
    const { input } = tab;
    const shows = input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom;
    return shows ? [{ tab, uri: input.uri }] : [];
  });
}

/** The document of the active tab: a tab that has just opened is there before its editor. */
export function activeUri(): vscode.Uri | undefined {
  const active = vscode.window.tabGroups.activeTabGroup.activeTab;
  return tabs().find(({ tab }) => tab === active)?.uri;
}

/** Closes what shows a conversation, as when it was deleted here. */
export async function close(id: string): Promise<void> {
  await vscode.window.tabGroups.close(tabs().filter(({ uri }) => conversationOf(uri) === id).map(({ tab }) => tab), true);
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
