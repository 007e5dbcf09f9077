// Starting a conversation from a file or a selection.

import * as vscode from "vscode";
import { activeUri, show } from "../documents";
import { done } from "../progress";
import type { Started } from "../protocol";
import type { Server } from "../server";

/** From the given file; else from the selection or the file of the active editor. */
export async function start(server: Server, uri?: vscode.Uri): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const document = uri ?? editor?.document.uri ?? activeUri();
  if (document === undefined) {
    void vscode.window.showInformationMessage(vscode.l10n.t("Open a file to start a conversation about it."));
    return;
  }
  const own = editor?.document.uri.toString() === document.toString();
  const range = own && !editor.selection.isEmpty ? { range: plain(editor.selection) } : {};
  const argument = { uri: document.toString(), ...range, show: false };
  const started = await server.run<Started>("pieces.conversations.startFromDocument", argument);
  done("started");
  await show(started.conversation, { name: started.name });
}

/** A range as the protocol has it. */
export function plain({ start, end }: vscode.Range): { start: Place; end: Place } {
  const place = ({ line, character }: vscode.Position) => ({ line, character });
  return { start: place(start), end: place(end) };
}

interface Place {
  line: number;
  character: number;
}
