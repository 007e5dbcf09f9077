// The page of a conversation: header, messages, and the place to type.

import type { Shown, ToPage } from "../talk/wire";
import { Composer } from "./composer";
import { button, host, make, phrase } from "./page";
import { Thread } from "./thread";

const header = make("header", { class: "top" });
const thread = new Thread();
let shown: Shown | undefined;
const composer = new Composer({
  answering: () => shown !== undefined && (shown.answering !== null || shown.pending !== null),
  lastQuestion: () => thread.lastQuestion(),
});
/** Where to go once it is there. */
let goal: { message: string; words: string } | undefined;
let placed = false;

document.body.append(header, thread.element, composer.element);

function top(now: Shown): void {
  const title = make("h1", {}, make("bdi", {}, now.name));
  if (now.favorited) {
    title.append(make("span", { class: "star", role: "img", "aria-label": phrase("starred") }, "★"));
  }
  const files = now.files.map(({ uri, name }) =>
    button(name, () => {
      host.postMessage({ type: "link", href: uri });
    }, { class: "file", title: uri, "aria-label": phrase("openFile", name) }),
  );
  header.replaceChildren(title, ...files);
  if (now.gone !== null) {
    const restore = button(phrase("restore"), () => {
      host.postMessage({ type: "command", command: "restore" });
    });
    header.append(make("p", { class: "gone", role: "status" }, phrase(now.gone)), restore);
  }
  composer.element.hidden = now.gone !== null;
}

function onMessage(message: ToPage): void {
  switch (message.type) {
    case "shown": {
      const asked = shown?.pending === null && message.shown.pending !== null;
      shown = message.shown;
      top(shown);
      thread.show(shown);
      composer.busy(shown.answering !== null || shown.pending !== null);
      place(asked);
      break;
    }
    case "grown":
      if (shown) {
        shown = { ...shown, answering: { answer: message.answer, phase: message.phase, text: message.text } };
        thread.grow(shown);
        composer.busy(true);
      }
      break;
    case "composer":
      composer.show(message.composer);
      break;
    case "draft":
      composer.draft(message.text, message.focus);
      break;
    case "goTo":
      goal = message;
      place(false);
      break;
    case "problem":
      composer.fail(message.text);
      break;
    case "focus":
      composer.focus();
      break;
  }
}

/** Where the page was, where it is to go, else at the last question; afterwards only when the person asks. */
function place(asked: boolean): void {
  if (goal && thread.goTo(goal.message, goal.words)) {
    goal = undefined;
    placed = true;
  } else if (asked) {
    thread.toLastQuestion();
  } else if (!placed && shown && shown.messages.length > 0) {
    placed = true;
    const kept = host.getState()?.scroll;
    if (kept === undefined) {
      thread.toLastQuestion();
    } else {
      thread.scrollTo(kept);
    }
  }
}

window.addEventListener("message", ({ data }: MessageEvent<ToPage>) => {
  onMessage(data);
});

// No link goes anywhere by itself: the editor decides.
document.addEventListener(
  "click",
  (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const href = link?.getAttribute("href");
    if (href != null) {
      event.preventDefault();
      event.stopPropagation();
      host.postMessage({ type: "link", href });
    }
  },
  true,
);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !(event.target instanceof HTMLTextAreaElement) && shown?.answering) {
    host.postMessage({ type: "stop" });
  }
});

window.addEventListener("focus", () => {
  thread.sayTimes();
  // Typing is what one comes for.
  if (!thread.takeFocus() && document.activeElement === document.body) {
    composer.focus();
  }
});

// After midnight `14:03` is yesterday's.
window.setInterval(() => {
  thread.sayTimes();
}, 60_000);

const kept = host.getState()?.draft;
if (kept !== undefined) {
  composer.draft(kept, false);
}
host.postMessage({ type: "ready" });
