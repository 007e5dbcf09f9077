// The Conversations view: paged, live, grouped by this file and recent.

import * as vscode from "vscode";
import { learn } from "./documents";
import type { ConversationItem, Page } from "./protocol";
import type { Server, Shown } from "./server";
import { ago, count, line, link } from "./text";

const PAGE = 100;
/** What is dragged out of the view, as the drop into an editor reads it: JSON of `{name, uri}`s. */
const DRAGGED = "application/vnd.pieces-lsp.conversations";

type GroupId = "file" | "recent";
type Node = Group | Leaf | More;

interface Group {
  readonly kind: "group";
  readonly id: GroupId;
}

interface Leaf {
  readonly kind: "leaf";
  readonly group: GroupId;
  item: ConversationItem;
}

interface More {
  readonly kind: "more";
}

const GROUPS: Readonly<Record<GroupId, Group>> = {
  file: { kind: "group", id: "file" },
  recent: { kind: "group", id: "recent" },
};
const MORE: More = { kind: "more" };

export class Conversations
  implements vscode.TreeDataProvider<Node>, vscode.TreeDragAndDropController<Node>, vscode.Disposable
{
  // Nothing else beside it: VS Code would insert a plain text rather than ask for the link.
  readonly dragMimeTypes = [DRAGGED];
  readonly dropMimeTypes: string[] = [];
  private readonly changed = new vscode.EventEmitter<Node | undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private limit = PAGE;
  private total = 0;
  private lists: Readonly<Record<GroupId, readonly Leaf[]>> = { file: [], recent: [] };
  /** The file that "This File" is about: the last one that was active, as long as it has a tab. */
  private file: vscode.Uri | undefined = fileOf(vscode.window.activeTextEditor);
  private reading: Promise<void> | undefined;
  /** Whether what was read is out of date. */
  private stale = true;
  private readonly view: vscode.TreeView<Node>;
  private readonly subscriptions: { dispose(): unknown }[] = [];

  constructor(private readonly server: Server) {
    this.view = vscode.window.createTreeView<Node>("piecesLsp.conversations", {
      treeDataProvider: this,
      dragAndDropController: this,
      showCollapseAll: false,
    });
    this.subscriptions.push(
      this.view,
      this.changed,
      server.onChanges(({ total, reset }) => {
        if (reset !== true) {
          this.badge(total);
        }
        this.refresh();
      }),
      server.onStatus((shown) => {
        this.onStatus(shown);
      }),
      this.view.onDidChangeVisibility(() => {
        this.refreshIfStale();
      }),
      vscode.window.onDidChangeActiveTextEditor((editor) => {
        this.look(fileOf(editor) ?? this.file);
      }),
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        if (closed.length > 0 && this.file !== undefined && !hasTab(this.file)) {
          this.look(fileOf(vscode.window.activeTextEditor));
        }
      }),
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

  /** Reads again what is shown. However often it is called meanwhile, it is read once more at most. */
  refresh(): void {
    this.stale = true;
    this.refreshIfStale();
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case "group": {
        const expanded = vscode.TreeItemCollapsibleState.Expanded;
        const item = new vscode.TreeItem(node.id === "file" ? "This File" : "Recent", expanded);
        item.id = node.id;
        return item;
      }
      case "more": {
        const item = new vscode.TreeItem(`Load more (${this.total - this.lists.recent.length} left)`);
        item.id = "more";
        item.command = { command: "piecesLsp.more", title: "Load More" };
        return item;
      }
      case "leaf":
        return treeItem(node);
    }
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node === undefined) {
      if (this.stale || this.reading) {
        await this.read();
      }
      return this.lists.file.length > 0 ? [GROUPS.file, GROUPS.recent] : this.children("recent");
    }
    return node.kind === "group" ? this.children(node.id) : [];
  }

  handleDrag(source: readonly Node[], data: vscode.DataTransfer): void {
    const items = source.flatMap((node) => (node.kind === "leaf" ? [node.item] : []));
    if (items.length > 0) {
      const dragged = items.map(({ name, uri }) => ({ name, uri }));
      data.set(DRAGGED, new vscode.DataTransferItem(JSON.stringify(dragged)));
    }
  }

  private onStatus(shown: Shown): void {
    const offline = typeof shown !== "string" && shown.state === "offline" && shown.conversations > 0;
    this.view.message = offline ? "Nothing answers at the moment. This is what was last read." : "";
    if (shown === "stopped" || shown === "missing") {
      // An empty view says what to do.
      this.lists = { file: [], recent: [] };
      this.total = 0;
      this.badge(0);
      this.changed.fire(undefined);
    }
  }

  private children(group: GroupId): Node[] {
    const rest = group === "recent" && this.lists.recent.length < this.total;
    return rest ? [...this.lists.recent, MORE] : [...this.lists[group]];
  }

  private look(file: vscode.Uri | undefined): void {
    if (file?.toString() !== this.file?.toString()) {
      this.file = file;
      this.refresh();
    }
  }

  private refreshIfStale(): void {
    if (!this.stale || !this.view.visible || this.reading) {
      return;
    }
    const before = { file: this.lists.file, recent: this.lists.recent, total: this.total };
    const items = new Map([...before.file, ...before.recent].map((leaf) => [leaf, JSON.stringify(leaf.item)]));
    void this.read().then(() => {
      const grouped = this.lists.file.length > 0;
      if (grouped !== before.file.length > 0) {
        this.changed.fire(undefined);
        return;
      }
      // The smallest parts of the tree that have to be asked for again.
      const groups: GroupId[] = grouped ? ["file", "recent"] : ["recent"];
      for (const group of groups) {
        const now = this.lists[group];
        const moved = now.length !== before[group].length || now.some((leaf, at) => leaf !== before[group][at]);
        if (moved || (group === "recent" && this.total !== before.total)) {
          this.changed.fire(grouped ? GROUPS[group] : undefined);
        } else {
          now.filter((leaf) => items.get(leaf) !== JSON.stringify(leaf.item)).forEach((leaf) => {
            this.changed.fire(leaf);
          });
        }
      }
    });
  }

  /** One reading at a time; who comes meanwhile waits for it. A failure leaves an empty view, which says why. */
  private read(): Promise<void> {
    this.reading ??= this.readAll()
      .catch((error: unknown) => {
        this.lists = { file: [], recent: [] };
        this.total = 0;
        this.server.log.warn(line(String(error)));
      })
      .finally(() => {
        this.reading = undefined;
        this.refreshIfStale();
      });
    return this.reading;
  }

  private async readAll(): Promise<void> {
    this.stale = false;
    const list = (argument: object) => this.server.run<Page>("pieces.conversations.list", argument);
    const uri = this.file?.toString();
    const [recent, ofFile] = await Promise.all([
      list({ limit: this.limit }),
      uri === undefined ? undefined : list({ uri, limit: 20 }),
    ]);
    learn(recent.items);
    this.total = recent.total;
    this.lists = {
      file: leaves("file", ofFile?.items ?? [], this.lists.file),
      recent: leaves("recent", recent.items, this.lists.recent),
    };
    this.badge(recent.total);
  }

  private badge(total: number): void {
    this.view.badge = total > 0 ? { value: total, tooltip: count(total, "conversation") } : undefined;
  }
}

