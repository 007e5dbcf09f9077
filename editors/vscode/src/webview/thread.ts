// The messages of a conversation: from top to bottom, never scrolled without the person.

import type { Message } from "../protocol";
import type { Shown } from "../talk/wire";
import { Drawn } from "./message";
import { button, keep, make, phrase } from "./page";
import { spoken } from "./speak";

const NEAR = 40;

export class Thread {
  readonly element = make("main", { tabindex: "-1" });
  private readonly list = make("div", { class: "messages" });
  private readonly trouble = make("p", { class: "remark", role: "alert" });
  private readonly status = make("p", { class: "status", role: "status" });
  private readonly live = make("div", { class: "sr", "aria-live": "polite" });
  private readonly pill = button(phrase("below"), () => {
    this.element.scrollTo({ top: this.element.scrollHeight });
  }, { class: "pill" });
  private drawn = new Map<string, Drawn>();
  private shown: Shown | undefined;
  private atEnd = false;
  /** How much of the growing answer was told to a screen reader. */
  private told = { id: "", at: 0 };
  private slow = 0;
  private timer: number | undefined;
  private ticking: number | undefined;
  private waiting: HTMLElement | undefined;

  constructor() {
    for (const one of [this.trouble, this.status, this.pill]) {
      one.hidden = true;
    }
    this.element.append(this.trouble, this.list, this.status, this.pill, this.live);
    this.element.addEventListener("scroll", () => {
      keep({ scroll: this.element.scrollTop });
      this.look();
    });
    new ResizeObserver(() => {
      this.look();
    }).observe(this.list);
    // Who looks at the end still does when there is less room, as when the place to type grows.
    new ResizeObserver(() => {
      if (this.atEnd) {
        this.element.scrollTop = this.element.scrollHeight;
      }
    }).observe(this.element);
  }

  show(shown: Shown): void {
    this.shown = shown;
    const messages = this.messages(shown);
    const before = this.drawn;
    this.drawn = new Map();
    for (const message of messages) {
      const one = before.get(message.id) ?? new Drawn(message);
      one.draw(message, shown.failures[message.id]);
      this.drawn.set(message.id, one);
    }
    const elements = [...this.drawn.values()].map(({ element }) => element);
    if (elements.length !== this.list.children.length || elements.some((one, at) => one !== this.list.children[at])) {
      this.list.replaceChildren(...elements);
    }
    this.list.classList.toggle("empty", elements.length === 0);
    this.trouble.textContent = shown.trouble;
    this.trouble.hidden = shown.trouble === null;
    this.speak(shown);
    this.say(shown);
  }

  /** More of an answer. Drawing takes at most a fifth of the time, however long the answer is. */
  grow(shown: Shown): void {
    this.shown = shown;
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      const begin = performance.now();
      if (this.shown) {
        this.show(this.shown);
      }
      this.slow = performance.now() - begin;
    }, Math.max(50, 4 * this.slow));
  }

  /** Times as they read now. */
  sayTimes(): void {
    for (const one of this.drawn.values()) {
      one.sayTime();
    }
  }

  /** To the last question, where one goes on reading. */
  toLastQuestion(): void {
    const own = this.list.querySelectorAll<HTMLElement>(".own");
    own[own.length - 1]?.scrollIntoView({ block: "start" });
  }

  scrollTo(top: number): void {
    this.element.scrollTop = top;
  }

  /** To a message, with the words that were looked for selected. */
  goTo(message: string, words: string): boolean {
    const element = this.drawn.get(message)?.element;
    if (element === undefined) {
      return false;
    }
    element.scrollIntoView({ block: "start" });
    this.focusSoon(element);
    element.classList.add("found");
    window.setTimeout(() => {
      element.classList.remove("found");
    }, 2_000);
    select(element, words);
    return true;
  }

  /** Gives the focus of the page to a message; where the page does not have it yet, when it gets it. It takes it from nothing else. */
  private focusSoon(element: HTMLElement): void {
    if (document.hasFocus()) {
      element.focus({ preventScroll: true });
    } else {
      this.waiting = element;
    }
  }

  /** The page has got the focus. Whether a message waited for it. */
  takeFocus(): boolean {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.focus({ preventScroll: true });
    return waiting?.isConnected === true;
  }

  /** The last question and its text. */
  lastQuestion(): Message | undefined {
    return this.shown?.messages.findLast(({ role }) => role.toUpperCase() === "USER");
  }

  private messages(shown: Shown): Message[] {
    const { answering, pending } = shown;
    const all = shown.messages.map((one) =>
      answering?.answer === one.id && answering.text.length > one.text.length ? { ...one, text: answering.text } : one,
    );
    if (answering?.answer && !all.some(({ id }) => id === answering.answer) && answering.text !== "") {
      all.push({ id: answering.answer, role: "ASSISTANT", time: null, text: answering.text, state: "writing" });
    }
    return pending === null ? all : [...all, { id: "pending", role: "USER", time: null, text: pending }];
  }

  private say({ answering, pending }: Shown): void {
    window.clearInterval(this.ticking);
    this.status.hidden = answering === null && pending === null;
    const phase = answering?.phase ?? "waiting";
    const begin = Date.now();
    const draw = () => {
      const seconds = Math.round((Date.now() - begin) / 1000);
      const waits = phase === "waiting" && seconds > 2;
      this.status.textContent = this.status.hidden ? "" : waits ? phrase("waitingFor", seconds) : phrase(phase);
    };
    draw();
    this.ticking = phase === "waiting" && !this.status.hidden ? window.setInterval(draw, 1_000) : undefined;
  }

  private speak({ answering, messages }: Shown): void {
    const ended = answering?.answer == null;
    const id = answering?.answer ?? this.told.id;
    if (id === "") {
      return;
    }
    if (id !== this.told.id) {
      this.told = { id, at: 0 };
      this.live.replaceChildren();
    }
    const text = ended ? (messages.find((one) => one.id === id)?.text ?? "") : answering.text;
    const { paragraphs, next } = spoken(text, this.told.at, ended, code);
    this.live.append(...paragraphs.map((one) => make("p", {}, one)));
    this.told = ended ? { id: "", at: 0 } : { id, at: next };
  }

  /** Whether there is more below than one sees. */
  private look(): void {
    const below = this.element.scrollHeight - this.element.clientHeight - this.element.scrollTop;
    this.atEnd = below < NEAR;
    this.pill.hidden = this.atEnd || this.shown?.answering == null;
  }
}

function code(language: string, lines: number): string {
  return language === "" ? phrase("code", lines) : phrase("codeIn", language, lines);
}

function select(element: HTMLElement, words: string): void {
  const wanted = words.toLowerCase();
  if (wanted === "") {
    return;
  }
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const at = (node.textContent ?? "").toLowerCase().indexOf(wanted);
    if (at >= 0) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      const selection = window.getSelection();
      selection?.removeAllRanges();
      selection?.addRange(range);
      node.parentElement?.scrollIntoView({ block: "center" });
      return;
    }
  }
}
