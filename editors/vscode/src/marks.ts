// Tabs of conversations that were deleted are marked, as those of deleted files are.

import * as vscode from "vscode";
import { conversationOf, tabs } from "./documents";
import type { Server } from "./server";

export function marks(server: Server): vscode.Disposable {
  const gone = new Set<string>();
  const changed = new vscode.EventEmitter<vscode.Uri[]>();
  const provider: vscode.FileDecorationProvider = {
    onDidChangeFileDecorations: changed.event,
    provideFileDecoration: (uri) => {
      const id = conversationOf(uri);
      return id !== undefined && gone.has(id)
        ? new vscode.FileDecoration("D", vscode.l10n.t("Deleted"), new vscode.ThemeColor("gitDecoration.deletedResourceForeground"))
        : undefined;
    },
  };
  return vscode.Disposable.from(
    changed,
    vscode.window.registerFileDecorationProvider(provider),
    server.onChanges(({ upserted, removed }) => {
      const shown = tabs().map(({ uri }) => uri);
      const open = (id: string) => shown.filter((uri) => conversationOf(uri) === id);
      const back = upserted.filter(({ id }) => gone.delete(id)).map(({ id }) => id);
      // Only what is open can be marked.
      const lost = removed.filter((id) => open(id).length > 0);
      lost.forEach((id) => gone.add(id));
      const uris = [...back, ...lost].flatMap(open);
      if (uris.length > 0) {
        changed.fire(uris);
      }
    }),
  );
}
