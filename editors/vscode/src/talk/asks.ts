// Questions on their way, and the answers to them.

import * as vscode from "vscode";
import { learn } from "../documents";
import { marked } from "../errors";
import { done } from "../progress";
import { type Answering, type Asked, type Failure, failure, type Messages, type Page, type Phase } from "../protocol";
import type { Server } from "../server";
import type { Chosen } from "./chips";
import { Claims } from "./claims";

export interface Question extends Chosen {
  readonly prompt: string;
  readonly conversation?: string;
  readonly model?: string;
  /** Asked in a new conversation, with what came before this message. */
  readonly from?: string;
  /** A question that is stored and has no answer. */
  readonly question?: string;
}

/** How an ask ended. */
export type Outcome = { readonly asked: Asked } | { readonly error: unknown; readonly why: string; readonly failure: Failure | undefined };

export interface Asking {
  /** The conversation, as soon as it is known. */
  readonly conversation: Promise<string | undefined>;
  readonly outcome: Promise<Outcome>;
}

const LIVE: readonly Phase[] = ["waiting", "thinking", "writing"];

export class Asks implements vscode.Disposable {
  private readonly claims = new Claims((conversation) => this.lastQuestion(conversation));
  /** Conversations where an answer is being written, by whatever window. */
  private readonly busy = new Set<string>();
  private readonly changed = new vscode.EventEmitter<ReadonlySet<string>>();
  private readonly listening: vscode.Disposable;
  /** The conversations where an answer is being written. */
  readonly onBusy = this.changed.event;

  constructor(private readonly server: Server) {
    this.listening = vscode.Disposable.from(
      this.changed,
      server.onAnswer((answering) => {
        this.onAnswer(answering);
      }),
    );
  }

  dispose(): void {
    this.listening.dispose();
  }

  ask(question: Question): Asking {
    const { prompt, conversation, from } = question;
    const known = from === undefined ? conversation : undefined;
    const outcome = this.run(question);
    if (known !== undefined) {
      return { conversation: Promise.resolve(known), outcome };
    }
    const claim = this.claims.claim(prompt, conversation);
    void outcome.then((one) => {
      claim.end("asked" in one ? one.asked.conversation : one.failure?.conversation);
    });
    return { conversation: claim.conversation, outcome };
  }

  async stop(conversation: string): Promise<void> {
    await this.server.run("pieces.conversations.stop", { conversation });
  }

  private async run(question: Question): Promise<Outcome> {
    try {
      // What is reported meanwhile is shown in the conversation, not beside the status bar.
      const running = { progress: () => undefined };
      const asked = await this.server.run<Asked>("pieces.conversations.ask", question, running);
      if (asked.stop === "end") {
        done("asked");
      }
      return { asked };
    } catch (error) {
      return { error, why: marked(error), failure: failure(error) };
    }
  }

  private onAnswer({ conversation, status, here }: Answering): void {
    const before = this.busy.size;
    if (LIVE.includes(status)) {
      this.busy.add(conversation);
    } else {
      this.busy.delete(conversation);
    }
    if (this.busy.size !== before) {
      this.changed.fire(this.busy);
    }
    if (here === true) {
      this.claims.heard(conversation).catch((error: unknown) => {
        this.server.log.warn(String(error));
      });
    }
  }

  private async lastQuestion(conversation: string): Promise<string | undefined> {
    const [{ items }, page] = await Promise.all([
      this.server.run<Messages>("pieces.conversations.messages", { conversation }),
      this.server.run<Page>("pieces.conversations.list", { uri: `pieces-conversation:/${conversation}.md` }),
    ]);
    // It is about to be shown, under its name.
    learn(page.items);
    return items.findLast(({ role }) => role.toUpperCase() === "USER")?.text;
  }
}
