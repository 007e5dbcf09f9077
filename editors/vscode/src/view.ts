// The Conversations view: paged, live, grouped by this file and by day.

import * as vscode from "vscode";
import { activeUri, conversationOf, learn } from "./documents";
import { drag, DRAGGED } from "./drag";
import { sections } from "./groups";
import { done } from "./progress";
import type { ConversationItem, Page } from "./protocol";
import type { Server, Shown } from "./server";
import { treeItem, titleOf } from "./rows";
import { line } from "./text";
import type { Asks } from "./talk/asks";
import { zone } from "./words";

const PAGE = 100;
/** Rows of the active file. */
const OF_FILE = 20;
const MINUTE = 60_000;

export interface Group {
  readonly kind: "group";
  readonly id: string;
  leaves: readonly Leaf[];
}

export interface Leaf {
  readonly kind: "leaf";
  readonly group: string;
  item: ConversationItem;
}

interface More {
  readonly kind: "more";
}

export type Node = Group | Leaf | More;

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
  private loaded = 0;
  private groups: readonly Group[] = [];
  /** The file that "This File" is about: the last one that was active, as long as it has a tab. */
  private file: vscode.Uri | undefined = fileOf(vscode.window.activeTextEditor);
  private reading: Promise<void> | undefined;
  /** Whether what was read is out of date. */
  private stale = true;
  /** Where an answer is being written, as far as this window has heard: sooner than the list says so. */
  private busy: ReadonlySet<string> = new Set();
  /** Until when opening a row is only a part of choosing it. */
  private quietUntil = 0;
  private readonly view: vscode.TreeView<Node>;
  private readonly subscriptions: { dispose(): unknown }[] = [];

  constructor(
    private readonly server: Server,
    asks: Asks,
  ) {
    this.view = vscode.window.createTreeView<Node>("piecesLsp.conversations", {
      treeDataProvider: this,
      dragAndDropController: this,
      showCollapseAll: false,
    });
    const ticking = setInterval(() => {
      this.tick();
    }, MINUTE);
    this.subscriptions.push(
      this.view,
      this.changed,
      {
        dispose: () => {
          clearInterval(ticking);
        },
      },
      server.onChanges(() => {
        this.refresh();
      }),
      asks.onBusy((busy) => {
        const before = this.busy;
        this.busy = new Set(busy);
        for (const leaf of this.groups.flatMap(({ leaves }) => leaves)) {
          if (before.has(leaf.item.id) !== busy.has(leaf.item.id)) {
            this.changed.fire(leaf);
          }
        }
      }),
      server.onStatus((shown) => {
        this.onStatus(shown);
      }),
      this.view.onDidChangeVisibility(({ visible }) => {
        if (visible) {
          server.wake();
          done("seen");
        }
        this.refreshIfStale();
        this.follow();
      }),
      vscode.window.onDidChangeActiveTextEditor((editor) => {
        this.look(fileOf(editor) ?? this.file);
      }),
      vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
        if (closed.length > 0 && this.file !== undefined && !hasTab(this.file)) {
          // The editor of a closed tab may still be the active one.
          const file = fileOf(vscode.window.activeTextEditor);
          this.look(file && hasTab(file) ? file : undefined);
        }
        this.follow();
      }),
      vscode.window.tabGroups.onDidChangeTabGroups(() => {
        this.follow();
      }),
    );
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  /** The row that has the focus: VS Code tells of the selection only, so it is selected first. */
  async focused(): Promise<ConversationItem | undefined> {
    this.quietUntil = Number.POSITIVE_INFINITY;
    await vscode.commands.executeCommand("list.selectAndPreserveFocus");
    this.quietUntil = Date.now() + 300;
    const node = this.view.selection[0];
    return node?.kind === "leaf" ? node.item : undefined;
  }

  /** Whether a row that VS Code opens now is to be opened. */
  get opens(): boolean {
    return Date.now() > this.quietUntil;
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
      case "group":
        return this.groupItem(node);
      case "more": {
        const item = new vscode.TreeItem(vscode.l10n.t("Load more ({0} left)", this.total - this.loaded));
        item.id = "more";
        item.command = { command: "piecesLsp.more", title: vscode.l10n.t("Load More") };
        return item;
      }
      case "leaf":
        return treeItem({ ...node.item, answering: node.item.answering === true || this.busy.has(node.item.id) }, node.group);
    }
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node !== undefined) {
      return node.kind === "group" ? [...node.leaves] : [];
    }
    if (this.stale || this.reading) {
      await this.read();
    }
    return this.loaded < this.total ? [...this.groups, MORE] : [...this.groups];
  }

  getParent(node: Node): Node | undefined {
    return node.kind === "leaf" ? this.groups.find(({ id }) => id === node.group) : undefined;
  }

  handleDrag(source: readonly Node[], data: vscode.DataTransfer): void {
    drag(source.flatMap((node) => (node.kind === "leaf" ? [node.item] : [])), data);
  }

  private groupItem(group: Group): vscode.TreeItem {
    const title = titleOf(group.id);
    const item = new vscode.TreeItem(title, vscode.TreeItemCollapsibleState.Expanded);
    item.id = group.id;
    const partial = group === this.groups.at(-1) && this.loaded < this.total;
    const count = `${group.leaves.length}${partial ? "+" : ""}`;
    item.accessibilityInformation = { label: `${title}, ${count}` };
    return item;
  }

  private onStatus(shown: Shown): void {
    const offline = typeof shown !== "string" && shown.state === "offline" && shown.conversations > 0;
    this.view.message = offline
      ? vscode.l10n.t("Pieces OS is not responding. Showing the last known conversations.")
      : "";
    if (shown === "stopped" || shown === "missing") {
      // An empty view says what to do.
      this.groups = [];
      this.count(0, 0);
      this.changed.fire(undefined);
    }
  }

  /** The row of the conversation that is open, if the view shows it. */
  private follow(): void {
    const uri = activeUri();
    const id = uri && conversationOf(uri);
    const selected = this.view.selection[0];
    if (id === undefined || !this.view.visible || (selected?.kind === "leaf" && selected.item.id === id)) {
      return;
    }
    const leaf = this.groups.flatMap(({ leaves }) => leaves).find(({ item }) => item.id === id);
    if (leaf) {
      this.view.reveal(leaf, { select: true, focus: false }).then(undefined, () => undefined);
    }
  }

  /** Ages move, and days end. */
  private tick(): void {
    if (this.view.visible && this.loaded > 0) {
      this.refresh();
      this.groups.forEach((group) => {
        this.changed.fire(group);
      });
    }
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
    const before = this.groups;
    const [total, loaded] = [this.total, this.loaded];
    const drawn = new Map(before.map((group) => [group.id, group.leaves.map(({ item }) => JSON.stringify(item))]));
    void this.read().then(() => {
      const same = before.length === this.groups.length && before.every(({ id }, at) => id === this.groups[at]?.id);
      if (!same || total !== this.total || loaded !== this.loaded) {
        this.changed.fire(undefined);
      } else {
        this.groups.forEach((group) => {
          this.redraw(group, drawn.get(group.id) ?? []);
        });
      }
      this.follow();
    });
  }

  /** The smallest part of the tree that has to be asked for again. */
  private redraw(group: Group, before: readonly string[]): void {
    const now = group.leaves.map(({ item }) => JSON.stringify(item));
    const ids = (all: readonly string[]) => all.map((one) => (JSON.parse(one) as ConversationItem).id).join();
    if (ids(now) !== ids(before)) {
      this.changed.fire(group);
    } else {
      group.leaves.filter((_, at) => now[at] !== before[at]).forEach((leaf) => {
        this.changed.fire(leaf);
      });
    }
  }

  /** One reading at a time; who comes meanwhile waits for it. A failure leaves an empty view, which says why. */
  private read(): Promise<void> {
    this.reading ??= this.readAll()
      .catch((error: unknown) => {
        this.groups = [];
        this.count(0, 0);
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
      uri === undefined ? undefined : list({ uri, limit: OF_FILE }),
    ]);
    learn(recent.items);
    const groups = new Map(this.groups.map((group) => [group.id, group]));
    // VS Code knows a node by its object, so one that was there before stays the same.
    this.groups = sections(ofFile?.items ?? [], recent.items, Date.now(), zone()).map(({ id, items }) => {
      const group = groups.get(id) ?? { kind: "group", id, leaves: [] };
      group.leaves = leaves(id, items, group.leaves);
      return group;
    });
    this.count(recent.total, recent.items.length);
  }

  private count(total: number, loaded: number): void {
    this.total = total;
    this.loaded = loaded;
    this.view.description = total > 0 ? total.toLocaleString(vscode.env.language) : "";
  }
}

function fileOf(editor: vscode.TextEditor | undefined): vscode.Uri | undefined {
  return editor?.document.uri.scheme === "file" ? editor.document.uri : undefined;
}

function hasTab(uri: vscode.Uri): boolean {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  return tabs.some(({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === uri.toString());
}

function leaves(group: string, items: readonly ConversationItem[], before: readonly Leaf[]): Leaf[] {
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
