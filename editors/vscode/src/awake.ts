// When the server is started without being asked for: when a document that is seen has to do with conversations.

import * as vscode from "vscode";
import { onLearn, SCHEME } from "./documents";
import { mentions } from "./mention";
import type { ConversationItem } from "./protocol";
import type { Server } from "./server";

const KNOWN_FILES = "files";
const MOST_FILES = 5_000;
/** A line that is longer is not looked at while it is typed. */
const LONG_LINE = 1_000;

export function awake(server: Server, memory: vscode.Memento): vscode.Disposable {
  const files = new Set(memory.get<string[]>(KNOWN_FILES, []));
  const waiting: vscode.Disposable[] = [];
  const wake = () => {
    vscode.Disposable.from(...waiting.splice(0)).dispose();
    server.wake();
  };
  const look = () => {
    const seen = vscode.window.visibleTextEditors.map(({ document }) => document);
    const conversations = vscode.workspace.textDocuments.some(({ uri }) => uri.scheme === SCHEME);
    if (conversations || seen.some((one) => files.has(one.uri.toString()) || mentions(one.getText()))) {
      wake();
    }
  };
  waiting.push(
    vscode.window.onDidChangeVisibleTextEditors(look),
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      const line = contentChanges.length === 1 && contentChanges[0] && document.lineAt(contentChanges[0].range.start.line);
      if (line && line.text.length < LONG_LINE && mentions(line.text)) {
        wake();
      }
    }),
  );
  look();
  return vscode.Disposable.from(
    {
      dispose: () => {
        vscode.Disposable.from(...waiting).dispose();
      },
    },
    onLearn((items) => {
      remember(files, items, memory);
    }),
  );
}

/** The files of conversations, for the next session. */
function remember(files: Set<string>, items: readonly ConversationItem[], memory: vscode.Memento): void {
  const before = files.size;
  for (const file of items.flatMap((one) => one.files)) {
    files.add(vscode.Uri.parse(file).toString());
  }
  if (files.size !== before) {
    void memory.update(KNOWN_FILES, [...files].slice(-MOST_FILES));
  }
}
