// The commands of the palette. Their ids differ from the server's, which languageclient registers.

import * as vscode from "vscode";
import { conversationOf, show } from "./documents";
import type { ConversationItem, Deleted, Imported, Page, SearchHit, Started, Status } from "./protocol";
import { Missing, type Server } from "./server";
import { ago, count, line, link, past } from "./text";
import type { Conversations } from "./view";

interface Target {
  item: ConversationItem;
}

type Choice = vscode.QuickPickItem & { item: ConversationItem };

export function register(server: Server, view: Conversations): vscode.Disposable {
  const command = (name: string, run: (...args: never[]) => unknown) =>
    vscode.commands.registerCommand(`piecesLsp.${name}`, async (...args: never[]) => {
      try {
        return await run(...args);
      } catch (error) {
        await complain(server, error);
        return undefined;
      }
    });
  const chosen = async (target: Target | undefined, title: string) =>
    target?.item ?? (await shown(server)) ?? view.selected() ?? (await pick(server, title));
  return vscode.Disposable.from(
    command("start", async (uri?: vscode.Uri) => {
      const editor = vscode.window.activeTextEditor;
      const document = uri ?? editor?.document.uri ?? tabbed();
      if (document === undefined) {
        void vscode.window.showInformationMessage("Open a file to start a conversation about it.");
        return;
      }
      const selection = uri === undefined || uri.toString() === editor?.document.uri.toString();
      const range = selection && editor && !editor.selection.isEmpty ? editor.selection : undefined;
      const argument = range
        ? { uri: document.toString(), range: { start: plain(range.start), end: plain(range.end) }, show: false }
        : { uri: document.toString(), show: false };
      const started = await server.run<Started>("pieces.conversations.startFromDocument", argument);
      await show(started.conversation, started.name);
    }),
    command("new", async () => {
      const name = await vscode.window.showInputBox({ title: "New Conversation", prompt: "Its name" });
      if (name !== undefined) {
        const seed = { type: "COPILOT", ...(name.trim() === "" ? {} : { name: name.trim() }) };
        const made = await server.run<{ id: string; name?: string }>("pieces.conversations.create", { seededConversation: seed });
        await show(made.id, made.name);
      }
    }),
    command("search", async () => {
      const item = await pick(server, "Search Conversations");
      if (item) {
        await show(item.id, item.name);
      }
    }),
    command("searchMessages", async () => {
      const query = await vscode.window.showInputBox({ title: "Search in Messages", prompt: "Words that were said" });
      if (query === undefined || query.trim() === "") {
        return;
      }
      const { items } = await server.run<{ items: SearchHit[] }>("pieces.conversations.search", { query });
      const choices = items.map((hit) => ({
        label: line(hit.conversation.name),
        detail: line(hit.excerpt),
        item: hit.conversation,
      }));
      const choice = await vscode.window.showQuickPick(choices, {
        title: choices.length > 0 ? `Messages with “${query}”` : `No message with “${query}”`,
      });
      if (choice) {
        await show(choice.item.id, choice.item.name);
      }
    }),
    command("open", async (target?: Target) => {
      const item = target?.item ?? (await pick(server, "Open Conversation"));
      if (item) {
        await show(item.id, item.name);
      }
    }),
    command("rename", async (target?: Target) => {
      const item = await chosen(target, "Rename Conversation");
      const name = item && (await vscode.window.showInputBox({ title: "Rename Conversation", value: item.name }));
      if (item && name !== undefined && name.trim() !== "" && name !== item.name) {
        await server.run("pieces.conversations.rename", { conversation: item.id, name });
      }
    }),
    command("delete", async (target?: Target) => {
      const item = await chosen(target, "Delete Conversation");
      if (item) {
        await server.run("pieces.conversations.delete", { conversation: item.id });
      }
    }),
    command("restore", async () => {
      const { items } = await server.run<{ items: Deleted[] }>("pieces.conversations.trash");
      const choices = items.map((one) => ({
        label: line(one.name),
        description: `${count(one.messages, "message")} · deleted ${past(one.deleted)}`,
        one,
      }));
      const title = choices.length > 0 ? "Restore Conversation" : "The trash is empty";
      const choice = await vscode.window.showQuickPick(choices, { title });
      if (choice) {
        const argument = { conversation: choice.one.conversation };
        const restored = await server.run<Started>("pieces.conversations.restore", argument);
        await show(restored.conversation, restored.name);
      }
    }),
    command("copyLink", async (target?: Target) => {
      const item = await chosen(target, "Copy Link to Conversation");
      if (item) {
        await vscode.env.clipboard.writeText(link(item));
      }
    }),
    command("refresh", async () => {
      await server.run("pieces.conversations.refresh");
      view.refresh();
    }),
    command("import", async () => {
      const counts = await server.run<Imported>("pieces.import");
      const all = counts.new + counts.updated + counts.unchanged;
      void vscode.window.showInformationMessage(
        `Imported: ${counts.new} new, ${counts.updated} updated of ${all}; ${counts.unreadable} could not be read.`,
      );
    }),
    command("switchBackend", async () => {
      const choices = [
        { label: "auto", detail: "Pieces OS if it answers at start, else the local service" },
        { label: "pieces-os", detail: "Pieces OS" },
        { label: "local", detail: "The local service of pieces-lsp" },
      ];
      const choice = await vscode.window.showQuickPick(choices, { title: "Where are your conversations?" });
      if (choice) {
        await setBackend(choice.label);
      }
    }),
    command("useLocal", () => setBackend("local")),
    command("status", async () => {
      const status = await server.run<Status>("pieces.status");
      const where = status.url ?? "nowhere yet";
      const text = `${status.backend}, ${status.state}, ${count(status.conversations, "conversation")}, at ${where}`;
      const answer = await vscode.window.showInformationMessage(
        status.error ? `${text}: ${line(status.error)}` : text,
        "Switch Backend",
        "Show Log",
      );
      if (answer === "Switch Backend") {
        await vscode.commands.executeCommand("piecesLsp.switchBackend");
      } else if (answer === "Show Log") {
        server.log.show();
      }
    }),
    command("restart", () => server.restart()),
    command("showLog", () => {
      server.log.show();
    }),
    command("more", () => {
      view.more();
    }),
  );
}

