// One message of the page.

import type { Message } from "../protocol";
import type { CodeAction } from "../talk/wire";
import { clock } from "../times";
import { button, host, make, phrase, sentence, setup } from "./page";
import { render } from "./render";

/** A message in the page, drawn again only where it has changed. */
export class Drawn {
  readonly element = make("article", { class: "message" });
  private readonly head = make("header");
  private readonly body = make("div", { class: "body", dir: "auto" });
  private readonly foot = make("footer");
  private text: string | undefined;
  private meta = "";

  constructor(private message: Message) {
    this.element.dataset.id = message.id;
    this.element.append(this.head, this.body, this.foot);
    this.draw(message, undefined);
  }

  get id(): string {
    return this.message.id;
  }

  /** `failure`: why this question was not answered. */
  draw(message: Message, failure: string | undefined): void {
    this.message = message;
    const said = message.text;
    if (said !== this.text) {
      this.text = said;
      replace(this.body, render(said));
      this.arm();
    }
    const meta = JSON.stringify([message.role, message.time, message.state, message.model, message.usage, message.note, message.context, failure]);
    if (meta !== this.meta) {
      this.meta = meta;
      this.drawAround(failure);
    }
  }

  private drawAround(failure: string | undefined): void {
    const { role, time, state } = this.message;
    const own = role.toUpperCase() === "USER";
    const who = own ? phrase("you") : role.toUpperCase() === "SYSTEM" ? phrase("system") : phrase("assistant");
    this.element.classList.toggle("own", own);
    this.element.tabIndex = -1;
    this.head.replaceChildren(make("h2", {}, who));
    if (time !== null) {
      this.head.append(make("time", { datetime: time }));
    }
    this.sayTime();
    this.foot.replaceChildren();
    const remark = failure ?? (state && state !== "writing" ? phrase(state) : undefined);
    if (remark !== undefined) {
      this.foot.append(make("p", { class: "remark", ...(failure === undefined ? {} : { role: "alert" }) }, ...sentence(remark)));
    }
    if (state === "unanswered") {
      const question = this.message.id;
      this.foot.append(
        button(phrase("again"), () => {
          host.postMessage({ type: "again", question });
        }),
      );
    }
    const quiet = own ? "" : quietly(this.message);
    if (quiet !== "") {
      this.foot.append(make("p", { class: "quiet" }, quiet));
    }
  }

  /** The time as it reads now: that of yesterday has its day. */
  sayTime(): void {
    const [who, moment] = [this.head.querySelector("h2")?.textContent ?? "", this.head.querySelector("time")];
    const said = moment ? clock(moment.dateTime, Date.now(), setup.locale, setup.zone ?? undefined) : "";
    if (moment && moment.textContent !== said) {
      moment.textContent = said;
    }
    this.element.setAttribute("aria-label", said === "" ? who : `${who}, ${said}`);
  }

  /** Buttons for the code blocks that do not have them yet. */
  private arm(): void {
    const blocks = [...this.body.querySelectorAll<HTMLElement>(".code")];
    blocks.forEach((block, at) => {
      if (block.querySelector(".tools") === null) {
        block.prepend(this.tools(block, at));
      }
    });
  }

  private tools(block: HTMLElement, at: number): HTMLElement {
    const language = block.dataset.language ?? "";
    const run = (action: CodeAction) => () => {
      const text = block.querySelector("code")?.textContent ?? "";
      host.postMessage({ type: "code", action, message: this.id, block: this.blockAt(at, text), language, text });
    };
    const named = (action: CodeAction) => {
      const label = phrase(action);
      return button(label, run(action), { "aria-label": `${label}: ${phrase("codeBlock", at + 1)}` });
    };
    const info = block.dataset.info ?? "";
    // The place that it is from, if that is known, without its folders: the rest is in the tooltip.
    const place = info.slice(language.length).trim();
    const title = make("span", { class: "language", title: info }, (place || info).replace(/\S*[/\\]/, ""));
    return make("div", { class: "tools" }, title, ...(["insert", "copy", "compare", "new"] as const).map(named));
  }

  /** The server's number of a block; null if it sees another text there. */
  private blockAt(at: number, text: string): number | null {
    const same = (one: string) => one.trimEnd() === text.trimEnd();
    const block = this.message.blocks?.[at];
    const found = block && same(block.text) ? block : this.message.blocks?.find((one) => same(one.text));
    return found?.index ?? null;
  }
}

/** Model, size and what did not fit, in one line. */
function quietly(message: Message): string {
  const parts: string[] = [];
  if (message.model) {
    parts.push(message.model);
  }
  if (message.usage) {
    parts.push(phrase("usage", message.usage.prompt + message.usage.completion));
  }
  if (message.stop === "length") {
    parts.push(phrase("length"));
  }
  const cut = message.context?.filter(({ sent, bytes }) => sent < bytes) ?? [];
  parts.push(...cut.map(({ name, sent }) => phrase(sent === 0 ? "leftOut" : "cut", name)));
  if (message.note) {
    parts.push(message.note);
  }
  return parts.join(" · ");
}

/** Replaces only the blocks that differ: what is finished keeps its selection and its buttons. */
function replace(body: HTMLElement, html: string): void {
  const fresh = make("template");
  fresh.innerHTML = html;
  const now = [...fresh.content.children];
  now.forEach((one, at) => {
    const before = body.children[at];
    const drawn = one.outerHTML;
    if (before instanceof HTMLElement && sources.get(before) === drawn) {
      return;
    }
    if (before) {
      before.replaceWith(one);
    } else {
      body.append(one);
    }
    sources.set(one, drawn);
  });
  [...body.children].slice(now.length).forEach((one) => {
    one.remove();
  });
}

/** What a block was drawn from, before it got buttons. */
const sources = new WeakMap<Element, string>();
