// What goes with a question, as chips above the place to type. No VS Code in here.

import type { Context, Planned } from "../protocol";
import { line } from "../text";

export interface Chip {
  /** What to name when it is removed. */
  readonly key: string;
  readonly label: string;
  readonly title: string;
  readonly removable: boolean;
  /** Whether only a part of it is sent. */
  readonly cut: boolean;
}

/** What the person chose to send with the next question. */
export interface Chosen {
  readonly files?: readonly string[];
  /** The document, or the selection in it. */
  readonly uri?: string;
  readonly range?: { start: { line: number; character: number }; end: { line: number; character: number } };
}

/** Phrases, so that they can be translated. */
export interface Words {
  readonly earlier: (messages: number) => string;
  readonly all: (bytes: number) => string;
  readonly part: (sent: number, bytes: number) => string;
}

/** Chips for what would be sent. The question itself has none. */
export function chips(planned: Pick<Planned, "context">, words: Words): Chip[] {
  const counted = planned.context.filter(({ bytes, sent }) => bytes > 0 || sent > 0);
  return counted.map((one) => ({
    key: keyOf(one),
    label: labelOf(one, words),
    title: one.sent < one.bytes ? words.part(one.sent, one.bytes) : words.all(one.bytes),
    removable: one.kind === "file" || one.kind === "document" || one.kind === "selection",
    cut: one.sent < one.bytes,
  }));
}

/** The server says `2 earlier messages`. */
function labelOf({ kind, name }: Context, words: Words): string {
  const count = kind === "messages" ? Number.parseInt(name, 10) : Number.NaN;
  return Number.isNaN(count) ? line(name, 60) : words.earlier(count);
}

function keyOf({ kind, uri, name }: Context): string {
  return `${kind} ${uri ?? name}`;
}

/** What is chosen when the chip with this key is gone. */
export function without(chosen: Chosen, planned: Pick<Planned, "context">, key: string): Chosen {
  const [kind] = key.split(" ", 1);
  if (kind === "document" || kind === "selection") {
    return chosen.files === undefined ? {} : { files: chosen.files };
  }
  // Files of earlier questions go with the next one until the list is given anew.
  const files = planned.context.filter((one) => one.kind === "file" && keyOf(one) !== key);
  return { ...chosen, files: files.flatMap(({ uri }) => (uri == null ? [] : [uri])) };
}

/** The same with a file more. */
export function withFile(chosen: Chosen, planned: Pick<Planned, "context">, file: string): Chosen {
  const known = planned.context.flatMap(({ kind, uri }) => (kind === "file" && uri != null ? [uri] : []));
  return { ...chosen, files: [...new Set([...(chosen.files ?? known), file])] };
}