async function setBackend(backend: string): Promise<void> {
  const settings = vscode.workspace.getConfiguration("piecesLsp");
  await settings.update("backend", backend, vscode.ConfigurationTarget.Global);
}

function plain(position: vscode.Position): { line: number; character: number } {
  return { line: position.line, character: position.character };
}

/** The file of the active tab: a tab that has just opened is there before its editor. */
function tabbed(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputText ? input.uri : undefined;
}

/** The conversation whose document is active. */
async function shown(server: Server): Promise<ConversationItem | undefined> {
  const editor = vscode.window.activeTextEditor;
  const id = editor && conversationOf(editor.document.uri);
  if (id === undefined) {
    return undefined;
  }
  const { items } = await server.run<Page>("pieces.conversations.list", { uri: `pieces-conversation:/${id}.md` });
  return items.find((item) => item.id === id);
}

/** Searches as one types; the server filters and ranks. */
function pick(server: Server, title: string): Promise<ConversationItem | undefined> {
  const input = vscode.window.createQuickPick<Choice>();
  input.title = title;
  input.placeholder = "Name of a conversation";
  let latest = 0;
  let accepted = false;
  let source: vscode.CancellationTokenSource | undefined;
  const search = async (query: string) => {
    const mine = ++latest;
    source?.cancel();
    source = new vscode.CancellationTokenSource();
    input.busy = true;
    try {
      const page = await server.run<Page>("pieces.conversations.list", { query, limit: 50 }, source.token);
      if (mine === latest) {
        // The order is the server's, and what it found is shown whatever VS Code's own filter says.
        input.items = page.items.map((item) => ({
          label: line(item.name),
          description: `${count(item.messages, "message")} · ${ago(item.updated)}`,
          alwaysShow: true,
          item,
        }));
      }
    } catch (error) {
      if (mine === latest) {
        input.hide();
        await complain(server, error);
      }
    } finally {
      if (mine === latest) {
        input.busy = false;
      }
    }
  };
  return new Promise((resolve) => {
    const accept = () => {
      resolve((input.activeItems[0] ?? input.items[0])?.item);
      input.hide();
    };
    const searchAndAccept = async (query: string) => {
      await search(query);
      if (accepted && !input.busy) {
        accept();
      }
    };
    input.onDidChangeValue((query) => {
      accepted = false;
      return searchAndAccept(query);
    });
    input.onDidAccept(() => {
      // Until the answer to what was typed is there, the list is of something else.
      accepted = true;
      if (!input.busy) {
        accept();
      }
    });
    input.onDidHide(() => {
      resolve(undefined);
      latest = -1;
      source?.cancel();
      input.dispose();
    });
    input.show();
    void searchAndAccept("");
  });
}

async function complain(server: Server, error: unknown): Promise<void> {
  if (error instanceof vscode.CancellationError) {
    return;
  }
  const text = line(error instanceof Error ? error.message : String(error));
  const action = error instanceof Missing ? "Open Settings" : "Show Log";
  const answer = await vscode.window.showErrorMessage(text, action);
  if (answer === "Open Settings") {
    await vscode.commands.executeCommand("workbench.action.openSettings", "piecesLsp.server.path");
  } else if (answer === "Show Log") {
    server.log.show();
  }
}
