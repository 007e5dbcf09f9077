// What was typed and not sent, and what else is remembered of a conversation between sessions.

import type { Memento } from "vscode";
import type { Chosen } from "./chips";

export interface Draft {
  readonly text: string;
  readonly model?: string;
  readonly chosen?: Chosen;
}

/** What is undefined is forgotten. */
type Change = { readonly [K in keyof Draft]?: Draft[K] | undefined };

const KEY = "drafts";
/** The oldest go when there are more. */
const MOST = 100;

export class Drafts {
  private all: [string, Draft][];

  constructor(private readonly memory: Pick<Memento, "get" | "update">) {
    this.all = memory.get<[string, Draft][]>(KEY, []);
  }

  of(key: string): Draft {
    return this.all.find(([one]) => one === key)?.[1] ?? { text: "" };
  }

  /** A conversation was made of what was asked under `key`: what was typed since goes along, the rest went with the question. */
  made(key: string, conversation: string): void {
    const { text } = this.of(key);
    this.change(key, { text: "", chosen: undefined, model: undefined });
    if (text !== "") {
      this.change(conversation, { text });
    }
  }

  change(key: string, change: Change): void {
    const { text, model, chosen } = { ...this.of(key), ...change };
    const draft: Draft = { text: text ?? "", ...(model === undefined ? {} : { model }), ...(chosen === undefined ? {} : { chosen }) };
    const empty = draft.text === "" && draft.model === undefined && draft.chosen === undefined;
    const others = this.all.filter(([one]) => one !== key);
    this.all = [...others, ...(empty ? [] : [[key, draft] as [string, Draft]])].slice(-MOST);
    void this.memory.update(KEY, this.all);
  }
}
