// One conversation as it is shown: its messages, and the answer that is being written.

import * as vscode from "vscode";
import { sentence } from "../errors";
import { type Answering, type ConversationItem, failure, type Message, type Page, type Phase } from "../protocol";
import type { Server } from "../server";
import { Current } from "./current";
import type { Shown } from "./wire";

/** Messages without text have null. */
interface Stored { readonly items: readonly (Omit<Message, "text"> & { readonly text: string | null })[] }

/** Messages are read again at most this often while an answer is written elsewhere. */
const PAUSE = 300;

export class Talk implements vscode.Disposable {
  private messages: readonly Message[] = [];
  private item: ConversationItem | undefined;
  private gone: Shown["gone"] = null;
  private trouble: string | null = null;
  private readonly current = new Current();
  private failures: Readonly<Record<string, string>> = {};
  private waiting: string | null = null;
  private reading: Promise<void> | undefined;
  private stale = false;
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly grown = new vscode.EventEmitter<void>();
  private readonly subscriptions: { dispose(): unknown }[];
  /** Everything may be different. */
  readonly onChange = this.changed.event;
  /** Only the answer has become longer. */
  readonly onGrow = this.grown.event;

  /** Without an id, a conversation that is made when the first question is sent. */
  constructor(
    private readonly server: Server,
    readonly id: string | undefined,
  ) {
    this.subscriptions = [
      this.changed,
      this.grown,
      server.onAnswer((answering) => {
        if (answering.conversation === id) {
          this.onAnswer(answering);
        }
      }),
      server.onStatus((shown) => {
        // What could not be read may be there now.
        if ((this.trouble !== null || this.gone === "missing") && typeof shown !== "string" && shown.state === "live") {
          void this.refresh();
        }
      }),
      server.onChanges(({ upserted, removed, reset }) => {
        const item = upserted.find((one) => one.id === id);
        if (id !== undefined && removed.includes(id)) {
          this.gone = "deleted";
          this.changed.fire();
        } else if (item || reset === true) {
          this.item = item ?? this.item;
          void this.refresh();
        }
      }),
    ];
  }

  dispose(): void {
    vscode.Disposable.from(...this.subscriptions).dispose();
  }

  get name(): string {
    return this.item?.name ?? "";
  }

  get files(): readonly string[] {
    return this.item?.files ?? [];
  }

  get count(): number {
    return this.messages.length;
  }

  get answering(): boolean {
    return this.growth() !== null || this.waiting !== null;
  }

  message(id: string): Message | undefined {
    return this.messages.find((one) => one.id === id);
  }

  /** The message that stands at a line of the document. */
  at(line: number): string | undefined {
    return this.messages.findLast((one) => one.line !== undefined && one.line <= line)?.id;
  }

  shown(name: string): Shown {
    const files = this.files.map((uri) => ({ uri, name: vscode.Uri.parse(uri).path.split("/").at(-1) ?? uri }));
    return {
      name,
      favorited: this.item?.favorited === true,
      files,
      gone: this.gone,
      trouble: this.trouble,
      messages: this.messages,
      pending: this.waiting,
      answering: this.growth(),
      failures: this.failures,
    };
  }

  /** What has grown; null if nothing grows. */
  growth(): { answer: string | null; phase: Phase; text: string } | null {
    return this.current.growth;
  }

  /** A question that was sent: it is shown until it is stored. */
  sent(question: string | null): void {
    this.waiting = question;
    this.changed.fire();
  }

  /** Why a question was not answered; undefined once it is asked again. */
  failed(question: string, why: string | undefined): void {
    const others = Object.entries(this.failures).filter(([one]) => one !== question);
    this.failures = Object.fromEntries(why === undefined ? others : [...others, [question, why]]);
    this.changed.fire();
  }

  /** Reads it again. However often it is called meanwhile, it is read once more at most. */
  refresh(): Promise<void> {
    this.stale = true;
    this.reading ??= this.readUntilFresh().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async readUntilFresh(): Promise<void> {
    while (this.stale) {
      this.stale = false;
      try {
        await this.read();
      } catch (error) {
        if (failure(error)?.kind === "not-found") {
          this.gone ??= "missing";
        }
        // What was read before stays.
        this.trouble = this.gone === null ? sentence(error) : null;
        this.server.log.warn(String(error));
        this.changed.fire();
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, this.growth() ? PAUSE : 0));
    }
  }

  private async read(): Promise<void> {
    const { id } = this;
    if (id === undefined) {
      return;
    }
    const uri = `pieces-conversation:/${id}.md`;
    const take = this.current.reading();
    const [{ items }, page] = await Promise.all([
      this.server.run<Stored>("pieces.conversations.messages", { conversation: id }),
      this.server.run<Page>("pieces.conversations.list", { uri }),
    ]);
    this.item = page.items.find((one) => one.id === id) ?? this.item;
    this.gone = null;
    this.trouble = null;
    this.messages = items.map((one) => ({ ...one, text: one.text ?? "" }));
    take(items);
    if (this.waiting !== null && this.stored(this.waiting)) {
      this.waiting = null;
    }
    this.changed.fire();
  }

  private stored(question: string): boolean {
    const last = this.messages.findLast(({ role }) => role.toUpperCase() === "USER");
    return last?.text.startsWith(question) === true;
  }

  private onAnswer(answering: Answering): void {
    const heard = this.current.heard(answering);
    if (heard !== "grown") {
      void this.refresh();
    }
    if (heard !== "ended") {
      this.grown.fire();
    }
  }
}
