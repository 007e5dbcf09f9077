// The page of a conversation: what VS Code gives it, and its phrases.

import type { FromPage, Setup } from "../talk/wire";

interface Kept {
  readonly scroll?: number;
  readonly draft?: string;
}

interface Host {
  postMessage(message: FromPage): void;
  getState(): Kept | undefined;
  setState(state: Kept): void;
}

declare function acquireVsCodeApi(): Host;

export const host = acquireVsCodeApi();
const element = document.getElementById("setup");
export const setup = JSON.parse(element?.textContent ?? "{}") as Setup;

/** A phrase in the person's language. */
export function phrase(name: string, ...parts: readonly (string | number)[]): string {
  return (setup.strings[name] ?? name).replace(/\{(\d)\}/g, (_, at: string) => String(parts[Number(at)] ?? ""));
}

export function keep(change: Kept): void {
  host.setState({ ...host.getState(), ...change });
}

type Child = Node | string;

/** An element with attributes and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    one.setAttribute(name, value);
  }
  one.append(...children);
  return one;
}

export function button(text: string, run: () => void, attributes: Readonly<Record<string, string>> = {}): HTMLButtonElement {
  const one = make("button", { type: "button", ...attributes }, text);
  one.addEventListener("click", run);
  return one;
}

/** A sentence of the server, with what stands in backticks as code. */
export function sentence(text: string): Child[] {
  return text.split(/`([^`]+)`/).map((part, at) => (at % 2 === 1 ? make("code", {}, part) : part));
}
