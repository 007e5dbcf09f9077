// Texts of other people, made fit to be shown.

/** A link to a conversation in Markdown. */
export function link(one: { readonly name: string; readonly uri: string }): string {
  const name = line(one.name).replace(/[\\`*_[\]<>()#!|~&:@$^]/g, "\\$&");
  return `[${name}](${one.uri})`;
}

/** One line of plain text, with nothing that reorders it and no icons. */
export function line(text: string): string {
  const clean = text.replace(/[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu, "").replace(/\s+/g, " ");
  return clean.replace(/\p{Cc}/gu, "").replace(/\$\(/g, "$ (").trim().slice(0, 200);
}

/** `1 message`, `3 messages`. */
export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** How long ago that was, for people: `now`, `5 min`, `2 d`. */
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

/** The same in a sentence: `just now`, `5 min ago`. */
export function past(time: string): string {
  const age = ago(time);
  return age === "now" ? "just now" : `${age} ago`;
}
