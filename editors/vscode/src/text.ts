// Texts of other people, made fit to be shown as one line. No VS Code in here.

/** A link to a conversation in Markdown. */
export function link(one: { readonly name: string; readonly uri: string }): string {
  const name = line(one.name).replace(/[\\`*_[\]<>()#!|~&:@$^]/g, "\\$&");
  return `[${name}](${one.uri})`;
}

/**
 * One line of plain text. What could reorder its neighbours or leave an isolate goes, and `$(` becomes no icon. Joiners
 * and direction marks stay: emoji, Persian and Hindi are spelled with them.
 */
export function line(text: string, most = 200): string {
  const clean = text.replace(/[\u200b\u2060-\u206f\u202a-\u202e\ufeff]/gu, "").replace(/[\s\u2028\u2029]+/gu, " ");
  const whole = clean.replace(/\p{Cc}/gu, "").replace(/\$\(/g, "$ (").trim();
  return whole.length <= most ? whole : cut(whole, most);
}

const segmenter = new Intl.Segmenter();

/** The first characters as people count them: an emoji of several code points is one. */
function cut(text: string, most: number): string {
  const characters: string[] = [];
  for (const { segment } of segmenter.segment(text.slice(0, most * 16))) {
    characters.push(segment);
    if (characters.length > most) {
      return `${characters.slice(0, most - 1).join("")}…`;
    }
  }
  return characters.join("");
}

/** The same where it stands beside other words: its direction stays its own. */
export function isolated(text: string, most?: number): string {
  return `\u2068${line(text, most)}\u2069`;
}

/** The plain text of what is left of a name in a path: one part of it, and no dots that mean something. */
export function fileName(name: string): string {
  const clean = line(name, 60).replace(/[/\\?#]/g, " ").trim();
  return /^\.*$/.test(clean) ? "" : clean;
}
