// The answer that is being written, as it is reported and as it is read. The two can overtake each other. No VS Code in here.

import type { Answering, Phase } from "../protocol";
import { Growing } from "./growing";

/** What a report says: `unknown` means to read the messages again. */
export type Heard = "ended" | "unknown" | "grown";

/** What is read of a message. */
export interface Read {
  readonly id: string;
  readonly state?: string | null;
  readonly text: string | null;
}

interface Answer {
  id: string | null;
  phase: Phase;
  readonly text: Growing;
  /** A reading had it as being written, so one will also say that it is not any more. */
  read: boolean;
}

const ENDED: readonly Phase[] = ["done", "cancelled", "incomplete"];

export class Current {
  private answer: Answer | undefined;
  private ends = 0;

  get growth(): { answer: string | null; phase: Phase; text: string } | null {
    return this.answer ? { answer: this.answer.id, phase: this.answer.phase, text: this.answer.text.text } : null;
  }

  heard({ answer, status, delta, at }: Answering): Heard {
    if (ENDED.includes(status)) {
      this.answer = undefined;
      this.ends += 1;
      return "ended";
    }
    const isOther = answer !== null && this.answer?.id !== null && this.answer?.id !== answer;
    const begins = this.answer === undefined || isOther;
    const current = begins || this.answer === undefined ? { id: answer, phase: status, text: new Growing(), read: false } : this.answer;
    this.answer = current;
    current.id ??= answer;
    current.phase = status;
    const took = delta === undefined ? "gap" : current.text.add(at ?? 0, delta);
    return begins || (took === "gap" && status === "writing") ? "unknown" : "grown";
  }

  /** To be called before the messages are read; what it returns takes what was read. */
  reading(): (messages: readonly Read[]) => void {
    const { ends } = this;
    return (messages) => {
      const { answer } = this;
      if (answer?.read === true && messages.some(({ id, state }) => id === answer.id && state !== "writing")) {
        this.answer = undefined;
      }
      const writing = messages.findLast(({ state }) => state === "writing");
      // If an answer has ended meanwhile, this is how it was before; the next reading is on its way.
      if (writing === undefined || ends !== this.ends) {
        return;
      }
      this.answer ??= { id: writing.id, phase: "writing", text: new Growing(), read: true };
      this.answer.id ??= writing.id;
      this.answer.read = true;
      this.answer.text.stored(writing.text ?? "");
    };
  }
}
