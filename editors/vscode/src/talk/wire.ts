// What the editor of a conversation and its page say to each other.

import type { Message, Phase } from "../protocol";
import type { Chip } from "./chips";

/** What the page shows. */
export interface Shown {
  readonly name: string;
  readonly favorited: boolean;
  readonly files: readonly { readonly uri: string; readonly name: string }[];
  /** Whether it was deleted while it was shown, or was not there. */
  readonly gone: "deleted" | "missing" | null;
  /** Why the messages could not be read. */
  readonly trouble: string | null;
  readonly messages: readonly Message[];
  /** A question that was sent and is not stored yet. */
  readonly pending: string | null;
  readonly answering: { readonly answer: string | null; readonly phase: Phase; readonly text: string } | null;
  /** Why a question was not answered, by its id. */
  readonly failures: Readonly<Record<string, string>>;
}

/** The place to type. */
export interface Composer {
  readonly model: string;
  /** What to do before anybody can ask; null where one can. */
  readonly obstacle: string | null;
  /** Whether Pieces OS is away: then it is no model that is missing. */
  readonly offline: boolean;
  readonly chips: readonly Chip[];
  /** A file that could go with the question. */
  readonly offer: { readonly uri: string; readonly name: string } | null;
  readonly remote: string | null;
  readonly tokens: number | null;
}

export type ToPage =
  | { readonly type: "shown"; readonly shown: Shown; readonly fresh: boolean }
  | { readonly type: "grown"; readonly answer: string | null; readonly phase: Phase; readonly text: string }
  | { readonly type: "composer"; readonly composer: Composer }
  | { readonly type: "draft"; readonly text: string; readonly focus: boolean }
  | { readonly type: "goTo"; readonly message: string; readonly words: string }
  | { readonly type: "problem"; readonly text: string }
  | { readonly type: "focus" };

export type CodeAction = "insert" | "copy" | "compare" | "new";
export const CODE_ACTIONS: readonly CodeAction[] = ["insert", "copy", "compare", "new"];

/** Commands that the page may ask for; nothing else. */
export const PAGE_COMMANDS = ["model", "rename", "addFile", "checkModel", "restore", "asText", "useLocal"] as const;
export type PageCommand = (typeof PAGE_COMMANDS)[number];

export type FromPage =
  | { readonly type: "ready" }
  | { readonly type: "ask"; readonly text: string; readonly from: string | null }
  | { readonly type: "again"; readonly question: string }
  | { readonly type: "stop" }
  | { readonly type: "draft"; readonly text: string }
  | { readonly type: "code"; readonly action: CodeAction; readonly message: string; readonly block: number | null; readonly language: string; readonly text: string }
  | { readonly type: "link"; readonly href: string }
  | { readonly type: "command"; readonly command: PageCommand }
  | { readonly type: "addChip"; readonly uri: string }
  | { readonly type: "removeChip"; readonly key: string };

/** What came from the page, if it is what a page may say. */
export function read(value: unknown): FromPage | undefined {
  if (typeof value !== "object" || value === null) {
    return undefined;
  }
  const one = value as Record<string, unknown>;
  const texts = (...names: string[]) => names.every((name) => typeof one[name] === "string");
  const good = {
    ready: () => true,
    stop: () => true,
    ask: () => texts("text") && (one.from === null || texts("from")),
    again: () => texts("question"),
    draft: () => texts("text"),
    code: () =>
      texts("message", "language", "text") &&
      CODE_ACTIONS.includes(one.action as CodeAction) &&
      (one.block === null || Number.isInteger(one.block)),
    link: () => texts("href"),
    command: () => PAGE_COMMANDS.includes(one.command as PageCommand),
    addChip: () => texts("uri"),
    removeChip: () => texts("key"),
  } as Record<string, () => boolean>;
  const check = typeof one.type === "string" && Object.hasOwn(good, one.type) ? good[one.type] : undefined;
  return check?.() === true ? (value as FromPage) : undefined;
}

/** What the page is told when it is made. */
export interface Setup {
  readonly locale: string;
  readonly zone: string | null;
  readonly strings: Readonly<Record<string, string>>;
}
