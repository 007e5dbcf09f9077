// Asking about lines, where they are: VS Code's own box for comments takes the question.

import * as vscode from "vscode";
import { plain } from "../commands/start";
import { activeUri, conversationOf, show } from "../documents";
import { complain, sentence } from "../errors";
import type { Server } from "../server";
import { line } from "../text";
import type { Asks } from "./asks";

/** What a box is about: the lines, or the whole file. */
interface About {
  readonly uri: string;
  /** The last line of the selection, below which the box is. */
  readonly line: number;
  readonly range: vscode.Range | undefined;
}

/** VS Code draws what it has just been told of. */
const DRAWN = 150;
const PATIENCE = 2_000;

export class LinesBox implements vscode.Disposable {
  private readonly controller = vscode.comments.createCommentController("piecesLsp.ask", "Pieces Conversations");
  private boxes: readonly About[] = [];
  /** Told when VS Code has asked where boxes may be. */
  private readonly asked = new vscode.EventEmitter<string>();

  constructor(
    private readonly server: Server,
    private readonly asks: Asks,
  ) {
    const { t } = vscode.l10n;
    this.controller.options = { prompt: t("Ask about these lines"), placeHolder: t("A question about these lines. It starts a conversation.") };
  }

  dispose(): void {
    this.asked.dispose();
    this.controller.dispose();
  }

  /** A box at the range, by default the selection; null is about the whole file. */
  async open(uri?: vscode.Uri, range?: vscode.Range | null): Promise<void> {
    const target = uri ?? vscode.window.activeTextEditor?.document.uri ?? activeUri();
    if (target === undefined || conversationOf(target) !== undefined) {
      void vscode.window.showInformationMessage(vscode.l10n.t("Open a file to ask about it."));
      return;
    }
    const editor = await vscode.window.showTextDocument(target);
    const { selection } = editor;
    const selected = selection.isEmpty ? undefined : new vscode.Range(selection.start, selection.end);
    const about = range === undefined ? selected : (range ?? undefined);
    const place = about ?? new vscode.Range(selection.active, selection.active);
    editor.selection = new vscode.Selection(place.start, place.end);
    this.boxes = [...this.boxes, { uri: target.toString(), line: place.end.line, range: about }];
    this.server.wake();
    await this.allow(target);
    // Only a box that VS Code makes itself has the focus.
    await vscode.commands.executeCommand("workbench.action.addComment");
  }

  /**
   * Boxes may be anywhere, but only from the first question until it is sent: where they may be, VS Code shows a `+` at
   * every line that the pointer is on.
   */
  private async allow(uri: vscode.Uri): Promise<void> {
    const asked = new Promise<void>((resolve) => {
      const listening = this.asked.event((one) => {
        if (one === uri.toString()) {
          listening.dispose();
          resolve();
        }
      });
      setTimeout(() => {
        listening.dispose();
        resolve();
      }, PATIENCE);
    });
    this.controller.commentingRangeProvider = {
      provideCommentingRanges: (document) => {
        this.asked.fire(document.uri.toString());
        return [new vscode.Range(0, 0, document.lineCount, 0)];
      },
    };
    await asked;
    await new Promise((resolve) => setTimeout(resolve, DRAWN));
  }

  /** What was typed is a question now. The conversation opens beside as soon as it is there. */
  async send({ thread, text }: vscode.CommentReply): Promise<void> {
    const prompt = text.trim();
    if (prompt === "") {
      return;
    }
    const uri = thread.uri.toString();
    const box = this.boxes.findLast((one) => one.uri === uri && one.line === thread.range.end.line);
    // A box that was opened at the `+` is about its lines.
    const about = box ? box.range : new vscode.Range(thread.range.start.line, 0, thread.range.end.line + 1, 0);
    const range = about ? { range: plain(about) } : {};
    this.boxes = this.boxes.filter((one) => one !== box);
    const asking = this.asks.ask({ prompt, uri, ...range });
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
        thread.label = line(sentence(outcome.error), 200);
        thread.comments = [{ body: new vscode.MarkdownString().appendText(prompt), mode: vscode.CommentMode.Preview, author: { name: vscode.l10n.t("You") } }];
        thread.canReply = true;
      }
      await complain(this.server, outcome.error);
    }
  }

  close(thread: vscode.CommentThread): void {
    thread.dispose();
    if (this.boxes.length === 0) {
      Object.assign(this.controller, { commentingRangeProvider: undefined });
    }
  }
}
