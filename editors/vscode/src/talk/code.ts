// What is done with code from an answer.

import * as vscode from "vscode";
import { plain } from "../commands/start";
import { failure } from "../protocol";
import type { Server } from "../server";

/** Editors that are remembered, should later ones be closed. */
const MOST_RECENT = 10;
const BLOCK_SCHEME = "pieces-code";
const NAMES: Readonly<Record<string, string>> = {
  "bash": "shellscript",
  "c++": "cpp",
  "cs": "csharp",
  "js": "javascript",
  "jsx": "javascriptreact",
  "md": "markdown",
  "py": "python",
  "rb": "ruby",
  "rs": "rust",
  "sh": "shellscript",
  "ts": "typescript",
  "tsx": "typescriptreact",
  "yml": "yaml",
  "zsh": "shellscript",
};

export interface Code {
  readonly conversation: string | undefined;
  readonly message: string;
  /** The server's number of the block, if it knows it. */
  readonly block: number | null;
  readonly language: string;
  readonly text: string;
}

/** Code actions need an editor: the last one that was active, as a page takes the focus away. */
export class CodeActions implements vscode.Disposable {
  private recent: readonly vscode.TextEditor[] = [vscode.window.activeTextEditor].filter(isCode);
  private readonly compared = new Map<string, string>();
  private readonly subscriptions: vscode.Disposable;

  constructor(private readonly server: Server) {
    this.subscriptions = vscode.Disposable.from(
      vscode.window.onDidChangeActiveTextEditor((editor) => {
        if (isCode(editor)) {
          const others = this.recent.filter(({ document }) => document !== editor.document);
          this.recent = [editor, ...others].slice(0, MOST_RECENT);
        }
      }),
      vscode.workspace.registerTextDocumentContentProvider(BLOCK_SCHEME, {
        provideTextDocumentContent: ({ path }) => this.compared.get(path) ?? "",
      }),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => {
        if (uri.scheme === BLOCK_SCHEME) {
          this.compared.delete(uri.path);
        }
      }),
    );
  }

  dispose(): void {
    this.subscriptions.dispose();
  }

  /** The file that was last worked on. */
  get document(): vscode.TextDocument | undefined {
    return this.editor()?.document;
  }

  async insert(one: Code): Promise<void> {
    const editor = this.editor();
    if (editor === undefined) {
      void vscode.window.showInformationMessage(vscode.l10n.t("Open the file to insert into, and put the cursor where the code belongs."));
      return;
    }
    const { document, selection } = editor;
    const shown = await vscode.window.showTextDocument(document, { viewColumn: editor.viewColumn ?? vscode.ViewColumn.Active, selection });
    if (one.block !== null && one.conversation !== undefined) {
      const { conversation, message, block } = one;
      const where = { uri: document.uri.toString(), range: plain(selection), expect: document.getText(selection) };
      const argument = { conversation, message, block, ...where };
      try {
        const { applied } = await this.server.run<{ applied: boolean }>("pieces.conversations.insertCode", argument);
        if (!applied) {
          void vscode.window.showWarningMessage(vscode.l10n.t("The text there has changed. Nothing was inserted."));
        }
        return;
      } catch (error) {
        // A server that does not know the message, as when it was read before a reload, has inserted nothing.
        if (!["invalid-argument", "not-found"].includes(failure(error)?.kind ?? "")) {
          throw error;
        }
      }
    }
    await shown.edit((edit) => {
      edit.replace(selection, one.text);
    });
  }

  async copy({ text }: Code): Promise<void> {
    await vscode.env.clipboard.writeText(text);
    vscode.window.setStatusBarMessage(vscode.l10n.t("The code is in the clipboard."), 3_000);
  }

  async newFile({ language, text }: Code): Promise<void> {
    const known = await vscode.languages.getLanguages();
    const name = NAMES[language.toLowerCase()] ?? language.toLowerCase();
    const document = await vscode.workspace.openTextDocument({ content: text, ...(known.includes(name) ? { language: name } : {}) });
    await vscode.window.showTextDocument(document, { preview: false });
  }

  /** With the selection, else with the whole file that was last worked on. */
  async compare({ message, block, text }: Code): Promise<void> {
    const editor = this.editor();
    if (editor === undefined) {
      void vscode.window.showInformationMessage(vscode.l10n.t("Open the file to compare with."));
      return;
    }
    const { document, selection } = editor;
    const name = document.uri.path.split("/").at(-1) ?? "";
    const path = `/${message}-${block ?? 0}/${name}`;
    this.compared.set(path, text);
    const right = vscode.Uri.from({ scheme: BLOCK_SCHEME, path });
    let left = document.uri;
    if (!selection.isEmpty) {
      const part = `/${message}-${block ?? 0}/selection/${name}`;
      this.compared.set(part, document.getText(selection));
      left = vscode.Uri.from({ scheme: BLOCK_SCHEME, path: part });
    }
    await vscode.commands.executeCommand("vscode.diff", left, right, vscode.l10n.t("{0} ↔ answer", name));
  }

  private editor(): vscode.TextEditor | undefined {
    const visible = vscode.window.visibleTextEditors;
    // A tab that is behind another keeps its document and its last selection.
    const last = this.recent.find(({ document }) => !document.isClosed);
    return visible.find(({ document }) => document === last?.document) ?? last ?? visible.find(isCode);
  }
}

/** Whether it is of something that can be written. */
function isCode(editor: vscode.TextEditor | undefined): editor is vscode.TextEditor {
  return editor !== undefined && ["file", "untitled", "vscode-remote"].includes(editor.document.uri.scheme);
}
