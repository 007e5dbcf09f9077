// Asking about lines, where they are: VS Code's own box for comments takes the question.

import * as vscode from "vscode";
import { plain } from "../commands/start";
import { activeUri, conversationOf, show } from "../documents";
import { complain } from "../errors";
import type { Server } from "../server";
import { line } from "../text";
import { lines } from "../words";
import type { Asks } from "./asks";

interface Box {
  readonly thread: vscode.CommentThread;
  readonly range: vscode.Range | undefined;
}

export class LinesBox implements vscode.Disposable {
  private readonly controller = vscode.comments.createCommentController("piecesLsp.ask", "Pieces Conversations");
  private readonly boxes = new Set<Box>();

  constructor(
    private readonly server: Server,
    private readonly asks: Asks,
  ) {
    const { t } = vscode.l10n;
    this.controller.options = { prompt: t("Ask about these lines"), placeHolder: t("A question. It starts a conversation.") };
  }

  dispose(): void {
    this.controller.dispose();
  }

  /** A box at the range, by default the selection; null is about the whole file. */
  async open(uri?: vscode.Uri, range?: vscode.Range | null): Promise<void> {
    const { t } = vscode.l10n;
    const target = uri ?? vscode.window.activeTextEditor?.document.uri ?? activeUri();
    if (target === undefined || conversationOf(target) !== undefined) {
      void vscode.window.showInformationMessage(t("Open a file to ask about it."));
      return;
    }
    const editor = await vscode.window.showTextDocument(target);
    const { selection } = editor;
    const selected = selection.isEmpty ? undefined : new vscode.Range(selection.start, selection.end);
    const about = range === undefined ? selected : (range ?? undefined);
    const place = about ?? new vscode.Range(selection.active, selection.active);
    // VS Code gives an empty box the focus when it is drawn.
    const thread = this.controller.createCommentThread(target, place, []);
    thread.collapsibleState = vscode.CommentThreadCollapsibleState.Expanded;
    thread.canReply = true;
    const name = line(target.path.split("/").at(-1) ?? "", 60);
    thread.label = about ? t("Ask about {0}, {1}", name, lines(about)) : t("Ask about {0}", name);
    thread.contextValue = "ask";
    this.boxes.add({ thread, range: about });
    this.server.wake();
  }

  /** What was typed is a question now. The conversation opens beside as soon as it is there. */
  async send({ thread, text }: vscode.CommentReply): Promise<void> {
    const box = [...this.boxes].find((one) => one.thread === thread);
    const prompt = text.trim();
    if (prompt === "") {
      return;
    }
    const range = box?.range ? { range: plain(box.range) } : {};
    const asking = this.asks.ask({ prompt, uri: thread.uri.toString(), ...range });
    thread.canReply = false;
    thread.label = vscode.l10n.t("Asking…");
    const conversation = await asking.conversation;
    if (conversation !== undefined) {
      this.close(thread);
      await show(conversation, { preserveFocus: true, preview: false, viewColumn: vscode.ViewColumn.Beside });
    }
    const outcome = await asking.outcome;
    if ("error" in outcome) {
      if (conversation === undefined) {
        // Nothing that was typed is lost: it stands above the box, to be copied.
        thread.label = line(outcome.why, 200);
        thread.comments = [{ body: new vscode.MarkdownString().appendText(prompt), mode: vscode.CommentMode.Preview, author: { name: vscode.l10n.t("You") } }];
        thread.canReply = true;
      }
      await complain(this.server, outcome.error);
    }
  }

  close(thread: vscode.CommentThread): void {
    this.boxes.forEach((one) => {
      if (one.thread === thread) {
        this.boxes.delete(one);
      }
    });
    thread.dispose();
  }
}
