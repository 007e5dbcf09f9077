// The rows of the view: those of the active file, then by day. No VS Code in here.

import { span } from "./times";

export interface Row {
  readonly id: string;
  readonly updated: string;
}

export interface Section<T> {
  /** `file`, or a span of time. */
  readonly id: string;
  readonly items: readonly T[];
}

/** Sections in their order; those of the file are in theirs only. The list is newest first. */
export function sections<T extends Row>(ofFile: readonly T[], recent: readonly T[], now: number, zone?: string): Section<T>[] {
  const first = new Set(ofFile.map(({ id }) => id));
  const byTime = new Map<string, T[]>();
  for (const item of recent.filter(({ id }) => !first.has(id))) {
    const id = span(item.updated, now, zone);
    byTime.set(id, [...(byTime.get(id) ?? []), item]);
  }
  const dated = [...byTime].map(([id, items]) => ({ id, items }));
  return ofFile.length > 0 ? [{ id: "file", items: ofFile }, ...dated] : dated;
}
