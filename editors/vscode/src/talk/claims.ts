// The conversation that a question has made. The answer to `pieces.conversations.ask` names it only at its end, but the
// conversation is there before: it is the one that holds the question. No VS Code in here.

export interface Claim {
  /** The conversation, as soon as it is known. */
  readonly conversation: Promise<string | undefined>;
  /** The question has ended: in this conversation, or in none. */
  readonly end: (conversation: string | undefined) => void;
}

interface Open {
  readonly prompt: string;
  /** The conversation that a branch begins in. */
  readonly not: string | undefined;
  readonly resolve: (conversation: string | undefined) => void;
}

export class Claims {
  private readonly open = new Set<Open>();
  /** The conversations that are read now, and whether each is to be read again. */
  private readonly reading = new Map<string, boolean>();

  /** `lastQuestion` reads a conversation. */
  constructor(private readonly lastQuestion: (conversation: string) => Promise<string | undefined>) {}

  claim(prompt: string, not?: string): Claim {
    let resolve: Open["resolve"] = () => undefined;
    const conversation = new Promise<string | undefined>((done) => {
      resolve = done;
    });
    const one: Open = { prompt, not, resolve };
    this.open.add(one);
    const end = (made: string | undefined) => {
      this.open.delete(one);
      resolve(made);
    };
    return { conversation, end };
  }

  /** A question of this window is being answered in that conversation. The first report may come before the question is stored. */
  async heard(conversation: string): Promise<void> {
    if (this.reading.has(conversation)) {
      this.reading.set(conversation, true);
      return;
    }
    try {
      for (let again = true; again && this.open.size > 0; again = this.reading.get(conversation) === true) {
        this.reading.set(conversation, false);
        this.found(conversation, await this.lastQuestion(conversation));
      }
    } finally {
      this.reading.delete(conversation);
    }
  }

  private found(conversation: string, question: string | undefined): void {
    for (const one of this.open) {
      // What stands behind the prompt is the code that was selected.
      if (conversation !== one.not && question?.startsWith(one.prompt) === true) {
        this.open.delete(one);
        one.resolve(conversation);
        return;
      }
    }
  }
}
