// What a screen reader is told of a growing answer: a paragraph at a time, code by its size. No DOM in here.

/** How code is spoken of: by its language, empty if it has none, and its number of lines. */
export type CodePhrase = (language: string, lines: number) => string;

/** The paragraphs that have ended since an offset, and where the next one begins. At the end, the rest too. */
export function spoken(text: string, from: number, ended: boolean, code: CodePhrase): { paragraphs: string[]; next: number } {
  const paragraphs: string[] = [];
  let next = from;
  for (;;) {
    const end = endOf(text, next);
    if (end === undefined && !ended) {
      return { paragraphs, next };
    }
    const paragraph = said(text.slice(next, end), code);
    if (paragraph !== "") {
      paragraphs.push(paragraph);
    }
    next = end ?? text.length;
    if (next >= text.length) {
      return { paragraphs, next };
    }
  }
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;

/** Where the paragraph that begins at an offset ends: after an empty line, or after the fence that it is. */
function endOf(text: string, from: number): number | undefined {
  let fence: string | undefined;
  let started = false;
  for (let at = from; at < text.length; ) {
    const newline = text.indexOf("\n", at);
    if (newline < 0) {
      return undefined;
    }
    const line = text.slice(at, newline);
    at = newline + 1;
    const mark = FENCE.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence) && line.trim() === mark) {
        return at;
      }
    } else if (mark !== undefined) {
      if (started) {
        return newline - line.length;
      }
      fence = mark;
    } else if (line.trim() === "") {
      if (started) {
        return at;
      }
      continue;
    }
    started = true;
  }
  return undefined;
}

function said(paragraph: string, code: CodePhrase): string {
  const trimmed = paragraph.trim();
  const mark = FENCE.exec(trimmed)?.[1];
  if (mark === undefined) {
    return trimmed.replace(/[*_`#>]+/g, "").replace(/\s+/g, " ").trim();
  }
  const [first = "", ...rest] = trimmed.split("\n");
  const lines = rest.filter((line) => !line.trim().startsWith(mark)).length;
  const language = first.trim().slice(mark.length).trim().split(/\s/)[0] ?? "";
  return code(language, lines);
}
