// Conversations dragged out of the view become links where they are dropped.

import * as vscode from "vscode";
import type { ConversationItem } from "./protocol";
import { link } from "./text";

/** What is dragged out of the view, as the drop into an editor reads it: JSON of `{name, uri}`s. */
export const DRAGGED = "application/vnd.pieces-lsp.conversations";

export function drag(items: readonly ConversationItem[], data: vscode.DataTransfer): void {
  if (items.length > 0) {
    const dragged = items.map(({ name, uri }) => ({ name, uri }));
    data.set(DRAGGED, new vscode.DataTransferItem(JSON.stringify(dragged)));
  }
}

/** Links to what was dropped into a text: in Markdown with their names, elsewhere as they are. */
export function drops(): vscode.Disposable {
  return vscode.languages.registerDocumentDropEditProvider("*", {
    async provideDocumentDropEdits(document, _position, data) {
      const dragged = await data.get(DRAGGED)?.asString();
      if (dragged === undefined) {
        return undefined;
      }
      const items = JSON.parse(dragged) as Pick<ConversationItem, "name" | "uri">[];
      const markdown = document.languageId === "markdown";
      return new vscode.DocumentDropEdit(items.map((one) => (markdown ? link(one) : one.uri)).join("\n"));
    },
  });
}
