// The commands of the palette. Their ids differ from the server's, which the language client registers.

import * as vscode from "vscode";
import { activeUri, conversationOf, show, showText, VIEW_TYPE, documentOf } from "../documents";
import { complain } from "../errors";
import { done } from "../progress";
import type { ConversationItem, Page, Started } from "../protocol";
import type { Server } from "../server";
import { link } from "../text";
import { type Editor, newDocument } from "../talk/editor";
import type { LinesBox } from "../talk/lines";
import { choose, setModel } from "../talk/models";
import type { Conversations } from "../view";
import { switchBackend, useLocal } from "./backend";
import { remove, restore, undo } from "./delete";
import { importCommand } from "./import";
import { ofFile, pick } from "./pick";
import { search } from "./search";
import { start } from "./start";
import { status } from "./status";

interface Parts {
  readonly server: Server;
  readonly view: Conversations;
  readonly editor: Editor;
  readonly lines: LinesBox;
}

/** What a command is about: a row, a conversation that a hover is about, the focused row of the view, or nothing yet. */
type Target = { readonly item: ConversationItem } | { readonly conversation: string } | "view" | undefined;

export function register({ server, view, editor, lines }: Parts): vscode.Disposable {
  const { t } = vscode.l10n;
  const command = (name: string, run: (...args: never[]) => unknown) =>
    vscode.commands.registerCommand(`piecesLsp.${name}`, async (...args: never[]) => {
      try {
        return await run(...args);
      } catch (error) {
        await complain(server, error);
        return undefined;
      }
    });
  /** The conversation of the target, else the one that is open, else the one that the person picks. */
  const chosen = async (target: Target, title: string): Promise<ConversationItem | undefined> => {
    if (target === "view") {
      return view.focused();
    }
    if (target !== undefined && "item" in target) {
      return target.item;
    }
    const uri = activeUri();
    const id = target?.conversation ?? (uri && conversationOf(uri));
    return (id === undefined ? undefined : await item(server, id)) ?? pick(server, title);
  };
  const browse = browsing(view);
  // What an editor without this extension does by talk files.
  server.intercept("pieces.conversations.talk", async ({ conversation, uri, range }) => {
    if (typeof conversation === "string") {
      await show(conversation, { preview: false });
      editor.of(conversation)?.focus();
    } else if (typeof uri === "string") {
      await lines.open(vscode.Uri.parse(uri), range === undefined ? null : ranged(range as Lsp));
    }
  });
  server.intercept("pieces.conversations.open", async (argument) => {
    const found = typeof argument.uri === "string" ? await ofFile(server, argument.uri) : argument.conversation;
    if (typeof found === "string") {
      await show(found);
    }
  });
  server.intercept("pieces.conversations.delete", async ({ conversation }) => {
    await remove(server, typeof conversation === "string" ? await item(server, conversation) : undefined);
  });
  for (const name of ["createFromAsset", "startFromDocument"].map((one) => `pieces.conversations.${one}`)) {
    server.intercept(name, async (argument) => {
      const started = await server.run<Started>(name, { ...argument, show: false });
      done("started");
      await show(started.conversation, { name: started.name });
      return started;
    });
  }
  return vscode.Disposable.from(
    command("start", (uri?: vscode.Uri) => start(server, uri)),
    // It is made when its first question is sent: no empty conversations are left behind.
    command("new", () => vscode.commands.executeCommand("vscode.openWith", newDocument(), VIEW_TYPE, { preview: false })),
    command("ask", () => lines.open()),
    command("askFile", async (uri?: vscode.Uri) => {
      await lines.open(uri, null);
    }),
    command("sendComment", (reply: vscode.CommentReply) => lines.send(reply)),
    command("closeComment", (target: vscode.CommentReply | vscode.CommentThread) => {
      lines.close("thread" in target ? target.thread : target);
    }),
    command("model", async () => {
      const panel = editor.active;
      if (panel) {
        await panel.chooseModel();
        return;
      }
      const model = await choose(server);
      if (model !== undefined) {
        await setModel(model);
      }
    }),
    command("stop", async (target: Target) => {
      if (target === undefined && editor.active) {
        await editor.active.stop();
      } else {
        const item = await chosen(target, t("Stop the Answer"));
        await (item && server.run("pieces.conversations.stop", { conversation: item.id }));
      }
    }),
    command("asText", async (target: Target) => {
      const uri = activeUri();
      if (target === undefined && uri && conversationOf(uri) !== undefined) {
        await showText(uri, { preview: false });
      } else {
        const item = await chosen(target, t("Show Conversation as Text"));
        await (item && showText(documentOf(item.id), { preview: false }));
      }
    }),
    command("search", () => search(server)),
    command("browse", ({ item }: { item: ConversationItem }) => browse(item)),
    command("open", async (target: Target) => {
      const item = target === undefined ? await pick(server, t("Open Conversation")) : await chosen(target, "");
      if (item) {
        await show(item.id, { name: item.name, preview: false });
      }
    }),
    command("rename", async (target: Target) => {
      const title = t("Rename Conversation");
      const item = await chosen(target, title);
      const name = item && (await vscode.window.showInputBox({ title, value: item.name }));
      if (item && name !== undefined && name.trim() !== "" && name !== item.name) {
        await server.run("pieces.conversations.rename", { conversation: item.id, name });
      }
    }),
    command("delete", async (target: Target) => {
      await remove(server, await chosen(target, t("Delete Conversation")));
    }),
    command("undoDelete", (id?: string) => undo(server, id)),
    command("restore", () => restore(server)),
    command("copyLink", async (target: Target) => {
      const item = await chosen(target, t("Copy Link to Conversation"));
      if (item) {
        await vscode.env.clipboard.writeText(link(item));
        vscode.window.setStatusBarMessage(t("The link is in the clipboard."), 3_000);
      }
    }),
    command("refresh", async () => {
      await server.run("pieces.conversations.refresh");
      view.refresh();
    }),
    command("import", () => importCommand(server)),
    command("switchBackend", () => switchBackend()),
    command("useLocal", () => useLocal()),
    command("status", () => status(server)),
    command("restart", () => server.restart()),
    command("showLog", () => {
      server.log.show();
    }),
    command("more", () => {
      view.more();
    }),
  );
}

interface Lsp {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}

function ranged({ start, end }: Lsp): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

/** Opening a row keeps the focus in the list; a second click on it goes to the conversation. */
function browsing(view: Conversations): (item: ConversationItem) => Promise<void> {
  const DOUBLE = 400;
  let last = { id: "", at: 0 };
  return async ({ id, name }) => {
    if (!view.opens) {
      return;
    }
    const twice = last.id === id && Date.now() - last.at < DOUBLE;
    last = { id, at: Date.now() };
    await show(id, { name, preserveFocus: !twice, preview: !twice });
  };
}

async function item(server: Server, id: string): Promise<ConversationItem | undefined> {
  const uri = `pieces-conversation:/${id}.md`;
  const { items } = await server.run<Page>("pieces.conversations.list", { uri });
  return items.find((one) => one.id === id);
}
