// The place to type.

import type { Chip } from "../talk/chips";
import type { Composer as State, PageCommand } from "../talk/wire";
import { button, host, keep, make, phrase, sentence } from "./page";

interface Around {
  /** The last question, for Up in an empty box. */
  readonly lastQuestion: () => { id: string; text: string } | undefined;
  readonly answering: () => boolean;
}

export class Composer {
  readonly element = make("form", { class: "composer", "aria-label": phrase("ask") });
  private readonly notice = make("div", { class: "notice", role: "status" });
  private readonly problem = make("div", { class: "problem", role: "alert" });
  private readonly editing = make("div", { class: "editing" });
  private readonly chips = make("ul", { class: "chips", "aria-label": phrase("goesAlong") });
  private readonly box = make("textarea", { rows: "2", "aria-label": phrase("ask"), placeholder: phrase("ask"), dir: "auto" });
  private readonly model = button("", () => {
    host.postMessage({ type: "command", command: "model" });
  }, { class: "model" });
  private readonly send = make("button", { type: "submit", class: "primary" }, phrase("send"));
  private readonly stop = button(phrase("stop"), () => {
    host.postMessage({ type: "stop" });
  }, { class: "primary" });
  /** The question that is edited, to be asked again in a new conversation. */
  private from: string | null = null;
  private timer: number | undefined;
  private chipsShown = "";
  /** A question was to be sent while an answer was being written. */
  private held = false;

  constructor(private readonly around: Around) {
    const add = button(phrase("addFile"), () => {
      host.postMessage({ type: "command", command: "addFile" });
    });
    this.element.append(
      this.notice,
      this.problem,
      this.editing,
      this.chips,
      this.box,
      make("div", { class: "row" }, add, this.model, make("span", { class: "hint" }, phrase("keys")), this.send, this.stop),
    );
    for (const one of [this.notice, this.problem, this.editing, this.chips, this.model]) {
      one.hidden = true;
    }
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.box.addEventListener("keydown", (event) => {
      this.onKey(event);
    });
    this.box.addEventListener("input", () => {
      this.grow();
      this.keepDraft();
    });
    this.busy(false);
  }

  show(state: State): void {
    this.notice.hidden = state.obstacle === null;
    this.notice.replaceChildren();
    if (state.obstacle !== null) {
      const run = (command: PageCommand) => () => {
        host.postMessage({ type: "command", command });
      };
      const way = state.offline ? button(phrase("useLocal"), run("useLocal")) : button(phrase("chooseModel"), run("model"));
      this.notice.append(make("p", {}, ...sentence(state.obstacle)), way, button(phrase("checkAgain"), run("checkModel")));
    }
    this.model.textContent = phrase("modelIs", state.model);
    this.model.hidden = state.obstacle !== null;
    this.showChips(state);
  }

  /** Drawn again only when they have changed: a click on one must find it where it was pressed. */
  private showChips({ chips, remote, offer }: State): void {
    const now = JSON.stringify([chips, remote, offer]);
    if (now === this.chipsShown) {
      return;
    }
    this.chipsShown = now;
    this.chips.replaceChildren(...chips.map(chip));
    if (remote !== null) {
      this.chips.prepend(make("li", { class: "remote" }, remote));
    }
    if (offer !== null) {
      const add = button(`+ ${offer.name}`, () => {
        host.postMessage({ type: "addChip", uri: offer.uri });
      }, { "aria-label": phrase("addThis", offer.name) });
      this.chips.append(make("li", { class: "offer" }, add));
    }
    this.chips.hidden = this.chips.children.length === 0;
  }

  /** What was typed before, or could not be sent. What is being typed stays. */
  draft(text: string, focus: boolean): void {
    if (this.box.value.trim() === "") {
      this.box.value = text;
      this.grow();
      keep({ draft: text });
    }
    if (focus) {
      this.focus();
    }
  }

  focus(): void {
    this.box.focus();
  }

  busy(answering: boolean): void {
    this.stop.hidden = !answering;
    this.send.hidden = answering;
    if (!answering && this.held) {
      this.fail("");
    }
  }

  fail(text: string): void {
    this.held = false;
    this.problem.replaceChildren(...sentence(text));
    this.problem.hidden = text === "";
  }

  private submit(): void {
    const text = this.box.value.trim();
    if (text === "") {
      return;
    }
    if (this.around.answering() && this.from === null) {
      this.fail(phrase("oneAtATime"));
      this.held = true;
      return;
    }
    this.fail("");
    host.postMessage({ type: "ask", text, from: this.from });
    this.box.value = "";
    this.edit(null);
    this.grow();
    window.clearTimeout(this.timer);
    keep({ draft: "" });
  }

  private onKey(event: KeyboardEvent): void {
    // Enter may be a part of typing a word.
    if (event.isComposing) {
      return;
    }
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape") {
      if (this.around.answering()) {
        host.postMessage({ type: "stop" });
      } else if (this.from !== null) {
        this.box.value = "";
        this.edit(null);
        this.grow();
        this.keepDraft();
      }
    } else if (event.key === "ArrowUp" && this.box.value === "") {
      const last = this.around.lastQuestion();
      if (last) {
        event.preventDefault();
        this.box.value = last.text;
        this.edit(last.id);
        this.grow();
      }
    }
  }

  private edit(question: string | null): void {
    this.from = question;
    this.editing.hidden = question === null;
    this.editing.textContent = question === null ? "" : phrase("editing");
  }

  private keepDraft(): void {
    window.clearTimeout(this.timer);
    // An edited question is another conversation's.
    const text = this.from === null ? this.box.value : "";
    keep({ draft: text });
    this.timer = window.setTimeout(() => {
      host.postMessage({ type: "draft", text });
    }, 300);
  }

  /** As high as its text, up to a third of the page. */
  private grow(): void {
    this.box.style.height = "auto";
    this.box.style.height = `${String(Math.min(this.box.scrollHeight + 2, window.innerHeight / 3))}px`;
  }
}

function chip({ key, label, title, removable, cut }: Chip): HTMLElement {
  const one = make("li", { class: cut ? "cut" : "", title }, make("bdi", {}, label), make("span", { class: "sr" }, `, ${title}`));
  if (removable) {
    const remove = () => {
      host.postMessage({ type: "removeChip", key });
    };
    one.append(button("×", remove, { "aria-label": phrase("removeThis", label), class: "remove" }));
  }
  return one;
}