/** Dropping conversations into a text inserts links to them: in Markdown with their names, elsewhere as they are. */
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

function fileOf(editor: vscode.TextEditor | undefined): vscode.Uri | undefined {
  return editor?.document.uri.scheme === "file" ? editor.document.uri : undefined;
}

function hasTab(uri: vscode.Uri): boolean {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return tabs.some(({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === uri.toString());
}

/** Leaves for the items. VS Code knows a leaf by its object, so one that was there before stays the same. */
function leaves(group: GroupId, items: readonly ConversationItem[], before: readonly Leaf[]): Leaf[] {
  const known = new Map(before.map((leaf) => [leaf.item.id, leaf]));
  return items.map((item) => {
    const leaf = known.get(item.id);
    if (leaf === undefined) {
      return { kind: "leaf", group, item };
    }
    leaf.item = item;
    return leaf;
  });
}

function treeItem({ item: one, group }: Leaf): vscode.TreeItem {
  const name = line(one.name);
  const messages = count(one.messages, "message");
  const item = new vscode.TreeItem(name);
  item.id = `${group}/${one.id}`;
  item.contextValue = "conversation";
  item.description = `${one.messages} · ${ago(one.updated)}`;
  item.iconPath = new vscode.ThemeIcon(one.favorited ? "star-full" : "comment-discussion");
  // Plain text: names are other people's.
  const files = one.files.map((file) => line(vscode.Uri.parse(file).fsPath));
  item.tooltip = [name, messages, ...files].join("\n");
  item.accessibilityInformation = { label: `${name}, ${messages}` };
  item.command = { command: "piecesLsp.open", title: "Open", arguments: [{ item: one }] };
  return item;
}
