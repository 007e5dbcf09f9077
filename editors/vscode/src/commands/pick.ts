// Choosing a conversation by its name.

import * as vscode from "vscode";
import type { ConversationItem, Page } from "../protocol";
import type { Server } from "../server";
import { isolated } from "../text";
import { ago, messages } from "../words";
import { pickAsOneTypes } from "./picker";

const MOST = 50;

/** Searches by name as one types; the server filters and ranks. */
export function pick(server: Server, title: string): Promise<ConversationItem | undefined> {
  const placeholder = vscode.l10n.t("Name of a conversation");
  return pickAsOneTypes<ConversationItem>(server, { title, placeholder }, (query, token) => named(server, query, token));
}

export async function named(server: Server, query: string, token: vscode.CancellationToken): Promise<Choice<ConversationItem>[]> {
  const { items } = await server.run<Page>("pieces.conversations.list", { query, limit: MOST }, { token });
  return items.map((item) => byName(item, item));
}

/** A row that may be chosen, or a remark. */
export interface Choice<T> extends vscode.QuickPickItem {
  readonly value?: T;
}

export function byName<T>(item: ConversationItem, value: T): Choice<T> {
  return {
    label: isolated(item.name),
    // Equal names are told apart by their age.
    description: `${ago(item.updated)} · ${messages(item.messages)}`,
    // The order is the server's, and what it found is shown whatever VS Code's own filter says.
    alwaysShow: true,
    value,
  };
}

/** The conversation about a file; if there are several, the one that the person chooses. */
export async function ofFile(server: Server, uri: string): Promise<string | undefined> {
  const { items } = await server.run<Page>("pieces.conversations.list", { uri, limit: 100 });
  const [only] = items;
  if (items.length < 2) {
    return only?.id;
  }
  const title = vscode.l10n.t("Conversations about This File");
  const choice = await vscode.window.showQuickPick(items.map((item) => byName(item, item.id)), { title });
  return choice?.value;
}
