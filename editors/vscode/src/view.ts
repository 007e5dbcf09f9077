// The Conversations view: paged, live, grouped by this file and recent.

import * as vscode from "vscode";
import type { Changes, ConversationItem, Page } from "./protocol";
import type { Server } from "./server";

const PAGE = 100;

type Node = Group | Leaf | More;

interface Group {
  kind: "group";
  id: "file" | "recent";
}

interface Leaf {
  kind: "leaf";
  item: ConversationItem;
  group: "file" | "recent";
}

interface More {
  kind: "more";
}

const FILE: Group = { kind: "group", id: "file" };
const RECENT: Group = { kind: "group", id: "recent" };

export class Conversations
  implements vscode.TreeDataProvider<Node>, vscode.TreeDragAndDropController<Node>, vscode.Disposable
{
  readonly dragMimeTypes = ["text/uri-list", "text/plain"];
  readonly dropMimeTypes: string[] = [];
  private readonly changed = new vscode.EventEmitter<Node | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private limit = PAGE;
  private total = 0;
  private recent: ConversationItem[] = [];
  private ofFile: ConversationItem[] = [];
  private readonly view: vscode.TreeView<Node>;
  private readonly subscriptions: vscode.Disposable[] = [];

  constructor(private readonly server: Server) {
    this.view = vscode.window.createTreeView<Node>("piecesLsp.conversations", {
      treeDataProvider: this,
      dragAndDropController: this,
      showCollapseAll: false,
    });
    this.subscriptions.push(
      this.view,
      this.changed,
      server.onChanges((changes) => this.onChanges(changes)),
      vscode.window.onDidChangeActiveTextEditor(() => this.refresh()),
    );
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  selected(): ConversationItem | undefined {
    const node = this.view.selection[0];
    return node?.kind === "leaf" ? node.item : undefined;
  }

  more(): void {
    this.limit += PAGE;
    this.refresh();
  }

  /** Has VS Code ask again for what it shows. It waits a moment, so a burst is one question. */
  refresh(): void {
    this.changed.fire(undefined);
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if (node.kind === "group") {
      const expanded = vscode.TreeItemCollapsibleState.Expanded;
      const item = new vscode.TreeItem(node.id === "file" ? "This File" : "Recent", expanded);
      item.id = node.id;
      return item;
    }
    if (node.kind === "more") {
      const item = new vscode.TreeItem(`Load more (${this.total - this.recent.length} left)`);
      item.id = "more";
      item.command = { command: "piecesLsp.more", title: "Load More" };
      return item;
    }
    const { item: one, group } = node;
    const item = new vscode.TreeItem(line(one.name));
    item.id = `${group}/${one.id}`;
    item.contextValue = "conversation";
    item.description = `${one.messages} · ${ago(one.updated)}`;
    item.iconPath = new vscode.ThemeIcon(one.favorited ? "star-full" : "comment-discussion");
    // Plain text: names are other people's.
    const files = one.files.map((file) => vscode.Uri.parse(file).fsPath);
    item.tooltip = [line(one.name), `${one.messages} messages`, ...files].join("\n");
    item.accessibilityInformation = { label: `${line(one.name)}, ${one.messages} messages` };
    item.command = { command: "piecesLsp.open", title: "Open", arguments: [{ item: one }] };
    return item;
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node === undefined) {
      await this.read().catch((error: unknown) => this.server.log.warn(String(error)));
      if (this.ofFile.length > 0) {
        return [FILE, RECENT];
      }
      return this.leaves(this.recent, "recent");
    }
    if (node.kind !== "group") {
      return [];
    }
    return this.leaves(node.id === "file" ? this.ofFile : this.recent, node.id);
  }

  getParent(): undefined {
    return undefined;
  }

  handleDrag(source: readonly Node[], data: vscode.DataTransfer): void {
    const items = source.flatMap((node) => (node.kind === "leaf" ? [node.item] : []));
    data.set("text/plain", new vscode.DataTransferItem(items.map(link).join("\n")));
    data.set("text/uri-list", new vscode.DataTransferItem(items.map((one) => one.uri).join("\r\n")));
  }

  private leaves(items: ConversationItem[], group: "file" | "recent"): Node[] {
    const leaves: Node[] = items.map((item) => ({ kind: "leaf", item, group }));
    return group === "recent" && this.recent.length < this.total ? [...leaves, { kind: "more" }] : leaves;
  }

  private onChanges(changes: Changes): void {
    this.badge(changes.total);
    this.refresh();
  }

  private async read(): Promise<void> {
    const list = (argument: object) => this.server.run<Page>("pieces.conversations.list", argument);
    const uri = vscode.window.activeTextEditor?.document.uri;
    const tied = uri?.scheme === "file" ? list({ uri: uri.toString(), limit: 20 }) : undefined;
    const [recent, ofFile] = await Promise.all([list({ limit: this.limit }), tied]);
    this.total = recent.total;
    this.recent = recent.items;
    this.ofFile = ofFile?.items ?? [];
    this.badge(recent.total);
  }

  private badge(total: number): void {
    this.view.badge = total > 0 ? { value: total, tooltip: `${total} conversations` } : undefined;
  }
}

/** A link to a conversation in Markdown. */
export function link(one: { name: string; uri: string }): string {
  const name = line(one.name).replace(/[\\`*_[\]<>()#!|~&:@$^]/g, "\\$&");
  return `[${name}](${one.uri})`;
}

/** One line of plain text, with nothing that reorders it and no icons. */
export function line(text: string): string {
  const clean = text.replace(/[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu, "").replace(/\s+/g, " ");
  return clean.replace(/\p{Cc}/gu, "").replace(/\$\(/g, "$ (").trim().slice(0, 200);
}

export function ago(time: string): string {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  const units: [number, string][] = [
    [31_536_000, "y"],
    [2_592_000, "mo"],
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ];
  const unit = units.find(([length]) => seconds >= length);
  return unit === undefined ? "now" : `${Math.floor(seconds / unit[0])} ${unit[1]}`;
}
