// An answer as it grows: pieces of text, each with where it begins. No VS Code in here.

/** What became of a piece. */
export type Took = "grown" | "known" | "gap";

interface Piece {
  readonly at: number;
  readonly text: string;
}

const utf8 = new TextEncoder();

export class Growing {
  private whole = "";
  /** Its length as the server counts: in bytes of UTF-8. */
  private bytes = 0;
  /** Pieces behind a gap, waiting for what is missing. */
  private ahead: Piece[] = [];

  get text(): string {
    return this.whole;
  }

  /** A piece that begins at a byte. `gap` means to read the message again. */
  add(at: number, text: string): Took {
    if (at > this.bytes) {
      this.ahead.push({ at, text });
      return "gap";
    }
    return this.append({ at, text }) ? "grown" : "known";
  }

  /** What is stored of it: it may be behind what was heard, or have what was missed. Whether the text has changed. */
  stored(text: string): boolean {
    const bytes = utf8.encode(text).length;
    if (bytes <= this.bytes && this.whole.startsWith(text)) {
      return false;
    }
    this.whole = text;
    this.bytes = bytes;
    const waiting = this.ahead.toSorted((a, b) => a.at - b.at);
    this.ahead = [];
    for (const piece of waiting) {
      if (piece.at > this.bytes) {
        this.ahead.push(piece);
      } else {
        this.append(piece);
      }
    }
    return true;
  }

  /** Appends what is new of a piece that begins in the known text or at its end. */
  private append({ at, text }: Piece): boolean {
    const bytes = utf8.encode(text);
    const known = this.bytes - at;
    if (known >= bytes.length) {
      return false;
    }
    const fresh = known === 0 ? text : new TextDecoder().decode(bytes.subarray(known));
    this.whole += fresh;
    this.bytes = at + bytes.length;
    return true;
  }
}
